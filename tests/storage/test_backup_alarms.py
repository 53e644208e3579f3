"""A backup that is not what it should be raises an alarm, and one that is raises none."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import time
from contextlib import chdir
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from crmcli.storage import log, upkeep
from tests.storage.company import Company, Result, environment
from tests.storage.test_backup_attacks import newest, plant, stamped
from tests.storage.test_backups import DAY, age, backed_up, flip, grow, objects, ok, rows, some_file, told_in_passing


@pytest.fixture
def place(company: Company) -> Path:
    grow(company)
    return company.folder / "backups"


def status(company: Company, *arguments: str) -> Result:
    company.home("nobody").mkdir(exist_ok=True)
    return company.crmcli("backup", "status", *arguments, who="nobody")


@pytest.mark.parametrize("check", ["verify --deep", "drill", "verify", "verify --subset 1/1"])
def test_what_failed_its_last_check_is_not_verified_any_more(company: Company, place: Path, check: str) -> None:
    [made] = backed_up(company)
    rows(company, "backup", "verify", "--deep")
    assert status(company).code == 0
    path = objects(place)[some_file(company)[1]]
    good = path.read_bytes()
    if check == "verify":
        path.unlink()
    else:
        flip(path)
    later = replace(company, now=company.now + DAY)
    assert later.crmcli("backup", *check.split(), who="nobody").code == 13
    [row] = rows(later, "backup", "status", code=6)
    assert (row["verified"], row["state"]) == (None, "attention")
    assert row["found"] == f"snapshot {made['snapshot']} failed its last check, on 2026-03-03"
    [listed] = rows(later, "backup", "list")
    assert (listed["state"], listed["verified_at"]) == ("failed", None)
    hint = status(later).err.splitlines()[1].removeprefix("crmcli: hint: crmcli ")
    path.unlink(missing_ok=True)
    path.write_bytes(good)
    # Only a check that reads every byte takes that back.
    rows(later, "backup", "verify")
    assert status(later).code == 6
    ok(later, *hint.split(), who="nobody")
    assert status(later).code == 0
    assert rows(later, "backup", "list")[0]["state"] == "whole"


def test_an_old_snapshot_under_a_new_date_puts_nothing_off(company: Company, place: Path) -> None:
    backed_up(company)
    rows(company, "backup", "verify", "--deep")
    after = replace(company, now=company.now + DAY)
    grow(after)
    week = replace(company, now=company.now + 8 * DAY)
    planted = plant(place, newest(place) | {"made_at": stamped(week.now - timedelta(hours=1))})
    assert status(week).code == 6
    assert f"{planted}: it lacks commit" in week.crmcli("backup", "verify", "--deep", who="nobody").err
    assert rows(week, "backup", "list")[0]["state"].startswith("not genuine: it lacks commit")
    [made] = rows(week, "backup", "--if-due")
    assert made["commit"] == after.open().state.seq
    assert rows(week, "backup", "drill")[0]["snapshot"] == made["snapshot"]
    age(place)
    ok(week, "backup", "forget", planted, "--yes", who="nobody")
    assert status(week).code == 0


@pytest.mark.usefixtures("place")
def test_a_commit_by_a_clock_that_is_some_hours_behind_makes_no_backup_less_genuine(company: Company) -> None:
    made = replace(company, now=company.now + timedelta(hours=23))
    backed_up(made)
    grow(company)
    rows(made, "backup", "verify", "--deep")
    assert status(made).code == 0


@pytest.mark.parametrize("how", ["empty", "gone"])
def test_a_place_that_has_vanished_is_missed_and_not_begun_anew_by_itself(
    company: Company, place: Path, how: str
) -> None:
    backed_up(company)
    rows(company, "backup", "verify", "--deep")
    place.rename(company.folder / "unmounted")
    if how == "empty":
        place.mkdir()
    for arguments in ((), ("--if-due",)):
        result = company.crmcli("backup", *arguments, who="nobody")
        assert (result.code, result.err.splitlines()[0]) == (
            3,
            f"crmcli: error: there were backups in {place}, and now there are none",
        )
        assert how == "gone" or not list(place.iterdir())
    assert status(company).code == 6
    assert f"there were backups in {place}" in status(company).err
    # The other place is backed up to all the same.
    other = company.folder / "other"
    assert company.crmcli("backup", "--to", str(place), "--to", str(other), who="nobody").code == 3
    assert rows(company, "backup", "list", "--to", str(other))
    if how == "empty":
        place.rmdir()
    (company.folder / "unmounted").rename(place)
    assert status(company).code == 0
    place.rename(company.folder / "unmounted")
    hint = company.crmcli("backup", who="nobody").err.partition("? crmcli ")[2].partition(" begins")[0]
    ok(company, *hint.split(), who="nobody")
    assert len(rows(company, "backup", "list")) == 1


def test_an_admin_is_told_in_passing_of_what_failed_and_what_is_gone(company: Company, place: Path) -> None:
    elsewhere = company.folder / "elsewhere"
    week = replace(company, now=company.now + 9 * DAY)
    assert "CRMCLI_BACKUPS says where" in told_in_passing(week)
    # A place that cron names and this shell does not is known from then on.
    [made] = backed_up_by_admin(week, elsewhere)
    assert "has been verified yet: crmcli backup" in told_in_passing(week)
    ok(week, "backup", "verify", "--deep", "--to", str(elsewhere))
    assert told_in_passing(week) == ""
    path = objects(elsewhere)[some_file(week)[1]]
    flip(path)
    assert week.crmcli("backup", "verify", "--deep", "--to", str(elsewhere)).code == 13
    line = told_in_passing(week)
    assert f"snapshot {made['snapshot']} failed its last check" in line
    assert week.crmcli(*line.strip().partition(": crmcli ")[2].split()).code == 6
    flip(path)
    ok(week, "backup", "verify", "--deep", "--to", str(elsewhere))
    assert told_in_passing(week) == ""
    for snapshot in (elsewhere / "snapshots").iterdir():
        snapshot.unlink()
    assert "has been verified yet" in told_in_passing(week)
    assert not place.exists()


def backed_up_by_admin(company: Company, place: Path) -> list[dict[str, Any]]:
    return rows(company, "backup", "--to", str(place), who="admin")


def hinted(result: Result) -> list[str]:
    """The command that the hint of an error gives."""
    return result.err.splitlines()[-1].rpartition("crmcli ")[2].split()


def test_a_snapshot_whose_bytes_rotted_is_fetched_from_another_place(company: Company, place: Path) -> None:
    other = company.folder / "other"
    both = ("--to", str(place), "--to", str(other))
    backed_up(company, place, other)
    ok(company, "backup", "verify", "--deep", *both, who="nobody")
    [path] = (place / "snapshots").iterdir()
    good = path.read_bytes()
    flip(path)
    alone = company.crmcli("backup", "verify", who="nobody")
    assert alone.code == 13
    assert f"snapshots/{path.name} is damaged: spoils snapshot {path.stem}; nobody here has it any more" in alone.err
    age(place)
    # What only the damaged one needs is not swept before somebody has decided.
    before = set(objects(place))
    ok(company, "backup", "forget", "--yes", who="nobody")
    assert set(objects(place)) == before
    found = status(company, *both)
    assert (found.code, f"1 snapshots are damaged: {path.stem}" in found.err) == (6, True)
    assert company.crmcli("backup", "verify", *both, who="nobody").code == 13
    ok(company, *hinted(found), who="nobody")
    assert path.read_bytes() == good
    ok(company, "backup", "verify", "--deep", who="nobody")
    assert status(company, *both).code == 0
    backed_up(replace(company, now=company.now + DAY))
    flip(path)
    told = company.crmcli("backup", "verify", who="nobody").err.splitlines()
    line = next(line for line in told if "is damaged" in line)
    ok(company, *line.rpartition("crmcli ")[2].split(), who="nobody")
    assert not path.exists()


@pytest.mark.parametrize("days", [-365, 3650], ids=["behind", "ahead"])
def test_a_clock_that_was_wrong_once_raises_no_alarm_for_ever(company: Company, place: Path, days: int) -> None:
    backed_up(company)
    rows(company, "backup", "verify", "--deep")
    backed_up(replace(company, now=company.now + days * DAY))
    later = replace(company, now=company.now + timedelta(hours=1))
    for result in (status(later), later.crmcli("backup", "verify", who="nobody")):
        assert result.code == 6
        assert hinted(result)[:2] == ["backup", "forget"]
    ok(later, *hinted(status(later)), who="nobody")
    assert status(later).code == 0
    assert len(list((place / "snapshots").iterdir())) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("backup", "status", "--days", "99999999999"),
        ("backup", "--if-due", "--days", "99999999999"),
        ("backup", "forget", "--keep-days", "99999999999999"),
        ("backup", "forget", "--keep-weekly", "99999999999999999999"),
        ("restore", "latest", "--to", "."),
        ("restore", "latest", "--to", "/"),
        ("restore", "latest", "--to", ""),
    ],
)
@pytest.mark.usefixtures("place")
def test_what_makes_no_sense_is_bad_input(company: Company, arguments: tuple[str, ...], tmp_path: Path) -> None:
    backed_up(company)
    with chdir(tmp_path):
        result = company.crmcli(*arguments)
    assert result.code == 2, result
    assert result.err.startswith("crmcli: error: ")
    assert result.err.count("\n") <= 2


@pytest.mark.usefixtures("place")
def test_a_store_is_not_restored_into_the_live_one_nor_through_a_link(company: Company) -> None:
    backed_up(company)
    inside = company.root / "files" / "restored"
    result = company.crmcli("restore", "latest", "--to", str(inside), "--exact")
    assert (result.code, inside.exists()) == (2, False)
    (company.folder / "empty").mkdir()
    (company.folder / "link").symlink_to("empty")
    result = company.crmcli("restore", "latest", "--to", str(company.folder / "link"), "--exact")
    assert (result.code, "is a link" in result.err) == (2, True)
    ok(company, "restore", "latest", "--exact", *result.err.partition("hint: ")[2].split()[:2])
    assert (company.folder / "empty" / "genesis.json").exists()


def test_a_drill_tidies_up_after_one_that_was_killed(company: Company, tmp_path: Path) -> None:
    grow(company, 5)
    backed_up(company)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    arguments = ("backup", "drill", "--scratch", str(scratch))
    with company.start(*arguments) as process:
        while not list(scratch.glob("*/store")):
            assert process.poll() is None
        process.kill()
    [left] = scratch.iterdir()
    (scratch / "mine").mkdir()
    ok(company, *arguments)
    # It may be at work still.
    assert left.exists()
    for path in (scratch / "mine", left):
        os.utime(path, (time.time() - 120,) * 2)
    handle = os.open(left, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    ok(company, *arguments)
    assert left.exists()
    os.close(handle)
    ok(company, *arguments)
    assert [path.name for path in scratch.iterdir()] == ["mine"]


@pytest.mark.usefixtures("place")
def test_a_damaged_log_is_called_that(company: Company) -> None:
    backed_up(company)
    grow(company)
    backed_up(company)
    seq = company.open().state.seq - 1
    flip(company.log / log.loose_name(seq))
    result = company.crmcli("backup", who="nobody")
    assert (result.code, result.err.splitlines()) == (
        13,
        [
            f"crmcli: error: the log is damaged at commit {seq} or {seq + 1}: it is not what was checked before",
            "crmcli: hint: crmcli verify says more",
        ],
    )
    assert company.crmcli("verify").code == 13


def test_a_genesis_that_rotted_in_a_place_is_damage(company: Company, place: Path) -> None:
    backed_up(company)
    flip(place / "genesis.json")
    result = company.crmcli("backup", who="nobody")
    assert result.code == 13
    assert f"genesis.json in {place} is damaged" in result.err


def test_places_may_stand_in_one_option(company: Company, place: Path) -> None:
    other = company.folder / "other"
    assert len(rows(company, "backup", "--to", f"{place}, {other}")) == 2
    assert len(rows(company, "backup", "list", "--to", str(other))) == 1


def lines_of_cron() -> list[list[str]]:
    """The commands of the lines for cron in the how-to, in the order of a day."""
    text = (Path(__file__).parents[2] / "docs/howto/backup.md").read_text()
    lines = [line for line in text.splitlines() if re.match(r" ?\d+ \d+ \* \* \* ", line)]
    assert len(lines) == 2
    return [command.split()[1:] for line in lines for command in line[12:].split(";")]


def night(company: Company, days: int, places: str) -> tuple[list[int], str]:
    """What a night of cron ends with and prints; for two weeks of the four, the clocks are an hour off."""
    company.home("cron").mkdir(exist_ok=True)
    at = company.now + days * DAY + timedelta(hours=days // 7 % 2)
    codes, printed = [], ""
    for arguments in lines_of_cron():
        now = replace(company, now=at + timedelta(hours=6.5 * (arguments[1] == "status")))
        with environment(os.environ | {"CRMCLI_BACKUPS": places}):
            result = now.crmcli(*arguments, who="cron")
        codes.append(result.code)
        printed += result.out + result.err
    return codes, printed


def test_four_weeks_of_cron_print_nothing_while_all_is_well(quick: Company) -> None:
    place = quick.folder / "backups"
    places = f"{place},{quick.folder / 'other'}"
    backed_up_by_cron(quick, places)
    for days in range(28):
        grow(replace(quick, now=quick.now + days * DAY))
        assert night(quick, days, places) == ([0, 0, 0, 0], ""), days
    assert len(list((place / "snapshots").iterdir())) == 4
    # One object of one place rots: the next backup is read back, and finds it; the one after it puts a good copy there.
    live = {entry.sha256 for entry in quick.open().entries()}
    flip(objects(place)[min(live & set(objects(place)))])
    told = [night(quick, days, places) for days in range(28, 36)]
    assert [codes for codes, _ in told if codes != [0, 0, 0, 0]] == [[0, 13, 0, 6]]
    assert "is damaged: spoils snapshot" in "".join(printed for _, printed in told)


def test_cron_is_heard_when_a_place_is_missing_or_backups_are_old(company: Company, place: Path) -> None:
    other = company.folder / "other"
    places = f"{place},{other}"
    backed_up_by_cron(company, places)
    assert night(company, 0, places) == ([0, 0, 0, 0], "")
    other.rename(company.folder / "unmounted")
    codes, printed = night(company, 1, places)
    assert codes == [3, 3, 3, 6]
    assert printed.count(f"there were backups in {other}") == 2
    late = status(replace(company, now=company.now + 9 * DAY), "--quiet", "--to", str(place))
    assert (late.code, late.out) == (6, "")
    assert "the last verified backup is 9 days old" in late.err


def backed_up_by_cron(company: Company, places: str) -> None:
    company.home("cron").mkdir()
    with environment(os.environ | {"CRMCLI_BACKUPS": places}):
        ok(company, "backup", who="cron")


@pytest.mark.parametrize("check", ["verify --deep", "verify", "drill"])
def test_the_next_backup_relies_on_nothing_that_a_check_found_damaged(
    company: Company, place: Path, check: str
) -> None:
    backed_up(company)
    path = objects(place)[some_file(company)[1]]
    good = path.read_bytes()
    if check == "verify":
        path.write_bytes(good[:-1])
    else:
        flip(path)
    assert company.crmcli("backup", *check.split(), who="nobody").code == 13
    later = replace(company, now=company.now + timedelta(hours=1))
    [made] = backed_up(later)
    assert (made["copied"], path.read_bytes()) == (1, good)
    # It is not copied again, though the older snapshot is not read back yet.
    assert backed_up(later)[0]["copied"] == 0
    ok(later, "backup", "verify", "--deep", who="nobody")
    assert status(later).code == 0


def test_what_one_check_found_damaged_is_not_forgotten_over_what_another_finds(company: Company, place: Path) -> None:
    backed_up(company)
    live = {entry.sha256: entry.bytes for entry in company.open().entries()}
    one, other = (objects(place)[digest] for digest in sorted(live)[:2])
    good = [path.read_bytes() for path in (one, other)]
    flip(one)
    assert company.crmcli("backup", "verify", "--deep", who="nobody").code == 13
    # Where the clock of a server is wrong, an object may seem to have been written since.
    later = time.time() + 30 * 86_400
    os.utime(one, (later, later))
    other.unlink()
    assert company.crmcli("backup", "verify", who="nobody").code == 13
    deep = "[" * 60_000
    (place / "results" / "20260302T090000Z-000000000001.json").write_text(deep, encoding="utf-8")
    assert backed_up(replace(company, now=company.now + timedelta(hours=1)))[0]["copied"] == 2
    assert [path.read_bytes() for path in (one, other)] == good


def test_a_place_that_says_nothing_keeps_no_other_from_its_backup(company: Company, place: Path) -> None:
    other = company.folder / "other"
    for where in (place, other):
        ok(company, "backup", "--to", str(where), who="nobody")
    shutil.rmtree(other / "snapshots")
    (other / "snapshots").write_text("a file")
    later = replace(company, now=company.now + 9 * DAY)
    result = later.crmcli("backup", "--if-due", "-q", "--to", str(other), "--to", str(place), who="nobody")
    assert result.code == 13, result
    assert len(list((place / "snapshots").iterdir())) == 2


def test_a_place_without_a_snapshot_is_not_whole(company: Company, place: Path) -> None:
    backed_up(company)
    for snapshot in (place / "snapshots").iterdir():
        snapshot.unlink()
    for arguments in (("verify",), ("verify", "--deep"), ("drill",)):
        result = company.crmcli("backup", *arguments, who="nobody")
        assert (result.code, "there is no snapshot yet" in result.err) == (3, True), result


def test_an_old_copy_of_the_store_is_not_backed_up_to_a_place_that_is_new(company: Company) -> None:
    old = shutil.copytree(company.root, company.folder / "old")
    grow(company)
    backed_up(company)
    ok(company, "backup", "verify", "--deep", who="nobody")
    assert status(company).code == 0
    shutil.rmtree(company.root)
    old.rename(company.root)
    told = status(company)
    assert (told.code, "the store is older than, or differs from, what was backed up here" in told.err) == (6, True)
    other = company.folder / "other"
    result = company.crmcli("backup", "--to", str(other), who="nobody")
    assert (result.code, other.exists()) == (14, False), result
    assert "the store is older than, or differs from, what was backed up here, up to commit" in result.err
    assert "crmcli backup --anew --to PLACE, a new place, takes it as it is" in result.err
    for _ in range(2):
        ok(company, "backup", "--to", str(other), "--anew", who="nobody")
    ok(company, "backup", "--to", str(other), who="nobody")


def test_an_older_snapshot_that_fails_its_check_is_named_until_it_goes(
    company: Company, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [first] = backed_up(company)
    then = {entry.sha256 for entry in company.open().entries()}
    monkeypatch.setattr(upkeep, "MANY", 1)
    later = replace(company, now=company.now + DAY)
    grow(later, 2)
    [newest] = backed_up(later)
    only_old = then - {entry.sha256 for entry in later.open().entries()}
    flip(objects(place)[min(only_old)])
    assert later.crmcli("backup", "verify", "--deep", who="nobody").code == 13
    assert status(later).code == 6
    assert f"snapshot {first['snapshot']} failed its last check" in status(later).err
    states = {row["snapshot"]: (row["state"], row["verified_at"]) for row in rows(later, "backup", "list")}
    assert states[first["snapshot"]] == ("failed", None)
    assert states[newest["snapshot"]][0] == "whole"
    assert states[newest["snapshot"]][1]
    age(place)
    flip(objects(place)[min(only_old)])
    ok(later, "backup", "verify", "--deep", who="nobody")
    assert status(later).code == 0
