"""Writing: rows gathered by one command become files and one commit, all or nothing."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa

from crmcli.errors import (
    ConflictError,
    CrmError,
    DamagedError,
    InterruptedByUserError,
    OutcomeUnknownError,
    OvertakenError,
    RepeatedError,
)
from crmcli.storage import files, log, lookup, parquet, upgrade
from crmcli.storage import kernels as pc
from crmcli.storage.keys import random_bytes, sha256
from crmcli.storage.layout import file_path
from crmcli.storage.log import Commit, FileEntry
from crmcli.storage.tables import TABLES, Table, stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from crmcli.storage.store import Store

FILE_ROWS = 1 << 19
# Files of one change are encrypted side by side; each is held in memory until it is on the disk.
_AT_ONCE = 2
LOCK_TIMEOUT = 30.0
# A file to be: book, table, kind, rows.
_Part: TypeAlias = "tuple[str, Table, str, pa.Table]"
# Commits after which a client may be in another book, or a book under another key.
_MOVES_ROWS = ("keys", "transfer", "erase")


@dataclass
class Pending:
    """What a commit will hold: rows by (book, table, kind), files to drop, and the body of its type.

    `parts` gives more rows than fit in memory at once, as they are written. `depends_on` are tables, and `reads` books,
    that nobody may add to meanwhile; `lacks` has, by table and column, values that nobody may add.
    `op_id` names the operation, where its name says something.
    """

    type: str = "data"
    rows: dict[tuple[str, str, str], list[pa.Table]] = field(default_factory=lambda: defaultdict(list))
    drop: list[str] = field(default_factory=list)
    body: dict[str, Any] = field(default_factory=dict)
    depends_on: set[str] = field(default_factory=set)
    lacks: dict[str, dict[str, Sequence[str]]] = field(default_factory=dict)
    reads: set[str] = field(default_factory=set)
    op_id: str | None = None
    parts: Iterable[_Part] = ()

    def __bool__(self) -> bool:
        """Say whether there is anything to commit."""
        return bool(self.rows or self.drop or self.body)


def commit(store: Store, pending: Pending, base: int, op_id: str, at: datetime) -> Commit:
    """Write the files of a pending change, then link its commit; on return it is durable.

    `base` is the commit that the caller's reading stood on.
    Raises: OvertakenError if what it depends on has changed since, RepeatedError if `op_id` is in the log since `base`,
    ConflictError if it is somebody else's there, NotPermittedError, NoSpaceError, LockedError; OutcomeUnknownError if
    the disk failed after the commit point, InterruptedByUserError before it. A KeyboardInterrupt that comes out leaves
    the outcome unknown.
    """
    entries: list[FileEntry] = []
    made: Commit | None = None
    with files.mapped("write to the store"):
        try:
            entries = _write_files(store, pending)
            with store.lock(LOCK_TIMEOUT):
                store.refresh()
                store.require_durable()
                _check_still_true(store, pending, entries, base, op_id)
                made = Commit(
                    store=store.state.store,
                    seq=store.state.seq + 1,
                    prev=store.state.hash,
                    op_id=op_id,
                    author=store.identity.member,
                    at=max(stamp(at), store.state.at),
                    type=pending.type,
                    schema=upgrade.SCHEMA,
                    add=tuple(replace(entry, seq=store.state.seq + 1, schema=upgrade.SCHEMA) for entry in entries),
                    drop=tuple(pending.drop),
                    body=pending.body,
                )
                _admit(store, made)
                _link(store, made)
        except BaseException as error:
            # An interrupt may come between any two steps, so the log itself is asked: what it names must stay.
            if made is not None and _may_be_in_log(store, made):
                raise OutcomeUnknownError.of(op_id) from error
            for entry in entries:
                files.discard(store.root / file_path(entry.file_id))
            if isinstance(error, KeyboardInterrupt):
                raise InterruptedByUserError("interrupted; nothing was saved") from error
            raise
    return made


def _may_be_in_log(store: Store, made: Commit) -> bool:
    """Say whether the log holds a commit or cannot be asked."""
    try:
        raw, _ = files.read_regular(store.root / "log" / log.loose_name(made.seq), log.MAX_COMMIT)
    except FileNotFoundError:
        return False
    except (OSError, DamagedError):
        return True
    return made.op_id.encode() in raw and made.author.encode() in raw


def repeated(known: Commit, member: str) -> CrmError:
    """Return what to say of an operation that a commit has the op_id of: it is done, if that commit is the member's."""
    if known.author == member:
        return RepeatedError(f"nothing to do: it was saved before, in commit {known.seq}")
    return ConflictError(
        f"commit {known.seq}, by somebody else, has that op_id", "nothing was saved: run it without --op-id"
    )


def _admit(store: Store, made: Commit) -> None:
    try:
        store.state.admit(made)
    except (ValueError, KeyError, TypeError) as error:
        raise CrmError(f"the change is malformed: {error}") from error


def _check_still_true(store: Store, pending: Pending, entries: list[FileEntry], base: int, op_id: str) -> None:
    """Check, under the lock, a pending change against the commits since `base`.

    Raises: OvertakenError if they changed what it stands on, RepeatedError or ConflictError if one has its op_id.
    """
    for since in store.seen_since(base):
        if since.op_id == op_id:
            raise repeated(since, store.identity.member)
        if since.type in _MOVES_ROWS:
            raise OvertakenError(f"a commit of type {since.type} came meanwhile")
        if since.type == "data" and any(_touches(store, entry, pending, entries) for entry in since.add):
            raise OvertakenError("what the command read changed meanwhile")
    if any(entry.epoch != store.state.books[entry.book].epoch for entry in entries):
        raise OvertakenError("a book has a new key")
    if any(file_id not in store.state.live for file_id in pending.drop):
        raise OvertakenError("files were replaced meanwhile")
    if not all((store.root / file_path(entry.file_id)).exists() for entry in entries):
        raise OvertakenError("new files were taken for orphans and removed")


def _touches(store: Store, entry: FileEntry, pending: Pending, mine: list[FileEntry]) -> bool:
    """Say whether somebody's new file is in what was depended on, or changes rows that this change may stand on."""
    if entry.table in pending.depends_on or entry.book in pending.reads:
        return True
    beside = [other for other in mine if other.book == entry.book]
    if entry.kind == "delete" and beside:
        # New rows may belong to the record that is gone.
        return True
    if entry.kind != "insert" and any(other.kind != "insert" and other.table == entry.table for other in beside):
        return True
    lacks = pending.lacks.get(entry.table)
    return lacks is not None and lookup.holds_any(store.reader, entry, lacks)


def _write_files(store: Store, pending: Pending) -> list[FileEntry]:
    """Write, sync and publish the data files; they count for nothing until a commit names them."""
    # One folder for the files of one commit, so that one sync makes all their names durable.
    shard = random_bytes(1).hex()
    for folder in ("tmp", f"files/{shard}"):
        files.ensure_folder(store.root / folder, store.folder_mode)
    gathered = (
        (book, TABLES[name], kind, _together(TABLES[name], pieces))
        for (book, name, kind), pieces in pending.rows.items()
    )
    parts = (
        (book, table, kind, sized)
        for book, table, kind, rows in chain(gathered, pending.parts)
        for sized in _sized(rows)
    )
    entries: list[FileEntry] = []
    ids: list[str] = []
    try:
        while batch := list(islice(parts, _AT_ONCE)):
            fresh = [shard + random_bytes(15).hex() for _ in batch]
            ids += fresh
            entries += _each(lambda part, file_id: _write_file(store, part, file_id), batch, fresh)
        if entries:
            files.sync_folder(store.root / "files" / shard)
    except BaseException:
        for file_id in ids:
            files.discard(store.root / file_path(file_id))
        raise
    return entries


def _write_file(store: Store, part: _Part, file_id: str) -> FileEntry:
    entry, content = seal(store, *part, file_id)
    # Under its own name from the start: until a commit says so it is nobody's, and one sync of the disk takes both.
    files.write_new(store.root / file_path(file_id), content, store.file_mode)
    return entry


def _each(write: Callable[[_Part, str], FileEntry], parts: list[_Part], ids: list[str]) -> list[FileEntry]:
    """Write the parts, large ones side by side; after a failure no more is begun, and what was begun is done."""
    if all(rows.num_rows < parquet.BULK for *_, rows in parts):
        return [write(part, file_id) for part, file_id in zip(parts, ids, strict=True)]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            return list(pool.map(write, parts, ids))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _together(table: Table, pieces: list[pa.Table]) -> pa.Table:
    """Return rows of one table in one; if some have their listed texts as dictionaries, all get them."""
    if len({tuple(rows.schema.types) for rows in pieces}) > 1:
        schema = parquet.schema_of(table, pieces[0].column_names, coded=True)
        pieces = [pc.cast(rows, schema) for rows in pieces]
    return pa.concat_tables(pieces)


def _sized(rows: pa.Table) -> Iterator[pa.Table]:
    """Yield rows in pieces of one size, but for a row, that is no more than a file should have."""
    count = -(-rows.num_rows // FILE_ROWS)
    for number in range(count):
        start, end = (rows.num_rows * place // count for place in (number, number + 1))
        yield rows.slice(start, end - start)


def seal(store: Store, book: str, table: Table, kind: str, rows: pa.Table, file_id: str) -> tuple[FileEntry, bytes]:
    """Return the entry and the encrypted bytes of a new file under the book's current key."""
    epoch = store.state.books[book].epoch
    address = store.keyring.address(book, table.name, table.group, epoch, file_id)
    key = address.key(store.keyring.book_key(book, table.group, epoch))
    content = parquet.encode(table, rows, key, address.aad())
    low, high = bounds(table, rows)
    entry = FileEntry(
        file_id,
        book,
        table.name,
        table.group,
        epoch,
        kind,
        rows.num_rows,
        len(content),
        sha256(content),
        low,
        high,
    )
    return entry, content


def bounds(table: Table, rows: pa.Table) -> tuple[str | None, str | None]:
    """Return the first and the last time in the rows, or None twice if a row has none."""
    if table.time is None or table.time not in rows.column_names or rows.column(table.time).null_count:
        return None, None
    ends = pc.min_max(rows.column(table.time)).as_py()
    low, high = (end.isoformat(timespec="microseconds") + "Z" for end in (ends["min"], ends["max"]))
    return low, high


def _link(store: Store, made: Commit) -> None:
    """Make a commit the head: the link is the commit, before it nothing happened."""
    raw = made.sealed(store.identity.keys)
    if len(raw) > log.MAX_COMMIT:
        raise CrmError("the change is too large for one commit", "split it into smaller ones")
    folder = store.root / "log"
    fresh = store.root / "tmp" / f"{made.seq}.{os.getpid()}.{random_bytes(4).hex()}"
    files.write_new(fresh, raw, store.file_mode)
    try:
        os.link(fresh, folder / log.loose_name(made.seq))
        _refuse_packed(folder, made.seq)
        files.sync_folder(folder)
        store.accept(raw)
    except FileExistsError as error:
        raise OvertakenError("another commit came first") from error
    finally:
        # What cannot be removed now is removed by upkeep; the commit does not depend on it.
        files.discard(fresh)


def _refuse_packed(folder: Path, seq: int) -> None:
    """Take a commit back whose number was free only because the commit of that number has been packed meanwhile.

    That takes a writer who lost the lock and slept over a thousand commits, as on a network disk.
    Raises: OvertakenError.
    """
    if log.is_packed(folder, seq):
        (folder / log.loose_name(seq)).unlink(missing_ok=True)
        raise OvertakenError("other commits came first")


def entries_of(rows: Iterable[FileEntry]) -> dict[tuple[str, str], list[FileEntry]]:
    """Return files by (book, table)."""
    places = defaultdict(list)
    for entry in rows:
        places[entry.book, entry.table].append(entry)
    return places
