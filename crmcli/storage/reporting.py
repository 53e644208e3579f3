"""Reporting: the tables and parameters that each report's query needs, and what it counted as plain values."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from crmcli.model.ids import encode_id
from crmcli.model.process import Pipeline, Process
from crmcli.model.reports import StageCount, positions
from crmcli.storage import query
from crmcli.storage.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crmcli.storage.view import View

Bounds = tuple[datetime, datetime]
_DEALS = ("deal_id", "pipeline", "opened_at")
CHANGES = ("deal_id", "from_stage", "to_stage", "move", "changed_at")
# The file with what statements on the histories of deals share.
STOPS = "stops"
SALES = ("sale_id", "client_id", "sold_at", "amount", "refund_of", "voided")
_CLIENTS = ("client_id", "source", "segment")
# What a funnel by something reads besides: columns of deals, and tables.
_BY_NEEDS: dict[str, tuple[str, dict[str, tuple[str, ...]]]] = {
    "owner": ("owner_id", {}),
    "source": ("client_id", {"clients": _CLIENTS}),
    "segment": ("client_id", {"clients": _CLIENTS}),
    "repeat": ("client_id", {"sales": SALES}),
}


def funnel_counts(
    view: View, pipeline: Pipeline, period: Bounds | None, as_of: datetime, by: str | None = None
) -> list[StageCount]:
    """Return what became of the deals opened in the period, by group and stage."""
    column, needs = _BY_NEEDS[by] if by else (None, {})
    deals = (*_DEALS, column) if column else _DEALS
    tables: dict[str, tuple[str, ...]] = {"deals": deals, "stage_changes": CHANGES} | needs
    empty = {
        name: TABLES[name].schema.empty_table().select(columns)
        for name, columns in (("clients", _CLIENTS), ("sales", SALES))
        if name not in needs
    }
    rows = query.run(
        view.reader,
        "funnel",
        tables,
        cohort(pipeline, period, as_of) | {"by": by, "stages": len(pipeline.stages) + 1},
        {"stages": stage_places(view, pipeline)} | empty,
        {"deals": [name for name in ("client_id", "owner_id") if name != column]},
        [STOPS],
    )
    return [StageCount(*row.values()) for row in rows.to_pylist()]


def standing(view: View, pipeline: Pipeline, period: Bounds | None, as_of: datetime) -> list[dict[str, Any]]:
    """Return how many deals stand at each position, or are won or lost: outcome, position, deals."""
    rows = query.run(
        view.reader,
        "funnel_snapshot",
        {"deals": _DEALS, "stage_changes": CHANGES},
        cohort(pipeline, period, as_of),
        {"stages": stage_places(view, pipeline)},
        shared=[STOPS],
    )
    return rows.to_pylist()  # type: ignore[no-any-return]


def summary_figures(view: View, periods: Mapping[str, Bounds | None], as_of: datetime) -> dict[str, dict[str, Any]]:
    """Return the standard figures by period."""
    rows = query.run(
        view.reader,
        "summary",
        {
            "sales": SALES,
            "activities": ("kind", "direction", "happened_at", "voided"),
            "deals": ("deal_id", "opened_at"),
            "stage_changes": CHANGES,
        },
        {"as_of": naive(as_of), "zone": view.settings.timezone},
        {"periods": table_of(periods), "stages": stage_numbers(view)},
        shared=[STOPS],
    )
    return {row["period"]: row for row in rows.to_pylist()}


def table_of(periods: Mapping[str, Bounds | None]) -> pa.Table:
    """Return periods by name as a table: period, from_at, to_at; the ends are null for all time."""
    bounds = [period or (None, None) for period in periods.values()]
    return pa.table(
        {
            "period": pa.array(list(periods), pa.string()),
            "from_at": pa.array([naive(start) for start, _ in bounds], pa.timestamp("us")),
            "to_at": pa.array([naive(end) for _, end in bounds], pa.timestamp("us")),
        }
    )


def cohort(pipeline: Pipeline, period: Bounds | None, as_of: datetime) -> dict[str, Any]:
    """Return the parameters of a query about the deals of a pipeline that were opened in a period, as of an instant."""
    return {"pipeline": pipeline.id, **during(period, as_of)}


def during(period: Bounds | None, as_of: datetime) -> dict[str, Any]:
    """Return the parameters of a query about what was in a period, as of an instant."""
    from_at, to_at = period or (None, None)
    return {"from_at": naive(from_at), "to_at": naive(to_at), "as_of": naive(as_of)}


def stage_places(view: View, pipeline: Pipeline) -> pa.Table:
    """Return the position of every stage that the pipeline has or had."""
    return _stages(positions(pipeline.id, _processes(view)))


def stage_numbers(view: View) -> pa.Table:
    """Return a number for every stage that any pipeline has or had, where nothing depends on which one."""
    return _stages({name: number for number, name in enumerate(stage_names(view), 1)})


def stage_names(view: View) -> dict[str, str]:
    """Return what every stage is called now, or was when it was there last, by its id."""
    pipelines = (pipeline for process in _processes(view) for pipeline in process.pipelines)
    return {stage.id: stage.name for pipeline in pipelines for stage in pipeline.stages}


def _processes(view: View) -> list[Process]:
    """Return the versions of the process, oldest first."""
    versions = sorted(view.records("process"), key=lambda document: document.version)
    return [Process.from_plain(json.loads(document.text)) for document in versions]


def _stages(places: Mapping[str, int]) -> pa.Table:
    return pa.table(
        {"stage": pa.array(list(places), pa.string()), "position": pa.array(list(places.values()), pa.int32())}
    )


def naive(at: datetime | None) -> datetime | None:
    """Return an instant as tables hold it: UTC, without saying so."""
    return None if at is None else at.astimezone(UTC).replace(tzinfo=None)


def group_names(view: View, by: str, groups: list[str | None]) -> dict[str | None, str]:
    """Return what to print for each group: a person's name for an owner, `unknown` for nothing."""
    names: dict[str | None, str] = {group: group or "unknown" for group in groups}
    if by == "owner":
        for group in groups:
            if group is not None:
                names[group] = view.staff.get(int(group), encode_id(int(group)))
    return names
