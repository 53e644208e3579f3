"""Runs the benchmarks, prints each row as it is done, and writes the page of a whole run.

Usage: python -m bench.run [--quick] [--only NAME]
"""

from __future__ import annotations

import argparse
import inspect
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

from bench import backups, growth, moving, reminding, repeating, rows
from bench.stores import FULL, QUICK, ROOT, Bench
from bench.table import Growth, Line, machine, page, printed

PAGE = ROOT / "docs" / "benchmarks.md"
Group: TypeAlias = Callable[[Bench], Iterator[Line | Growth]]
GROUPS: dict[str, Group] = {
    "starting": rows.starting,
    "adding": rows.adding,
    "calling": rows.calling,
    "reading": rows.reading,
    "reminding": reminding.reminding,
    "funnels": rows.funnels,
    "summaries": rows.summaries,
    "repeating": repeating.repeating,
    "importing": rows.importing,
    "committing": rows.committing,
    "writing": rows.writing,
    "unlocking": rows.unlocking,
    "moving": moving.moving,
    "copying": backups.copying,
    "logs": growth.logs,
    "dropped": growth.dropped,
    "books": growth.books,
}


def main() -> None:
    """Run every group of rows, or one."""
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=inspect.cleandoc(__doc__ or ""))
    parser.add_argument("--quick", action="store_true", help="smaller stores, in about two minutes; writes no page")
    parser.add_argument("--only", choices=GROUPS, help="one group of rows; writes no page")
    chosen = parser.parse_args()
    os.chdir(ROOT)
    done: list[Line | Growth] = []
    with tempfile.TemporaryDirectory(prefix="crmcli-bench-") as folder:
        bench = Bench(Path(folder), QUICK if chosen.quick else FULL)
        described = machine(bench.folder)
        print(described, end="\n\n")
        for name, group in GROUPS.items():
            if chosen.only in (None, name):
                for row in group(bench):
                    print(printed(row), flush=True)
                    done.append(row)
    if not chosen.quick and chosen.only is None:
        notes = [(name, inspect.getdoc(group) or "") for name, group in GROUPS.items()]
        PAGE.write_text(page(done, notes, described), encoding="utf-8")
        print(f"\nwritten: {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
