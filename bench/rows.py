"""The rows against other programs; each function is one group, and its docstring is what the page says of it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from bench.measure import Compared, Job, Ran, pair, peak, repeat, run, stop
from bench.stores import CRMCLI, ROOT, SQLITE_UTILS, TODO, Bench, Home
from bench.table import MIB, Line, memory, ratio, share, time_of

MOST_TO_ADD = 110 * MIB
FEWEST_A_SECOND = 100_000
_STAGES_OF_A_DEAL = 5
# Adds the clients of the numbers from $1 to below $2, a process each.
_WRITER = """
    for n in $(seq $1 $(($2 - 1))); do "$0" add-client "Client $n" --phone +7812$(printf %07d $n) >/dev/null; done
"""


def starting(bench: Bench) -> Iterator[Line]:
    """Compare `crmcli --help` with Python doing nothing."""
    home = Home(bench.folder)
    found = pair(lambda _: home.crmcli("--help"), lambda _: home.job(sys.executable, "-c", "pass"), bench.sizes.runs)
    yield ratio("crmcli --help", "python -c pass", found.compare(), 5)


def adding(bench: Bench) -> Iterator[Line]:
    """Compare adding a client with inserting a row.

    The client is encrypted, signed and on the disk, after a look for the same phone among all clients. The row goes
    into a database of as many rows with an index on name, phone and e-mail.
    """
    home = bench.team
    found = pair(
        lambda n: home.crmcli("add-client", f"New {n}", "--phone", f"+7812{n + 1:07}", "--interest", "tea"),
        lambda _: home.job(SQLITE_UTILS, "insert", home.folder / "other.db", "clients", home.folder / "row.json"),
        bench.sizes.runs,
    )
    yield ratio(f"add-client, {bench.sizes.clients:,} clients", "sqlite-utils insert", found.compare(), 1.3)
    most = median(ran.peak for ran in found.ours)
    yield Line("memory of add-client", memory(most), memory(MOST_TO_ADD), most > MOST_TO_ADD)


def calling(bench: Bench) -> Iterator[Line]:
    """Compare recording a call with one of many clients with writing a thing to do into a file."""
    home = bench.team
    found = pair(
        lambda _: home.crmcli("log-call", "Client 77", "out", "--said", "tea on Friday"),
        lambda _: home.job(TODO, "new", "tea on Friday"),
        bench.sizes.runs,
    )
    yield ratio(f"log-call, {bench.sizes.clients:,} clients", "todoman new", found.compare(), 1.3)


def reading(bench: Bench) -> Iterator[Line]:
    """Compare looking at clients with queries.

    A page of clients, one client, and a search in every text. The database has as many rows, with an index on name,
    phone and e-mail.
    """
    home = bench.team
    looks = {
        "list clients --limit 20": (
            ("list", "clients", "--limit", "20"),
            "select * from clients order by name limit 20",
        ),
        "show": (("show", "c77@example.com"), "select * from clients where email = 'c77@example.com'"),
        "find": (("find", "c77@example"), "select * from clients where email like '%c77@example%'"),
    }
    for what, (arguments, query) in looks.items():
        ours = home.crmcli(*arguments)
        theirs = home.job(SQLITE_UTILS, "query", home.folder / "other.db", query)
        found = pair(lambda _, job=ours: job, lambda _, job=theirs: job, bench.sizes.runs, _both_answer)  # type: ignore[misc]
        yield ratio(f"{what}, {bench.sizes.clients:,} clients", "sqlite-utils query", found.compare(), 1.3)


def _both_answer(ours: str, theirs: str) -> bool:
    return "Client" in ours and "Client" in theirs


def funnels(bench: Bench) -> Iterator[Line]:
    """Compare `report funnel` with the engine alone.

    DuckDB runs the same .sql file over the same tables as plain Parquet, zstd, in the same order. A million stage
    changes are the histories of some 217,000 deals. Both sides have to print the same answer.
    """
    for changes, most_time, most_memory in bench.sizes.changes:
        home, plain = tables(bench, f"funnel-{changes}", changes)
        found = pair(
            lambda _, home=home: home.crmcli("report", "funnel", "--format", "json"),  # type: ignore[misc]
            lambda _, home=home, plain=plain: plainly(home, "report", "funnel", plain),  # type: ignore[misc]
            bench.sizes.long_runs,
            same_funnel,
        )
        what = f"report funnel, {changes:,} stage changes"
        yield ratio(what, "DuckDB, plain Parquet", found.compare(), most_time)
        yield ratio(f"memory of {what}", "DuckDB, plain Parquet", found.compare(peak), most_memory, "memory")


def summaries(bench: Bench) -> Iterator[Line]:
    """Compare the figures of a year beside the one before with the engine alone: of all, of sales and of calls.

    There are as many activities and stage changes as sales. Both sides have to print the same answer.
    """
    count = bench.sizes.documents
    home, plain = tables(bench, "summary", count, documents=count)
    for report in ("summary", "sales", "calls"):
        found = pair(
            lambda _, report=report: home.crmcli("report", report, "--period", "2022", "--format", "json"),  # type: ignore[misc]
            lambda _, report=report: plainly(home, "report", report, plain),  # type: ignore[misc]
            bench.sizes.long_runs,
            _same_figures,
        )
        what = f"report {report}, {count:,} {'calls' if report == 'calls' else 'sales'}"
        yield ratio(what, "DuckDB, plain Parquet", found.compare(), 1.5)
        yield ratio(f"memory of {what}", "DuckDB, plain Parquet", found.compare(peak), None, "memory")


def tables(bench: Bench, name: str, changes: int, documents: int = 0, books: int = 1) -> tuple[Home, Path]:
    """Return a home whose store holds made-up deals, sales and activities, and the folder of the same as Parquet."""
    home = bench.home(name)
    plain = home.folder / "plain"
    run(home.python("fill", "tables", plain, changes, documents, books))
    return home, plain


def plainly(home: Home, what: str, *arguments: object) -> Job:
    """Return the job of the other side."""
    return home.job(sys.executable, ROOT / "bench" / f"plain_{what}.py", *arguments)


def same_funnel(ours: str, theirs: str) -> bool:
    """Say whether two funnels, as JSON, tell the same of each stage."""
    names = ("position", "reached", "lost", "open", "median_days", "p90_days")
    both = [[tuple(row[name] for name in names) for row in json.loads(text)] for text in (ours, theirs)]
    return both[0] == both[1] and both[0][0][1] > 0


def _same_figures(ours: str, theirs: str) -> bool:
    periods = {row["period"]: row for row in json.loads(theirs)}
    rows = json.loads(ours)
    return bool(rows) and all(
        _number(row[period]) == _number(periods[period][row["figure"]]) for row in rows for period in periods
    )


def _number(cell: Any) -> float | None:
    return None if cell is None else float(cell)


def importing(bench: Bench) -> Iterator[Line]:
    """Compare imports with DuckDB reading the same csv file and writing it as plain Parquet, zstd.

    Sales have client, day and amount; calls client, direction, time, result and seconds; stages deal, stage and time.
    The store knows the clients and deals by their external ids, and is a fresh copy each time. Clients with a phone,
    an e-mail and an external id each go into an empty store, and are counted by the second.
    """
    sizes = bench.sizes
    people = bench.csv("clients", sizes.people, 0)
    empty = bench.home("empty")
    copy = bench.folder / "copy"
    found = repeat(lambda _: empty.copy(copy).crmcli("import", "clients", people), sizes.long_runs)
    rate = sizes.people / median(ran.seconds for ran in found)
    yield Line(
        f"import of {sizes.people:,} clients",
        f"{rate:,.0f} rows a second",
        f"at least {FEWEST_A_SECOND:,}",
        rate < FEWEST_A_SECOND,
        time_of(median(ran.seconds for ran in found)),
    )
    known = bench.home("known")
    run(known.crmcli("import", "clients", people))
    run(known.crmcli("import", "deals", bench.csv("deals", max(sizes.rows) // _STAGES_OF_A_DEAL, sizes.people)))
    for rows in sizes.rows:
        for kind, others in (("sales", sizes.people), ("calls", sizes.people), ("stages", rows // _STAGES_OF_A_DEAL)):
            yield _imported(bench, known, kind, rows, others)


def _imported(bench: Bench, known: Home, kind: str, rows: int, others: int) -> Line:
    """Return the row of one file, whose rows are spread over so many clients or deals that are known."""
    source, parquet = bench.csv(kind, rows, others), bench.folder / f"{kind}.parquet"
    first, copy = bench.folder / "first.csv", bench.folder / "copy"
    with source.open() as lines:
        first.write_text(next(lines) + next(lines))

    def ours(_: int) -> Job:
        home = known.copy(copy)
        # A copied file is one that this machine has not checked yet.
        run(home.crmcli("import", kind, first, "--dry-run"))
        return home.crmcli("import", kind, source)

    theirs = plainly(known, "import", source, parquet)
    done = pair(ours, lambda _: theirs, bench.sizes.long_runs)
    for ran in done.ours:
        _require_rows(ran, rows)
    count = f"import duckdb; print(len(duckdb.read_parquet({str(parquet)!r})))"
    if int(run(known.job(sys.executable, "-c", count)).out) != rows:
        stop(f"{parquet} lacks rows")
    return ratio(f"import of {rows:,} {kind}", "DuckDB, csv to plain Parquet", done.compare(), 1.3)


def _require_rows(ran: Ran, rows: int) -> None:
    """Stop unless an import says that it has taken in every row."""
    said = dict(line.rsplit(maxsplit=1) for line in ran.out.splitlines())
    if int(said["rows read"]) != rows or int(said["new"]) + int(said["changed"]) != rows:
        stop(f"an import of {rows} rows took in others:\n{ran.out}")


def committing(bench: Bench) -> Iterator[Line]:
    """Compare commits in one process with those of sqlite3, journal in WAL mode, synchronous FULL.

    Ours hold a client and the contact, and the compaction that is due counts too; theirs a row in each of two tables.
    Starting is not counted. The second row says what the disk alone takes for the files of such commits.
    """
    home, count = bench.home("commits"), bench.sizes.commits
    found = pair(
        lambda _: home.python("committing", "loop", count),
        lambda _: plainly(home, "commits", home.folder / "other.db", count),
        bench.sizes.long_runs,
    )
    bare = pair(
        lambda number: plainly(home, "files", "commits", home.folder / f"bare-{number}", count),
        lambda _: plainly(home, "commits", home.folder / "other.db", count),
        bench.sizes.long_runs,
    )
    for what, rates, limit in (("durable commits in one process", found, 0.3), ("their files alone", bare, None)):
        compared = rates.compare(lambda ran: count / float(ran.out))
        yield share(what, "sqlite3, WAL, synchronous FULL", compared, limit)


def writing(bench: Bench) -> Iterator[Line]:
    """Compare eight writers at once with two, each of them a shell that adds one client after the other.

    A failure of one of them ends the bench.
    """
    home, count = bench.home("writers"), bench.sizes.writes
    _rate(home, 2, 8, 0)
    first = 8
    both: list[tuple[float, float]] = []
    for _ in range(bench.sizes.long_runs):
        both.append((_rate(home, 8, count, first), _rate(home, 2, count, first + count)))
        first += 2 * count
    ratios = [eight / two for eight, two in both]
    eight, two = (median(rates) for rates in zip(*both, strict=True))
    compared = Compared(eight, two, median(ratios), min(ratios), max(ratios))
    yield share("8 writers at once, no failure", "2 writers at once", compared, 0.85)


def _rate(home: Home, writers: int, count: int, first: int) -> float:
    """Return how many clients a second are added by writers at once, `count` by all of them together."""
    each = count // writers
    spans = [(str(first + n * each), str(first + (n + 1) * each)) for n in range(writers)]
    start = time.monotonic()
    running = [subprocess.Popen(["sh", "-ec", _WRITER, CRMCLI, *span], env=home.environ) for span in spans]
    codes = [process.wait() for process in running]
    if any(codes):
        stop(f"a writer among {writers} failed: {codes}")
    return writers * each / (time.monotonic() - start)


def unlocking(bench: Bench) -> Iterator[Line]:
    """Say what a passphrase adds to each command: Argon2id with 64 MiB and 3 passes.

    All other rows use an identity without one.
    """
    sealed, bare = bench.home("sealed", passphrase=True), bench.home("bare")
    found = pair(lambda _: sealed.crmcli("list", "clients"), lambda _: bare.crmcli("list", "clients"), bench.sizes.runs)
    more = median(a.seconds - b.seconds for a, b in zip(found.ours, found.theirs, strict=True))
    both = found.compare()
    yield Line(
        "a passphrase",
        f"+ {time_of(more)}",
        "",
        missed=False,
        ours=time_of(both.ours),
        theirs=time_of(both.theirs),
        against="the same without one",
    )
