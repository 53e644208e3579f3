"""Pairs and offers over a made-up base against plain counts; the report on repeat sales; products in the store."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from itertools import permutations
from random import Random

import pytest

from crmcli.model import records as r
from crmcli.model.suggesting import Pair, suggest
from crmcli.storage.returning import repeat_counts
from crmcli.storage.suggesting import bought, offers, pairs, suggestions
from crmcli.storage.view import View
from tests.storage.company import NOW, Company
from tests.storage.test_returning import START, by_client, histories, put

DAY = timedelta(days=1)
PRODUCTS = [
    r.Product(n, f"P{n}", f"C{n % 2}", Decimal(100 * n) if n != 3 else None, (None, 30)[n % 3 == 1])
    for n in range(1, 7)
]


def base(seed: int, clients: int = 150) -> list[r.Record]:
    """Return clients and what they bought: some products go together, some sales were voided or given back."""
    random = Random(seed)
    records: list[r.Record] = [*PRODUCTS]
    for number in range(1, clients + 1):
        records.append(r.Client(number, START, 1, 1, archived=random.random() < 0.05))
        taste = random.random() < 0.4
        for place in range(random.randrange(1, 4)):
            sale = r.Sale(
                number * 10 + place, number, START + random.randrange(365) * DAY, Decimal(100), 1,
                voided=random.random() < 0.1,
            )  # fmt: skip
            records.append(sale)
            chosen = [1, 2, *([4] if random.random() < 0.5 else [])] if taste else [random.choice((1, 2, 3, 5, 6))]
            for item, product in enumerate([*chosen, None]):
                line = number * 100 + place * 10 + item
                records.append(r.SaleLine(line, sale.sale_id, number, product, Decimal(1), None, Decimal(1)))
            if not sale.voided and random.random() < 0.2:
                amount = random.choice((Decimal(-100), Decimal(-40)))
                records.append(r.Sale(number * 1000 + place, number, NOW - DAY, amount, 1, refund_of=sale.sale_id))
    return records


@pytest.mark.parametrize("seed", range(2))
def test_pairs_are_counted_over_clients(company: Company, seed: int) -> None:
    view = put(company, *base(seed))
    baskets = {client.client_id: set(bought(view, client, NOW)) for client in view.records("clients")}
    baskets = {number: products for number, products in baskets.items() if products}
    single = Counter(product for products in baskets.values() for product in products)
    both = Counter(pair for products in baskets.values() for pair in permutations(products, 2))
    wanted = {
        (a, b): (count, count / single[a], count / single[a] / (single[b] / len(baskets)))
        for (a, b), count in both.items()
        if count >= 20 and count >= len(baskets) / 100 and count / single[a] / (single[b] / len(baskets)) > 1.2
    }
    found = {(pair.product_id, pair.other_id): tuple(pair[2:]) for pair in pairs(view, NOW)}
    assert found.keys() == wanted.keys()
    assert found
    for pair, figures in found.items():
        assert figures == pytest.approx(wanted[pair], abs=1e-4)


@pytest.mark.parametrize("seed", range(2))
def test_a_product_is_offered_to_those_to_whom_it_is_suggested(company: Company, seed: int) -> None:
    view = put(company, *base(seed))
    clients = [client for client in view.records("clients") if not client.archived][::3]
    suggested = {client.client_id: suggestions(view, client, NOW) for client in clients}
    for product in PRODUCTS:
        wanted = {
            client_id: (one.kind, one.why)
            for client_id, listed in suggested.items()
            for one in listed
            if one.product == product
        }
        rows = offers(view, product, NOW, 0)
        found = {row["client_id"]: (row["kind"], row["why"]) for row in rows}
        assert {client_id: found[client_id] for client_id in suggested if client_id in found} == wanted
        assert [row["client_id"] for row in offers(view, product, NOW, 2)] == [row["client_id"] for row in rows[:2]]


def test_managers_suggest_by_what_was_published(company: Company) -> None:
    put(company, *base(0))
    assert company.crmcli("add-client", "Mine", "--no-deal", who="manager").code == 0
    assert company.crmcli("log-sale", "Mine", "100", "--item", "P1:1:100", who="manager").code == 0
    before = json.loads(company.crmcli("suggest", "Mine", "--format", "json", who="manager").out)
    assert {row["kind"] for row in before} == {"up-sell"}
    assert company.crmcli("norms", who="service").code == 0
    after = json.loads(company.crmcli("suggest", "Mine", "--format", "json", who="manager").out)
    known: list[Pair] = pairs(company.view(), NOW)
    assert pairs(company.view("manager"), NOW) == known
    products = company.view().products
    wanted = suggest(known, products, {1: date(2026, 3, 2)}, date(2026, 3, 2))
    assert [row["why"] for row in after] == [one.why for one in wanted]
    assert "cross-sell" in {row["kind"] for row in after}


def test_who_may_set_products(company: Company) -> None:
    assert company.crmcli("products", "set", "Honey", "--new", "--price", "350", who="manager").code == 0
    assert company.crmcli("products", "set", "honey", "--new", "--price", "1").code == 4
    assert company.crmcli("products", "set", "honey", "--price", "1", who="manager").code == 15
    assert company.crmcli("products", "set", "honey", "--price", "400", "--use-up", "30d").code == 0
    assert company.crmcli("products", "set", "milk", "--price", "1").code == 3
    listed = json.loads(company.crmcli("products", "--format", "json", who="analyst").out)
    assert [(p["name"], p["price"], p["use_up_days"]) for p in listed if p["name"] == "Honey"] == [("Honey", 400, 30)]


def test_what_was_set_stays_when_the_process_is_applied_again(company: Company) -> None:
    file = company.folder / "process.toml"
    text = company.crmcli("process", "show").out
    for price in ("350", "500"):
        file.write_text(f'{text}\n[[products]]\nname = "Honey"\nprice = {price}\n', encoding="utf-8")
        assert company.crmcli("process", "apply", str(file)).code == 0
        assert company.crmcli("products", "set", "Honey", "--use-up", "30d").code == 0
        assert company.crmcli("products", "set", "Honey", "--price", "360").code == 0
        file.write_text(company.crmcli("process", "show").out, encoding="utf-8")
        assert company.crmcli("process", "apply", str(file)).code == 0
        honey = next(p for p in View(company.open()).products if p.name == "Honey")
        assert (honey.price, honey.use_up_days) == (Decimal(360), 30)


@pytest.mark.parametrize("seed", range(2))
def test_repeat_is_counted_client_by_client(company: Company, seed: int) -> None:
    records = histories(seed)
    view = put(company, *records)
    segments = {record.client_id: record.segment for record in records if isinstance(record, r.Client)}
    zone = view.settings.zone
    for as_of in (NOW, START + 200 * DAY):
        days = by_client(records, view, as_of)
        today = as_of.astimezone(zone).date()
        for span in (None, (date(2025, 4, 1), date(2025, 7, 1))):
            mine = {n: found for n, found in days.items() if span is None or span[0] <= found[0] < span[1]}
            for by in (None, "segment"):
                rows = repeat_counts(view, span, by, 90, as_of)
                for row in rows:
                    group = [found for n, found in mine.items() if by is None or segments[n] == row["grouping"]]
                    old = [found for found in group if (today - found[0]).days >= 90]
                    again = [found for found in old if len(found) > 1 and (found[1] - found[0]).days <= 90]
                    assert (row["clients"], row["repeat"]) == (len(group), sum(len(found) > 1 for found in group))
                    assert (row["old_enough"], row["repeat_h"]) == (len(old), len(again))
                assert sum(row["clients"] for row in rows) == len(mine)
