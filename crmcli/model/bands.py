"""Bands: how late a client is, counted in personal periods since the last purchase."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from crmcli.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

BANDS = ("on time", "due", "late", "at risk", "leaving", "lost")
LOST = BANDS[-1]


def parse_bands(text: str) -> tuple[float, ...]:
    """Return the ends of the bands but the last, in periods. Raises: InputError unless there are five that ascend."""
    try:
        ends = tuple(float(word) for word in text.replace(",", " ").split())
    except ValueError:
        ends = ()
    if len(ends) != len(BANDS) - 1 or not all(0 < low < high < float("inf") for low, high in pairwise(ends)):
        raise InputError("bands are five numbers that ascend", "such as 1, 1.5, 2, 3, 5")
    return ends


def band(times_period: float, ends: Sequence[float]) -> str:
    """Return the band of a client whose last purchase is so many personal periods ago."""
    return next((name for name, end in zip(BANDS, ends, strict=False) if times_period <= end), LOST)
