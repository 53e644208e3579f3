"""The rows on repeat sales against the engine alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from bench.measure import pair, peak, run
from bench.rows import plainly
from bench.stores import Bench
from bench.table import Line, ratio


def repeating(bench: Bench) -> Iterator[Line]:
    """Compare `reactivate --limit 50` with the engine alone.

    Each client has ten sales; one document of fifty is a refund. DuckDB runs the same .sql files over the same tables
    as plain Parquet, zstd, in the same order, and looks up the names. Both sides have to print the same clients.
    """
    clients = bench.sizes.buyers
    home = bench.home("repeating")
    plain = home.folder / "plain"
    run(home.python("fill", "purchases", plain, clients))
    found = pair(
        lambda _: home.crmcli("reactivate", "--limit", "50", "--as-of", "2024-01-01"),
        lambda _: plainly(home, "report", "reactivation", plain),
        bench.sizes.long_runs,
        same_clients,
    )
    what = f"reactivate --limit 50, {clients:,} clients, {10 * clients:,} sales"
    yield ratio(what, "DuckDB, plain Parquet", found.compare(), 1.5)
    yield ratio(f"memory of {what}", "DuckDB, plain Parquet", found.compare(peak), 1.5, "memory")


def same_clients(ours: str, theirs: str) -> bool:
    """Say whether a table and rows as JSON tell of the same clients, in order: name, last day and priority."""
    cells = [re.split(" {2,}", line) for line in ours.splitlines()[1:51]]
    shown = [(row[1], row[2], float(row[9])) for row in cells]
    rows = [(row["who"][0], row["last_sale_on"], float(row["priority"])) for row in json.loads(theirs)]
    return len(shown) > 0 and shown == rows
