"""The rules of the sales process: moves, wins, losses, sales, refunds, promises."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest

from crmcli.errors import InputError, RuleError
from crmcli.model import records as r
from crmcli.model.acting import Acting, clean_text
from crmcli.model.capture import Introduction, interest, introduce
from crmcli.model.closing import lose_until, move, win_with_sale
from crmcli.model.process import DEFAULT, Process, Stage
from crmcli.model.reminding import remind
from crmcli.model.selling import Item, refund, sell, void
from crmcli.model.touching import Touch, log_touch
from crmcli.model.worktime import Calendar

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def acting(at: datetime = NOW) -> Acting:
    return Acting(7, at, NOW, count(100).__next__)


def opened() -> r.Deal:
    client, _ = introduce(acting(), DEFAULT, Introduction("Anna"), "RU")
    records = interest(acting(), DEFAULT, client)
    return next(record for record in records if isinstance(record, r.Deal))


def only(kind: type, records: list[r.Record]) -> r.Record:
    (found,) = (record for record in records if isinstance(record, kind))
    return found


def test_a_lead_becomes_client_contact_deal_and_reminder() -> None:
    person = Introduction("  Anna ", ["8 916 123-45-67"], ["A@X.ru"], source="WEB", tax_id="77 01")
    client, contact = introduce(acting(), DEFAULT, person, "RU", date(2026, 4, 1))
    assert (contact.name, contact.phones, contact.raw_phones) == ("Anna", ("+79161234567",), ("8 916 123-45-67",))
    assert (contact.emails, contact.tax_id, client.source, client.owner_id) == (("a@x.ru",), "7701", "web", 7)
    due = NOW + timedelta(days=30)
    records = interest(acting(), DEFAULT, client, wants="tea", note="by phone", remind_at=due)
    deal, change = (only(kind, records) for kind in (r.Deal, r.StageChange))
    step, reminder = (record for record in records if isinstance(record, r.Reminder))
    assert (step.cause, step.deal_id) == ("process", deal.deal_id)  # type: ignore[union-attr]
    assert (deal.stage, change.move, change.to_stage, change.from_stage) == ("call", "open", "call", None)  # type: ignore[union-attr]
    assert (reminder.cause, reminder.due_at, reminder.deal_id) == ("buy_by", due, deal.deal_id)  # type: ignore[union-attr]
    assert [n.field for n in records if isinstance(n, r.Note)] == ["interest", "note", "about", "about"]
    assert not any(isinstance(x, r.Deal) for x in interest(acting(), DEFAULT, client, with_deal=False))


@pytest.mark.parametrize(
    ("to", "stage", "how"),
    [(None, "discovery", "forward"), ("Meeting", "meeting", "skip"), ("closing", "closing", "skip")],
)
def test_moves_forward(to: str | None, stage: str, how: str) -> None:
    deal, change, *_ = move(acting(), DEFAULT, opened(), to)
    assert isinstance(deal, r.Deal)
    assert isinstance(change, r.StageChange)
    assert (deal.stage, change.from_stage, change.to_stage, change.move) == (stage, "call", stage, how)


def test_moves_back_and_reopens() -> None:
    later = acting(NOW + timedelta(days=1))
    ahead = move(acting(), DEFAULT, opened(), "proposal")[0]
    assert isinstance(ahead, r.Deal)
    assert only(r.StageChange, move(later, DEFAULT, ahead, "call")).move == "back"  # type: ignore[union-attr]
    lost = lose_until(later, DEFAULT, ahead, "Price", (date(2026, 6, 1), NOW + timedelta(days=90)), [])
    gone, reminder = only(r.Deal, lost), only(r.Reminder, lost)
    assert (gone.status, gone.lost_reason, gone.return_on) == ("lost", "price", date(2026, 6, 1))  # type: ignore[union-attr]
    assert reminder.cause == "return"  # type: ignore[union-attr]
    back = move(later, DEFAULT, gone, "meeting")  # type: ignore[arg-type]
    deal, change = only(r.Deal, back), only(r.StageChange, back)
    assert (deal.status, deal.closed_at, deal.lost_reason, change.move) == ("open", None, None, "reopen")  # type: ignore[union-attr]


def test_what_the_rules_refuse() -> None:
    deal = opened()
    with pytest.raises(RuleError, match="already"):
        move(acting(), DEFAULT, deal, "call")
    with pytest.raises(InputError, match="no stage 'propsal'") as caught:
        move(acting(), DEFAULT, deal, "propsal")
    assert caught.value.hint == "there is proposal"
    with pytest.raises(InputError, match="no lost reason"):
        lose_until(acting(), DEFAULT, deal, "whim", (None, None), [])
    last = move(acting(), DEFAULT, deal, "closing")[0]
    assert isinstance(last, r.Deal)
    with pytest.raises(RuleError, match="last stage"):
        move(acting(), DEFAULT, last, None)
    won = win_with_sale(acting(), last, Decimal(100))[0]
    assert isinstance(won, r.Deal)
    with pytest.raises(RuleError, match="won"):
        move(acting(), DEFAULT, won, "call")
    with pytest.raises(RuleError, match="won"):
        win_with_sale(acting(), won, Decimal(1))
    earlier = NOW - timedelta(days=1)
    with pytest.raises(RuleError, match="the clock is behind the deal's last change"):
        move(replace(acting(earlier), now=earlier), DEFAULT, deal, None)
    with pytest.raises(RuleError, match="--when is before the deal's last change"):
        move(acting().when(earlier), DEFAULT, deal, None)


def test_winning_writes_the_sale_once_and_linked() -> None:
    deal = opened()
    records = win_with_sale(acting(), deal, Decimal("1500.50"), [Item("Tea", Decimal(3), Decimal("0.335"))])
    sale, line = only(r.Sale, records), only(r.SaleLine, records)
    assert (sale.deal_id, sale.amount, line.sale_id) == (deal.deal_id, Decimal("1500.50"), sale.sale_id)  # type: ignore[union-attr]
    assert line.amount == Decimal("1.00")  # type: ignore[union-attr]
    assert only(r.Note, records).text == "Tea"  # type: ignore[union-attr]


def test_listed_products_need_no_note() -> None:
    product = r.Product(5, "Tea")
    records = sell(acting(), 1, Decimal(10), [Item("tea", Decimal(1), Decimal(10))], [product])
    assert only(r.SaleLine, records).product_id == 5  # type: ignore[union-attr]
    assert not any(isinstance(record, r.Note) for record in records)


def test_what_is_won_is_of_the_product_that_the_deal_names() -> None:
    deal = replace(opened(), product_id=5)
    line = only(r.SaleLine, win_with_sale(acting(), deal, Decimal(90)))
    assert (line.product_id, line.quantity, line.price, line.amount) == (5, 1, 90, 90)  # type: ignore[union-attr]
    named = win_with_sale(acting(), deal, Decimal(90), [Item("Cup", Decimal(2), Decimal(45))], [r.Product(6, "Cup")])
    assert only(r.SaleLine, named).product_id == 6  # type: ignore[union-attr]


def test_refunds_never_exceed_what_is_left() -> None:
    (sale,) = sell(acting(), 1, Decimal(100))
    assert isinstance(sale, r.Sale)
    part = refund(acting(), sale, Decimal(60))
    assert (part.amount, part.refund_of) == (Decimal(-60), sale.sale_id)
    with pytest.raises(RuleError, match="only 40 "):
        refund(acting(), sale, Decimal("40.01"), [sale, part])
    assert refund(acting(), sale, Decimal(100), [sale, replace(part, voided=True)]).amount == -100
    with pytest.raises(RuleError, match="not voided"):
        refund(acting(), part, Decimal(1))
    with pytest.raises(RuleError, match="refunds"):
        void(sale, [part])
    assert void(sale).voided
    with pytest.raises(RuleError, match="already"):
        void(replace(sale, voided=True))


def test_a_promise_becomes_a_reminder_and_needs_a_date() -> None:
    due = (NOW + timedelta(days=2), True)
    records = log_touch(acting(), 1, Touch("call", "out", "answered", Decimal("2.5"), "hi", "price list", due), 9)
    call, reminder = only(r.Activity, records), only(r.Reminder, records)
    assert (call.seconds, call.deal_id, call.result) == (150, 9, "answered")  # type: ignore[union-attr]
    assert (reminder.is_promise, reminder.has_time, reminder.due_at) == (True, True, due[0])  # type: ignore[union-attr]
    for touch in (
        Touch("call", "out", "answered", promise="x"),
        Touch("call", "out", "answered", due=due),
        Touch("call", None, "answered"),
        Touch("dance"),
        Touch("meeting", minutes=Decimal(-1)),
    ):
        with pytest.raises(InputError):
            log_touch(acting(), 1, touch)


def test_one_open_reminder_a_cause_but_many_promises() -> None:
    (first,) = remind(acting(), 1, "next_purchase", NOW)
    assert isinstance(first, r.Reminder)
    (moved,) = remind(acting(), 1, "next_purchase", NOW + timedelta(days=5), known=[first])
    assert isinstance(moved, r.Reminder)
    assert (moved.reminder_id, moved.due_at) == (first.reminder_id, NOW + timedelta(days=5))
    (other,) = remind(acting(), 1, "next_purchase", NOW, known=[replace(first, status="done")])
    assert isinstance(other, r.Reminder)
    assert other.reminder_id == 100
    promise = replace(first, cause="promise")
    (second,) = remind(Acting(7, NOW, NOW, count(500).__next__), 1, "promise", NOW, known=[promise])
    assert isinstance(second, r.Reminder)
    assert second.reminder_id == 500


def test_texts_are_composed_and_bounded() -> None:
    assert clean_text(" e\u0301 ") == "é"
    assert clean_text(" \n ") is None
    for bad in ("a\0b", "\udcff", "x" * 100_001):
        with pytest.raises(InputError):
            clean_text(bad)


def test_a_process_is_what_its_plain_form_says() -> None:
    assert Process.from_plain(DEFAULT.to_plain()) == DEFAULT
    wrongs: tuple[dict[str, Any], ...] = (
        {},
        {"pipelines": []},
        {"pipelines": [{"id": "a", "stages": []}]},
        {"pipelines": [{"id": "a", "stages": ["x", "X"]}]},
        {"pipelines": [{"id": "a", "stages": ["won"]}]},
        {"pipelines": [{"id": "a", "stages": [{"id": "x", "norm": 3}]}]},
        {"pipelines": [{"id": "a", "stages": [{"id": "x", "next_action": "call"}]}]},
        {"pipelines": [{"id": "a", "stages": ["x"]}], "sources": ["a\x1b"]},
        {"pipelines": [{"id": "a", "stages": ["x"]}], "colour": 1},
    )
    for wrong in wrongs:
        with pytest.raises(InputError):
            Process.from_plain(wrong)


def test_a_process_of_before_has_no_norms() -> None:
    old = {"pipelines": [{"id": "a", "name": "A", "stages": [{"id": "x", "name": "X"}]}], "segments": ["b"]}
    process = Process.from_plain(old)
    assert process.pipelines[0].stages == (Stage("x", "X"),)
    assert (process.calendar, process.cadence) == (Calendar(), {})


def test_stages_say_how_long_and_what_next() -> None:
    cells = {"id": "x", "norm": "2d", "gap": "0d", "idle": "3bd", "require": ["phone"], "next_action": "звонок"}
    plain = {"pipelines": [{"id": "a", "stages": [cells, "y"]}], "segments": ["b"], "cadence": {"b": "7d"}}
    process = Process.from_plain(plain)
    stage = process.pipelines[0].stages[0]
    assert stage == Stage("x", "x", "2d", "0d", "3bd", ("phone",), "звонок")
    assert process.cadence == {"b": 7}
    assert Process.from_plain(process.to_plain()) == process
    assert (stage.next_step, replace(stage, gap=None).next_step, replace(stage, next_action=None).next_step) == (
        "0d",
        "2d",
        "0d",
    )
    assert replace(stage, gap=None, next_action=None).next_step is None
