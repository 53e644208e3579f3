"""Figures of sales, calls, sources, lost deals and people against a plain count of the same records in Python."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from random import Random
from statistics import median
from typing import Any

import pytest

from crmcli.model import records as r
from crmcli.model.comparing import NO_CALLS, NO_SALES
from crmcli.model.periods import Unit, units
from crmcli.storage.figures import call_figures, closed_deals, lead_sources, lost_deals, sales_figures
from crmcli.storage.view import View
from tests.storage.company import NOW, Company
from tests.storage.test_reporting import made_up, put

START = datetime(2025, 3, 1, tzinfo=UTC)
# The first days of a year, whose week began in the one before.
AS_OF = START + timedelta(days=310)
SPAN = (START + timedelta(days=60, hours=5), START + timedelta(days=150))
PERIODS = {"value": SPAN, "previous": None}
CENT = Decimal("0.01")
PRODUCTS = (1, 2, None)


def base(seed: int) -> list[r.Record]:
    """Return clients, sales with and without lines, refunds, voided documents and calls at random."""
    random = Random(seed)
    records: list[r.Record] = []
    for number in range(1, 60):
        created = START + timedelta(hours=random.randrange(4000))
        source, segment = random.choice(("web", "phone", None)), random.choice(("private", "business", None))
        records.append(r.Client(number, created, 1, 1, source, segment))
    for number in range(1000, 1250):
        client, at = random.randrange(1, 50), START + timedelta(minutes=random.randrange(60 * 24 * 320))
        amount = Decimal(random.randrange(1, 100_000)).scaleb(-2)
        sale = r.Sale(number, client, at, amount, random.choice((1, 2, 3)), voided=random.random() < 0.1)
        records += [sale, *lines(random, sale)]
        if random.random() < 0.2 and not sale.voided:
            refunded = at + timedelta(hours=random.randrange(1000))
            back = -random.choice((amount, amount / 2)).quantize(CENT)
            refund = r.Sale(number + 1000, client, refunded, back, 2, refund_of=number)
            # Of what it is may be said of a refund, too.
            records += [refund, *(lines(random, refund) if random.random() < 0.5 else ())]
    for number in range(3000, 3400):
        at = START + timedelta(minutes=random.choice((7, 60)) * random.randrange(7600))
        result = random.choice((*r.CALL_RESULTS, r.ANSWERED, None))
        seconds = random.choice((None, 0, random.randrange(1, 2000)))
        direction, by = random.choice(r.DIRECTIONS), random.choice((1, 2, 3))
        is_void = random.random() < 0.05
        records.append(
            r.Activity(
                number, random.randrange(1, 30), "call", at, by, None, direction, result, seconds, voided=is_void
            )
        )
    return records


def lines(random: Random, sale: r.Sale) -> Iterable[r.SaleLine]:
    """Return what a sale is made of: nothing, or some products whose prices need not come to its sum."""
    sold = random.sample(PRODUCTS, random.randrange(3))
    for place, product in enumerate(sold):
        cost = sale.amount * random.choice((1, 2)) / len(sold)
        line_id = sale.sale_id * 10 + place
        yield r.SaleLine(line_id, sale.sale_id, sale.client_id, product, Decimal(1), None, cost.quantize(CENT))


def of(kind: type[Any], records: Iterable[r.Record]) -> list[Any]:
    return [record for record in records if isinstance(record, kind)]


class Hand:
    """Counts by hand."""

    def __init__(self, view: View, records: list[r.Record]) -> None:
        self.zone = view.settings.zone
        self.clients = {client.client_id: client for client in of(r.Client, records)}
        self.sales = [sale for sale in of(r.Sale, records) if not sale.voided and sale.sold_at <= AS_OF]
        self.by_id = {sale.sale_id: sale for sale in self.sales}
        self.lines = of(r.SaleLine, records)
        self.lined = {line.sale_id for line in self.lines}
        self.calls = [call for call in of(r.Activity, records) if not call.voided and call.happened_at <= AS_OF]
        nets: Counter[tuple[int, date]] = Counter()
        for sale in self.sales:
            original = self.by_id.get(sale.refund_of or 0, sale)
            nets[sale.client_id, self.day(original.sold_at)] += sale.amount
        self.firsts: dict[int, date] = {}
        for (client, day), net in sorted(nets.items()):
            if net > 0:
                self.firsts.setdefault(client, day)

    def day(self, at: datetime) -> date:
        return at.astimezone(self.zone).date()

    def unit(self, at: datetime, unit: Unit) -> str:
        day = self.day(at)
        return units(day, day + timedelta(days=1), unit)[0].label

    def parts(self, sale: r.Sale) -> list[tuple[int | None, Decimal]]:
        """What of a document is of each product."""
        costs: Counter[int | None] = Counter()
        for line in self.lines:
            if line.sale_id == (sale.sale_id if sale.sale_id in self.lined else sale.refund_of or sale.sale_id):
                costs[line.product_id] += line.amount
        total = sum(costs.values())
        if not total:
            return [(None, sale.amount)]
        return [(product, (sale.amount * cost / total)) for product, cost in costs.items()]

    def group_of_sale(self, sale: r.Sale, by: str | None) -> str | None:
        if by is None:
            return None
        if by == "manager":
            return str(sale.by_id)
        if by in ("source", "segment"):
            found: str | None = getattr(self.clients[sale.client_id], by)
            return found
        return self.unit(sale.sold_at, by)  # type: ignore[arg-type]

    def selling(self, span: tuple[datetime, datetime] | None, by: str | None) -> dict[str | None, dict[str, Any]]:
        groups: dict[str | None, list[tuple[r.Sale, Decimal]]] = {}
        for sale in self.sales:
            if span is None or span[0] <= sale.sold_at < span[1]:
                parts = self.parts(sale) if by == "product" else [(None, sale.amount)]
                for product, amount in parts:
                    group = self.group_of_sale(sale, by) if by != "product" else str(product) if product else None
                    groups.setdefault(group, []).append((sale, amount))
        found: dict[str | None, dict[str, Any]] = {}
        for group, documents in groups.items():
            sold = [(sale, amount) for sale, amount in documents if sale.amount > 0]
            gross = sum((amount for _, amount in sold), Decimal(0))
            refunds = -sum((amount for sale, amount in documents if sale.amount < 0), Decimal(0))
            new = {s.client_id for s, _ in sold if self.firsts.get(s.client_id) == self.day(s.sold_at)}
            found[group] = {
                "sales": len(sold),
                "gross": gross,
                "refunds": refunds,
                "volume": gross - refunds,
                "average_check": gross / len(sold) if sold else None,
                "median_check": median(amount for _, amount in sold) if sold else None,
                "clients": len({sale.client_id for sale, _ in sold}),
                "new_clients": len(new),
            }
        return found

    def calling(self, span: tuple[datetime, datetime] | None, by: str | None) -> dict[str | None, dict[str, Any]]:
        ways: dict[str | None, Callable[[r.Activity], str | None]] = {
            None: lambda _: None,
            "manager": lambda call: str(call.by_id),
            "result": lambda call: call.result,
            "hour": lambda call: f"{call.happened_at.astimezone(self.zone).hour:02}",
        }
        group_of = ways.get(by) or (lambda call: self.unit(call.happened_at, by))  # type: ignore[arg-type]
        groups: dict[str | None, list[r.Activity]] = {}
        for call in self.calls:
            if span is None or span[0] <= call.happened_at < span[1]:
                groups.setdefault(group_of(call), []).append(call)
        return {group: self.called(calls) for group, calls in groups.items()}

    def called(self, calls: list[r.Activity]) -> dict[str, Any]:
        incoming = [call for call in calls if call.direction == "in"]
        outgoing = [call for call in calls if call.direction == "out"]
        talks = [call for call in calls if is_talk(call)]
        returned = Counter(self.returned(call) for call in incoming if not is_talk(call))
        known = [call.seconds for call in talks if call.seconds is not None]
        minutes = sum(known) / 60 if known else None if talks else 0
        called = {call.client_id for call in outgoing}
        return {
            "incoming": len(incoming),
            "incoming_answered": sum(map(is_talk, incoming)),
            "outgoing": len(outgoing),
            "outgoing_answered": sum(map(is_talk, outgoing)),
            "missed": sum(returned.values()),
            **{name: returned[name] for name in ("returned_1h", "returned_day", "returned_later", "never_returned")},
            "clients_reached": len({call.client_id for call in talks}),
            "attempts_per_client": round(len(outgoing) / len(called), 2) if called else None,
            "talk_minutes": minutes,
            "median_seconds": median(known) if known else None,
        }

    def returned(self, missed: r.Activity) -> str:
        later = [
            call.happened_at
            for call in self.calls
            if call.client_id == missed.client_id
            and call.happened_at > missed.happened_at
            and (call.direction == "out" or is_talk(call))
        ]
        if not later:
            return "never_returned"
        if min(later) - missed.happened_at <= timedelta(hours=1):
            return "returned_1h"
        return "returned_day" if self.day(min(later)) == self.day(missed.happened_at) else "returned_later"


def is_talk(call: r.Activity) -> bool:
    is_said = call.result == r.ANSWERED or (call.result is None and call.seconds is not None)
    return is_said and call.seconds != 0


def same(found: dict[str, Any], wanted: dict[str, Any], within: Decimal) -> None:
    """Check each figure; of sums of parts, each rounded to a cent, some cents may be gone."""
    for name, want in wanted.items():
        if isinstance(want, (Decimal, float)) and found[name] is not None:
            assert abs(Decimal(found[name]) - Decimal(want)) <= within, (name, found, wanted)
        else:
            assert found[name] == want, (name, found, wanted)


SALES_BY = (None, "day", "week", "month", "quarter", "year", "manager", "source", "segment", "product")
CALLS_BY = (None, "day", "week", "month", "manager", "hour", "result")


def agree(
    view: View, by: str | None, count: Callable[..., Any], by_hand: Callable[..., Any], nothing: Any, within: Decimal
) -> None:
    """Check that the figures of each period have the groups that one finds by hand, and each what one counts of it."""
    rows = count(view, PERIODS, by, AS_OF)
    for name, span in PERIODS.items():
        found = {row["grouping"]: row for row in rows if row["period"] == name}
        wanted = by_hand(span, by)
        assert found.keys() == wanted.keys(), by
        for group, figures in wanted.items():
            assert figures.keys() == nothing.keys()
            same(found[group], figures, within)


@pytest.mark.parametrize("seed", range(2))
def test_sales_are_counted_as_by_hand(company: Company, seed: int) -> None:
    records = base(seed)
    view = put(company, *records)
    hand = Hand(view, records)
    for by in SALES_BY:
        within = Decimal("0.80") if by == "product" else Decimal("0.0051")
        agree(view, by, sales_figures, hand.selling, NO_SALES, within)


@pytest.mark.parametrize("seed", range(2))
def test_calls_are_counted_as_by_hand(company: Company, seed: int) -> None:
    records = base(seed)
    view = put(company, *records)
    hand = Hand(view, records)
    for by in CALLS_BY:
        agree(view, by, call_figures, hand.calling, NO_CALLS, Decimal("0.051"))


def test_what_came_in_the_same_moment_returns_no_call(company: Company) -> None:
    calls = [r.Activity(n, 1, "call", START, 1, None, way, "busy") for n, way in ((11, "in"), (12, "out"))]
    view = put(company, r.Client(1, START, 1, 1), *calls)
    [row] = call_figures(view, {"value": None}, None, AS_OF)
    assert (row["missed"], row["never_returned"]) == (1, 1)


@pytest.mark.parametrize(
    ("seconds", "name"),
    # Missed at 3 in the morning in Moscow; the last day is over 21 hours later.
    [(3600, "returned_1h"), (3601, "returned_day"), (21 * 3600 - 1, "returned_day"), (21 * 3600, "returned_later")],
)
def test_a_call_is_returned_within_the_hour_the_day_or_later(company: Company, seconds: int, name: str) -> None:
    back = START + timedelta(seconds=seconds)
    calls = [r.Activity(11, 1, "call", START, 1, None, "in", "busy"), r.Activity(12, 1, "call", back, 1, None, "out")]
    view = put(company, r.Client(1, START, 1, 1), *calls)
    [row] = call_figures(view, {"value": None}, None, AS_OF)
    names = ("returned_1h", "returned_day", "returned_later", "never_returned")
    assert {each: row[each] for each in names} == dict.fromkeys(names, 0) | {name: 1}


def ended(records: list[r.Record], as_of: datetime) -> dict[int, tuple[str, datetime | None, str | None]]:
    """Return of each deal where it was at an instant, since when, and where it came from."""
    states: dict[int, tuple[str, datetime | None, str | None]] = {}
    for change in of(r.StageChange, records):
        if change.changed_at is None or change.changed_at <= as_of:
            states[change.deal_id] = (change.to_stage, change.changed_at, change.from_stage)
    return states


@pytest.mark.parametrize("span", [None, SPAN])
def test_lost_deals_and_those_of_people_are_counted_as_by_hand(company: Company, span: Any) -> None:
    random = Random(5)
    records: list[r.Record] = []
    for record in made_up(5, 200):
        if isinstance(record, r.Deal):
            reason, amount = random.choice(("price", "timing", None)), random.choice((None, Decimal(100)))
            return_on = random.choice((None, date(2026, 1, 1)))
            fields = (record.status, record.opened_at, None, None, amount, None, reason, return_on)
            records.append(r.Deal(record.deal_id, record.client_id, record.owner_id, "new", record.stage, *fields))
        else:
            records.append(record)
    view = put(company, *records)
    deals = {deal.deal_id: deal for deal in of(r.Deal, records)}
    states = {
        deal_id: state
        for deal_id, state in ended(records, AS_OF).items()
        if deals[deal_id].opened_at is None or deals[deal_id].opened_at <= AS_OF
    }

    def is_within(at: datetime | None) -> bool:
        return span is None or (at is not None and span[0] <= at < span[1])

    wanted = Counter(
        (deals[deal_id].lost_reason, stage)
        for deal_id, (state, at, stage) in states.items()
        if state == "lost" and is_within(at)
    )
    rows = lost_deals(view, None, span, AS_OF)
    assert {(row["reason"], row["stage"]): row["lost"] for row in rows} == wanted
    assert lost_deals(view, "new", span, AS_OF) == rows
    assert lost_deals(view, "repeat", span, AS_OF) == []
    lost = [deals[n] for n, (state, at, _) in states.items() if state == "lost" and is_within(at)]
    assert sum(row["expected_amount"] or 0 for row in rows) == sum(deal.amount or 0 for deal in lost)
    assert sum(row["with_return"] for row in rows) == sum(deal.return_on is not None for deal in lost)
    for row in closed_deals(view, span, AS_OF):
        mine = [state for n, state in states.items() if str(deals[n].owner_id) == row["grouping"]]
        assert row["won"] == sum(state == "won" and is_within(at) for state, at, _ in mine)
        assert row["lost"] == sum(state == "lost" and is_within(at) for state, at, _ in mine)
        assert row["open_now"] == sum(state not in ("won", "lost") for state, _, _ in mine)


@pytest.mark.parametrize("span", [None, SPAN])
def test_sources_are_counted_as_by_hand(company: Company, span: Any) -> None:
    records = base(3)
    for n in range(1, 20):
        opened = START + timedelta(days=n)
        records.append(r.Deal(9000 + n, n, 1, "new", "call", "won" if n % 2 else "open", opened))
        records.append(r.StageChange(9500 + n, 9000 + n, n, "new", None, "call", "open", opened, 1))
        if n % 2:
            records.append(r.StageChange(9700 + n, 9000 + n, n, "new", "call", "won", "won", opened, 1))
    # Who gave back all of it has not bought.
    records += [r.Sale(1, 55, START, Decimal(10), 1), r.Sale(2, 55, START, Decimal(-10), 1, refund_of=1)]
    view = put(company, *records)
    hand = Hand(view, records)
    rows = {row["source"]: row for row in lead_sources(view, span, AS_OF)}
    cohort = [
        client
        for client in hand.clients.values()
        if client.created_at <= AS_OF and (span is None or span[0] <= client.created_at < span[1])
    ]
    assert sum(row["leads"] for row in rows.values()) == len(cohort)
    for source, row in rows.items():
        ids = {client.client_id for client in cohort if client.source == source}
        sales = [sale for sale in hand.sales if sale.client_id in ids]
        sold = [sale.amount for sale in sales if sale.amount > 0]
        assert row["leads"] == len(ids)
        assert row["clients"] == len(ids & hand.firsts.keys())
        assert row["won"] == sum(n in ids and n % 2 == 1 for n in range(1, 20))
        assert row["volume"] == sum(sale.amount for sale in sales)
        assert row["average_check"] == (None if not sold else round(sum(sold) / len(sold), 2))


def told(company: Company, *arguments: str) -> list[dict[str, Any]]:
    result = company.crmcli("report", *arguments, "--format", "json")
    assert result.code == 0, result
    found: list[dict[str, Any]] = json.loads(result.out)
    return found


def test_units_of_a_period_come_one_after_another_each_beside_the_one_before(company: Company) -> None:
    put(company, *base(0))
    whole = {row["month"]: row for row in told(company, "sales", "--by", "month")}
    months = told(company, "sales", "--by", "month", "--period", "2025")
    assert [row["month"] for row in months] == [f"2025-{n:02}" for n in range(1, 13)]
    for before, row in pairwise(months):
        assert row["previous_volume"] == before["volume"]
    # A period that begins within a month is compared with the whole one before.
    part, july = told(company, "sales", "--by", "month", "--from", "2025-06-10", "--to", "2025-08-01")
    assert part["month"] == "2025-06"
    assert (part["previous_volume"], part["change_pct"]) == (whole["2025-05"]["volume"], None)
    assert (july["previous_volume"], july["change_pct"]) == (whole["2025-06"]["volume"], whole["2025-07"]["change_pct"])
    assert july["change_pct"] is not None
    assert 0 < part["sales"] < whole["2025-06"]["sales"]
    # Days that have not come are no days without sales.
    coming = told(company, "sales", "--by", "day", "--period", "2026-03")
    assert [row["day"] for row in coming] == ["2026-03-01", "2026-03-02"]
    assert told(company, "calls", "--by", "week", "--period", "2026-04") == []


def test_who_sold_before_and_sells_no_more_is_seen(company: Company) -> None:
    clients = [r.Client(1, START, 1, 1, "web"), r.Client(2, START, 1, 1, "phone")]
    sales = [
        r.Sale(11, 1, datetime(2026, 1, 10, tzinfo=UTC), Decimal(100), 1),
        r.Sale(12, 2, datetime(2026, 2, 10, tzinfo=UTC), Decimal(50), 1),
    ]
    put(company, *clients, *sales)
    rows = told(company, "sales", "--by", "source", "--period", "2026-02")
    assert [(row["source"], row["volume"], row["previous_volume"], row["change_pct"]) for row in rows] == [
        ("phone", 50, 0, None),
        ("web", 0, 100, -100.0),
    ]
    assert [row["source"] for row in told(company, "calls", "--by", "result")] == []


def test_what_a_sale_is_of_comes_to_the_whole_of_it(company: Company) -> None:
    sales = [
        r.Sale(n, 1, START, amount, 1) for n, amount in ((1, Decimal(100)), (2, CENT), (3, Decimal("99999999999.99")))
    ]
    parts = [r.SaleLine(n * 10 + p, n, 1, p, Decimal(1), None, Decimal(10)) for n in (1, 2, 3) for p in (1, 2, 3)]
    view = put(company, r.Client(1, START, 1, 1), *sales, *parts)
    rows = sales_figures(view, {"value": None}, "product", AS_OF)
    assert [row["sales"] for row in rows] == [3, 3, 3]
    assert sum(row["gross"] for row in rows) == sum(sale.amount for sale in sales)


def test_a_base_without_anything_has_no_figures(company: Company) -> None:
    put(company, r.Client(1, NOW, 1, 1))
    for report in ("sales", "calls"):
        figures = told(company, report)
        assert {row["value"] for row in figures} <= {0, None}
        assert told(company, report, "--by", "month") == []
        assert told(company, report, "--by", "manager") == []
    assert told(company, "lost") == []
    assert told(company, "managers") == []
    assert [row["leads"] for row in told(company, "sources")] == [1]
