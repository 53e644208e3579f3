"""Rules of preparing for a call: what a client usually buys, and how little of it fits on a screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from crmcli.model.dates import local_day
from crmcli.model.expecting import kept

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date, tzinfo
    from decimal import Decimal

    from crmcli.model.records import Sale, SaleLine

# So many of each are shown.
TOUCHES = SUGGESTIONS = 3
ITEMS = 5


class Usual(NamedTuple):
    """An item of a usual basket: on how many sales, how many of it as a rule, and when last."""

    name: str
    times: int
    quantity: Decimal
    last_on: date

    @property
    def text(self) -> str:
        """The item as a manager reads it."""
        often = "once" if self.times == 1 else f"{self.times} times"
        return f"bought {often}, usually {self.quantity.normalize():f}, last on {self.last_on}"


def basket(sales: Iterable[Sale], lines: Iterable[SaleLine], names: Mapping[int, str], zone: tzinfo) -> list[Usual]:
    """Return what a client usually buys, the most frequent first; `names` are those of the lines, by id."""
    whole = kept(sales)
    bought: dict[str, list[tuple[date, int, Decimal]]] = {}
    for line in lines:
        sale, name = whole.get(line.sale_id), names.get(line.line_id)
        if sale is not None and name:
            bought.setdefault(name, []).append((local_day(sale.sold_at, zone), line.sale_id, line.quantity))
    usual = [
        Usual(
            name,
            len({sale_id for _, sale_id, _ in found}),
            sorted(quantity for *_, quantity in found)[(len(found) - 1) // 2],
            max(day for day, *_ in found),
        )
        for name, found in bought.items()
    ]
    return sorted(usual, key=lambda item: (-item.times, -item.last_on.toordinal(), item.name))[:ITEMS]
