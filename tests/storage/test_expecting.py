"""Next purchases of the whole base against the rule for one client; the question on a terminal."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from decimal import Decimal
from random import Random

import pytest

from crmcli import cli
from crmcli.model import records as r
from crmcli.model.ids import encode_id
from crmcli.model.returning import occasions
from crmcli.output import Output
from crmcli.storage.expecting import expected, expected_of
from crmcli.storage.view import View
from tests.storage.company import NOW, Company, environment
from tests.storage.test_returning import START, histories, put

DAY = timedelta(days=1)


def base(seed: int) -> list[r.Record]:
    """Return clients with documents and lines at random, some with a day that they named or a period set by hand."""
    random = Random(seed)
    records: list[r.Record] = [r.Product(n, f"P{n}", use_up_days=random.choice((None, 0, 7, 40))) for n in range(1, 6)]
    for record in histories(seed, 80):
        if isinstance(record, r.Client):
            day = (START + random.randrange(-30, 400) * DAY).date() if random.random() < 0.3 else None
            by_hand = random.choice((None, None, None, None, 45))
            alone = random.random() < 0.05
            records.append(
                r.Client(
                    record.client_id, START, 1, 1, None, record.segment, day, record.archived, alone, None, by_hand
                )
            )
            continue
        records.append(record)
        if isinstance(record, r.Sale) and record.amount > 0 and random.random() < 0.4:
            for place in range(random.randrange(1, 4)):
                quantity = Decimal(random.randrange(1, 9000)) / 1000
                product = random.choice((1, 2, 3, 4, 5, None))
                number = record.sale_id * 10 + place
                records.append(
                    r.SaleLine(number, record.sale_id, record.client_id, product, quantity, None, Decimal(1))
                )
    return records


@pytest.mark.parametrize("seed", range(2))
def test_the_whole_base_is_expected_as_each_client_is(company: Company, seed: int) -> None:
    view = put(company, *base(seed))
    origins, zone = set(), view.settings.zone
    for as_of in (NOW, START + 150 * DAY, START + 320 * DAY):
        rows, _ = expected(view, as_of, 5000)
        found = {row["client_id"]: row for row in rows}
        for client in view.records("clients")[::2]:
            rule = expected_of(view, client, as_of, client.buy_by)
            has_bought = rule is not None and bool(occasions(view.of_client("sales", client.client_id), zone, as_of))
            is_over = rule is not None and not has_bought and rule.on < as_of.date()
            if client.archived or client.do_not_contact or rule is None or is_over:
                assert client.client_id not in found
                continue
            row = found[client.client_id]
            assert tuple(row[name] for name in ("expected_on", "from_on", "to_on", "origin", "is_weak")) == rule
            assert row["overdue_days"] == max(0, (as_of.date() - rule.on).days)
            origins.add(rule.origin)
        assert [row["expected_on"] for row in rows] == sorted(row["expected_on"] for row in rows)
        near, _ = expected(view, as_of, 14)
        until = as_of.date() + 14 * DAY
        assert [row["client_id"] for row in near] == [row["client_id"] for row in rows if row["expected_on"] <= until]
    assert origins == {"stated", "use-up", "rhythm", "segment"}


def test_a_base_with_too_few_who_bought_twice_has_no_window(company: Company) -> None:
    clients = [r.Client(number, START, 1, 1, period_days=40 if number == 3 else None) for number in (1, 2, 3)]
    sold = {1: (0, 30), 2: (40,), 3: (10, 50)}
    sales = [r.Sale(n * 9 + day, n, START + day * DAY, Decimal(5), 1) for n, days in sold.items() for day in days]
    view = put(company, *clients, *sales)
    rows, _ = expected(view, START + 60 * DAY, 5000)
    assert {row["client_id"]: (row["origin"], row["from_on"] is None, row["is_weak"]) for row in rows} == {
        1: ("rhythm", True, True), 2: ("segment", True, True), 3: ("rhythm", False, False),
    }  # fmt: skip
    for row in rows:
        [client] = view.records("clients", "client_id", [row["client_id"]])
        rule = expected_of(view, client, START + 60 * DAY)
        assert tuple(row[name] for name in ("expected_on", "from_on", "to_on", "origin", "is_weak")) == rule


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_a_terminal(company: Company, typed: str, *arguments: str) -> tuple[int, str]:
    """Run a command with somebody who types; return its exit code and what it said."""
    err = io.StringIO()
    with environment(company.environment("admin")):
        code = cli.run(arguments, Output(io.StringIO(), err, Terminal(typed)))
    return code, err.getvalue()


@pytest.mark.parametrize(
    ("typed", "due"),
    [
        ("\n", "2026-05-24T00:00:00+03:00"),
        ("auto\n", "2026-05-24T00:00:00+03:00"),
        ("15.04\n", "2026-04-08T00:00:00+03:00"),
        ("someday\n15.04\n", "2026-04-08T00:00:00+03:00"),
        ("none\n", None),
        ("", None),
    ],
)
def test_a_sale_asks_on_a_terminal_for_the_next(company: Company, typed: str, due: str | None) -> None:
    assert company.crmcli("add-client", "Anna", "--no-deal").code == 0
    code, said = on_a_terminal(company, typed, "log-sale", "Anna", "100")
    assert code == 0
    assert "when do they buy next? a day, auto (2026-05-31, segment) or none [auto]" in said
    shown = json.loads(company.crmcli("list", "reminders", "--format", "json").out)
    assert [reminder["due_at"] for reminder in shown] == ([due] if due else [])
    assert len(json.loads(company.crmcli("list", "sales", "--format", "json").out)) == 1


def test_nobody_is_asked_where_it_is_said_or_nobody_is_there(company: Company) -> None:
    assert company.crmcli("add-client", "Anna", "--no-deal").code == 0
    assert "next" not in company.crmcli("log-sale", "Anna", "100").err
    assert "when do they" not in on_a_terminal(company, "", "log-sale", "Anna", "100", "--next", "none")[1]
    sale = View(company.open()).records("sales")[0]
    refund = on_a_terminal(company, "", "log-sale", "Anna", "10", "--refund-of", encode_id(sale.sale_id))
    assert refund[0] == 0
    assert "when do they" not in refund[1]
    assert company.crmcli("log-sale", "Anna", "100", "--next", "someday").code == 2
