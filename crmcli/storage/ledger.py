"""The erasure ledger: which clients a log says are erased, and which files therefore have to be gone."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import field
from typing import TYPE_CHECKING, Any

from crmcli.model.frozen import dataclass
from crmcli.storage.tables import PERSONAL, TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PERSONAL_TABLES = tuple(table for table in TABLES.values() if table.group == PERSONAL)


@dataclass(frozen=True)
class Erasure:
    """What one `erase` commit says: whose rows left which books, and the `files` that are erased by it.

    `rows` is table -> rows removed, `rewritten` the number of files that held some.
    """

    seq: int
    at: str
    author: str
    clients: tuple[str, ...]
    books: tuple[str, ...]
    rewritten: int
    rows: dict[str, int]
    files: frozenset[str] = field(repr=False)


class _Ledger:
    """What the commits so far say of personal files: `take` adds the next one."""

    def __init__(self) -> None:
        # Client -> the books it was moved between; under "" those between which all clients of one were.
        self._moved: dict[str, set[str]] = defaultdict(set)
        # Book -> personal files that came and are not erased; file -> book, table and rows of those that are live.
        self._held: dict[str, set[str]] = defaultdict(set)
        self._live: dict[str, tuple[str, str, int]] = {}

    def take(self, commit: dict[str, Any]) -> Erasure | None:
        """Add a commit; return the erasure that it is, if it is one."""
        if commit["type"] == "transfer":
            for client in commit["transfer"]["clients"] or ("",):
                self._moved[client] |= {commit["transfer"]["from"], commit["transfer"]["to"]}
        dropped = [self._live.pop(name) for name in commit["drop"] if name in self._live]
        is_one = commit["type"] == "erase" and commit["erase"]["clients"]
        erasure = self._erasure(commit, dropped) if is_one else None
        for entry in commit["add"]:
            if entry["group"] == PERSONAL:
                self._held[entry["book"]].add(entry["file_id"])
                self._live[entry["file_id"]] = (entry["book"], entry["table"], entry["rows"])
        return erasure

    def _erasure(self, commit: dict[str, Any], dropped: list[tuple[str, str, int]]) -> Erasure:
        clients = tuple(commit["erase"]["clients"])
        books = {book for book, _, _ in dropped} | {entry["book"] for entry in commit["add"]}
        books = books.union(self._moved[""], *(self._moved[client] for client in clients))
        gone = frozenset(name for book in books for name in self._held[book] if name not in self._live)
        for book in books:
            self._held[book] -= gone
        rows = {table.name: sum(count for _, name, count in dropped if name == table.name) for table in PERSONAL_TABLES}
        for entry in commit["add"]:
            if entry["table"] in rows:
                rows[entry["table"]] -= entry["rows"]
        return Erasure(
            commit["seq"], commit["at"], commit["author"], clients, tuple(sorted(books)), len(dropped), rows, gone
        )


def erasures(commits: Iterable[bytes]) -> Iterator[Erasure]:
    """Yield the erasures in a log, given the raw bytes of its commits from the first one on, all of them verified.

    A commit erases, in the books of its files and of every earlier transfer of one of its clients, or of all of a book,
    all personal files that came before it and are not live after it. Their absence is legal, and backups are to delete
    theirs.
    """
    ledger = _Ledger()
    for raw in commits:
        # Most commits have nothing to do with it, and need not be parsed.
        if b'"group":"personal"' in raw or b'"drop":[]' not in raw or b'"type":"data"' not in raw:
            erasure = ledger.take(json.loads(raw.partition(b"\n")[0]))
            if erasure is not None:
                yield erasure


def erased_files(commits: Iterable[bytes]) -> set[str]:
    """Return the ids of all files that a log, given as to `erasures`, says are erased."""
    return set().union(*(erasure.files for erasure in erasures(commits)))
