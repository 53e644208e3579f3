"""Who was removed reads nothing written since: not with the program, and not with any program and the old keys."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from crmcli.commands import COMMANDS
from crmcli.errors import OvertakenError
from crmcli.storage import log
from tests.storage.company import NOW, Company, by_hand, problems
from tests.team.commands import OF_THE_LOG, TRIES, command_lines, names_in
from tests.team.thief import commits, readable, unwrapped

NOT_PERMITTED = 15
LEAVERS = ("manager", "lead", "analyst", "service", "second admin")
# What each of them opened: the book of the manager, whole or in its facts.
OPENED = {"manager": "notes", "lead": "notes", "analyst": "deals", "service": "deals", "second admin": "notes"}


def who_of(leaver: str) -> str:
    return "colleague" if leaver == "second admin" else leaver


def member(company: Company, who: str) -> str:
    return company.identity(who).member


def done(company: Company, *arguments: str, who: str = "admin") -> str:
    result = company.crmcli(*arguments, who=who)
    assert result.code == 0, (arguments, result)
    return result.out


def left(company: Company, leaver: str, *options: str) -> int:
    """Let somebody leave who worked there; return the number of the commit that says so. All others write on."""
    who = who_of(leaver)
    for owner, name in (("manager", "Old Manager"), ("admin", "Old Admin")):
        done(company, "add-client", name, "--phone", f"+7916{len(name):07}", "--note", "before", who=owner)
    if leaver == "second admin":
        done(company, "member", "role", member(company, who), "admin")
    if leaver == "lead":
        done(company, "member", "allow", member(company, who), "--read", member(company, "manager"))
    if leaver == "manager":
        done(company, "member", "remove", member(company, who), "--to", member(company, "colleague"), *options)
    else:
        done(company, "member", "remove", member(company, who), *options)
    removal: int = max(commit["seq"] for commit in commits(company.root) if commit["type"] == "members")
    for owner in {"admin", "manager", "colleague"} - {who}:
        done(company, "add-client", f"New {owner}", "--phone", f"+7917{len(owner):07}", "--note", "since", who=owner)
        done(company, "log-call", f"New {owner}", "out", "--said", "since", who=owner)
        done(company, "log-sale", f"New {owner}", "100", who=owner)
    keeper = "colleague" if leaver == "manager" else "manager"
    done(company, "log-call", "Old Manager", "in", "--said", "since", who=keeper)
    done(company, "settings", "set", "company", "Since Ltd")
    done(company, "grant", "export", "--to", member(company, "admin"), "--purpose", "since")
    done(company, "canary", "plant")
    done(company, "gc")
    return removal


def copied(company: Company, leaver: str, place: Path) -> Company:
    """A fresh copy of the store, on a machine that holds nothing but the leaver's identity file."""
    who = who_of(leaver)
    copy = Company(place)
    shutil.copytree(company.root, copy.root)
    copy.home(who).mkdir(parents=True)
    shutil.copy(company.home(who) / "identity.json", copy.home(who))
    return copy


@pytest.mark.parametrize("leaver", LEAVERS)
def test_old_keys_open_nothing_written_since(company: Company, tmp_path: Path, leaver: str) -> None:
    removal = left(company, leaver)
    copy = copied(company, leaver, tmp_path / "copy")
    keys = unwrapped(copy.root, copy.identity(who_of(leaver)))
    found = readable(copy.root, keys)
    came = {entry["file_id"]: (commit["seq"], entry) for commit in commits(copy.root) for entry in commit["add"]}
    assert [came[name] for name in found if came[name][0] > removal] == []
    assert "since" not in str(found).casefold()
    # What was written before opens: what is tried is the real thing.
    assert OPENED[leaver] in {came[name][1]["table"] for name in found}
    # Each of the others, with the same means, gets at what is new.
    new = readable(company.root, unwrapped(company.root, company.identity("admin")))
    assert len(new) > len(found) + 20
    assert problems(company) == []


@pytest.mark.parametrize("leaver", LEAVERS)
def test_after_a_rewrite_old_keys_open_no_row_that_counts(company: Company, tmp_path: Path, leaver: str) -> None:
    left(company, leaver, "--rewrite")
    copy = copied(company, leaver, tmp_path / "copy")
    found = readable(copy.root, unwrapped(copy.root, copy.identity(who_of(leaver))))
    assert found.keys() & company.open().state.live.keys() == set()


def test_a_lead_who_may_not_read_a_book_any_more_reads_nothing_new_in_it(company: Company) -> None:
    done(company, "add-client", "Old", "--note", "before", who="manager")
    done(company, "member", "allow", member(company, "lead"), "--read", member(company, "manager"))
    assert company.names("lead") == ["Old"]
    done(company, "member", "allow", member(company, "lead"), "--no-read")
    done(company, "add-client", "New", "--note", "since", who="manager")
    found = readable(company.root, unwrapped(company.root, company.identity("lead")))
    assert "before" in str(found)
    assert "since" not in str(found)


# What opens somebody the manager's book, or its facts, and what takes that back.
LESS = {
    "lead": ("allow {who} --read {manager}", "allow {who} --no-read"),
    "service": ("allow {who} --personal {manager}", "allow {who} --no-personal"),
    "analyst": ("role {who} analyst", "role {who} manager"),
    "colleague": ("role {who} admin", "role {who} manager"),
}


def changed(company: Company, who: str, how: str, *options: str) -> str:
    words = how.format(who=member(company, who), manager=member(company, "manager")).split()
    result = company.crmcli("member", *words, *options)
    assert result.code == 0, result
    return result.err


def seen(company: Company, who: str) -> dict[str, str]:
    """What a member is shown of the manager's clients, by command."""
    ways = ("list clients --format csv", "find before", "show +79161234567", "history Old", "report summary")
    return {way: company.crmcli(*way.split(), who=who).out for way in ways}


@pytest.mark.parametrize("who", LESS)
def test_who_may_open_less_is_shown_less_at_once(company: Company, who: str) -> None:
    more, less = LESS[who]
    done(company, "add-client", "Old", "--phone", "8 916 123-45-67", "--note", "before", who="manager")
    done(company, "log-sale", "Old", "100", who="manager")
    changed(company, who, less)
    before = seen(company, who)
    changed(company, who, more)
    opened = seen(company, who)
    assert opened != before
    assert ("Old" in str(opened.values())) == (who != "analyst")
    changed(company, who, less)
    assert seen(company, who) == before
    assert problems(company, who) == problems(company) == []
    changed(company, who, more)
    assert seen(company, who) == opened


@pytest.mark.parametrize("who", LESS)
def test_rewriting_for_who_may_open_less_leaves_nothing_under_old_keys(company: Company, who: str) -> None:
    more, less = LESS[who]
    done(company, "add-client", "Old", "--note", "before", who="manager")
    changed(company, who, more)
    assert "--rewrite does it now" in changed(company, who, less)
    assert "--rewrite" not in changed(company, who, less, "--rewrite")
    found = readable(company.root, unwrapped(company.root, company.identity(who)))
    store = company.open(who)
    assert all(store.keyring.opens(store.state.live[name]) for name in found.keys() & store.state.live.keys())
    assert problems(company) == []


def test_gc_now_takes_from_the_folder_what_old_keys_open(company: Company, tmp_path: Path) -> None:
    done(company, "add-client", "Old", "--note", "before", who="manager")
    reading = company.view("manager")
    kept = company.view("colleague")
    moved = company.crmcli("transfer", "--from", member(company, "manager"), "--to", member(company, "colleague"))
    assert "after 2026-03-09 12:00; crmcli gc --now does it at once" in moved.err
    copy = copied(company, "manager", tmp_path / "copy")
    assert "before" in str(readable(copy.root, unwrapped(copy.root, copy.identity("manager"))))
    orphan = company.root / "files/00" / ("0" * 32 + ".parquet")
    orphan.write_bytes(b"being written")
    assert company.crmcli("gc", "--now", who="manager").code == NOT_PERMITTED
    assert done(company, "gc").split()[-1] == "0"
    assert int(done(company, "gc", "--now").split()[-1]) > 0
    assert "before" not in str(readable(company.root, unwrapped(company.root, company.identity("manager"))))
    # What is being written stays, and whoever was reading begins again.
    assert orphan.exists()
    with pytest.raises(OvertakenError):
        reading.records("contacts")
    assert kept.records("contacts") == []
    assert company.names("colleague") == ["Old"]
    assert problems(company) == []


def test_doctor_says_that_nobody_runs_gc(company: Company) -> None:
    done(company, "add-client", "Old", who="manager")
    done(company, "transfer", "--from", member(company, "manager"), "--to", member(company, "colleague"))
    for days in range(3, 13, 3):
        done(replace(company, now=NOW + timedelta(days=days)), "add-client", f"New {days}")
    told = {}
    for days in (13, 16):
        rows = replace(company, now=NOW + timedelta(days=days)).crmcli("doctor", "--format", "csv").out
        [told[days]] = [line for line in rows.splitlines() if line.startswith("old files,")]
    assert "attention" not in told[13]
    assert "for more than a week: let gc run daily" in told[16]


@pytest.mark.parametrize("leaver", LEAVERS)
def test_the_program_shows_the_leaver_nothing(company: Company, tmp_path: Path, leaver: str) -> None:
    left(company, leaver)
    copy = copied(company, leaver, tmp_path / "copy")
    files = {"file": "clients.csv", "card": "card.json", "process": "process.toml"}
    (tmp_path / "process.toml").write_text(done(company, "process", "show"))
    (tmp_path / "clients.csv").write_text("name\nNew\n")
    guesses = {name: ["x"] for name in names_in(TRIES | OF_THE_LOG)} | {
        name: [str(tmp_path / file)] for name, file in files.items()
    }
    guesses |= {"rows": ["clients"]}
    for command in COMMANDS:
        for arguments in list(command_lines((TRIES | OF_THE_LOG).get(command, ()), guesses))[:1]:
            result = copy.crmcli(*arguments, who=who_of(leaver))
            assert (result.code, result.out) == (15, ""), (arguments, result)
            assert result.err == "crmcli: error: you are no member of this store any more\n"


def test_what_the_leaver_signs_now_stops_every_reader(company: Company) -> None:
    left(company, "second admin")
    state = company.open().state
    made = by_hand(state, member(company, "colleague"))
    (company.log / log.loose_name(made.seq)).write_bytes(made.sealed(company.identity("colleague").keys))
    result = company.crmcli("list", "clients")
    assert (result.code, result.out) == (13, "")
    assert f"commit {made.seq} cannot be trusted: its author is no member" in result.err
