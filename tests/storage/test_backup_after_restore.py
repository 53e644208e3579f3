"""After a restore: backups go on, whatever was taken back since, and every machine takes it only when told to."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.storage.company import Company
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
