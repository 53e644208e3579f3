"""What was taken back after a snapshot does not come back with it unseen: grants end again, members are named."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace

import pytest

from tests.storage.company import Company, Result
from tests.storage.test_backups import DAY, backed_up, grow, ok


def grant(company: Company, *more: str) -> str:
    """Give the manager a grant to export; return its id."""
    out = ok(company, "grant", "export", "--to", company.identity("manager").member, "--expires", "48h", *more)
    found = re.search(r"\b[0-9A-HJKMNP-TV-Z]{12}\b", out)
    assert found is not None, out
    return found[0]


def export(company: Company, grant: str) -> Result:
    """Let the manager use a grant."""
    target = str(company.folder / f"{grant} {company.now:%H}.csv")
    return company.crmcli("export", "clients", "--out", target, "--for", "crm", "--grant", grant, who="manager")


@pytest.fixture
def snapshot(company: Company) -> str:
    """A snapshot of the company with three grants, of which one is used and one revoked afterwards."""
    ok(company, "add-client", "Anna", who="manager")
    kept, once, revoked = grant(company), grant(company, "--once"), grant(company)
    name: str = backed_up(company)[0]["snapshot"]
    assert export(company, once).code == 0
    ok(company, "grant", "revoke", revoked)
    (company.folder / "ids").write_text(f"{kept} {once} {revoked}")
    return name


def restored(company: Company, snapshot: str, *more: str) -> str:
    """Restore in place of the store that is there; return what was said."""
    result = company.crmcli("restore", snapshot, "--to", str(company.folder / "copy"), *more)
    assert result.code == 0, result
    shutil.rmtree(company.root, ignore_errors=True)
    (company.folder / "copy").rename(company.root)
    for who in ("admin", "manager"):
        company.forget(who)
    return result.err


@pytest.mark.parametrize("known", ["in the store", "in a snapshot", "in another place"])
def test_grants_that_ended_since_end_again(company: Company, snapshot: str, known: str) -> None:
    kept, once, revoked = (company.folder / "ids").read_text().split()
    later = replace(company, now=company.now + DAY / 2)
    more: tuple[str, ...] = ()
    if known != "in the store":
        place = company.folder / ("backups" if known == "in a snapshot" else "other")
        backed_up(later, place)
        shutil.rmtree(company.root)
        more = ("--from", str(company.folder / "backups"), "--from", str(place))
    said = restored(later, snapshot, *more)
    assert f"grant {once} was used since, and is revoked in it" in said
    assert f"grant {revoked} was revoked since, and is revoked in it" in said
    assert kept not in said
    for name, code in ((kept, 0), (once, 15), (revoked, 15)):
        result = export(later, name)
        assert result.code == code, result


def test_without_a_commit_grants_that_ended_are_named_with_what_ends_them(company: Company, snapshot: str) -> None:
    _, once, revoked = (company.folder / "ids").read_text().split()
    said = restored(company, snapshot, "--exact")
    for name, how in ((once, "used"), (revoked, "revoked")):
        command = f"crmcli grant revoke {name}"
        assert f"grant {name} was {how} since, and is open again: {command}" in said
        ok(company, *command.split()[1:])
    assert company.crmcli("grant", "revoke", once).code == 4


def test_members_who_may_less_since_are_named_with_what_makes_it_so_again(company: Company) -> None:
    whom = ("lead", "manager", "analyst", "service")
    lead, manager, analyst, service = (company.identity(who).member for who in whom)
    ok(company, "member", "allow", lead, "--read", manager, "--dispatcher")
    ok(company, "member", "allow", service, "--personal", manager)
    ok(company, "member", "role", analyst, "admin")
    [old] = backed_up(company)
    ok(company, "member", "allow", lead, "--read", company.identity("colleague").member, "--no-dispatcher")
    ok(company, "member", "allow", service, "--no-personal")
    ok(company, "member", "role", analyst, "analyst")
    before = {row.member: row for row in company.open().state.members.values()}
    said = restored(company, old["snapshot"])
    commands = re.findall(r"since: crmcli (member .*)", said)
    assert len(commands) == 3
    for command in commands:
        ok(company, *command.split())
    after = {row.member: row for row in company.open().state.members.values()}
    assert after == before


def test_nothing_is_named_that_was_not_taken_back(company: Company) -> None:
    grow(company)
    [old] = backed_up(company)
    ok(company, "member", "allow", company.identity("lead").member, "--read", company.identity("manager").member)
    said = restored(company, old["snapshot"])
    assert "crmcli member" not in said
    assert "grant" not in said
