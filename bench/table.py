"""The table of results: what a row says, how it is printed as it is done, and the page of a whole run."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from statistics import median

from bench.measure import Compared

MIB = 1 << 20
MISSED = " **missed**"
BEGINNING = (
    "Both sides of a row are whole processes, run in turn with a warm file cache. The figure is the median of the "
    "ratios of neighbours, with the lowest and the highest in brackets; below 1 × is faster or smaller than the other "
    "program. `make bench` measures it all again, `make bench QUICK=1` a smaller form in about two minutes."
)


@dataclass(frozen=True)
class Line:
    """One row against what it must be; `against` names the other side, the rest is as it is printed."""

    what: str
    figure: str
    must: str
    missed: bool
    ours: str = ""
    theirs: str = ""
    against: str = ""


@dataclass(frozen=True)
class Growth:
    """The time of one thing at three sizes, with how the design says that it grows."""

    what: str
    unit: str
    expected: str
    points: tuple[tuple[int, float], ...]


def ratio(what: str, against: str, compared: Compared, limit: float | None, form: str = "time") -> Line:
    """Return a row that must be at most `limit` times the other side's."""
    shown = {"time": time_of, "memory": memory}[form]
    return Line(
        what,
        f"{compared.ratio:.2f} × ({compared.low:.2f} to {compared.high:.2f})",
        "" if limit is None else f"{limit:g} ×",
        limit is not None and compared.ratio > limit,
        shown(compared.ours),
        shown(compared.theirs),
        against,
    )


def share(what: str, against: str, compared: Compared, limit: float | None) -> Line:
    """Return a row about rates, which must be at least `limit` times the other side's."""
    return Line(
        what,
        f"{compared.ratio:.2f} × ({compared.low:.2f} to {compared.high:.2f})",
        "" if limit is None else f"at least {limit:g} ×",
        limit is not None and compared.ratio < limit,
        f"{compared.ours:,.0f} a second",
        f"{compared.theirs:,.0f} a second",
        against,
    )


def time_of(seconds: float) -> str:
    """Return a time for people."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def memory(size: float) -> str:
    """Return a size for people."""
    return f"{size / MIB:.0f} MiB"


def printed(row: Line | Growth) -> str:
    """Return a row as a line of a terminal."""
    if isinstance(row, Growth):
        times = ", ".join(f"{size:,}: {time_of(seconds)}" for size, seconds in row.points)
        return f"{row.what} at {row.unit} {times}  factors {', '.join(_factors(row))}  expected: {row.expected}"
    both = f"{row.ours} / {row.theirs}" if row.theirs else row.ours
    must = f"must {row.must}{' MISSED' if row.missed else ''}" if row.must else ""
    return f"{row.what:<60} {row.figure:<26} {must:<22} {both}  {row.against}".rstrip()


def _factors(row: Growth) -> list[str]:
    """Return how much more each size takes than the one before."""
    times = [seconds for _, seconds in row.points]
    return [f"{later / earlier:.2f}" for earlier, later in pairwise(times)]


def page(rows: Sequence[Line | Growth], notes: Iterable[tuple[str, str]], machine: str) -> str:
    """Return the page of a whole run; `notes`: the name of each group of rows and what it does."""
    lines = [row for row in rows if isinstance(row, Line)]
    growths = [row for row in rows if isinstance(row, Growth)]
    missed = sum(row.missed for row in lines)
    parts = [
        "# Benchmarks",
        "<!-- This page is generated: make bench -->",
        f"Measured on {datetime.now(UTC):%Y-%m-%d}. {machine}",
        BEGINNING,
        f"{len(lines)} figures, {missed or 'none'} of them missed." if lines else "",
        _table(
            ("what", "ratio or figure", "must be", "crmcli", "the other", "against"),
            ((r.what, r.figure, r.must + (MISSED if r.missed else ""), r.ours, r.theirs, r.against) for r in lines),
        ),
        "## As a store grows",
        "A factor says how much more each size takes than the one before it.",
        _table(
            ("what", "at", "small", "middle", "large", "factors", "expected"),
            (
                (
                    f"{r.what}",
                    r.unit,
                    *(f"{size:,}: {time_of(seconds)}" for size, seconds in r.points),
                    ", ".join(_factors(r)),
                    r.expected,
                )
                for r in growths
            ),
        ),
        "## What is measured",
        "\n".join(f"- **{name}**: {' '.join(text.split())}" for name, text in notes),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def machine(folder: Path) -> str:
    """Return what was measured on: processor, memory, the disk under a folder, and versions."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    programs = ("crmcli", "duckdb", "pyarrow", "sqlite-utils", "todoman")
    versions = ", ".join(f"{name} {version(name)}" for name in programs)
    return (
        f"{_processor()}, {os.cpu_count()} cores, {pages / (1 << 30):.0f} GiB of memory, "
        f"{_file_system(folder)}, on which 4 KiB and an fsync take {_sync_time(folder) * 1000:.2f} ms; "
        f"{platform.system()} {platform.release()}, Python {sys.version.split()[0]}, {versions}."
    )


def _processor() -> str:
    known = Path("/proc/cpuinfo")
    lines = known.read_text(encoding="utf-8").splitlines() if known.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _file_system(folder: Path) -> str:
    known = Path("/proc/mounts")
    mounts = [line.split() for line in known.read_text(encoding="utf-8").splitlines()] if known.exists() else []
    under = [(len(place), kind) for _, place, kind, *_ in mounts if folder.resolve().is_relative_to(place)]
    return max(under)[1] if under else "an unknown file system"


def _sync_time(folder: Path) -> float:
    """Return how long it takes to have a small new piece of a file on the disk."""
    times = []
    with (folder / "synced").open("wb", buffering=0) as file:
        for _ in range(50):
            start = time.perf_counter()
            file.write(bytes(4096))
            os.fsync(file.fileno())
            times.append(time.perf_counter() - start)
    return median(times)
