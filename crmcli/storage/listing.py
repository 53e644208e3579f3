"""Listings: which records of a table are wanted, in what order, and what a row of them shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from crmcli.errors import InputError
from crmcli.storage import kernels as pc
from crmcli.storage.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from crmcli.storage.view import View


@dataclass(frozen=True)
class Kind:
    """What can be listed: its table, the column it is ordered by, its filters (option -> column), its columns."""

    table: str
    order: str
    filters: Mapping[str, str]
    columns: tuple[str, ...]
    newest_first: bool = True
    only: tuple[str, str] | None = None
    unless_asked: Mapping[str, str] = field(default_factory=dict)


KINDS = {
    "clients": Kind(
        "clients",
        "created_at",
        {"client": "client_id", "owner": "owner_id", "segment": "segment", "source": "source"},
        ("client_id", "name", "company", "phone", "email", "segment", "source", "owner", "buy_by", "created_at"),
    ),
    "deals": Kind(
        "deals",
        "opened_at",
        {"client": "client_id", "owner": "owner_id", "stage": "stage", "status": "status", "pipeline": "pipeline"},
        ("deal_id", "client_id", "name", "pipeline", "stage", "status", "amount", "owner", "opened_at", "entered_at",
         "closed_at", "lost_reason", "return_on"),
    ),
    "calls": Kind(
        "activities",
        "happened_at",
        {"client": "client_id", "by": "by_id", "direction": "direction", "result": "result"},
        ("activity_id", "client_id", "name", "direction", "result", "seconds", "said", "by", "happened_at", "voided"),
        only=("kind", "call"),
    ),
    "sales": Kind(
        "sales",
        "sold_at",
        {"client": "client_id", "by": "by_id"},
        ("sale_id", "client_id", "name", "amount", "deal_id", "refund_of", "by", "sold_at", "voided"),
    ),
    "reminders": Kind(
        "reminders",
        "due_at",
        {"client": "client_id", "owner": "assignee_id", "status": "status", "cause": "cause"},
        ("reminder_id", "client_id", "name", "due_at", "cause", "about", "deal_id", "owner", "status"),
        newest_first=False,
        unless_asked={"status": "open"},
    ),
}  # fmt: skip
_TEXTS = {"calls": ("said", "activity_id", ("said",)), "reminders": ("about", "reminder_id", ("promised", "about"))}


def choose(
    view: View,
    kind: Kind,
    equal: Mapping[str, object],
    between: tuple[datetime, datetime] | None,
    limit: int,
) -> tuple[list[Any], int]:
    """Return the first `limit` records (0: all) that have those values and times, and how many there are in all.

    `equal` is option -> value; `between` is half-open. Raises: InputError for a filter that the kind has not.
    """
    table = TABLES[kind.table]
    equal = {**kind.unless_asked, **equal}
    unknown = [option for option in equal if option not in kind.filters]
    if unknown:
        raise InputError(f"--{unknown[0]} does not filter these", f"what does: {', '.join(kind.filters)}")
    where = ("client_id", [equal["client"]]) if "client" in equal else None
    rows = view.reader.merged(table.name, None, where)  # type: ignore[arg-type]
    conditions = {kind.filters[option]: value for option, value in equal.items()}
    conditions |= dict([kind.only] if kind.only else [])
    for column, value in conditions.items():
        rows = pc.filtered(rows, pc.equal(rows.column(column), value))
    if between is not None:
        start, end = (pa.scalar(at.replace(tzinfo=None), pa.timestamp("us")) for at in between)
        times = rows.column(kind.order)
        rows = pc.filtered(rows, pc.is_true(pc.and_(pc.greater_equal(times, start), pc.less(times, end))))
    total = rows.num_rows
    direction = "descending" if kind.newest_first else "ascending"
    order = [(kind.order, direction, "at_end"), (table.key, "ascending", "at_end")]
    picked = pc.sort_indices(rows.select([kind.order, table.key]), order)
    return table.to_records(pc.taken(rows, picked.slice(0, limit or None))), total


def rows_of(view: View, name: str, records: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return the rows of a listing, in the columns of its kind; ids are numbers, times are UTC."""
    kind = KINDS[name]
    clients = list({record.client_id for record in records})
    contacts = {c.client_id: c for c in view.records("contacts", "client_id", clients)} if clients else {}
    texts: dict[int, str] = {}
    if name in _TEXTS and records:
        _, key, fields = _TEXTS[name]
        texts = view.texts([getattr(record, key) for record in records], fields)
    return [tuple(_cell(view, kind, record, column, contacts, texts) for column in kind.columns) for record in records]


def _cell(  # noqa: PLR0911 - a column each
    view: View, kind: Kind, record: Any, column: str, contacts: Mapping[int, Any], texts: Mapping[int, str]
) -> Any:
    contact = contacts.get(record.client_id)
    match column:
        case "name" | "company":
            return getattr(contact, column, None)
        case "phone":
            return contact.phones[0] if contact and contact.phones else None
        case "email":
            return contact.emails[0] if contact and contact.emails else None
        case "owner":
            return view.staff.get(getattr(record, kind.filters["owner"]))
        case "by":
            return view.staff.get(record.by_id)
        case "said":
            return texts.get(record.activity_id)
        case "about":
            return texts.get(record.reminder_id)
        case _:
            return getattr(record, column)
