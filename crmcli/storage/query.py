"""Queries: the .sql files of `sql/`, run by a DuckDB that sees registered tables and nothing else."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from crmcli.errors import CrmError
from crmcli.storage import kernels, upgrade
from crmcli.storage.reading import SMALL
from crmcli.storage.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import duckdb

    from crmcli.storage.log import FileEntry
    from crmcli.storage.reading import Reader
    from crmcli.storage.tables import Table

_FOLDER = Path(__file__).with_name("sql")
_SEAL = (
    "SET temp_directory=''",
    "SET TimeZone='UTC'",
    "SET autoinstall_known_extensions=false",
    "SET autoload_known_extensions=false",
    "SET python_enable_replacements=false",
    "SET enable_external_access=false",
    "SET lock_configuration=true",
)


def sealed() -> duckdb.DuckDBPyConnection:
    """Return a connection that opens no file, loads no extension, spills nothing and cannot be told otherwise."""
    import duckdb

    connection = duckdb.connect()
    for statement in _SEAL:
        connection.execute(statement)
    return connection


def run(
    reader: Reader,
    name: str,
    tables: Mapping[str, Sequence[str]],
    parameters: Mapping[str, object],
    extra: Mapping[str, pa.Table] | None = None,
) -> pa.Table:
    """Return the result of `sql/<name>.sql` over the columns of tables that it reads and over `extra` tables."""
    statement = (_FOLDER / f"{name}.sql").read_text(encoding="utf-8")
    # Importing the engine takes as long as decoding a table: do both at once.
    warm = threading.Thread(target=__import__, args=("duckdb",))
    warm.start()
    views = {table: _View(reader, TABLES[table], columns) for table, columns in tables.items()}
    warm.join()
    connection = sealed()
    try:
        for table, view in views.items():
            view.register(connection, table)
        for table, rows in (extra or {}).items():
            connection.register(table, rows)
        return connection.sql(statement, params=dict(parameters)).to_arrow_table()
    except MemoryError:
        raise
    except Exception as error:
        # What the engine says quotes values, so it is not passed on.
        raise CrmError(f"the report {name} failed in the engine: {type(error).__name__}") from error
    finally:
        connection.close()


class _View:
    """Some columns of a table: large insert files streamed where they lie, the rest in memory."""

    def __init__(self, reader: Reader, table: Table, columns: Sequence[str]) -> None:
        self.table = table
        self.columns = list(columns)
        needed = list(dict.fromkeys((*columns, table.key)))
        self.schema = pa.schema(
            [
                pa.field(name, pa.dictionary(pa.int32(), pa.string()))
                if name in table.values
                else table.schema.field(name)
                for name in needed
            ]
        )
        # Large files of one book, and the keys that newer versions or deletions in that book hide.
        self.streams: list[tuple[list[Any], pa.Table]] = []
        pieces = [self.schema.empty_table()]
        for entries in reader.parts(table).values():
            large = [entry for entry in entries if entry.kind == "insert" and _streams(entry)]
            small = [entry for entry in entries if entry not in large]
            base, overlay = reader.layers(table, small, needed, None)
            pieces += [kernels.cast(piece.select(needed), self.schema) for piece in (*base, overlay) if piece.num_rows]
            if large:
                hidden = reader.changes(table, (e for e in small if e.kind != "insert"), [table.key]).select(
                    [table.key]
                )
                self.streams.append(([_dataset(reader, entry, self.schema, table) for entry in large], hidden))
        self.memory = pa.concat_tables(pieces).unify_dictionaries()

    def register(self, connection: duckdb.DuckDBPyConnection, name: str) -> None:
        """Make the rows a view of that name."""
        names = ", ".join(self.columns)
        if not self.streams:
            connection.register(name, self.memory.select(self.columns))
            return
        import pyarrow.dataset as ds

        # Names of tables and columns are ours, from `tables.py`; nothing a user typed is in these texts.
        key = self.table.key
        connection.register(f"_{name}", self.memory)
        parts = [f"SELECT {names} FROM _{name}"]  # noqa: S608
        for place, (datasets, hidden) in enumerate(self.streams):
            connection.register(f"_{name}_{place}", ds.dataset(datasets, schema=self.schema))
            part = f"SELECT {names} FROM _{name}_{place}"  # noqa: S608
            if hidden.num_rows:
                connection.register(f"_{name}_{place}_hidden", hidden)
                part += f" WHERE {key} NOT IN (SELECT {key} FROM _{name}_{place}_hidden WHERE {key} IS NOT NULL)"  # noqa: S608
            parts.append(part)
        connection.execute(f"CREATE TEMP VIEW {name} AS {' UNION ALL '.join(parts)}")


def _streams(entry: FileEntry) -> bool:
    return entry.bytes > SMALL and entry.schema == upgrade.SCHEMA


def _dataset(reader: Reader, entry: FileEntry, schema: pa.Schema, table: Table) -> Any:
    import pyarrow.dataset as ds
    import pyarrow.parquet.encryption as pe

    reader.open(entry)
    key, aad = reader.keyring.file_keys(entry)
    scan = ds.ParquetFragmentScanOptions(
        decryption_properties=pe.create_decryption_properties(key, aad_prefix=aad), pre_buffer=False
    )
    columns = [name for name in schema.names if name in table.values]
    layout = ds.ParquetFileFormat(default_fragment_scan_options=scan, dictionary_columns=columns)
    return ds.dataset(str(reader.path(entry.file_id)), format=layout, schema=schema)
