"""The import of plain facts in columns: rows of new records that need no weighing, one against the other.

It takes a file whole or not at all; what it does not take goes row by row, with the same outcome.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa

from crmcli.errors import InputError
from crmcli.model.acting import clean_name
from crmcli.storage import kernels as pc
from crmcli.storage.keys import random_bytes
from crmcli.storage.matching import cells_of
from crmcli.storage.plain_sheet import distinct, has_few
from crmcli.storage.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from crmcli.model.acting import Acting
    from crmcli.model.importing import Cells as CellReader
    from crmcli.storage.importing import Import

_V = TypeVar("_V")
_STAMP = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}(:[0-9]{2})?$"
_AMOUNT = r"^-?[0-9]{1,15}(\.[0-9]{1,2})?$"
_MONEY = pa.decimal128(18, 2)
_INSTANT = pa.timestamp("us")


class NotPlainError(Exception):
    """A row needs to be looked at by itself."""


def read_each(column: pa.ChunkedArray, read: Callable[[str], _V], kind: pa.DataType) -> pa.Array:
    """Return what the texts of a column mean, each different one read once. Raises: NotPlainError."""
    texts, codes = distinct(column)
    try:
        values = [read(text) for text in texts]
    except InputError as error:
        raise NotPlainError from error
    return pc.taken(pa.array(values, kind), codes)


def instants(column: pa.ChunkedArray, cells: CellReader) -> pa.Array:
    """Return the instants in a column, none of which is empty or in the future. Raises: NotPlainError."""
    if has_few(column):
        at = read_each(column, cells.instants.__getitem__, pa.int64())
    else:
        _require(cells.form is None and pc.all_true(pc.matches(column, _STAMP)))
        try:
            at = pc.as_numbers(pc.in_zone(pc.cast_to(column, _INSTANT), cells.zone.key)).combine_chunks()
        except pa.ArrowException as error:
            # Such as an hour that comes twice, or not at all, when clocks are set.
            raise NotPlainError from error
        _require(pc.min_max(at)["min"].as_py() > 0)
    ends = pc.min_max(at).as_py()
    _require(at.null_count == 0 and ends["max"] <= cells.latest)
    return at


def amounts(column: pa.ChunkedArray, cells: CellReader) -> pa.Array:
    """Return the amounts in a column, none of which is empty. Raises: NotPlainError."""
    if not has_few(column) and _reads_points(cells) and pc.all_true(pc.matches(column, _AMOUNT)):
        return pc.cast_to(column, _MONEY).combine_chunks()
    found = read_each(column, cells.money.__getitem__, _MONEY)
    _require(found.null_count == 0)
    return found


def _reads_points(cells: CellReader) -> bool:
    try:
        return cells.money["12.50"] == Decimal("12.50")
    except InputError:
        return False


def new_ids(acting: Acting, count: int) -> pa.Array:
    """Return fresh record ids: 60 random bits each, never 0."""
    if acting.is_seeded:
        return pa.array([acting.new_id() for _ in range(count)], pa.int64())
    bits = pa.Array.from_buffers(pa.uint64(), count, [None, pa.py_buffer(random_bytes(8 * count))])
    numbers = pc.shift_right(bits, pa.scalar(4, pa.uint64())).view(pa.int64())
    return pc.if_else(pc.equal(numbers, 0), 1, numbers)


def _require(condition: object) -> None:
    if not condition:
        raise NotPlainError


class Facts:
    """Rows of facts, all of them new: whose they are, by whom and when; `at` is in microseconds."""

    def __init__(self, importing: Import, columns: pa.Table, at: pa.Array) -> None:
        self._importing = importing
        self._at = at
        self._texts, self._codes = distinct(columns.column("client"))
        self._found = [self._known(text) for text in self._texts]
        by = columns.column("by") if "by" in columns.column_names else pa.repeat("", columns.num_rows)
        me, find = importing.acting.by, importing.people.find
        self.by = read_each(by, lambda text: find(text) or me, pa.int64())

    def _known(self, text: str) -> int | None:
        """Return the client that a text means, None for a new one. Raises: NotPlainError."""
        try:
            _require(text)
            found = self._importing.clients.find(text)
            if found is None:
                clean_name(text, "the client")
        except InputError as error:
            raise NotPlainError from error
        return found

    def require_new(self, table: str, key: Sequence[str], cells: Sequence[pa.Array]) -> None:
        """Raise NotPlainError if the store has a record of one of these clients with the same cells under `key`.

        The first column of `key` is the instant.
        """
        stored = self._importing.draft.reader.merged(table, ["client_id", *key])
        known = pa.array([number for number in self._found if number is not None], pa.int64())
        stored = pc.filtered(stored, pc.is_in(stored.column("client_id"), known))
        if not stored.num_rows:
            return
        clients = pc.taken(pa.array(self._found, pa.int64()), self._codes)
        rows = pa.table([clients, *cells], names=["client_id", *key])
        rows = pc.filtered(rows, pc.is_in(rows.column("client_id"), stored.column("client_id").combine_chunks()))
        rows = pc.filtered(rows, pc.is_in(rows.column(key[0]), pc.as_numbers(stored.column(key[0])).combine_chunks()))
        _require(not rows.num_rows or set(cells_of(rows)).isdisjoint(cells_of(stored)))

    def put(self, table: str, columns: dict[str, Any]) -> None:
        """Gather the rows, with what else they hold by column; clients that nobody knows are made."""
        importing, count = self._importing, len(self._codes)
        owners = self._owners()
        shape = TABLES[table]
        whole: dict[str, Any] = {shape.key: new_ids(importing.acting, count)}
        whole |= {"client_id": pc.taken(pa.array(owners, pa.int64()), self._codes), "by_id": self.by} | columns
        whole[shape.time or ""] = self._at.view(_INSTANT)
        cells = [whole.get(field.name, pa.nulls(count, field.type)) for field in shape.schema]
        rows = pa.table(cells, schema=shape.schema)
        books = {owner: importing.clients.book(owner) for owner in owners}
        for book in dict.fromkeys(books.values()):
            ids = pa.array([owner for owner, place in books.items() if place == book], pa.int64())
            its = rows if len(ids) == len(books) else pc.filtered(rows, pc.is_in(rows.column("client_id"), ids))
            importing.columns.append((table, book, its))
        importing.outcome.read += count
        importing.outcome.rows["new"] += count

    def _owners(self) -> list[int]:
        """Return the client of each text, made where there was none; first heard of at the earliest of their rows."""
        first: dict[int, int] = {}
        if None in self._found:
            for code, at in zip(self._codes.to_pylist(), self._at.to_pylist(), strict=True):
                if at < first.get(code, at + 1):
                    first[code] = at
        unknown = self._importing.terms.unknown
        owners = []
        for code, (text, found) in enumerate(zip(self._texts, self._found, strict=True)):
            owner = found
            if owner is None:
                # Another way of writing one that was made a moment ago may be found now.
                owner = self._importing.client(self._importing.clients.find(text), text, first[code])
            owners.append(owner)
        if unknown in self._texts:
            place = self._texts.index(unknown)
            rows = sum(code == place for code in self._codes.to_pylist())
            self._importing.outcome.under_unknown += rows - (self._found[place] is None)
        return owners
