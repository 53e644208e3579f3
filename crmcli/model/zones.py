"""Instants of the log in a zone: a commit may say any time, the end of time included."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, tzinfo


def in_zone(at: datetime, zone: tzinfo) -> datetime:
    """Return an aware instant in a zone; one at the end of time, where zones differ in whether it is, as it was."""
    try:
        return at.astimezone(zone)
    except OverflowError:
        return at
