"""What is unusual in a log: few rules, their thresholds in one place, and the figures by which a commit broke one.

A flag is a reason to ask, not a proof: people work late, and somebody's export is always the first one.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from crmcli.model.zones import in_zone

if TYPE_CHECKING:
    from datetime import date, tzinfo

# More clients, or lists of some, than this that one person looked at within the time.
MOST_REVEALS, REVEALS_WITHIN = 30, timedelta(hours=1)
# More exports than this by one person within the time.
MOST_EXPORTS, EXPORTS_WITHIN = 3, timedelta(days=7)
# An export of this many rows or more.
LARGE_EXPORT = 500
# A person's changes from the one hour of the evening to the other of the morning, in the company's time zone.
NIGHT = (22, 6)

REVEAL, EXPORT, CHANGE = "reveal", "export", "change"


@dataclass(frozen=True)
class Event:
    """What a person did at an instant: `kind` is reveal, export or change; `clients` were seen, `rows` exported."""

    seq: int
    at: datetime
    who: str
    kind: str
    clients: str | None = None
    rows: int = 0


@dataclass
class Flag:
    """A rule that commit `seq` broke, and the figures that broke it."""

    seq: int
    rule: str
    figures: str


@dataclass
class _Rate:
    """A rule on how much one person does within a time; a flag stands at what went too far, with the most there was."""

    rule: str
    most: int
    within: timedelta
    said: str
    _recent: dict[str, deque[tuple[datetime, str]]] = field(default_factory=dict)
    _counts: dict[str, Counter[str]] = field(default_factory=dict)
    _raised: dict[str, tuple[Flag, int]] = field(default_factory=dict)

    def see(self, event: Event, what: str) -> Flag | None:
        """Take in the next event, and return a flag if it is the one that goes too far."""
        recent = self._recent.setdefault(event.who, deque())
        counts = self._counts.setdefault(event.who, Counter())
        while recent and recent[0][0] <= event.at - self.within:
            _, old = recent.popleft()
            counts[old] -= 1
            if not counts[old]:
                del counts[old]
        recent.append((event.at, what))
        counts[what] += 1
        if len(counts) <= self.most:
            self._raised.pop(event.who, None)
            return None
        flag, peak = self._raised.get(event.who, (Flag(event.seq, self.rule, ""), 0))
        peak = max(peak, len(counts))
        flag.figures = self.said.format(peak, self.most)
        is_new = event.who not in self._raised
        self._raised[event.who] = flag, peak
        return flag if is_new else None


class Watch:
    """Sees the events of a log, oldest first, and keeps what broke a rule in `flags`."""

    def __init__(self, zone: tzinfo) -> None:
        self.flags: list[Flag] = []
        self._zone = zone
        seen = "{} clients or lists within an hour; more than {}"
        self._reveals = _Rate("many reveals", MOST_REVEALS, REVEALS_WITHIN, seen)
        self._exports = _Rate("many exports", MOST_EXPORTS, EXPORTS_WITHIN, "{} exports within 7 days; more than {}")
        self._exporters: set[str] = set()
        # Who -> the night, its flag, how many changes it has, and when it began.
        self._nights: dict[str, tuple[date, Flag, int, str]] = {}

    def see(self, event: Event) -> None:
        """Take in the next event."""
        self._see_night(event)
        if event.kind == REVEAL:
            self._keep(self._reveals.see(event, event.clients or ""))
        elif event.kind == EXPORT:
            self._keep(self._exports.see(event, str(event.seq)))
            if event.who not in self._exporters:
                self._exporters.add(event.who)
                self._keep(Flag(event.seq, "first export", f"{event.rows} rows; none before"))
            if event.rows >= LARGE_EXPORT:
                self._keep(Flag(event.seq, "large export", f"{event.rows} rows; {LARGE_EXPORT} or more"))

    def _keep(self, flag: Flag | None) -> None:
        if flag is not None:
            self.flags.append(flag)

    def _see_night(self, event: Event) -> None:
        """Flag the first that a person does in a night, with how much came of it."""
        local = in_zone(event.at, self._zone)
        evening, morning = NIGHT
        if morning <= local.hour < evening:
            return
        night = (local - timedelta(hours=morning)).date()
        known, flag, count, begun = self._nights.get(event.who, (None, None, 0, ""))
        if known != night or flag is None:
            flag, count, begun = Flag(event.seq, "night work", ""), 0, f"{local:%H:%M}"
            self._keep(flag)
        count += 1
        told = f"{count} change{'s' if count > 1 else ''} from {begun} to {local:%H:%M}"
        flag.figures = f"{told}; between {evening}:00 and {morning}:00"
        self._nights[event.who] = night, flag, count, begun
