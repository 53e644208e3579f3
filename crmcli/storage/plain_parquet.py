"""Rows as a plain Parquet file, for programs that compute with them; made in memory, with no key."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence

_TYPES: dict[type, Any] = {
    bool: pa.bool_(),
    int: pa.int64(),
    str: pa.string(),
    Decimal: pa.decimal128(18, 3),
    datetime: pa.timestamp("us", "UTC"),
    date: pa.date32(),
}


def plain_parquet(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    """Return rows as Parquet: instants in UTC, decimals with three places, a column without values as text."""
    import pyarrow.parquet as pq

    turned = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    arrays = []
    for cells in turned:
        kind = next((type(cell) for cell in cells if cell is not None), str)
        values = [cell.astimezone(UTC) if isinstance(cell, datetime) else cell for cell in cells]
        arrays.append(pa.array(values, _TYPES[kind]))
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(arrays, names=list(columns)), sink, compression="zstd")
    return bytes(sink.getvalue())
