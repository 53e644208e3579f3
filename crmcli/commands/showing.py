"""How commands show what they have just recorded: a line a record, with its id and what it is."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from crmcli.model import records as r
from crmcli.model.dates import Moment, format_moment
from crmcli.model.flags import FLAGS, deadline_on
from crmcli.model.ids import encode_id
from crmcli.model.reminding import is_overdue

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
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
        known = [(record, *_KINDS[type(record)]) for record in listed if type(record) in _KINDS]
        named = [(table, getattr(record, key)) for record, _, table, key in known]
        ids = ids_shown(store, named, form)
        rows = [
            (kind, ids[name], what(store, record, moves))
            for (record, kind, _, _), name in zip(known, named, strict=True)
        ]
    crm.output.rows(COLUMNS, rows, form=form, limit=0, id_column="id")


def say_left(crm: Session, reminders: Iterable[r.Reminder]) -> None:
    """Say which reminders stay although what they came with was a mistake, and what closes them."""
    for left in reminders:
        number = encode_id(left.reminder_id)
        crm.say(f"the {left.cause.replace('_', ' ')} reminder was changed since, and stays: crmcli done {number}")


def ids_shown(store: View, named: Iterable[tuple[str, int]], form: Format) -> dict[tuple[str, int], str]:
    """Return what to print for records named by table and number, each table asked once: short ids in a table."""
    numbers: dict[str, list[int]] = {}
    for table, number in named:
        numbers.setdefault(table, []).append(number)
    ids: dict[tuple[str, int], str] = {}
    for table, wanted in numbers.items():
        shorts = store.short(table, wanted) if form == "table" else {}
        ids |= {(table, number): shorts.get(number) or encode_id(number) for number in wanted}
    return ids


def what(store: View, record: Any, moves: Mapping[int, r.StageChange] = MappingProxyType({})) -> str:
    """Return what a contact, deal, activity, sale or reminder is; of a deal just moved, from where to where."""

    def day(at: datetime) -> str:
        return format_moment(at, store.settings.zone)

    match record:
        case r.Contact():
            return ", ".join((record.name, *record.phones, *record.emails))
        case r.Deal():
            change = moves.get(record.deal_id)
            last_day = deadline_on(store.process, store.settings.zone, record)
            told = _moved(change) if change else f"{record.status} at {record.stage}"
            return told + (f", until {last_day}" if last_day else "")
        case r.Activity():
            words = (record.kind.replace("_", " "), record.direction, record.result, day(record.happened_at))
            return " ".join(word for word in words if word) + (", voided" if record.voided else "")
        case r.Sale():
            kind = "refund" if record.amount < 0 else "sale"
            money = f"{abs(record.amount)} {store.settings.currency}"
            return f"{kind} of {money} on {day(record.sold_at)}" + (", voided" if record.voided else "")
        case _:
            when = "done" if record.status == r.DONE else f"due {_due(store, record)}"
            return f"{record.cause.replace('_', ' ')}, {when}"


def _moved(change: r.StageChange) -> str:
    if change.from_stage is None:
        return f"opened at {change.to_stage}"
    flag = f" ({change.move})" if change.move in ("skip", "back", "reopen") else ""
    return f"{change.from_stage} -> {change.to_stage}{flag}"


def show_to_do(crm: Session, store: View, client: r.Client) -> None:
    """Show what is still to do about a client, promises first."""
    from crmcli.storage.history import open_reminders

    reminders = open_reminders(store, client)
    if not reminders:
        return
    shorts = store.short("reminders", [reminder.reminder_id for reminder, _ in reminders])
    crm.output.heading("to do")
    rows = [
        (_due(store, reminder), reminder.cause.replace("_", " "), text, shorts[reminder.reminder_id])
        for reminder, text in reminders
    ]
    zone = store.settings.zone
    late = {at: "overdue" for at, (reminder, _) in enumerate(reminders) if is_overdue(reminder, crm.now, zone)}
    crm.output.rows(("due", "cause", "about", "reminder_id"), rows, limit=0, mark=late)
    crm.output.line("")


def show_sheet(crm: Session, store: View, client: r.Client) -> None:
    """Show who a client is and how to reach them."""
    contact = store.contact(client.client_id)
    sheet = [
        ("client", encode_id(client.client_id)),
        ("name", contact.name),
        ("company", contact.company),
        ("phones", contact.phones),
        ("e-mails", contact.emails),
        ("tax id", contact.tax_id),
        ("address", contact.address),
        ("segment", client.segment),
        ("source", client.source),
        ("owner", store.staff.get(client.owner_id)),
        ("buys by", client.buy_by),
        ("since", format_moment(client.created_at, store.settings.zone)),
        ("archived", "yes" if client.archived else None),
        ("asked", "to be left alone" if client.do_not_contact else None),
    ]
    crm.output.pairs([(name, value) for name, value in sheet if value])


def show_deals(crm: Session, store: View, client: r.Client) -> None:
    """Show the deals of a client and where they stand."""
    from crmcli.commands.listing import readable
    from crmcli.storage.flagging import flags_of

    deals = store.of_client("deals", client.client_id)
    if not deals:
        return
    own = ("deal_id", "stage", "status", "amount", "opened_at", "entered_at", "closed_at", "lost_reason")
    crm.output.line("")
    crm.output.heading("deals")
    known = flags_of(store, [deal.deal_id for deal in deals], crm.now)
    rows = [
        (*(getattr(deal, column) for column in own), *(getattr(known[deal.deal_id], flag) for flag in FLAGS))
        for deal in reversed(deals)
    ]
    columns = (*own, *FLAGS)
    crm.output.rows(columns, readable(store, columns, rows, short=True), limit=0)


def show_story(crm: Session, store: View, client: r.Client, form: Format, limit: int) -> None:
    """Show everything that happened with a client, newest first."""
    from crmcli.storage.history import STORY, story

    happened = story(store, client)
    zone = store.settings.zone
    ids = ids_shown(store, (named for _, _, named, _, _ in happened if named is not None), form)
    rows = [
        (at and at.astimezone(zone), what, ids.get(named), text or None, store.staff.get(by))
        for at, what, named, text, by in happened
    ]
    if form == "table":
        crm.output.line("")
        crm.output.heading("story")
    crm.output.rows(STORY, rows, form=form, limit=limit, id_column="id")


def _due(store: View, reminder: r.Reminder) -> str:
    return format_moment(Moment(reminder.due_at, reminder.has_time), store.settings.zone)
