"""The order of a deal's moves of one instant: in whatever order they lie, each comes from where the last one went."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from crmcli.model.moves import in_chain, moves

STAGES = ("a", "b", "c")
ways = st.lists(st.tuples(st.sampled_from((*STAGES, "lost", "won")), st.integers(0, 1)), max_size=8)


def entries_of(way: list[tuple[str, int]]) -> list[tuple[int, str | None, str, str]]:
    """The entries of a deal that goes this way, as a pipeline lets it: one that is won stays so."""
    stops, at = [("a", 0)], 0
    for stage, later in way:
        last = stops[-1][0]
        if last in ("won", stage) or (last == "lost" and stage == "won"):
            continue
        at += later
        stops.append((stage, at))
    told = moves(STAGES, [stage for stage, _ in stops])
    return [(at, before, stage, move) for (stage, at), (before, move) in zip(stops, told, strict=True)]


@given(way=ways, data=st.data())
def test_moves_follow_one_another_and_end_where_the_deal_is(way: list[tuple[str, int]], data: st.DataObject) -> None:
    came = entries_of(way)
    lying = sorted(data.draw(st.permutations(came)), key=lambda entry: entry[0])
    found = [lying[place] for place in in_chain(lying)]
    assert sorted(map(repr, found)) == sorted(map(repr, came))
    assert found[-1][2] == came[-1][2]
    here = None
    for _, before, to, move in found:
        closed = {"lost", "won"}
        assert (here in closed) if move == "reopen" else (before == here)
        here = to


def test_what_does_not_hang_together_keeps_its_order() -> None:
    torn = [(1, None, "a", "open"), (1, "b", "c", "forward"), (1, "a", "c", "skip")]
    assert in_chain(torn) == [0, 1, 2]
