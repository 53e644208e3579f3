"""A whole office at work at once: nothing lost, nothing doubled, nobody disturbed, and the rules of conflict kept."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest

from crmcli.model.ids import encode_id
from crmcli.storage import log
from crmcli.storage.tables import SEQ, TABLES
from crmcli.storage.view import View
from tests.storage.company import Company, Result, problems

MEMBERS = ("admin", "manager", "colleague", "lead")
STAGES = ("call", "discovery", "proposal", "meeting")
DONE, CONFLICT, AGAINST_THE_RULES = 0, 4, 5
OLD_ORPHANS = 20


class Clerk(threading.Thread):
    """A member's process, given one command after the other."""

    def __init__(self, company: Company, who: str) -> None:
        super().__init__()
        self.who = who
        self.failure: BaseException | None = None
        self.process = company.start(program=("-m", "tests.storage.clerk"), who=who, stdin=subprocess.PIPE)

    def crmcli(self, *arguments: str) -> Result:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(arguments) + "\n")
        self.process.stdin.flush()
        return Result(*json.loads(self.process.stdout.readline()))

    def run(self) -> None:
        with self.process:
            try:
                self.work()
            except BaseException as error:  # noqa: BLE001 - told to the test
                self.failure = error
                self.process.kill()

    def work(self) -> None:
        raise NotImplementedError


@dataclass(frozen=True)
class Done:
    """A command that was run, by whom, and how it ended."""

    who: str
    arguments: tuple[str, ...]
    result: Result


class Seller(Clerk):
    """Changes a client of its own, and one that all processes of its member change."""

    def __init__(self, company: Company, who: str, number: int, times: int, sales: list[str]) -> None:
        super().__init__(company, who)
        self.number = number
        self.times = times
        # What all processes of the member sold to the shared client.
        self.sales = sales
        self.random = random.Random(number)
        self.done: list[Done] = []

    def do(self, *arguments: str) -> Result:
        result = self.crmcli(*arguments, "--format", "ids")
        self.done.append(Done(self.who, arguments, result))
        return result

    def work(self) -> None:
        self.do("add-client", f"Own {self.number:02}")
        acts = [self.add, self.add_same, self.call, self.sell, self.void, self.add_deal, self.advance, self.advance]
        for turn in range(1, self.times):
            self.random.choice(acts)(turn)

    def add(self, turn: int) -> None:
        self.do("add-client", f"New {self.number}-{turn}", "--phone", f"+7916{self.number:03}{turn:04}")

    def add_same(self, turn: int) -> None:
        """Add somebody whom the member's other processes are adding at about the same time."""
        self.do(
            "add-client", f"Same {self.who} {turn // 4}", "--phone", f"+7917{MEMBERS.index(self.who)}{turn // 4:06}"
        )

    def call(self, turn: int) -> None:
        client = self.random.choice((f"Own {self.number:02}", f"Shared {self.who}"))
        self.do("log-call", client, "out", "--said", f"said {self.number}-{turn}")

    def sell(self, turn: int) -> None:
        result = self.do("log-sale", f"Shared {self.who}", f"{self.number * 1000 + turn}")
        self.sales += result.out.split()[:1]

    def void(self, _: int) -> None:
        """Void one of the newest, which others may be voiding too."""
        if self.sales:
            self.do("void", self.random.choice(self.sales[-3:]))

    def add_deal(self, turn: int) -> None:
        self.do("add-deal", f"Own {self.number:02}", "--amount", f"{self.number * 1000 + turn}")

    def advance(self, _: int) -> None:
        self.do("advance-stage", f"Shared {self.who}", "--to", self.random.choice(STAGES))


class Watcher(Clerk):
    """Reads, or keeps the store in order, until told to stop; each command must succeed."""

    def __init__(self, company: Company, who: str, commands: list[list[str]], is_over: threading.Event) -> None:
        super().__init__(company, who)
        self.commands = commands
        self.is_over = is_over
        self.seen: list[set[str]] = []

    def work(self) -> None:
        while not self.is_over.is_set():
            for command in self.commands:
                result = self.crmcli(*command)
                assert result.code == DONE, (command, result)
                if "ids" in command:
                    self.seen.append(set(result.out.split()))


def run_all(clerks: Sequence[Clerk]) -> None:
    for clerk in clerks:
        clerk.start()
    for clerk in clerks:
        clerk.join()
    for clerk in clerks:
        if clerk.failure is not None:
            raise clerk.failure


def other_machine(company: Company, name: str) -> str:
    """Give the admin another machine, which knows nothing yet."""
    company.home(name).mkdir()
    shutil.copy(company.home("admin") / "identity.json", company.home(name))
    return name


def leave_orphans(company: Company) -> list[Path]:
    """Leave files in the store as writers did that were killed years ago."""
    orphans = [company.root / f"files/{n:02x}/{n:02x}{n:030x}.parquet" for n in range(OLD_ORPHANS)]
    for orphan in orphans:
        orphan.write_bytes(b"orphan")
        os.utime(orphan, (1.6e9, 1.6e9))
    return orphans


def moves(view: View) -> dict[int, list[tuple[str | None, str]]]:
    """Return the moves of each deal, (from, to), in the order of the commits."""
    table = TABLES["stage_changes"]
    files = [entry for entries in view.reader.parts(table).values() for entry in entries]
    rows = pa.concat_tables([view.reader.read(entry).select([*table.schema.names, SEQ]) for entry in files])
    found: dict[int, list[tuple[str | None, str]]] = {}
    for row in rows.sort_by(SEQ).to_pylist():
        found.setdefault(row["deal_id"], []).append((row["from_stage"], row["to_stage"]))
    return found


@pytest.mark.parametrize(("each", "times"), [(2, 12), pytest.param(4, 100, marks=pytest.mark.soak)])
def test_office_at_work_loses_and_doubles_nothing(quick: Company, each: int, times: int) -> None:
    company = replace(quick, now=datetime.now(UTC))
    orphans = leave_orphans(company)
    for who in MEMBERS:
        assert company.crmcli("add-client", f"Shared {who}", who=who).code == 0
    base = company.open().state.seq
    is_over = threading.Event()
    sales: dict[str, list[str]] = {who: [] for who in MEMBERS}
    sellers = [Seller(company, who, n, times, sales[who]) for n, who in enumerate(MEMBERS * each)]
    look = [["list", "clients", "--format", "ids"], ["report", "summary"], ["show", "Shared manager"]]
    reader = Watcher(company, other_machine(company, "reader"), look, is_over)
    keeper = Watcher(company, other_machine(company, "keeper"), [["gc"]], is_over)
    for watcher in (reader, keeper):
        watcher.start()
    try:
        run_all(sellers)
    finally:
        is_over.set()
    for watcher in (reader, keeper):
        watcher.join()
        if watcher.failure is not None:
            raise watcher.failure
    company.forget("admin")
    assert problems(company) == []
    check_outcomes([done for seller in sellers for done in seller.done])
    check_records(company.view(), [x for seller in sellers for x in seller.done if x.result.code == DONE])
    check_log(company, base, [x for seller in sellers for x in seller.done if x.result.code == DONE])
    assert not any(orphan.exists() for orphan in orphans)
    # Who read never saw less than before, nor what was not there.
    now = set(company.crmcli("list", "clients", "--format", "ids").out.split())
    assert all(earlier <= later for earlier, later in pairwise([*reader.seen, now]))
    assert len(reader.seen) > 1


def check_outcomes(done: list[Done]) -> None:
    """Check that commands failed only where they should: of those that exclude one another, one was done."""
    tally = Counter((x.arguments[0], x.result.code) for x in done)
    expected = {
        "add-client": {DONE, CONFLICT},
        "void": {DONE, AGAINST_THE_RULES},
        "advance-stage": {DONE, CONFLICT, AGAINST_THE_RULES},
    }
    why = {"add-client": "you know this client already", "advance-stage": "somebody moved the deal meanwhile"}
    for x in done:
        assert x.result.code in expected.get(x.arguments[0], {DONE}), x
        assert x.result.code != CONFLICT or why[x.arguments[0]] in x.result.err, x
    same = {(x.who, x.arguments[1]) for x in done if x.arguments[1].startswith("Same")}
    won = [(x.who, x.arguments[1]) for x in done if x.arguments[1].startswith("Same") and x.result.code == DONE]
    assert sorted(won) == sorted(same)
    voided = [x.arguments[1] for x in done if x.arguments[0] == "void"]
    once = [x.arguments[1] for x in done if x.arguments[0] == "void" and x.result.code == DONE]
    assert sorted(once) == sorted(set(voided))
    assert sum(count for (_, code), count in tally.items() if code) > 2, tally


def check_records(view: View, done: list[Done]) -> None:
    """Check that what was done is there, once, and nothing else."""

    def arguments(name: str, at: int) -> list[str]:
        return sorted(x.arguments[at] for x in done if x.arguments[0] == name)

    names = [contact.name for contact in view.records("contacts") if not contact.name.startswith("Shared")]
    assert sorted(names) == arguments("add-client", 1)
    assert sorted(note.text for note in view.records("notes") if note.field == "said") == arguments("log-call", 4)
    assert len(view.records("activities")) == len(arguments("log-call", 1))
    sales = view.records("sales")
    assert sorted(f"{sale.amount:.0f}" for sale in sales) == arguments("log-sale", 2)
    assert sorted(encode_id(sale.sale_id) for sale in sales if sale.voided) == arguments("void", 1)
    deals = view.records("deals")
    assert sorted(f"{deal.amount:.0f}" for deal in deals if deal.amount is not None) == arguments("add-deal", 3)
    told = moves(view)
    for deal in deals:
        # Each move began where the one before it had ended.
        way = told[deal.deal_id]
        assert [before for before, _ in way] == [None, *(to for _, to in way[:-1])]
        assert deal.stage == way[-1][1]
    assert sum(len(way) - 1 for way in told.values()) == len(arguments("advance-stage", 1))


def check_log(company: Company, base: int, done: list[Done]) -> None:
    """Check that each command that was done is one commit, and that there was upkeep in between."""
    commits = [log.Commit.parse(raw.split(b"\n")[0]) for _, raw in log.read_from(company.log, base + 1)]
    kinds = Counter(commit.type for commit in commits)
    assert kinds["data"] == len(done)
    assert kinds.keys() == {"data", "compact"}
    assert len(log.listing(company.log)[1]) > 1
