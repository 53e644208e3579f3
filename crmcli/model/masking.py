"""Masking: bulk reading shows whom a company knows for so many rows, and dots after them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

MASK = "•••"
# The columns of listings that say who somebody is, how to reach them or what was said.
CONTACT_COLUMNS = frozenset(
    {
        "name", "company", "phone", "phones", "email", "emails", "tax_id", "address", "external_id", "external_ids",
        "said", "about", "promised", "whom", "interest", "note", "title", "text",
    }
)  # fmt: skip


def masked(
    columns: Sequence[str], rows: Sequence[tuple[Any, ...]], first: int, shown: Collection[str] = ()
) -> tuple[list[tuple[Any, ...]], int]:
    """Return the rows with the contact columns masked after the `first` ones, and how many rows that took from.

    Columns in `shown` stay as they are, and so does what is not known: it says nothing.
    """
    places = {place for place, name in enumerate(columns) if name in CONTACT_COLUMNS and name not in shown}
    hidden = [
        tuple(MASK if place in places and cell is not None else cell for place, cell in enumerate(row))
        for row in rows[first:]
    ]
    count = sum(after != before for after, before in zip(hidden, rows[first:], strict=True))
    return [*rows[:first], *hidden], count
