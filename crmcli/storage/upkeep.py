"""Upkeep: small files become large ones, loose commits become segments, and what nobody reads any more is removed."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa

from crmcli.errors import NotPermittedError, OvertakenError
from crmcli.storage import erasure, files, log
from crmcli.storage import kernels as pc
from crmcli.storage.log import Commit
from crmcli.storage.members import ADMIN, ADMIN_TABLE, role_text
from crmcli.storage.reading import newest_versions
from crmcli.storage.tables import DELETED, SEQ, TABLES, Table
from crmcli.storage.writing import FILE_ROWS, Pending, entries_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from crmcli.storage.log import FileEntry
    from crmcli.storage.reading import Reader
    from crmcli.storage.store import Store

MANY = 16
KEEP = timedelta(days=7)
# What the time between two commits, or since the newest one, counts for at most when files grow old.
LEAP = timedelta(days=3)
# Files of up to this many rows are rewritten at every compaction; larger ones only when that at least doubles them.
SMALL_ROWS = 256


def crowded(store: Store) -> list[list[FileEntry]]:
    """Return, for each table of a book with too many files, those that a compaction would now replace."""
    member = store.member
    chosen = []
    for (book, table), entries in entries_of(store.state.live.values()).items():
        may = member.role == ADMIN or (store.state.books[book].owner == member.member and table != ADMIN_TABLE)
        if not may or not all(store.keyring.opens(entry) for entry in entries):
            continue
        # A file that is half full or more stays as it is: many rows are written into files as full as that.
        open_to_more = [entry for entry in entries if entry.rows < FILE_ROWS // 2]
        history = [entry for entry in open_to_more if entry.kind == "history"]
        current = [entry for entry in open_to_more if entry.kind != "history"]
        chosen += [tier(group) for group in (current, history) if len(group) > MANY]
    return chosen


def tier(entries: Sequence[FileEntry]) -> list[FileEntry]:
    """Return the smallest files up to the first that is larger than all before it together.

    So every row is rewritten about once each time the table doubles: logarithmic in its size.
    """
    ordered = sorted(entries, key=lambda entry: (entry.rows, entry.seq))
    total = 0
    for index, entry in enumerate(ordered):
        if index > 1 and entry.rows > max(total, SMALL_ROWS):
            return ordered[:index]
        total += entry.rows
    return ordered


def compact(store: Store, entries: Sequence[FileEntry], op_id: str, at: datetime) -> Commit | None:
    """Replace files of one table of one book by one of each kind needed; None if somebody else was faster."""
    book, table = entries[0].book, TABLES[entries[0].table]
    pending = Pending(type="compact", drop=[entry.file_id for entry in entries])
    everything = {e.file_id for e in store.state.entries(table.name) if e.book == book and e.kind != "history"}
    whole = everything <= set(pending.drop)
    for kind, rows in merge(store.reader, table, entries, whole=whole).items():
        if rows.num_rows:
            pending.rows[book, table.name, kind].append(rows)
    try:
        return store.commit(pending, store.state.seq, op_id, at)
    except OvertakenError:
        return None


def merge(reader: Reader, table: Table, entries: Sequence[FileEntry], *, whole: bool) -> dict[str, pa.Table]:
    """Return the rows of the files that replace `entries`, by kind; `whole` if no other file can hold older versions.

    Rows that a newer version hides, and deletions that have nothing left to hide, become history.
    """
    columns = table.schema.names
    if entries[0].kind == "history":
        return {"history": _versions(reader, table, entries)}
    base = _stack([reader.read(entry) for entry in entries if entry.kind == "insert"], table)
    changes = reader.changes(table, [entry for entry in entries if entry.kind != "insert"], columns)
    newest = newest_versions(table.key, changes)
    hidden = pc.is_in(base.column(table.key), changes.column(table.key).combine_chunks())
    deleted = newest.column(DELETED)
    kept, gone = pc.filtered(newest, pc.invert(deleted)), pc.filtered(newest, deleted)
    older = _as_history(pc.filtered(base, hidden))
    superseded = pc.filtered(changes, pc.invert(_is_among(changes, newest, table.key)))
    base = pc.filtered(base, pc.invert(hidden))
    if whole:
        return {
            "insert": pa.concat_tables([base, kept.select(base.column_names)]),
            "history": pa.concat_tables([older, superseded, gone]),
        }
    return {
        "insert": base,
        "upsert": kept.select([*columns, SEQ]),
        "delete": gone.select([table.key, SEQ]),
        "history": pa.concat_tables([older, superseded]),
    }


def _stack(pieces: list[pa.Table], table: Table) -> pa.Table:
    schema = pa.schema([*table.schema, (SEQ, pa.int64())])
    return pa.concat_tables([schema.empty_table(), *(piece.select(schema.names) for piece in pieces)])


def _versions(reader: Reader, table: Table, entries: Sequence[FileEntry]) -> pa.Table:
    names = [*table.schema.names, SEQ, DELETED]
    return pa.concat_tables([reader.read(entry).select(names) for entry in entries])


def _as_history(rows: pa.Table) -> pa.Table:
    return rows.append_column(DELETED, pc.same(False, rows.num_rows, pa.bool_()))  # noqa: FBT003


def _is_among(changes: pa.Table, newest: pa.Table, key: str) -> pa.ChunkedArray:
    """Say of each version whether it is the newest of its key."""
    positions = pc.index_in(changes.column(key), newest.column(key).combine_chunks())
    return pc.equal(changes.column(SEQ), pc.taken(newest.column(SEQ), positions))


def run(store: Store, op_id: Callable[[], str], at: datetime) -> list[str]:
    """Do what is due of erasure, compaction and packing; return what there is to say of it."""
    try:
        if erasure.is_due(store):
            erasure.remove(store)
        return erasure.carry_out(store, op_id, at)
    finally:
        _tidy_up(store, op_id, at)


def _tidy_up(store: Store, op_id: Callable[[], str], at: datetime) -> None:
    if crowded(store):
        with files.alone_in(store.root / "tmp") as is_alone:
            # Whoever is not alone leaves it to the one who is at it: of two compactions of a table one is in vain.
            if is_alone:
                store.refresh()
                for entries in crowded(store):
                    compact(store, entries, op_id(), at)
    loose = len(os.listdir(store.root / "log"))  # noqa: PTH208 - a thousand names after every command
    if loose >= log.LOOSE + log.SEGMENT:
        with store.lock():
            log.pack(store.root / "log", store.file_mode)


def collect(store: Store, now: datetime, keep: timedelta | None = None, *, at_once: bool = False) -> int:
    """Remove files that left the store `keep` (`KEEP`, if None) ago or earlier, and orphans as old; return how many.

    A clock that was set wrong makes nothing old at a stroke: it counts for no more than the disk's own, and a leap of
    the log's time for no more than `LEAP`. `at_once`: whatever left the store goes, however young it is; a command that
    still reads it begins again. Raises: NotPermittedError for that by who is no admin.
    """
    role = store.member.role
    if at_once and role != ADMIN:
        raise NotPermittedError(f"{role_text(role)} may not remove files before their time", "an admin can")
    keep = KEEP if keep is None else keep
    with files.mapped("remove old files"), store.lock():
        store.refresh()
        store.require_durable()
        erased = erasure.remove(store) if store.state.last_erasure else 0
        for folder in (store.root / "tmp", *_shards(store)):
            # Through a link, what is removed would be somebody else's.
            files.require_folder(folder)
        stale = _stale(store)
        dropped = _dropped_for(store, now) if stale else {}
        disk_now = min(now, _disk_time(store))
        old = [
            path
            for path in stale
            if (at_once and path.stem in dropped) or min(dropped.get(path.stem, keep), _age(path, disk_now)) >= keep
        ]
        old += [path for path in (store.root / "tmp").iterdir() if _age(path, disk_now) >= keep]
        removed = [path for path in old if not path.is_dir()]
        for path in removed:
            path.unlink(missing_ok=True)
    return erased + len(removed)


def left_behind(store: Store, now: datetime) -> tuple[int, int]:
    """Return how many files lie there that are none of the store's, and how many of them left it twice `KEEP` ago."""
    stale = _stale(store)
    dropped = _dropped_for(store, now) if stale else {}
    return len(stale), sum(dropped.get(path.stem, timedelta(0)) >= 2 * KEEP for path in stale)


def _stale(store: Store) -> list[Path]:
    present = (path for shard in _shards(store) for path in shard.glob("*.parquet") if log.HEX32.fullmatch(path.stem))
    return [path for path in present if path.stem not in store.state.live]


def _shards(store: Store) -> list[Path]:
    return [store.root / "files" / f"{shard:02x}" for shard in range(256)]


def _dropped_for(store: Store, now: datetime) -> dict[str, timedelta]:
    """Return how long ago each file that ever left did so, as the log and this machine's clock tell."""
    told = timedelta(0)
    dropped: dict[str, timedelta] = {}
    at = datetime.fromisoformat(store.genesis.created_at)
    for _, raw in log.read_from(store.root / "log", 1):
        before, at = at, log.time_of(raw)
        told += min(at - before, LEAP)
        if b'"drop":[]' not in raw:
            dropped.update(dict.fromkeys(Commit.parse(raw.partition(b"\n")[0]).drop, told))
    told += min(max(now - at, timedelta(0)), LEAP)
    return {file_id: told - since for file_id, since in dropped.items()}


def _disk_time(store: Store) -> datetime:
    """Return the time as the file system has it, which may be another machine's."""
    lock = store.root / "lock"
    os.utime(lock)
    return datetime.fromtimestamp(lock.stat().st_mtime, UTC)


def _age(path: Path, now: datetime) -> timedelta:
    """Return how long ago a file was written; one that its writer has just moved or removed has no age."""
    try:
        return now - datetime.fromtimestamp(path.lstat().st_mtime, UTC)
    except FileNotFoundError:
        return timedelta(0)
