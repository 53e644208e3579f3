"""Rules of reactivation: who is called back on which day, who is left alone to compare with, and what came of it.

Those left alone are chosen by a hash of client and quarter, so that nobody is left out for ever.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from math import sqrt
from typing import TYPE_CHECKING, NamedTuple

from crmcli.model.dates import day_start, local_day
from crmcli.model.frozen import dataclass
from crmcli.model.ids import encode_id
from crmcli.model.records import HELD, Record, Reminder, Sale
from crmcli.model.reminding import remind
from crmcli.model.worktime import Calendar, is_working

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Sequence
    from datetime import datetime, tzinfo

    from crmcli.model.acting import Acting

CAUSE = "reactivation"
# Fewer than these are due: all are called.
FEWEST_DUE = 200
# Fewer than these on a side tell nothing.
FEWEST_COMPARED = 30
# Whoever has something due within so many days is in good hands.
SOON_DAYS = 14
_Z = 1.959964


@dataclass(frozen=True, slots=True)
class Quarter:
    """A calendar quarter: its first day and the one after its last."""

    from_on: date
    to_on: date

    @classmethod
    def of(cls, day: date) -> Quarter:
        """Return the quarter that a day is in."""
        first = date(day.year, (day.month - 1) // 3 * 3 + 1, 1)
        return cls(first, date(first.year + first.month // 10, (first.month + 2) % 12 + 1, 1))

    @property
    def label(self) -> str:
        """The quarter as periods are written: `2026-Q1`."""
        return f"{self.from_on.year:04}-Q{self.from_on.month // 3 + 1}"

    def working_days(self, calendar: Calendar, today: date) -> list[date]:
        """Return the working days from a day on to the end."""
        days = (today + timedelta(days=count) for count in range((self.to_on - today).days))
        return [day for day in days if is_working(calendar, day)]


class Wanted(NamedTuple):
    """Which of those who are due are wanted: by which rule, of which segment and band, at most how many (0: all)."""

    rule: str = "segment"
    segment: str | None = None
    band: str | None = None
    limit: int = 0


class Candidate(NamedTuple):
    """Somebody who is due: whose call it is, what is known, and what was decided before."""

    client_id: int
    assignee_id: int
    about: str
    is_planned: bool = False
    is_held: bool = False


class Choice(NamedTuple):
    """A day to call somebody on, or None to leave them alone for the quarter."""

    candidate: Candidate
    day: date | None


def is_held_out(client_id: int, quarter: Quarter, share_pct: int) -> bool:
    """Say whether a client is among the share that is left alone in a quarter."""
    digest = hashlib.sha256(f"{encode_id(client_id)}/{quarter.label}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % 10_000 < share_pct * 100


def choose(
    due: Sequence[Candidate], quarter: Quarter, days: Sequence[date], per_day: int, taken: Counter[tuple[int, date]],
    share_pct: int,
) -> list[Choice]:  # fmt: skip
    """Return what to do about those who are due, the most valuable first, and were not decided on in this quarter.

    `taken` counts the calls that a person has on a day already, of which there are at most `per_day`. Who finds no
    place in the quarter waits for the next.
    """
    share_pct = share_pct if len(due) >= FEWEST_DUE else 0
    free: dict[int, list[date]] = {}
    counts = taken.copy()
    choices = []
    for candidate in due:
        places = free.setdefault(candidate.assignee_id, list(reversed(days)))
        while places and counts[candidate.assignee_id, places[-1]] >= per_day:
            places.pop()
        if candidate.is_planned or candidate.is_held or not places:
            continue
        if is_held_out(candidate.client_id, quarter, share_pct):
            choices.append(Choice(candidate, None))
        else:
            counts[candidate.assignee_id, places[-1]] += 1
            choices.append(Choice(candidate, places[-1]))
    return choices


def carry_out(acting: Acting, choices: Iterable[Choice], zone: tzinfo) -> list[Record]:
    """Return the reminders of a plan, and for those left alone a record of that."""
    records: list[Record] = []
    for candidate, day in choices:
        due_at = acting.now if day is None else day_start(day, zone)
        about = None if day is None else candidate.about
        made, *texts = remind(acting, candidate.client_id, CAUSE, due_at, about=about)
        if isinstance(made, Reminder):
            status = HELD if day is None else made.status
            records += [replace(made, assignee_id=candidate.assignee_id, status=status), *texts]
    return records


def bought_since(sales: Iterable[Sale], zone: tzinfo, since: datetime, until: datetime) -> tuple[int, Decimal]:
    """Return on how many days a client bought after an instant, and for how much; refunds of those count against it."""
    later = [sale for sale in sales if not sale.voided and since < sale.sold_at <= until]
    documents = {sale.sale_id: sale for sale in later if sale.refund_of is None}
    sums: dict[date, Decimal] = {}
    for sale in later:
        counts_as = documents.get(sale.refund_of or sale.sale_id)
        if counts_as is not None:
            day = local_day(counts_as.sold_at, zone)
            sums[day] = sums[day] + sale.amount if day in sums else sale.amount
    kept = [money for money in sums.values() if money > 0]
    return len(kept), sum(kept, Decimal(0))


class Arm(NamedTuple):
    """One side of the comparison: clients, those of them who bought again, and for how much."""

    clients: int
    returned: int
    money: Decimal


def lift(touched: Arm, held: Arm) -> tuple[float, float, float] | None:
    """Return by how many points of a hundred more of those touched came back, with the ends of a 95 % interval.

    None if a side has too few. Newcombe's interval of two Wilson scores: Statistics in Medicine 17 (1998), 873-890.
    """
    if min(touched.clients, held.clients) < FEWEST_COMPARED:
        return None
    (p, low, high), (q, held_low, held_high) = (_wilson(arm.returned, arm.clients) for arm in (touched, held))
    down = sqrt((p - low) ** 2 + (held_high - q) ** 2)
    up = sqrt((high - p) ** 2 + (q - held_low) ** 2)
    return tuple(round(100 * share, 1) for share in (p - q, p - q - down, p - q + up))  # type: ignore[return-value]


def _wilson(part: int, whole: int) -> tuple[float, float, float]:
    share, square = part / whole, _Z * _Z
    middle = share + square / (2 * whole)
    spread = _Z * sqrt(share * (1 - share) / whole + square / (4 * whole * whole))
    base = 1 + square / whole
    return share, (middle - spread) / base, (middle + spread) / base
