"""Encrypted Parquet: rows to the bytes of one file and back, the errors of the engine mapped to ours.

The engine's own reader and writer are used, without `pyarrow.parquet` around them: importing that brings in every
remote file system and takes longer than reading a small table.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from importlib import import_module
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow._parquet import ParquetReader, ParquetWriter

from crmcli.errors import DamagedError
from crmcli.model.ids import BITS
from crmcli.storage import kernels, limits
from crmcli.storage.tables import COMPANY, DELETED, SEQ

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from crmcli.storage.tables import Table


def _import_encryption() -> Any:
    """Import the engine's encryption without the remote file systems, and the TLS, that come with it.

    Nothing here uses them, and they take as long to load as a commit takes to write. What stands in for them is gone
    when the import is through; who wants remote file systems imports `pyarrow.fs` before a store is opened.
    """
    absent: dict[str, dict[str, Any]] = {
        "pyarrow.fs": {"_resolve_filesystem_and_path": None},
        "ssl": {"get_default_verify_paths": lambda: SimpleNamespace(cafile=None, capath=None)},
    }
    stand_ins = {name: parts for name, parts in absent.items() if name not in sys.modules}
    for name, parts in stand_ins.items():
        sys.modules[name] = ModuleType(name)
        vars(sys.modules[name]).update(parts)
    try:
        return import_module("pyarrow._parquet_encryption")
    finally:
        for name in stand_ins:
            del sys.modules[name]


_encryption = _import_encryption()
# For columns, the system's allocator gives memory back and takes it anew all the time.
if "jemalloc" in pa.supported_memory_backends():
    pa.set_memory_pool(pa.jemalloc_memory_pool())
# Table and kind -> what was found in a file and is as it must be: mostly the same in the next.
_sound: dict[tuple[str, str], list[pa.Schema]] = {}
_EXTRA = {SEQ: pa.field(SEQ, pa.int64()), DELETED: pa.field(DELETED, pa.bool_())}
BULK = 1000
QUARANTINE = "crmcli doctor --quarantine"
# A column of few distinct values as its dictionary and each row's place in it.
CODED = pa.dictionary(pa.int32(), pa.string())
# Decimals of 18 digits fit into 8 bytes, as the engine holds them.
NARROW = {pa.decimal128(18, places): pa.decimal64(18, places) for places in (2, 3)}
# A file may unpack to this many bytes, or to so many times its size; writers see to it that it does.
UNPACKED = 1 << 26
MOST_PACKED = 100
# The years 2 to 9998 in days and in microseconds, so that no time zone leads out of the calendar.
_CALENDAR = {"date32[day]": (-718_797, 2_932_531), "timestamp[us]": (-62_104_060_800_000_000, 253_370_764_799_999_999)}


def encode(table: Table, rows: pa.Table, key: bytes, aad: bytes) -> bytes:
    """Return rows as an encrypted Parquet file: small ones plain, large ones sorted, with dictionaries and zstd."""
    encryption = _encryption.create_encryption_properties(key, aad_prefix=aad, store_aad_prefix=False)
    options: dict[str, Any] = {"version": "2.6", "data_page_version": "1.0", "writer_engine_version": "V2"}
    if rows.num_rows < BULK:
        options |= {"compression": "none", "use_dictionary": False, "write_statistics": False}
    else:
        rows = _in_order(rows, [name for name in table.order if name in rows.column_names])
        statistics = [name for name in (*table.order, SEQ) if name in rows.column_names]
        options |= {"compression": "zstd", "use_dictionary": table.values, "write_statistics": statistics}
    content = _written(rows, encryption, options, table.row_group)
    unpacked = max(rows.nbytes * 2 + limits.words(rows), rows.num_rows * rows.num_columns * limits.CELL)
    if unpacked > _most(len(content)):
        plain = options | {"compression": "none", "use_dictionary": False}
        content = _written(rows, encryption, plain, table.row_group)
    return content


def _in_order(rows: pa.Table, order: list[str]) -> pa.Table:
    """Return rows in order; those that come client by client stay as they are."""
    first = kernels.whole(rows.column(order[0]))
    is_sorted = order[0] == "client_id" and kernels.is_ascending(first)
    return rows if is_sorted else kernels.sorted_by(rows, *order)


def _most(size: int) -> int:
    """Return how many bytes a file of that size may unpack to."""
    return max(UNPACKED, size * MOST_PACKED)


def _written(rows: pa.Table, encryption: Any, options: dict[str, Any], group: int) -> bytes:
    sink = pa.BufferOutputStream()
    writer = ParquetWriter(
        sink,
        rows.schema,
        store_schema=False,
        use_compliant_nested_type=True,
        encryption_properties=encryption,
        **options,
    )
    writer.write_table(rows, row_group_size=group)
    writer.close()
    content: bytes = sink.getvalue().to_pybytes()
    return content


def check_columns(table: Table, kind: str, schema: pa.Schema, *, name: str) -> None:
    """Raise DamagedError naming `name` unless a file of that kind has the columns and types it must have."""
    if any(schema.equals(known) for known in _sound.get((table.name, kind), ())):
        return
    own = [table.key] if kind == "delete" else table.schema.names
    needed = {*own, SEQ, DELETED} if kind == "history" else set(own)
    allowed = needed | {SEQ}
    if not needed <= set(schema.names) <= allowed or len(set(schema.names)) != len(schema.names):
        raise unreadable(name)
    if not all(_same(field.type, field_of(table, field.name).type) for field in schema):
        raise unreadable(name)
    _sound.setdefault((table.name, kind), []).append(schema)


def _same(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Say whether two types are the same, whatever the elements of a list are called and whether texts are coded."""
    if found == CODED:
        return bool(pa.types.is_string(wanted))
    if pa.types.is_list(wanted):
        return pa.types.is_list(found) and bool(found.value_type == wanted.value_type)
    return bool(found == wanted)


def field_of(table: Table, column: str) -> pa.Field:
    """Return the field of a column that a file of the table may have. Raises: KeyError."""
    return _EXTRA.get(column) or table.schema.field(column)


def schema_of(table: Table, columns: Sequence[str], *, coded: bool = False) -> pa.Schema:
    """Return the schema of columns that a file of the table may have, those of few values coded. Raises: KeyError."""
    return pa.schema(
        [pa.field(c, CODED) if coded and c in table.values else field_of(table, c) for c in columns],
    )


def engine_schema(table: Table, columns: Sequence[str]) -> pa.Schema:
    """Return the schema in which rows go to the engine: those of few values coded, money in half the room."""
    schema = schema_of(table, columns, coded=True)
    return pa.schema([pa.field(f.name, NARROW.get(f.type, f.type)) for f in schema])


def open_file(
    source: Path | bytes, key: bytes, aad: bytes, *, name: str, dictionaries: Sequence[str] = ()
) -> ParquetReader:
    """Open an encrypted file, from its path or from its bytes. Raises: DamagedError naming `name`."""
    reader = ParquetReader()
    try:
        if not limits.footer_fits(source):
            raise unreadable(name)
        reader.open(
            pa.BufferReader(source) if isinstance(source, bytes) else pa.OSFile(str(source), "rb"),
            decryption_properties=_encryption.create_decryption_properties(key, aad_prefix=aad),
            # Else what was read of a file stays in memory, as it was read, while the file is open.
            pre_buffer=False,
            read_dictionary=list(dictionaries) or None,
            **limits.THRIFT,
        )
    except (OSError, ValueError, pa.ArrowException) as error:
        raise unreadable(name) from error
    return reader


def check_size(file: ParquetReader, table: Table, rows: int, size: int, *, name: str) -> None:
    """Raise DamagedError unless a file has the rows that were signed and unpacks to no more than it may."""
    listed = table.values if rows >= BULK else ()
    if not limits.fits(file.metadata, rows, _most(size), listed, has_lists=table.has_lists):
        raise unreadable(name)


def check_words(rows: pa.Table, size: int, *, name: str) -> None:
    """Raise DamagedError if the listed texts of a file of that size come to more than they may."""
    if not limits.words_fit(rows, _most(size)):
        raise unreadable(name)


def check_values(table: Table, kind: str, rows: pa.Table, *, name: str) -> None:
    """Raise DamagedError for texts, times and ids that cannot be, and for nothing where something must be."""
    for column in rows.column_names:
        cells = rows.column(column)
        if kind in ("insert", "upsert") and column in table.required and cells.null_count:
            raise unreadable(name)
        try:
            if cells.type == CODED or pa.types.is_string(cells.type) or pa.types.is_list(cells.type):
                cells.validate(full=True)
                is_document = table.group == COMPANY and column == "text"
                if limits.longest(cells) > (limits.DOCUMENT if is_document else limits.TEXT):
                    raise unreadable(name)
            elif pa.types.is_temporal(cells.type) and len(cells) > cells.null_count:
                ends = kernels.min_max(kernels.as_numbers(cells)).as_py()
                low, high = _CALENDAR[str(cells.type)]
                if not low <= ends["min"] <= ends["max"] <= high:
                    raise unreadable(name)
            elif column in table.ids and len(cells) > cells.null_count:
                ends = kernels.min_max(cells).as_py()
                if not 0 < ends["min"] <= ends["max"] < 1 << BITS:
                    raise unreadable(name)
        except pa.ArrowException as error:
            raise unreadable(name) from error


def read(
    file: ParquetReader, columns: Sequence[str], *, name: str, where: tuple[str, Sequence[int]] | None = None
) -> pa.Table:
    """Return the columns of the row groups that may hold one of the ids in `where`, a pair (column, ids).

    Raises: DamagedError if it cannot be decrypted.
    """
    metadata = file.metadata
    groups = list(range(metadata.num_row_groups))
    try:
        if where is not None and len(groups) > 1:
            column, ids = where[0], sorted(where[1])
            groups = [group for group in groups if _may_hold(metadata.row_group(group), column, ids)]
        leaves = None if len(columns) == len(file.schema_arrow) else _leaves(metadata, columns)
        return file.read_row_groups(groups, column_indices=leaves, use_threads=metadata.num_rows >= BULK)
    except (OSError, ValueError, TypeError, pa.ArrowException) as error:
        raise unreadable(name) from error


def _leaves(metadata: Any, columns: Sequence[str]) -> list[int]:
    """Return the places of the leaves of columns; a list has one, at a path below its own."""
    paths = (metadata.schema.column(place).path for place in range(metadata.num_columns))
    return [place for place, path in enumerate(paths) if path.split(".")[0] in columns]


def _may_hold(group: Any, column: str, ids: Sequence[int]) -> bool:
    """Say whether a row group may have one of the ids, which are in order."""
    for index in range(group.num_columns):
        chunk = group.column(index)
        if chunk.path_in_schema == column and chunk.is_stats_set:
            statistics = chunk.statistics
            if statistics.has_min_max:
                place = bisect_left(ids, statistics.min)
                return place < len(ids) and ids[place] <= statistics.max
    return True


def unreadable(name: str) -> DamagedError:
    """Return the error for a file that has the bytes that were signed, which are none that a member may sign."""
    return DamagedError(f"{name} is damaged", f"it was signed like that: an admin can run {QUARANTINE} {name}")


def changed(name: str) -> DamagedError:
    """Return the error for a file that has not the bytes that were signed."""
    return DamagedError(f"{name} is damaged", "crmcli verify shows what else is; restore it from a backup")
