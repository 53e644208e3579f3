"""The touch cadence: how often a client, or a segment, is to hear from us, and the reminders that follow from it."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from crmcli.errors import InputError
from crmcli.model.dates import day_start, local_day, shown
from crmcli.model.frozen import dataclass
from crmcli.model.process import OTHERS
from crmcli.model.records import DONE, OPEN
from crmcli.model.reminding import CADENCE, remind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date, datetime, tzinfo

    from crmcli.model.acting import Acting
    from crmcli.model.records import Client, Record, Reminder

# What `set-cadence` takes beside days: none at all, or that of the segment.
NONE, SEGMENT = "none", "segment"
_DAYS = {"d": 1, "w": 7, "m": 30, "y": 365}
_LONGEST = 9999
# A touch is planned so many days ahead, to be seen in the agenda of a week.
AHEAD = 7
# So many are open for one member at most, so that what was neglected for years does not bury what was promised.
MOST_OPEN = 50


@dataclass(frozen=True, slots=True)
class Touchable:
    """A client to keep in touch with: `days` apart, last in touch at an instant."""

    client_id: int
    days: int
    last_at: datetime


def parse_cadence(text: str) -> int | None:
    """Return the days of a client's own cadence: 0 for none, None for the segment's; a month has 30, a year 365.

    Raises: InputError.
    """
    plain = text.strip().lower()
    if plain in {NONE, SEGMENT}:
        return 0 if plain == NONE else None
    days = int(plain[:-1]) * _DAYS[plain[-1]] if re.fullmatch(r"[1-9][0-9]{0,3}[dwmy]", plain) else 0
    if not 0 < days <= _LONGEST:
        raise InputError(
            f"not a cadence: {shown(text)}", f"such as 30d, 2w, 1m, {NONE}, or {SEGMENT} for the segment's"
        )
    return days


def set_cadence(client: Client, days: int | None, known: Iterable[Reminder]) -> tuple[Client, list[Record]]:
    """Return the client with another cadence, and the touch that was planned by the old one as not to be done."""
    planned = (r for r in known if r.status == OPEN and r.cause == CADENCE)
    return replace(client, cadence_days=days), [replace(reminder, status=DONE) for reminder in planned]


def cadence_of(own: int | None, segment: str | None, cadence: Mapping[str, int]) -> int | None:
    """Return the days between two touches of a client: the own ones, or those of the segment; None for no cadence."""
    days = cadence.get(segment or OTHERS, cadence.get(OTHERS)) if own is None else own
    return days or None


def next_touch(last_at: datetime, days: int, zone: tzinfo) -> date:
    """Return the local day on which somebody is to be touched who was touched last at an instant."""
    return local_day(last_at, zone) + timedelta(days=days)


def plan(acting: Acting, clients: Iterable[Touchable], open_now: int, zone: tzinfo) -> tuple[list[Record], int]:
    """Return the reminders of the touches that are due within a week, and how many touches wait for room.

    `open_now` are open already; there are never more than `MOST_OPEN`. What is overdue is due today. The clients
    longest and least long overdue come in turn: whoever waits gets nearer whenever something is done, and old neglect
    holds up nobody who is due now.
    """
    today = local_day(acting.now, zone)
    due = ((next_touch(client.last_at, client.days, zone), client.client_id) for client in clients)
    soon = deque(sorted(each for each in due if each[0] <= today + timedelta(days=AHEAD)))
    records: list[Record] = []
    for place in range(min(MOST_OPEN - open_now, len(soon))):
        day, client_id = soon.pop() if place % 2 else soon.popleft()
        records += remind(acting, client_id, CADENCE, day_start(max(day, today), zone))
    return records, len(soon)
