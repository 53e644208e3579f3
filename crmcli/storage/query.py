"""Queries: the .sql files of `sql/`, run by a DuckDB that sees registered tables and nothing else."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from crmcli.errors import CrmError
from crmcli.storage.counting import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import duckdb
    import pyarrow as pa

    from crmcli.storage.reading import Reader

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
    sources = {table: counted(reader, table, columns, coded=True) for table, columns in tables.items()}
    warm.join()
    connection = sealed()
    try:
        for table, rows in (sources | dict(extra or {})).items():
            connection.register(table, rows)
        return connection.sql(statement, params=dict(parameters)).to_arrow_table()
    except MemoryError:
        raise
    except Exception as error:
        # What the engine says quotes values, so it is not passed on.
        raise CrmError(f"the report {name} failed in the engine: {type(error).__name__}") from error
    finally:
        connection.close()
