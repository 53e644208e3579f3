"""The benchmarks: they load no engine where they measure, every group runs, errors end them, misses are marked."""

from __future__ import annotations

import importlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench.measure import Compared, Job, pair, run
from bench.run import GROUPS
from bench.stores import QUICK, Bench
from bench.table import Growth, Line, page, printed, ratio, share

ROOT = Path(__file__).parent.parent
MODULES = sorted(path.stem for path in (ROOT / "bench").glob("*.py"))
TINY = replace(
    QUICK,
    runs=1,
    long_runs=1,
    clients=200,
    people=100,
    changes=((2_000, 1.3, 2.0),),
    documents=2_000,
    buyers=500,
    rows=(500,),
    commits=3,
    writes=8,
    logs=(1, 8, 40),
    dropped=(1, 2, 3),
    books=(1, 2, 3),
    spread=2_000,
    copied=(20, 1_000),
)
FAST = {"starting", "funnels", "repeating"}
SAMPLE = Compared(ours=0.2, theirs=0.1, ratio=2.0, low=1.5, high=2.5)


def python(code: str) -> Job:
    return Job([sys.executable, "-c", code], {})


@pytest.mark.parametrize("name", MODULES)
def test_module_loads(name: str) -> None:
    importlib.import_module(f"bench.{name}")


def test_the_process_that_measures_loads_no_engine() -> None:
    code = "import sys, bench.run; print(*{'duckdb', 'pyarrow', 'cryptography', 'crmcli'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []


def test_one_group_runs_from_the_command_line() -> None:
    command = [sys.executable, "-m", "bench.run", "--quick", "--only", "starting"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "must 5 ×" in result.stdout


@pytest.mark.parametrize(
    "name",
    [name if name in FAST else pytest.param(name, marks=pytest.mark.soak) for name in GROUPS],
)
def test_every_group_runs(name: str, tmp_path: Path) -> None:
    assert list(GROUPS[name](Bench(tmp_path, TINY)))


def test_a_command_that_fails_ends_the_bench() -> None:
    with pytest.raises(SystemExit, match=r"ended with 3\nits reason"):
        run(python("import sys; sys.stderr.write('its reason'); sys.exit(3)"))


def test_answers_that_differ_end_the_bench() -> None:
    with pytest.raises(SystemExit, match="the answers differ"):
        pair(lambda _: python("print(1)"), lambda _: python("print(2)"), 1, str.__eq__)


def test_pairs_run_in_turn_after_a_run_that_does_not_count(tmp_path: Path) -> None:
    order = tmp_path / "order"

    def noting(name: str) -> Job:
        return python(f"open({str(order)!r}, 'a').write({name!r})")

    found = pair(lambda n: noting(f"a{n} "), lambda n: noting(f"b{n} "), 2)
    assert order.read_text() == "a-1 b-1 a0 b0 a1 b1 "
    assert len(found.ours) == len(found.theirs) == 2


def test_memory_is_the_child_s_own() -> None:
    code = """
import sys, bench.run
from bench.measure import Job, run
for code in ("", "x = b'x' * (200 << 20)"):
    print(run(Job([sys.executable, "-c", code], {})).peak >> 20)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    small, large = map(int, done.stdout.split())
    assert small < 30  # no smaller than the process that measures
    assert 200 <= large < 215


def test_a_miss_is_marked() -> None:
    above, below = ratio("a", "b", SAMPLE, 1.9), ratio("a", "b", SAMPLE, 2.1)
    fewer, more = share("a", "b", SAMPLE, 2.1), share("a", "b", SAMPLE, 1.9)
    assert [row.missed for row in (above, below, fewer, more)] == [True, False, True, False]
    assert "MISSED" in printed(above)
    assert "MISSED" not in printed(below)
    text = page([above, below], [], "A machine.")
    assert "2 figures, 1 of them missed." in text
    assert text.count("**missed**") == 1


def test_the_page_holds_every_row() -> None:
    rows: list[Line | Growth] = [
        ratio("first", "other", SAMPLE, None),
        Growth("second", "commits", "flat", ((1, 0.1), (10, 0.2), (100, 1.5))),
    ]
    text = page(rows, [("starting", "What it\n\n  does.")], "A machine.")
    assert "| first | 2.00 × (1.50 to 2.50) |  | 200 ms | 100 ms | other |" in text
    assert "| second | commits | 1: 100 ms | 10: 200 ms | 100: 1.50 s | 2.00, 7.50 | flat |" in text
    assert "- **starting**: What it does." in text
