"""Masking: the first rows are shown, the others say neither who it is nor how to reach them."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from crmcli.model.exporting import COLUMNS as EXPORTED
from crmcli.model.exporting import PERSONAL, WORDS, is_covered
from crmcli.model.flags import FLAGS
from crmcli.model.masking import CONTACT_COLUMNS, MASK, masked
from crmcli.storage.listing import KINDS
from crmcli.storage.log import WORD
from crmcli.storage.tables import TABLES

COLUMNS = ("client_id", "name", "phone", "amount")
ROWS = st.lists(st.tuples(st.integers(), st.none() | st.text(), st.none() | st.text(), st.integers()), max_size=9)


@given(ROWS, st.integers(0, 10))
def test_rows_after_the_first_hold_no_contact(rows: list[tuple[Any, ...]], first: int) -> None:
    shown, count = masked(COLUMNS, rows, first)
    assert shown[:first] == rows[:first]
    assert len(shown) == len(rows)
    for after, before in zip(shown[first:], rows[first:], strict=True):
        assert (after[0], after[3]) == (before[0], before[3])
        assert all(
            cell == (None if known is None else MASK) for cell, known in zip(after[1:3], before[1:3], strict=True)
        )
    assert count == sum(row[1:3] != (None, None) for row in shown[first:])


def test_columns_that_a_grant_covers_are_shown() -> None:
    assert masked(COLUMNS, [(1, "Anna", "+7", 5)], 0, ["name"]) == ([(1, "Anna", MASK, 5)], 1)


def test_every_personal_column_of_a_listing_is_masked() -> None:
    facts = {name for table in TABLES.values() if table.group != "personal" for name in table.schema.names}
    facts |= {"owner", "by", *FLAGS}
    for kind in KINDS.values():
        assert set(kind.columns) - facts <= CONTACT_COLUMNS


def test_what_an_export_calls_facts_are_no_texts() -> None:
    for columns in EXPORTED.values():
        assert {name for name in columns if name in CONTACT_COLUMNS} <= PERSONAL
    assert all(WORD.fullmatch(word) for word in WORDS)
    assert all(is_covered(name, WORDS) for columns in EXPORTED.values() for name in columns)
    assert is_covered("phone2", ["phone"])
    assert not is_covered("email2", ["phone"])
