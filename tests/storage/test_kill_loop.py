"""Writers killed at random moments, hundreds of them: what was acknowledged is there, and nothing is half done."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from crmcli.model.ids import decode_id
from crmcli.session import new_op_id
from crmcli.storage import upkeep
from tests.storage.company import Company, problems
from tests.storage.mortal import half_done

PROGRAM = "tests.storage.mortal"
WRITERS = ("admin", "manager", "manager")
SHOPPER = "colleague"
GROWN = 0.9
MEAN_LIFE = 0.1


@dataclass
class Record:
    """What one slot was told by its writers: numbers of calls or names of clients, begun and saved."""

    begun: set[str] = field(default_factory=set)
    saved: set[str] = field(default_factory=set)
    tally: Counter[str] = field(default_factory=Counter)


class Slot(threading.Thread):
    """One writer after another, each killed; what goes wrong is kept for the test to raise."""

    def __init__(self, company: Company, record: Record, until: Callable[[], bool]) -> None:
        super().__init__()
        self.company = company
        self.record = record
        self.until = until
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            self.work()
        except BaseException as error:  # noqa: BLE001 - told to the test
            self.failure = error

    def work(self) -> None:
        raise NotImplementedError


class Commits(Slot):
    """Writers that do nothing but commit, through one session each, so that most kills hit a commit."""

    def __init__(self, company: Company, record: Record, until: Callable[[], bool], number: int, client: str) -> None:
        super().__init__(company, record, until)
        self.number = number
        self.last = ""
        self.arguments = ("bear", str(company.folder), WRITERS[number], client)

    def work(self) -> None:
        with self.company.start(*self.arguments, program=("-m", PROGRAM), stdin=subprocess.PIPE) as nursery:
            assert nursery.stdin is not None
            try:
                while not self.until():
                    self.record.tally["lives"] += 1
                    nursery.stdin.write(f"{self.record.tally['lives'] * len(WRITERS) + self.number}\n")
                    nursery.stdin.flush()
                    self.one_life(nursery)
                nursery.stdin.close()
                assert nursery.wait(10) == 0
            finally:
                nursery.kill()

    def one_life(self, nursery: subprocess.Popen[str]) -> None:
        assert nursery.stdout is not None
        lines = iter(nursery.stdout.readline, "dead\n")
        pid = int(self.heard(next(lines)))
        # Most are let come to their first commit; from then on any moment is as good as another.
        if random.random() < GROWN:
            self.heard(next(lines))
        time.sleep(random.expovariate(1 / MEAN_LIFE))
        os.killpg(pid, signal.SIGKILL)
        for line in lines:
            self.heard(line)
        self.record.tally["kills"] += 1
        self.record.tally[f"killed after {self.last}"] += 1

    def heard(self, line: str) -> str:
        """Note what a writer tells."""
        self.last, number = line.split()
        if self.last in ("begin", "saved"):
            (self.record.begun if self.last == "begin" else self.record.saved).add(number)
        return number


class Commands(Slot):
    """Whole commands, each killed until it gets through, and repeated by its op_id."""

    usual = 0.5

    def work(self) -> None:
        while not self.until():
            self.record.tally["commands"] += 1
            self.repeat(f"Shopper {self.record.tally['commands']}", new_op_id())

    def repeat(self, name: str, op_id: str) -> None:
        self.record.begun.add(name)
        arguments = ("--op-id", op_id, "add-client", name, "--note", "a note", "--format", "ids")
        for patience in (0.9, 1.1, 1.3, 60):
            start = time.monotonic()
            with self.company.start(*arguments, who=SHOPPER, start_new_session=True) as command:
                try:
                    command.wait(random.uniform(0.3, 1) * patience * self.usual)
                except subprocess.TimeoutExpired:
                    os.killpg(command.pid, signal.SIGKILL)
                    self.record.tally["kills"] += 1
                out, err = command.communicate()
            if out:
                self.record.saved.add(name)
            if command.returncode == 0:
                self.record.saved.add(name)
                self.usual = time.monotonic() - start
                return
            assert command.returncode == -signal.SIGKILL, err
        raise AssertionError(f"{name} took a minute")


@contextmanager
def watched(company: Company) -> Iterator[None]:
    """Let somebody read all the while, and not fail."""
    with company.start("watch", str(company.folder), program=("-m", PROGRAM), stdin=subprocess.PIPE) as watcher:
        try:
            yield
            out, err = watcher.communicate(timeout=60)
        finally:
            watcher.kill()
    assert watcher.returncode == 0, err
    assert int(out) > 2


def check(company: Company, records: list[Record]) -> None:
    """Check that all that was acknowledged is there once, and that nothing is there by half."""
    company.forget("admin")
    view = company.view()
    assert half_done(view) == []
    assert problems(company) == []
    there = [str(call.activity_id) for call in view.records("activities")]
    there += [contact.name for contact in view.records("contacts") if contact.name.startswith("Shopper")]
    assert len(there) == len(set(there))
    for record in records:
        assert record.saved <= set(there)
        record.tally["saved, yet never told"] = len(set(there) & record.begun - record.saved)
    assert set(there) <= {name for record in records for name in record.begun}


def leftovers(company: Company) -> int:
    """Count what killed commits left behind."""
    live = company.open().state.live
    dropped = upkeep._dropped_for(company.open(), datetime.now(UTC))
    orphans = [path for path in (company.root / "files").glob("??/*") if path.stem not in live | dropped]
    return len(orphans) + len(list((company.root / "tmp").iterdir()))


@pytest.mark.parametrize(
    ("rounds", "seconds", "least"),
    [(3, 15, 100), pytest.param(1, 60, 10_000, marks=pytest.mark.soak)],
    ids=["a minute", "ten thousand kills"],
)
def test_writers_killed_at_any_moment_lose_and_halve_nothing(
    quick: Company, rounds: int, seconds: int, least: int
) -> None:
    company = replace(quick, now=datetime.now(UTC))
    clients = []
    for who in WRITERS:
        added = company.crmcli("add-client", f"Client of {who}", "--format", "ids", who=who)
        clients.append(str(decode_id(added.out.split()[0])))
    shops, commits = Record(), [Record() for _ in WRITERS]
    records = [shops, *commits]
    total: Counter[str] = Counter()
    while total["rounds"] < rounds or sum(record.tally["kills"] for record in records) < least:
        end = time.monotonic() + seconds

        def is_over(end: float = end) -> bool:
            return time.monotonic() > end

        slots: list[Slot] = [Commands(company, shops, is_over)]
        slots += [Commits(company, commits[at], is_over, at, client) for at, client in enumerate(clients)]
        with watched(company):
            for slot in slots:
                slot.start()
            for slot in slots:
                slot.join()
        for slot in slots:
            if slot.failure is not None:
                raise slot.failure
        check(company, records)
        total["rounds"] += 1
        total["left behind"] += leftovers(company)
        total["removed"] += upkeep.collect(company.open(), datetime.now(UTC) + timedelta(days=3650), timedelta(0))
        assert leftovers(company) == 0
        assert half_done(company.view()) == []
    for record in records:
        total += record.tally
    kills = total["kills"]
    # Many kills hit a commit or the upkeep, and some came between the commit and its telling.
    assert total["killed after begin"] > kills // 8, total
    assert total["killed after upkeep"] > kills // 50, total
    assert total["saved, yet never told"] > 0, total
    assert total["left behind"] > kills // 10, total
    # What was removed beyond that had been compacted.
    assert total["removed"] - total["left behind"] > kills // 10, total
