"""Measures crmcli against other programs doing the like, as whole processes, both in one run; prints ratios.

Usage: python bench/run.py [--quick]
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

BIN = Path(sys.executable).parent
CRMCLI = str(BIN / "crmcli")
SQLITE_UTILS = str(BIN / "sqlite-utils")

Command = Callable[[int], Sequence[str]]


def seconds(command: Sequence[str], environ: dict[str, str]) -> float:
    """Return how long a command takes from start to end; it must succeed."""
    start = time.perf_counter()
    subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def pair(name: str, ours: Command, theirs: Command, environ: dict[str, str], runs: int) -> None:
    """Run two commands in turn, print both medians and the median of the ratios of neighbours."""
    for command in (ours, theirs):
        seconds(command(-1), environ)
    rows = [(seconds(ours(run), environ), seconds(theirs(run), environ)) for run in range(runs)]
    mine, other = (statistics.median(column) * 1000 for column in zip(*rows, strict=True))
    ratio = statistics.median(a / b for a, b in rows)
    print(f"{name:<46} {mine:8.0f} ms {other:8.0f} ms   x {ratio:.2f}", flush=True)


def people(path: Path, count: int) -> None:
    """Write a file of made-up clients."""
    random.seed(1)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("name", "phone", "email", "source"))
        for number in range(count):
            phone = f"+79{random.randrange(10**9):09}"
            writer.writerow((f"Client {number}", phone, f"c{number}@example.com", "web"))


def purchases(path: Path, count: int) -> None:
    """Write a file of made-up sales to a third as many clients."""
    random.seed(2)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("client", "sold_at", "amount"))
        for number in range(count):
            day = f"2025-{random.randrange(1, 13):02}-{random.randrange(1, 29):02}"
            writer.writerow((f"Buyer {number % (count // 3)}", day, f"{random.randrange(100, 90000) / 100:.2f}"))


def main() -> None:
    """Run every comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer runs on smaller stores")
    quick = parser.parse_args().quick
    runs, clients, sales = (5, 5_000, 20_000) if quick else (15, 100_000, 70_000)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{runs} runs each; a store of {clients} clients; crmcli, the other, ratio of whole processes\n")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        environ = {"HOME": folder, "PATH": os.environ["PATH"], "CRMCLI_STORE": str(home / "store"), "LC_ALL": "C.UTF-8"}
        subprocess.run(
            [CRMCLI, "init", "--company", "Bench", "--no-passphrase"], env=environ, check=True, capture_output=True
        )
        people(home / "people.csv", clients)
        took = seconds([CRMCLI, "import", "clients", str(home / "people.csv")], environ)
        print(f"import of clients with phone and e-mail: {clients / took:,.0f} rows a second")
        database, row = str(home / "other.db"), home / "row.json"
        row.write_text(json.dumps({"name": "x", "phone": "+79161234567"}))
        subprocess.run([SQLITE_UTILS, "insert", database, "clients", str(home / "people.csv"), "--csv"], check=True)
        base = random.randrange(10**6)

        def add(run: int) -> Sequence[str]:
            return [CRMCLI, "add-client", f"New {run}", "--phone", f"+7812{base + run:07}", "--interest", "tea"]

        def insert(_: int) -> Sequence[str]:
            return [SQLITE_UTILS, "insert", database, "clients", str(row)]

        def query(_: int) -> Sequence[str]:
            return [SQLITE_UTILS, "query", database, "select * from clients order by name limit 20"]

        pair(
            "--help / python -c pass",
            lambda _: [CRMCLI, "--help"],
            lambda _: [sys.executable, "-c", "pass"],
            environ,
            runs,
        )
        pair("add-client / sqlite-utils insert", add, insert, environ, runs)
        pair(
            "log-call / sqlite-utils insert", lambda _: [CRMCLI, "log-call", "Client 77", "out"], insert, environ, runs
        )
        pair(
            "list clients / sqlite-utils query",
            lambda _: [CRMCLI, "list", "clients", "--limit", "20"],
            query,
            environ,
            runs,
        )
        pair("show / sqlite-utils query", lambda _: [CRMCLI, "show", "Client 77"], query, environ, runs)
        pair("find / sqlite-utils query", lambda _: [CRMCLI, "find", "c77@example"], query, environ, runs)
        purchases(home / "sales.csv", sales)
        source, parquet = home / "sales.csv", home / "sales.parquet"
        plain = f"import duckdb; duckdb.read_csv({str(source)!r}).write_parquet({str(parquet)!r}, compression='zstd')"

        def import_sales(run: int) -> Sequence[str]:
            store = str(home / f"store-{run}")
            command = [CRMCLI, "--store", store, "init", "--company", "Bench", "--no-passphrase"]
            subprocess.run(command, env=environ, check=True, capture_output=True)
            return [CRMCLI, "--store", store, "import", "sales", str(source)]

        name = f"import of {sales} sales / DuckDB csv to Parquet"
        pair(name, import_sales, lambda _: [sys.executable, "-c", plain], environ, min(runs, 3))


if __name__ == "__main__":
    main()
