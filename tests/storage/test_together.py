"""Work done at once gives what it would give in turn, its failures included."""

from __future__ import annotations

import os
import threading

import pytest

from crmcli.storage.together import at_once


def test_results_come_in_the_order_of_the_items() -> None:
    assert at_once(lambda number: number * number, range(100)) == [number * number for number in range(100)]
    assert at_once(str, []) == []


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one processor does one thing at once")
def test_two_items_are_worked_on_at_once() -> None:
    meeting = threading.Barrier(2, timeout=10)
    at_once(lambda _: meeting.wait(), range(2))


def test_failure_of_the_first_item_that_fails_is_raised() -> None:
    def work(number: int) -> int:
        if number >= 3:
            raise ValueError(number)
        return number

    with pytest.raises(ValueError, match="3"):
        at_once(work, range(20))
