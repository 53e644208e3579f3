"""The numbers of an agenda: those of one day stay what they are, whatever is done, put off or added meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmcli.errors import InputError, NotFoundError
from crmcli.model.frozen import dataclass
from crmcli.model.ids import SHORTEST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Numbers:
    """The reminders that were shown on a day (ISO): id -> number, from 1."""

    day: str
    by_id: Mapping[int, int]

    def with_more(self, day: str, ids: Sequence[int]) -> Numbers:
        """Return the numbers of reminders that are shown on a day: those known of that day, and new ones after them."""
        known = dict(self.by_id) if day == self.day else {}
        last = max(known.values(), default=0)
        fresh = [number for number in ids if number not in known]
        return Numbers(day, known | {number: place for place, number in enumerate(fresh, last + 1)})

    def find(self, text: str) -> int:
        """Return the id of the reminder that has a number. Raises: NotFoundError."""
        for known, number in self.by_id.items():
            if str(number) == text:
                return known
        raise NotFoundError(f"the last agenda had no number {text}", "crmcli agenda shows the numbers")


def is_number(text: str) -> bool:
    """Say whether a text is the number of a line, which is shorter than any id. Raises: InputError for 0."""
    if not text.isdecimal() or len(text) >= SHORTEST:
        return False
    if not int(text):
        raise InputError("the numbers of an agenda begin with 1")
    return True
