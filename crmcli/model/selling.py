"""Rules of sales: a document with its lines, a refund of one, and the voiding of what was a mistake."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from crmcli.errors import InputError, RuleError
from crmcli.model.dates import shown
from crmcli.model.frozen import dataclass
from crmcli.model.records import Activity, Deal, Product, Record, Sale, SaleLine

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from crmcli.model.acting import Acting

CENT = Decimal("0.01")
MOST = Decimal(10) ** 16


@dataclass(frozen=True, slots=True)
class Item:
    """A line as it was typed: what, how many, and the price of one."""

    name: str
    quantity: Decimal
    price: Decimal


def total_of(items: Iterable[Item]) -> Decimal:
    """Return what lines come to, each rounded to a cent."""
    return sum((_cost(item) for item in items), Decimal(0))


def _cost(item: Item) -> Decimal:
    return (item.quantity * item.price).quantize(CENT)


def sell(
    acting: Acting,
    client_id: int,
    amount: Decimal,
    items: Sequence[Item] = (),
    products: Iterable[Product] = (),
    deal: Deal | None = None,
) -> list[Record]:
    """Return the document, its lines, and the names of items that are no listed products as notes.

    Where no items are named, one of the product of the `deal` that it comes from is what was sold.
    Raises: InputError for a sum that is not above 0.
    """
    if not 0 < amount < MOST:
        raise InputError("the amount must be above 0", "a refund is --refund-of ID with the sum given back")
    sale = Sale(acting.new_id(), client_id, acting.at, amount, acting.by, deal.deal_id if deal else None)
    by_name = {product.name.casefold(): product.product_id for product in products}
    records: list[Record] = [sale]
    if deal and deal.product_id and not items:
        records.append(SaleLine(acting.new_id(), sale.sale_id, client_id, deal.product_id, Decimal(1), amount, amount))
    for item in items:
        product_id = by_name.get(item.name.casefold())
        line = SaleLine(acting.new_id(), sale.sale_id, client_id, product_id, item.quantity, item.price, _cost(item))
        records.append(line)
        if product_id is None:
            records += acting.note(client_id, line.line_id, "item", item.name)
    return records


def require_listed(items: Iterable[Item], products: Iterable[Product]) -> None:
    """Raise RuleError for an item that is no listed product, where any are listed: suggestions know no others."""
    names = [product.name for product in products]
    known = {name.casefold() for name in names}
    for item in items if names else ():
        if item.name.casefold() not in known:
            from crmcli.model.importing import near

            hint = f"{near(item.name, names)}; --unlisted takes it as it is typed, crmcli products set --new lists it"
            raise RuleError(f"there is no product {shown(item.name)}", hint)


def refuse_items(items: Sequence[Item]) -> None:
    """Raise InputError for what a refund is said to be of: it is of what its sale was of."""
    if items:
        raise InputError("--item does not go with --refund-of", "a refund is of what its sale was of; leave --item out")


def refund(acting: Acting, sale: Sale, amount: Decimal, before: Iterable[Sale] = ()) -> Sale:
    """Return the document that gives back part or all of a sale; `before` are the client's other documents.

    Raises: RuleError if the sale is voided or a refund itself, or less is left of it than is given back.
    """
    if sale.voided or sale.amount <= 0:
        raise RuleError("only a sale that was not voided can be refunded")
    if acting.at < sale.sold_at:
        raise RuleError("a refund cannot be earlier than its sale")
    if not 0 < amount < MOST:
        raise InputError("the amount must be above 0")
    left = sale.amount + sum(
        (other.amount for other in before if other.refund_of == sale.sale_id and not other.voided), Decimal(0)
    )
    if amount > left:
        raise RuleError(f"only {left} of that sale is left to refund")
    return Sale(acting.new_id(), sale.client_id, acting.at, -amount, acting.by, sale.deal_id, sale.sale_id)


def void(record: Sale | Activity, others: Iterable[Sale] = ()) -> Sale | Activity:
    """Return the record marked as a mistake, which takes it out of every figure.

    Raises: RuleError if it is voided already or has refunds that are not.
    """
    if record.voided:
        raise RuleError("it is voided already")
    if isinstance(record, Sale) and any(other.refund_of == record.sale_id and not other.voided for other in others):
        raise RuleError("the sale has refunds", "void them first")
    return replace(record, voided=True)
