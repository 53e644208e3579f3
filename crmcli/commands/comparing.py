"""How sales and calls are shown by calendar unit or group, and sources, lost deals and people side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crmcli.commands.reporting import bounds, smallest_base
from crmcli.model import comparing as rules
from crmcli.model import reports
from crmcli.model.dates import local_day

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from crmcli.commands.params import Format
    from crmcli.model.periods import Period
    from crmcli.model.process import Pipeline
    from crmcli.session import Session
    from crmcli.storage.view import View

    Counted = Callable[[View, Mapping[str, Any], str | None, datetime], list[dict[str, Any]]]


def show_sales(
    crm: Session, store: View, period: Period | None, by: str | None, as_of: datetime, form: Format, limit: int
) -> None:
    """Show what was sold: the figures beside those of the period before, or by calendar unit or group."""
    from crmcli.storage.figures import sales_figures

    counted = _counted(sales_figures, store, period, by, as_of)
    columns = (*rules.NO_SALES, *rules.BEFORE)
    _show(crm, store, counted, period, by, as_of, form, limit, rules.NO_SALES, columns, rules.most_sold)
    if not any(row["period"] == "value" for row in counted):
        crm.say("nothing was sold in that period" if period else "nothing has been sold yet")


def show_calls(
    crm: Session, store: View, period: Period | None, by: str | None, as_of: datetime, form: Format, limit: int
) -> None:
    """Show what calls there were: the figures beside those of the period before, or by calendar unit or group."""
    from crmcli.storage.figures import call_figures

    counted = _counted(call_figures, store, period, by, as_of)
    order = rules.most_called if by == "manager" else rules.as_listed
    _show(crm, store, counted, period, by, as_of, form, limit, rules.NO_CALLS, tuple(rules.NO_CALLS), order)
    if not any(row["period"] == "value" for row in counted):
        crm.say("there were no calls in that period" if period else "no call has been logged yet")


def _counted(count: Counted, store: View, period: Period | None, by: str | None, as_of: datetime) -> list[rules.Row]:
    periods = rules.compared(period, rules.UNITS.get(by))
    return count(store, {name: bounds(store, each) for name, each in periods.items()}, by, as_of)


def _show(
    crm: Session,
    store: View,
    counted: list[rules.Row],
    period: Period | None,
    by: str | None,
    as_of: datetime,
    form: Format,
    limit: int,
    nothing: rules.Row,
    columns: Sequence[str],
    order: Callable[[rules.Row], Any],
) -> None:
    if by is None:
        found = {row["period"]: row for row in counted}
        previous = found.get("previous", nothing) if period else None
        rows = reports.summary(found.get("value", nothing), previous, tuple(nothing))
        crm.output.rows(reports.SUMMARY, rows, form=form, limit=0)
        return
    unit = rules.UNITS.get(by)
    if unit is not None:
        grouped = rules.by_unit(counted, unit, period, local_day(as_of, store.settings.zone), nothing)
    else:
        grouped = rules.by_group(counted, order, nothing, is_compared=period is not None)
    names = _names(store, by, [row["grouping"] for row in grouped])
    rows = [(names[row["grouping"]], *(row[column] for column in columns)) for row in grouped]
    crm.output.rows((by, *columns), rows, form=form, limit=limit)


def _names(store: View, by: str, groups: list[str | None]) -> dict[str | None, str]:
    """Return what to print for each group; a person and a product are known by a number."""
    from crmcli.storage.reporting import group_names

    names = group_names(store, "owner" if by == "manager" else by, groups)
    if by == "product":
        names |= {str(product.product_id): product.name for product in store.products}
    return names


def show_managers(crm: Session, store: View, period: Period | None, as_of: datetime, form: Format) -> None:
    """Show everybody's sales, calls and deals side by side."""
    from crmcli.storage.figures import call_figures, closed_deals, sales_figures

    periods = {"value": bounds(store, period)}
    sales, calls = (count(store, periods, "manager", as_of) for count in (sales_figures, call_figures))
    found = rules.managers(sales, calls, closed_deals(store, periods["value"], as_of), smallest_base(form))
    names = _names(store, "manager", [row["grouping"] for row in found])
    found.sort(key=lambda row: (rules.most_sold(row), names[row["grouping"]].casefold()))
    rows = [(names[row["grouping"]], *(row[column] for column in rules.MANAGERS[1:])) for row in found]
    crm.output.rows(rules.MANAGERS, rows, form=form, limit=0)
    if not any(row["sales"] or row["volume"] or row["incoming"] or row["outgoing"] for row in found):
        crm.say("nobody sold or called in that period" if period else "nobody has sold or called yet")
    tell_small_bases(crm, form, any(0 < row["won"] + row["lost"] < reports.SMALL_BASE for row in found), "deals")


def show_sources(crm: Session, store: View, period: Period | None, as_of: datetime, form: Format) -> None:
    """Show what became of the clients first recorded in the period, by where they came from."""
    from crmcli.storage.figures import lead_sources

    counted = lead_sources(store, bounds(store, period), as_of)
    crm.output.rows(rules.SOURCES, rules.sources(counted, smallest_base(form)), form=form, limit=0)
    if not counted:
        crm.say("nobody was recorded in that period" if period else "nobody is recorded yet")
    tell_small_bases(crm, form, any(row["leads"] < reports.SMALL_BASE for row in counted), "leads")


def show_lost(
    crm: Session, store: View, pipeline: Pipeline | None, period: Period | None, as_of: datetime, form: Format
) -> None:
    """Show why and where the deals were lost that closed in the period."""
    from crmcli.storage.figures import lost_deals
    from crmcli.storage.reporting import stage_names

    counted = lost_deals(store, pipeline.id if pipeline else None, bounds(store, period), as_of)
    crm.output.rows(rules.LOST, rules.lost(counted, stage_names(store), smallest_base(form)), form=form, limit=0)
    if not counted:
        crm.say("no deal was lost in that period" if period else "no deal was lost yet")
    total = sum(row["lost"] for row in counted)
    tell_small_bases(crm, form, 0 < total < reports.SMALL_BASE, "deals")


def tell_small_bases(crm: Session, form: Format, is_any: bool, of_what: str) -> None:
    """Say why a rate is missing in a table."""
    if form == "table" and is_any:
        crm.say(f"no rate is shown for fewer than {reports.SMALL_BASE} {of_what}")
