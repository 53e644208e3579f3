"""Rules of backups: which snapshots are kept and why, when one is due, and when the last that was verified is too old.

Ages are told by the snapshots themselves, from one to the next: a clock that was set wrong makes nothing old at a
stroke.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from crmcli.model.frozen import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

# What the time between two snapshots counts for at most: that of a weekly backup, and a day.
LEAP = timedelta(days=8)
# How far ahead of this machine's clock another one's may be.
AHEAD = timedelta(days=1)
# After how long without a commit or a snapshot a clock is doubted.
SILENCE = timedelta(days=366)
# A schedule is kept if a run is that much early.
SLACK = timedelta(hours=1)
# What erased clients' files stay for in backups.
ERASED_STAY = timedelta(days=30)
# How many snapshots a hint names.
_TOLD = 3
UNVERIFIED = "no backup of this store has been verified yet"


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a check: `kind` is verify, deep or drill, or a part such as 2/7; `at` an instant.

    `snapshot` is the newest one that was looked at; `rows` is None where no key was at hand. `damaged` are the hashes
    of objects of it that are not as they should be, at most 500.
    """

    kind: str
    at: str
    snapshot: str
    ok: bool
    seconds: float
    files: int
    bytes: int
    rows: int | None = None
    damaged: Sequence[str] = ()

    @property
    def reads_all(self) -> bool:
        """Whether every byte of the snapshot was read back, which alone makes it a verified one."""
        return self.ok and self.kind in ("deep", "drill")


def verdicts(results: Iterable[Result], now: datetime) -> dict[str, Result]:
    """Return, by snapshot, the last of some results, oldest first, that failed or that read all of it.

    So a check that failed is answered by one that reads every byte alone. What is dated in the future says nothing.
    """
    past = [one for one in results if is_past(one, now)]
    return {one.snapshot: one for one in past if one.reads_all or not one.ok}


def is_past(result: Result, now: datetime) -> bool:
    """Say whether a result is not dated in the future."""
    return datetime.fromisoformat(result.at) <= now + AHEAD


@dataclass(frozen=True, slots=True)
class Policy:
    """How long snapshots stay: all of the last days, and the last of each of so many weeks, months and years."""

    days: int = 30
    weekly: int = 8
    monthly: int = 12
    yearly: int = 3


def ages(times: Sequence[datetime], now: datetime) -> list[timedelta]:
    """Return how old each of some instants is, the latest last, no gap between two counting for more than `LEAP`."""
    told, after, found = timedelta(0), now, []
    for at in reversed(times):
        told += min(max(after - at, timedelta(0)), LEAP)
        after = at
        found.append(told)
    return found[::-1]


def age_of(instant: datetime, times: Sequence[datetime], now: datetime) -> timedelta:
    """Return how old an instant is, as the snapshots since tell."""
    since = [instant, *(at for at in times if at > instant)]
    return ages(since, now)[0]


def reasons_to_keep(times: Sequence[datetime], policy: Policy) -> list[str | None]:
    """Return why each of some snapshots stays, or None; `times` are in order, all in the past."""
    kept: list[str | None] = [None] * len(times)
    if not times:
        return kept
    _keep_last_of(kept, times, policy.yearly, "yearly", lambda at: (at.year,))
    _keep_last_of(kept, times, policy.monthly, "monthly", lambda at: (at.year, at.month))
    _keep_last_of(kept, times, policy.weekly, "weekly", lambda at: at.isocalendar()[:2])
    for place, age in enumerate(ages(times, times[-1])):
        if age <= timedelta(days=policy.days):
            kept[place] = f"of the last {policy.days} days"
    kept[-1] = "the newest"
    return kept


def _keep_last_of(
    kept: list[str | None],
    times: Sequence[datetime],
    count: int,
    name: str,
    period: Callable[[datetime], tuple[int, ...]],
) -> None:
    """Give the last snapshot of each of the last `count` periods that have one a reason to stay."""
    last = {period(at): place for place, at in enumerate(times)}
    for place in sorted(last.values())[::-1][:count]:
        kept[place] = name


def is_due(made: Iterable[datetime], now: datetime, days: int) -> bool:
    """Say whether a backup is due that is made once in `days` days; one dated in the future does not count."""
    past = [at for at in made if at <= now + AHEAD]
    return not past or now - max(past) >= timedelta(days=days) - SLACK


def doubt(now: datetime, head: datetime, made: Sequence[datetime]) -> str | None:
    """Return what there is to say of a clock, by the time of the newest commit and of the snapshots of a place.

    A log whose newest commit lies ahead tells of a clock that was wrong once, where there are snapshots since.
    """
    newest = max(made, default=head)
    told = None
    if newest > now + AHEAD:
        told = f"there is a {'snapshot' if made else 'commit'} of {newest:%Y-%m-%d}"
    elif is_leap(now, [head, *made]):
        told = f"nothing was committed or backed up since {max(head, newest):%Y-%m-%d}"
    return told and f"this clock says {now:%Y-%m-%d}, and {told}"


def is_leap(at: datetime, before: Sequence[datetime]) -> bool:
    """Say whether an instant is more than a year after all of some."""
    return bool(before) and at - max(before) > SILENCE


def overdue(verified: datetime | None, founded: datetime, now: datetime, days: int) -> str | None:
    """Return what to say when no backup was read back for more than `days` days, or None when all is well."""
    since = verified if verified is not None and verified <= now + AHEAD else founded
    age = now - since
    if age <= timedelta(days=days):
        return None
    if since is founded:
        return UNVERIFIED
    return f"the last verified backup is {age.days} days old"


def forgetting(names: Iterable[str], place: str) -> str:
    """Return the command that removes snapshots from a place; of many, the first."""
    return f"crmcli backup forget {' '.join(sorted(names)[:_TOLD])} --yes --to {place}"


def failed(checks: Sequence[Result]) -> str:
    """Return what to say of snapshots whose last check failed, of which there is one or more."""
    last = max(checks, key=lambda one: one.snapshot)
    others = f" and {len(checks) - 1} more" if len(checks) > 1 else ""
    return f"snapshot {last.snapshot}{others} failed its last check, on {last.at[:10]}"
