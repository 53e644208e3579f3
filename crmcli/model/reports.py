"""Reports: from what a query counted to the rows that are printed, as the definitions of figures have it."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from crmcli.model.frozen import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from crmcli.model.process import Pipeline, Process

WON_NAME = "won"
SMALL_BASE = 10
FUNNEL = (
    "position",
    "stage",
    "reached",
    "advanced",
    "lost",
    "open",
    "step_pct",
    "decided_pct",
    "cumulative_pct",
    "dropoff_pct",
    "lost_share_pct",
    "median_days",
    "p90_days",
)
STAGES = (
    "stage",
    "norm_days",
    "visits",
    "median_days",
    "p90_days",
    "in_norm_pct",
    "inside_now",
    "overdue_now",
    "idle_now",
    "no_next_step_now",
    "oldest_days",
)
SUMMARY = ("figure", "value", "previous", "change_pct")
FIGURES = (
    "sales",
    "volume",
    "average_check",
    "clients",
    "new_clients",
    "incoming_calls",
    "outgoing_calls",
    "won",
    "lost",
    "win_rate_closed_pct",
    "win_rate_all_pct",
)


def pct(part: int, base: int) -> float | None:
    """Return part of base in per cent to one place, or None where there is no base."""
    return round(100 * part / base, 1) if base else None


def positions(pipeline: str, versions: Sequence[Process]) -> dict[str, int]:
    """Return the place of every stage that a pipeline has or had; `versions` of the process come oldest first.

    A removed stage counts as the nearest earlier one that is still there.
    """
    now = next((p for p in versions[-1].pipelines if p.id == pipeline), None)
    if now is None:
        return {}
    places = {stage.id: place for place, stage in enumerate(now.stages, 1)}
    for process in reversed(versions[:-1]):
        for older in (p for p in process.pipelines if p.id == pipeline):
            nearest = 1
            for stage in older.stages:
                nearest = places.setdefault(stage.id, nearest)
    return places


@dataclass(frozen=True, slots=True)
class StageCount:
    """What the query counted of one stage: `reached`, `lost`, `open` deals, days spent; position N is won."""

    grouping: str | None
    position: int
    reached: int
    lost: int
    open: int
    median_days: float | None
    p90_days: float | None


def funnel(pipeline: Pipeline, counts: Iterable[StageCount]) -> list[tuple[Any, ...]]:
    """Return the rows of the funnel of one group, in the columns of FUNNEL, from its counts in order of position."""
    listed = list(counts)
    names = [stage.name for stage in pipeline.stages] + [WON_NAME]
    all_lost = sum(count.lost for count in listed)
    rows: list[tuple[Any, ...]] = []
    for count, name in zip(listed, names, strict=True):
        cumulative = pct(count.reached, listed[0].reached)
        if count.position == len(names):
            rows.append((count.position, name, count.reached, 0, 0, 0, None, None, cumulative, *[None] * 4))
            continue
        advanced = listed[count.position].reached
        rows.append(
            (
                count.position,
                name,
                count.reached,
                advanced,
                count.lost,
                count.open,
                pct(advanced, count.reached),
                pct(advanced, advanced + count.lost),
                cumulative,
                pct(count.lost, count.reached),
                pct(count.lost, all_lost),
                count.median_days,
                count.p90_days,
            )
        )
    return rows


@dataclass(frozen=True, slots=True)
class VisitCount:
    """What the query counted of the visits to one stage: of those `judged`, `in_norm` ended within it."""

    position: int
    visits: int
    median_days: float | None
    p90_days: float | None
    in_norm: int
    judged: int
    inside: int
    overdue: int
    idle: int
    no_next_step: int
    oldest_days: float | None


def stages(pipeline: Pipeline, counts: Iterable[VisitCount], *, smallest_base: int = 1) -> list[tuple[Any, ...]]:
    """Return a row for each stage in the columns of STAGES; no rate where fewer than `smallest_base` were judged."""
    by_place = {count.position: count for count in counts}
    rows: list[tuple[Any, ...]] = []
    for place, stage in enumerate(pipeline.stages, 1):
        count = by_place.get(place) or VisitCount(place, 0, None, None, 0, 0, 0, 0, 0, 0, None)
        rate = pct(count.in_norm, count.judged) if count.judged >= smallest_base else None
        now = (count.inside, count.overdue, count.idle, count.no_next_step, count.oldest_days)
        rows.append((stage.name, stage.norm, count.visits, count.median_days, count.p90_days, rate, *now))
    return rows


def without_small_bases(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return funnel rows for people: no rate is shown for a base under 10."""
    listed = [dict(zip(FUNNEL, row, strict=True)) for row in rows]
    first, lost = listed[0]["reached"] if listed else 0, sum(row["lost"] for row in listed)
    shown = []
    for row in listed:
        bases = {
            "step_pct": row["reached"],
            "decided_pct": row["advanced"] + row["lost"],
            "cumulative_pct": first,
            "dropoff_pct": row["reached"],
            "lost_share_pct": lost,
        }
        shown.append(tuple(None if bases.get(name, SMALL_BASE) < SMALL_BASE else row[name] for name in FUNNEL))
    return shown


def marks(rows: Sequence[tuple[Any, ...]]) -> dict[int, str]:
    """Return row -> remark: where most deals were lost, and where the least of those decided went on."""
    listed = [dict(zip(FUNNEL, row, strict=True)) for row in rows]
    remarks: dict[int, list[str]] = {}
    most = max((row["lost"] for row in listed), default=0)
    if most:
        remarks.setdefault(next(i for i, row in enumerate(listed) if row["lost"] == most), []).append("most losses")
    decided = {
        index: row["decided_pct"]
        for index, row in enumerate(listed)
        if row["decided_pct"] is not None and row["advanced"] + row["lost"] >= SMALL_BASE
    }
    if decided:
        remarks.setdefault(min(decided, key=lambda index: decided[index]), []).append("lowest decided_pct")
    return {index: ", ".join(words) for index, words in remarks.items()}


def summary(
    value: Mapping[str, Any], previous: Mapping[str, Any] | None, figures: Sequence[str] = FIGURES
) -> list[tuple[Any, ...]]:
    """Return rows figure, value, previous, change_pct; rates have no base to change from but themselves."""
    rows: list[tuple[Any, ...]] = []
    for figure in figures:
        now, before = value[figure], previous[figure] if previous is not None else None
        rows.append((figure, now, before, change_pct(now, before)))
    return rows


def without_small_rates(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures for people: no rate is shown for a base under 10."""
    bases = {"win_rate_closed_pct": figures["won"] + figures["lost"], "win_rate_all_pct": figures["opened"]}
    small = {name: None for name, base in bases.items() if base < SMALL_BASE}
    return {**figures, **small}


def change_pct(now: Any, before: Any) -> float | None:
    """Return the change in per cent, or None where there was nothing before, or less than nothing."""
    if now is None or before is None or before <= 0:
        return None
    return round(float(100 * (Decimal(str(now)) - Decimal(str(before))) / Decimal(str(before))), 1)
