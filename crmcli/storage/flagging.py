"""Flagging: the flags of a few deals by the rule, of many by a query that agrees with it; visits to stages counted."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from crmcli.model.dates import day_start, local_day
from crmcli.model.flags import Flags, flags
from crmcli.model.records import OPEN
from crmcli.model.reports import VisitCount
from crmcli.model.worktime import add_days, deadlines, passed_before
from crmcli.storage import kernels as pc
from crmcli.storage import query
from crmcli.storage.reporting import CHANGES, STOPS, cohort, naive, stage_places

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from crmcli.model.process import Pipeline
    from crmcli.model.records import Deal
    from crmcli.storage.reporting import Bounds
    from crmcli.storage.view import View

# What the query needs of deals that are open: STANDING columns.
STANDING = ("deal_id", "client_id", "pipeline", "stage", "opened_at", "entered_at")
# More deals than that are asked for in one query.
_FEW = 200


def flags_of(view: View, deal_ids: Sequence[int], as_of: datetime) -> dict[int, Flags]:
    """Return the flags of deals at an instant, by deal."""
    if len(deal_ids) > _FEW:
        known = {
            row[0]: Flags(*row[1:])
            for row in zip(*flagged(view, open_deals(view), as_of).to_pydict().values(), strict=True)
        }
        return {deal_id: known.get(deal_id, Flags()) for deal_id in deal_ids}
    deals: list[Deal] = view.records("deals", "deal_id", deal_ids) if deal_ids else []
    clients = list({deal.client_id for deal in deals if deal.status == OPEN})
    activities = _by_client(view, "activities", clients)
    reminders = _by_client(view, "reminders", clients)
    process, zone = view.process, view.settings.zone
    return {
        deal.deal_id: flags(process, zone, deal, activities[deal.client_id], reminders[deal.client_id], as_of)
        for deal in deals
    }


def with_flags(view: View, wanted: Iterable[str], as_of: datetime) -> list[int]:
    """Return the deals that have all of the wanted flags, among them one at least."""
    rows = flagged(view, open_deals(view), as_of)
    for flag in wanted:
        rows = pc.filtered(rows, pc.is_true(rows.column(flag)))
    return rows.column("deal_id").to_pylist()  # type: ignore[no-any-return]


def visit_counts(view: View, pipeline: Pipeline, period: Bounds | None, as_of: datetime) -> list[VisitCount]:
    """Return what the deals opened in a period did at each stage of a pipeline that any of them was at."""
    visits = query.run(
        view.reader,
        "visits",
        {"deals": ("deal_id", "client_id", "pipeline", "opened_at"), "stage_changes": CHANGES},
        cohort(pipeline, period, as_of),
        {"stages": stage_places(view, pipeline)},
        shared=[STOPS],
    )
    norms = [(place, stage.norm) for place, stage in enumerate(pipeline.stages, 1) if stage.norm]
    rows = query.run(
        view.reader,
        "stages",
        {},
        {"as_of": naive(as_of)},
        {
            "visits": visits,
            "norms": _table(("position", "norm"), (pa.int32(), pa.string()), norms),
            "deadlines": deadlines_table(view, visits.column("entered_at"), as_of),
            "flags": flagged(view, _standing(pipeline, visits), as_of),
        },
    )
    return [VisitCount(*row.values()) for row in rows.to_pylist()]


def _standing(pipeline: Pipeline, visits: pa.Table) -> pa.Table:
    """Return the deals whose visits are not over, in the columns STANDING.

    A deal at a stage that is gone goes by the norm of the one that it counts as.
    """
    rows = pc.filtered(visits, visits.column("is_open"))
    ids = pa.array([None, *(stage.id for stage in pipeline.stages)], pa.string())
    rows = rows.append_column("stage", pc.taken(ids, rows.column("position")))
    rows = rows.append_column("pipeline", pa.repeat(pipeline.id, rows.num_rows))
    return rows.select(STANDING)


def open_deals(view: View) -> pa.Table:
    """Return the deals that are open now, in the columns STANDING."""
    rows = view.reader.merged("deals", [*STANDING, "status"])
    return pc.filtered(rows, pc.equal(rows.column("status"), OPEN)).select(STANDING)


def flagged(view: View, standing: pa.Table, as_of: datetime) -> pa.Table:
    """Return the flags of deals that were open at an instant: columns deal_id and FLAGS; `standing` has STANDING."""
    zone = view.settings.zone
    return query.run(
        view.reader,
        "deal_flags",
        {
            "activities": ("client_id", "deal_id", "happened_at", "voided"),
            "reminders": ("client_id", "deal_id", "status", "due_at", "has_time", "created_at", "done_at"),
        },
        {"as_of": naive(as_of), "today": naive(day_start(local_day(as_of, zone), zone))},
        {
            "standing": standing,
            "terms": _terms(view, as_of),
            "deadlines": deadlines_table(view, standing.column("entered_at"), as_of),
        },
    )


def _terms(view: View, as_of: datetime) -> pa.Table:
    """Return for each stage its norm, before when what began is idle, and until when a reminder keeps it from that."""
    process, zone = view.process, view.settings.zone
    rows = [
        (
            pipeline.id,
            stage.id,
            stage.norm,
            stage.idle and naive(passed_before(process.calendar, zone, as_of, stage.idle)),
            stage.idle and naive(add_days(process.calendar, zone, as_of, stage.idle)),
        )
        for pipeline in process.pipelines
        for stage in pipeline.stages
    ]
    names = ("pipeline", "stage", "norm", "idle_before", "idle_until")
    kinds = (pa.string(), pa.string(), pa.string(), pa.timestamp("us"), pa.timestamp("us"))
    return _table(names, kinds, rows)


def deadlines_table(view: View, entered: pa.ChunkedArray, as_of: datetime) -> pa.Table:
    """Return for each norm and each local day on which a deal entered a stage until when the norm lasts."""
    zone = view.settings.zone
    ends = pc.min_max(entered).as_py()
    first, last = (
        local_day(as_of if at is None else at.replace(tzinfo=UTC), zone) for at in (ends["min"], ends["max"])
    )
    norms = {stage.norm for pipeline in view.process.pipelines for stage in pipeline.stages if stage.norm}
    rows = [
        (norm, naive(start), day, naive(end))
        for norm in norms
        for start, day, end in deadlines(view.process.calendar, zone, first, last, norm)
    ]
    names = ("term", "starts_at", "last_on", "ends_at")
    return _table(names, (pa.string(), pa.timestamp("us"), pa.date32(), pa.timestamp("us")), rows)


def _table(names: Sequence[str], kinds: Sequence[pa.DataType], rows: Sequence[Sequence[Any]]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    return pa.table([pa.array(column, kind) for column, kind in zip(columns, kinds, strict=True)], names=list(names))


def _by_client(view: View, table: str, clients: Sequence[int]) -> defaultdict[int, list[Any]]:
    found: defaultdict[int, list[Any]] = defaultdict(list)
    for record in view.records(table, "client_id", clients) if clients else ():
        found[record.client_id].append(record)
    return found
