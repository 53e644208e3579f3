"""A commit is all or nothing, whatever fails at whatever step; what was acknowledged stays."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from typing import NoReturn

import pytest

from tests.storage.company import Company, Result, problems
from tests.storage.faulty import Fault, failing, injected, interrupt

MOST_CALLS = 80
ERROR, NO_SPACE, UNKNOWN, INTERRUPTED = 1, 17, 18, 130


def add(company: Company, n: int, fault: Fault, *options: str) -> Result:
    with injected(fault):
        return company.crmcli("add-client", f"Client {n}", "--phone", f"+7916{n:07}", *options)


def calls_of_a_commit(company: Company) -> int:
    fault = Fault(0, interrupt)
    assert add(company, 999, fault).code == 0
    return fault.count


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("strike", "expected"),
    [
        (failing(errno.EIO), {0, ERROR, UNKNOWN}),
        (failing(errno.ENOSPC), {0, NO_SPACE, UNKNOWN}),
        (interrupt, {0, INTERRUPTED, UNKNOWN}),
    ],
    ids=["error", "no space", "interrupt"],
)
def test_failure_of_any_call_leaves_all_or_nothing(
    company: Company, strike: Callable[[], NoReturn], expected: set[int], late: bool
) -> None:
    total = calls_of_a_commit(company)
    assert 10 < total < MOST_CALLS
    there = ["Client 999"]
    seen = set()
    for n in range(1, total + 1):
        fault = Fault(n, strike, late=late)
        result = add(company, n, fault)
        assert fault.count >= n
        assert result.code in expected, (n, result)
        seen.add(result.code)
        if result.code == UNKNOWN:
            match = re.search(r"--op-id ([0-9a-f]{32})", result.err)
            assert match, result
            # The retry changes nothing if it was saved, and saves it otherwise.
            again = company.crmcli("--op-id", match[1], "add-client", f"Client {n}", "--phone", f"+7916{n:07}")
            assert again.code == 0, (n, again)
            assert "nothing to do" in again.err or "Client" in again.out
        if result.code in (0, UNKNOWN):
            there.append(f"Client {n}")
        assert company.names() == sorted(there), (n, result)
    assert problems(company) == []
    assert UNKNOWN in seen
    assert len(seen) > 1


# Every process takes a while, so that a usual run tries some of the calls only.
@pytest.mark.parametrize(
    ("when", "start", "step"),
    [
        ("before", 2, 4),
        ("after", 4, 4),
        pytest.param("before", 1, 1, marks=pytest.mark.soak),
        pytest.param("after", 1, 1, marks=pytest.mark.soak),
    ],
)
def test_kill_at_any_call_leaves_all_or_nothing(company: Company, when: str, start: int, step: int) -> None:
    tried = range(start, calls_of_a_commit(company) + 1, step)
    killed = 0
    for n in tried:
        before = company.names()
        result = company.run(
            *(str(n), when, "add-client", f"Client {n}", "--phone", f"+7916{n:07}"),
            program=("-m", "tests.storage.faulty"),
        )
        assert result.code in (0, 9), result
        killed += result.code == 9
        after = company.names()
        assert after in (before, sorted([*before, f"Client {n}"]))
        if result.out:
            assert after != before
        # The phone is free exactly if the client is not there.
        again = company.crmcli("add-client", f"Client {n}", "--phone", f"+7916{n:07}")
        assert again.code == (4 if after != before else 0)
    assert killed >= len(tried) - 2
    assert problems(company) == []


def test_operation_repeated_by_its_id_is_done_once(company: Company) -> None:
    op_id = "0123456789abcdef" * 2
    first = company.crmcli("add-client", "Anna", "--op-id", op_id)
    again = company.crmcli("add-client", "Anna", "--op-id", op_id)
    assert (first.code, again.code) == (0, 0)
    assert "nothing to do" in again.err
    assert again.out == ""
    assert company.names() == ["Anna"]


def test_files_that_vanish_before_the_commit_do_not_get_into_it(company: Company) -> None:
    """A collection of orphans by a wrong clock may come between the files and the commit that names them."""
    from crmcli.errors import OvertakenError
    from crmcli.storage import writing

    store = company.open()
    real = writing._write_files

    def robbed(*arguments: object) -> object:
        entries = real(*arguments)  # type: ignore[arg-type]
        for entry in entries:
            store.reader.path(entry.file_id).unlink()
        return entries

    session = company.session()
    writing._write_files = robbed  # type: ignore[assignment]
    try:
        with pytest.raises(OvertakenError), session.writing() as draft:
            from crmcli.model.records import Staff

            draft.put(Staff(1, "Bob"))
    finally:
        writing._write_files = real
    assert problems(company) == []
