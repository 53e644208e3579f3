"""Suggestions in the store: products that go together, what to offer a client, and whom to offer a product."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from crmcli.model import suggesting as rules
from crmcli.model.dates import local_day
from crmcli.model.expecting import kept
from crmcli.model.suggesting import Pair
from crmcli.storage.reporting import SALES
from crmcli.storage.returning import ask, works_by_published

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date, datetime

    from crmcli.model.records import Client, Product
    from crmcli.storage.view import View

_GOODS: dict[str, tuple[str, ...]] = {"sales": SALES, "sale_lines": ("sale_id", "client_id", "product_id", "quantity")}
_OFFERS = _GOODS | {"clients": ("client_id", "owner_id", "archived", "do_not_contact")}
_ALL = 1 << 40


def pairs(view: View, as_of: datetime) -> list[Pair]:
    """Return the products that go together: over the whole base for who opens all facts, else those published."""
    document = view.newest_or_none("norms") if works_by_published(view) else None
    if document is None:
        return counted_pairs(view, as_of)
    return [Pair.from_plain(cells) for cells in json.loads(document.text).get("pairs", ())]


def counted_pairs(view: View, as_of: datetime) -> list[Pair]:
    """Return the products that go together among the clients at hand."""
    limits = {"fewest": rules.FEWEST_BOTH, "least_lift": rules.LEAST_LIFT}
    return [
        Pair(row["product_id"], row["other_id"], row["clients"], round(row["confidence"], 4), round(row["lift"], 4))
        for row in ask(view, "pairs", as_of, _GOODS, limits)
    ]


def bought(view: View, client: Client, as_of: datetime) -> dict[int, date]:
    """Return the listed products that a client bought, and the last day of each."""
    sales = kept(sale for sale in view.of_client("sales", client.client_id) if sale.sold_at <= as_of)
    days: dict[int, date] = {}
    for line in view.of_client("sale_lines", client.client_id):
        if line.product_id is not None and line.sale_id in sales:
            day = local_day(sales[line.sale_id].sold_at, view.settings.zone)
            days[line.product_id] = max(day, days.get(line.product_id, day))
    return days


def suggestions(view: View, client: Client, as_of: datetime) -> list[rules.Suggestion]:
    """Return what could be offered to a client."""
    today = local_day(as_of, view.settings.zone)
    return rules.suggest(pairs(view, as_of), view.products, bought(view, client, as_of), today)


def offers(view: View, product: Product, as_of: datetime, limit: int) -> list[dict[str, Any]]:
    """Return the clients to whom a product could be offered, with the reason; each row has the `total`."""
    listed = {known.product_id: known for known in view.products}
    leading = {
        pair.product_id: pair
        for pair in pairs(view, as_of)
        if pair.other_id == product.product_id and pair.product_id in listed
    }
    below, dearer = rules.steps_below(product, listed.values())
    extra = {
        "pairs": pa.table(
            {
                "product_id": pa.array(list(leading), pa.int64()),
                "confidence": pa.array([pair.confidence for pair in leading.values()], pa.float64()),
            }
        ),
        "steps": _ids(below),
        "dearer": _ids(dearer),
    }
    parameters = {
        "product": product.product_id,
        "again_days": rules.again_days(product),
        "today": local_day(as_of, view.settings.zone),
        "limit": limit or _ALL,
    }
    rows = ask(view, "offers", as_of, _OFFERS, parameters, extra)
    for row in rows:
        pair = leading.get(row["because_id"]) if row["kind"] == rules.CROSS_SELL else None
        row["why"] = rules.reason(listed[row["because_id"]], pair)
    return rows


def _ids(products: Iterable[Product] | Sequence[Product]) -> pa.Table:
    return pa.table({"product_id": pa.array([product.product_id for product in products], pa.int64())})
