"""Checking backups: what is missing or spoilt, which snapshots that spoils, who still has it, and putting it back."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crmcli.errors import CrmError, DamagedError, NotFoundError
from crmcli.model.backups import Result
from crmcli.storage import bulk, files
from crmcli.storage.backups import judging, lineage, results, snapshots, stale
from crmcli.storage.backups.places import NO_FILE, borrowed, checked, object_name
from crmcli.storage.keys import sha256
from crmcli.storage.tables import stamp
from crmcli.storage.together import streamed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from crmcli.storage.backups.judging import Need
    from crmcli.storage.backups.known import Known
    from crmcli.storage.backups.lineage import Lineage
    from crmcli.storage.backups.places import Item, Place
    from crmcli.storage.backups.snapshots import Piece, Snapshot
    from crmcli.storage.backups.source import Source
    from crmcli.storage.log import FileEntry

_STORE = "the store"
# Objects that a result names.
_MOST_DAMAGED = 500


@dataclass
class Trouble:
    """A file that is not as it should be: how, which snapshots it spoils, who still has it, whether it was put back."""

    file: str
    how: str
    spoils: list[str]
    elsewhere: str | None
    repaired: bool = False

    @property
    def is_of_store(self) -> bool:
        """Whether the store still has it."""
        return self.elsewhere == _STORE

    @property
    def is_snapshot(self) -> bool:
        """Whether it is a snapshot itself, and not an object."""
        return self.file.startswith("snapshots/")


@dataclass
class Checked:
    """What a check found. `verified` is the snapshot that was read back whole, if one was.

    `strange` are snapshots that are none of this store, or cannot be of the date they bear; `lacking` those that lack
    files which the store had lost, and how many. `counts` are those that may count as verified.
    `not_kept` is why the result could not be kept beside them.
    """

    snapshots: list[str] = field(default_factory=list)
    objects: int = 0
    read: int = 0
    read_bytes: int = 0
    erased: int = 0
    verified: str | None = None
    troubles: list[Trouble] = field(default_factory=list)
    strange: dict[str, str] = field(default_factory=dict)
    lacking: dict[str, int] = field(default_factory=dict)
    not_kept: str | None = None
    counts: set[str] = field(default_factory=set)

    @property
    def spoilt(self) -> set[str]:
        """The snapshots that cannot be restored as they are."""
        return {name for trouble in self.troubles if not trouble.repaired for name in trouble.spoils}

    def damaged_of(self, snapshot: str) -> list[str]:
        """Return the hashes of the first objects of a snapshot that are not as they should be."""
        theirs = [one for one in self.troubles if not (one.is_snapshot or one.repaired) and snapshot in one.spoils]
        return [trouble.file.rpartition("/")[2] for trouble in theirs[:_MOST_DAMAGED]]


class Check:
    """A check of some snapshots of a place; `others` and the `source` are asked for what it lacks.

    `part` is (n, t): of the data, read the n-th of t parts; None reads only what says which data there must be.
    """

    def __init__(
        self, place: Place, source: Source | None, others: Sequence[Place], part: tuple[int, int] | None
    ) -> None:
        self.place = place
        self.source = source
        self.others = others
        self.part = part

    def run(self, name: str | None, outside: Known, advance: Callable[[int], None], *, repair: bool) -> Checked:
        """Check one snapshot or all; with `repair`, put back what somebody else still has."""
        genesis, _ = snapshots.genesis_of(self.place)
        shelf = snapshots.shelf(self.place, genesis.hash)
        if not (shelf.snapshots or shelf.strange):
            raise NotFoundError(f"there is no snapshot yet in {self.place.text}", "crmcli backup makes one")
        with files.mapped(f"read the backup in {self.place.text}"):
            found = lineage.lineage(self.place, genesis, shelf.snapshots, outside)
            stale.unmask(found, self.source)
            chosen = list(shelf.snapshots) if name is None else [judging.find(shelf, found, name)]
            done = Checked([snapshot.name for snapshot in chosen], strange=judging.strange(shelf, found))
            known = [snapshot for snapshot in chosen if snapshot.name in found.chains]
            done.lacking = {one.name: len(found.lacked(one)) for one in known if found.lacked(one)}
            done.counts = {snapshot.name for snapshot in found.whole()}
            needed = judging.needs(found, chosen)
            present = self.place.items("objects")
            erased = found.erased()
            done.objects = len(needed)
            for digest, how in self._wrong(needed, present, advance, done):
                if how == "missing" and digest in erased:
                    done.erased += 1
                else:
                    done.troubles.append(self._trouble(digest, how, needed[digest], repair=repair))
            for damaged in sorted(shelf.damaged) if name is None else ():
                del done.strange[damaged]
                done.troubles.append(self._damaged(damaged, repair=repair))
            if repair:
                with self._repairing():
                    self.place.settle()
        self._explain(done, found, chosen)
        return done

    def _explain(self, done: Checked, found: Lineage, chosen: list[Snapshot]) -> None:
        """Say of a snapshot whose log cannot be read that it is spoilt by a piece of it, and not strange."""
        damaged = {name for trouble in done.troubles for name in trouble.spoils}
        for snapshot in chosen:
            if snapshot.name in found.wrong and snapshot.name in damaged:
                del done.strange[snapshot.name]

    def _wrong(
        self, needed: dict[str, Need], present: dict[str, Item], advance: Callable[[int], None], done: Checked
    ) -> Iterator[tuple[str, str]]:
        """Yield the hashes of objects that are not as they should be, and how."""
        to_read = []
        for digest, need in needed.items():
            if digest not in present:
                yield digest, "missing"
            elif present[digest].size == NO_FILE:
                yield digest, "no regular file"
            elif present[digest].size != need.bytes:
                yield digest, "damaged"
            elif isinstance(need.what, snapshots.Piece) or self._is_in_part(digest):
                to_read.append(digest)
        for digest, how in streamed(lambda digest: (digest, self._read(digest, needed[digest])), to_read, bulk.READERS):
            done.read += 1
            done.read_bytes += needed[digest].bytes
            advance(needed[digest].bytes)
            if how is not None:
                yield digest, how

    def _is_in_part(self, digest: str) -> bool:
        return self.part is not None and int(digest[:8], 16) % self.part[1] == self.part[0] - 1

    def _read(self, digest: str, need: Need) -> str | None:
        try:
            borrowed(self.place, digest, need.bytes)
        except FileNotFoundError:
            return "missing"
        except DamagedError:
            return "damaged"
        except OSError as error:
            return f"unreadable ({(error.strerror or 'it fails').lower()})"
        return None

    def _trouble(self, digest: str, how: str, need: Need, *, repair: bool) -> Trouble:
        content, elsewhere = self._elsewhere(digest, need)
        return self._told(Trouble(object_name(digest), how, need.by, elsewhere), content, repair=repair)

    def _told(self, trouble: Trouble, content: bytes | None, *, repair: bool) -> Trouble:
        if repair and content is not None:
            with self._repairing():
                self.place.put(trouble.file, content)
            trouble.repaired = True
        return trouble

    def _repairing(self) -> AbstractContextManager[None]:
        return files.mapped(f"repair the backup in {self.place.text}")

    def _damaged(self, name: str, *, repair: bool) -> Trouble:
        """Return what is wrong with a snapshot whose bytes are not those that it is named after."""
        file = f"snapshots/{name}.json"
        for other in self.others:
            with suppress(OSError, CrmError):
                raw = other.read(file, snapshots.MAX_SNAPSHOT)
                if snapshots.is_named_after(name, raw):
                    return self._told(Trouble(file, "damaged", [name], other.text), raw, repair=repair)
        return Trouble(file, "damaged", [name], None)

    def _elsewhere(self, digest: str, need: Need) -> tuple[bytes | None, str | None]:
        """Return the right bytes of an object, and who has them: the store, or another place."""
        if self.source is not None:
            content = _of_store(self.source, need.what)
            if content is not None and sha256(content) == digest:
                return content, _STORE
        for other in self.others:
            try:
                return checked(other, digest, need.bytes), other.text
            except (OSError, CrmError):
                continue
        return None, None


def _of_store(source: Source, what: FileEntry | Piece) -> bytes | None:
    """Return what the live store has of an object, if it has it: a file, commits or a drop."""
    if not isinstance(what, snapshots.Piece):
        content = source.borrow(what)
        return None if isinstance(content, CrmError) else bytes(content)
    if not what.first:
        return dict(source.drops()).get(what.sha256)
    return b"".join(raw for seq, raw in source.commits() if what.first <= seq <= what.last)


def verify(
    place: Place,
    helpers: tuple[Source | None, Sequence[Place]],
    name: str | None,
    part: tuple[int, int] | None,
    outside: Known,
    advance: Callable[[int], None],
    *,
    repair: bool,
) -> Checked:
    """Check a snapshot of a place, or all, as `Check` does, and keep what came of it beside them.

    That is what came of the newest one, and of each other one that is not what an earlier check found.
    """
    start = time.monotonic()
    done = Check(place, *helpers, part).run(name, outside, advance, repair=repair)
    genuine = [known for known in done.snapshots if known not in done.strange]
    if not genuine:
        return done
    kind = "verify" if part is None else "deep" if part == (1, 1) else f"{part[0]}/{part[1]}"
    seconds = round(time.monotonic() - start, 3)
    told = []
    known = results.verdicts(place, outside.now)
    for one in genuine:
        is_good = one not in done.spoilt and one in done.counts
        counts = (seconds, done.read, done.read_bytes)
        result = Result(kind, stamp(outside.now), one, is_good, *counts, damaged=done.damaged_of(one))
        before = known.get(one)
        is_news = before is None or before.ok if one in done.spoilt else before is not None and not before.ok
        if one == genuine[-1] or is_news:
            told.append(result)
    done.verified = genuine[-1] if told[-1].reads_all else None
    # A place that can only be read can be checked all the same; but nobody else will know of it.
    try:
        results.note(place, told)
    except OSError as error:
        done.not_kept = (error.strerror or "it fails").lower()
    return done
