"""Assigning: whose a reminder is by now, which takes to know the book that it is in and who can still close it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from crmcli.model.assigning import Keepers
from crmcli.model.ids import decode_id
from crmcli.model.records import OPEN
from crmcli.storage import kernels as pc
from crmcli.storage.counting import counted
from crmcli.storage.members import ADMIN, may_write
from crmcli.storage.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from crmcli.storage.state import State
    from crmcli.storage.view import View

_TABLE = TABLES["reminders"]


def keepers(state: State, name: str) -> Keepers:
    """Return who can close the reminders in a book: admins anywhere, and members in their own."""
    book = state.books[name]
    owner = state.members[book.owner] if book.owner is not None else None
    is_able = owner is not None and owner.active and may_write(owner, book, _TABLE.name)
    admins = (m.member for m in state.members.values() if m.active and m.role == ADMIN and not m.recovery)
    return Keepers(
        decode_id(owner.member) if owner is not None and is_able else None,
        frozenset(number for member in admins if (number := decode_id(member))),
    )


class Doers:
    """Who is to do the reminders that a view shows."""

    def __init__(self, view: View) -> None:
        self._reader = view.reader
        self._keepers = {book: keepers(view.store.state, book) for book in view.reader.parts(_TABLE)}

    def of_member(self, rows: pa.Table, member_id: int) -> pa.Table:
        """Return those of some reminders, with `reminder_id` and `assignee_id`, that a member is to do."""
        assignees = rows.column("assignee_id")
        given = pc.distinct(assignees).to_pylist()
        theirs = {
            book: {number for number in given if member_id in known.doers(number)}
            for book, known in self._keepers.items()
        }
        anywhere = set(given).intersection(*theirs.values())
        mask = pc.is_in(assignees, ids(anywhere))
        for book, some in theirs.items():
            # Most reminders are the assignee's in whatever book they are, and no book needs to be read for it.
            if some - anywhere:
                here = pc.whole(self._reader.merged(_TABLE.name, [_TABLE.key], books=[book]).column(_TABLE.key))
                is_here = pc.is_in(rows.column(_TABLE.key), here)
                mask = pc.or_(mask, pc.and_(pc.is_in(assignees, ids(some)), is_here))
        return pc.filtered(rows, mask)

    def of_reminders(self, assignees: Mapping[int, int]) -> dict[int, frozenset[int]]:
        """Return who is to do each of some reminders: its id -> members; `assignees` says whom it was given to."""
        given = set(assignees.values())
        possible = {number: {known.doers(number) for known in self._keepers.values()} for number in given}
        unsure = [number for number, assignee in assignees.items() if len(possible[assignee]) > 1]
        found = {number: next(iter(possible[assignee])) for number, assignee in assignees.items()}
        for book, known in self._keepers.items() if unsure else ():
            here = self._reader.merged(_TABLE.name, [_TABLE.key], (_TABLE.key, unsure), [book])
            found |= {number: known.doers(assignees[number]) for number in here.column(_TABLE.key).to_pylist()}
        return found


def given_back(view: View, member_id: int) -> int:
    """Return how many open reminders were given to somebody who cannot do them, so that others are to."""
    rows = counted(view.reader, _TABLE.name, [_TABLE.key, "client_id", "assignee_id", "status"])
    mask = pc.and_(pc.equal(rows.column("status"), OPEN), pc.equal(rows.column("assignee_id"), member_id))
    left = pc.filtered(rows, mask).column(_TABLE.key).to_pylist()
    return sum(member_id not in doers for doers in Doers(view).of_reminders(dict.fromkeys(left, member_id)).values())


def ids(numbers: Iterable[int]) -> pa.Array:
    """Return ids as tables hold them."""
    return pa.array(sorted(numbers), pa.int64())
