"""Entering a stage makes the reminder of the next step; moving on needs what the stage requires."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from zoneinfo import ZoneInfo

import pytest

from crmcli.errors import InputError, RuleError
from crmcli.model import records as r
from crmcli.model.acting import Acting
from crmcli.model.closing import lose_until, move, win_with_sale
from crmcli.model.entering import start
from crmcli.model.process import DEFAULT, Pipeline, Process, Stage
from crmcli.model.requiring import require, stages_left
from crmcli.model.worktime import Calendar

MOSCOW = ZoneInfo("Europe/Moscow")
# Friday, 23:30 in Moscow.
FRIDAY = datetime(2026, 3, 6, 20, 30, tzinfo=UTC)
CLIENT = r.Client(1, FRIDAY, 7, 7)
PROCESS = Process(
    (
        Pipeline(
            "new",
            "New",
            (
                Stage("a", "A", "2bd", "1bd", next_action="позвонить", require=("phone", "segment")),
                Stage("b", "B", gap="0d", require=("amount",)),
                Stage("c", "C", "3d", next_action="ask", require=("product", "interest")),
                Stage("d", "D", "3d"),
            ),
        ),
    ),
    ("price",),
    (),
    ("private",),
    calendar=Calendar(holidays=("03-09",)),
)


def acting(at: datetime = FRIDAY, first: int = 100) -> Acting:
    return Acting(7, at, at, count(first).__next__, zone=MOSCOW)


def reminders(records: Iterable[r.Record], status: str = "open") -> list[r.Reminder]:
    return [record for record in records if isinstance(record, r.Reminder) and record.status == status]


def texts(records: Iterable[r.Record]) -> list[str]:
    return [record.text for record in records if isinstance(record, r.Note)]


def of(records: Iterable[r.Record]) -> r.Deal:
    return next(record for record in records if isinstance(record, r.Deal))


def test_a_new_deal_has_a_next_step() -> None:
    deal, records = start(acting(), PROCESS, CLIENT)
    (step,) = reminders(records)
    # Saturday and Sunday are free, Monday is a holiday.
    assert step.due_at == datetime(2026, 3, 9, 21, tzinfo=UTC)
    assert (step.cause, step.has_time, step.deal_id, step.assignee_id) == ("process", False, deal.deal_id, 7)
    assert texts(records) == ["позвонить"]


def test_going_on_ends_the_step_before_and_makes_the_next() -> None:
    deal, records = start(acting(), PROCESS, CLIENT)
    known = reminders(records)
    moved = move(acting(first=200), PROCESS, deal, None, known)
    (step,) = reminders(moved)
    assert (step.reminder_id, step.due_at) == (201, datetime(2026, 3, 5, 21, tzinfo=UTC))
    assert texts(moved) == []
    assert [done.reminder_id for done in reminders(moved, "done")] == [known[0].reminder_id]
    again = move(acting(first=300), PROCESS, of(moved), None, [*known, step])
    (step,) = reminders(again)
    assert step.due_at == datetime(2026, 3, 8, 21, tzinfo=UTC)
    last = move(acting(first=400), PROCESS, of(again), None, [step])
    assert reminders(last) == []
    assert len(reminders(last, "done")) == 1


def test_each_deal_of_a_client_has_a_step_of_its_own() -> None:
    one, first = start(acting(), PROCESS, CLIENT)
    _, second = start(acting(first=500), PROCESS, CLIENT)
    known = [*reminders(first), *reminders(second), *reminders(first, "done")]
    assert len(known) == 2
    moved = move(acting(first=200), PROCESS, one, None, known)
    assert [done.deal_id for done in reminders(moved, "done")] == [one.deal_id]


def test_a_closed_deal_has_no_step_any_more() -> None:
    deal, records = start(acting(), PROCESS, CLIENT)
    promise = replace(reminders(records)[0], cause="promise", reminder_id=1)
    known = [*reminders(records), promise]
    won = win_with_sale(acting(first=200), deal, Decimal(5), known=known)
    lost = lose_until(acting(first=300), PROCESS, deal, "price", (date(2026, 6, 1), FRIDAY + timedelta(days=87)), known)
    for closed in (won, lost):
        assert [done.reminder_id for done in reminders(closed, "done")] == [known[0].reminder_id]
    (back,) = reminders(lost)
    assert back.cause == "return"
    reopened = move(acting(first=400), PROCESS, of(lost), "a", [back])
    assert [step.cause for step in reminders(reopened)] == ["process"]
    assert [step.cause for step in reminders(reopened, "done")] == ["return"]


def test_each_lost_deal_of_a_client_comes_back_on_its_own_day() -> None:
    tea, cafe = (start(acting(first=n), PROCESS, CLIENT)[0] for n in (200, 300))
    days = [(date(2026, month, 1), datetime(2026, month, 1, tzinfo=UTC)) for month in (6, 9)]
    (first,) = reminders(lose_until(acting(first=400), PROCESS, tea, "price", days[0], []))
    (second,) = reminders(lose_until(acting(first=500), PROCESS, cafe, "price", days[1], [first]))
    assert (first.deal_id, first.due_at, second.deal_id, second.due_at) == (
        tea.deal_id,
        days[0][1],
        cafe.deal_id,
        days[1][1],
    )
    assert first.reminder_id != second.reminder_id
    # The same deal lost again moves its own; reopened, it ends its own.
    lost = replace(cafe, status="lost")
    (moved,) = reminders(lose_until(acting(first=600), PROCESS, cafe, "price", days[0], [first, second]))
    assert moved == replace(second, due_at=days[0][1])
    ended = reminders(move(acting(first=700), PROCESS, lost, "b", [first, second]), "done")
    assert [each.reminder_id for each in ended] == [second.reminder_id]


def test_the_step_is_for_the_owner() -> None:
    deal, _ = start(acting(), PROCESS, CLIENT)
    (step,) = reminders(move(acting(), PROCESS, replace(deal, owner_id=9), "c"))
    assert (step.assignee_id, step.created_by) == (9, 7)


def test_the_default_process_says_what_comes_next_everywhere() -> None:
    for pipeline in DEFAULT.pipelines:
        for stage in pipeline.stages:
            assert stage.norm
            assert stage.gap
            assert stage.idle
            assert stage.next_action
            assert not stage.require


def left(deal: r.Deal, to: str | None, *, is_won: bool = False) -> list[str]:
    return [stage.id for stage in stages_left(PROCESS.pipelines[0], deal, to, is_won=is_won)]


def test_every_stage_that_is_left_behind_asks() -> None:
    deal, _ = start(acting(), PROCESS, CLIENT)
    assert left(deal, None) == ["a"]
    assert left(deal, "D") == ["a", "b", "c"]
    assert left(deal, "a") == []
    assert left(replace(deal, stage="c"), "a") == []
    assert left(replace(deal, stage="d"), None) == ["d"]
    assert left(replace(deal, stage="c"), None, is_won=True) == ["c", "d"]
    assert left(replace(deal, stage="gone"), "b") == ["a"]
    with pytest.raises(InputError, match="no stage"):
        left(deal, "nowhere")


def test_what_is_not_known_is_named_with_the_command_that_fills_it() -> None:
    deal, _ = start(acting(), PROCESS, CLIENT)
    stages = PROCESS.pipelines[0].stages
    unknown = r.Contact(1, "Anna")
    with pytest.raises(RuleError) as caught:
        require(stages, CLIENT, unknown, deal, is_interest_known=False)
    assert caught.value.message == (
        "before the deal moves on this must be known: phone, segment, amount, product, interest"
    )
    assert caught.value.hint == (
        "crmcli edit-client 000000000001 --phone PHONE --segment SEGMENT; "
        "crmcli edit-deal 000000000001 --deal 000000000034 --amount AMOUNT --product PRODUCT --interest INTEREST"
    )
    known = replace(unknown, phones=("+79161234567",))
    client, whole = replace(CLIENT, segment="private"), replace(deal, amount=Decimal(0), product_id=1)
    require(stages, client, known, whole, is_interest_known=True)
    for incomplete in (
        (CLIENT, known, whole, True),
        (client, unknown, whole, True),
        (client, known, replace(whole, amount=None), True),
        (client, known, replace(whole, product_id=None), True),
        (client, known, whole, False),
    ):
        with pytest.raises(RuleError):
            require(stages, *incomplete[:3], is_interest_known=incomplete[3])
    require(stages[3:], CLIENT, unknown, deal, is_interest_known=False)
