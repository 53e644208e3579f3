"""Rules of suggestions: what a client could buy besides, by what others bought, or the next price up; and products."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from crmcli.errors import ConflictError, InputError, NotFoundError
from crmcli.model.acting import clean_name
from crmcli.model.ids import decode_id, encode_id
from crmcli.model.records import Product
from crmcli.model.returning import parse_days

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import date

# Over clients: so many bought both, they are 1 % of all, and so much oftener than chance has it.
FEWEST_BOTH = 20
LEAST_LIFT = 1.2
CROSS_SELL, UP_SELL = "cross-sell", "up-sell"


class Pair(NamedTuple):
    """`clients` bought both products: the share `confidence` of those who bought the first, `lift` times chance."""

    product_id: int
    other_id: int
    clients: int
    confidence: float
    lift: float

    @property
    def why(self) -> str:
        """What the suggestion of the other product rests on, after the first one's name."""
        return f"{self.clients} clients, lift {self.lift:.1f}"

    def to_plain(self) -> dict[str, Any]:
        """Return the pair as it is published."""
        ids = {"product": encode_id(self.product_id), "other": encode_id(self.other_id)}
        return ids | {"clients": self.clients, "confidence": self.confidence, "lift": self.lift}

    @classmethod
    def from_plain(cls, cells: Mapping[str, Any]) -> Pair:
        """Return a published pair."""
        product_id, other_id = (decode_id(cells[name]) or 0 for name in ("product", "other"))
        return cls(product_id, other_id, cells["clients"], cells["confidence"], cells["lift"])


class Suggestion(NamedTuple):
    """A product to offer, and why; `confidence` is that of the best pair, None for a step up in price."""

    product: Product
    kind: str
    because: Product
    pair: Pair | None = None

    @property
    def why(self) -> str:
        """The reason, as a manager reads it."""
        return reason(self.because, self.pair)


def reason(because: Product, pair: Pair | None) -> str:
    """Return why a product is offered to who bought another one."""
    if pair is not None:
        return f"{pair.confidence * 100:.0f} % of those who buy {because.name}, {pair.why}"
    return f"the next price in {because.category} after {because.name}"


def suggest(
    pairs: Iterable[Pair], products: Sequence[Product], bought: Mapping[int, date], today: date
) -> list[Suggestion]:
    """Return what could be offered to a client who bought products, last on those days; the best first.

    Cross-sell by confidence times price, then up-sell: the next price in each category that was bought.
    """
    listed = {product.product_id: product for product in products}
    open_to = {number for number, product in listed.items() if not has_still(product, bought.get(number), today)}
    best: dict[int, Pair] = {}
    for pair in pairs:
        if pair.product_id in bought and pair.other_id in open_to and pair.product_id in listed:
            known = best.get(pair.other_id)
            best[pair.other_id] = pair if known is None or pair.confidence > known.confidence else known
    crossed = [Suggestion(listed[number], CROSS_SELL, listed[pair.product_id], pair) for number, pair in best.items()]
    crossed.sort(key=lambda found: (-worth(found.pair, found.product), found.product.name))
    return crossed + [found for found in _steps_up(products, bought) if found.product.product_id in open_to - set(best)]


def worth(pair: Pair | None, product: Product) -> float:
    """Return by what cross-sell is ranked: confidence times price, 0 where the price is not known."""
    return pair.confidence * float(product.price or 0) if pair is not None else 0.0


def again_days(product: Product) -> int | None:
    """Return for how many days who bought a product needs no more: two use-up periods; None for ever."""
    return 2 * product.use_up_days if product.use_up_days else None


def has_still(product: Product, last: date | None, today: date) -> bool:
    """Say whether a client who bought a product last on a day, if ever, needs no more of it yet."""
    if last is None:
        return False
    days = again_days(product)
    return days is None or today - last < timedelta(days=days)


def _steps_up(products: Sequence[Product], bought: Mapping[int, date]) -> list[Suggestion]:
    found = []
    mine = [product for product in products if product.product_id in bought and product.category and product.price]
    for category in sorted({str(product.category) for product in mine}):
        top = max((product for product in mine if product.category == category), key=_by_price)
        above = [p for p in products if p.category == category and _by_price(p)[0] > _by_price(top)[0]]
        if above:
            found.append(Suggestion(min(above, key=_by_price), UP_SELL, top))
    return found


def _by_price(product: Product) -> tuple[Decimal, str]:
    return product.price or Decimal(0), product.name


def steps_below(product: Product, products: Iterable[Product]) -> tuple[list[Product], list[Product]]:
    """Return the products one price below in the category of a product, and those that cost as much or more."""
    if not product.category or not product.price:
        return [], []
    others = [p for p in products if p.category == product.category and p.price]
    below = [p for p in others if _by_price(p)[0] < product.price]
    step = max((p.price or Decimal(0) for p in below), default=Decimal(0))
    return [p for p in below if p.price == step], [p for p in others if _by_price(p)[0] >= product.price]


def named(products: Iterable[Product], text: str) -> Product:
    """Return the product of that id or name, or the only one with that in its name.

    Raises: NotFoundError, ConflictError.
    """
    wanted, listed = " ".join(text.split()).casefold(), list(products)
    found = [p for p in listed if encode_id(p.product_id).casefold() == wanted or p.name.casefold() == wanted]
    found = found or [p for p in listed if wanted and wanted in p.name.casefold()]
    if not found:
        raise NotFoundError("there is no such product", "crmcli products lists them")
    if len(found) > 1:
        raise ConflictError(f"{len(found)} products fit", "name one in full: " + ", ".join(p.name for p in found[:10]))
    return found[0]


def changed(
    product: Product, price: str | None, category: str | None, use_up: str | None, parse: Callable[[str], Decimal]
) -> Product:
    """Return a product with what was typed; an empty text takes a value away. Raises: InputError."""
    if price is not None:
        product = replace(product, price=parse(price) if price.strip() else None)
    if product.price is not None and product.price < 0:
        raise InputError("a price is not below 0")
    if category is not None:
        product = replace(product, category=clean_name(category, "the category"))
    if use_up is not None:
        product = replace(product, use_up_days=parse_days(use_up, "--use-up") if use_up.strip() else None)
    return product


def new_product(products: Iterable[Product], name: str, new_id: Callable[[], int]) -> Product:
    """Return a product of a new name. Raises: InputError, ConflictError if there is one of that name."""
    cleaned = clean_name(name, "the name")
    if cleaned is None:
        raise InputError("a product needs a name")
    if any(product.name.casefold() == cleaned.casefold() for product in products):
        raise ConflictError("there is a product of that name already", "crmcli products set changes it")
    return Product(new_id(), cleaned)
