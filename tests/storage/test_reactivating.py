"""Reactivation against the definition applied client by client, on made-up bases; plans, their repetition, results."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from statistics import fmean

import pytest

from crmcli.model import records as r
from crmcli.model.bands import band, parse_bands
from crmcli.model.dates import local_day
from crmcli.model.ids import encode_id
from crmcli.model.reactivating import Wanted
from crmcli.model.returning import Norm, Norms, own_period, personal_period, priority
from crmcli.storage.reactivating import due, leads_due
from crmcli.storage.view import View
from tests.storage.company import NOW, Company
from tests.storage.test_returning import START, by_client, histories, put

BANDS = parse_bands("1, 1.5, 2, 3, 5")
DAY = timedelta(days=1)


def base(seed: int, clients: int = 80) -> list[r.Record]:
    """Return clients with documents, deals, touches and reminders at random."""
    random = Random(seed)
    records = histories(seed, clients)
    known = [record for record in records if isinstance(record, r.Client)]
    made: list[r.Record] = [record for record in records if not isinstance(record, r.Client)]
    for client in known:
        number = client.client_id
        made.append(
            r.Client(
                number, START, 1, 1, "web", client.segment, None, client.archived, random.random() < 0.1, None,
                random.choice((None, None, None, 20, 400)),
            )
        )  # fmt: skip
        at = [START + timedelta(hours=random.randrange(9000)) for _ in range(4)]
        if random.random() < 0.4:
            status = random.choice(("open", "open", "won", "lost"))
            closed = None if status == "open" else at[0] + 30 * DAY
            made.append(r.Deal(number * 7, number, 1, "new", "call", status, at[0], at[0], closed))
        for place in range(random.randrange(3)):
            deal = random.choice((number * 7, None, number * 7 + 1))
            voided = random.random() < 0.2
            kind, result = random.choice(
                (("call", "answered"), ("call", "answered"), ("visit", None), ("call", "busy"))
            )
            made.append(r.Activity(number * 9 + place, number, kind, at[place], 1, deal, "out", result, voided=voided))
        if random.random() < 0.4:
            cause = random.choice(("manual", "promise", "cadence", "process", "reactivation", "reactivation"))
            status = (
                random.choice(("open", "done", "held")) if cause == "reactivation" else random.choice(("open", "done"))
            )
            ended = at[2] + random.randrange(1, 200) * DAY if status == "done" else None
            due_at = at[2] + random.randrange(1, 60) * DAY
            made.append(
                r.Reminder(number * 11, number, cause, due_at, False, 1, at[2], 1, status=status, done_at=ended)
            )
    return made


def expected(records: list[r.Record], view: View, as_of: datetime, rule: str) -> dict[int, tuple[object, ...]]:
    """Return who is due by the definition, client by client: days, personal period, band, priority."""
    zone = view.settings.zone
    today = local_day(as_of, zone)
    clients = {record.client_id: record for record in records if isinstance(record, r.Client)}
    days = by_client(records, view, as_of)
    norms = _norms(days, clients, today)
    found: dict[int, tuple[object, ...]] = {}
    for number, bought in days.items():
        client = clients[number]
        norm = norms.of(client.segment).period_days
        since = (today - bought[-1]).days
        personal = personal_period(len(bought), own_period(bought), norm, client.period_days)
        limit = personal if rule == "own" else client.period_days or norm
        if client.archived or client.do_not_contact or since <= limit:
            continue
        mine = [record for record in records if getattr(record, "client_id", None) == number]
        if _is_worked_on(mine, as_of, today, norm, view) or _is_reminded(mine, as_of, view):
            continue
        sales = [s.amount for s in mine if isinstance(s, r.Sale) and not s.voided and s.sold_at <= as_of]
        checks = [amount for amount in sales if amount > 0]
        check = sum(checks, Decimal(0)) / len(checks)
        found[number] = (since, personal, band(since / personal, BANDS), priority(check, len(bought), since, norm))
    return found


def _norms(days: dict[int, list[date]], clients: dict[int, r.Client], today: date) -> Norms:
    def norm(numbers: Iterable[int]) -> Norm | None:
        own = [period for number in numbers if (period := own_period(days[number])) is not None]
        return Norm(len(own), *[fmean(own)] * 6) if own else None

    names = {clients[number].segment for number in days} - {None}
    segments = {name: norm(n for n in days if clients[n].segment == name) for name in names if name}
    return Norms(today, 90, norm(days), {name: found for name, found in segments.items() if found})


def _is_worked_on(mine: list[r.Record], as_of: datetime, today: date, norm: float, view: View) -> bool:
    deals = {
        deal.deal_id
        for deal in mine
        if isinstance(deal, r.Deal)
        and deal.opened_at is not None
        and deal.opened_at <= as_of
        and (deal.closed_at is None or deal.closed_at > as_of)
    }
    return bool(deals) and any(
        (today - local_day(touch.happened_at, view.settings.zone)).days <= norm
        for touch in mine
        if isinstance(touch, r.Activity)
        and not touch.voided
        and touch.result in (None, "answered")
        and touch.happened_at <= as_of
        and (touch.deal_id is None or touch.deal_id in deals)
    )


def _is_reminded(mine: list[r.Record], as_of: datetime, view: View) -> bool:
    soon = datetime.combine(local_day(as_of, view.settings.zone) + 15 * DAY, time(), view.settings.zone)
    for reminder in mine:
        if not isinstance(reminder, r.Reminder) or reminder.created_at > as_of or reminder.status == "held":
            continue
        is_open = reminder.done_at is None or reminder.done_at > as_of
        if reminder.cause == "reactivation":
            if not is_open and reminder.done_at and reminder.done_at > as_of - 90 * DAY:
                return True
        elif reminder.cause not in ("cadence", "process") and is_open and reminder.due_at < soon:
            return True
    return False


@pytest.mark.parametrize("seed", range(3))
def test_who_is_due_is_who_the_definition_says(company: Company, seed: int) -> None:
    records = base(seed)
    view = put(company, *records)
    total = 0
    for as_of in (NOW, START + 200 * DAY, START + 300 * DAY):
        for rule in ("segment", "own"):
            wanted = expected(records, view, as_of, rule)
            total += len(wanted)
            rows, left_out, _ = due(view, as_of, Wanted(rule))
            lost, others, _ = due(view, as_of, Wanted(rule, band="lost"))
            assert sum(others.values()) + len(lost) <= sum(left_out.values())
            assert set(left_out) <= {"lost", "deal", "reminder", "cool-down"}
            assert left_out.get("lost", 0) >= len(lost)
            assert {row["client_id"] for row in rows} == {n for n, found in wanted.items() if found[2] != "lost"}
            assert {row["client_id"] for row in lost} == {n for n, found in wanted.items() if found[2] == "lost"}
            for row in (*rows, *lost):
                days, personal, name, worth = wanted[row["client_id"]]
                assert (row["days_since_last"], row["band"]) == (days, name)
                assert row["period_days"] == pytest.approx(personal, abs=0.051)
                assert row["priority"] == pytest.approx(worth, abs=0.0051)
            assert [row["priority"] for row in rows] == sorted((row["priority"] for row in rows), reverse=True)
            some, _, _ = due(view, as_of, Wanted(rule, "private", limit=2))
            private = [row for row in rows if row["segment"] == "private"]
            assert [row["client_id"] for row in some] == [row["client_id"] for row in private[:2]]
            assert all(row["total"] == len(private) for row in some)
    assert total


def buyers(count: int, first: int = 1) -> list[r.Record]:
    """Return clients who bought twice, the last time long ago."""
    records: list[r.Record] = []
    for number in range(first, first + count):
        records.append(r.Client(number, START, 1, 1))
        records += [r.Sale(number * 10 + n, number, START + (10 * n + 1) * DAY, Decimal(9), 1) for n in range(2)]
    return records


def reminders(company: Company, who: str = "admin") -> list[r.Reminder]:
    found = company.view(who).records("reminders")
    return [reminder for reminder in found if reminder.cause == "reactivation"]


BAND_SETTING = ("settings", "set", "bands", "1 10 20 50 100")


def test_a_plan_is_made_once_and_never_calls_those_left_alone(company: Company) -> None:
    put(company, *buyers(400))
    assert company.crmcli(*BAND_SETTING).code == 0
    dry = company.crmcli("reactivate", "plan", "--dry-run", "--format", "json")
    assert (dry.code, reminders(company)) == (0, [])
    assert company.crmcli("reactivate", "plan", "--format", "json").out == dry.out
    made = reminders(company)
    status = Counter(reminder.status for reminder in made)
    assert status["open"] == 10 * 22
    assert 5 < status["held"] < 50
    listed = company.crmcli("list", "reminders", "--status", "held", "--format", "ids")
    assert (listed.code, len(listed.out.split())) == (0, status["held"])
    zone = company.view().settings.zone
    per_day = Counter(local_day(reminder.due_at, zone) for reminder in made if reminder.status == "open")
    assert set(per_day.values()) == {10}
    assert all(day.weekday() < 5 and day <= date(2026, 3, 31) for day in per_day)
    for now in (NOW, NOW + DAY, NOW + 28 * DAY):
        again = Company(company.folder, now).crmcli("reactivate", "plan")
        assert "nothing changed" in again.err, now
    # The next quarter takes those who found no place, and most of those who were left alone, but calls nobody again.
    spring = Company(company.folder, datetime(2026, 4, 1, 9, tzinfo=UTC))
    assert "commit: " in spring.crmcli("reactivate", "plan", "--per-day", "20").err
    twice = Counter(reminder.client_id for reminder in reminders(spring) if reminder.status == "open")
    assert set(twice.values()) == {1}
    held = {reminder.client_id for reminder in made if reminder.status == "held"}
    assert len(held & set(twice)) > len(held) / 2


def test_who_was_called_is_left_in_peace_for_the_cool_down(company: Company) -> None:
    put(company, *buyers(3))
    assert company.crmcli(*BAND_SETTING).code == 0
    assert company.crmcli("reactivate", "plan").code == 0
    with company.session().writing() as draft:
        draft.put(*(replace(one, status="done", done_at=NOW) for one in draft.records("reminders")))
    for days, found in ((1, 0), (89, 0), (91, 3)):
        later = Company(company.folder, NOW + timedelta(days=days))
        assert len(json.loads(later.crmcli("reactivate", "--format", "json").out)) == found


def test_a_member_plans_the_own_book_and_an_admin_all(company: Company) -> None:
    # Whether anybody is due or not.
    for who in ("analyst", "service"):
        assert company.crmcli("reactivate", "plan", who=who).code == 15
    for who in ("manager", "colleague"):
        put_as(company, who, [r.Client(n, START, 1, company.open(who).member_number) for n in _mine(who)])
    assert company.crmcli(*BAND_SETTING).code == 0
    assert company.crmcli("reactivate", "plan", who="manager").code == 0
    assert {reminder.client_id for reminder in reminders(company)} == set(_mine("manager"))
    for who in ("analyst", "service"):
        assert company.crmcli("reactivate", "plan", who=who).code == 15
    assert company.crmcli("reactivate", "plan", "--assign").code == 0
    made = {reminder.client_id: reminder.assignee_id for reminder in reminders(company)}
    assert made == {n: company.open(who).member_number for who in ("manager", "colleague") for n in _mine(who)}
    assert len(reminders(company, "colleague")) == 5


def _mine(who: str) -> range:
    return range(100, 105) if who == "manager" else range(200, 205)


def put_as(company: Company, who: str, clients: list[r.Client]) -> None:
    with company.session(who).writing() as draft:
        for client in clients:
            n = client.client_id
            draft.put(client, *(r.Sale(n * 10 + k, n, START + 10 * k * DAY, Decimal(9), 1) for k in range(2)))


def test_results_count_each_side_from_its_plan_on(company: Company) -> None:
    records: list[r.Record] = []
    for number in range(1, 101):
        status, back = ("held", number % 5 == 0) if number <= 40 else ("open", number % 2 == 0)
        records.append(r.Client(number, START, 1, 1))
        records.append(r.Sale(number * 10, number, START, Decimal(100), 1))
        created = NOW - 60 * DAY
        records.append(r.Reminder(number, number, "reactivation", created, False, 1, created, 1, status=status))
        if back:
            records.append(r.Sale(number * 10 + 1, number, NOW - 20 * DAY, Decimal(50), 1))
    put(company, *records)
    shown = company.crmcli("reactivate", "result", "--period", "2026-Q1", "--format", "json")
    planned, left_alone = json.loads(shown.out)
    assert (planned["clients"], planned["returned"], planned["returned_pct"], planned["sum"]) == (60, 30, 50.0, 1500)
    assert (left_alone["clients"], left_alone["returned"], left_alone["returned_pct"]) == (40, 8, 20.0)
    assert planned["lift_pct"] == 30.0
    assert 0 < planned["lift_low_pct"] < 30 < planned["lift_high_pct"] < 50
    assert left_alone["lift_pct"] is None
    soon = company.crmcli("reactivate", "result", "--within", "30d", "--format", "json")
    assert [row["returned"] for row in json.loads(soon.out)] == [0, 0]
    assert "may be chance" in soon.err
    assert "too few" in company.crmcli("reactivate", "result", "--period", "2025").err


def test_leads_are_due_by_their_day_or_for_want_of_a_touch(company: Company) -> None:
    records: list[r.Record] = [
        r.Client(1, NOW - 5 * DAY, 1, 1, buy_by=date(2026, 2, 27)),
        r.Client(2, NOW - 5 * DAY, 1, 1, buy_by=date(2026, 3, 2)),
        r.Client(3, NOW - 91 * DAY, 1, 1),
        r.Client(4, NOW - 91 * DAY, 1, 1),
        r.Activity(40, 4, "call", NOW - 5 * DAY, 1, direction="out", result="answered"),
        r.Client(5, NOW - 91 * DAY, 1, 1),
        r.Activity(50, 5, "call", NOW - 5 * DAY, 1, direction="out", result="answered", voided=True),
        r.Activity(51, 5, "call", NOW - 4 * DAY, 1, direction="out", result="no-answer"),
        r.Client(6, NOW - 21 * DAY, 1, 1, cadence_days=20),
        r.Client(7, NOW - 91 * DAY, 1, 1),
        r.Sale(70, 7, NOW - 80 * DAY, Decimal(1), 1),
        r.Client(8, NOW - 91 * DAY, 1, 1),
        r.Sale(80, 8, NOW - 80 * DAY, Decimal(1), 1),
        r.Sale(81, 8, NOW - 70 * DAY, Decimal(-1), 1, refund_of=80),
        r.Client(9, NOW - 91 * DAY, 1, 1, archived=True),
        r.Client(10, NOW - 91 * DAY, 1, 1, do_not_contact=True),
        r.Client(11, NOW - 91 * DAY, 1, 1),
        r.Reminder(110, 11, "promise", NOW + DAY, False, 1, NOW, 1),
    ]
    rows = leads_due(put(company, *records), NOW, None, 0)
    assert [(row["client_id"], row["reason"]) for row in rows] == [
        (1, "buy-by passed"), (6, "not touched"), (3, "not touched"), (5, "not touched"), (8, "not touched"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "sales",
    [
        [],
        [(0, 10)],
        [(0, 10), (0, 20), (0.2, 30)],
        [(0, 10), (1, -30)],
        [(0, -10)],
        [(0, 10), (900, 10)],
        [(900, 10)],
    ],
    ids=["nothing", "once", "one day", "refunds larger", "refund only", "future", "future only"],
)
def test_degenerate_bases_give_no_invented_figure(company: Company, sales: list[tuple[float, int]]) -> None:
    put(
        company,
        r.Client(1, START, 1, 1),
        *(r.Sale(n, 1, START + days * DAY, Decimal(amount), 1) for n, (days, amount) in enumerate(sales, 10)),
    )
    who = encode_id(1)
    commands = (
        ("reactivate",),
        ("reactivate", "--rule", "own"),
        ("reactivate", "--band", "lost"),
        ("reactivate", "--leads"),
        ("reactivate", "plan"),
        ("reactivate", "result"),
        ("report", "periods"),
        ("client", "period", who),
        ("norms",),
        ("expected", "--within", "9999d"),
        ("report", "repeat"),
        ("suggest", who),
        ("prep", who),
    )
    for command in commands:
        for form in ("table", "json"):
            shown = company.crmcli(*command, "--format", form)
            assert shown.code == 0, (command, shown.err)
            assert not {"nan", "inf", "NaN", "Infinity"} & set(shown.out.replace(",", " ").split())
    told = company.crmcli("report", "periods")
    assert "nobody has bought" in told.err
    assert json.loads(company.crmcli("report", "periods", "--format", "json").out)[-1]["median_days"] is None


def test_looking_at_lists_is_recorded_where_the_company_wants_that(company: Company) -> None:
    put(company, *buyers(6))
    assert company.crmcli(*BAND_SETTING).code == 0
    with company.session().writing() as draft:
        draft.put(*(r.Contact(number, f"Client {number}") for number in range(1, 7)))
    assert company.crmcli("settings", "set", "record_reveals", "on").code == 0
    who = encode_id(1)
    for command in (
        ("reactivate",),
        ("reactivate", "plan", "--dry-run"),
        ("expected",),
        ("prep", who),
        ("client", "period", who),
    ):
        before = company.open().state.seq
        assert company.crmcli(*command).code == 0
        assert company.open().state.seq == before + 1, command
    before = company.open().state.seq
    assert company.crmcli("client", "period", who, "--set", "45d").code == 0
    assert company.open().state.seq == before + 1


@pytest.mark.parametrize(
    ("bought", "touched", "is_due"), [(90, 200, False), (91, 200, True), (91, 90, False), (91, 91, True)]
)
def test_a_period_is_over_on_the_day_after_it(company: Company, bought: int, touched: int, is_due: bool) -> None:
    view = put(
        company,
        r.Client(1, NOW - 300 * DAY, 1, 1),
        r.Sale(10, 1, NOW - bought * DAY, Decimal(5), 1),
        r.Deal(20, 1, 1, "new", "call", "open", NOW - 250 * DAY, NOW - 250 * DAY),
        r.Activity(30, 1, "call", NOW - touched * DAY, 1, 20, "out", "answered"),
    )
    rows, left_out, _ = due(view, NOW, Wanted())
    assert bool(rows) is is_due
    assert left_out == ({"deal": 1} if bought > 90 and touched <= 90 else {})


def test_who_is_late_and_left_out_is_counted_once_by_reason(company: Company) -> None:
    def late(number: int, days: int = 120) -> list[r.Record]:
        return [r.Client(number, START, 1, 1), r.Sale(number, number, NOW - days * DAY, Decimal(5), 1)]

    def reminder(number: int, cause: str, due_at: datetime, **more: object) -> r.Reminder:
        return replace(r.Reminder(number, number, cause, due_at, False, 1, NOW - 50 * DAY, 1), **more)  # type: ignore[arg-type]

    records = [record for number in range(1, 9) for record in late(number)]
    records += [*late(9, 600), *late(10, 10)]
    deals = [r.Deal(n, n, 1, "new", "call", "open", NOW - 50 * DAY, NOW - 50 * DAY) for n in (1, 2, 3)]
    calls = [r.Activity(n, n, "call", NOW - 9 * DAY, 1, n, "out", how) for n, how in ((1, "answered"), (2, "busy"))]
    reminders = [
        reminder(4, "promise", NOW - 30 * DAY),
        reminder(5, "manual", NOW + 14 * DAY),
        reminder(6, "manual", NOW + 15 * DAY),
        reminder(7, "cadence", NOW),
        reminder(8, "reactivation", NOW - 20 * DAY, status="done", done_at=NOW - 20 * DAY),
    ]
    rows, left_out, _ = due(put(company, *records, *deals, *calls, *reminders), NOW, Wanted())
    assert {row["client_id"] for row in rows} == {2, 3, 6, 7}
    assert left_out == {"lost": 1, "deal": 1, "reminder": 2, "cool-down": 1}
    told = company.crmcli("reactivate").err
    assert "past the period, and left out: 1 lost (--band lost lists them), 1 with an open deal that is " in told
