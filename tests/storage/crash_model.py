"""A model of power cuts: file operations as they were recorded, and every disk that a cut may leave of them.

It is the weakest disk that POSIX allows, as in ALICE (Pillai et al., "All file systems are not created equal", OSDI
2014). Content written since the last fsync of the file may be there, missing, cut short or zero. A change of names
since the last fsync of the folder may have happened or not, whatever became of those before and after it; a rename
within a folder is one change, one between folders is two. An fsync of a file says nothing of its name.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

ROOT = 0
# What may become of content that was not synced.
TAILS: dict[str, Callable[[bytes], bytes]] = {
    "whole": bytes,
    "missing": lambda _: b"",
    "cut": lambda content: content[: len(content) // 2],
    "zero": lambda content: bytes(len(content)),
}
# How many disks are tried after one event where there may be more.
MOST = 128
# How many of the changes that are open at one time are tried one by one.
UNITS = 32


@dataclass(frozen=True)
class Names:
    """One change of the names in a folder: name -> file or folder, or None for a name that goes."""

    folder: int
    changes: tuple[tuple[str, int | None], ...]


@dataclass(frozen=True)
class Content:
    """Bytes appended to a file."""

    file: int
    content: bytes


@dataclass(frozen=True)
class Sync:
    """An fsync of a file or folder, and the place in the program that asked for it."""

    node: int
    site: str


@dataclass(frozen=True)
class Said:
    """The user was told that a step was done."""

    step: int


Event = Names | Content | Sync | Said


@dataclass
class Trace:
    """A folder as it was and what was done to it; files and folders are numbers, `ROOT` is the folder itself.

    `folders` has the names in every folder at the start, `before` where the files of the start still lie. The names in
    the folders `unread` mean nothing to anybody, so that they survive together or not at all. An empty folder in one of
    `sorted` is as good as none.
    """

    folders: dict[int, dict[str, int]] = field(default_factory=dict)
    before: dict[int, Path] = field(default_factory=dict)
    unread: set[int] = field(default_factory=set)
    sorted: set[int] = field(default_factory=set)
    events: list[Event] = field(default_factory=list)

    def sites(self) -> list[str]:
        """The places that asked for an fsync, each once."""
        return list(dict.fromkeys(event.site for event in self.events if isinstance(event, Sync)))

    def ends(self) -> list[int]:
        """The numbers of events after which a cut can make a difference: one for a row of folders made in a folder."""
        pairs = enumerate(itertools.pairwise(self.events), 1)
        rows = {
            i for i, (before, after) in pairs if self._makes_folder(before) == self._makes_folder(after) is not None
        }
        return [end for end in range(len(self.events) + 1) if end not in rows]

    def _makes_folder(self, event: Event) -> int | None:
        is_made = isinstance(event, Names) and any(node in self.folders for _, node in event.changes)
        return event.folder if isinstance(event, Names) and is_made else None

    def acknowledged(self, end: int) -> int:
        """The last step that the user had been told of as done after so many events, or 0."""
        return max((event.step for event in self.events[:end] if isinstance(event, Said)), default=0)


@dataclass(frozen=True)
class Disk:
    """What a power cut after `end` events left: the changes of names that happened, and the content of new files."""

    trace: Trace = field(repr=False)
    end: int
    names: frozenset[int]
    contents: dict[int, bytes] = field(repr=False)

    def tree(self) -> dict[int, dict[str, int]]:
        """The names in every folder, but for empty ones that are as good as none."""
        tree = {folder: dict(names) for folder, names in self.trace.folders.items()}
        for index in sorted(self.names):
            event = self.trace.events[index]
            assert isinstance(event, Names)
            for name, node in event.changes:
                if node is None:
                    tree[event.folder].pop(name, None)
                else:
                    tree[event.folder][name] = node
        for folder in self.trace.sorted:
            tree[folder] = {name: node for name, node in tree[folder].items() if tree.get(node)}
        return tree

    def key(self) -> object:
        """What tells this disk from others, but for what nobody reads."""
        tree = self.tree()
        there = {
            (folder, name, node, self.contents.get(node))
            for folder, names in tree.items()
            if folder not in self.trace.unread
            for name, node in names.items()
        }
        return frozenset(there), self.trace.acknowledged(self.end)

    def lay_out(self, place: Path) -> None:
        """Make the disk a folder."""
        self._lay_out(place, ROOT, self.tree())

    def _lay_out(self, place: Path, folder: int, tree: dict[int, dict[str, int]]) -> None:
        place.mkdir(mode=0o700)
        for name, node in tree[folder].items():
            path = place / name
            if node in self.trace.before:
                os.link(self.trace.before[node], path)
            elif node not in tree:
                path.write_bytes(self.contents[node])
                path.chmod(0o600)
            else:
                self._lay_out(path, node, tree)


def disks(trace: Trace, *, without: str | None = None, whole: bool = False) -> Iterator[Disk]:
    """Yield disks, each once, that a power cut may leave, as if the program lacked the fsync `without`.

    `whole` yields all, up to a bound after each event; otherwise those in which everything, nothing, all but one or
    only one of what was not synced has survived.
    """
    seen: set[object] = set()
    for end in trace.ends():
        for disk in _disks_after(trace, end, without, whole=whole):
            key = disk.key()
            if key not in seen:
                seen.add(key)
                yield disk


def _disks_after(trace: Trace, end: int, without: str | None, *, whole: bool) -> Iterator[Disk]:
    events = list(enumerate(trace.events[:end]))
    synced = {event.node: i for i, event in events if isinstance(event, Sync) and event.site != without}
    changes = [(i, event) for i, event in events if isinstance(event, Names)]
    durable = frozenset(i for i, event in changes if i < synced.get(event.folder, 0))
    loose = [(i, event) for i, event in changes if i not in durable]
    units = [frozenset([i]) for i, event in loose if event.folder not in trace.unread]
    unread = frozenset(i for i, event in loose if event.folder in trace.unread)
    parts = {
        node: (b"", b"")
        for _, event in changes
        for _, node in event.changes
        if node is not None and node not in trace.folders and node not in trace.before
    }
    for i, event in events:
        if isinstance(event, Content):
            kept, tail = parts[event.file]
            is_kept = i < synced.get(event.file, 0)
            parts[event.file] = (kept + event.content, tail) if is_kept else (kept, tail + event.content)
    tails = [node for node, (_, tail) in parts.items() if tail]
    for happened, fates in _fates([*units, unread] if unread else units, tails, whole=whole):
        contents = {node: kept + TAILS[fates.get(node, "whole")](tail) for node, (kept, tail) in parts.items()}
        yield Disk(trace, end, durable.union(*happened), contents)


def _fates(
    units: Sequence[frozenset[int]], tails: Sequence[int], *, whole: bool
) -> Iterator[tuple[Sequence[frozenset[int]], dict[int, str]]]:
    """Yield which changes of names happened, and what became of content that was not synced."""
    if whole and 2 ** len(units) * len(TAILS) ** len(tails) <= MOST:
        for kept in itertools.product((True, False), repeat=len(units)):
            for fates in itertools.product(TAILS, repeat=len(tails)):
                yield list(itertools.compress(units, kept)), dict(zip(tails, fates, strict=True))
        return
    for node, fate in itertools.product(tails, TAILS):
        yield units, {node: fate}
    yield units, {}
    yield [], {}
    random = Random(len(units))
    for unit in random.sample(units, min(len(units), UNITS)):
        yield [other for other in units if other is not unit], {}
        yield [unit], {}
    for _ in range(MOST if whole else 0):
        some = random.sample(units, random.randint(0, len(units)))
        yield some, {node: random.choice(list(TAILS)) for node in tails}
