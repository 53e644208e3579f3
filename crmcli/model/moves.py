"""The moves of a deal's way through its pipeline, told from the stops alone; and their order, told from the moves."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from crmcli.model.records import LOST, WON

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Where a closed deal is.
_CLOSED = ""


def moves(stages: Sequence[str], visited: Sequence[str]) -> list[tuple[str | None, str]]:
    """Return for each stop of a deal's way, a stage of its pipeline, won or lost, where it came from and the move.

    The first is `open`; what follows a closing is `reopen`; see StageChange for the others.
    """
    place = {stage: number for number, stage in enumerate(stages)}
    told: list[tuple[str | None, str]] = []
    before, closed = None, False
    for to in visited:
        if to in {WON, LOST}:
            # A closed deal keeps the stage that it was closed from.
            told.append((before, to))
            closed = True
            continue
        step = place.get(to, -1) - place.get(before or "", -1)
        if closed:
            move = "reopen"
        elif before is None:
            move = "open"
        elif step < 0:
            move = "back"
        else:
            move = "forward" if step == 1 else "skip"
        told.append((before, move))
        before, closed = to, False
    return told


def in_chain(entries: Sequence[tuple[Any, str | None, str, str]]) -> list[int]:
    """Return the places of a deal's entries (at, from_stage, to_stage, move) in the order in which they came about.

    They come in order of `at`; of those of one instant, each comes from where the one before it went. Entries that do
    not hang together keep their order.
    """
    order: list[int] = []
    for _, together in groupby(range(len(entries)), key=lambda place: entries[place][0]):
        tied = list(together)
        here = _goes_to(entries[order[-1]]) if order else None
        path = list(_path(entries, tied, here)) if len(tied) > 1 else tied
        order += path if len(path) == len(tied) else tied
    return order


def _path(entries: Sequence[tuple[Any, str | None, str, str]], tied: Sequence[int], here: str | None) -> Iterator[int]:
    """Yield entries as one way from a stop on, as far as there is one (Hierholzer's algorithm)."""
    leaving: dict[str | None, list[int]] = {}
    for place in reversed(tied):
        _, before, to, move = entries[place]
        # From a stop one goes on first, and closes the deal for good last.
        ways = leaving.setdefault(_CLOSED if move == "reopen" else before, [])
        ways.insert(0 if to == WON else len(ways), place)
    trail: list[tuple[str | None, int | None]] = [(here, None)]
    way: list[int] = []
    while trail:
        stop, came_by = trail[-1]
        if leaving.get(stop):
            place = leaving[stop].pop()
            trail.append((_goes_to(entries[place]), place))
        else:
            trail.pop()
            if came_by is not None:
                way.append(came_by)
    yield from reversed(way)


def _goes_to(entry: tuple[Any, str | None, str, str]) -> str:
    return _CLOSED if entry[2] in {WON, LOST} else entry[2]
