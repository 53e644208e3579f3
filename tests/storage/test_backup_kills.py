"""Backups, removals and restores killed at random points: what is listed as good is good, and the next run heals."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tests.storage.company import Company
from tests.storage.test_backups import DAY, age, grow, ok, rows, tree

JOBS = ("backup", "forget", "restore")
NONE = ("--keep-days", "0", "--keep-weekly", "0", "--keep-monthly", "0", "--keep-yearly", "0")


def arguments(company: Company, job: str) -> tuple[str, ...]:
    return {
        "backup": ("backup", "--anew", "--to", str(company.folder / "backups")),
        "forget": ("backup", "forget", *NONE, "--yes", "--to", str(company.folder / "backups")),
        "restore": ("restore", "latest", "--to", str(company.folder / "target")),
    }[job]


def finished(company: Company, job: str, after: float) -> float | None:
    """Run a job and kill it after some seconds; return how many it took if it was through before."""
    start, took = time.monotonic(), after
    with company.start(*arguments(company, job), start_new_session=True) as process:
        try:
            process.wait(after)
            took = time.monotonic() - start
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        _, err = process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), err
    return took if process.returncode == 0 else None


def restored(company: Company) -> bool:
    """Check that a restore has left all of a store or nothing, and say which."""
    target = company.folder / "target"
    if not target.exists():
        return False
    there, live = tree(target), tree(company.root)
    # Its own commit may have the number of one that was made since, if the backup of that one was killed.
    own = {name for name, content in there.items() if name.startswith("log/") and b'"type":"restore"' in content}
    assert {name for name in there if name.startswith("log/")} - own <= set(live)
    assert [name for name, content in there.items() if content != live.get(name, content) and name not in own] == []
    assert len(own) == 1
    shutil.rmtree(target)
    return True


def usual(company: Company, job: str) -> float:
    """How long a job takes when nobody kills it."""
    start = time.monotonic()
    assert company.run(*arguments(company, job)).code == 0
    return time.monotonic() - start


@pytest.mark.parametrize("kills", [30, pytest.param(200, marks=pytest.mark.soak)])
def test_killed_at_any_point(quick: Company, kills: int) -> None:
    place = quick.folder / "backups"
    grow(quick, 20)
    takes = {job: usual(quick, job) for job in JOBS}
    restored(quick)
    tally: Counter[str] = Counter()
    number = 0
    # Until some have left something behind, which is a matter of luck where each job takes a moment only.
    while tally["kills"] < kills or not tally["left behind"] or not all(tally[f"{job} killed"] for job in JOBS):
        number += 1
        assert number < 10 * kills, tally
        now = replace(quick, now=quick.now + number * DAY)
        job = JOBS[number % 3]
        if job == "backup":
            grow(now)
            if number % 4 == 0:
                # A place that is new has the most to be cut off in.
                shutil.rmtree(place, ignore_errors=True)
        elif job == "forget":
            age(place)
        took = finished(now, job, takes[job] * random.uniform(0.4, 1.1))
        is_killed = took is None
        # It took longer at first if the machine was busy.
        takes[job] = min(takes[job], took or takes[job])
        tally["kills"] += is_killed
        tally[f"{job} killed"] += is_killed
        tally["left behind"] += any((*place.glob("tmp/*"), *quick.folder.glob(".target.restoring")))
        restored(now)
        if (place / "genesis.json").exists():
            found = now.crmcli("backup", "verify", "--deep", "--to", str(place), who="colleague")
            assert found.code == (0 if list(place.glob("snapshots/*.json")) else 3), (job, found)
        if number % 5 == 0 or not list(place.glob("snapshots/*.json")):
            heal(now, place)
    heal(replace(quick, now=quick.now + (number + 1) * DAY), place)


def heal(company: Company, place: Path) -> None:
    """Run everything to its end."""
    ok(company, *arguments(company, "backup"))
    ok(company, *arguments(company, "restore"))
    assert restored(company)
    assert not (company.folder / ".target.restoring").exists()
    age(place)
    ok(company, *arguments(company, "forget"))
    assert not list((place / "tmp").iterdir())
    assert rows(company, "backup", "verify", "--deep", "--to", str(place))[0]["problems"] == 0
