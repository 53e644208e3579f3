"""Erasure: nothing personal of a client is left anywhere, whoever fails or reads meanwhile, and the figures stay."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from crmcli.errors import CrmError
from crmcli.model import records as r
from crmcli.model.ids import encode_id
from crmcli.model.process import DEFAULT
from crmcli.session import new_op_id
from crmcli.storage import erasure, ledger, log, parquet, upkeep, writing
from crmcli.storage import kernels as pc
from crmcli.storage.identity import new_member_id
from crmcli.storage.layout import file_path
from crmcli.storage.log import FileEntry
from crmcli.storage.state import State
from crmcli.storage.tables import TABLES
from tests.storage.company import NOW, Company, commit, may, number, problems
from tests.storage.faulty import KINDS, Fault, failing, injected

ANNA = ("Anna Zqxmarker", "+79161112233", "anna@zqxmarker.example")
SAID = "zqxmarker wants green tea"


def add_anna(company: Company, who: str = "manager") -> str:
    """Let a member work with a client and others; return the client's id."""
    name, phone, email = ANNA
    added = company.crmcli(
        "add-client", name, "--phone", phone, "--email", email, "--note", SAID, "--buy-by", "2026-04-01", who=who
    )
    assert added.code == 0, added
    assert company.crmcli("add-client", "Boris", "--phone", "+79161112234", "--note", "tea", who=who).code == 0
    for arguments in (
        ("log-call", name, "in", "--said", SAID, "--promise", SAID, "--due", "2026-03-09"),
        ("log-sale", name, "700", "--item", "zqxmarker:2:350"),
        ("advance-stage", name, "--note", SAID),
        ("log-call", "Boris", "in", "--said", "good"),
    ):
        assert company.crmcli(*arguments, who=who).code == 0, arguments
    return encode_id(company.view(who).client(name).client_id)


def all_entries(company: Company) -> dict[str, FileEntry]:
    """Every file that the log ever named."""
    state = company.open().state
    fresh = State(company.open().genesis, None)
    known: dict[str, FileEntry] = {}
    for seq, raw in log.read_from(company.log, 1):
        if seq <= state.seq:
            known |= {entry.file_id: entry for entry in fresh.apply(raw).add}
    return known


def decrypted(company: Company) -> Iterator[tuple[str, str]]:
    """Whatever lies in files/ that the admin's keys of any epoch open, as text: (file id, its rows)."""
    store, known = company.open(), all_entries(company)
    for path in (company.root / "files").glob("??/*"):
        if path.stem not in known:
            continue  # of a command that failed; no key opens it without what its commit would say
        entry = known[path.stem]
        key, aad = store.keyring.file_keys(entry)
        file = parquet.open_file(path.read_bytes(), key, aad, name=path.name)
        yield path.stem, str(file.read_row_groups(range(file.metadata.num_row_groups)).to_pylist())


def traces(company: Company) -> list[str]:
    """Where anything of Anna still lies, in clear or under any key."""
    secrets = re.compile("zqxmarker|79161112233", re.IGNORECASE)
    found = [file_id for file_id, text in decrypted(company) if secrets.search(text)]
    for path in company.folder.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        found += [str(path)] if secrets.search(content.decode("latin-1")) or secrets.search(str(path)) else []
    return found


def figures(company: Company) -> list[str]:
    reports = (("report", "funnel"), ("report", "summary"), ("list", "sales"), ("list", "calls"))
    texts = [company.crmcli(*report, "--format", "csv").out for report in reports]
    return [re.sub(f"{ANNA[0]}|{SAID}|\\(erased\\)", "", text) for text in texts]


def test_nothing_of_an_erased_client_is_left(company: Company) -> None:
    client = add_anna(company)
    assert company.crmcli("log-call", client, "out", "--said", SAID).code == 0
    assert len(traces(company)) > 4
    before = figures(company)
    result = company.crmcli("erase", client, "--yes", "--format", "json")
    assert result.code == 0, result
    assert traces(company) == []
    assert figures(company) == before
    [act] = json.loads(result.out)
    assert (act["contacts_removed"], act["notes_removed"]) == (1, 9)
    assert act["client"] == client
    assert problems(company) == []
    for who in ("manager", "lead", "analyst", "service"):
        assert problems(company, who) == []
    # Others' clients are as they were.
    view = company.view("manager")
    [boris] = view.records("contacts")
    assert (boris.name, boris.phones) == ("Boris", ("+79161112234",))
    step = DEFAULT.pipelines[0].stages[0].next_action
    assert sorted(note.text for note in view.records("notes")) == [step, "good", "tea"]


def test_history_compactions_and_epochs_are_erased_too(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "MANY", 2)
    client = add_anna(company)
    session = company.session("manager")
    for days in range(3):
        with session.writing() as draft:
            [contact] = draft.records("contacts", "client_id", [number(client)])
            draft.put(type(contact)(contact.client_id, f"{ANNA[0]} {days}", phones=contact.phones))
        upkeep.run(session.store(), new_op_id, NOW)
    kinds = {entry.kind for entry in company.open().state.entries("contacts")}
    assert "history" in kinds
    # A note that was deleted: its key alone says so.
    view = company.view("manager")
    note = next(note for note in view.records("notes") if note.client_id == number(client))
    with company.session("manager").writing() as draft:
        gone = pa.table({"note_id": pa.array([note.note_id], pa.int64())})
        draft.put_rows(company.book("manager"), TABLES["notes"], "delete", gone)
    old = company.folder / "old"
    shutil.copytree(company.root / "files", old)
    assert len(traces(company)) > 3
    assert company.crmcli("erase", client, "--yes").code == 0
    shutil.rmtree(old)
    assert traces(company) == []
    for _, text in decrypted(company):
        assert f"'note_id': {note.note_id}" not in text
    assert problems(company) == []
    assert company.crmcli("gc").code == 0
    assert traces(company) == []


def test_what_is_erased_follows_from_the_log(company: Company) -> None:
    client = add_anna(company)
    personal = {e.file_id for e in all_entries(company).values() if e.group == "personal"}
    boris_only = {file_id for file_id, text in decrypted(company) if "Boris" in text or "'tea'" in text}
    assert company.crmcli("erase", client, "--yes").code == 0
    raws = [raw for _, raw in log.read_from(company.log, 1)]
    erased = ledger.erased_files(raws)
    live = set(company.open().state.live)
    assert erased == personal - live
    assert not erased & boris_only & live
    body = json.loads(raws[-1].split(b"\n")[0])["erase"]
    assert set(body["files"]) <= erased
    assert ledger.erased_files(raws[:-1]) == set()
    # Files that came later are none of them, even when they are dropped.
    for n in range(20):
        company.crmcli("add-client", f"Later {n}", who="manager")
    assert company.crmcli("gc", who="manager").code == 0
    assert ledger.erased_files(raw for _, raw in log.read_from(company.log, 1)) == erased


def transfer(company: Company, client_id: int) -> None:
    """Move a client from the manager to the colleague, as the command will do it."""
    store = company.open()
    source, target = company.book("manager"), company.book("colleague")
    pending = writing.Pending("transfer")
    pending.body = {"transfer": {"from": source, "to": target, "clients": [encode_id(client_id)]}}
    for table in TABLES.values():
        if "client_id" not in table.schema.names:
            continue
        for entry in [e for e in store.state.entries(table.name) if e.book == source]:
            rows = store.reader.read(entry)
            theirs = pc.is_in(rows.column("client_id"), pa.array([client_id], pa.int64()))
            for book, part in ((source, pc.filtered(rows, pc.invert(theirs))), (target, pc.filtered(rows, theirs))):
                if part.num_rows:
                    pending.rows[book, table.name, entry.kind].append(part)
            pending.drop.append(entry.file_id)
    commit(store, pending)


def test_client_is_erased_from_every_book_it_ever_lived_in(company: Company) -> None:
    client = add_anna(company)
    transfer(company, number(client))
    assert problems(company) == []
    assert company.crmcli("log-call", client, "in", "--said", SAID, who="colleague").code == 0
    result = company.crmcli("erase", client, "--yes", "--format", "json")
    assert result.code == 0
    assert set(json.loads(result.out)[0]["books"].split()) == {company.book("manager"), company.book("colleague")}
    assert traces(company) == []
    assert problems(company) == []


def test_transfer_of_all_clients_names_none_and_erasure_knows(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = add_anna(company)
    monkeypatch.setattr("crmcli.storage.transfer.MOST_NAMED", 1)
    giver, taker = (company.identity(who).member for who in ("manager", "colleague"))
    assert company.crmcli("transfer", "--from", giver, "--to", taker).code == 0
    assert (
        json.loads(next(reversed(list(log.read_from(company.log, 1))))[1].split(b"\n")[0])["transfer"]["clients"] == []
    )
    assert traces(company) != []
    assert company.crmcli("erase", client, "--yes").code == 0
    assert traces(company) == []
    assert problems(company) == []


def test_what_cut_short_commands_left_is_swept(company: Company) -> None:
    client = add_anna(company)
    rows = company.open("manager").reader.merged("contacts")
    orphan = company.seal("manager", company.book("manager"), "contacts", "insert", rows)
    fresh = company.root / "tmp" / ("ab" * 16)
    fresh.write_bytes(b"half a file")
    os.utime(fresh, (0, 0))
    assert company.crmcli("erase", client, "--yes").code == 0
    assert not (company.root / file_path(orphan.file_id)).exists()
    assert not fresh.exists()


def test_erased_client_stays_erased(company: Company) -> None:
    client = add_anna(company)
    act = company.crmcli("erase", client, "--yes", "--format", "json")
    # Asked once more, the same act is told.
    assert company.crmcli("erase", client, "--format", "json").out == act.out
    for arguments in (
        ("log-call", client, "in", "--said", SAID),
        ("log-sale", client, "5"),
        ("unarchive", client),
        ("add-deal", client),
    ):
        result = company.crmcli(*arguments, who="manager")
        assert (result.code, result.err) == (5, "crmcli: error: this client was erased\n"), arguments
    assert "(erased)" in company.crmcli("show", client, who="manager").out
    assert company.crmcli("list", "clients", "--format", "ids", who="manager").out.split() != []
    assert client not in company.crmcli("list", "clients", "--format", "ids").out
    assert "(erased)" in company.crmcli("list", "clients", "--archived").out
    assert company.crmcli("list", "reminders", "--client", client, who="manager").out.count("\n") == 1
    # The phone is free again, and an import makes a new client of who was erased.
    sheet = company.folder / "again.csv"
    sheet.write_text(f"name,phone,id\nAnna,{ANNA[1]},77\n")
    assert company.crmcli("import", "clients", str(sheet), who="manager").code == 0
    assert company.names("manager") == ["Anna", "Boris"]
    new = encode_id(company.view("manager").client(ANNA[1]).client_id)
    assert new != client
    sheet.unlink()


def test_external_id_does_not_bring_an_erased_client_back(company: Company) -> None:
    sheet = company.folder / "clients.csv"
    sheet.write_text("id,name\n77,Anna Zqxmarker\n")
    arguments = ("import", "clients", str(sheet))
    assert company.crmcli(*arguments).code == 0
    first = company.view().client("Anna").client_id
    assert company.crmcli("erase", encode_id(first), "--yes").code == 0
    assert company.crmcli(*arguments).code == 0
    assert company.view().client("Anna").client_id != first
    assert problems(company) == []


def test_it_has_to_be_confirmed(company: Company) -> None:
    client = add_anna(company)
    result = company.crmcli("erase", client)
    assert (result.code, result.err.splitlines()[-1]) == (2, "crmcli: hint: add --yes")
    assert traces(company) != []


# Who asks, and is no admin.


def give_grant(company: Company, who: str = "manager", **changes: Any) -> str:
    grant: dict[str, Any] = {"action": "give", "grant": new_member_id(), "to": company.identity(who).member}
    grant |= {
        "right": "erase",
        "books": None,
        "columns": None,
        "max_rows": None,
        "expires": "2027-01-01T00:00:00.000000Z",
    }
    commit(company.open(), writing.Pending("grant", body={"grant": grant | {"once": False} | changes}))
    return grant["grant"]  # type: ignore[no-any-return]


def test_only_a_grant_lets_a_manager_ask(company: Company) -> None:
    client = add_anna(company)
    refused = company.crmcli("erase", client, "--yes", who="manager")
    assert (refused.code, refused.err.splitlines()[0]) == (15, "crmcli: error: you have no valid grant to erase")
    give_grant(company, expires="2026-01-01T00:00:00.000000Z")
    assert company.crmcli("erase", client, "--yes", who="manager").code == 15
    give_grant(company)
    asked = company.crmcli("erase", client, "--yes", who="manager")
    assert (asked.code, "asked for" in asked.out) == (0, True)
    assert traces(company) != []
    assert company.crmcli("erase", client, "--yes", who="manager").code == 5
    # Nobody but an admin carries it out.
    company.crmcli("list", "clients", who="lead")
    assert traces(company) != []
    done = company.crmcli("list", "clients")
    who, seq = company.identity("manager").member, company.open().state.seq
    assert done.err.splitlines() == [f"erased client {client} in commit {seq}, as {who} had asked"]
    assert traces(company) == []
    assert company.crmcli("list", "clients").err == ""
    assert company.crmcli("erase", client, who="manager").code == 0
    assert problems(company) == []


def request(company: Company, grant: str, client: str, **changes: Any) -> dict[str, Any]:
    use: dict[str, Any] = {"grant": grant, "right": "erase", "books": [company.book("manager")], "rows": 1}
    return {"use": use | {"sha256": hashlib.sha256(client.encode()).hexdigest()} | changes}


@pytest.mark.parametrize("of_whom", ["nobody", "colleague"])
def test_a_request_for_who_is_not_in_the_book_is_told_and_can_be_dropped(company: Company, of_whom: str) -> None:
    client = "0" * 12
    if of_whom == "colleague":
        assert company.crmcli("add-client", "Anna", who="colleague").code == 0
        client = company.crmcli("list", "clients", "--format", "ids", who="colleague").out.strip()
    grant = give_grant(company)
    commit(company.open("manager"), writing.Pending("grant-use", body=request(company, grant, client)))
    told = company.crmcli("list", "clients")
    who = company.identity("manager").member
    said = f"{who} asked to erase a client not in that book; crmcli grant revoke {grant} drops it"
    assert (told.code, told.err.splitlines()) == (0, [said])
    assert company.crmcli("grant", "revoke", grant).err == ""
    assert company.crmcli("list", "clients").err == ""
    assert company.open().state.erased == set()


def test_a_request_is_about_one_client_of_the_own_book_or_of_one_that_the_grant_names(company: Company) -> None:
    member, own, other = company.identity("manager").member, company.book("manager"), company.book("colleague")
    anywhere, there = give_grant(company), give_grant(company, books=[other])

    def is_let(grant: str, **changes: Any) -> bool:
        body = request(company, grant, "0" * 12, **changes)
        return may(company.open().state, member, "grant-use", body=body)

    assert is_let(anywhere)
    assert is_let(there, books=[other])
    assert not is_let(there)
    assert not is_let(anywhere, books=[other])
    assert not is_let(anywhere, books=[])
    assert not is_let(anywhere, books=[own, own])
    assert not is_let(anywhere, rows=2)


# What fails.


def settled(company: Company, client: str) -> bool:
    """Say whether a client is erased; fail if that is so by half after an admin's next command."""
    assert company.crmcli("list", "clients").code == 0
    is_erased = client in company.open().state.erased
    assert (traces(company) == []) == is_erased
    assert problems(company) == []
    return is_erased


@pytest.mark.usefixtures("quick_disk")
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("step", [13, pytest.param(1, marks=pytest.mark.soak)])
def test_failure_of_any_call_leaves_the_client_whole_or_erased(
    founded: Company, tmp_path: Path, late: bool, step: int
) -> None:
    ready = Company(Path(shutil.copytree(founded.folder, tmp_path / "ready")))
    client = add_anna(ready)
    counter = Fault(0, failing(errno.EIO), calls=KINDS)
    total, n, outcomes = 1, 1, set()
    while n <= total:
        company = Company(Path(shutil.copytree(ready.folder, tmp_path / "company")))
        fault = Fault(n, failing(errno.EIO), late=late, calls=KINDS)
        with injected(counter if total == 1 else fault):
            result = company.crmcli("erase", client, "--yes")
        if total == 1:
            assert result.code == 0
            total = len(counter.seen)
        else:
            is_erased = settled(company, client)
            assert is_erased or result.code, n
            assert is_erased == (result.code == 0 or "was saved" in result.err or result.code == 18), (n, result)
            outcomes.add((result.code, is_erased))
            n += step
        shutil.rmtree(company.folder)
    # Where it fails while this machine notes what it saw, the client is erased and all is well: few calls of many.
    few = {(0, True), (18, True)} if step == 1 else set()
    assert {(1, False), (1, True)} | few <= outcomes


def test_files_that_cannot_be_removed_are_removed_by_the_next_command(company: Company) -> None:
    client = add_anna(company)
    with injected(Fault(1, failing(errno.EIO), calls=("unlink",), lasting=("unlink",))):
        result = company.crmcli("erase", client, "--yes")
    assert (result.code, "the change itself was saved" in result.err) == (1, True)
    assert len(erasure.remaining(company.open())) > 3
    told = company.crmcli("doctor", "--format", "csv", who="lead")
    company.forget("lead")
    assert re.search(r"erased files,attention,\d+ are still there: run gc", told.out)
    # Anybody's next command does it, on any machine.
    company.forget("manager")
    assert company.crmcli("list", "clients", who="manager").code == 0
    assert erasure.remaining(company.open()) == []
    assert traces(company) == []


def test_erased_files_that_come_back_are_told_and_removed(company: Company) -> None:
    client = add_anna(company)
    shutil.copytree(company.root / "files", company.folder / "copy")
    assert company.crmcli("erase", client, "--yes").code == 0
    shutil.copytree(company.folder / "copy", company.root / "files", dirs_exist_ok=True)
    shutil.rmtree(company.folder / "copy")
    assert "are still there" in company.crmcli("doctor").out
    assert company.crmcli("gc").code == 0
    assert traces(company) == []


def test_absent_files_are_no_damage_where_compactions_are_recomputed(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = add_anna(company)
    monkeypatch.setattr(upkeep, "MANY", 1)
    assert company.crmcli("gc").code == 0
    assert company.crmcli("erase", client, "--yes").code == 0
    assert company.crmcli("gc").code == 0
    assert problems(company) == []
    assert traces(company) == []


# Who reads meanwhile.


def test_reader_whose_file_was_erased_reads_again(company: Company) -> None:
    client = add_anna(company)
    session = company.session("manager")
    store = session.store()
    assert company.crmcli("erase", client, "--yes").code == 0
    with pytest.raises(CrmError) as caught:
        store.reader.merged("contacts")
    assert type(caught.value).__name__ == "OvertakenError"
    # With nothing new in the log it is damage.
    store.refresh()
    [entry] = [e for e in store.state.entries("contacts") if e.book == company.book("manager")]
    (company.root / file_path(entry.file_id)).unlink()
    for arguments in (("list", "clients"), ("verify",)):
        assert company.crmcli(*arguments, who="manager").code == 13


LARGE = 1200


def test_readers_meet_no_damage_while_clients_are_erased(company: Company) -> None:
    sheet = company.folder / "many.csv"
    lines = "".join(f"Client {n},+7916{n:07},{'tea ' * 20}{n}\n" for n in range(LARGE))
    sheet.write_text("name,phone,note\n" + lines)
    assert company.crmcli("import", "clients", str(sheet), who="manager").code == 0
    readers = (("show", "Client 1199"), ("list", "clients", "--limit", "0"), ("verify",))
    failures: list[object] = []
    counts = dict.fromkeys(readers, 0)
    is_over = threading.Event()

    def read(arguments: tuple[str, ...]) -> None:
        while not is_over.is_set():
            result = company.run(*arguments, who="manager")
            lines = result.out.splitlines()
            if result.code or (arguments[0] == "list" and len(lines) != len(set(lines))):
                failures.append(result)
            counts[arguments] += 1

    threads = [threading.Thread(target=read, args=(arguments,)) for arguments in readers]
    for thread in threads:
        thread.start()
    try:
        for n in range(10):
            client = encode_id(company.view("manager").client(f"Client {n}").client_id)
            assert company.run("erase", client, "--yes").code == 0
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert all(counts.values())


def test_every_missing_file_makes_a_reader_begin_again_and_show_nothing_twice(company: Company) -> None:
    """Between any two openings of files the client is erased; what `show` then prints is as if it had begun later."""
    client = add_anna(company)
    other = encode_id(company.view("manager").client("Boris").client_id)
    expected = company.crmcli("show", other, who="manager").out
    from crmcli.storage.reading import Reader

    plain = Reader.open
    count = 0

    def open_and_erase(self: Reader, entry: FileEntry) -> Any:
        nonlocal count
        count += 1
        if count == 2:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Reader, "open", plain)
                assert company.crmcli("erase", client, "--yes").code == 0
        return plain(self, entry)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Reader, "open", open_and_erase)
        result = company.crmcli("show", other, who="manager")
    assert (result.code, result.out) == (0, expected)
    assert count > 2


def test_a_collected_orphan_of_a_writer_makes_it_begin_again(company: Company) -> None:
    """A command that wrote its files before the erasure saves nothing of the client, and no half of a change."""
    client = add_anna(company)
    session = company.session("manager")
    with pytest.raises(CrmError), session.writing() as draft:
        known = draft.client(client)
        draft.put(*session.acting(draft).note(known.client_id, known.client_id, "note", SAID))
        assert company.crmcli("erase", client, "--yes").code == 0
    assert traces(company) == []


def test_gc_and_time_bring_nothing_back(company: Company) -> None:
    client = add_anna(company)
    assert company.crmcli("erase", client, "--yes").code == 0
    upkeep.collect(company.open(), NOW + timedelta(days=400), timedelta(0))
    assert traces(company) == []
    assert problems(company) == []


# What somebody signs about a client who was erased.


@pytest.mark.parametrize("who", ["manager", "colleague"])
@pytest.mark.parametrize("beside", [False, True])
def test_who_was_erased_stays_hidden_whatever_is_signed_since(company: Company, who: str, beside: bool) -> None:
    client = add_anna(company)
    assert company.crmcli("erase", client, "--yes").code == 0
    assert company.crmcli("add-client", "Gleb", who=who).code == 0
    [gleb] = [c for c in company.view(who).records("contacts") if c.name == "Gleb"]
    forged = r.Contact(number(client), "Back Again", phones=("+79161000002",))
    rows = [forged, replace(gleb, name="Gleb G.")] if beside else [forged]
    made = TABLES["contacts"].to_arrow(rows)
    entry = company.seal(who, company.book(who), "contacts", "upsert", made)
    company.append(who, add=(entry,))
    for reader in ("admin", who):
        for command in (["find", "Back"], ["list", "clients", "--archived", "--format", "csv"], ["show", client]):
            assert "Back Again" not in company.crmcli(*command, who=reader).out
    found = problems(company)
    assert any("a client who was erased" in problem for problem in found)
    if beside:
        assert company.crmcli("doctor", "--quarantine", entry.file_id).code == 5
        assert company.crmcli("erase", client, "--yes").code == 0
        assert "Gleb G." in company.names(who)
    else:
        assert company.crmcli("doctor", "--quarantine", entry.file_id).code == 0
    assert problems(company) == []
    seq = company.open().state.seq
    assert company.crmcli("erase", client, "--yes").code == 0
    assert company.open().state.seq == seq
