"""Encrypted Parquet: rows to the bytes of one file and back, the errors of the engine mapped to ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe

from crmcli.errors import DamagedError
from crmcli.storage.tables import DELETED, SEQ

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from crmcli.storage.tables import Table

BULK = 1000
ROW_GROUP = 1 << 16


def encode(table: Table, rows: pa.Table, key: bytes, aad: bytes) -> bytes:
    """Return rows as an encrypted Parquet file: small ones plain, large ones sorted, with dictionaries and zstd."""
    encryption = pe.create_encryption_properties(key, aad_prefix=aad, store_aad_prefix=False)
    sink = pa.BufferOutputStream()
    options: dict[str, Any]
    if rows.num_rows < BULK:
        options = {"compression": "none", "use_dictionary": False, "write_statistics": False}
    else:
        rows = rows.sort_by([(name, "ascending") for name in table.order if name in rows.column_names])
        statistics = [name for name in (*table.order, SEQ) if name in rows.column_names]
        options = {"compression": "zstd", "use_dictionary": table.values, "write_statistics": statistics}
    with pq.ParquetWriter(sink, rows.schema, store_schema=False, encryption_properties=encryption, **options) as writer:
        writer.write_table(rows, row_group_size=ROW_GROUP)
    return sink.getvalue().to_pybytes()


def file_schema(table: Table, kind: str, names: Sequence[str]) -> pa.Schema:
    """Return the schema that a file of that kind and those columns must have. Raises: DamagedError."""
    extra = [pa.field(SEQ, pa.int64()), pa.field(DELETED, pa.bool_())]
    own = [table.schema.field(table.key)] if kind == "delete" else list(table.schema)
    known = {field.name: field for field in (*own, *extra)}
    if not set(names) <= set(known):
        raise DamagedError(f"a file of {table.name} has columns that the table has not")
    return pa.schema([known[name] for name in names])


def open_file(
    source: Path | bytes, key: bytes, aad: bytes, *, name: str, dictionaries: Sequence[str] = ()
) -> pq.ParquetFile:
    """Open an encrypted file, from its path or from its bytes. Raises: DamagedError naming `name`."""
    decryption = pe.create_decryption_properties(key, aad_prefix=aad)
    try:
        return pq.ParquetFile(
            pa.BufferReader(source) if isinstance(source, bytes) else pa.OSFile(str(source), "rb"),
            decryption_properties=decryption,
            read_dictionary=list(dictionaries) or None,
        )
    except (OSError, ValueError, pa.ArrowException) as error:
        raise unreadable(name) from error


def read(
    file: pq.ParquetFile,
    columns: Sequence[str] | None,
    *,
    name: str,
    rows: int,
    where: tuple[str, Sequence[int]] | None = None,
) -> pa.Table:
    """Return the columns of the row groups that may hold one of the ids in `where`, a pair (column, ids).

    Raises: DamagedError if it cannot be decrypted or has not the number of rows that was signed.
    """
    metadata = file.metadata
    if metadata.num_rows != rows:
        raise unreadable(name)
    groups = list(range(metadata.num_row_groups))
    if where is not None and len(groups) > 1:
        groups = [group for group in groups if _may_hold(metadata.row_group(group), *where)]
    try:
        return file.read_row_groups(groups, columns=list(columns) if columns is not None else None, use_threads=False)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise unreadable(name) from error


def _may_hold(group: Any, column: str, ids: Sequence[int]) -> bool:
    for index in range(group.num_columns):
        chunk = group.column(index)
        if chunk.path_in_schema == column and chunk.is_stats_set and chunk.statistics.has_min_max:
            return any(chunk.statistics.min <= wanted <= chunk.statistics.max for wanted in ids)
    return True


def unreadable(name: str) -> DamagedError:
    """Return the error for a file whose content is not what its commit promised."""
    return DamagedError(f"{name} is damaged", "crmcli verify shows what else is; restore it from a backup")
