"""Who is to do something: whom it was given to or, where that one cannot do it any more, who keeps the client."""

from __future__ import annotations

from crmcli.model.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Keepers:
    """Who can close the reminders in one book: its owner, if that is a member who still can, and the admins."""

    owner: int | None
    admins: frozenset[int]

    @property
    def able(self) -> frozenset[int]:
        """Everybody to whom a reminder in the book can be given."""
        return self.admins if self.owner is None else self.admins | {self.owner}

    def doers(self, assignee_id: int) -> frozenset[int]:
        """Return who is to do what was given to somebody: that one, else the owner, else every admin."""
        if assignee_id in self.able:
            return frozenset((assignee_id,))
        return self.admins if self.owner is None else frozenset((self.owner,))


def mark(*, is_overdue: bool, instead_of: str | None) -> str | None:
    """Return what stands after a row about a reminder: that it is overdue, or that somebody else was to do it."""
    parts = ("overdue" if is_overdue else "", f"instead of {instead_of}" if instead_of else "")
    return ", ".join(part for part in parts if part) or None
