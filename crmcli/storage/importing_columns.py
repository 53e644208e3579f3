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
from crmcli.storage.plain_sheet import coded, distinct, has_few
from crmcli.storage.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from crmcli.model.acting import Acting
    from crmcli.model.importing import Cells as CellReader
    from crmcli.storage.importing import Import

_V = TypeVar("_V")
# What is so long and reads as an instant is a day, or one with hours and minutes, or with seconds too.
_STAMPS = pa.array([len(text) for text in ("2026-03-15", "2026-03-15 10:00", "2026-03-15 10:00:00")], pa.int32())
_AMOUNT = r"^-?[0-9]{1,15}(\.[0-9]{1,2})?$"
_MONEY = pa.decimal128(18, 2)
_INSTANT = pa.timestamp("us")


class NotPlainError(Exception):
    """A row needs to be looked at by itself."""


def read_each(column: pa.ChunkedArray | pa.Array, read: Callable[[Any], _V], kind: pa.DataType) -> pa.Array:
    """Return what the cells of a column mean, each different one read once. Raises: NotPlainError."""
    cells, codes = distinct(column)
    try:
        values = [read(cell) for cell in cells]
    except InputError as error:
        raise NotPlainError from error
    return pc.taken(pa.array(values, kind), codes)


def read_words(column: pa.ChunkedArray | pa.Array, read: Callable[[Any], str | None]) -> pa.DictionaryArray:
    """Return what the cells of a column mean as places in a dictionary. Raises: NotPlainError."""
    found = coded(column)
    words = coded(read_each(found.dictionary, read, pa.string()))
    return pa.DictionaryArray.from_arrays(pc.taken(words.indices, found.indices), words.dictionary)


def instants(column: pa.ChunkedArray, cells: CellReader) -> pa.Array:
    """Return the instants in a column, none of which is empty or in the future. Raises: NotPlainError."""
    if has_few(column):
        at = read_each(column, cells.instants.__getitem__, pa.int64())
    else:
        texts = column if _are_stamps(column) else pc.trimmed(column)
        require(cells.form is None and _are_stamps(texts))
        try:
            at = pc.whole(pc.as_numbers(pc.in_zone(pc.cast_to(texts, _INSTANT), cells.zone.key)))
        except pa.ArrowException as error:
            # Such as an hour that comes twice, or not at all, when clocks are set.
            raise NotPlainError from error
        require(pc.min_max(at)["min"].as_py() > 0)
    ends = pc.min_max(at).as_py()
    require(at.null_count == 0 and ends["max"] <= cells.latest)
    return at


def _are_stamps(texts: pa.ChunkedArray) -> bool:
    return pc.all_true(pc.is_in(pc.binary_length(texts), _STAMPS))


def amounts(column: pa.ChunkedArray, cells: CellReader) -> pa.Array:
    """Return the amounts in a column, none of which is empty. Raises: NotPlainError."""
    if not has_few(column) and _reads_points(cells) and pc.all_true(pc.matches(column, _AMOUNT)):
        return pc.whole(pc.cast_to(column, _MONEY))
    found = read_each(column, cells.money.__getitem__, _MONEY)
    require(found.null_count == 0)
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


def require(condition: object) -> None:
    """Raise NotPlainError unless a condition holds."""
    if not condition:
        raise NotPlainError


class Facts:
    """Rows of facts, all of them new: whose they are, by whom and when.

    `clients` are the coded texts of `client`, `at` is in microseconds.
    """

    def __init__(self, importing: Import, columns: pa.Table, clients: pa.DictionaryArray, at: pa.Array) -> None:
        self._importing = importing
        self._at = at
        self._texts, self._codes = clients.dictionary, clients.indices
        self._found = self._known()
        by = columns.column("by") if "by" in columns.column_names else pa.repeat("", columns.num_rows)
        me, find = importing.acting.by, importing.people.find
        self.by = read_each(by, lambda text: find(text) or me, pa.int64())

    def _known(self) -> pa.Array:
        """Return the client that each text means, null for a new one. Raises: NotPlainError."""
        clients = self._importing.clients
        found = clients.numbered(self._texts)
        if not found.null_count:
            return found
        others = [self._client(text) for text in pc.filtered(self._texts, pc.is_null(found)).to_pylist()]
        return pc.replaced(found, pc.is_null(found), pa.array(others, pa.int64()))

    def _client(self, text: str) -> int | None:
        try:
            require(text)
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
        stored = pc.filtered(stored, pc.is_in(stored.column("client_id"), self._found))
        if not stored.num_rows:
            return
        clients = pc.taken(self._found, self._codes)
        rows = pa.table([clients, *cells], names=["client_id", *key])
        rows = pc.filtered(rows, pc.is_in(rows.column("client_id"), stored.column("client_id").combine_chunks()))
        rows = pc.filtered(rows, pc.is_in(rows.column(key[0]), pc.as_numbers(stored.column(key[0])).combine_chunks()))
        require(not rows.num_rows or set(cells_of(rows)).isdisjoint(cells_of(stored)))

    def put(self, table: str, columns: dict[str, Any]) -> None:
        """Gather the rows, with what else they hold by column; clients that nobody knows are made."""
        importing, count = self._importing, len(self._codes)
        shape = TABLES[table]
        cells: dict[str, Any] = {
            shape.key: new_ids(importing.acting, count),
            "client_id": pc.taken(self._owners(), self._codes),
            "by_id": self.by,
            shape.time or "": self._at.view(_INSTANT),
        }
        importing.put_columns(table, cells | columns)
        importing.outcome.read += count
        importing.outcome.rows["new"] += count

    def _owners(self) -> pa.Array:
        """Return the client of each text, made where there was none; first heard of at the earliest of their rows."""
        importing, owners = self._importing, self._found
        unknown = pc.index_in(pa.array([importing.terms.unknown], pa.string()), self._texts)[0].as_py()
        if unknown is not None:
            rows = pc.count_true(pc.equal(self._codes, unknown))
            importing.outcome.under_unknown += rows - (not owners[unknown].is_valid)
        if not owners.null_count:
            return owners
        is_new = pc.is_null(owners)
        rows = pa.table({"code": self._codes, "at": self._at})
        rows = pc.sorted_by(pc.filtered(rows, pc.taken(is_new, self._codes)), "at")
        # The last that is put under a code stays: the earliest.
        first = dict(zip(rows.column("code").to_pylist()[::-1], rows.column("at").to_pylist()[::-1], strict=True))
        made = []
        for code in sorted(first):
            text = self._texts[code].as_py()
            # Another way of writing one that was made a moment ago may be found now.
            made.append(importing.client(importing.clients.find(text), text, first[code]))
        return pc.replaced(owners, is_new, pa.array(made, pa.int64()))
