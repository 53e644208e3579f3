"""The usual basket: what is bought most often comes first, as many as usual, without what was given back."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from crmcli.model.preparing import ITEMS, Usual, basket
from crmcli.model.records import Sale, SaleLine

START = datetime(2026, 1, 1, 9, tzinfo=UTC)
ZONE = ZoneInfo("Europe/Moscow")


def test_usual_basket() -> None:
    sales = [Sale(n, 9, START + timedelta(days=n), Decimal(10), 1, voided=n == 4) for n in range(1, 6)]
    sales.append(Sale(6, 9, START + timedelta(days=6), Decimal(-10), 1, refund_of=5))
    items = [(1, "Tea", 2), (2, "Tea", 3), (3, "Tea", 9), (3, "Pot", 1), (4, "Cup", 1), (5, "Cup", 1), (2, "", 1)]
    lines = [SaleLine(n, sale, 9, None, Decimal(count), None, Decimal(1)) for n, (sale, _, count) in enumerate(items)]
    names = {n: name for n, (_, name, _) in enumerate(items)}
    found = basket(sales, lines, names, ZONE)
    assert found == [
        Usual("Tea", 3, Decimal(3), date(2026, 1, 4)),
        Usual("Pot", 1, Decimal(1), date(2026, 1, 4)),
    ]
    assert [item.text for item in found] == [
        "bought 3 times, usually 3, last on 2026-01-04",
        "bought once, usually 1, last on 2026-01-04",
    ]
    many = {n: f"Item {n}" for n in range(len(items))}
    assert len(basket(sales, lines, many, ZONE)) == ITEMS
    assert basket([], [], {}, ZONE) == []
