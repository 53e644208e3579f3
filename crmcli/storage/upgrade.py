"""Steps by which rows written under an older schema become rows of today's; one small function a step."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from crmcli.errors import NoStoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa

    from crmcli.storage.tables import Table

SCHEMA = 1
Step: TypeAlias = "Callable[[str, pa.Table], pa.Table]"
# STEPS[n] takes (table name, all its rows under schema n) to rows under schema n + 1; a step that only adds columns
# needs no entry, for a missing column is read as nulls.
STEPS: Mapping[int, Step] = {}


def check_schema(schema: object) -> None:
    """Raise NoStoreError for a schema of a later program."""
    if isinstance(schema, int) and schema > SCHEMA:
        raise NoStoreError("the store was written by a newer crmcli", "upgrade the program")


def upgrade(table: Table, rows: pa.Table, schema: int) -> pa.Table:
    """Return all rows and columns of a file written under `schema` as today's, missing columns filled with nulls."""
    import pyarrow as pa

    for version in range(schema, SCHEMA):
        if version in STEPS:
            rows = STEPS[version](table.name, rows)
    for field in table.schema:
        if field.name not in rows.column_names:
            rows = rows.append_column(field, pa.nulls(rows.num_rows, field.type))
    return rows
