"""The tables of the store: which record each holds, under which key, with which columns; and row <-> record."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from crmcli.model import records
from crmcli.model.frozen import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

FACTS, PERSONAL, COMPANY = "facts", "personal", "company"
GROUPS = (FACTS, PERSONAL, COMPANY)

SEQ = "_seq"
DELETED = "_deleted"

# Whom a command is about is looked up among all clients, what they did is read in bulk: few rows are read for one.
_LOOKED_UP = {"clients", "contacts"}
# Columns of ids by another name.
_IDS = {"refund_of", "created_by"}
_PLACES = {"Decimal": Decimal("0.01"), "Quantity": Decimal("0.001")}


@dataclass(frozen=True)
class Table:
    """One table: its record class, key group, key column and, where it has one, the column that says when."""

    name: str
    record: type[Any]
    group: str
    key: str
    time: str | None = None

    @cached_property
    def kinds(self) -> dict[str, str]:
        """Column name -> kind of value: int, bool, str, Value, datetime, date, Decimal, Quantity or a tuple."""
        return {field.name: str(field.type).removesuffix(" | None") for field in fields(self.record)}

    @cached_property
    def ids(self) -> set[str]:
        """The columns that hold ids of records or of people."""
        names = (name for name, kind in self.kinds.items() if kind == "int")
        return {name for name in names if name == self.key or name.endswith("_id") or name in _IDS}

    @cached_property
    def required(self) -> set[str]:
        """The columns that hold something in every row."""
        return {field.name for field in fields(self.record) if not str(field.type).endswith(" | None")}

    @cached_property
    def schema(self) -> pa.Schema:
        """The Arrow schema of an insert or upsert file; every column may be null."""
        import pyarrow as pa

        return pa.schema([(name, _types()[kind]) for name, kind in self.kinds.items()])

    @cached_property
    def values(self) -> list[str]:
        """The columns of few distinct values, which are dictionary-encoded in bulk."""
        return [name for name, kind in self.kinds.items() if kind == "Value"]

    @cached_property
    def has_lists(self) -> bool:
        """Whether a column holds lists."""
        return any(kind.startswith("tuple") for kind in self.kinds.values())

    @property
    def is_about_clients(self) -> bool:
        """Whether every row is of a client in the same book; a delivery is in the book of who sends it."""
        return "client_id" in self.kinds and self.name != "deliveries"

    @property
    def row_group(self) -> int:
        """How many rows of a large file are decoded together, to find one of them."""
        return 1 << 12 if self.name in _LOOKED_UP else 1 << 16

    @cached_property
    def order(self) -> list[str]:
        """The columns by which large files are sorted: client, then time or key."""
        return list(dict.fromkeys(name for name in ("client_id", self.time, self.key) if name in self.kinds))

    def to_arrow(self, rows: Iterable[Any]) -> pa.Table:
        """Return records of this table as an Arrow table."""
        import pyarrow as pa

        rows = list(rows)
        return pa.table(
            [
                pa.array([_stored(getattr(row, name), kind) for row in rows], _types()[kind])
                for name, kind in self.kinds.items()
            ],
            schema=self.schema,
        )

    def to_records(self, rows: pa.Table) -> list[Any]:
        """Return the records in an Arrow table that has at least this table's columns."""
        return [self.record(*cells) for cells in self.to_cells(rows, self.kinds)]

    def to_cells(self, rows: pa.Table, columns: Iterable[str]) -> Iterator[tuple[Any, ...]]:
        """Yield some columns of an Arrow table of this table's rows, as records hold them."""
        return zip(*(_loaded(rows.column(name), self.kinds[name]) for name in columns), strict=True)


@cache
def _types() -> dict[str, pa.DataType]:
    """Return kind of value -> Arrow type. Who has no key reads the log, which needs no Arrow."""
    import pyarrow as pa

    return {
        "int": pa.int64(),
        "bool": pa.bool_(),
        "str": pa.string(),
        "Value": pa.string(),
        "datetime": pa.timestamp("us"),
        "date": pa.date32(),
        "Decimal": pa.decimal128(18, 2),
        "Quantity": pa.decimal128(18, 3),
        "tuple[str, ...]": pa.list_(pa.string()),
    }


def _stored(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind == "datetime":
        return value.astimezone(UTC).replace(tzinfo=None)
    if kind in _PLACES:
        return value.quantize(_PLACES[kind])
    return value


def _loaded(column: pa.ChunkedArray, kind: str) -> list[Any]:
    cells: list[Any] = column.to_pylist()
    if kind == "datetime":
        return [cell if cell is None else cell.replace(tzinfo=UTC) for cell in cells]
    if kind == "tuple[str, ...]":
        return [tuple(cell or ()) for cell in cells]
    return cells


TABLES = {
    table.name: table
    for table in (
        Table("contacts", records.Contact, PERSONAL, "client_id"),
        Table("notes", records.Note, PERSONAL, "note_id", "noted_at"),
        Table("clients", records.Client, FACTS, "client_id", "created_at"),
        Table("deals", records.Deal, FACTS, "deal_id", "opened_at"),
        Table("stage_changes", records.StageChange, FACTS, "change_id", "changed_at"),
        Table("activities", records.Activity, FACTS, "activity_id", "happened_at"),
        Table("sales", records.Sale, FACTS, "sale_id", "sold_at"),
        Table("sale_lines", records.SaleLine, FACTS, "line_id"),
        Table("reminders", records.Reminder, FACTS, "reminder_id", "due_at"),
        Table("deliveries", records.Delivery, FACTS, "delivery_id", "claimed_at"),
        Table("canaries", records.Canary, FACTS, "client_id"),
        Table("staff", records.Staff, COMPANY, "staff_id"),
        Table("products", records.Product, COMPANY, "product_id"),
        Table("process", records.Document, COMPANY, "document_id"),
        Table("settings", records.Document, COMPANY, "document_id"),
        Table("norms", records.Document, COMPANY, "document_id"),
        Table("purposes", records.Document, COMPANY, "document_id"),
    )
}
TABLE_OF = {table.record: table for table in TABLES.values() if table.record is not records.Document}


def stamp(at: datetime) -> str:
    """Return an instant as the log writes it: UTC, microseconds, fixed width, so that text order is time order."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
