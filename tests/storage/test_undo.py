"""Undo: every command leaves the records as they were before it, whoever fails or writes meanwhile, and brings back."""

from __future__ import annotations

import errno
import json
import re
import shutil
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from crmcli.errors import OvertakenError
from crmcli.model.ids import encode_id
from crmcli.model.records import Activity, Delivery
from crmcli.storage import upkeep
from crmcli.storage.tables import COMPANY, TABLES
from crmcli.storage.undoing import mark_of, undo
from tests.storage.company import MEMORY, NOW, Company, Result, problems
from tests.storage.faulty import KINDS, Fault, failing, injected

TRACKED = [name for name, table in TABLES.items() if table.group != COMPANY]
ANNA = ("add-client", "Anna", "--phone", "+79161112233", "--email", "anna@tea.example")

State = dict[tuple[str, int], Any]


def state(company: Company, who: str = "admin") -> State:
    """All records that a member reads: (table, id) -> record."""
    view = company.view(who)
    return {(name, getattr(x, TABLES[name].key)): x for name in TRACKED for x in view.records(name)}


def do(company: Company, *arguments: str, who: str = "manager") -> Result:
    result = company.crmcli(*arguments, who=who)
    assert result.code == 0, (arguments, result)
    return result


def undone(company: Company, *arguments: str, who: str = "manager") -> tuple[int, int]:
    """Undo; return the commits: the one that was undone, and by which."""
    told = re.search(r"commit (\d+) is undone by commit (\d+)", do(company, "undo", *arguments, who=who).err)
    assert told
    return int(told[1]), int(told[2])


def head(company: Company) -> int:
    return company.open().state.seq


def the_id(company: Company, table: str, who: str = "manager") -> str:
    [record] = company.view(who).records(table)
    return encode_id(getattr(record, TABLES[table].key))


@pytest.fixture
def busy(company: Company) -> Company:
    """A manager with a client, a deal, a call and a sale."""
    do(company, *ANNA, "--note", "likes tea")
    do(company, "log-call", "Anna", "in", "--said", "hello")
    do(company, "log-sale", "Anna", "700", "--item", "tea:2:350")
    return company


COMMANDS: dict[str, tuple[str, ...]] = {
    "add-client": ("add-client", "Boris", "--phone", "+79161112234", "--note", "чай", "--buy-by", "2026-05-01"),
    "add-deal": ("add-deal", "Anna", "--interest", "чай"),
    "log-call": ("log-call", "Anna", "out", "--said", "чай", "--promise", "prices", "--due", "2026-03-09"),
    "log-call of somebody new": ("log-call", "+79161112235", "in", "--new", "Clara"),
    "log-activity": ("log-activity", "Anna", "meeting", "--said", "чай"),
    "log-sale": ("log-sale", "Anna", "300", "--item", "чай:3:100", "--deal", "DEAL"),
    "refund": ("log-sale", "Anna", "100", "--refund-of", "SALE"),
    "void a sale": ("void", "SALE"),
    "void a call": ("void", "CALL"),
    "advance-stage": ("advance-stage", "Anna", "--note", "чай"),
    "advance-stage over stages": ("advance-stage", "Anna", "--to", "closing"),
    "advance-stage --won": ("advance-stage", "Anna", "--won", "48000"),
    "advance-stage --lost": ("advance-stage", "Anna", "--lost", "price", "--return", "2026-09-01"),
    "archive": ("archive", "Anna"),
    "edit-client": ("edit-client", "Anna", "--phone", "+79161112299", "--address", "Казань", "--segment", "business"),
    "edit-deal": ("edit-deal", "Anna", "--amount", "900"),
    "import clients": ("import", "clients", "CLIENTS"),
    "import deals": ("import", "deals", "DEALS"),
    "import calls": ("import", "calls", "CALLS"),
    "import sales": ("import", "sales", "SALES"),
}


def with_names(company: Company, arguments: tuple[str, ...]) -> list[str]:
    """Put the ids of what is there, and the files to import, in their places."""
    sheets = {
        "CLIENTS": "name,phone\nDora,+79161110001\nEva,+79161110002\nAnna Ivanovna,+79161112233\n",
        "DEALS": "client,stage,amount\n+79161112233,meeting,500\n",
        "CALLS": "client,direction,called_at\n+79161112233,in,2026-03-01 10:00\n+79161112233,out,2026-03-01 11:00\n",
        "SALES": "client,amount,sold_at\n+79161112233,10,2026-03-01\n+79161112233,20,2026-03-02\n",
    }
    for name, text in sheets.items():
        (company.folder / f"{name}.csv").write_text(text)
    places = {name: str(company.folder / f"{name}.csv") for name in sheets}
    places |= {word: the_id(company, table) for word, table in PLACES.items() if word in arguments}
    return [places.get(argument, argument) for argument in arguments]


PLACES = {"DEAL": "deals", "SALE": "sales", "CALL": "activities"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_undone_and_redone(busy: Company, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = state(busy)
    do(busy, *with_names(busy, COMMANDS[command]))
    after, seq = state(busy), head(busy)
    assert after != before
    dry = do(busy, "undo", "--dry-run")
    assert head(busy) == seq
    # Whatever upkeep has made of the files meanwhile, nothing is lost by it.
    monkeypatch.setattr(upkeep, "MANY", 1)
    told = do(busy, "undo")
    assert f"commit {seq} is undone" in told.err
    assert (dry.out, state(busy)) == (told.out, before)
    assert problems(busy) == []
    _, redo = undone(busy, *re.findall(r"crmcli undo (\d+)", told.err))
    assert state(busy) == after
    # What is done again counts as the last change.
    assert undone(busy)[0] == redo
    assert state(busy) == before
    assert problems(busy) == []


def test_undo_goes_back_step_by_step(company: Company) -> None:
    states = [state(company)]
    for arguments in (ANNA, *(COMMANDS[name] for name in SEQUENCE)):
        do(company, *with_names(company, arguments))
        states.append(state(company))
    for earlier in reversed(states[:-1]):
        undone(company)
        assert state(company) == earlier
    refused = company.crmcli("undo", who="manager")
    assert (refused.code, refused.err) == (5, "crmcli: error: you have changed nothing that could be undone\n")
    assert problems(company) == []
    assert problems(company, "manager") == []


SEQUENCE = ("log-call", "advance-stage", "advance-stage over stages", "import clients", "archive")


def test_import_of_many_is_undone_and_redone(busy: Company) -> None:
    """Large files are written in another way than small ones."""
    before = state(busy)
    sheet = busy.folder / "many.csv"
    sheet.write_text("name,phone,note\n" + "".join(f"Many,+7917{n:07},чай\n" for n in range(1200)))
    do(busy, "import", "clients", str(sheet))
    after = state(busy)
    _, by = undone(busy)
    assert state(busy) == before
    assert problems(busy) == []
    [row] = json.loads(do(busy, "trash", "--format", "json").out)
    assert (row["record"], row["what"], row["commit"]) == ("client", "1199 more", by)
    told = do(busy, "undo", str(by), "--format", "jsonl")
    assert state(busy) == after
    # Names in bulk take a grant to export here as elsewhere.
    assert told.out.count('"name": "Many"') == 50
    assert problems(busy) == []


def test_a_change_and_its_reverse_are_no_obstacle(busy: Company) -> None:
    """What counts is what the records are, not who touched them."""
    before = state(busy)
    do(busy, "advance-stage", "Anna")
    seq = head(busy)
    do(busy, "archive", "Anna")
    do(busy, "unarchive", "Anna")
    do(busy, "advance-stage", "Anna")
    assert undone(busy, str(head(busy)))[0] == seq + 3
    undone(busy, str(seq))
    assert state(busy) == before


def test_history_tells_of_it_before_and_after_compaction(busy: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    do(busy, "log-call", "Anna", "out")
    call, by = undone(busy)
    told = do(busy, "history", "Anna", "--format", "csv").out
    rows = [line.split(",")[2:4] + line.split(",")[-1:] for line in told.splitlines()[1:3]]
    [removed, *_] = rows
    assert (removed[0], removed[2]) == ("activities", str(by))
    assert f",{call}\n" in told
    monkeypatch.setattr(upkeep, "MANY", 1)
    do(busy, "gc")
    assert "history" in {entry.kind for entry in busy.open().state.entries("activities")}
    assert do(busy, "history", "Anna", "--format", "csv").out == told


# What is refused.


def refused(company: Company, *arguments: str, who: str = "manager") -> tuple[int, str]:
    """Undo what must be refused; return the exit code and the error."""
    before, seq = state(company), head(company)
    result = company.crmcli("undo", *arguments, who=who)
    assert (state(company), head(company)) == (before, seq)
    assert result.out == ""
    return result.code, result.err.splitlines()[0].removeprefix("crmcli: error: ")


def test_what_was_changed_since_stays(busy: Company) -> None:
    do(busy, "advance-stage", "Anna")
    seq = head(busy)
    do(busy, "archive", "Anna")
    do(busy, "advance-stage", "Anna", who="admin")
    assert refused(busy, str(seq)) == (5, f"commit {seq + 2} changed the same records after commit {seq}")
    undone(busy, str(seq + 2), who="admin")
    undone(busy, str(seq))
    assert refused(busy, str(seq)) == (5, f"commit {seq} was undone already, by commit {seq + 4}")


def test_what_others_hang_on_stays(busy: Company) -> None:
    do(busy, "add-client", "Boris", "--phone", "+79161112234")
    seq = head(busy)
    for arguments in (("log-call", "Boris", "in"), ("log-sale", "Boris", "5"), ("add-deal", "Boris")):
        do(busy, *arguments)
        code, told = refused(busy, str(seq))
        assert (code, told.endswith(f"were added since to what commit {seq} brought")) == (5, True)
        undone(busy)
    sale = encode_id(busy.view("manager").records("sales")[0].sale_id)
    sold = next(entry.seq for entry in busy.open().state.entries("sales"))
    do(busy, "log-sale", "Anna", "100", "--refund-of", sale)
    assert refused(busy, str(sold))[0] == 5
    undone(busy)
    undone(busy, str(sold))
    assert problems(busy) == []


def test_nothing_comes_back_to_a_client_who_is_gone(busy: Company) -> None:
    do(busy, "add-client", "Boris", "--phone", "+79161112234")
    seq = head(busy)
    do(busy, "log-call", "Boris", "in", "--said", "чай")
    undone(busy)
    undone(busy)
    call, client = seq + 2, seq + 3
    assert refused(busy, str(call)) == (5, f"what the activities of commit {call} belong to is gone")
    # Nor does a client, or a phone, whom or which somebody else is or has by now.
    do(busy, "edit-client", "Anna", "--remove-phone", "+79161112233", "--phone", "+79161112299")
    edited = head(busy)
    do(busy, "add-client", "Vera", "--phone", "+79161112233")
    assert refused(busy, str(edited)) == (5, "somebody else has the same phone, e-mail, tax id or number now")
    undone(busy)
    undone(busy, str(edited))
    do(busy, "add-client", "Boris Ivanov", "--phone", "+79161112234")
    assert refused(busy, str(client)) == (5, "somebody else has the same phone, e-mail, tax id or number now")
    undone(busy)
    undone(busy, str(client))
    undone(busy, str(call))
    assert problems(busy) == []


def test_only_who_did_it_or_an_admin_undoes_it(busy: Company) -> None:
    do(busy, "archive", "Anna")
    seq = head(busy)
    for who in ("colleague", "lead", "analyst", "service"):
        assert refused(busy, str(seq), who=who) == (15, f"commit {seq} is not yours"), who
    assert refused(busy, who="colleague") == (5, "you have changed nothing that could be undone")
    assert undone(busy, str(seq), who="admin")[0] == seq
    # That was the admin's doing, which the manager lets be.
    assert refused(busy, str(seq + 1)) == (15, f"commit {seq + 1} is not yours")
    # Nor is it undone twice by who does not know.
    do(busy, "log-call", "Anna", "in")
    assert [undone(busy)[0], undone(busy)[0]] == [seq + 2, seq - 1]
    assert undone(busy, str(seq + 1), who="admin")[0] == seq + 1
    assert undone(busy)[0] == seq


def test_what_is_no_change_of_records_is_refused(busy: Company) -> None:
    assert refused(busy, "1", who="admin")[0] == 5
    assert refused(busy, "99", who="admin") == (3, "there is no commit 99")
    do(busy, "settings", "set", "reveal_rows", "20", who="admin")
    seq = head(busy)
    told = f"commit {seq} changed no client's records but the settings"
    assert refused(busy, str(seq), who="admin") == (5, told)
    assert refused(busy, who="admin") == (5, f"your last change is not for undo: {told}")
    assert busy.crmcli("undo", "0", who="admin").code == 2


def test_nothing_erased_comes_back(busy: Company) -> None:
    client = the_id(busy, "clients")
    do(busy, "add-client", "Boris", "--note", "tea")
    do(busy, "archive", "Boris")
    do(busy, "import", "clients", str(with_names(busy, ("CLIENTS",))[0]))
    imported = head(busy)
    do(busy, "log-sale", "Anna", "5")
    sold = head(busy)
    do(busy, "erase", client, "--yes", who="admin")
    after = state(busy)
    last = head(busy)
    for seq in range(1, last):
        result = busy.crmcli("undo", str(seq), who="admin")
        if result.code == 0:
            undone(busy, str(head(busy)), who="admin")
        assert result.code in (0, 5), seq
        assert "Anna" not in result.out
        assert state(busy) == after
    # Facts alone would be whole.
    assert refused(busy, str(sold)) == (5, f"a client in commit {sold} was erased")
    # The file had a row about who was erased.
    assert refused(busy, str(imported))[0] == 5
    assert problems(busy) == []


def test_trash_tells_what_can_come_back(busy: Company) -> None:
    do(busy, "void", the_id(busy, "sales"))
    do(busy, "advance-stage", "Anna")
    do(busy, "log-call", "Anna", "out")
    undone(busy)
    do(busy, "archive", "Anna", who="admin")

    def told(who: str) -> list[tuple[str, str]]:
        rows = json.loads(do(busy, "trash", "--format", "json", who=who).out)
        return [(row["record"], row["how"]) for row in rows]

    archived = head(busy)
    assert told("manager") == [
        ("client", f"ask Ada to undo {archived}"),
        ("activity", f"crmcli undo {archived - 1}"),
        ("deal", f"crmcli undo {archived - 3}"),
        ("sale", f"crmcli undo {archived - 4}"),
    ]
    # An admin sees the own doing here, and everybody's in the audit.
    assert told("admin") == [("client", f"crmcli undo {archived}")]
    assert told("colleague") == told("lead") == []
    undone(busy, str(archived), who="admin")
    assert [record for record, _ in told("manager")] == ["activity", "deal", "sale"]
    for _, how in told("manager"):
        do(busy, *how.split()[1:])
    assert told("manager") == []
    assert [row.voided for row in busy.view().records("sales")] == [False]


def test_what_went_to_somebody_else_is_theirs(busy: Company) -> None:
    do(busy, "archive", "Anna")
    seq = head(busy)
    giver, taker = (busy.identity(who).member for who in ("manager", "colleague"))
    do(busy, "transfer", "--from", giver, "--to", taker, "Anna", who="admin")
    assert refused(busy, str(seq)) == (5, f"not all that commit {seq} changed is within your reach")
    # An admin opens both; the client has another owner now, so the record is another.
    assert refused(busy, str(seq), who="admin")[0] == 5
    sold = seq - 1
    assert undone(busy, str(sold), who="admin")[0] == sold
    assert problems(busy) == []


def test_repeated_operation_is_not_undone_twice(busy: Company) -> None:
    do(busy, "archive", "Anna")
    name = "ab" * 16
    assert busy.crmcli("--op-id", name, "undo", who="manager").code == 0
    seq = head(busy)
    assert busy.crmcli("--op-id", name, "undo", who="manager").code == 0
    assert head(busy) == seq


def test_what_reminding_notes_by_itself_is_not_the_last_change(busy: Company) -> None:
    do(busy, "archive", "Anna")
    seq = head(busy)
    reminder, *_ = busy.view("manager").records("reminders")
    with busy.session("manager").writing() as draft:
        draft.put(Delivery(1, reminder.reminder_id, reminder.client_id, 1, "desktop", NOW, 1))
    assert undone(busy)[0] == seq
    # Of what was delivered the reminder may be gone.
    do(busy, "log-call", "Anna", "in", "--promise", "prices", "--due", "2026-03-09")
    promised = next(r for r in busy.view("manager").records("reminders") if r.is_promise)
    with busy.session("manager").writing() as draft:
        draft.put(Delivery(2, promised.reminder_id, promised.client_id, 1, "desktop", NOW, 1))
    undone(busy)
    assert not any(r.is_promise for r in busy.view("manager").records("reminders"))
    assert problems(busy) == []


def test_nobody_else_says_that_my_change_is_undone(busy: Company) -> None:
    do(busy, "archive", "Anna")
    made = busy.open().state
    seq, digest = made.seq, made.hash
    do(busy, "--op-id", mark_of(seq, digest), "add-client", "Vera", who="colleague")
    assert undone(busy)[0] == seq


def test_an_op_id_says_which_commit_is_taken_back(busy: Company) -> None:
    do(busy, "archive", "Anna")
    made = busy.open().state
    seq, digest = made.seq, made.hash
    undone(busy)
    raw = next(busy.log.glob(f"*{seq + 1}.json")).read_text()
    op_id = json.loads(raw.partition("\n")[0])["op_id"]
    assert mark_of(seq, digest, op_id[:8]) == op_id
    assert int(op_id[28:], 16) == seq


# Who fails, and who writes meanwhile.


@pytest.mark.usefixtures("quick_disk")
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("step", [13, pytest.param(1, marks=pytest.mark.soak)])
def test_failure_of_any_call_leaves_it_done_or_undone(founded: Company, tmp_path: Path, late: bool, step: int) -> None:
    ready = Company(Path(shutil.copytree(founded.folder, tmp_path / "ready")))
    do(ready, *ANNA)
    before = state(ready)
    do(ready, "advance-stage", "Anna", "--won", "48000")
    after = state(ready)
    counter = Fault(0, failing(errno.EIO), calls=KINDS)
    total, n, outcomes = 1, 1, set()
    while n <= total:
        company = Company(Path(shutil.copytree(ready.folder, tmp_path / "company")))
        fault = Fault(n, failing(errno.EIO), late=late, calls=KINDS)
        with injected(counter if total == 1 else fault):
            result = company.crmcli("undo", who="manager")
        if total == 1:
            assert result.code == 0
            total = len(counter.seen)
        else:
            found = state(company)
            assert found in (before, after), n
            is_undone = found == before
            assert is_undone == (result.code in (0, 18) or "was saved" in result.err), (n, result)
            assert problems(company) == []
            outcomes.add(is_undone)
            n += step
        shutil.rmtree(company.folder)
    assert outcomes == {False, True}


def test_two_undo_the_same_at_once(busy: Company) -> None:
    """One of them does; the other is told so, or that it is done already."""
    before = state(busy)
    for _ in range(3):
        do(busy, "advance-stage", "Anna")
        seq = head(busy)
        running = [busy.start("undo", str(seq), who=who) for who in ("manager", "admin")]
        ended = [(process.communicate(timeout=60), process.returncode)[1] for process in running]
        assert sorted(ended) == [0, 5]
        assert head(busy) == seq + 1
        assert state(busy) == before


def test_client_whose_adding_is_undone_gets_no_more_calls(busy: Company) -> None:
    """Whoever read the client before it was taken out begins again, and finds nobody."""
    do(busy, "add-client", "Boris", "--no-deal")
    session = busy.session("manager")
    with pytest.raises(OvertakenError), session.writing() as draft:
        known = draft.client("Boris")
        draft.put(Activity(1, known.client_id, "call", NOW, 1))
        undone(busy)
    assert busy.crmcli("log-call", "Boris", "in", who="manager").code == 3
    # And the other way round.
    undone(busy, str(head(busy)))
    session = busy.session("manager")
    with pytest.raises(OvertakenError), session.writing() as draft:
        undo(draft, None)
        do(busy, "log-call", "Boris", "in")
    assert problems(busy) == []


STEPS = st.lists(
    st.tuples(st.sampled_from(sorted(COMMANDS)), st.sampled_from(["nothing", "compact", "gc", "redo"])),
    min_size=2,
    max_size=7,
)


@pytest.mark.usefixtures("quick_disk")
@pytest.mark.parametrize("runs", [6, pytest.param(100, marks=pytest.mark.soak)])
def test_whatever_was_done_is_undone_to_the_first(founded: Company, monkeypatch: pytest.MonkeyPatch, runs: int) -> None:
    """After any commands, in any order, some of which fail: as many undos lead back through the same states."""
    changes = 0

    @settings(max_examples=runs, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(STEPS)
    def run(steps: list[tuple[str, str]]) -> None:
        nonlocal changes
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            company = Company(Path(shutil.copytree(founded.folder, Path(folder) / "company")))
            for first in (ANNA, ("log-call", "Anna", "in"), ("log-sale", "Anna", "900")):
                do(company, *first)
            states = [state(company)]
            for command, befalls in steps:
                monkeypatch.setattr(upkeep, "MANY", 1 if befalls == "compact" else 64)
                arguments = COMMANDS[command]
                if not any(word in arguments and len(company.view().records(PLACES[word])) != 1 for word in PLACES):
                    company.crmcli(*with_names(company, arguments), who="manager")
                if befalls == "gc":
                    upkeep.collect(company.open(), NOW + timedelta(days=400), timedelta(0))
                if (now := state(company)) != states[-1]:
                    states.append(now)
                    if befalls == "redo":
                        _, by = undone(company)
                        undone(company, str(by))
                        assert state(company) == now
            for earlier in reversed(states[:-1]):
                undone(company)
                assert state(company) == earlier
            assert problems(company) == []
            changes += len(states) - 1

    run()
    assert changes > runs * 2
