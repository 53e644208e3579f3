"""Rules of reminders: one that has a single cause a client replaces the open one of that cause."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from crmcli.model.records import DONE, OPEN, Record, Reminder

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from crmcli.model.acting import Acting

CAUSES = (
    "manual",
    "promise",
    "process",
    "cadence",
    "next_purchase",
    "reactivation",
    "return",
    "missed_call",
    "buy_by",
)
# A client may be promised many things, but comes back from a lost deal or buys next only once at a time.
_MANY = ("manual", "promise")


def settle(acting: Acting, cause: str, known: Iterable[Reminder]) -> list[Record]:
    """Return the open reminders of a cause as done, for what they were to bring about has happened."""
    return [
        replace(reminder, status=DONE, done_at=acting.at)
        for reminder in known
        if reminder.status == OPEN and reminder.cause == cause
    ]


def remind(
    acting: Acting,
    client_id: int,
    cause: str,
    due_at: datetime,
    *,
    has_time: bool = False,
    about: str | None = None,
    deal_id: int | None = None,
    known: Iterable[Reminder] = (),
) -> list[Record]:
    """Return the reminder and its text; `known` are the client's reminders, one of which may be moved instead."""
    open_one = next((r for r in known if r.status == OPEN and r.cause == cause and cause not in _MANY), None)
    if open_one is not None:
        moved = replace(open_one, due_at=due_at, has_time=has_time, deal_id=deal_id or open_one.deal_id)
        return [moved, *acting.note(client_id, moved.reminder_id, "about", about)]
    made = Reminder(
        acting.new_id(),
        client_id,
        cause,
        due_at,
        has_time,
        acting.by,
        acting.now,
        acting.by,
        deal_id,
        cause == "promise",
    )
    field = "promised" if made.is_promise else "about"
    return [made, *acting.note(client_id, made.reminder_id, field, about)]
