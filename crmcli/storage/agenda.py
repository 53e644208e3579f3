"""The agenda: which open reminders are due until when, whose, and what there is to know to act on one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa

from crmcli.errors import NotFoundError
from crmcli.model.assigning import mark
from crmcli.model.dates import Moment, day_start, format_moment, local_day
from crmcli.model.numbering import is_number
from crmcli.model.records import OPEN, Reminder
from crmcli.model.reminding import CADENCE, is_over
from crmcli.storage import kernels as pc
from crmcli.storage.archiving import in_sight
from crmcli.storage.assigning import Doers
from crmcli.storage.counting import counted
from crmcli.storage.tables import TABLES
from crmcli.storage.together import at_once

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from crmcli.storage.view import Draft, View

# What a table shows of a reminder, after its number; and what the other formats do.
SHOWN = ("due", "who", "whom", "about", "promised", "stage", "phone", "reminder_id")
COLUMNS = (
    "due_at", "has_time", "overdue", "who", "whom", "about", "promised", "stage", "phone", "cause", "client_id",
    "deal_id", "reminder_id", "instead_of",
)  # fmt: skip
# What reminders are chosen by, and what is shown of those chosen: read at once, for it is kept.
READ = ("reminder_id", "client_id", "status", "due_at", "has_time", "assignee_id", "cause", "deal_id")
_Wanted: TypeAlias = "tuple[str, tuple[str, ...], str, Sequence[int]]"
# What a reminder without a text is about, where its cause does not say it.
_WORDS = {CADENCE: "keep in touch", "buy_by": "wants to buy"}
WEEK = 7
# Of the end of a day, which is the start of the next, this much earlier is still that day.
INSTANT = timedelta(microseconds=1)


def open_ones(view: View, until: datetime, member_id: int | None = None, then: datetime | None = None) -> pa.Table:
    """Return the open reminders due before an instant, to be done by a member or by all, in the columns READ.

    With `then` those that were there and open at that instant, by when they are due now. Those of canaries and
    archived clients are not among them.
    """
    rows = counted(view.reader, "reminders", READ if then is None else (*READ, "created_at", "done_at"))
    is_open = pc.equal(rows.column("status"), OPEN)
    if then is not None:
        was_done_later = pc.is_true(pc.less(instant(then), rows.column("done_at")))
        was_there = pc.less_equal(rows.column("created_at"), instant(then))
        is_open = pc.and_(was_there, pc.or_(is_open, was_done_later))
    rows = pc.filtered(rows, pc.and_(is_open, pc.less(rows.column("due_at"), instant(until)))).select(list(READ))
    if member_id is not None:
        rows = Doers(view).of_member(rows, member_id)
    return in_sight(view.reader, rows) if rows.num_rows else rows


def chosen(
    view: View, now: datetime, member_id: int | None, what: str = "due", then: datetime | None = None
) -> pa.Table:
    """Return the open reminders of an agenda: `due` is overdue and today, `day` today, `week` 7 days, `overdue`.

    With `then` those that were open at that instant.
    """
    zone = view.settings.zone
    today = local_day(now, zone)
    start = day_start(today, zone)
    days = WEEK if what == "week" else 1
    rows = open_ones(view, day_start(today + timedelta(days=days), zone), member_id, then)
    due = rows.column("due_at")
    if what in {"day", "week"}:
        return pc.filtered(rows, pc.greater_equal(due, instant(start)))
    if what == "overdue":
        with_time = pc.and_(rows.column("has_time"), pc.less(due, instant(now)))
        return pc.filtered(rows, pc.or_(with_time, pc.less(due, instant(start))))
    return rows


def in_order(rows: pa.Table, limit: int) -> list[int]:
    """Return the ids of the first reminders, by when they are due; 0 for all."""
    places = pc.first_indices(
        rows, [("due_at", "ascending"), ("reminder_id", "ascending")], limit or max(rows.num_rows, 1)
    )
    ids: list[int] = pc.taken(rows.column("reminder_id"), places).to_pylist()
    return ids


def instant(at: datetime) -> pa.Scalar:
    """Return an instant as tables hold it."""
    return pa.scalar(at.replace(tzinfo=None), pa.timestamp("us"))


class Lines:
    """Reminders with all that is shown of them, by id."""

    def __init__(self, view: View, ids: Sequence[int], now: datetime) -> None:
        self._view = view
        self._now = now
        self._zone = view.settings.zone
        self._reminders = {row["reminder_id"]: row for row in _read(view, "reminders", READ, "reminder_id", ids)}
        assignees = {number: row["assignee_id"] for number, row in self._reminders.items()}
        self._doers = Doers(view).of_reminders(assignees)
        clients = list({row["client_id"] for row in self._reminders.values()})
        wanted: tuple[_Wanted, ...] = (
            ("contacts", ("client_id", "name", "phones"), "client_id", clients),
            ("notes", ("about_id", "field", "text", "noted_at"), "about_id", ids),
            ("deals", ("deal_id", "client_id", "stage", "status", "opened_at"), "client_id", clients),
        )
        contacts, notes, deals = at_once(lambda each: _read(view, *each), wanted)
        self._contacts = {row["client_id"]: row for row in contacts}
        notes.sort(key=lambda row: row["noted_at"])
        self._texts = {(row["about_id"], row["field"]): row["text"] for row in notes}
        # By the deal and, of the open one that came last, by the client.
        deals.sort(key=lambda row: str(row["opened_at"] or ""))
        self._stages = {row["deal_id"]: row["stage"] for row in deals}
        self._stages |= {row["client_id"]: row["stage"] for row in deals if row["status"] == OPEN}

    def cells(self, reminder_id: int) -> dict[str, Any]:
        """Return the cells of one reminder by column; ids are numbers, times are UTC."""
        reminder = self._reminders[reminder_id]
        contact = self._contacts.get(reminder["client_id"])
        about, promised = (self._texts.get((reminder_id, field)) for field in ("about", "promised"))
        if not about and not promised:
            about = _WORDS.get(reminder["cause"], reminder["cause"].replace("_", " "))
        return reminder | {
            "due": format_moment(Moment(reminder["due_at"], reminder["has_time"]), self._zone),
            "overdue": self.is_overdue(reminder_id),
            "who": ", ".join(sorted(self._view.staff.get(number, "") for number in self._doers[reminder_id])),
            "instead_of": self._instead_of(reminder_id),
            "whom": contact["name"] if contact else self._view.nameless(reminder["client_id"]),
            "about": about,
            "promised": promised,
            "stage": self._stages.get(reminder["deal_id"] or reminder["client_id"]),
            "phone": next(iter(contact["phones"]), None) if contact else None,
        }

    def _instead_of(self, reminder_id: int) -> str | None:
        """Return who was to do a reminder and cannot, or None."""
        assignee = self._reminders[reminder_id]["assignee_id"]
        return None if assignee in self._doers[reminder_id] else self._view.staff.get(assignee)

    def marks(self, ids: Sequence[int]) -> dict[int, str]:
        """Return what a table says after the rows of reminders, by the place of the row."""
        marks = (mark(is_overdue=self.is_overdue(key), instead_of=self._instead_of(key)) for key in ids)
        return {place: text for place, text in enumerate(marks) if text}

    def clients(self, ids: Sequence[int]) -> list[int]:
        """Return whom reminders are about."""
        return [self._reminders[number]["client_id"] for number in ids]

    def is_overdue(self, reminder_id: int) -> bool:
        """Say whether a reminder's time is over."""
        reminder = self._reminders[reminder_id]
        return is_over(reminder["due_at"], self._now, self._zone, has_time=reminder["has_time"])

    def rows(
        self, ids: Sequence[int], columns: Sequence[str], numbers: Mapping[int, int] | None = None
    ) -> list[tuple[Any, ...]]:
        """Return the rows of reminders in those columns, after their numbers if there are any."""
        rows = []
        for key in ids:
            cells = self.cells(key)
            row = tuple(cells[column] for column in columns)
            rows.append(row if numbers is None else (numbers[key], *row))
        return rows


def _read(view: View, name: str, columns: Sequence[str], column: str, ids: Sequence[int]) -> list[dict[str, Any]]:
    """Return some columns of the rows of a table whose `column` is one of `ids`."""
    if not ids:
        return []
    table = TABLES[name]
    cells = table.to_cells(view.reader.merged(name, columns, (column, ids)), columns)
    return [dict(zip(columns, row, strict=True)) for row in cells]


def numbered(view: View, now: datetime, ids: Sequence[int]) -> Mapping[int, int]:
    """Return the number of each reminder, and remember on this machine which numbers were shown."""
    day = local_day(now, view.settings.zone).isoformat()
    known = view.store.memory.numbers()
    numbers = known.with_more(day, ids)
    if numbers != known:
        view.store.memory.set_numbers(numbers)
    return numbers.by_id


def reminder_named(draft: Draft, named: str) -> Reminder:
    """Return the reminder of that id, or of that number in the last agenda. Raises: NotFoundError, ConflictError."""
    if not is_number(named):
        return draft.one("reminders", named)  # type: ignore[no-any-return]
    found: list[Reminder] = draft.records("reminders", "reminder_id", [draft.store.memory.numbers().find(named)])
    if not found:
        raise NotFoundError(f"number {named} is not yours any more", "crmcli agenda shows the numbers")
    return found[0]
