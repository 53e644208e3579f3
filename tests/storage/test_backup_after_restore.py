"""After a restore: backups go on, whatever was taken back since, and every machine takes it only when told to."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.storage.company import Company, Result
from tests.storage.test_backup_withdrawn import grant
from tests.storage.test_backups import DAY, backed_up, grow, ok, rows


def erase(company: Company) -> None:
    ok(company, "erase", "Vera", "--yes")


def revoke(company: Company) -> None:
    ok(company, "grant", "revoke", (company.folder / "grant").read_text())


def both(company: Company) -> None:
    revoke(company)
    erase(company)


def restored(company: Company, snapshot: str) -> str:
    """Restore a snapshot in place of the store, and take it; return the hash of the restore."""
    shutil.rmtree(company.root)
    out = ok(company, "restore", snapshot, "--to", str(company.root))
    commit = out.rpartition("restore commit")[2].strip()
    ok(company, "verify", "--accept-restore", commit)
    return commit


@pytest.mark.parametrize(
    ("since", "signers"), [(grow, "admin"), (erase, "admin"), (revoke, "admin"), (both, "admin"), (both, "manager")]
)
def test_backups_go_on_after_an_older_state_was_restored(
    company: Company, since: Callable[[Company], None], signers: str
) -> None:
    ok(company, "add-client", "Vera", "--note", "likes tea")
    (company.folder / "grant").write_text(grant(company))
    [first] = backed_up(company)
    if signers == "manager":
        ok(company, "add-client", "Of the manager", who="manager")
    since(company)
    [second] = backed_up(replace(company, now=company.now + DAY))
    now = replace(company, now=company.now + 2 * DAY)
    names = {first["snapshot"], second["snapshot"]}
    # Twice, for the same state may be needed again.
    for days in (2, 4):
        now = replace(company, now=company.now + days * DAY)
        restored(now, first["snapshot"])
        names.add(backed_up(now)[0]["snapshot"])
        now = replace(company, now=company.now + (days + 1) * DAY)
        grow(now)
        [made] = backed_up(now)
        names.add(made["snapshot"])
        listed = rows(now, "backup", "list")
        assert {row["snapshot"]: row["state"] for row in listed} == dict.fromkeys(names, "whole")
        assert rows(now, "backup", "verify", "--deep")[0]["problems"] == 0
        assert [row["state"] for row in rows(now, "backup", "status")] == ["ok"]
        assert rows(now, "backup", "drill")[0]["snapshot"] == made["snapshot"]


def test_a_fork_of_what_was_restored_is_no_restore_of_it(company: Company) -> None:
    ok(company, "add-client", "Vera", "--note", "likes tea")
    [first] = backed_up(company)
    grow(company)
    restored(replace(company, now=company.now + DAY), first["snapshot"])
    fork = replace(company, folder=company.folder.parent / "fork", now=company.now + DAY)
    shutil.copytree(company.folder, fork.folder)
    later = replace(company, now=company.now + 2 * DAY)
    grow(later)
    backed_up(later)
    ok(fork, "add-client", "Mine", who="admin")
    # It goes on from the restore, and not from what came after that.
    result = fork.crmcli("backup", "--to", str(company.folder / "backups"), who="nobody")
    assert result.code == 14, result


@pytest.fixture
def looked_at(company: Company) -> Company:
    """A company with a restored copy of its newest state beside it, in the folder `look`."""
    ok(company, "add-client", "Vera", "--note", "likes tea")
    backed_up(company)
    result = company.crmcli("restore", "latest", "--to", str(company.folder / "look"))
    assert result.code == 0, result
    (company.folder / "said").write_text(result.err)
    return company


def look(company: Company, *arguments: str) -> Result:
    return company.crmcli("--store", str(company.folder / "look"), *arguments)


def test_a_restored_copy_that_is_looked_at_does_not_take_the_place_of_the_store(looked_at: Company) -> None:
    result = look(looked_at, "list", "clients")
    assert (result.code, "was restored by commit" in result.err) == (14, True), result
    assert look(looked_at, "add-client", "Nobody").code == 14
    assert looked_at.names() == ["Vera"]
    # What restore said works, to the letter, and leaves the store as it is for this machine.
    said = (looked_at.folder / "said").read_text()
    [command] = re.findall(r"beside the store: (.*)", said)
    program = command.replace("crmcli --store", f"{sys.executable} -m crmcli --store")
    shown = subprocess.run(
        ["sh", "-c", program],
        env=os.environ | looked_at.environment("admin"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Vera" in shown.stdout
    grow(looked_at)
    assert len(looked_at.names()) == 2


def test_who_took_a_copy_for_the_store_comes_back_to_it_by_a_restore(looked_at: Company) -> None:
    commit, *_ = re.findall(r"--accept-restore ([0-9a-f]{64})", (looked_at.folder / "said").read_text())
    assert look(looked_at, "verify", "--accept-restore", commit).code == 0
    assert look(looked_at, "list", "clients").code == 0
    assert looked_at.crmcli("list", "clients").code == 14
    later = replace(looked_at, now=looked_at.now + DAY)
    backed_up(later)
    later.root.rename(later.folder / "before")
    restored = later.crmcli("restore", "latest", "--to", str(later.root))
    assert restored.code == 0, restored
    assert "; this one: crmcli verify" in restored.err
    assert later.crmcli("list", "clients").code == 14
    commit, *_ = re.findall(r"--accept-restore ([0-9a-f]{64})", restored.err)
    ok(later, "verify", "--accept-restore", commit)
    assert later.names() == ["Vera"]
    assert look(later, "list", "clients").code == 14


def test_who_restores_the_newest_state_in_place_of_the_store_goes_on_at_once(company: Company) -> None:
    grow(company)
    backed_up(company)
    assert company.names("manager") == []
    shutil.rmtree(company.root)
    restored = company.crmcli("restore", "latest", "--to", str(company.root))
    assert "this one" not in restored.err
    assert len(company.names()) == 1
    assert company.crmcli("list", "clients", who="manager").code == 14
    commit, *_ = re.findall(r"--accept-restore ([0-9a-f]{64})", restored.err)
    ok(company, "verify", "--accept-restore", commit, who="manager")
    assert company.crmcli("list", "clients", who="manager").code == 0


def test_a_restore_that_was_not_accepted_in_the_end_is_not_remembered(company: Company) -> None:
    grow(company)
    [first] = backed_up(company)
    grow(company)
    shutil.rmtree(company.root)
    out = ok(company, "restore", first["snapshot"], "--to", str(company.root))
    commit = out.rpartition("restore commit")[2].strip()
    # It is ahead of what the admin's machine saw, by commits that somebody else makes.
    company.forget("manager")
    for name in ("One", "Two", "Three"):
        ok(company, "add-client", name, who="manager")
    path = next((company.root / "files").glob("??/*"))
    good = path.read_bytes()
    path.write_bytes(good[:-1])
    assert company.crmcli("verify", "--accept-restore", commit).code == 13
    path.write_bytes(good)
    assert company.crmcli("list", "clients").code == 14
    ok(company, "verify", "--accept-restore", commit)


@pytest.mark.parametrize("more", [("--exact",), ("--table", "contacts")])
def test_the_hint_of_who_may_not_restore_to_the_byte_works(company: Company, more: tuple[str, ...]) -> None:
    ok(company, "add-client", "Vera", "--note", "likes tea")
    [first] = backed_up(company)
    ok(company, "erase", "Vera", "--yes")
    target = ("restore", first["snapshot"], "--to", str(company.folder / "copy"))
    refused = company.crmcli(*target, *more)
    assert (refused.code, "an admin restores it whole, without --exact" in refused.err) == (15, True), refused
    assert "erased again    1" in ok(company, *target)


@pytest.mark.parametrize("has_clients", [False, True])
def test_who_is_removed_again_goes_on_with_no_restored_store(company: Company, *, has_clients: bool) -> None:
    grow(company)
    lead = company.identity("lead").member
    if has_clients:
        ok(company, "add-client", "Of the lead", who="lead")
    [first] = backed_up(company)
    handed = ("--to", company.identity("colleague").member) if has_clients else ()
    ok(company, "member", "remove", lead, *handed)
    assert company.crmcli("list", "clients", who="manager").code == 0
    now = replace(company, now=company.now + DAY)
    backed_up(now)
    now.root.rename(now.folder / "broken")
    restored = now.crmcli("restore", first["snapshot"], "--to", str(now.root))
    assert restored.code == 0, restored
    [commit] = re.findall(r"; this one: crmcli verify --accept-restore ([0-9a-f]{64})", restored.err)
    assert restored.err.count(commit) == 1
    # Somebody who was removed goes on from the restore, and puts that in the place of the store.
    fork = replace(now, folder=now.folder.parent / "fork")
    shutil.copytree(now.folder, fork.folder)
    fork.forget("lead")
    ok(fork, "add-client", "Planted", who="lead")
    # The admin does as he is told, to the letter.
    ok(now, "verify", "--accept-restore", commit)
    [command] = re.findall(r"a member again: crmcli (member remove .*)", restored.err)
    ok(now, *command.split())
    head = re.findall(r"head +([0-9a-f]{64})", ok(now, "verify"))[0]
    assert fork.crmcli("verify", "--accept-restore", head, who="manager").code == 14
    ok(now, "verify", "--accept-restore", head, who="manager")
    assert now.crmcli("list", "clients", who="manager").code == 0
    assert not now.open().state.members[lead].active
