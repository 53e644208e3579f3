"""The rule of who is to do something: the assignee, else who keeps the client, else every admin."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from crmcli.model.assigning import Keepers, mark

OLGA, BORIS, CLARA, GONE = 1, 2, 3, 9
PEOPLE = st.integers(1, 5)


def test_what_was_given_to_who_can_close_it_stays_there() -> None:
    book = Keepers(BORIS, frozenset({OLGA, CLARA}))
    assert [book.doers(number) for number in (OLGA, BORIS, CLARA)] == [{OLGA}, {BORIS}, {CLARA}]


def test_what_was_given_to_anybody_else_is_the_owners_or_else_every_admins() -> None:
    assert Keepers(BORIS, frozenset({OLGA})).doers(GONE) == {BORIS}
    assert Keepers(None, frozenset({OLGA, CLARA})).doers(GONE) == {OLGA, CLARA}


@given(st.none() | PEOPLE, st.frozensets(PEOPLE, min_size=1), PEOPLE)
def test_there_is_always_somebody_who_can_close_it(owner: int | None, admins: frozenset[int], assignee: int) -> None:
    book = Keepers(owner, admins)
    doers = book.doers(assignee)
    assert doers
    assert doers <= book.able
    assert (assignee in doers) == (assignee in book.able)


def test_a_row_says_that_it_is_late_and_instead_of_whom() -> None:
    assert mark(is_overdue=False, instead_of=None) is None
    assert mark(is_overdue=True, instead_of=None) == "overdue"
    assert mark(is_overdue=False, instead_of="Boris") == "instead of Boris"
    assert mark(is_overdue=True, instead_of="Boris") == "overdue, instead of Boris"
