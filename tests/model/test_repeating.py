"""Repetition and cron slots: steps, clocks that change, leap days, and what is refused."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crmcli.errors import InputError
from crmcli.model import records as r
from crmcli.model.reminding import snooze
from crmcli.model.repeating import (
    count_slots,
    following,
    in_series,
    parse_cron,
    parse_repeat,
    slot_after,
    slot_before,
)

MOSCOW, BERLIN = ZoneInfo("Europe/Moscow"), ZoneInfo("Europe/Berlin")


def local(text: str, zone: ZoneInfo = BERLIN, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).astimezone(UTC)


def reminder(due: str, repeat: str, start: str | None = None, *, has_time: bool = False) -> r.Reminder:
    due_at = local(due, MOSCOW)
    return r.Reminder(1, 2, "manual", due_at, has_time, 7, due_at, 7, repeat=repeat, repeat_from=start)


@pytest.mark.parametrize(("text", "plain"), [("30D", "30d"), (" 2w ", "2w"), ("0  9 * * MON", "0 9 * * mon")])
def test_a_repetition_has_one_form(text: str, plain: str) -> None:
    assert parse_repeat(text) == plain


@pytest.mark.parametrize(
    "text",
    ["", "0d", "30", "100y", "1000m", "10000d", "d", "monthly", "@daily", "* * * *", "* * * * * *", "0 9 * * 8",
     "0 9 30 2 *", "r r * * *", "h h * * *", "0 r(8-9) * * *", "61 * * * *", "0 9 * * " + "1," * 40 + "1"],
)  # fmt: skip
def test_what_is_no_repetition(text: str) -> None:
    with pytest.raises(InputError):
        parse_repeat(text)
    with pytest.raises(InputError):
        parse_cron(text)


@pytest.mark.parametrize(
    ("due", "repeat", "start", "done", "again"),
    [
        ("2026-03-02", "30d", None, "2026-03-05 12:00", "2026-04-04 00:00"),
        ("2026-03-02", "30d", "done", "2026-03-05 12:00", "2026-04-04 00:00"),
        ("2026-03-02", "30d", "due", "2026-03-05 12:00", "2026-04-01 00:00"),
        ("2026-03-02", "1w", "due", "2026-06-05 12:00", "2026-06-08 00:00"),
        ("2026-01-31", "1m", "due", "2026-01-31 12:00", "2026-02-28 00:00"),
        ("2026-01-31", "1m", "due", "2026-03-01 12:00", "2026-03-31 00:00"),
        ("2024-02-29", "1y", "due", "2024-02-29 12:00", "2025-02-28 00:00"),
        ("2024-02-29", "1y", "due", "2027-03-01 12:00", "2028-02-29 00:00"),
        ("2026-03-02 10:00", "0 9 * * mon", None, "2026-03-02 11:00", "2026-03-09 09:00"),
        ("2026-03-02 10:00", "0 9 * * mon", None, "2026-04-02 11:00", "2026-04-06 09:00"),
    ],
)
def test_the_next_one_is_one_and_lies_ahead(due: str, repeat: str, start: str | None, done: str, again: str) -> None:
    found = following(reminder(due, repeat, start), local(done, MOSCOW), MOSCOW)
    assert found is not None
    assert found.due_at == local(again, MOSCOW)
    assert found.has_time == (" " in repeat)


@given(
    st.sampled_from(["1d", "30d", "2w", "1m", "1y", "0 9 * * *", "*/7 * * * *"]),
    st.sampled_from(["done", "due"]),
    st.integers(-3000, 3000),
)
def test_the_next_one_always_lies_after_the_last(repeat: str, start: str, hours: int) -> None:
    before = reminder("2026-03-02 10:00", repeat, start)
    done_at = before.due_at + timedelta(hours=hours)
    found = following(before, done_at, BERLIN)
    assert found is not None
    assert found.due_at > done_at


@given(
    st.sampled_from([("1m", 1), ("2m", 2), ("3m", 3), ("1y", 12), ("4y", 48)]),
    st.dates(date(2024, 1, 27), date(2024, 3, 1)),
    st.sampled_from(["done", "due"]),
    st.lists(st.integers(-20, 20), min_size=30, max_size=30),
    st.booleans(),
)
def test_a_series_keeps_its_day_for_years(
    repeat: tuple[str, int], first: date, start: str, snoozes: list[int], has_time: bool
) -> None:
    """Whatever is put off meanwhile, or done early; short months have their last day.

    What counts from when it was done keeps it if it is done on its day.
    """
    clock = "10:30" if has_time else "00:00"
    one = in_series(reminder(f"{first} {clock}", repeat[0], start, has_time=has_time), MOSCOW)
    for steps, days in enumerate(snoozes, 1):
        moved = one
        if start == "due":
            moved = snooze(one, (one.due_at + timedelta(days=days, hours=3), not has_time), MOSCOW)
        found = following(moved, moved.due_at + timedelta(hours=2), MOSCOW)
        assert found is not None
        one = found
        year, month = divmod(first.year * 12 + first.month - 1 + steps * repeat[1], 12)
        day = min(first.day, monthrange(year, month + 1)[1])
        assert one.due_at == local(f"{year}-{month + 1:02}-{day:02} {clock}", MOSCOW)
        assert one.has_time == has_time


def test_a_week_that_is_put_off_moves_no_other() -> None:
    weekly = in_series(reminder("2026-03-02", "1w", "due"), MOSCOW)
    moved = snooze(weekly, (local("2026-03-05 11:00", MOSCOW), True), MOSCOW)
    found = following(moved, local("2026-03-05 12:00", MOSCOW), MOSCOW)
    assert found is not None
    assert (found.due_at, found.has_time) == (local("2026-03-09", MOSCOW), False)


def test_a_series_of_before_begins_with_the_one_that_there_is() -> None:
    old = reminder("2026-01-31", "1m", "due")
    moved = snooze(old, (local("2026-02-03", MOSCOW), False), MOSCOW)
    found = following(moved, local("2026-02-03 12:00", MOSCOW), MOSCOW)
    assert found is not None
    assert (found.due_at, found.repeat) == (local("2026-02-28", MOSCOW), "1m@2026-01-31+1")


@pytest.mark.parametrize(
    ("cron", "at", "after"),
    [
        ("30 2 * * *", "2026-03-29 00:00", local("2026-03-29 03:30")),  # 02:30 does not exist: later by the gap
        ("30 2 * * *", "2026-10-25 00:00", local("2026-10-25 02:30")),  # it comes twice: the first
        ("0 9 29 2 *", "2026-03-01 00:00", local("2028-02-29 09:00")),
        ("0 8 * * *", "2026-03-28 08:00", local("2026-03-29 08:00")),
        ("0 8 * * *", "2026-10-24 08:00", local("2026-10-25 08:00")),
    ],
)
def test_slots_where_the_clocks_change(cron: str, at: str, after: datetime) -> None:
    assert slot_after(cron, local(at), BERLIN) == after
    assert slot_before(cron, after, BERLIN) == after
    assert slot_before(cron, after - timedelta(microseconds=1), BERLIN) < after
    assert slot_after(cron, after, BERLIN) > after


def test_an_hour_that_comes_twice_has_a_slot_once_if_the_hour_is_named() -> None:
    first = local("2026-10-25 02:30")
    assert slot_after("30 2 * * *", first, BERLIN) == local("2026-10-26 02:30")
    assert slot_before("30 2 * * *", first + timedelta(minutes=70), BERLIN) == first


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
def test_slots_of_every_hour_follow_real_time_when_the_clocks_change(day: str) -> None:
    at = local(f"{day} 00:00")
    for _ in range(60):
        assert slot_after("*/10 * * * *", at, BERLIN) == at + timedelta(minutes=10)
        assert slot_before("*/10 * * * *", at + timedelta(minutes=9), BERLIN) == at
        at += timedelta(minutes=10)


@given(
    st.sampled_from(["* * * * *", "0 * * * *", "30 2 * * *", "15 1-3 * * *", "0 9 * * mon-fri", "0 0 1 * *"]),
    st.sampled_from(["2026-03-28", "2026-10-24"]),
    st.timedeltas(timedelta(), timedelta(days=3)),
)
def test_slots_before_and_after_enclose_an_instant(cron: str, day: str, passed: timedelta) -> None:
    at = local(f"{day} 00:00") + passed
    before, after = slot_before(cron, at, BERLIN), slot_after(cron, at, BERLIN)
    assert before <= at < after
    assert slot_after(cron, before - timedelta(microseconds=1), BERLIN) == before
    assert slot_before(cron, after, BERLIN) == after


@example("0 * * * *", "2026-10-24", timedelta(), timedelta(days=3), BERLIN)
@example("0 * * * *", "2026-03-28", timedelta(), timedelta(days=3), BERLIN)
@example("30 2 * * *", "2026-10-24", timedelta(days=1, hours=2, minutes=45), timedelta(days=1), BERLIN)
@given(
    st.sampled_from(
        ["*/7 * * * *", "0 * * * *", "30 2 * * *", "15,45 1-3 * * *", "0 9 * * mon-fri", "0 0 1 * *", "5 0 29 2 *"]
    ),
    st.sampled_from(["2026-03-28", "2026-10-24", "2028-02-27"]),
    st.timedeltas(timedelta(), timedelta(days=2)),
    st.timedeltas(timedelta(), timedelta(days=4)),
    st.sampled_from([MOSCOW, BERLIN, ZoneInfo("America/St_Johns"), ZoneInfo("Africa/Cairo")]),
)
def test_slots_are_counted_as_they_come(
    cron: str, day: str, passed: timedelta, span: timedelta, zone: ZoneInfo
) -> None:
    start = local(f"{day} 00:00", zone) + passed
    end, at, expected = start + span, start, 0
    while (at := slot_after(cron, at, zone)) <= end:
        expected += 1
    assert count_slots(cron, start, end, zone) == expected
