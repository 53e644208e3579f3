"""The rows about growth: the same command on stores of three sizes, beside how the design says that its cost grows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from statistics import median

from bench.measure import Jobs, repeat, run, stop
from bench.rows import plainly, same_funnel, tables
from bench.stores import Bench
from bench.table import Growth


def logs(bench: Bench) -> Iterator[Growth]:
    """Watch a log grow, each commit a call.

    A client is added on a machine that knows the log up to now; the store is opened, for `list clients`, on one that
    has never seen it.
    """
    home = bench.home("log")
    run(home.crmcli("add-client", "First", "--phone", "+78120000000"))
    added: list[tuple[int, float]] = []
    opened: list[tuple[int, float]] = []
    phones = iter(range(1, 1_000_000))
    for size in bench.sizes.logs:
        run(home.python("committing", "grow", size))
        added.append(
            (size, _median(lambda _: home.crmcli("add-client", "New", "--phone", f"+7812{next(phones):07}"), bench))
        )
        opened.append((size, _median(lambda _: home.forget().crmcli("list", "clients"), bench)))
    yield Growth("add-client", "commits", "flat: what was verified is remembered", tuple(added))
    yield Growth("first open on a new machine", "commits", "linear: it checks every commit", tuple(opened))


def dropped(bench: Bench) -> Iterator[Growth]:
    """Watch files pile up that no commit names and that are too young to be removed."""
    home = bench.home("dropped")
    run(home.crmcli("add-client", "First", "--phone", "+78120000000"))
    listed: list[tuple[int, float]] = []
    collected: list[tuple[int, float]] = []
    there = 0
    for size in bench.sizes.dropped:
        for _ in range(size - there):
            name = os.urandom(16).hex()
            (home.store / "files" / name[:2] / f"{name}.parquet").touch()
        there = size
        listed.append((size, _median(lambda _: home.crmcli("list", "clients"), bench)))
        collected.append((size, _median(lambda _: home.crmcli("gc"), bench)))
    yield Growth("list clients", "dropped files", "flat: a reader opens what the log names", tuple(listed))
    yield Growth("gc", "dropped files", "linear: it looks at every file", tuple(collected))


def books(bench: Bench) -> Iterator[Growth]:
    """Watch `report funnel` by an admin over the same rows spread over ever more books.

    It has to print the same answer as plain DuckDB each time.
    """
    points = []
    for count in bench.sizes.books:
        home, plain = tables(bench, f"books-{count}", bench.sizes.spread, books=count)
        job = home.crmcli("report", "funnel", "--format", "json")
        if not same_funnel(run(job).out, run(plainly(home, "report", "funnel", plain)).out):
            stop(f"the funnel over {count} books differs")
        points.append((count, _median(lambda _, job=job: job, bench)))  # type: ignore[misc]
    rows = f"{bench.sizes.spread:,} stage changes"
    yield Growth(f"report funnel, {rows}", "books", "flat in the rows, a little for each file", tuple(points))


def _median(jobs: Jobs, bench: Bench) -> float:
    return median(ran.seconds for ran in repeat(jobs, bench.sizes.long_runs))
