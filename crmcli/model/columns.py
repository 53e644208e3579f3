"""How wide the columns of a table are where there is room for so much, and which of them are left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_NARROWEST = 6


def fitted(widths: Sequence[int], bodies: Sequence[int], fixed: Sequence[bool], room: int, gap: int) -> dict[int, int]:
    """Return the widths of the columns that are shown, by place, which sum up to `room` if they can.

    `bodies` are their widths without the names. Where room is short, columns in which nothing stands are left out;
    then the widest shrink first, and those that are `fixed` never.
    """
    if sum(widths) + gap * (len(widths) - 1) <= room:
        return dict(enumerate(widths))
    held = [place for place, body in enumerate(bodies) if body or not any(bodies)]
    room -= gap * (len(held) - 1)
    wanted = {place: widths[place] for place in held}
    shown = wanted
    for cap in range(min(max(wanted.values(), default=0), room), _NARROWEST - 1, -1):
        if sum(shown.values()) <= room:
            break
        floors = ((place, bodies[place] if fixed[place] else _NARROWEST) for place in held)
        shown = {place: min(wanted[place], max(floor, cap)) for place, floor in floors}
    return shown
