"""What is genuine among backups: what this machine saw goes before any date, and all places are judged together."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from crmcli.storage.backups.judging import judged
from crmcli.storage.backups.known import Known
from crmcli.storage.backups.places import Folder
from tests.storage.company import Company
from tests.storage.test_backup_attacks import forked, put_among
from tests.storage.test_backups import DAY, backed_up, grow, ok, rows


@dataclass(frozen=True)
class Attack:
    """A company on its third day, its last good snapshot, and the backups that a removed admin made of a fork."""

    company: Company
    good: str
    planted: str
    lying: Path

    @property
    def place(self) -> Path:
        return self.company.folder / "backups"


def attack(company: Company, days: float) -> Attack:
    """Let a removed admin go on alone from before the removal, erase Anna, and date that some days after the start."""
    leaver = company.identity("lead").member
    ok(company, "add-client", "Anna", "--note", "likes tea")
    ok(company, "member", "role", leaver, "admin")
    backed_up(company)
    fork = replace(forked(company, "fork"), now=company.now + days * DAY)
    ok(fork, "erase", "Anna", "--yes", who="lead")
    for n in range(9):
        ok(fork, "add-client", f"Mine {n}", who="lead")
    [planted] = backed_up(fork)
    ok(company, "member", "remove", leaver)
    for day in (1, 2):
        now = replace(company, now=company.now + day * DAY)
        [good] = backed_up(now)
    rows(now, "backup", "verify", "--deep", who="admin")
    now = replace(company, now=company.now + 3 * DAY)
    return Attack(now, good["snapshot"], planted["snapshot"], fork.folder / "backups")


@pytest.mark.parametrize("known", ["by the pin", "by making backups", "by a check", "by a store that went on"])
def test_a_backdated_fork_does_not_prevail_over_what_this_machine_saw(company: Company, known: str) -> None:
    found = attack(company, 0.5)
    company = found.company
    put_among(found.place, found.lying)
    who = "nobody" if known == "by making backups" else "admin"
    state = company.home(who) / "state" / "crmcli"
    if known == "by a check":
        for path in state.glob("*.pin"):
            path.unlink()
    elif known == "by the pin":
        for path in state.glob("*-backups.json"):
            path.unlink()
    if known == "by a store that went on":
        grow(company)
    else:
        company.root.rename(company.folder / "lost")
    states = {row["snapshot"]: row["state"] for row in rows(company, "backup", "list", who=who)}
    assert (states[found.good], len(states)) == ("whole", 4)
    assert states[found.planted].startswith("not genuine: it differs from what this machine saw of the store")
    assert company.crmcli("backup", "status", who=who).code == 6
    assert rows(company, "backup", "drill", who=who)[0]["snapshot"] == found.good
    result = company.crmcli("restore", "latest", "--to", str(company.folder / "copy"))
    assert (result.code, found.good in result.out, "erased again    0" in result.out) == (0, True, True), result
    assert company.crmcli("restore", found.planted, "--to", str(company.folder / "other"), who=who).code == 13
    if known == "by a store that went on":
        assert "1 commits that were made since are not in it" in result.err
        later = replace(company, now=company.now + DAY)
        assert later.crmcli("backup").code == 0
        assert found.planted in later.crmcli("backup", "verify").err


def test_a_backdated_fork_stops_no_backup(company: Company) -> None:
    found = attack(company, 0.5)
    put_among(found.place, found.lying)
    result = found.company.crmcli("backup", who="nobody")
    assert (result.code, f"snapshot {found.planted} is no part of this store" in result.err) == (0, True), result


@pytest.mark.parametrize("live", ["is there", "is lost"])
def test_a_fork_in_another_place_is_neither_the_latest_nor_asked_for_erasures(company: Company, live: str) -> None:
    found = attack(company, 2.5)
    company = found.company
    if live == "is lost":
        shutil.rmtree(company.root)
    # Nobody saw anything on this machine before.
    for who in ("admin", "nobody"):
        company.forget(who)
    both = [word for place in (found.lying, found.place) for word in ("--from", str(place))]
    out = ok(company, "restore", "latest", "--to", str(company.folder / "copy"), *both)
    assert found.good in out
    assert "erased again    0" in out
    ok(company, "restore", found.good, "--to", str(company.folder / "exact"), "--exact", *both, who="nobody")
    assert found.good in ok(company, "backup", "show", "latest", "--to", both[1], "--to", both[3], who="nobody")


@pytest.mark.parametrize("told_by", ["the store", "the identity", "the first place"])
def test_of_several_places_only_those_of_one_store_count(company: Company, tmp_path: Path, told_by: str) -> None:
    ok(company, "add-client", "Anna", "--note", "likes tea")
    [good] = backed_up(company)
    other = Company(tmp_path / "other", company.now + DAY)
    other.home("admin").mkdir(parents=True)
    ok(other, "init", "--company", "Other", "--admin", "Eve", "--no-passphrase")
    backed_up(other)
    if told_by != "the store":
        shutil.rmtree(company.root)
    places = [company.folder / "backups", other.folder / "backups"]
    who = "nobody" if told_by == "the first place" else "admin"
    order = places if told_by == "the first place" else places[::-1]
    both = [word for place in order for word in ("--from", str(place))]
    result = company.crmcli("restore", "latest", "--to", str(company.folder / "copy"), *both, who=who)
    assert (result.code, good["snapshot"] in result.out) == (0, True), result
    assert f"{places[1]} has backups of another store" in result.err


@pytest.mark.parametrize("more", [0, 1])
def test_the_live_log_is_what_it_is_however_long_that_of_a_snapshot(company: Company, more: int) -> None:
    fork = forked(company, "fork")
    grow(company)
    backed_up(company)
    for store in (company, fork):
        grow(store, more)
    grow(fork)
    place = Folder(company.folder / "backups")
    for store in (company, fork):
        _, found = judged(place, Known(company.now, live=store.root))
        assert found.live is not None
        assert found.live.state.hash == store.open().state.hash
        assert found.live.state.seq == store.open().state.seq
