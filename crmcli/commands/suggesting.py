"""How suggestions and products are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crmcli.commands.listing import show_rows
from crmcli.model import suggesting as rules

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from crmcli.commands.params import Format
    from crmcli.model.records import Client, Product
    from crmcli.model.suggesting import Suggestion
    from crmcli.session import Session
    from crmcli.storage.view import View

_SUGGESTED = ("product_id", "product", "kind", "price", "confidence_pct", "clients", "lift", "why")
_OFFERS = ("client_id", "name", "kind", "confidence_pct", "why", "last_sale_on", "phone", "owner")
_PRODUCTS = ("product_id", "name", "category", "price", "use_up_days")


def suggested_rows(found: Sequence[Suggestion]) -> list[tuple[Any, ...]]:
    """Return suggestions as rows."""
    return [
        (
            one.product.product_id,
            one.product.name,
            one.kind,
            one.product.price,
            round(100 * one.pair.confidence, 1) if one.pair else None,
            one.pair.clients if one.pair else None,
            round(one.pair.lift, 1) if one.pair else None,
            one.why,
        )
        for one in found
    ]


def show_suggestions(crm: Session, store: View, client: Client, as_of: datetime, limit: int, form: Format) -> None:
    """Show what could be offered to a client."""
    from crmcli.storage.suggesting import bought, suggestions

    found = suggestions(store, client, as_of)
    _show(crm, store, _SUGGESTED, suggested_rows(found), form, limit)
    if not bought(store, client, as_of):
        crm.say("the client bought no listed product, so there is nothing to go by: crmcli log-sale --item names them")
    elif not found:
        crm.say("nothing that goes with what the client bought")


def show_offers(crm: Session, store: View, product: str, as_of: datetime, limit: int, form: Format) -> None:
    """Show to whom a product could be offered. Raises: NotFoundError, ConflictError."""
    from crmcli.commands.returning import show_clients
    from crmcli.storage.suggesting import offers

    found = offers(store, rules.named(store.products, product), as_of, limit if form == "table" else 0)
    for row in found:
        row["confidence_pct"] = None if row["confidence"] is None else round(100 * row["confidence"], 1)
    show_clients(crm, store, _OFFERS, found, form, limit)
    if not found:
        crm.say("nobody whose purchases suggest it")


def show_products(crm: Session, store: View, products: Sequence[Product], form: Format, limit: int) -> None:
    """Show products by category and name."""
    listed = sorted(products, key=lambda p: (p.category is None, p.category or "", p.name.casefold()))
    rows = [(p.product_id, p.name, p.category, p.price, p.use_up_days) for p in listed]
    _show(crm, store, _PRODUCTS, rows, form, limit)


def _show(
    crm: Session, store: View, columns: Sequence[str], rows: Sequence[tuple[Any, ...]], form: Format, limit: int
) -> None:
    shown = rows[: limit or None] if form == "table" else rows
    show_rows(crm, store, columns, shown, form, 0, len(rows))
