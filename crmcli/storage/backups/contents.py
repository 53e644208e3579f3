"""What is in a snapshot: its tables, their files, rows and bytes, as the signed log tells without a key."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from crmcli.errors import DamagedError
from crmcli.storage import files
from crmcli.storage.backups import judging
from crmcli.storage.backups.known import Known
from crmcli.storage.backups.places import Place


@dataclass(frozen=True)
class Contents:
    """`told` are facts about the snapshot, name and value; `rows` one for each table."""

    told: list[tuple[str, object]]
    rows: list[tuple[object, ...]]
    columns: tuple[str, ...] = ("table", "books", "files", "rows", "bytes", "first", "last")


def contents(place: Place, name: str, known: Known) -> Contents:
    """Return what is in a snapshot. Raises: NotFoundError, DamagedError."""
    with files.mapped(f"read the backup in {place.text}"):
        shelf, found = judging.judged(place, known)
        snapshot = judging.find(shelf, found, name)
    if snapshot.name in found.wrong:
        raise DamagedError(f"snapshot {snapshot.name} is no backup of this store: {found.wrong[snapshot.name]}")
    tables = defaultdict(list)
    for entry in found.files(snapshot).values():
        tables[entry.table].append(entry)
    rows: list[tuple[object, ...]] = []
    for table, entries in sorted(tables.items()):
        books = len({entry.book for entry in entries})
        counted = sum(entry.rows for entry in entries if entry.kind != "history")
        size = sum(entry.bytes for entry in entries)
        first = min((entry.low for entry in entries if entry.low), default=None)
        last = max((entry.high for entry in entries if entry.high), default=None)
        rows.append((table, books, len(entries), counted, size, _instant(first), _instant(last)))
    told: list[tuple[str, object]] = [
        ("snapshot", snapshot.name),
        ("place", place.text),
        ("made at", f"{snapshot.at:%Y-%m-%d %H:%M:%S} UTC"),
        ("commit", snapshot.seq),
        ("head", snapshot.head),
        ("files", snapshot.files),
        ("bytes", snapshot.bytes),
        ("drops in the inbox", len(snapshot.inbox)),
        ("files lost before it", len(found.lacked(snapshot))),
        ("genuine", f"no: {found.strange[snapshot.name]}" if snapshot.name in found.strange else "yes"),
        ("pinned", snapshot.name in shelf.pinned),
    ]
    return Contents(told, rows)


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
