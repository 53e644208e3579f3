"""Which snapshots stay, when a backup is due, and when the last verified one is too old; clocks may be wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from crmcli.model.backups import Policy, Result, age_of, ages, doubt, is_due, overdue, reasons_to_keep

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
DAY = timedelta(days=1)


def daily(days: int) -> list[datetime]:
    return [NOW - n * DAY for n in range(days)][::-1]


def kept(times: list[datetime], policy: Policy) -> list[int]:
    """How many days before the newest each snapshot is that stays."""
    reasons = reasons_to_keep(times, policy)
    return [(times[-1] - at).days for at, reason in zip(times, reasons, strict=True) if reason][::-1]


def test_four_years_of_days_are_thinned_out() -> None:
    left = kept(daily(1500), Policy())
    assert left[:31] == list(range(31))
    assert len(left) < 31 + 8 + 12 + 3
    # The end of the twelfth month, and of the third year.
    assert left[-2:] == [306, 426]


def test_each_rule_counts_periods_that_have_a_snapshot() -> None:
    times = [NOW - 400 * DAY, NOW - 100 * DAY, NOW]
    assert kept(times, Policy(0, 0, 0, 0)) == [0]
    assert kept(times, Policy(0, 2, 0, 0)) == [0, 100]
    assert kept(times, Policy(0, 0, 3, 0)) == [0, 100, 400]
    assert kept(times, Policy(0, 0, 0, 2)) == [0, 100]
    assert reasons_to_keep([], Policy()) == []
    assert reasons_to_keep(times, Policy(0, 0, 0, 9))[-1] == "the newest"


def test_a_clock_ten_years_ahead_ages_nothing_at_a_stroke() -> None:
    times = [*daily(20), NOW + 3650 * DAY]
    assert all(reasons_to_keep(times, Policy(30, 0, 0, 0)))
    assert ages(times, times[-1])[0] == 27 * DAY
    assert age_of(NOW - 25 * DAY, daily(3), NOW + 3650 * DAY) == (8 + 2 + 8) * DAY


def test_a_backup_is_due_once_the_last_one_is_old_enough() -> None:
    assert is_due([], NOW, 7)
    assert not is_due([NOW - 6 * DAY], NOW, 7)
    assert is_due([NOW - 7 * DAY + timedelta(minutes=30)], NOW, 7)
    assert is_due([NOW - 9 * DAY, NOW + 30 * DAY], NOW, 7)


@pytest.mark.parametrize(
    ("verified", "founded", "expected"),
    [
        (NOW - 8 * DAY, NOW - 99 * DAY, None),
        (NOW - 9 * DAY, NOW - 99 * DAY, "the last verified backup is 9 days old"),
        (None, NOW - 3 * DAY, None),
        (None, NOW - 9 * DAY, "no backup of this store has been verified yet"),
        (NOW + 9 * DAY, NOW - 9 * DAY, "no backup of this store has been verified yet"),
    ],
)
def test_overdue(verified: datetime | None, founded: datetime, expected: str | None) -> None:
    assert overdue(verified, founded, NOW, 8) == expected


@pytest.mark.parametrize(("kind", "counts"), [("deep", True), ("drill", True), ("verify", False), ("1/7", False)])
def test_only_what_reads_every_byte_verifies(kind: str, counts: bool) -> None:
    assert Result(kind, "", "", True, 1.0, 1, 1).reads_all is counts
    assert not Result(kind, "", "", False, 1.0, 1, 1).reads_all


def test_a_clock_is_doubted_that_is_far_from_all_that_is_known() -> None:
    week_ago, year_ago = NOW - 7 * DAY, NOW - 367 * DAY
    assert doubt(NOW, week_ago, []) is None
    assert doubt(NOW, week_ago, [week_ago, NOW + timedelta(hours=20)]) is None
    assert doubt(NOW, year_ago, [year_ago, week_ago]) is None
    assert doubt(NOW, week_ago, [year_ago]) is None
    # A log that a wrong clock has set ahead, where backups were made under right ones since.
    assert doubt(NOW, NOW + 3650 * DAY, [week_ago]) is None
    today = f"this clock says {NOW:%Y-%m-%d}, and "
    assert doubt(NOW, week_ago, [week_ago, NOW + 2 * DAY]) == f"{today}there is a snapshot of {NOW + 2 * DAY:%Y-%m-%d}"
    assert doubt(NOW, NOW + 2 * DAY, []) == f"{today}there is a commit of {NOW + 2 * DAY:%Y-%m-%d}"
    since = f"{today}nothing was committed or backed up since {year_ago:%Y-%m-%d}"
    assert doubt(NOW, year_ago, []) == doubt(NOW, year_ago, [year_ago - DAY]) == since
