"""The touch cadence: whose it is, when the next touch is due, and how many are planned."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import count
from zoneinfo import ZoneInfo

import pytest

from crmcli.errors import InputError
from crmcli.model import records as r
from crmcli.model.acting import Acting
from crmcli.model.cadence import MOST_OPEN, Touchable, cadence_of, next_touch, parse_cadence, plan, set_cadence

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
ZONE = ZoneInfo("Europe/Moscow")
ACTING = Acting(7, NOW, NOW, count(100).__next__)


def planned(*clients: Touchable, open_now: int = 0) -> list[tuple[int, str]]:
    made, waiting = plan(ACTING, clients, open_now, ZONE)
    assert waiting == 0 or len(made) == max(MOST_OPEN - open_now, 0)
    assert all(isinstance(x, r.Reminder) and (x.cause, x.has_time) == ("cadence", False) for x in made)
    return [(x.client_id, f"{x.due_at.astimezone(ZONE):%m-%d %H:%M}") for x in made if isinstance(x, r.Reminder)]


def test_a_cadence_has_three_forms() -> None:
    assert [parse_cadence(text) for text in (" 30D ", "none", "segment")] == [30, 0, None]
    assert [parse_cadence(text) for text in ("2w", "1m", "1y", "9999d")] == [14, 30, 365, 9999]
    for text in ("", "0d", "30", "0w", "28y", "-3d", "never", "30bd", "99999d"):
        with pytest.raises(InputError):
            parse_cadence(text)


def test_the_own_cadence_goes_before_that_of_the_segment_and_that_before_the_others() -> None:
    process = {"business": 30, "default": 90}
    assert [cadence_of(own, "business", process) for own in (None, 10, 0)] == [30, 10, None]
    assert [cadence_of(None, segment, process) for segment in ("private", None)] == [90, 90]
    assert cadence_of(None, "private", {"business": 30}) is None
    assert cadence_of(None, "business", {"business": 30}) == 30


def test_the_next_touch_is_a_local_day() -> None:
    # 22:30 in London is the next day in Moscow.
    assert next_touch(datetime(2026, 3, 1, 22, 30, tzinfo=UTC), 30, ZONE) == date(2026, 4, 1)


def test_touches_of_the_coming_week_are_planned_and_those_overdue_are_due_today() -> None:
    late, today, soon, later = (Touchable(n, 30, NOW - timedelta(days=d)) for n, d in enumerate((400, 30, 23, 22), 1))
    assert planned(late, today, soon, later) == [(1, "03-02 00:00"), (3, "03-09 00:00"), (2, "03-02 00:00")]


def test_no_more_are_open_than_somebody_can_do() -> None:
    clients = [Touchable(n, 30, NOW - timedelta(days=30 + n)) for n in range(1, 200)]
    chosen = [client for client, _ in planned(*clients)]
    assert (chosen[::2], chosen[1::2]) == (list(range(199, 174, -1)), list(range(1, 26)))
    assert [client for client, _ in planned(*clients, open_now=MOST_OPEN - 2)] == [199, 1]
    assert planned(*clients, open_now=MOST_OPEN + 5) == []
    assert [plan(ACTING, clients, open_now, ZONE)[1] for open_now in (0, MOST_OPEN + 5)] == [149, 199]


def test_who_is_long_overdue_gets_a_turn_however_little_is_done() -> None:
    """Clients come due faster than somebody works: 2 a day, of which 1 is done. The oldest still gets a turn."""
    open_ones: list[int] = list(range(1000, 1000 + MOST_OPEN))
    waiting = [Touchable(n, 30, NOW - timedelta(days=400 + n)) for n in range(20)]
    for day in range(20):
        waiting += [Touchable(100 + 2 * day + n, 30, NOW - timedelta(days=31)) for n in (0, 1)]
        open_ones.pop(0)
        made = [client for client, _ in planned(*waiting, open_now=len(open_ones))]
        waiting = [client for client in waiting if client.client_id not in made]
        open_ones += made
    assert not [client for client in waiting if client.client_id < 20]


def test_another_cadence_drops_what_was_planned_by_the_old_one() -> None:
    client = r.Client(5, NOW, 7, 7)
    known = [
        r.Reminder(n, 5, cause, NOW, False, 7, NOW, 7, status=status)
        for n, (cause, status) in enumerate([("cadence", "open"), ("promise", "open"), ("cadence", "done")])
    ]
    changed, dropped = set_cadence(client, 10, known)
    assert changed.cadence_days == 10
    assert [(x.reminder_id, x.status, x.done_at) for x in dropped if isinstance(x, r.Reminder)] == [(0, "done", None)]
