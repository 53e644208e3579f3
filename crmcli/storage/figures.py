"""Figures: what was sold and called in each of some periods, by group, and what became of leads and of lost deals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crmcli.storage import query
from crmcli.storage.reporting import CHANGES, SALES, STOPS, Bounds, during, naive, stage_numbers, table_of
from crmcli.storage.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import pyarrow as pa

    from crmcli.storage.view import View

_BUYING = "buying"
_CALLS = ("client_id", "by_id", "kind", "direction", "result", "seconds", "happened_at", "voided")
# What sales by something are read with besides; for anything else there is nothing in these tables.
_SOLD_WITH = {
    "source": ("clients", ("client_id", "source", "segment")),
    "segment": ("clients", ("client_id", "source", "segment")),
    "product": ("sale_lines", ("sale_id", "product_id", "amount")),
}


def sales_figures(
    view: View, periods: Mapping[str, Bounds | None], by: str | None, as_of: datetime
) -> list[dict[str, Any]]:
    """Return the figures of sales: a row for each period and group in which there were any."""
    table, columns = _SOLD_WITH.get(by or "", ("", ()))
    empty = {
        name: TABLES[name].schema.empty_table().select(needed) for name, needed in _SOLD_WITH.values() if name != table
    }
    tables = {"sales": (*SALES, "by_id")} | ({table: columns} if table else {})
    return _rows(view, "sales", tables, _grouped(view, by, as_of), {"periods": table_of(periods), **empty}, _BUYING)


def call_figures(
    view: View, periods: Mapping[str, Bounds | None], by: str | None, as_of: datetime
) -> list[dict[str, Any]]:
    """Return the figures of calls: a row for each period and group in which there were any."""
    return _rows(view, "calls", {"activities": _CALLS}, _grouped(view, by, as_of), {"periods": table_of(periods)})


def closed_deals(view: View, period: Bounds | None, as_of: datetime) -> list[dict[str, Any]]:
    """Return how many deals were won and lost in a period, and how many are open, by their present owner."""
    tables = {"deals": ("deal_id", "opened_at", "owner_id"), "stage_changes": CHANGES}
    return _rows(view, "closed", tables, during(period, as_of), {"stages": stage_numbers(view)}, STOPS)


def lost_deals(view: View, pipeline: str | None, period: Bounds | None, as_of: datetime) -> list[dict[str, Any]]:
    """Return the deals that were lost in a period, of one pipeline or all, by reason and stage, most first."""
    deals = ("deal_id", "pipeline", "opened_at", "stage", "amount", "lost_reason", "return_on")
    parameters = during(period, as_of) | {"pipeline": pipeline}
    extra = {"stages": stage_numbers(view)}
    return _rows(view, "lost", {"deals": deals, "stage_changes": CHANGES}, parameters, extra, STOPS)


def lead_sources(view: View, period: Bounds | None, as_of: datetime) -> list[dict[str, Any]]:
    """Return what became of the clients that were first recorded in a period, by source, most first."""
    tables = {
        "clients": ("client_id", "source", "created_at"),
        "sales": SALES,
        "deals": ("deal_id", "client_id", "opened_at"),
        "stage_changes": CHANGES,
    }
    parameters = during(period, as_of) | {"zone": view.settings.timezone}
    return _rows(view, "sources", tables, parameters, {"stages": stage_numbers(view)}, STOPS, _BUYING)


def _grouped(view: View, by: str | None, as_of: datetime) -> dict[str, object]:
    return {"by": by, "as_of": naive(as_of), "zone": view.settings.timezone}


def _rows(
    view: View,
    name: str,
    tables: Mapping[str, tuple[str, ...]],
    parameters: Mapping[str, object],
    extra: Mapping[str, pa.Table],
    *shared: str,
) -> list[dict[str, Any]]:
    rows = query.run(view.reader, name, tables, parameters, extra, shared=shared)
    return rows.to_pylist()  # type: ignore[no-any-return]
