"""Comparing: sales and calls of a period by calendar unit or by group, and people and sources side by side."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from crmcli.model.periods import Period, units
from crmcli.model.records import CALL_RESULTS
from crmcli.model.reports import change_pct, pct

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from crmcli.model.periods import Unit

    Row = dict[str, Any]

UNITS: dict[str | None, Unit] = {"day": "day", "week": "week", "month": "month", "quarter": "quarter", "year": "year"}
UNKNOWN = "unknown"
NO_SUM = Decimal("0.00")
# What is counted where there is nothing to count; what has no base is null.
NO_SALES: dict[str, Any] = {
    "sales": 0,
    "gross": NO_SUM,
    "refunds": NO_SUM,
    "volume": NO_SUM,
    "average_check": None,
    "median_check": None,
    "clients": 0,
    "new_clients": 0,
}
NO_CALLS: dict[str, Any] = {
    "incoming": 0,
    "incoming_answered": 0,
    "outgoing": 0,
    "outgoing_answered": 0,
    "missed": 0,
    "returned_1h": 0,
    "returned_day": 0,
    "returned_later": 0,
    "never_returned": 0,
    "clients_reached": 0,
    "attempts_per_client": None,
    "talk_minutes": 0.0,
    "median_seconds": None,
}
NO_DEALS: dict[str, Any] = {"won": 0, "lost": 0, "open_now": 0}
BEFORE = ("previous_volume", "change_pct")
SOURCES = ("source", "leads", "clients", "conversion_pct", "won", "volume", "average_check")
LOST = ("reason", "stage", "lost", "lost_pct", "expected_amount", "with_return")
MANAGERS = (
    "manager",
    *(name for name in NO_SALES if name not in ("gross", "refunds", "median_check")),
    *("incoming", "outgoing", "missed", "never_returned", "clients_reached", "talk_minutes"),
    *("won", "lost", "win_rate_closed_pct", "open_now"),
)


def compared(period: Period | None, unit: Unit | None) -> dict[str, Period | None]:
    """Return a period as `value` and what it is compared with as `previous`; all time is compared with nothing.

    By calendar unit that is the unit before the one that the period begins in, and what of that one lies before it.
    """
    if period is None:
        return {"value": None}
    if unit is None:
        return {"value": period, "previous": period.previous()}
    before = units(period.from_on, period.to_on, unit)[0].previous()
    return {"value": period, "previous": Period(before.from_on, period.from_on, "span", before.label)}


def by_unit(counted: Iterable[Row], unit: Unit, period: Period | None, today: date, nothing: Row) -> list[Row]:
    """Return the figures of every calendar unit, whose name is its `grouping`, up to today, and none is left out.

    `counted` are rows of the periods that `compared` gives. For all time the units are those from the first to the last
    that has anything, and the first is compared with nothing. A unit stands beside the whole one before it; what a part
    of one comes to is no change from a whole one.
    """
    inside, before = _apart(counted)
    tomorrow = today + timedelta(days=1)
    if period is not None:
        shown = known = (period.from_on, min(period.to_on, tomorrow))
    elif inside:
        days = [day for row in inside.values() for day in (row["first_on"], row["last_on"])]
        shown, known = (min(days), max(days) + timedelta(days=1)), (date.min, tomorrow)
    else:
        return []
    rows: list[Row] = []
    for each in units(*shown, unit):
        row = inside.get(each.label, nothing) | {"grouping": each.label}
        earlier = [part[each.previous().label] for part in (inside, before) if each.previous().label in part]
        is_compared = period is not None or bool(rows)
        volume = sum((one["volume"] for one in earlier), NO_SUM) if is_compared and "volume" in row else None
        rows.append(_beside(row, volume, is_whole=known[0] <= each.from_on and each.to_on <= known[1]))
    return rows


def by_group(counted: Iterable[Row], order: Callable[[Row], Any], nothing: Row, *, is_compared: bool) -> list[Row]:
    """Return the figures of every group that has any in the period or, where sales are compared, before it."""
    inside, before = _apart(counted)
    rows = []
    for group in dict.fromkeys((*inside, *before)):
        volume = before.get(group, nothing).get("volume") if is_compared else None
        rows.append(_beside(inside.get(group, nothing) | {"grouping": group}, volume))
    return sorted(rows, key=lambda row: (order(row), row["grouping"] is None, row["grouping"] or ""))


def _apart(counted: Iterable[Row]) -> tuple[dict[Any, Row], dict[Any, Row]]:
    rows = list(counted)
    inside, before = ({row["grouping"]: row for row in rows if row["period"] == name} for name in ("value", "previous"))
    return inside, before


def _beside(row: Row, volume: Decimal | None, *, is_whole: bool = True) -> Row:
    """Return a row of sales beside the volume before; one of calls as it is."""
    if "volume" not in row:
        return row
    return {**row, "previous_volume": volume, "change_pct": change_pct(row["volume"], volume) if is_whole else None}


def most_sold(row: Row) -> Any:
    """Order groups by volume."""
    return -row["volume"]


def most_called(row: Row) -> Any:
    """Order groups by the number of calls."""
    return -row["incoming"] - row["outgoing"]


def as_listed(row: Row) -> Any:
    """Order the results of calls as they are listed, and hours as they come."""
    return CALL_RESULTS.index(row["grouping"]) if row["grouping"] in CALL_RESULTS else len(CALL_RESULTS)


def managers(sales: Iterable[Row], calls: Iterable[Row], deals: Iterable[Row], smallest: int) -> list[Row]:
    """Return the figures of everybody who sold, called or has deals, in the columns of MANAGERS.

    No rate is given where fewer than `smallest` deals were won or lost.
    """
    parts = [{row["grouping"]: row for row in rows} for rows in (sales, calls, deals)]
    found = []
    for person in dict.fromkeys(person for part in parts for person in part):
        row = NO_SALES | NO_CALLS | NO_DEALS
        for part in parts:
            row |= part.get(person, {})
        closed = row["won"] + row["lost"]
        rate = pct(row["won"], closed) if closed >= smallest else None
        found.append(row | {"grouping": person, "win_rate_closed_pct": rate})
    return found


def sources(counted: Iterable[Row], smallest: int) -> list[tuple[Any, ...]]:
    """Return rows in the columns of SOURCES; no rate is given of fewer than `smallest` leads."""
    rows = []
    for row in counted:
        rate = pct(row["clients"], row["leads"]) if row["leads"] >= smallest else None
        cells = row | {"source": row["source"] or UNKNOWN, "conversion_pct": rate}
        rows.append(tuple(cells[name] for name in SOURCES))
    return rows


def lost(counted: Sequence[Row], names: Mapping[str, str], smallest: int) -> list[tuple[Any, ...]]:
    """Return rows in the columns of LOST, stages by their names; no share is given of fewer than `smallest` in all."""
    total = sum(row["lost"] for row in counted)
    rows = []
    for row in counted:
        share = pct(row["lost"], total) if total >= smallest else None
        stage = names.get(row["stage"], row["stage"] or UNKNOWN)
        cells = row | {"reason": row["reason"] or UNKNOWN, "stage": stage, "lost_pct": share}
        rows.append(tuple(cells[name] for name in LOST))
    return rows
