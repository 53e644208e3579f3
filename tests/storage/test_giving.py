"""What leaves the store leaves under a grant, recorded first; real processes, hostile grants, hostile places."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from crmcli.storage import cards, log, writing
from crmcli.storage.genesis import member_json
from crmcli.storage.identity import Identity
from crmcli.storage.keys import PublicKeys
from crmcli.storage.members import PROOF_LABEL, proof_message
from tests.storage.company import NOW, Company, Result, by_hand, commit, make_company, problems
from tests.storage.test_full_disk import FILL, Mount, make_room, mount

__all__ = ["mount"]
GRANT = "ABCDEFGHJKMN"
DAY = "2026-03-03T09:00:00.000000Z"
MANY = 60


def terms(company: Company, **changes: Any) -> dict[str, Any]:
    whole = {
        "action": "give",
        "grant": GRANT,
        "to": company.identity("manager").member,
        "right": "export",
        "books": None,
        "columns": None,
        "max_rows": None,
        "expires": DAY,
        "once": False,
    }
    return whole | changes


def give(company: Company, **changes: Any) -> None:
    commit(company.open(), writing.Pending("grant", body={"grant": terms(company, **changes)}))


def use(company: Company, **changes: Any) -> dict[str, Any]:
    whole = {"grant": GRANT, "right": "export", "books": [company.book("manager")], "rows": 1, "sha256": "0" * 64}
    return {"use": whole | changes}


def export(company: Company, *options: str, out: str = "out.csv", who: str = "manager") -> Result:
    return company.crmcli("export", "--out", str(company.folder / out), "--for", "crm", *options, who=who)


def last(company: Company) -> Any:
    """The newest commit, as its JSON says it."""
    return json.loads(max(company.log.glob("*.json")).read_bytes().split(b"\n")[0])


def commits(company: Company) -> int:
    return len(list(company.log.glob("*.json")))


def no_file(company: Company) -> bool:
    """Whether nothing of an export is in the folder, under whatever name."""
    return {path.name for path in company.folder.iterdir()} <= {"homes", "store"}


@pytest.fixture
def sold(company: Company) -> Company:
    """A company whose manager has two clients and whose colleague has one."""
    for who, name, phone in (
        ("manager", "Anna", "+79161234567"),
        ("manager", "Boris", "+79161234568"),
        ("colleague", "Vera", "+79161234569"),
    ):
        assert company.crmcli("add-client", name, "--phone", phone, who=who).code == 0
    return company


# Grants that do not cover.


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"to": "colleague"}, ["--grant", GRANT], "the grant was given to somebody else"),
        ({"right": "erase"}, ["--grant", GRANT], "the grant is for erase, not for export"),
        ({"expires": "2026-03-02T09:00:00.000000Z"}, [], "the grant expired at 2026-03-02 12:00"),
        ({"max_rows": 1}, [], "the grant is for 1 rows, not 2"),
        ({"books": "colleague"}, [], "the grant is for books that your keys do not open"),
        ({"columns": ["name"]}, ["--columns", "name,phone"], "the grant does not cover the column phone"),
        ({"columns": ["amount"]}, [], "the grant covers no column of clients"),
        ({}, ["--grant", "NMKJHGFEDCBA"], "there is no such grant in this store"),
        ({"to": "colleague"}, [], "you have no grant to export"),
    ],
)
def test_grant_that_is_not_for_it_is_refused_with_the_reason(
    sold: Company, changes: dict[str, Any], options: list[str], message: str
) -> None:
    for name in ("to", "books"):
        if name in changes:
            member = sold.identity(changes[name]).member
            changes = changes | {name: member if name == "to" else [sold.book(changes[name])]}
    give(sold, **changes)
    before = commits(sold)
    result = export(sold, *options)
    assert result.code == 15, result
    assert result.err.startswith(f"crmcli: error: {message}\n")
    assert result.err.count("\n") <= 2
    assert commits(sold) == before
    assert no_file(sold)


def test_revoked_and_used_grants_are_refused(sold: Company) -> None:
    give(sold, once=True)
    assert export(sold).code == 0
    again = export(sold, out="again.csv")
    assert (again.code, again.err.split("\n")[0]) == (15, "crmcli: error: the grant has been used, and was for once")
    give(sold, grant="NMKJHGFEDCBA")
    assert sold.crmcli("grant", "revoke", "NMKJHG").code == 0
    revoked = export(sold, "--grant", "NMKJHGFEDCBA", out="again.csv")
    assert (revoked.code, revoked.err.split("\n")[0]) == (15, "crmcli: error: the grant was revoked")
    assert not (sold.folder / "again.csv").exists()


def test_grants_are_given_and_revoked_by_admins_alone(sold: Company) -> None:
    give(sold)
    me = sold.identity("manager").member
    for who in ("manager", "lead", "analyst", "service"):
        for arguments in (("export", "--to", me), ("erase", "--to", me), ("revoke", GRANT)):
            result = sold.crmcli("grant", *arguments, who=who)
            assert (result.code, result.err.split("\n")[0]) == (
                15,
                "crmcli: error: only an admin gives and revokes grants",
            )
    assert GRANT in sold.crmcli("grant", "list", who="manager").out
    assert GRANT not in sold.crmcli("grant", "list", "--all", who="colleague").out
    assert GRANT in sold.crmcli("grant", "list").out


# Grants that somebody put into the log by hand.


def test_grant_forged_by_a_manager_stops_every_reader(sold: Company) -> None:
    sold.append("manager", "grant", body={"grant": terms(sold)})
    result = export(sold)
    assert result.code == 13
    assert "a manager may not commit a change of type grant" in result.err
    assert no_file(sold)


def test_use_of_a_grant_that_is_not_there_stops_every_reader(sold: Company) -> None:
    sold.append("manager", "grant-use", body=use(sold))
    result = export(sold)
    assert (result.code, "there is no such grant in this store" in result.err) == (13, True)


@pytest.mark.parametrize("who", ["manager", "lead", "analyst", "service"])
def test_use_of_no_grant_is_an_admins_alone(sold: Company, who: str) -> None:
    sold.append(who, "grant-use", body=use(sold, grant=None))
    result = export(sold)
    assert (result.code, "only an admin acts without a grant" in result.err) == (13, True)


def test_grant_whose_commit_was_edited_is_refused(sold: Company) -> None:
    give(sold, max_rows=1)
    path = max(sold.log.glob("*.json"))
    path.write_bytes(path.read_bytes().replace(b'"max_rows":1,', b'"max_rows":9,'))
    sold.forget("manager")
    result = export(sold)
    assert (result.code, "signature" in result.err) == (13, True)
    assert no_file(sold)


def test_grant_of_another_store_is_refused(sold: Company, tmp_path: Path) -> None:
    other = make_company(tmp_path / "other")
    state = other.open().state
    foreign = by_hand(state, other.identity().member, "grant", body={"grant": terms(sold)})
    head = sold.open().state
    (sold.log / log.loose_name(head.seq + 1)).write_bytes(
        replace(foreign, seq=head.seq + 1, prev=head.hash).sealed(other.identity().keys)
    )
    result = export(sold)
    assert (result.code, "cannot be trusted: it is of another store" in result.err) == (13, True)
    assert no_file(sold)


def test_replayed_grant_and_use_are_refused(sold: Company) -> None:
    give(sold, once=True)
    granted = max(sold.log.glob("*.json")).read_bytes()
    assert export(sold).code == 0
    used = max(sold.log.glob("*.json")).read_bytes()
    head = commits(sold)
    for replayed in (granted, used):
        path = sold.log / log.loose_name(head + 1)
        path.write_bytes(replayed)
        result = export(sold, out="again.csv")
        assert (result.code, f"commit {head + 1} cannot" in result.err, "put there again" in result.err) == (
            13,
            True,
            True,
        )
        path.unlink()
    # Signed anew, it is still the same grant, and the same one use.
    sold.append("admin", "grant", body={"grant": terms(sold, once=True)})
    assert "a grant is malformed" in export(sold, out="again.csv").err
    (sold.log / log.loose_name(head + 1)).unlink()
    sold.append("manager", "grant-use", body=use(sold))
    assert "the grant has been used, and was for once" in export(sold, out="again.csv").err
    assert not (sold.folder / "again.csv").exists()


# What is recorded.


def test_use_is_recorded_with_rows_hash_and_books(sold: Company) -> None:
    give(sold)
    assert export(sold, who="manager").code == 0
    out = sold.folder / "out.csv"
    made = last(sold)
    digest = hashlib.sha256(out.read_bytes()).hexdigest()
    assert made["type"] == "grant-use"
    assert made["author"] == sold.identity("manager").member
    assert made["use"] == use(sold, rows=2, sha256=digest)["use"]
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert problems(sold) == []


def test_purpose_is_kept_outside_the_log(sold: Company) -> None:
    purpose = "письма для Sergei K., ярмарка"
    result = sold.crmcli("grant", "export", "--to", sold.identity("manager").member, "--purpose", purpose)
    assert result.code == 0
    assert not any(b"Sergei" in path.read_bytes() for path in sold.root.rglob("*") if path.is_file())
    assert purpose in sold.crmcli("grant", "list", "--format", "jsonl", who="manager").out


def test_admin_says_yes_or_has_typed_the_passphrase(sold: Company) -> None:
    assert export(sold, who="admin").code == 15
    assert export(sold, "--yes", who="admin").code == 0
    assert last(sold)["use"]["grant"] is None
    assert len(last(sold)["use"]["books"]) == 2
    assert export(sold, "--yes", out="again.csv", who="manager").code == 15


def test_two_processes_and_one_grant_make_one_file(sold: Company) -> None:
    give(sold, once=True)
    for turn in range(3):
        names = [f"{turn}-{n}.csv" for n in range(3)]
        started = [
            sold.start("export", "--out", str(sold.folder / name), "--for", "crm", who="manager") for name in names
        ]
        ends = [(process.communicate(timeout=60), process.returncode) for process in started]
        made = [name for name in names if (sold.folder / name).exists()]
        assert len(made) == (1 if turn == 0 else 0), ends
        assert sorted(code for _, code in ends) == ([0, 15, 15] if turn == 0 else [15, 15, 15]), ends
    assert problems(sold) == []


# Places that a file must not come to.


def test_nothing_is_written_over_or_through(sold: Company) -> None:
    give(sold)
    before = commits(sold)
    place = sold.folder / "place"
    place.mkdir()
    target = place / "target"
    (place / "file.csv").write_text("mine")
    (place / "link.csv").symlink_to(target)
    (place / "loop.csv").symlink_to("loop.csv")
    (place / "hard.csv").hardlink_to(place / "file.csv")
    os.mkfifo(place / "fifo.csv")
    (place / "folder.csv").mkdir()
    for name in ("file.csv", "link.csv", "loop.csv", "hard.csv", "fifo.csv", "folder.csv"):
        result = export(sold, out=f"place/{name}")
        assert (result.code, result.out) == (4, ""), name
    for name in ("nowhere/a.csv", "place/file.csv/a.csv", "store/a.csv", "store/files/a.csv", "store/../store/a.csv"):
        assert export(sold, out=name).code == 2, name
    assert commits(sold) == before
    assert not target.exists()
    assert (place / "file.csv").read_text() == "mine"
    assert len(list(place.iterdir())) == 6


def test_folder_that_cannot_be_written_uses_no_grant(sold: Company) -> None:
    give(sold)
    before = commits(sold)
    result = export(sold, out="/proc/out.csv")
    assert (result.code, result.err.count("\n")) == (2, 2)
    assert commits(sold) == before


@pytest.mark.parametrize("what", FILL)
def test_full_disk_uses_no_grant(mount: Mount, sold: Company, what: str) -> None:
    note = "x" * 90_000
    assert sold.crmcli("add-client", "Long", "--note", note, who="manager").code == 0
    give(sold)
    disk = mount()
    FILL[what](disk, 3 if what == "blocks" else 0)
    before = commits(sold)
    result = export(sold, out=str(disk / "out.csv"))
    assert (result.code, result.err.split(":")[0]) == (17, "crmcli"), result
    assert commits(sold) == before
    assert {path.name for path in disk.iterdir()} == {"filler"}
    make_room(disk)
    assert export(sold, out=str(disk / "out.csv")).code == 0


def test_failure_after_the_commit_says_that_the_grant_was_used(sold: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    give(sold, once=True)
    out = sold.folder / "out.csv"
    real = os.link

    def link(source: Any, target: Any, **more: Any) -> None:
        if str(target) == str(out):
            raise OSError(5, "Input/output error")
        real(source, target, **more)

    monkeypatch.setattr(os, "link", link)
    result = sold.crmcli("export", "--out", str(out), "--for", "crm", who="manager")
    assert result.code == 1
    assert "the export is recorded, and a grant was used for it" in result.err
    assert last(sold)["type"] == "grant-use"
    assert no_file(sold)


def test_repeated_export_is_no_success_without_a_file(sold: Company) -> None:
    give(sold)
    assert export(sold, "--op-id", "a" * 32).code == 0
    before = commits(sold)
    again = export(sold, "--op-id", "a" * 32, out="again.csv")
    assert (again.code, again.out) == (4, "")
    assert "it was saved before, in commit" in again.err
    assert "run it without --op-id" in again.err
    assert commits(sold) == before
    assert not (sold.folder / "again.csv").exists()


def test_nothing_in_clear_lies_on_the_disk_before_the_commit(sold: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    give(sold)
    seen: list[bytes] = []
    real = writing._link

    def link(*arguments: Any) -> None:
        seen.extend(path.read_bytes() for path in sold.folder.iterdir() if path.is_file())
        # The file to be has no name yet.
        for way in Path("/proc/self/fd").iterdir():
            with suppress(FileNotFoundError):
                if str(way.readlink()).startswith(f"{sold.folder}/#"):
                    seen.append(way.read_bytes())
        real(*arguments)

    monkeypatch.setattr(writing, "_link", link)
    monkeypatch.setenv("TMPDIR", str(sold.folder))
    assert sold.crmcli("export", "--out", str(sold.folder / "o.csv"), "--for", "crm", who="manager").code == 0
    assert seen
    assert not any(content.strip(b"\0") for content in seen)


@pytest.mark.parametrize("named", [False, True])
def test_killed_after_the_commit_it_leaves_no_file_that_nobody_knows_of(sold: Company, named: bool) -> None:
    give(sold)
    # Where a disk has no files without a name, a hidden one of 0600 stays behind.
    without = "del os.O_TMPFILE" if named else "pass"
    dying = f"import os; {without}; from crmcli.cli import main; link = os.link; os.link = lambda *a, **m: "
    dying += "os.kill(os.getpid(), 9) if 'out' in str(a[1]) else link(*a, **m); main()"
    arguments = ("export", "--out", str(sold.folder / "out.csv"), "--for", "crm")
    result = sold.run(*arguments, who="manager", program=("-c", dying))
    assert result.code == -9
    assert last(sold)["type"] == "grant-use"
    assert no_file(sold) is not named
    for path in sold.folder.glob(".out*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


# Who sees what.


def test_what_the_keys_do_not_open_is_not_in_it(sold: Company) -> None:
    for who, name in (("manager", "ABCDEFGHJKM0"), ("lead", "ABCDEFGHJKM1"), ("analyst", "ABCDEFGHJKM2")):
        give(sold, grant=name, to=sold.identity(who).member)
    assert export(sold, out="manager.csv").code == 0
    text = (sold.folder / "manager.csv").read_text()
    assert ("Anna" in text, "Boris" in text, "Vera" in text) == (True, True, False)
    assert export(sold, out="lead.csv", who="lead").code == 3
    assert export(sold, out="analyst.csv", who="analyst").code == 0
    text = (sold.folder / "analyst.csv").read_text()
    assert text.startswith("source,segment,owner,created_at,buy_by,archived,do_not_contact,client_id\n")
    assert text.count("\n") == 4
    for options in (("--columns", "name,phone"), ("notes",)):
        refused = export(sold, *options, out="more.csv", who="analyst")
        assert (refused.code, "your keys open no names" in refused.err) == (15, True)
    assert not (sold.folder / "more.csv").exists()


def test_long_lists_are_masked_until_a_grant_is_used(company: Company) -> None:
    leads = company.folder / "leads.csv"
    leads.write_text("name,phone\n" + "".join(f"Client {n:03},+7916000{n:04}\n" for n in range(MANY)))
    assert company.crmcli("import", "clients", str(leads), who="manager").code == 0
    arguments = ("list", "clients", "--format", "jsonl")
    before = commits(company)
    masked = company.crmcli(*arguments, who="manager")
    assert (masked.out.count("Client"), masked.out.count("+7916"), masked.out.count('"•••"')) == (50, 50, 20)
    assert masked.err.startswith("rows masked: 10, ")
    assert masked.err.count("\n") == 1
    for form in ("table", "json", "csv", "tsv"):
        shown = company.crmcli("list", "clients", "--limit", "0", "--format", form, who="manager")
        assert (shown.out.count("Client"), shown.out.count("+7916")) == (50, 50), form
    assert company.crmcli("find", "client", "--format", "csv", who="manager").out.count("+7916") == 50
    assert company.crmcli("list", "clients", "--format", "ids", who="manager").err == ""
    assert company.crmcli(*arguments, "--reveal", who="manager").code == 15
    assert commits(company) == before
    give(company, columns=["name"], once=True)
    revealed = company.crmcli(*arguments, "--reveal", who="manager")
    assert (revealed.out.count("Client"), revealed.out.count("+7916")) == (60, 50)
    assert commits(company) == before + 2
    digest = hashlib.sha256(revealed.out.encode()).hexdigest()
    assert last(company)["use"] == use(company, rows=MANY, sha256=digest)["use"]
    assert company.crmcli(*arguments, "--reveal", who="manager").code == 15
    assert company.crmcli("list", "clients", "--limit", "0", "--reveal", "--yes").out.count("+7916") == 60


def test_show_is_recorded_before_anything_is_shown(sold: Company) -> None:
    before = commits(sold)
    assert sold.crmcli("show", "Anna", who="manager").code == 0
    assert commits(sold) == before
    assert sold.crmcli("settings", "set", "record_reveals", "on").code == 0
    assert sold.crmcli("settings", "set", "record_reveals", "off", who="manager").code == 15
    shown = sold.crmcli("show", "Anna", who="manager")
    assert (shown.code, "+79161234567" in shown.out) == (0, True)
    assert last(sold)["type"] == "reveal"
    (sold.root / "lock").unlink()
    (sold.root / "lock").mkdir()
    hidden = sold.crmcli("show", "Anna", who="manager")
    assert (hidden.code, hidden.out) == (13, "")


@pytest.mark.parametrize(
    "look",
    [
        "show Anna",
        "history Anna",
        "find Anna",
        "list clients --client Anna",
        "list deals --client Anna --format csv",
        "list reminders --client Anna --format jsonl",
        "agenda",
        "agenda --format json",
    ],
)
def test_every_way_to_look_at_one_client_is_recorded(sold: Company, look: str) -> None:
    assert sold.crmcli("add-reminder", "Anna", "ask Anna", "--due", "today", who="manager").code == 0
    sold.crmcli("settings", "set", "record_reveals", "on")
    anna = sold.crmcli("find", "Anna", "--format", "ids", who="manager").out.strip()
    before = commits(sold)
    assert "Anna" in sold.crmcli(*look.split(), who="manager").out
    assert last(sold)["reveal"] == {"clients": [anna]}
    assert commits(sold) == before + 1
    assert anna in sold.crmcli("audit", "--type", "reveal", "--client", anna).out
    (sold.root / "lock").unlink()
    (sold.root / "lock").mkdir()
    assert "Anna" not in sold.crmcli(*look.split(), who="manager").out


def test_lists_record_the_rows_that_are_not_masked(sold: Company) -> None:
    sold.crmcli("settings", "set", "record_reveals", "on")
    sold.crmcli("settings", "set", "reveal_rows", "1")
    whole = sold.crmcli("list", "clients", "--format", "csv", who="manager").out.splitlines()
    assert last(sold)["reveal"] == {"clients": [whole[1].split(",")[0]]}
    before = commits(sold)
    for unseen in ("list clients --format ids", "report summary", "list deals --client nobody"):
        sold.crmcli(*unseen.split(), who="manager")
    assert sold.crmcli("list", "clients", who="analyst").code == 0
    sold.crmcli("settings", "set", "reveal_rows", "0")
    sold.crmcli("list", "clients", who="manager")
    assert commits(sold) == before + 1


def test_names_in_a_choice_are_masked_as_in_a_list(sold: Company) -> None:
    assert sold.crmcli("add-client", "Anna Orlova", who="manager").code == 0
    assert sold.crmcli("show", "Ann", who="manager").err.count("Anna") == 2
    for setting in ("reveal_rows=0", "record_reveals=on"):
        sold.crmcli("settings", "set", "reveal_rows", "50")
        sold.crmcli("settings", "set", *setting.split("="))
        told = sold.crmcli("show", "Ann", who="manager")
        assert (told.code, "2 clients fit" in told.err, "Anna" in told.err) == (4, True, False), told


# For one reader only.


def card(company: Company, identity: Identity, **changes: Any) -> str:
    """Write a card, with changes that its maker did not prove."""
    document = json.loads(cards.card_json(company.open().state.store, identity))
    for name, value in changes.items():
        (document["keys"] if name in document["keys"] else document)[name] = value
    path = company.home("admin") / "card.json"
    path.write_text(json.dumps(document))
    return str(path)


def test_sealed_export_opens_for_its_reader_alone(sold: Company) -> None:
    give(sold)
    path = card(sold, sold.identity("lead"))
    assert export(sold, "--encrypt-to", path).code == 0
    sealed = (sold.folder / "out.csv").read_bytes()
    assert b"Anna" not in sealed
    assert last(sold)["use"]["sha256"] == hashlib.sha256(sealed).hexdigest()
    arguments = ("identity", "open", str(sold.folder / "out.csv"), "--out", str(sold.home("lead") / "open.csv"))
    assert sold.crmcli(*arguments, who="manager").code == 12
    assert sold.crmcli(*arguments, who="lead").code == 0
    opened = sold.home("lead") / "open.csv"
    assert "Anna" in opened.read_text()
    assert stat.S_IMODE(opened.stat().st_mode) == 0o600
    assert sold.crmcli(*arguments, who="lead").code == 4
    for place in (len(sealed) // 2, len(sealed) - 1, 100):
        (sold.folder / "out.csv").write_bytes(sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :])
        changed = sold.crmcli(*arguments[:-1], str(sold.folder / "again.csv"), who="lead")
        assert changed.code in (2, 12, 13), place
        assert not (sold.folder / "again.csv").exists()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"proof": "0" * 128}, 13),
        ({"proof": "zz"}, 2),
        ({"format": "crmcli-card/2"}, 2),
        ({"store": "0" * 32}, 14),
        ({"sign": "01" + "00" * 31}, 13),
        ({"x25519": "00" * 32}, 13),
        ({"mlkem": "AAAA"}, 13),
        ({"more": "x"}, 2),
    ],
)
def test_card_that_is_not_its_makers_is_refused(sold: Company, changes: dict[str, Any], code: int) -> None:
    give(sold)
    before = commits(sold)
    result = export(sold, "--encrypt-to", card(sold, sold.identity("lead"), **changes))
    assert (result.code, result.out) == (code, "")
    assert commits(sold) == before
    assert no_file(sold)


def test_card_of_a_leaver_or_of_another_store_is_refused(sold: Company) -> None:
    give(sold)
    assert export(sold, "--encrypt-to", card(sold, sold.identity("leaver"))).code == 15
    twin = replace(Identity.new("twin"), member=sold.identity("lead").member)
    assert export(sold, "--encrypt-to", card(sold, twin)).code == 12
    path = sold.home("admin") / "other.json"
    path.write_text(cards.card_json("0" * 32, sold.identity("lead")))
    assert export(sold, "--encrypt-to", str(path)).code == 14
    assert no_file(sold)


def test_proven_keys_that_nothing_can_be_sealed_to_are_refused(sold: Company) -> None:
    weak = PublicKeys(sold.identity("lead").keys.public.sign, b"\xff" * 1184, b"\0" * 32)
    give(sold)
    document = json.loads(cards.card_json(sold.open().state.store, sold.identity("lead")))
    document["keys"] = member_json("0123456789AB", weak)
    message = proof_message(sold.open().state.store, "0123456789AB", weak)
    document["proof"] = sold.identity("lead").keys.sign(PROOF_LABEL, message).hex()
    path = sold.home("admin") / "weak.json"
    path.write_text(json.dumps(document))
    result = export(sold, "--encrypt-to", str(path))
    assert (result.code, result.err) == (
        13,
        "crmcli: error: the keys on the card are of no use\ncrmcli: hint: enrol nobody by it: ask for a new one\n",
    )
    assert no_file(sold)


def test_expiry_goes_by_the_clock_and_the_log(sold: Company) -> None:
    give(sold)
    late = Company(sold.folder, NOW + timedelta(days=2))
    assert late.crmcli("add-client", "Late", who="colleague").code == 0
    # The member's own clock has stood still, but the log has not.
    result = export(sold)
    assert (result.code, result.err.split("\n")[0]) == (15, "crmcli: error: the grant expired at 2026-03-03 12:00")
