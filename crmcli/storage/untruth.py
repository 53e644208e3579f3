"""Untruth: rows that are well formed, and yet of another book's client or of a record that is there already."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from crmcli.storage import kernels as pc
from crmcli.storage.members import GROUPS_OF
from crmcli.storage.tables import FACTS, PERSONAL, TABLES

if TYPE_CHECKING:
    from crmcli.storage.log import FileEntry
    from crmcli.storage.reading import Reader
    from crmcli.storage.state import State


def untrue(reader: Reader, state: State, entry: FileEntry) -> list[bool]:
    """Say of each row of a live file that can be read whether it cannot be true.

    It is not if its client is not in the book or was erased, if an earlier file, or the same one, inserted its record,
    or if it changes a record that nobody inserted there.
    """
    table = TABLES[entry.table]
    if entry.kind not in ("insert", "upsert"):
        return [False] * entry.rows
    columns = [name for name in (table.key, "client_id") if name in table.schema.names]
    rows = reader.read(entry, columns)
    keys: list[int | None] = rows.column(table.key).to_pylist()
    known: set[int | None] = {0, None}
    if entry.kind == "insert":
        for other in state.entries(entry.table):
            if other.seq < entry.seq and other.kind == "insert" and reader.keyring.opens(other):
                there = reader.read(other, [table.key]).column(table.key)
                known.update(pc.filtered(there, pc.is_in(there, pa.array(keys, pa.int64()))).to_pylist())
    unfounded = _unfounded(reader, state, entry, rows) if entry.kind == "upsert" else [False] * entry.rows
    strangers = _strangers(reader, state, entry, rows)
    found = []
    for key, *faults in zip(keys, strangers, unfounded, strict=True):
        found.append(any(faults) or key in known)
        known.add(key)
    return found


def _unfounded(reader: Reader, state: State, entry: FileEntry, rows: pa.Table) -> list[bool]:
    """Say of each row of an upsert whether its record was never inserted in that book."""
    key = TABLES[entry.table].key
    before = [e for e in state.entries(entry.table) if e.book == entry.book and e.kind in ("insert", "history")]
    there = [reader.read(e, [key]).column(key).combine_chunks() for e in before if reader.keyring.opens(e)]
    known = pa.concat_arrays([pa.array([], pa.int64()), *there])
    mask: list[bool] = pc.invert(pc.is_in(rows.column(key), known)).to_pylist()
    return mask


def _strangers(reader: Reader, state: State, entry: FileEntry, rows: pa.Table) -> list[bool]:
    """Say of each row whether its client is not in its book, or was erased."""
    mask: list[bool]
    if entry.group == PERSONAL and state.erased:
        mask = pc.is_in(rows.column("client_id"), reader.erased).to_pylist()
        if any(mask):
            return mask
    has_clients = FACTS in GROUPS_OF[state.books[entry.book].kind] and reader.keyring.holds(entry.book, FACTS)
    if not TABLES[entry.table].is_about_clients or entry.table == "clients" or not has_clients:
        return [False] * rows.num_rows
    clients = reader.merged("clients", ["client_id"], books=[entry.book]).column("client_id").combine_chunks()
    mask = pc.invert(pc.is_in(rows.column("client_id"), clients)).to_pylist()
    return mask
