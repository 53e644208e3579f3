"""Listings: which records of a table are wanted, in what order, and what a row of them shows."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from crmcli.errors import InputError
from crmcli.model.flags import FLAGS
from crmcli.model.frozen import dataclass
from crmcli.model.records import OPEN
from crmcli.storage import kernels as pc
from crmcli.storage.archiving import in_sight
from crmcli.storage.assigning import Doers
from crmcli.storage.flagging import flags_of, with_flags
from crmcli.storage.tables import TABLES, Table
from crmcli.storage.view import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from crmcli.storage.view import View


@dataclass(frozen=True)
class Kind:
    """What can be listed: its table, its order, its filters and flags (option -> column), the columns shown."""

    table: str
    order: str
    filters: Mapping[str, str]
    columns: tuple[str, ...]
    newest_first: bool = True
    only: tuple[str, str] | None = None
    unless_asked: Mapping[str, object] = field(default_factory=dict)
    hides_archived: bool = False
    flags: Mapping[str, str] = field(default_factory=dict)


KINDS = {
    "clients": Kind(
        "clients",
        "created_at",
        {"client": "client_id", "owner": "owner_id", "segment": "segment", "source": "source", "archived": "archived",
         "no-contact": "do_not_contact"},
        ("client_id", "name", "company", "phone", "email", "segment", "source", "owner", "buy_by", "created_at",
         "do_not_contact"),
        unless_asked={"archived": False},
    ),
    "deals": Kind(
        "deals",
        "opened_at",
        {"client": "client_id", "owner": "owner_id", "stage": "stage", "status": "status", "pipeline": "pipeline"},
        ("deal_id", "client_id", "name", "pipeline", "stage", "status", "amount", "owner", "opened_at", "entered_at",
         "closed_at", "lost_reason", "return_on", *FLAGS),
        flags={"overdue": "overdue", "idle": "idle", "no-next": "no_next_step"},
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
        unless_asked={"status": OPEN},
        hides_archived=True,
    ),
}  # fmt: skip
_OF_REMINDERS = ("client_id", "assignee_id")
_TEXTS = {"calls": ("said", "activity_id", ("said",)), "reminders": ("about", "reminder_id", ("promised", "about"))}


def choose(
    view: View,
    kind: Kind,
    equal: Mapping[str, object],
    between: tuple[datetime, datetime] | None,
    limit: int,
    flagged: tuple[Sequence[str], datetime],
) -> tuple[list[int], int]:
    """Return the ids of the first `limit` (0: all) that have those values and times, and how many there are in all.

    `equal` is option -> value; `between` is half-open; `flagged` are the flags that they have to have, and when.
    Raises: InputError for a filter that the kind has not.
    """
    table = TABLES[kind.table]
    equal = {**kind.unless_asked, **equal}
    flags, at = flagged
    unknown = [option for option in (*equal, *flags) if option not in {**kind.filters, **kind.flags}]
    if unknown:
        known = ", ".join((*kind.filters, *kind.flags))
        raise InputError(f"--{unknown[0]} does not filter these", f"what does: {known}")
    conditions = {kind.filters[option]: value for option, value in equal.items()}
    conditions |= dict([kind.only] if kind.only else [])
    # What is to be done may be somebody else's by now than whom it was given to.
    doer = conditions.pop("assignee_id", None) if equal.get("status") == OPEN else None
    where = ("client_id", [equal["client"]]) if "client" in equal else None
    needed = list(dict.fromkeys((table.key, kind.order, *conditions, *(_OF_REMINDERS if kind.hides_archived else ()))))
    rows = view.reader.merged(table.name, needed, where)  # type: ignore[arg-type]
    for column, value in conditions.items():
        cells = rows.column(column)
        rows = pc.filtered(rows, pc.equal(pc.coalesce(cells, UNKNOWN) if value == UNKNOWN else cells, value))
    if isinstance(doer, int):
        rows = Doers(view).of_member(rows, doer)
    if flags:
        wanted = with_flags(view, [kind.flags[option] for option in flags], at)
        rows = pc.filtered(rows, pc.is_in(rows.column(table.key), pa.array(wanted, pa.int64())))
    if kind.hides_archived and equal.get("status") == OPEN:
        rows = in_sight(view.reader, rows)
    if between is not None:
        start, end = (pa.scalar(at.replace(tzinfo=None), pa.timestamp("us")) for at in between)
        times = rows.column(kind.order)
        rows = pc.filtered(rows, pc.is_true(pc.and_(pc.greater_equal(times, start), pc.less(times, end))))
    order = [(kind.order, "descending" if kind.newest_first else "ascending"), (table.key, "ascending")]
    picked = pc.first_indices(rows, order, limit or rows.num_rows)
    return pc.taken(rows.column(table.key), picked).to_pylist(), rows.num_rows


def rows_of(view: View, name: str, ids: Sequence[int], as_of: datetime) -> list[tuple[Any, ...]]:
    """Return the rows of a listing for those ids, in the columns of its kind; ids are numbers, times are UTC."""
    kind = KINDS[name]
    table = TABLES[kind.table]
    read = ("client_id", *(kind.filters.get(column, column) for column in kind.columns))
    own = list(dict.fromkeys(column for column in read if column in table.kinds))
    records = _by_key(view, table, own, ids)
    if kind.flags:
        for number, flags in flags_of(view, ids, as_of).items():
            records[number] |= {flag: getattr(flags, flag) for flag in FLAGS}
    if "assignee_id" in own:
        given = {number: r["assignee_id"] for number, r in records.items() if r["status"] == OPEN}
        for number, doers in Doers(view).of_reminders(given).items():
            records[number]["owner"] = ", ".join(sorted(view.staff.get(doer, "") for doer in doers))
    clients = list({record["client_id"] for record in records.values()})
    contacts = _by_key(view, TABLES["contacts"], ["client_id", *_told(kind)], clients)
    texts: dict[int, str] = {}
    if name in _TEXTS and records:
        _, key, fields = _TEXTS[name]
        texts = view.texts([record[key] for record in records.values()], fields)
    return [
        tuple(_cell(view, kind, records[number], column, contacts, texts) for column in kind.columns)
        for number in ids
        if number in records
    ]


def _told(kind: Kind) -> list[str]:
    """Return the columns of contacts that a listing shows something of."""
    shown = {"name": "name", "company": "company", "phone": "phones", "email": "emails"}
    return [shown[column] for column in kind.columns if column in shown]


def _by_key(view: View, table: Table, columns: Sequence[str], ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return some columns of the records with those ids, by id."""
    rows = view.reader.merged(table.name, columns, (table.key, ids)) if ids else table.schema.empty_table()
    cells = table.to_cells(rows, columns)
    return {row[table.key]: row for row in (dict(zip(columns, values, strict=True)) for values in cells)}


def _cell(
    view: View,
    kind: Kind,
    record: Mapping[str, Any],
    column: str,
    contacts: Mapping[int, Mapping[str, Any]],
    texts: Mapping[int, str],
) -> Any:
    contact = contacts.get(record["client_id"], {})
    match column:
        case "name" | "company":
            return contact.get(column) or (view.nameless(record["client_id"]) if column == "name" else None)
        case "phone" | "email":
            return next(iter(contact.get(f"{column}s", ())), None)
        case "owner" | "by":
            return record.get("owner") or view.staff.get(record[kind.filters[column]])
        case "said":
            return texts.get(record["activity_id"])
        case "about":
            return texts.get(record["reminder_id"])
        case _:
            return record[column]
