"""The moves of a deal's way through its pipeline, told from the stops alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmcli.model.records import LOST, WON

if TYPE_CHECKING:
    from collections.abc import Sequence


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
