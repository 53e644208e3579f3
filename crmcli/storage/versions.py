"""Versions: every version of a client's records that the keys at hand open, what each changed, who did it and when."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from crmcli.model.frozen import dataclass
from crmcli.model.ids import encode_id
from crmcli.storage.members import ADMIN
from crmcli.storage.tables import DELETED, PERSONAL, SEQ, TABLES, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from crmcli.storage.log import FileEntry
    from crmcli.storage.reading import Reader
    from crmcli.storage.state import State
    from crmcli.storage.view import View

# What a program may tell everybody about a client; canaries are for admins.
_TOLD = tuple(table for table in TABLES.values() if "client_id" in table.kinds and table.name != "canaries")


@dataclass(frozen=True, slots=True)
class Change:
    """A field that commit `seq` gave another value; `before` and `after` are None for nothing.

    Of a record that came or went the field is None, and the value all its fields: a tuple of (field, value).
    """

    seq: int
    table: str
    number: int
    field: str | None
    before: Any
    after: Any


def touched(reader: Reader, state: State, client_id: int) -> set[int]:
    """Return the commits that rows of a client came with, as far as the keys open them."""
    seqs: set[int] = set()
    for table in _TOLD:
        seqs.update(versions(reader, state, table, client_id).column(SEQ).to_pylist())
    return seqs


def changes_of(reader: Reader, state: State, client_id: int) -> list[Change]:
    """Return what changed in the records of a client, newest first; within a commit in the order of the tables."""
    changes: list[Change] = []
    for table in _TOLD:
        rows = versions(reader, state, table, client_id)
        known = zip(rows.column(SEQ).to_pylist(), rows.column(DELETED).to_pylist(), table.to_records(rows), strict=True)
        by_key: dict[int, dict[int, Any]] = defaultdict(dict)
        for seq, is_deleted, record in known:
            by_key[getattr(record, table.key)][seq] = None if is_deleted else record
        for number, records in by_key.items():
            changes += _differences(table, number, records)
    return sorted(changes, key=lambda change: -change.seq)


def disguised(view: View, client_id: int) -> dict[int, tuple[str, datetime]]:
    """Return who seems to have recorded a canary and when, by the commit that planted it, for who is no admin."""
    marks = versions(view.reader, view.store.state, TABLES["canaries"], client_id).column(SEQ).to_pylist()
    if not marks or view.reader.keyring.role == ADMIN:
        return {}
    clients = view.records("clients", "client_id", [client_id])
    return {seq: (encode_id(client.created_by), client.created_at) for client in clients for seq in marks}


def kept_back(view: View, client_id: int) -> Iterator[str]:
    """Yield a line for each reason why versions of a client's records are not there."""
    if encode_id(client_id) in view.store.state.erased:
        yield "the client's personal data was erased: what is left are the facts"
    books = view.reader.parts(TABLES["clients"])
    if not all(view.reader.keyring.holds(book, PERSONAL) for book in books):
        yield "your keys do not open every book's names and texts: those are left out"


def _differences(table: Table, number: int, records: dict[int, Any]) -> Iterator[Change]:
    before: tuple[tuple[str, Any], ...] | None = None
    for seq in sorted(records):
        after = _fields(table, records[seq])
        if before is None or after is None:
            yield Change(seq, table.name, number, None, before, after)
        else:
            for (name, old), (_, new) in zip(before, after, strict=True):
                if old != new:
                    yield Change(seq, table.name, number, name, old, new)
        before = after


def _fields(table: Table, record: Any) -> tuple[tuple[str, Any], ...] | None:
    if record is None:
        return None
    names = (name for name in table.kinds if name not in (table.key, "client_id"))
    return tuple((name, _known(getattr(record, name))) for name in names)


def _known(value: Any) -> Any:
    """Return a value, or None for one that says nothing: an empty list, a mark that is not set."""
    return None if value in ((), False) else value


def versions(reader: Reader, state: State, table: Table, client_id: int) -> pa.Table:
    """Return all columns, `_seq` and `_deleted` of every version of a client's rows, deletions among them."""
    where = ("client_id", [client_id])
    pieces = [of_records(reader, table, (), ())]
    for entries in by_book(reader, state, table).values():
        keys = [client_id]
        if table.key != "client_id":
            # A deletion names a record by its key alone, which the versions before it have too.
            named = ([entry for entry in entries if entry.kind == kind] for kind in ("insert", "upsert", "history"))
            found = (rows for alike in named for rows in reader.pieces(alike, [table.key, "client_id"], where))
            keys = sorted({key for rows in found for key in rows.column(table.key).to_pylist()})
        pieces.append(of_records(reader, table, entries, keys))
    return pa.concat_tables(pieces)


def by_book(reader: Reader, state: State, table: Table) -> dict[str, list[FileEntry]]:
    """Return the live files of a table that the keys at hand open, history among them, by book."""
    places = defaultdict(list)
    for entry in state.entries(table.name):
        if reader.keyring.opens(entry):
            places[entry.book].append(entry)
    return places


def of_records(reader: Reader, table: Table, entries: Iterable[FileEntry], keys: Sequence[int]) -> pa.Table:
    """Return all columns, `_seq` and `_deleted` of every version, in files of one book, of the records of some keys."""
    names = [*table.schema.names, SEQ, DELETED]
    schema = pa.schema([*table.schema, (SEQ, pa.int64()), (DELETED, pa.bool_())])
    pieces = [schema.empty_table()]
    if keys:
        where = (table.key, keys)
        listed = list(entries)
        inserts = [entry for entry in listed if entry.kind == "insert"]
        for rows in reader.pieces(inserts, [*table.schema.names, SEQ], where):
            current = rows.append_column(DELETED, pa.repeat(False, rows.num_rows))  # noqa: FBT003
            pieces.append(current.select(names))
        others = [entry for entry in listed if entry.kind != "insert"]
        pieces.append(reader.changes(table, others, table.schema.names, where).select(names))
    return pa.concat_tables(pieces)
