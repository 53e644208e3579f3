"""The import of plain facts in columns: rows of new records that need no weighing, one against the other.

It takes a file whole or not at all; what it does not take goes row by row, with the same outcome.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa

from crmcli.errors import InputError
from crmcli.model.acting import clean_name
from crmcli.storage import kernels as pc
from crmcli.storage.keys import random_bytes
from crmcli.storage.matching import cells_of
from crmcli.storage.plain_sheet import coded, distinct, has_few
from crmcli.storage.tables import TABLES
from crmcli.storage.together import side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from zoneinfo import ZoneInfo

    from crmcli.model.acting import Acting
    from crmcli.model.importing import Cells as CellReader
    from crmcli.storage.importing import Import

_V = TypeVar("_V")
# What is so long and reads as an instant is a day, or one with hours and minutes, or with seconds too.
_STAMPS = pa.array([len(text) for text in ("2026-03-15", "2026-03-15 10:00", "2026-03-15 10:00:00")], pa.int32())
# What Arrow reads as a number of nothing else has its minus, if any, at the beginning, and one point at most.
_OF_AMOUNTS = "-.0123456789"
# The point and what stands behind it.
_CENTS = pa.array([len(text) for text in (".5", ".50")], pa.int32())
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a local midnight
DAY = 86_400_000_000
# Days since 1970 after which no row is one of today's business.
_MOST_DAYS = 40_000
_MONEY = pa.decimal128(18, 2)
# More rows than this are worth two threads.
_FEW = 1 << 16
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
            at = _in_zone(pc.whole(pc.cast_to(texts, _INSTANT)), cells.zone)
        except pa.ArrowException as error:
            # Such as an hour that comes twice, or not at all, when clocks are set.
            raise NotPlainError from error
        require(pc.min_max(at)["min"].as_py() > 0)
    ends = pc.min_max(at).as_py()
    require(at.null_count == 0 and ends["max"] <= cells.latest)
    return at


def _in_zone(local: pa.Array, zone: ZoneInfo) -> pa.Array:
    """Return the instants of local times: by the day, one by one only where clocks are set.

    Raises: pa.ArrowException for an hour that comes twice or not at all.
    """
    numbers = local.view(pa.int64())
    first, last = (end // DAY for end in pc.min_max(numbers).as_py().values())
    if first < 0 or last > _MOST_DAYS:
        return pc.in_zone(local, zone.key).view(pa.int64())
    offsets = pa.array(_offsets(first, last, zone), pa.int64())
    at = pc.subtract(numbers, pc.taken(offsets, pc.subtract(pc.divide(numbers, DAY), first)))
    if at.null_count:
        odd = pc.is_null(at)
        at = pc.replaced(at, odd, pc.in_zone(pc.filtered(local, odd), zone.key).view(pa.int64()))
    return at


def _offsets(first: int, last: int, zone: ZoneInfo) -> list[int | None]:
    """Return how far ahead of UTC a zone is on days since 1970, in microseconds; None where clocks may be set."""
    midnights = (_EPOCH + timedelta(day) for day in range(first - 1, last + 3))
    ahead = [(zone.utcoffset(midnight) or timedelta()) // timedelta(microseconds=1) for midnight in midnights]
    around = zip(ahead, ahead[1:], ahead[2:], ahead[3:], strict=False)
    return [offset if before == offset == after == later else None for before, offset, after, later in around]


def _are_stamps(texts: pa.ChunkedArray) -> bool:
    return pc.all_true(pc.is_in(pc.binary_length(texts), _STAMPS))


def amounts(column: pa.ChunkedArray, cells: CellReader) -> pa.Array:
    """Return the amounts in a column, none of which is empty. Raises: NotPlainError."""
    if not has_few(column) and _reads_points(cells) and _are_points(column):
        try:
            return pc.whole(pc.cast_to(column, _MONEY))
        except pa.ArrowException as error:
            raise NotPlainError from error
    found = read_each(column, cells.money.__getitem__, _MONEY)
    require(found.null_count == 0)
    return found


def _are_points(texts: pa.ChunkedArray) -> bool:
    """Say whether texts are digits with one or two decimals, or none, whatever else Arrow reads as a number."""
    if pc.longest(pc.stripped(texts, _OF_AMOUNTS)):
        return False
    point = pc.found_at(texts, ".")
    rest = pc.subtract(pc.binary_length(texts), point)
    return pc.all_true(pc.or_(pc.equal(point, -1), pc.is_in(rest, _CENTS)))


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
    return numbers if pc.min_max(numbers)["min"].as_py() else pc.if_else(pc.equal(numbers, 0), 1, numbers)


def halves(count: int, rows: int) -> list[tuple[int, int]]:
    """Return two spans of what the rows belong to, for two threads; one if it is little or nothing."""
    middle = count // 2 if rows > _FEW else count
    return [(start, end) for start, end in ((0, middle), (middle, count)) if start < end]


def require(condition: object) -> None:
    """Raise NotPlainError unless a condition holds."""
    if not condition:
        raise NotPlainError


class Facts:
    """Rows of facts, all of them new, as the cells of a table by column.

    `columns` are texts; `reading` tells how what each row holds is read, but for whose it is and by whom. Instants are
    in microseconds.
    """

    def __init__(
        self, importing: Import, table: str, columns: pa.Table, reading: Mapping[str, Callable[[], pa.Array]]
    ) -> None:
        self._importing = importing
        self._table = TABLES[table]
        clients = importing.clients
        # The store is read by one of these alone.
        whose, *cells, numbers, self._ids = side_by_side(
            lambda: coded(columns.column("client")),
            *reading.values(),
            clients.external_numbers,
            lambda: new_ids(importing.acting, columns.num_rows),
        )
        self.cells: dict[str, pa.Array] = dict(zip(reading, cells, strict=True))
        self._texts, self._codes = whose.dictionary, whose.indices
        self._by = columns.column("by") if "by" in columns.column_names else None
        self._found = self._known(clients.numbered(self._texts, numbers))

    def _known(self, found: pa.Array) -> pa.Array:
        """Return the client that each text means, null for a new one. Raises: NotPlainError."""
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

    def require_new(self, *key: str) -> None:
        """Raise NotPlainError if the store has a record of one of these clients with the same cells under `key`.

        The first column of `key` is the instant.
        """
        table = self._table
        stored = self._importing.draft.reader.merged(table.name, ["client_id", *key])
        if stored.num_rows:
            stored = pc.filtered(stored, pc.is_in(stored.column("client_id"), self._found))
        if not stored.num_rows:
            return
        clients = pc.taken(self._found, self._codes)
        cells = [self.cells.get(name, pa.nulls(len(clients), table.schema.field(name).type)) for name in key]
        rows = pa.table([clients, *cells], names=["client_id", *key])
        rows = pc.filtered(rows, pc.is_in(rows.column("client_id"), stored.column("client_id").combine_chunks()))
        rows = pc.filtered(rows, pc.is_in(rows.column(key[0]), pc.as_numbers(stored.column(key[0])).combine_chunks()))
        require(not rows.num_rows or set(cells_of(rows)).isdisjoint(cells_of(stored)))

    def put(self, **same: Any) -> None:
        """Gather the rows client by client, with what they all hold; people and clients that nobody knows are made.

        Raises: NotPlainError if somebody has to be looked at.
        """
        importing, me, find = self._importing, self._importing.acting.by, self._importing.people.find
        if self._by is None:
            same["by_id"] = me
        else:
            # Last of what may fail, for it makes people.
            self.cells["by_id"] = read_each(self._by, lambda text: find(text) or me, pa.int64())
        owners = self._owners()
        # What sorts an order tells where each has gone.
        rank = pc.order_of_places(pc.order(owners), len(owners))
        ranks = pc.taken(pc.cast_to(rank, pa.int32()), self._codes)
        parts = side_by_side(*(partial(self._part, owners, ranks, *span) for span in halves(len(rank), len(ranks))))
        for cells in parts:
            importing.put_columns(self._table.name, cells, same=same)
            importing.outcome.rows["new"] += len(cells["client_id"])
        importing.outcome.read += len(ranks)

    def _part(self, owners: pa.Array, ranks: pa.Array, start: int, end: int) -> dict[str, pa.Array]:
        """Return the cells of the rows of some clients, client by client, those of a client as they come."""
        order = pc.order_between(ranks, start, end)
        cells = {name: pc.taken(column, order) for name, column in self.cells.items()}
        time = self._table.time or ""
        cells[time] = cells[time].view(_INSTANT)
        client = pc.taken(owners, pc.taken(self._codes, order))
        return {self._table.key: pc.taken(self._ids, order), "client_id": client} | cells

    def _owners(self) -> pa.Array:
        """Return the client of each text, made where there was none; first heard of at the earliest of their rows."""
        importing, owners = self._importing, self._found
        if importing.terms.unknown:
            place = pc.index_in(pa.array([importing.terms.unknown]), self._texts)[0].as_py()
            if place is not None:
                rows = pc.count_true(pc.equal(self._codes, place))
                importing.outcome.under_unknown += rows - (not owners[place].is_valid)
        if not owners.null_count:
            return owners
        is_new = pc.is_null(owners)
        rows = pa.table({"code": self._codes, "at": self.cells[self._table.time or ""]})
        rows = pc.sorted_by(pc.filtered(rows, pc.taken(is_new, self._codes)), "at")
        # The last that is put under a code stays: the earliest.
        first = dict(zip(rows.column("code").to_pylist()[::-1], rows.column("at").to_pylist()[::-1], strict=True))
        made = []
        for code in sorted(first):
            text = self._texts[code].as_py()
            # Another way of writing one that was made a moment ago may be found now.
            made.append(importing.client(importing.clients.find(text), text, first[code]))
        return pc.replaced(owners, is_new, pa.array(made, pa.int64()))
