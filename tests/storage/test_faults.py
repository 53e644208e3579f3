"""Whatever call to the operating system fails, once or from then on: all of a change is there, or nothing of it."""

from __future__ import annotations

import errno
import re
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import NoReturn

import pytest

from tests.storage.company import Result, problems
from tests.storage.crowd import Job
from tests.storage.faulty import KINDS, SPACE, Fault, failing, interrupt, wrapped

# Calls that a command may need less than another time: chance says whether the folder of its files has to be made.
BY_CHANCE = 15
ERROR, BAD_FILE, NO_KEY, NO_SPACE, UNKNOWN, INTERRUPTED = 1, 2, 12, 17, 18, 130


@dataclass(frozen=True)
class Kind:
    """A way to fail: what happens, at which calls, and the exit codes that tell of it."""

    strike: Callable[[], NoReturn]
    calls: tuple[str, ...]
    codes: frozenset[int]


FAILURES = {
    "error": Kind(failing(errno.EIO), KINDS, frozenset({0, ERROR, BAD_FILE, NO_KEY, UNKNOWN})),
    "no space": Kind(failing(errno.ENOSPC), SPACE, frozenset({0, NO_SPACE, UNKNOWN})),
    "interrupted call": Kind(failing(errno.EINTR), KINDS, frozenset({0, ERROR, BAD_FILE, NO_KEY, UNKNOWN})),
    "interrupt": Kind(interrupt, KINDS, frozenset({0, INTERRUPTED, UNKNOWN})),
}


def calls_of(job: Job, place: Path, kinds: tuple[str, ...]) -> int:
    """Run the command without a fault and return how many calls it makes."""
    fault = Fault(0, interrupt, calls=kinds)
    company = job.copy(place)
    assert job.run(company, fault).code == 0
    assert job.is_done(company)
    return len(fault.seen)


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("step", [29, pytest.param(1, marks=pytest.mark.soak)])
def test_failure_of_any_call_leaves_all_or_nothing(job: Job, failure: str, step: int, tmp_path: Path) -> None:
    kind = FAILURES[failure]
    total = calls_of(job, tmp_path / "whole", kind.calls)
    seen = set()
    for n in range(1, total + 1, step):
        ways = [(late, lasting) for late in (False, True) for lasting in ((), kind.calls)]
        for number, (late, lasting) in enumerate(ways):
            # A usual run takes the ways in turn.
            if step > 1 and number != n // step % len(ways):
                continue
            company = job.copy(tmp_path / f"{n}-{number}")
            fault = Fault(n, kind.strike, late=late, calls=kind.calls, lasting=lasting)
            result = job.run(company, fault)
            case = (n, fault.seen[-1], late, bool(lasting), result)
            assert fault.has_struck or (result.code == 0 and n > total - BY_CHANCE), case
            assert result.code in kind.codes, case
            assert_told(result)
            seen.add(result.code)
            op_id = re.search(r"--op-id ([0-9a-f]{32})", result.err)
            assert bool(op_id) == (result.code == UNKNOWN), case
            done = job.is_done(company)
            if result.code != UNKNOWN:
                told = result.code == 0 or "the change itself was saved" in result.err
                assert done == (told or not job.adds), case
            # Once more: the same operation if nobody knows, else a new one if there is need to.
            again = ("--op-id", op_id[1]) if op_id else ()
            if not done or op_id or not job.adds:
                assert job.run(company, None, *again).code == 0, case
            assert job.is_done(company), case
            if step == 1 or n % 3 == 0:
                assert problems(company) == [], case
            shutil.rmtree(company.folder)
    assert seen - {0}


def assert_told(result: Result) -> None:
    """A failure is told in two lines at most, and is not one that nobody foresaw."""
    lines = [line for line in result.err.splitlines() if line.startswith("crmcli: ")]
    assert len(lines) <= 2
    assert "unforeseen" not in result.err
    assert "Traceback" not in result.err
    assert bool(lines) == bool(result.code)


# Every process takes a while, so that a usual run tries few of the calls.
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("tries", [2, pytest.param(None, marks=pytest.mark.soak)])
def test_kill_at_any_call_leaves_all_or_nothing(job: Job, when: str, tries: int | None, tmp_path: Path) -> None:
    total = calls_of(job, tmp_path / "whole", KINDS)
    tried = range(1, total + 1)
    for n in Random(when + job.arguments[0]).sample(tried, tries) if tries else tried:
        company = job.copy(tmp_path / f"{n}")
        killed = company.run(str(n), when, *job.arguments, program=("-m", "tests.storage.faulty"))
        assert killed.code == -signal.SIGKILL or (killed.code == 0 and n > total - BY_CHANCE), (n, killed)
        done = job.is_done(company)
        assert done or not killed.out, (n, killed)
        if not done or not job.adds:
            assert job.run(company).code == 0, n
            assert job.is_done(company)
        assert problems(company) == [], n
        shutil.rmtree(company.folder)


def test_disk_that_takes_a_byte_at_a_time_gets_all_of_them(job: Job, tmp_path: Path) -> None:
    company = job.copy(tmp_path / "slow")
    with wrapped(
        ["write"], lambda _, write: lambda handle, content: write(handle, bytes(content[: 1 + len(content) // 3]))
    ):
        assert job.run(company).code == 0
    assert job.is_done(company)
    assert problems(company) == []
