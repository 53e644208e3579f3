"""Transfer: clients with all their rows go from one book to another in one commit, encrypted anew for the new owner."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from crmcli.errors import DamagedError, InputError, NotFoundError, OvertakenError, RuleError
from crmcli.model.frozen import dataclass
from crmcli.model.ids import decode_id, encode_id
from crmcli.model.records import OPEN
from crmcli.storage import kernels as pc
from crmcli.storage import upkeep
from crmcli.storage.keys import random_bytes
from crmcli.storage.reading import newest_versions
from crmcli.storage.tables import SEQ, TABLES, Table
from crmcli.storage.team import book_of, clients_in, name_of, require_admin
from crmcli.storage.view import Draft
from crmcli.storage.writing import FILE_ROWS, Pending

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from crmcli.storage.log import FileEntry
    from crmcli.storage.members import Member
    from crmcli.storage.store import Store
    from crmcli.storage.view import View

# As many ids as a commit of 1 MiB holds beside its files; of more, the commit says "all".
MOST_NAMED = 40_000
# Table -> the column that says whose it is, and the one that says whether that still matters.
_OWNED = {"clients": ("owner_id", None), "deals": ("owner_id", "status"), "reminders": ("assignee_id", "status")}


@dataclass(frozen=True, slots=True)
class Move:
    """What a transfer moves, from one book to another: the clients, and how many records of each table."""

    source: str
    target: str
    clients: pa.Array
    records: dict[str, int]

    @property
    def total(self) -> int:
        """How many records move, the clients themselves among them."""
        return sum(self.records.values())


def plan(view: View, giver: Member, taker: Member, named: Sequence[str]) -> Move:
    """Return what moves from one member to another: the named clients of the giver, or all if none is named.

    Raises: NotPermittedError for who is no admin; RuleError if one of the two has no book, if the taker is no active
    member, or for a canary; NotFoundError for a client who is not the giver's; DamagedError for one in both books.
    """
    require_admin(view.store)
    if not taker.active:
        raise RuleError(f"{name_of(view, taker)} was removed", "give them to an active member")
    source, target = book_of(view, giver), book_of(view, taker)
    if source == target:
        raise RuleError("they are the same member")
    theirs = set(clients_in(view, source).to_pylist())
    chosen = _chosen(view, source, named, theirs) if named else sorted(theirs)
    if named and len(chosen) > MOST_NAMED:
        raise InputError(f"at most {MOST_NAMED} clients can be named at once")
    clients = pa.array(chosen, pa.int64())
    there = view.reader.merged("clients", ["client_id"], books=[target]).column("client_id")
    if pc.any_true(pc.is_in(there, clients)):
        raise DamagedError("a client is in the books of both", "crmcli verify names the file with what cannot be true")
    counts = {}
    for table in _moving_tables():
        found = view.reader.merged(table.name, ["client_id"], books=[source]).column("client_id")
        counts[table.name] = pc.filtered(found, pc.is_in(found, clients)).length()
    return Move(source, target, clients, {name: count for name, count in counts.items() if count})


def _chosen(view: View, source: str, named: Sequence[str], theirs: set[int]) -> list[int]:
    planted = view.reader.merged("canaries", ["client_id"], books=[source]).column("client_id").to_pylist()
    found = []
    for who in named:
        number = view.client(who, among=theirs.union(planted)).client_id
        if number in planted:
            raise RuleError("a canary stays in the book that it was planted in")
        found.append(number)
    return sorted(set(found))


def move(draft: Draft, moved: Move) -> None:
    """Make a draft the commit of a transfer; without clients it stays as it is."""
    if not len(moved.clients):
        return
    store = draft.store
    pending = Pending("transfer", reads={moved.source})
    tables = []
    for table in _moving_tables():
        entries = [e for e in store.state.entries(table.name) if e.book == moved.source]
        keys = _moving_keys(draft, table, entries, moved)
        touched = [entry for entry in entries if _has_any(draft, table, entry, keys)]
        pending.drop += [entry.file_id for entry in touched]
        tables.append((table, entries, touched, keys))
    ids = [encode_id(number) for number in moved.clients.to_pylist()] if len(moved.clients) <= MOST_NAMED else []
    pending.body = {"transfer": {"from": moved.source, "to": moved.target, "clients": ids}}
    pending.parts = (part for each in tables for part in _parts(draft, moved, *each))
    draft.pending = pending


def hand_over(store: Store, giver: Member, taker: Member, at: datetime) -> Move:
    """Move all clients of one member to another, under the lock if somebody overtakes it."""
    try:
        return _commit_all(store, giver, taker, at)
    except OvertakenError:
        with store.lock():
            store.refresh()
            return _commit_all(store, giver, taker, at)


def _commit_all(store: Store, giver: Member, taker: Member, at: datetime) -> Move:
    draft = Draft(store)
    moved = plan(draft, giver, taker, ())
    move(draft, moved)
    if draft.pending:
        store.commit(draft.pending, draft.base, random_bytes(16).hex(), at)
    return moved


def _moving_tables() -> list[Table]:
    """Return the tables whose rows go with a client, but for the marks of canaries, which stay."""
    return [table for table in TABLES.values() if table.is_about_clients and table.name != "canaries"]


def _moving_keys(draft: Draft, table: Table, entries: Sequence[FileEntry], moved: Move) -> pa.Array:
    """Return the keys of the records that move: those whose newest version names a client that does.

    All versions of a record go the same way. A deletion names no client; the version before it tells.
    """
    if table.key == "client_id":
        return moved.clients
    columns = [table.key, "client_id", SEQ]
    schema = pa.schema([(column, pa.int64()) for column in columns])
    pieces = [draft.reader.read(e, columns).select(columns) for e in entries if e.kind != "delete"]
    rows = pa.concat_tables([schema.empty_table(), *pieces])
    rows = pc.filtered(rows, pc.invert(pc.is_null(rows.column("client_id"))))
    if any(entry.kind != "insert" for entry in entries):
        rows = newest_versions(table.key, rows)
    found = pc.filtered(rows, pc.is_in(rows.column("client_id"), moved.clients)).column(table.key)
    return pa.concat_arrays(found.chunks) if found.num_chunks else pa.array([], pa.int64())


def _has_any(draft: Draft, table: Table, entry: FileEntry, keys: pa.Array) -> bool:
    found = draft.reader.read(entry, [table.key]).column(table.key)
    return bool(len(pc.filtered(found, pc.is_in(found, keys))))


def _parts(
    draft: Draft, moved: Move, table: Table, entries: Sequence[FileEntry], touched: Sequence[FileEntry], keys: pa.Array
) -> Iterator[tuple[str, Table, str, pa.Table]]:
    """Yield the rows of the files that replace the touched ones, kind by kind for both books; then the new versions.

    What was one file is split as a compaction would merge it, so every row keeps its kind or becomes history, and its
    `_seq`.
    """
    whole = {entry.file_id for entry in entries if entry.kind != "history"}
    for batch in _batches(touched):
        is_whole = whole <= {entry.file_id for entry in batch}
        for kind, rows in upkeep.merge(draft.reader, table, batch, whole=is_whole).items():
            goes = pc.is_in(rows.column(table.key), keys)
            for book, mask in ((moved.target, goes), (moved.source, pc.invert(goes))):
                part = pc.filtered(rows, mask)
                if part.num_rows:
                    yield book, table, kind, part
    if table.name in _OWNED and len(keys):
        rows = _taken_over(draft, table, moved, keys)
        if rows.num_rows:
            yield moved.target, table, "upsert", rows


def _batches(entries: Sequence[FileEntry]) -> Iterator[list[FileEntry]]:
    """Yield files that are read together: as many as have the rows of one full file, history apart."""
    for is_history in (False, True):
        batch: list[FileEntry] = []
        for entry in (entry for entry in entries if (entry.kind == "history") is is_history):
            if batch and sum(other.rows for other in batch) + entry.rows > FILE_ROWS:
                yield batch
                batch = []
            batch.append(entry)
        if batch:
            yield batch


def _taken_over(draft: Draft, table: Table, moved: Move, keys: pa.Array) -> pa.Table:
    """Return the new versions of the records that change hands: clients, open deals and open reminders."""
    owner, status = _OWNED[table.name]
    rows = draft.reader.merged(table.name, books=[moved.source])
    rows = pc.filtered(rows, pc.is_in(rows.column(table.key), keys))
    if status is not None:
        rows = pc.filtered(rows, pc.is_true(pc.equal(rows.column(status), OPEN)))
    taker = draft.store.state.books[moved.target].owner
    number = decode_id(taker or "")
    if number is None:
        raise NotFoundError("that book has no owner")
    rows = pc.filtered(rows, pc.is_true(pc.not_equal(rows.column(owner), number)))
    place = rows.column_names.index(owner)
    return rows.set_column(place, owner, pa.repeat(pa.scalar(number, pa.int64()), rows.num_rows))
