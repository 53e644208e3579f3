"""How commands show what they have just recorded: a line a record, with its id and what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crmcli.model import records as r
from crmcli.model.dates import Moment, format_moment
from crmcli.model.ids import encode_id

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from crmcli.commands.params import Format
    from crmcli.session import Session
    from crmcli.storage.view import View

COLUMNS = ("record", "id", "what")
_KINDS: dict[type[Any], tuple[str, str, str]] = {
    r.Contact: ("client", "clients", "client_id"),
    r.Deal: ("deal", "deals", "deal_id"),
    r.Activity: ("activity", "activities", "activity_id"),
    r.Sale: ("sale", "sales", "sale_id"),
    r.Reminder: ("reminder", "reminders", "reminder_id"),
}


def show_records(crm: Session, records: Iterable[Any], form: Format = "table") -> None:
    """Show the clients, deals, activities, sales and reminders among records that were saved."""
    with crm.reading() as store:
        listed = list(records)
        moves = {change.deal_id: change for change in listed if isinstance(change, r.StageChange)}
        rows = []
        for record in listed:
            if type(record) not in _KINDS:
                continue
            kind, table, key = _KINDS[type(record)]
            number = getattr(record, key)
            shown = store.short(table, [number])[number] if form == "table" else encode_id(number)
            rows.append((kind, shown, _what(store, record, moves)))
    crm.output.rows(COLUMNS, rows, form=form, limit=0, id_column="id")


def _what(store: View, record: Any, moves: dict[int, r.StageChange]) -> str:
    def day(at: datetime) -> str:
        return format_moment(at, store.settings.zone)

    match record:
        case r.Contact():
            return ", ".join((record.name, *record.phones, *record.emails))
        case r.Deal():
            change = moves.get(record.deal_id)
            return _moved(change) if change else f"{record.status} at {record.stage}"
        case r.Activity():
            words = (record.kind.replace("_", " "), record.direction, record.result, day(record.happened_at))
            return " ".join(word for word in words if word) + (", voided" if record.voided else "")
        case r.Sale():
            kind = "refund" if record.amount < 0 else "sale"
            money = f"{abs(record.amount)} {store.settings.currency}"
            return f"{kind} of {money} on {day(record.sold_at)}" + (", voided" if record.voided else "")
        case _:
            due = format_moment(Moment(record.due_at, record.has_time), store.settings.zone)
            return f"{record.cause.replace('_', ' ')}, due {due}"


def _moved(change: r.StageChange) -> str:
    if change.from_stage is None:
        return f"opened at {change.to_stage}"
    flag = f" ({change.move})" if change.move in ("skip", "back", "reopen") else ""
    return f"{change.from_stage} -> {change.to_stage}{flag}"
