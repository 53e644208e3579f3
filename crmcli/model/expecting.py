"""Rules of the next purchase: when a client is expected to buy again, how that is known, and the reminder before it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from math import floor
from typing import TYPE_CHECKING, NamedTuple

from crmcli.model.dates import day_start, local_day
from crmcli.model.records import OPEN, Client, Product, Record, Reminder, Sale, SaleLine
from crmcli.model.reminding import BUY_BY, remind, settle
from crmcli.model.returning import shrunk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import date, tzinfo

    from crmcli.model.acting import Acting
    from crmcli.model.returning import Norm

STATED, USE_UP, RHYTHM, SEGMENT = "stated", "use-up", "rhythm", "segment"
NEXT = "next_purchase"
# Nothing that is bought lasts longer, in days.
LONGEST = Decimal(36_500)
_HALF = Decimal("0.5")
REACTIVATION = "reactivation"


class Expected(NamedTuple):
    """The day on which a client is expected to buy, the window around it, and what that is known from.

    Half of such purchases lie in the window; a day that was named, or on which goods are used up, is no window. Where
    too few bought twice there is none, and the day is weak.
    """

    on: date
    from_on: date | None
    to_on: date | None
    origin: str
    is_weak: bool = False


def next_purchase(
    days: Sequence[date],
    norm: Norm,
    stated: date | None = None,
    used_up: date | None = None,
    by_hand: int | None = None,
) -> Expected | None:
    """Return when a client with those occasions buys next, or None for who never bought and named no day.

    The day that the client named comes first, then the one on which goods run out, then the client's own rhythm: the
    last occasion and the median gap, drawn towards that of the segment. After one purchase it is the segment's period.
    """
    last = days[-1] if days else None
    if stated is not None and (last is None or stated > last):
        return Expected(stated, stated, stated, STATED)
    if last is None:
        return None
    if used_up is not None and used_up > last:
        return Expected(used_up, used_up, used_up, USE_UP)
    if by_hand:
        on = last + timedelta(days=by_hand)
        return Expected(on, on, on, RHYTHM)
    found = _by_habit(days, norm)
    return found if norm.clients else found._replace(from_on=None, to_on=None, is_weak=True)


def _by_habit(days: Sequence[date], norm: Norm) -> Expected:
    """Return when a client buys next by the own gaps and those of the segment; by its period after one purchase."""
    last = days[-1]
    if len(days) > 1:
        gaps = sorted((after - before).days for before, after in pairwise(days))
        usual = (norm.gap_median, norm.gap_low, norm.gap_high)
        own = (quantile(gaps, share) for share in (0.5, 0.25, 0.75))
        found = [_after(last, shrunk(len(days), mine, theirs)) for mine, theirs in zip(own, usual, strict=True)]
        return Expected(found[0], found[1], found[2], RHYTHM)
    low, high = min(norm.period_low, norm.period_days), max(norm.period_high, norm.period_days)
    return Expected(
        _after(last, norm.period_days), _after(last, low), _after(last, high), SEGMENT, is_weak=True
    )  # fmt: skip


def _after(day: date, days: float) -> date:
    return day + timedelta(days=floor(days + 0.5))


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return a quantile of values in order, interpolated between neighbours."""
    place = share * (len(ordered) - 1)
    low = floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def used_up_on(
    sales: Iterable[Sale], lines: Iterable[SaleLine], products: Mapping[int, Product], zone: tzinfo, last: date
) -> date | None:
    """Return the first day after the last occasion on which something that a client bought is used up, if it is known.

    How long goods last is counted from the last day on which they were bought, by how many there were.
    """
    whole = kept(sales)
    bought: dict[int, dict[date, Decimal]] = {}
    for line in lines:
        sale, product = whole.get(line.sale_id), products.get(line.product_id or 0)
        if sale is not None and product is not None and product.use_up_days:
            per_day = bought.setdefault(product.product_id, {})
            day = local_day(sale.sold_at, zone)
            per_day[day] = per_day.get(day, Decimal(0)) + line.quantity
    ends = []
    for number, per_day in bought.items():
        day = max(per_day)
        lasts = min(per_day[day] * (products[number].use_up_days or 0), LONGEST)
        ends.append(day + timedelta(days=floor(lasts + _HALF)))
    return min((day for day in ends if day > last), default=None)


def kept(sales: Iterable[Sale]) -> dict[int, Sale]:
    """Return the sales that were neither voided nor given back in full."""
    listed = [sale for sale in sales if not sale.voided]
    left = {sale.sale_id: sale.amount for sale in listed if sale.refund_of is None}
    for sale in listed:
        if sale.refund_of in left:
            left[sale.refund_of] += sale.amount
    return {sale.sale_id: sale for sale in listed if left.get(sale.sale_id, 0) > 0}


def follow_up(
    acting: Acting,
    client: Client,
    expected: Expected | None,
    known: Iterable[Reminder],
    lead_days: int,
    zone: tzinfo,
    sales: Callable[[], Iterable[Sale]] = tuple,
    *,
    is_said: bool = True,
) -> list[Record]:
    """Return what a purchase changes in what is planned: the reminder to prepare the next offer, and what is settled.

    The day that a client named is kept with the client; who asked to be left alone is not reminded of. Unless it
    `is_said` what comes next, a plan made after the purchase stays, and so does a named day that is still to come.
    `known` and `sales`, without this one, are the client's.
    """
    known = list(known)
    over = known if is_said else [reminder for reminder in known if reminder.created_at <= acting.at]
    records = [*_called_back(acting, known, sales), *settle(acting, BUY_BY, over)]
    stays = None if is_said else still_named(acting, client, known, zone)
    if expected is not None and not client.do_not_contact:
        records += _prepare(acting, client.client_id, expected, known, lead_days, zone)
    elif stays is None:
        records += settle(acting, NEXT, over)
    stated = expected.on if expected is not None and expected.origin == STATED else stays
    return [*records, *([replace(client, buy_by=stated)] if stated != client.buy_by else ())]


def still_named(acting: Acting, client: Client, known: Iterable[Reminder], zone: tzinfo) -> date | None:
    """Return the day that a client named and is still to buy on, whatever they buy before it; None if there is none.

    The day that was named for the very purchase that is made now, with no purchase before, is over.
    """
    day = client.buy_by
    plans = [reminder for reminder in known if reminder.cause in (BUY_BY, NEXT)]
    last = max(plans, key=lambda reminder: reminder.created_at, default=None)
    is_made = last is not None and last.cause == BUY_BY and last.created_at <= acting.at
    return None if day is None or is_made or day <= local_day(acting.at, zone) else day


def _called_back(acting: Acting, known: Iterable[Reminder], sales: Callable[[], Iterable[Sale]]) -> list[Record]:
    """Return the planned reactivation as done, unless it was planned when a later purchase was known already."""
    planned = [reminder for reminder in known if reminder.status == OPEN and reminder.cause == REACTIVATION]
    if all(reminder.created_at <= acting.at for reminder in planned):
        return settle(acting, REACTIVATION, planned)
    later = [sale.sold_at for sale in kept(sales()).values() if sale.sold_at > acting.at]
    return settle(acting, REACTIVATION, (r for r in planned if not any(at <= r.created_at for at in later)))


def _prepare(
    acting: Acting, client_id: int, expected: Expected, known: Iterable[Reminder], lead_days: int, zone: tzinfo
) -> list[Record]:
    """Return the reminder to prepare the offer, made or moved."""
    day = max(expected.on - timedelta(days=lead_days), local_day(acting.now, zone))
    about = f"prepare the offer: expected to buy on {expected.on} ({expected.origin})"
    return remind(acting, client_id, NEXT, day_start(day, zone), about=about, known=known)
