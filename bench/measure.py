"""Measuring: commands as whole processes, two of them in turn, their time, their peak of memory, what they print.

The process that measures stays small, for a child's peak of memory is at least what its parent took before it.
"""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple, NoReturn

LONG = 30.0
LEAST = 3


class Job(NamedTuple):
    """A command and its environment."""

    command: list[str]
    environ: dict[str, str]


# Makes the job of run 0, 1, …; what it prepares is not measured. Run -1 warms the file cache and counts for nothing.
Jobs = Callable[[int], Job]


@dataclass(frozen=True)
class Ran:
    """What came of a job: `peak` is the most memory that it had at once, in bytes."""

    seconds: float
    peak: int
    out: str


@dataclass(frozen=True)
class Compared:
    """Medians of both sides, the median of the ratios of neighbours, and the lowest and the highest of them."""

    ours: float
    theirs: float
    ratio: float
    low: float
    high: float


def stop(text: str) -> NoReturn:
    """End the bench: what follows an error would measure nothing."""
    sys.exit(f"bench: {text}")


def seconds(ran: Ran) -> float:
    """Return how long a job took."""
    return ran.seconds


def peak(ran: Ran) -> float:
    """Return the most memory that a job had at once."""
    return ran.peak


def run(job: Job) -> Ran:
    """Run a job from its start to its end; a failure ends the bench."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, out.fileno(), 1),
            (os.POSIX_SPAWN_DUP2, err.fileno(), 2),
        ]
        start = time.perf_counter()
        child = os.posix_spawn(job.command[0], job.command, job.environ, file_actions=actions)
        _, status, usage = os.wait4(child, 0)
        took = time.perf_counter() - start
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
    code = os.waitstatus_to_exitcode(status)
    if code:
        stop(f"{shlex.join(job.command)} ended with {code}\n{texts[1] or texts[0]}")
    kib = 1 if sys.platform == "darwin" else 1024
    return Ran(took, usage.ru_maxrss * kib, texts[0])


@dataclass(frozen=True)
class Pair:
    """The runs of two jobs in turn."""

    ours: list[Ran]
    theirs: list[Ran]

    def compare(self, value: Callable[[Ran], float] = seconds) -> Compared:
        """Compare the two sides by one figure."""
        ours, theirs = [value(ran) for ran in self.ours], [value(ran) for ran in self.theirs]
        ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
        return Compared(median(ours), median(theirs), median(ratios), min(ratios), max(ratios))


def pair(ours: Jobs, theirs: Jobs, runs: int, same: Callable[[str, str], bool] | None = None) -> Pair:
    """Run two jobs in turn, after one run of each that does not count; `same` says whether what they print agrees."""
    rows: list[tuple[Ran, Ran]] = []
    for number in range(-1, runs):
        jobs = ours(number), theirs(number)
        row = run(jobs[0]), run(jobs[1])
        if same is not None and not same(row[0].out, row[1].out):
            stop(f"the answers differ:\n{shlex.join(jobs[0].command)}\n{row[0].out}\n{row[1].out}")
        if number >= 0:
            rows.append(row)
    return Pair([row[0] for row in rows], [row[1] for row in rows])


def repeat(jobs: Jobs, runs: int) -> list[Ran]:
    """Run a job, after one run that does not count; of one that takes long at least three runs are enough."""
    run(jobs(-1))
    done: list[Ran] = []
    while len(done) < runs and (len(done) < LEAST or sum(ran.seconds for ran in done) < LONG):
        done.append(run(jobs(len(done))))
    return done
