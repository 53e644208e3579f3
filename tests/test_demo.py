"""The demo: a plausible year by the seed alone, in a folder of its own, leaving everything of the user's untouched."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmcli.model import demo, demo_words
from crmcli.model.records import (
    DONE,
    OPEN,
    WON,
    Activity,
    Client,
    Contact,
    Deal,
    Note,
    Record,
    Reminder,
    Sale,
    SaleLine,
    Staff,
    StageChange,
)

CRMCLI = Path(sys.executable).parent / "crmcli"
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
MONDAY_MORNINGS = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


Made: TypeAlias = "tuple[Shell, subprocess.CompletedProcess[str]]"


class Shell:
    """A user with a home, and a store and an identity that the demo must not touch."""

    def __init__(self, folder: Path) -> None:
        self.here = folder / "here"
        self.home = folder / "home"
        self.here.mkdir()
        self.home.mkdir()
        self.environ = {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "COLUMNS": "200",
            "CRMCLI_NOW": NOW.isoformat(),
        }
        self.own = {"CRMCLI_STORE": str(self.home / "own"), "CRMCLI_IDENTITY": str(self.home / "own.json")}

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [CRMCLI, *arguments],
            cwd=self.here,
            env=self.environ | environ,
            capture_output=True,
            text=True,
            check=False,
        )

    def demo(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("demo", *arguments, **self.own)

    def look(self, *arguments: str, store: str = "crmcli-demo/data") -> Any:
        told = {"CRMCLI_STORE": store, "CRMCLI_IDENTITY": f"{store}.identity.json"}
        result = self.run(*arguments, **told)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def of(kind: type[Any], records: list[Record]) -> list[Any]:
    return [record for record in records if type(record) is kind]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    shell = Shell(tmp_path_factory.mktemp("demo"))
    result = shell.demo()
    assert result.returncode == 0, result.stderr
    # Nothing outside the demo's folder may be there yet; later tests look around, which fills the caches.
    assert listing(shell.home) == []
    assert sorted(path.name for path in shell.here.iterdir()) == ["crmcli-demo"]
    return shell, result


@pytest.fixture(scope="module")
def year() -> list[Record]:
    return demo.year(NOW, 1, 600)


# The command.


def test_demo_tells_what_it_made_and_reports_on_it(made: Made) -> None:
    _, result = made
    assert re.search(r"^clients +600$", result.stdout, re.MULTILINE)
    assert "report summary --period 2026-02" in result.stdout
    assert re.search(r"^ +3 +Proposal .* most losses, lowest decided_pct$", result.stdout, re.MULTILINE)
    assert "crmcli list clients" in result.stderr


def test_demo_leaves_only_the_store_and_its_identity(made: Made) -> None:
    shell, _ = made
    folder = shell.here / "crmcli-demo"
    assert sorted(path.name for path in folder.iterdir()) == ["data", "data.identity.json"]
    assert (folder / "data.identity.json").stat().st_mode & 0o777 == 0o600


def test_verify_passes_on_the_demo(made: Made) -> None:
    shell, result = made
    export = next(line for line in result.stderr.splitlines() if "export " in line)
    told = dict(word.split("=", 1) for word in shlex.split(export)[1:])
    verified = shell.run("verify", **told)
    assert verified.returncode == 0, verified.stderr
    assert re.search(r"^problems +0$", verified.stdout, re.MULTILINE)


def test_everybody_who_owns_clients_has_a_name(made: Made) -> None:
    shell, _ = made
    owners = {client["owner"] for client in shell.look("list", "clients", "--format", "json")}
    assert owners == {demo_words.FOUNDER, *(name for name, _ in demo_words.TEAM)}


def test_the_funnel_of_the_demo_adds_up(made: Made) -> None:
    shell, _ = made
    rows = shell.look("report", "funnel", "--format", "json")
    assert len(rows) == len(demo_words.PROCESS.pipeline().stages) + 1
    for row, following in pairwise(rows):
        assert row["reached"] == row["lost"] + row["open"] + row["advanced"]
        assert row["advanced"] == following["reached"]
    assert max(rows, key=lambda row: row["lost"])["stage"].casefold() == "proposal"
    assert all(row["open"] > 0 for row in rows[:-2])


def test_same_seed_same_reports(shell: Shell) -> None:
    first, second = (shell.demo("--clients", "60", "--seed", "7", "--store", name) for name in ("a/data", "b/data"))
    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    assert first.stdout == second.stdout
    for question in (["list", "deals"], ["list", "sales"], ["report", "funnel", "--by", "owner"]):
        answers = [shell.look(*question, "--format", "json", store=f"{name}/data") for name in "ab"]
        assert answers[0]
        assert answers[0] == answers[1]
    other = shell.demo("--clients", "60", "--seed", "8", "--store", "c/data")
    assert other.stdout != first.stdout


def test_demo_refuses_a_folder_that_is_not_empty(shell: Shell) -> None:
    folder = shell.here / "mine"
    folder.mkdir()
    (folder / "letters.txt").write_text("keep me", encoding="utf-8")
    result = shell.demo("--store", "mine")
    assert result.returncode == 4
    assert "is not empty" in result.stderr
    assert len(result.stderr.splitlines()) == 2
    assert listing(shell.here) == ["mine", "mine/letters.txt"]


def test_demo_never_replaces_an_identity(shell: Shell) -> None:
    identity = shell.here / "d.identity.json"
    identity.write_text("somebody's", encoding="utf-8")
    result = shell.demo("--store", "d", "--clients", "5")
    assert result.returncode == 4
    assert identity.read_text(encoding="utf-8") == "somebody's"
    assert listing(shell.here) == ["d.identity.json"]


def test_paths_are_quoted_for_the_shell(shell: Shell) -> None:
    result = shell.demo("--store", "my demo/it's", "--clients", "5")
    assert result.returncode == 0, result.stderr
    command = next(line for line in result.stderr.splitlines() if "export " in line)
    script = f"{command} && cd / && {shlex.quote(str(CRMCLI))} list clients --format ids"
    there = subprocess.run(
        ["bash", "-c", script], env=shell.environ, cwd=shell.here, capture_output=True, text=True, check=False
    )
    assert there.returncode == 0, there.stderr
    assert len(there.stdout.split()) == 5


def test_clients_are_at_least_one(shell: Shell) -> None:
    assert shell.demo("--clients", "0").returncode == 2
    assert listing(shell.here) == []


# The year itself.


def test_a_year_has_everything_that_reports_need(year: list[Record]) -> None:
    assert 8_000 <= len(year) <= 24_000
    assert len(of(Staff, year)) == 5
    assert {client.owner_id for client in of(Client, year)} == {
        demo.founder_id(1),
        *(person.staff_id for person in of(Staff, year)),
    }
    assert {client.source for client in of(Client, year)} == {*demo_words.PROCESS.sources, None}
    assert {activity.kind for activity in of(Activity, year)} >= {"call", "meeting", "email", "message", "web_request"}
    assert {change.move for change in of(StageChange, year)} == {
        "open", "forward", "skip", "back", "reopen", "won", "lost",
    }  # fmt: skip
    assert {note.field for note in of(Note, year)} >= {"said", "promised", "interest", "about", "note"}
    sales = of(Sale, year)
    assert sum(sale.refund_of is not None for sale in sales) >= 3
    assert sum(sale.voided for sale in sales) >= 2
    assert sum(count >= 3 for count in Counter(sale.client_id for sale in sales).values()) >= 30
    assert sum(deal.return_on is not None for deal in of(Deal, year)) >= 20


def test_some_open_deals_are_idle_and_some_reminders_are_due(year: list[Record]) -> None:
    latest: dict[int, datetime] = {}
    for activity in of(Activity, year):
        latest[activity.client_id] = max(activity.happened_at, latest.get(activity.client_id, activity.happened_at))
    waiting = {reminder.client_id for reminder in of(Reminder, year) if reminder.status == OPEN}
    idle = [
        deal
        for deal in of(Deal, year)
        if deal.status == OPEN and deal.client_id not in waiting and latest[deal.client_id] < NOW - timedelta(days=14)
    ]
    assert len(idle) >= 10
    due = [reminder.due_at - NOW for reminder in of(Reminder, year) if reminder.status == OPEN]
    assert sum(timedelta(days=-12) < late < timedelta() for late in due) >= 5
    assert sum(timedelta() <= late < timedelta(days=14) for late in due) >= 30


@settings(max_examples=25)
@given(now=MONDAY_MORNINGS, seed=st.integers(), clients=st.integers(1, 40))
def test_every_year_obeys_the_rules(now: datetime, seed: int, clients: int) -> None:
    records = demo.year(now, seed, clients)
    assert records == demo.year(now, seed, clients)
    assert len(of(Client, records)) == len(of(Contact, records)) == clients

    for kind, time in (
        (Client, "created_at"),
        (Activity, "happened_at"),
        (Sale, "sold_at"),
        (StageChange, "changed_at"),
    ):
        for record in of(kind, records):
            assert now - timedelta(days=demo.DAYS) <= getattr(record, time) <= now
    for reminder in of(Reminder, records):
        assert reminder.created_at <= now
        assert (reminder.status == DONE) == (reminder.done_at is not None)
        assert reminder.done_at is None or reminder.created_at <= reminder.done_at <= now

    phones = [phone for contact in of(Contact, records) for phone in contact.phones]
    assert len(set(phones)) == len(phones) == clients
    assert all(re.fullmatch(r"\+79\d\d000\d{4}", phone) for phone in phones)
    assert all(email.endswith("@example.com") for contact in of(Contact, records) for email in contact.emails)

    deals = {deal.deal_id: deal for deal in of(Deal, records)}
    changes = sorted(of(StageChange, records), key=lambda change: (change.deal_id, change.changed_at))
    for deal_id, steps in groupby(changes, key=lambda change: change.deal_id):
        walked = list(steps)
        assert len({change.changed_at for change in walked}) == len(walked)
        assert [change.from_stage for change in walked[1:]] == [
            before.to_stage if before.to_stage != "lost" else before.from_stage for before in walked[:-1]
        ]
        last = walked[-1].to_stage
        assert last == (deals[deal_id].stage if deals[deal_id].status == OPEN else deals[deal_id].status)

    sales = {sale.sale_id: sale for sale in of(Sale, records)}
    lines: Counter[int] = Counter()
    for line in of(SaleLine, records):
        assert line.product_id is not None
        lines[line.sale_id] += line.amount
    assert {sale_id: sale.amount for sale_id, sale in sales.items() if sale.refund_of is None} == lines
    for sale in sales.values():
        if sale.refund_of is not None:
            assert Decimal(0) < -sale.amount <= sales[sale.refund_of].amount
    won = {deal_id for deal_id, deal in deals.items() if deal.status == WON}
    assert won == {sale.deal_id for sale in sales.values() if sale.deal_id is not None}
