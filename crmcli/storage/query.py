"""Queries: the .sql files of `sql/`, run by a DuckDB that sees registered tables and nothing else."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import closing
from pathlib import Path
from queue import Queue
from typing import TYPE_CHECKING, Any

from crmcli.errors import CrmError
from crmcli.storage import kernels, parquet
from crmcli.storage.counting import counted
from crmcli.storage.tables import TABLES
from crmcli.storage.together import at_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import duckdb
    import pyarrow as pa

    from crmcli.storage.reading import Reader

FOLDER = Path(__file__).with_name("sql")
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


# Tables that every statement reads once at most: they are read while it runs, and never whole in memory.
READ_ONCE = {"stage_changes"}
# So many pieces of such a table are read before the engine asks for them.
_AHEAD = 4


class Stream:
    """A table on its way to the engine, once: its pieces are read ahead, and gone when they have been used.

    `failure` is what went wrong in reading them; the engine passes on but its text.
    """

    def __init__(self, reader: Reader, table: str, columns: Sequence[str]) -> None:
        self.schema = parquet.engine_schema(TABLES[table], columns)
        self.most_rows = reader.most_rows(table)
        self.failure: BaseException | None = None
        self._pieces: Queue[pa.Table | None] = Queue(_AHEAD)
        threading.Thread(target=self._read, args=(reader.stream(table, columns),), daemon=True).start()

    def _read(self, pieces: Iterator[pa.Table]) -> None:
        try:
            for piece in pieces:
                self._pieces.put(piece)
        except BaseException as error:  # noqa: BLE001 - raised again where the rows are asked for
            self.failure = error
        finally:
            self._pieces.put(None)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows. Raises: what went wrong in reading them."""
        while (piece := self._pieces.get()) is not None:
            yield from piece.to_batches()
        # Whoever asks again is told the same.
        self._pieces.put(None)
        if self.failure is not None:
            raise self.failure

    def check(self) -> None:
        """Read what the engine had no need of. Raises: what went wrong."""
        deque(self.batches(), maxlen=0)

    def register(self, connection: duckdb.DuckDBPyConnection, name: str) -> None:
        """Let the engine read it under a name, and know about how many rows come, by which it plans."""
        import pyarrow as pa
        from duckdb._sources import ArrowScanSource

        stream = self

        class Source(ArrowScanSource):
            schema_is_stable = True

            def rows(self) -> int:
                return stream.most_rows

            def __arrow_c_schema__(self) -> object:
                return stream.schema.__arrow_c_schema__()

            def stream(self, columns: object, filters: object) -> tuple[object, bool]:  # noqa: ARG002 - it gives all
                return pa.RecordBatchReader.from_batches(stream.schema, stream.batches()).__arrow_c_stream__(), False

        connection._register_arrow_source(name, Source(None))  # noqa: SLF001 - a plain stream tells no number of rows


def run(
    reader: Reader,
    name: str,
    tables: Mapping[str, Sequence[str]],
    parameters: Mapping[str, object],
    extra: Mapping[str, pa.Table] | None = None,
    unread: Mapping[str, Sequence[str]] | None = None,
    shared: Sequence[str] = (),
) -> pa.Table:
    """Return the result of `sql/<name>.sql` over the columns of tables that it reads and over `extra` tables.

    `unread` are columns that the statement names, though with these parameters nothing depends on what is in them;
    `shared` are the files with what it has in common with other statements.
    """
    import pyarrow as pa

    streams = {table: Stream(reader, table, tables[table]) for table in tables if table in READ_ONCE}

    def decoded() -> dict[str, pa.Table]:
        read = {table: counted(reader, table, tables[table], coded=True) for table in tables if table not in READ_ONCE}
        for table, columns in (unread or {}).items():
            for column in columns:
                nothing = kernels.same(None, read[table].num_rows, TABLES[table].schema.field(column).type)
                read[table] = read[table].append_column(column, nothing)
        # What decoding took and needs no more would add to the engine's peak.
        pa.default_memory_pool().release_unused()
        return read

    try:
        # Starting the engine takes as long as decoding a table: do both at once.
        jobs: tuple[Callable[[], Any], ...] = (sealed, decoded)
        connection, sources = at_once(lambda job: job(), jobs)
        with closing(connection):
            for table, rows in (sources | dict(extra or {})).items():
                connection.register(table, rows)
            for table, stream in streams.items():
                stream.register(connection, table)
            return _answer(connection, name, parameters, shared)
    finally:
        for stream in streams.values():
            stream.check()


def _answer(
    connection: duckdb.DuckDBPyConnection, name: str, parameters: Mapping[str, object], shared: Sequence[str]
) -> pa.Table:
    statement = (FOLDER / f"{name}.sql").read_text(encoding="utf-8")
    try:
        for file in shared:
            connection.execute((FOLDER / f"{file}.sql").read_text(encoding="utf-8"))
        return connection.sql(statement, params=dict(parameters)).to_arrow_table()
    except MemoryError:
        raise
    except Exception as error:
        # What the engine says quotes values, so it is not passed on.
        raise CrmError(f"the report {name} failed in the engine: {type(error).__name__}") from error
