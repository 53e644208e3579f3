"""Undo: a commit is taken back by another one, which gives every record that it changed its version before it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from crmcli.errors import NotFoundError, NotPermittedError, RuleError
from crmcli.model.frozen import dataclass
from crmcli.model.ids import encode_id
from crmcli.storage import kernels as pc
from crmcli.storage import log, lookup
from crmcli.storage.auditing import Head, newest_first
from crmcli.storage.keys import random_bytes, sha256
from crmcli.storage.members import ADMIN
from crmcli.storage.reading import newest_versions
from crmcli.storage.tables import DELETED, SEQ, TABLES, Table
from crmcli.storage.versions import by_book, of_records

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crmcli.storage.store import Store
    from crmcli.storage.view import Draft, View

_LABEL = "crmcli/undo/v1"
_NONCE, _CHECK = 8, 20
_TABLES = tuple(table for table in TABLES.values() if table.is_about_clients)
# What says more of a client, and has no id of its own.
_ASIDE = ("contacts", "canaries")
_REFERENCES = {table.key for table in _TABLES} | {"refund_of", "about_id"}
# Commits that change nothing which a person did, by their type or, of data, by their tables.
_PASSING = ("compact", "grant-use", "reveal")
_BY_ITSELF = {"deliveries", "norms"}
# What brings back the state before a commit of another type.
_OTHERWISE = {
    "erase": "what was erased is gone for ever",
    "transfer": "crmcli transfer moves clients back",
    "grant": "crmcli grant revoke takes a grant back",
    "members": "crmcli member changes it",
}


@dataclass(frozen=True, slots=True)
class Part:
    """What becomes of the records of one table of one book: versions as the commit left them, and those before it.

    `before` lacks the records that it brought, `after` those that it took out.
    """

    book: str
    table: Table
    after: pa.Table
    before: pa.Table

    @property
    def gone(self) -> pa.Array:
        """The keys of the records that leave."""
        known = self.before.column(self.table.key)
        keys = self.after.column(self.table.key)
        return _array(pc.filtered(keys, pc.invert(pc.is_in(keys, _array(known)))))


@dataclass(frozen=True, slots=True)
class Undoing:
    """The commit `seq`, by `author` at `at`, and what becomes of the records that it changed.

    `clients` are those whose records these are; `kept` other tables that it added to, which stay.
    """

    seq: int
    hash: str
    author: str
    at: str
    parts: tuple[Part, ...]
    clients: pa.Array
    kept: tuple[str, ...]

    @property
    def marks(self) -> dict[str, Sequence[str]]:
        """By column of contacts, the phones and the like that clients get again."""
        found: dict[str, list[str]] = {}
        for part in self.parts:
            if part.table.name == "contacts":
                had = {contact.client_id: lookup.marks(contact) for contact in part.table.to_records(part.after)}
                for contact in part.table.to_records(part.before):
                    known = had.get(contact.client_id, {})
                    for column, texts in lookup.marks(contact).items():
                        found.setdefault(column, []).extend(set(texts).difference(known.get(column, ())))
        return {**found}


def undo(draft: Draft, seq: int | None) -> Undoing:
    """Put what takes back a commit, or the newest own one that is not taken back yet; return what that is.

    Raises: as `plan` and `newest` do; NotPermittedError for somebody else's commit.
    """
    head = newest(draft) if seq is None else _commit(draft, seq)
    if not may_undo(draft, head.author):
        raise NotPermittedError(f"commit {head.seq} is not yours", "whoever made it, or an admin, undoes it")
    undoing = plan(draft, head)
    for part in undoing.parts:
        if part.before.num_rows:
            draft.put_rows(part.book, part.table, "upsert", part.before)
        if len(gone := part.gone):
            draft.put_rows(part.book, part.table, "delete", pa.table({part.table.key: gone}))
        # What hangs on a record may be added while it leaves.
        draft.pending.reads.add(part.book)
    draft.pending.lacks["contacts"] = undoing.marks
    draft.pending.op_id = mark_of(undoing.seq, undoing.hash)
    return undoing


def may_undo(view: View, author: str) -> bool:
    """Say whether this member may take back what somebody did: the own, an admin everything."""
    me = view.store.member
    return me.role == ADMIN or me.member == author


# Which commit.


def newest(view: View) -> Head:
    """Return the newest commit of this member that is neither taken back nor takes another back.

    Raises: RuleError if there is none, or if the last that was done is no change of clients' records.
    """
    me = view.store.identity.member
    undone: set[int] = set()
    for head in newest_first(view.store):
        # What others say that they took back of mine is not believed: they could not.
        is_trusted = head.author == me or view.store.state.members[head.author].role == ADMIN
        if head.seq in undone or head.type in _PASSING or not is_trusted:
            continue
        steps = list(_chain(view.store, head))
        undone.update(steps[:1])
        if head.author != me or len(steps) % 2 or _is_by_itself(head):
            continue
        if reason := _no_change(head):
            hint = "crmcli undo COMMIT takes back an earlier change"
            raise RuleError(f"your last change is not for undo: {reason[0]}", hint)
        return head
    raise RuleError("you have changed nothing that could be undone")


def undoes(store: Store, head: Head) -> int | None:
    """Return the commit that this one takes back; None if it takes none back, or an undo, so that it counts again."""
    steps = list(_chain(store, head))
    return steps[0] if len(steps) % 2 else None


def _chain(store: Store, head: Head) -> Iterator[int]:
    """Yield the commit that a commit takes back, the one that this one does, and so on."""
    raw, seq = head.raw, head.seq
    while (found := _taken_back(store, json.loads(raw.partition(b"\n")[0])["op_id"], seq)) is not None:
        seq, raw = found
        yield seq


def _taken_back(store: Store, op_id: str, before: int) -> tuple[int, bytes] | None:
    """Return the commit that the operation of that name takes back, if it is one that does."""
    seq = int(op_id[_NONCE + _CHECK :], 16)
    if not 0 < seq < before:
        return None
    raw = log.read_one(store.root / "log", seq)
    return (seq, raw) if mark_of(seq, log.digest(raw), op_id[:_NONCE]) == op_id else None


def mark_of(seq: int, digest: str, nonce: str | None = None) -> str:
    """Return an op_id that says which commit is taken back: its number, and a hash that it answers to."""
    nonce = nonce or random_bytes(_NONCE // 2).hex()
    check = sha256(f"{_LABEL}|{nonce}|{seq}|{digest}".encode())[:_CHECK]
    return f"{nonce}{check}{seq:0{32 - _NONCE - _CHECK}x}"


def _commit(view: View, seq: int) -> Head:
    """Return the commit of that number, as the head vouches for it. Raises: NotFoundError."""
    if not 0 < seq <= view.store.state.seq:
        raise NotFoundError(f"there is no commit {seq}", "crmcli trash and crmcli audit show their numbers")
    return next(head for head in newest_first(view.store) if head.seq == seq)


def _no_change(head: Head) -> tuple[str, str | None] | None:
    """Return why a commit is no change of clients' records, and what to do instead; None if it is one."""
    if head.type != "data":
        return f"commit {head.seq} is of type {head.type}", _OTHERWISE.get(head.type, "crmcli audit shows what it did")
    added = head.document["add"]
    if len(others := _others(added)) == len({entry["table"] for entry in added}):
        told = f"commit {head.seq} changed no client's records but the {', '.join(others)}"
        return told, "the command that did it sets it back"
    if any(entry["table"] == "settings" for entry in added):
        # What it did to reminders goes by the time zone.
        return f"commit {head.seq} changed the settings", "crmcli settings set sets them back"
    return None


def _is_by_itself(head: Head) -> bool:
    return head.type == "data" and {entry["table"] for entry in head.document["add"]} <= _BY_ITSELF


def _others(added: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """Return the tables among files that have no records of clients."""
    return tuple(sorted({entry["table"] for entry in added}.difference(table.name for table in _TABLES)))


# What becomes of its records.


def plan(view: View, head: Head) -> Undoing:
    """Return what takes a commit back.

    Raises: RuleError if it changed no records of clients, if they were changed since or are not there any more, or if
    something else belongs to them.
    """
    seq = head.seq
    if reason := _no_change(head):
        raise RuleError(*reason)
    added = head.document["add"]
    parts = tuple(part for table in _TABLES for part in _parts(view, table, head, added))
    clients = pa.array(sorted({number for part in parts for number in _clients(part)}), pa.int64())
    if {encode_id(number) for number in clients.to_pylist()} & view.store.state.erased:
        raise RuleError(f"a client in commit {seq} was erased", "what was erased is gone for ever")
    undoing = Undoing(seq, log.digest(head.raw), head.author, head.at, parts, clients, _others(added))
    _require_whole(view, undoing)
    _require_free(view, undoing)
    return undoing


def _parts(view: View, table: Table, head: Head, added: Sequence[dict[str, Any]]) -> Iterator[Part]:
    """Yield what becomes of the records of a table, book by book. Raises: RuleError."""
    theirs = [entry for entry in added if entry["table"] == table.name]
    if not theirs:
        return
    missing = sum(entry["rows"] for entry in theirs)
    live = view.store.state.live
    fresh = [live[entry["file_id"]] for entry in theirs if entry["file_id"] in live]
    for book, entries in by_book(view.reader, view.store.state, table).items():
        # Most often the files are as they came; else the rows are in files that came later.
        holding = [e for e in fresh if e.book == book] if len(fresh) == len(theirs) else entries
        keys = [key for entry in holding if entry.seq >= head.seq for key in _came_with(view, table, entry, head.seq)]
        if keys:
            missing -= len(keys)
            yield _part(view, book, table, head.seq, of_records(view.reader, table, entries, keys))
    if missing:
        raise RuleError(
            f"not all that commit {head.seq} changed is within your reach", "it was erased, taken out or given away"
        )


def _came_with(view: View, table: Table, entry: Any, seq: int) -> list[int]:
    rows = view.reader.read(entry, [table.key, SEQ])
    found: list[int] = pc.filtered(rows, pc.equal(rows.column(SEQ), seq)).column(table.key).to_pylist()
    return found


def _part(view: View, book: str, table: Table, seq: int, versions: pa.Table) -> Part:
    """Return the versions before and after a commit of records that it changed, of which all versions are given."""
    seqs = versions.column(SEQ)
    after = pc.sorted_by(pc.filtered(versions, pc.equal(seqs, seq)), table.key)
    now = newest_versions(table.key, versions)
    columns = [*table.schema.names, DELETED]
    if not now.select(columns).equals(after.select(columns)):
        pairs = zip(*(rows.select(columns).to_pylist() for rows in (now, after)), strict=True)
        changed = [found != left for found, left in pairs]
        raise _changed_since(view, seq, max(pc.filtered(now.column(SEQ), pa.array(changed)).to_pylist()))
    before = newest_versions(table.key, pc.filtered(versions, pc.less(seqs, seq)))
    return Part(book, table, _kept(table, after), _kept(table, before))


def _kept(table: Table, rows: pa.Table) -> pa.Table:
    return pc.filtered(rows, pc.invert(rows.column(DELETED))).select(table.schema.names)


def _changed_since(view: View, seq: int, since: int) -> RuleError:
    head = _commit(view, since)
    if next(_chain(view.store, head), None) == seq:
        return RuleError(f"commit {seq} was undone already, by commit {since}", f"crmcli undo {since} brings it back")
    return RuleError(f"commit {since} changed the same records after commit {seq}", f"crmcli undo {since} comes first")


def _clients(part: Part) -> set[int]:
    return {key for rows in (part.before, part.after) for key in rows.column("client_id").to_pylist()}


def _require_whole(view: View, undoing: Undoing) -> None:
    """Raise RuleError if a record would name one that is not there: one that leaves, or left before."""
    is_there: list[pa.Array] = []
    leaving = _joined(part.gone for part in undoing.parts if part.table.name not in _ASIDE)
    tables = {}
    for table in _TABLES:
        theirs = [part for part in undoing.parts if part.table is table]
        columns = list(dict.fromkeys((table.key, "client_id", *_references(table))))
        now = view.reader.merged(table.name, columns, ("client_id", undoing.clients.to_pylist()))
        changed = _joined(part.before.column(table.key) for part in theirs)
        out = pa.concat_arrays([changed, _joined(part.gone for part in theirs)])
        stays = pc.filtered(now, pc.invert(pc.is_in(now.column(table.key), out)))
        back = pa.concat_tables([stays.slice(0, 0), *(part.before.select(columns) for part in theirs)])
        tables[table.name] = stays, back
        if table.name not in _ASIDE:
            is_there += [_array(rows.column(table.key)) for rows in (stays, back)]
    there = _joined(is_there)
    # A call tells more than what was said at it, so facts come first.
    for name, (stays, back) in reversed(tables.items()):
        words = name.replace("_", " ")
        for column in _references(TABLES[name]):
            if pc.any_true(pc.is_in(stays.column(column), leaving)):
                raise RuleError(f"{words} were added since to what commit {undoing.seq} brought", "undo that first")
            named = pc.filtered(back.column(column), pc.is_valid(back.column(column)))
            if not pc.all_true(pc.is_in(named, there)):
                raise RuleError(f"what the {words} of commit {undoing.seq} belong to is gone", "undo that first")


def _references(table: Table) -> list[str]:
    names = [name for name in _REFERENCES if name in table.kinds]
    return names if table.name in _ASIDE else [name for name in names if name != table.key]


def _require_free(view: View, undoing: Undoing) -> None:
    """Raise RuleError if another client has a phone, e-mail or number that one is to have again."""
    back = undoing.clients.to_pylist()
    for column, texts in undoing.marks.items():
        if found := set(lookup.clients_with(view.reader, column, texts)).difference(back):
            named = view.named(sorted(found))
            raise RuleError("somebody else has the same phone, e-mail, tax id or number now", f"that is {named}")


def _array(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    return pc.whole(column) if len(column) else pa.array([], pa.int64())


def _joined(columns: Any) -> pa.Array:
    return pa.concat_arrays([pa.array([], pa.int64()), *map(_array, columns)])
