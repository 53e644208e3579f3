"""Whatever two members do, at whatever call they are cut off, the store reads as a dict would that did the same."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from crmcli.errors import CrmError, OutcomeUnknownError, OvertakenError
from crmcli.model import records as r
from crmcli.session import Session, new_op_id
from crmcli.storage import log, upkeep
from crmcli.storage.tables import COMPANY, TABLES
from crmcli.storage.view import View
from tests.storage.company import MEMORY, NOW, Company, problems
from tests.storage.faulty import KINDS, Fault, failing, injected

MEMBERS = ("admin", "manager")
# Personal tables and facts; the company's own do not change here.
TRACKED = [name for name, table in TABLES.items() if table.group != COMPANY]
STEPS = 50
_ROUNDS = 3

Key = tuple[str, int]
Model = dict[Key, Any]


class Killed(BaseException):
    """What nobody catches: the process is gone."""


def kill() -> NoReturn:
    raise Killed


@dataclass(frozen=True)
class Blow:
    """What befalls an operation: at which of its calls that change the disk, before or after it, and what."""

    at: int
    late: bool
    kind: str

    def fault(self) -> Fault:
        strikes = {"kill": kill, "error": failing(errno.EIO), "no space": failing(errno.ENOSPC)}
        return Fault(self.at, strikes[self.kind], late=self.late, lasting=KINDS if self.kind == "kill" else ())


blows = st.none() | st.builds(
    Blow, st.integers(1, 24), st.booleans(), st.sampled_from(["kill", "kill", "error", "no space"])
)
members = st.sampled_from(MEMBERS)
# Which of what is there: what is drawn must not depend on the ids, which are not the same in every run.
picks = st.integers(0, 999)


class Office(RuleBasedStateMachine):
    """A store, two members at their machines, and a dict of all records: (table, id) -> record."""

    founded: Company
    tally: Counter[str]

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory(dir=MEMORY)
        self.company = Company(Path(shutil.copytree(self.founded.folder, Path(self.folder.name) / "company")))
        self.sessions = {who: self.company.session(who) for who in MEMBERS}
        self.books = {who: self.company.book(who) for who in MEMBERS}
        self.model: Model = {}
        # Client -> whose it is; what was deleted may come back.
        self.owner: dict[int, str] = {}
        self.gone: Model = {}
        self.next = 0
        for who in MEMBERS:
            client_id, now = self.new_id(), self.company.now
            self.owner[client_id] = who
            person = [r.Client(client_id, now, 1, 1), r.Contact(client_id, who)]
            call = r.Activity(self.new_id(), client_id, "call", now, 1)
            sale = r.Sale(self.new_id(), client_id, now, Decimal(100), 1)
            self.add(who, [*person, call, sale], None)

    # How an operation is done: again if it was overtaken, as the program does, and cut off by a blow if there is one.

    def do(self, who: str, act: Callable[[], object], after: Model | None = None, blow: Blow | None = None) -> bool:
        """Do what turns the model into `after`, if it is given; say whether it was done."""
        self.tally["operations"] += 1
        failure = self.failure_of(act, blow)
        if failure is not None:
            self.tally["kills"] += isinstance(failure, Killed)
            self.sessions[who] = replace(self.company.session(who), now=self.sessions[who].now)
            if after is None or self.found(self.sessions["admin"]) == self.model:
                self.tally["cut off, not done"] += 1
                return False
            # Then the failure must not have said that nothing was saved.
            assert isinstance(failure, Killed | OutcomeUnknownError)
            self.tally["cut off, yet done"] += 1
        if after is not None:
            self.model = after
            self.tally["commits"] += 1
        return True

    def failure_of(self, act: Callable[[], object], blow: Blow | None) -> BaseException | None:
        if blow is None:
            act()
            return None
        try:
            with injected(blow.fault()):
                act()
        except (Killed, CrmError, OSError) as error:
            return error
        return None

    def write(self, who: str, put: Callable[[Any], None], after: Model, blow: Blow | None = None) -> bool:
        return self.do(who, partial(self.attempt, who, put), after, blow)

    def attempt(self, who: str, put: Callable[[Any], None]) -> None:
        session = self.sessions[who]
        session.attempt = 0
        try:
            with session.writing() as draft:
                put(draft)
        except OvertakenError:
            self.tally["overtaken"] += 1
            # With the lock held from before it reads, nobody can overtake it again.
            session.attempt = 1
            with session.writing() as draft:
                put(draft)

    def add(self, who: str, records: list[Any], blow: Blow | None) -> bool:
        return self.write(who, lambda draft: draft.put(*records), self.model | by_key(records), blow)

    def change(self, who: str, key: Key, blow: Blow | None, **fields: Any) -> bool:
        table, number = key

        def put(draft: Any) -> None:
            [record] = draft.records(table, TABLES[table].key, [number])
            draft.put(replace(record, **fields))

        return self.write(who, put, self.model | {key: replace(self.model[key], **fields)}, blow)

    def new_id(self) -> int:
        self.next += 1
        return self.next

    def picked(self, pick: int, who: str, *tables: str) -> Key | None:
        """Return the key of some record of those tables that the member may change."""
        keys = [key for key, record in self.model.items() if key[0] in tables and self.may(who, record.client_id)]
        return sorted(keys)[pick % len(keys)] if keys else None

    def may(self, who: str, client_id: int) -> bool:
        return who == "admin" or self.owner[client_id] == who

    # What members do.

    @rule(who=members, count=st.integers(1, 3), blow=blows)
    def add_clients(self, who: str, count: int, blow: Blow | None) -> None:
        now = self.sessions[who].now
        records: list[Any] = []
        for _ in range(count):
            client_id = self.new_id()
            self.owner[client_id] = who
            contact = r.Contact(client_id, f"Client {client_id}", phones=(f"+7916{client_id:07}",))
            deal = r.Deal(self.new_id(), client_id, 1, "sales", "lead", opened_at=now, entered_at=now)
            records += [r.Client(client_id, now, 1, 1), contact, deal]
        self.add(who, records, blow)

    @rule(pick=picks, who=members, blow=blows)
    def log_call(self, pick: int, who: str, blow: Blow | None) -> None:
        if key := self.picked(pick, who, "clients"):
            now = self.sessions[who].now
            call = r.Activity(self.new_id(), key[1], "call", now, 1, direction="out", result="busy")
            self.add(who, [call, r.Note(self.new_id(), key[1], call.activity_id, "said", "чай", now, 1)], blow)

    @rule(pick=picks, who=members, amount=st.integers(1, 10**6), blow=blows)
    def log_sale(self, pick: int, who: str, amount: int, blow: Blow | None) -> None:
        if key := self.picked(pick, who, "clients"):
            sale = r.Sale(self.new_id(), key[1], self.sessions[who].now, Decimal(amount) / 100, 1)
            line = r.SaleLine(self.new_id(), sale.sale_id, key[1], None, Decimal("1.5"), None, sale.amount)
            self.add(who, [sale, line], blow)

    @rule(pick=picks, who=members, days=st.integers(1, 99), blow=blows)
    def change_client(self, pick: int, who: str, days: int, blow: Blow | None) -> None:
        if key := self.picked(pick, who, "clients"):
            self.change(who, key, blow, cadence_days=days)

    @rule(pick=picks, who=members, name=st.text(max_size=5), blow=blows)
    def rename(self, pick: int, who: str, name: str, blow: Blow | None) -> None:
        if key := self.picked(pick, who, "contacts"):
            self.change(who, key, blow, name=name)

    @rule(pick=picks, who=members, blow=blows)
    def void(self, pick: int, who: str, blow: Blow | None) -> None:
        if key := self.picked(pick, who, "sales", "activities"):
            self.change(who, key, blow, voided=True)

    @rule(pick=picks, who=members, blow=blows)
    def delete(self, pick: int, who: str, blow: Blow | None) -> None:
        if key := self.picked(pick, who, "activities", "notes", "sales"):
            table, number = TABLES[key[0]], key[1]
            book = self.books[self.owner[self.model[key].client_id]]
            rows = pa.table({table.key: pa.array([number], pa.int64())})
            after = {known: record for known, record in self.model.items() if known != key}
            record = self.model[key]
            if self.write(who, lambda draft: draft.put_rows(book, table, "delete", rows), after, blow):
                self.gone[key] = record

    @rule(pick=picks, blow=blows)
    def bring_back(self, pick: int, blow: Blow | None) -> None:
        if not self.gone:
            return
        key = sorted(self.gone)[pick % len(self.gone)]
        table, record = TABLES[key[0]], self.gone[key]
        who = self.owner[record.client_id]
        book, rows = self.books[who], table.to_arrow([record])
        if self.write(who, lambda draft: draft.put_rows(book, table, "upsert", rows), self.model | {key: record}, blow):
            del self.gone[key]

    @rule(who=members, count=st.integers(1, 3), twice=st.booleans(), blow=blows)
    def import_clients(self, who: str, count: int, twice: bool, blow: Blow | None) -> None:
        phones = [f"+7917{self.new_id():07}" for _ in range(count)]
        sheet = self.company.folder / "clients.csv"
        sheet.write_text("name,phone\n" + "".join(f"Imported,{phone}\n" for phone in phones))
        for _ in range(1 + twice):
            # Their ids are the program's own, so the store tells them.
            before, done = self.model, self.do(who, partial(self.run_import, who, sheet), None, blow)
            found = self.found(self.sessions["admin"])
            added = {key: record for key, record in found.items() if key not in before}
            for table, number in added:
                assert table in ("clients", "contacts")
                self.owner[number] = who
            contacts = [record.phones for (table, _), record in added.items() if table == "contacts"]
            assert {key: found[key] for key in before} == before
            assert len(added) == 2 * len(contacts)
            if added:
                assert sorted(contacts) == [(phone,) for phone in phones]
                self.tally["commits"] += 1
            else:
                assert not done or before is not self.model or phones_in(before).issuperset(phones)
            self.model = found

    def run_import(self, who: str, sheet: Path) -> None:
        result = self.company.crmcli("import", "clients", str(sheet), who=who)
        if result.code:
            raise OutcomeUnknownError(result.err)

    @rule(pick=picks, days=st.integers(100, 199))
    def race(self, pick: int, days: int) -> None:
        """Both change one client; the second to save has read what is no more, and must do it again."""
        if key := self.picked(pick, "manager", "clients"):
            slow = self.sessions["manager"]
            slow.store().refresh()
            with pytest.raises(OvertakenError), slow.writing() as draft:
                [record] = draft.records(key[0], "client_id", [key[1]])
                self.change("admin", key, None, cadence_days=days)
                draft.put(replace(record, archived=True))
            self.tally["races"] += 1
            self.change("manager", key, None, archived=not record.archived)

    # What befalls the store and the machines.

    @rule(pick=picks, places=st.sets(st.integers(0, 9), min_size=1), blow=blows)
    def compact(self, pick: int, places: set[int], blow: Blow | None) -> None:
        """Any files of one table of one book may be compacted, not only those that upkeep would choose."""
        store = self.sessions["admin"].store()
        store.refresh()
        tables: dict[tuple[str, str, bool], list[Any]] = {}
        for entry in store.state.live.values():
            tables.setdefault((entry.book, entry.table, entry.kind == "history"), []).append(entry)
        # The fullest ones, for there it matters which files are taken.
        entries = sorted(tables.values(), key=len)[-1 - pick % min(4, len(tables))]
        chosen = {place % len(entries) for place in places}
        before = len(store.state.live)
        now = self.sessions["admin"].now
        if self.do("admin", lambda: self.compacted(store, [entries[at] for at in sorted(chosen)], now), None, blow):
            self.tally["compactions"] += len(store.state.live) <= before

    def compacted(self, store: Any, entries: list[Any], now: Any) -> None:
        assert upkeep.compact(store, entries, new_op_id(), now)

    @rule(who=members, blow=blows)
    def keep_up(self, who: str, blow: Blow | None) -> None:
        """Compaction and packing as every command does them at its end."""
        session = self.sessions[who]
        session.store().refresh()
        before = log.listing(self.company.log)[1]
        self.do(who, lambda: upkeep.run(session.store(), new_op_id, session.now), None, blow)
        self.tally["segments"] += len(log.listing(self.company.log)[1]) - len(before)

    @rule(who=members, blow=blows)
    def collect(self, who: str, blow: Blow | None) -> None:
        # Whoever still reads an old state does so for less than a week.
        for session in self.sessions.values():
            session.store().refresh()
        session = self.sessions[who]
        later = session.now + timedelta(days=3650)
        if self.do(who, lambda: self.collected(session, later), None, blow):
            stored = {path.stem for path in (self.company.root / "files").glob("??/*")}
            assert stored == set(session.store().state.live)

    def collected(self, session: Session, later: Any) -> None:
        self.tally["removed"] += upkeep.collect(session.store(), later, timedelta(0))

    @rule(who=members, cached=st.booleans(), pinned=st.booleans())
    def reopen(self, who: str, cached: bool, pinned: bool) -> None:
        self.sessions[who].close(succeeded=False)
        for kept, kind in ((cached, "cache"), (pinned, "state")):
            if not kept:
                shutil.rmtree(self.company.home(who) / kind, ignore_errors=True)
        self.sessions[who] = replace(self.company.session(who), now=self.sessions[who].now)

    @rule(who=members, days=st.sampled_from([-400, -1, 1, 30]))
    def set_clock(self, who: str, days: int) -> None:
        self.sessions[who].now = max(NOW, self.sessions[who].now) + timedelta(days=days)

    # What must hold after each.

    @invariant()
    def reads_as_the_model(self) -> None:
        if not hasattr(self, "model"):
            return
        self.tally["steps"] += 1
        found = self.found(self.sessions["admin"])
        assert found == self.model
        mine = {key: record for key, record in self.model.items() if self.owner[record.client_id] == "manager"}
        assert self.found(self.sessions["manager"]) == mine

    def found(self, session: Session) -> Model:
        """Return what a member reads, each record once."""
        session.store().refresh()
        view = View(session.store())
        rows = [(table, record) for table in TRACKED for record in view.records(table)]
        found = {(table, getattr(record, TABLES[table].key)): record for table, record in rows}
        assert len(found) == len(rows)
        return found

    def teardown(self) -> None:
        if not hasattr(self, "model"):
            return
        try:
            for who in MEMBERS:
                self.company.forget(who)
                assert problems(self.company, who) == []
            self.sessions = {who: self.company.session(who) for who in MEMBERS}
            self.reads_as_the_model()
            clients = [record for (table, _), record in self.model.items() if table == "clients"]
            for options, is_archived in (((), False), (("--archived",), True)):
                listed = self.company.crmcli("list", "clients", *options, "--format", "ids").out.split()
                assert len(listed) == sum(client.archived is is_archived for client in clients)
        finally:
            self.folder.cleanup()


def by_key(records: list[Any]) -> Model:
    tables = {table.record: table for table in TABLES.values() if table.group != COMPANY}
    return {(tables[type(x)].name, getattr(x, tables[type(x)].key)): x for x in records}


def phones_in(model: Model) -> set[str]:
    return {phone for record in model.values() if isinstance(record, r.Contact) for phone in record.phones}


@pytest.mark.parametrize("runs", [8, pytest.param(200, marks=pytest.mark.soak)])
def test_random_operations_read_as_a_dict_would(founded: Company, monkeypatch: pytest.MonkeyPatch, runs: int) -> None:
    monkeypatch.setattr(upkeep, "MANY", 4)
    monkeypatch.setattr(upkeep, "SMALL_ROWS", 2)
    monkeypatch.setattr(log, "LOOSE", 3)
    monkeypatch.setattr(log, "SEGMENT", 4)
    monkeypatch.setattr(Office, "founded", founded, raising=False)
    monkeypatch.setattr(Office, "tally", Counter(), raising=False)
    befell = ("kills", "cut off, not done", "cut off, yet done", "races", "compactions", "segments", "removed")
    # Once in a while chance leaves one of them out.
    for _ in range(_ROUNDS):
        run_state_machine_as_test(
            Office,
            settings=settings(
                # The first is always the least there is.
                max_examples=runs + 1,
                stateful_step_count=STEPS,
                deadline=None,
                # Shrinking would take minutes; fifty steps are short enough to read.
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
        if all(Office.tally[name] > runs // 4 for name in befell):
            break
    # What makes this worth its time: many steps change something, and everything that may befall a store did.
    tally = Office.tally
    assert tally["steps"] >= runs * STEPS, tally
    assert tally["commits"] > tally["steps"] * 0.25, tally
    assert all(tally[name] > runs // 4 for name in befell), tally
