"""How reports are shown: the rows of a query with their remarks, in the format asked for."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from crmcli.errors import InputError
from crmcli.model import reports

if TYPE_CHECKING:
    from datetime import datetime

    from crmcli.commands.params import Format
    from crmcli.model.periods import Period
    from crmcli.model.process import Pipeline
    from crmcli.session import Session
    from crmcli.storage.view import View


def show_funnel(
    crm: Session,
    store: View,
    pipeline: Pipeline,
    period: Period | None,
    as_of: datetime,
    by: str | None,
    form: Format,
) -> None:
    """Show the funnel of the deals opened in the period, one after another for each group."""
    from crmcli.storage.reporting import funnel_counts, group_names

    counts = funnel_counts(store, pipeline, bounds(store, period), as_of, by)
    groups = [(name, list(rows)) for name, rows in groupby(counts, key=lambda count: count.grouping)]
    names = group_names(store, by, [name for name, _ in groups]) if by else {}
    groups.sort(key=lambda group: (group[0] is None, names.get(group[0], "").casefold()))
    rows: list[tuple[Any, ...]] = []
    remarks: dict[int, str] = {}
    for name, counted in groups or [(None, _nothing(pipeline))]:
        whole = reports.funnel(pipeline, counted)
        remarks |= {len(rows) + index: text for index, text in reports.marks(whole).items()}
        shown = reports.without_small_bases(whole) if form == "table" else whole
        rows += [(names[name], *row) for row in shown] if by else shown
    columns = (by, *reports.FUNNEL) if by else reports.FUNNEL
    crm.output.rows(columns, rows, form=form, limit=0, mark=remarks if form == "table" else None)
    if form == "table":
        still_open = sum(count.open for count in counts)
        crm.output.note(f"still open, and may yet go on or be lost: {still_open}")


def _nothing(pipeline: Pipeline) -> list[reports.StageCount]:
    """Return the counts of a cohort without deals."""
    return [reports.StageCount(None, place, 0, 0, 0, None, None) for place in range(1, len(pipeline.stages) + 2)]


def show_standing(
    crm: Session,
    store: View,
    pipeline: Pipeline,
    period: Period | None,
    as_of: datetime,
    by: str | None,
    form: Format,
) -> None:
    """Show where the deals of the pipeline stand. Raises: InputError for groups."""
    from crmcli.storage.reporting import standing

    if by is not None:
        raise InputError("--by goes with --view reached")
    found = standing(store, pipeline, bounds(store, period), as_of)
    at = {row["position"] or row["outcome"]: row["deals"] for row in found}
    rows = [(place, stage.name, at.get(place, 0)) for place, stage in enumerate(pipeline.stages, 1)]
    rows += [(None, outcome, at.get(outcome, 0)) for outcome in ("won", "lost")]  # type: ignore[misc]
    crm.output.rows(("position", "stage", "deals"), rows, form=form, limit=0)


def show_stages(
    crm: Session, store: View, pipeline: Pipeline, period: Period | None, as_of: datetime, form: Format
) -> None:
    """Show how long deals stay at the stages of a pipeline, and how those stand that are there now."""
    from crmcli.storage.flagging import visit_counts

    counts = visit_counts(store, pipeline, bounds(store, period), as_of)
    smallest = smallest_base(form)
    rows = reports.stages(pipeline, counts, smallest_base=smallest)
    crm.output.rows(reports.STAGES, rows, form=form, limit=0)
    if form == "table" and any(0 < count.judged < smallest for count in counts):
        crm.output.note(f"a rate of fewer than {smallest} visits is not shown")


def show_summary(crm: Session, store: View, period: Period | None, as_of: datetime, form: Format) -> None:
    """Show the standard figures of the period beside those of the one before."""
    from crmcli.storage.reporting import summary_figures

    periods = {"value": bounds(store, period)}
    if period is not None:
        periods["previous"] = bounds(store, period.previous())
    figures = summary_figures(store, periods, as_of)
    if form == "table":
        figures = {name: reports.without_small_rates(counted) for name, counted in figures.items()}
    rows = reports.summary(figures["value"], figures.get("previous"))
    crm.output.rows(reports.SUMMARY, rows, form=form, limit=0)
    if form == "table" and any(row[0].endswith("_pct") and row[1] is None for row in rows):
        crm.output.note("a rate of fewer than 10 deals is not shown")


def bounds(store: View, period: Period | None) -> tuple[datetime, datetime] | None:
    """Return the instants between which a period lies, or None for all time."""
    return None if period is None else period.bounds(store.settings.zone)


def smallest_base(form: Format) -> int:
    """Return of how many a rate is shown at least: to people of none that is too few to tell."""
    return reports.SMALL_BASE if form == "table" else 1
