"""Figures from counts: the worked example of the funnel, its identity, small bases and remarks."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from crmcli.model.process import DEFAULT, Pipeline, Process, Stage
from crmcli.model.reports import (
    FIGURES,
    FUNNEL,
    StageCount,
    change_pct,
    funnel,
    marks,
    positions,
    summary,
    without_small_bases,
    without_small_rates,
)

PIPELINE = DEFAULT.pipelines[0]


def rows_for(lost: list[int], still_open: list[int], won: int) -> list[dict[str, object]]:
    """Return the funnel of deals lost and open at each stage, and won."""
    counts, reached = [], sum(lost) + sum(still_open) + won
    for place, (gone, here) in enumerate(zip(lost, still_open, strict=True), 1):
        counts.append(StageCount(None, place, reached, gone, here, None, None))
        reached -= gone + here
    counts.append(StageCount(None, len(lost) + 1, won, 0, 0, None, None))
    return [dict(zip(FUNNEL, row, strict=True)) for row in funnel(PIPELINE, counts)]


def test_ten_deals() -> None:
    rows = rows_for([1, 1, 3, 0, 1, 0], [1, 0, 0, 1, 0, 0], 2)
    assert [row["reached"] for row in rows] == [10, 8, 7, 4, 3, 2, 2]
    assert [row["advanced"] for row in rows] == [8, 7, 4, 3, 2, 2, 0]
    assert [row["step_pct"] for row in rows] == [80.0, 87.5, 57.1, 75.0, 66.7, 100.0, None]
    assert [row["decided_pct"] for row in rows] == [88.9, 87.5, 57.1, 100.0, 66.7, 100.0, None]
    assert [row["cumulative_pct"] for row in rows] == [100.0, 80.0, 70.0, 40.0, 30.0, 20.0, 20.0]
    assert [row["lost_share_pct"] for row in rows] == [16.7, 16.7, 50.0, 0.0, 16.7, 0.0, None]
    assert marks([tuple(row.values()) for row in rows]) == {2: "most losses"}


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=6, max_size=6), st.integers(0, 40))
def test_every_deal_that_reached_a_stage_is_lost_open_or_on(counts: list[tuple[int, int]], won: int) -> None:
    rows = rows_for([lost for lost, _ in counts], [still for _, still in counts], won)
    for row in rows[:-1]:
        assert row["reached"] == row["lost"] + row["open"] + row["advanced"]  # type: ignore[operator]
    assert rows[-1]["reached"] == won


def test_no_rate_of_a_small_base_is_shown_to_people() -> None:
    rows = rows_for([1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0], 9)
    shown = [dict(zip(FUNNEL, row, strict=True)) for row in without_small_bases([tuple(row.values()) for row in rows])]
    assert shown[0]["step_pct"] == 90.0
    assert shown[1]["step_pct"] is None
    assert shown[0]["lost_share_pct"] is None
    assert shown[1]["reached"] == 9
    figures = dict.fromkeys(FIGURES, 1) | {"won": 4, "lost": 5, "opened": 10}
    assert without_small_rates(figures)["win_rate_closed_pct"] is None
    assert without_small_rates(figures)["win_rate_all_pct"] == 1


def test_change_has_a_base_or_is_unknown() -> None:
    assert change_pct(Decimal("150.00"), Decimal("100.00")) == 50.0
    assert change_pct(-1000, 500) == -300.0
    assert [change_pct(*pair) for pair in ((5, 0), (5, -1), (5, None), (None, 5))] == [None, None, None, None]
    figures = dict.fromkeys(FIGURES, 2)
    assert summary(figures, None)[0] == ("sales", 2, None, None)


def test_a_removed_stage_counts_as_the_nearest_earlier_one() -> None:
    def process(*names: str) -> Process:
        return Process((Pipeline("p", "P", tuple(Stage(name, name) for name in names)),), (), (), ())

    versions = [process("a", "b", "c", "d"), process("a", "c", "d"), process("a", "d", "e")]
    assert positions("p", versions) == {"a": 1, "d": 2, "e": 3, "c": 1, "b": 1}
    assert positions("q", versions) == {}
