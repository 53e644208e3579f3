"""Inferred entries: what a file of deals, which tells only where each one stands, lets one think of the way it went.

They give way to what a file of stages tells, and nothing that was recorded gives way to them. So they have to be known
for what they are: the id of each differs from that of its deal in the last character alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmcli.model.dates import day_start, local_day

if TYPE_CHECKING:
    from collections.abc import Container
    from datetime import datetime, tzinfo

# The bits of an id that its last character stands for, all of them set.
LAST = 31
OPENING, CLOSING = 1, 2


def is_inferred(change_id: int, deal_id: int) -> bool:
    """Say whether an entry of a deal's history was inferred."""
    return 0 < change_id ^ deal_id <= LAST


def inferred_id(deal_id: int, known: Container[int]) -> int | None:
    """Return the id of one more inferred entry of a deal, none of those `known`, or None if all of them are."""
    return next((number for number in (deal_id ^ place for place in range(1, LAST + 1)) if number not in known), None)


def is_day_of(day: datetime, at: datetime, zone: tzinfo) -> bool:
    """Say whether an instant is the beginning of the local day of another one: told alone, it agrees with any time."""
    return day_start(local_day(at, zone), zone) == day
