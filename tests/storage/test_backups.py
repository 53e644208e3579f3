"""Backups made, checked, repaired and restored by the real program, without a key where none is needed."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from crmcli.storage import log, upkeep
from tests.storage.company import Company, problems
from tests.storage.crowd import LateCompany

DAY = timedelta(days=1)


@pytest.fixture
def place(company: Company) -> Path:
    return company.folder / "backups"


def rows(company: Company, *arguments: str, who: str = "nobody", code: int = 0) -> list[dict[str, Any]]:
    """What a command says as JSON; `nobody` is a machine without an identity."""
    company.home(who).mkdir(exist_ok=True)
    result = company.crmcli(*arguments, "--format", "json", who=who)
    assert result.code == code, result
    found: list[dict[str, Any]] = json.loads(result.out or "[]")
    return found


def backed_up(company: Company, *places: Path) -> list[dict[str, Any]]:
    return rows(company, "backup", *(word for place in places for word in ("--to", str(place))))


def ok(company: Company, *arguments: str, who: str = "admin") -> str:
    result = company.crmcli(*arguments, who=who)
    assert result.code == 0, result
    return result.out


def tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def objects(place: Path) -> dict[str, Path]:
    return {path.name: path for path in (place / "objects").glob("??/*")}


def grow(company: Company, count: int = 1) -> None:
    for n in range(count):
        ok(company, "add-client", f"Client {n} {time.monotonic_ns()}", "--note", "a note")


def age(place: Path, days: int = 3) -> None:
    """Let everything in a place have been written some days ago, so that it may be removed."""
    for path in place.rglob("*"):
        os.utime(path, (time.time() - days * 86_400,) * 2)


def test_only_what_is_new_is_copied(company: Company, place: Path) -> None:
    grow(company)
    [first] = backed_up(company)
    assert first["copied_bytes"] == sum(path.stat().st_size for path in objects(place).values())
    before = tree(place / "objects")
    [again] = backed_up(replace(company, now=company.now + DAY))
    assert (again["copied"], again["commit"]) == (0, first["commit"])
    assert tree(place / "objects") == before
    grow(company)
    [third] = backed_up(company)
    assert third["copied"] == len(objects(place)) - len(before) > 0


def test_what_is_restored_is_what_was_there_to_the_byte(company: Company) -> None:
    grow(company, 2)
    shutil.copy(company.root / "genesis.json", company.root / "files" / "stray")
    drop = b"sealed"
    name = "5f7e0a8a7a4a1c3a"
    (company.root / "inbox" / f"{name}.drop").write_bytes(drop)
    good = hashlib.sha256(drop).hexdigest()
    (company.root / "inbox" / f"{good}.drop").write_bytes(drop)
    backed_up(company)
    there = tree(company.root)
    grow(company)
    ok(company, "restore", "latest", "--to", str(company.folder / "copy"), "--exact", who="nobody")
    del there["files/stray"], there[f"inbox/{name}.drop"]
    live = {f"files/{file_id[:2]}/{file_id}.parquet" for file_id in company.open().state.live}
    copy = tree(company.folder / "copy")
    assert {path: there[path] for path in copy} == copy
    assert set(there) - set(copy) <= {path for path in there if path.startswith("files/") and path not in live}
    assert {path.stat().st_mode & 0o777 for path in (company.folder / "copy").rglob("*") if path.is_file()} == {0o600}


def test_a_backup_takes_no_key_and_opens_nothing(company: Company, place: Path) -> None:
    grow(company)
    company.home("nobody").mkdir()
    result = company.run("backup", who="nobody")
    assert result.code == 0, result
    assert company.run("backup", "verify", "--deep", who="nobody").code == 0
    drill = rows(company, "backup", "drill")
    assert drill[0]["ok"] is True
    assert drill[0]["rows"] is None
    assert rows(company, "backup", "drill", who="admin")[0]["rows"] > 0
    assert not any(b"Client" in content for content in tree(place).values())


@pytest.mark.usefixtures("crowded")
def test_packed_logs_are_restored(quick: Company) -> None:
    for n in range(log.LOOSE + 3 * log.SEGMENT):
        ok(quick, "add-client", f"Client {n}")
        if n % 4 == 0:
            backed_up(quick)
    backed_up(quick)
    assert log.listing(quick.log)[1]
    ok(quick, "restore", "latest", "--to", str(quick.folder / "copy"), "--exact")
    raws = [list(log.read_from(root, 1)) for root in (quick.log, quick.folder / "copy" / "log")]
    assert raws[0] == raws[1]
    shutil.rmtree(quick.root)
    (quick.folder / "copy").rename(quick.root)
    assert len(quick.names()) == log.LOOSE + 3 * log.SEGMENT
    assert problems(quick) == []
    assert rows(quick, "backup", "verify", "--deep")[0]["problems"] == 0


def test_a_log_in_many_pieces_is_copied_anew(quick: Company) -> None:
    place = quick.folder / "backups"
    for n in range(66):
        ok(quick, "add-client", f"Client {n}")
        backed_up(quick)
    pieces = [len(json.loads(path.read_text())["log"]) for path in sorted((place / "snapshots").iterdir())]
    assert max(pieces) == 64
    assert min(json.loads(path.read_text())["seq"] for path in (place / "snapshots").iterdir()) > 0
    assert rows(quick, "backup", "verify", "--deep")[0]["problems"] == 0


def flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(raw)


def some_file(company: Company) -> tuple[Path, str]:
    entry = company.open().entries()[-1]
    return company.root / "files" / entry.file_id[:2] / f"{entry.file_id}.parquet", entry.sha256


def damage(path: Path) -> None:
    flip(path)


def remove(path: Path) -> None:
    path.unlink()


def forbid(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("spoil", [damage, remove, forbid])
def test_rot_in_the_store_is_found_and_replaces_no_good_copy(
    company: Company, place: Path, spoil: Callable[[Path], None]
) -> None:
    grow(company)
    backed_up(company)
    path, digest = some_file(company)
    good = objects(place)[digest].read_bytes()
    spoil(path)
    # What was copied before is good, and relied upon.
    backed_up(company)
    assert objects(place)[digest].read_bytes() == good
    other = company.folder / "other"
    result = company.crmcli("backup", "--to", str(other), who="nobody")
    assert result.code == 13
    assert path.name in result.err
    assert result.err.count("\n") == 2
    assert digest not in objects(other)
    listed = rows(company, "backup", "list", "--to", str(other))
    assert listed[0]["state"] == "lacks 1 files"
    # Once there is a good one, a snapshot is whole again.
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    path.write_bytes(good)
    backed_up(replace(company, now=company.now + DAY), other)
    assert rows(company, "backup", "list", "--to", str(other))[0]["state"] == "whole"
    assert objects(other)[digest].read_bytes() == good


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("spoil", [damage, remove, cut])
@pytest.mark.parametrize("kind", ["log", "inbox"])
def test_a_backup_names_no_commits_or_drops_that_are_spoilt(
    company: Company, place: Path, kind: str, spoil: Callable[[Path], None]
) -> None:
    drop = b"sealed"
    (company.root / "inbox" / f"{hashlib.sha256(drop).hexdigest()}.drop").write_bytes(drop)
    grow(company)
    backed_up(company)
    document = json.loads(next((place / "snapshots").iterdir()).read_bytes())
    path = objects(place)[document[kind][0][2]]
    good = path.read_bytes()
    age(place)
    spoil(path)
    [made] = backed_up(replace(company, now=company.now + DAY))
    assert (made["copied"], path.read_bytes()) == (1, good)
    assert {row["state"] for row in rows(company, "backup", "list")} == {"whole"}
    assert rows(company, "backup", "verify", "--deep")[0]["problems"] == 0


@pytest.mark.parametrize("spoil", [damage, remove, forbid])
def test_what_is_spoilt_in_a_backup_is_named_and_put_back(
    company: Company, place: Path, spoil: Callable[[Path], None]
) -> None:
    grow(company)
    other = company.folder / "other"
    backed_up(company, place, other)
    path, digest = some_file(company)
    spoil(objects(place)[digest])
    result = company.crmcli("backup", "verify", "--deep", who="nobody")
    assert result.code == 13
    assert digest in result.err
    assert "the store still has it: crmcli backup verify --repair --to" in result.err
    assert rows(company, "backup", "status", code=6)[0]["verified"] is None
    path.unlink()
    both = ("--to", str(place), "--to", str(other))
    result = company.crmcli("backup", "verify", "--deep", *both, who="nobody")
    assert f"{other} still has it" in result.err
    refused = company.crmcli("restore", "latest", "--to", str(company.folder / "copy"), who="nobody")
    assert refused.code == 13
    assert not (company.folder / "copy").exists()
    assert not (company.folder / ".copy.restoring").exists()
    target = objects(place).get(digest)
    if target is not None and target.is_dir():
        target.rmdir()
    result = company.crmcli("backup", "verify", "--deep", "--repair", *both, who="nobody")
    assert result.code == 0, result
    assert f"put back from {other}" in result.err
    assert rows(company, "backup", "verify", "--deep")[0]["problems"] == 0
    flip(objects(place)[digest])
    flip(objects(other)[digest])
    result = company.crmcli("backup", "verify", "--deep", "--repair", *both, who="nobody")
    assert result.code == 13
    assert "nobody here has it any more" in result.err


def test_every_object_of_a_snapshot_is_looked_at(company: Company, place: Path) -> None:
    grow(company)
    backed_up(company)
    for path in objects(place).values():
        good = path.read_bytes()
        flip(path)
        assert company.crmcli("backup", "verify", "--deep", who="nobody").code == 13, path
        assert company.crmcli("backup", "drill", who="nobody").code == 13, path
        path.write_bytes(good)
    parts = [rows(company, "backup", "verify", "--subset", f"{n}/3")[0]["read"] for n in (1, 2, 3)]
    whole, logs = (rows(company, "backup", "verify", *deep)[0]["read"] for deep in (("--deep",), ()))
    assert sum(parts) == whole + 2 * logs
    snapshot = next((place / "snapshots").iterdir())
    flip(snapshot)
    assert company.crmcli("backup", "verify", who="nobody").code == 13
    assert rows(company, "backup", "list")[0]["state"] == "damaged"


def test_a_store_that_is_older_than_its_backup_is_not_backed_up(company: Company, place: Path) -> None:
    grow(company)
    shutil.copytree(company.root, company.folder / "old")
    grow(company)
    backed_up(company)
    before = tree(place)
    shutil.rmtree(company.root)
    (company.folder / "old").rename(company.root)
    company.forget("nobody")
    result = company.crmcli("backup", who="nobody")
    assert result.code == 14
    assert result.err.count("\n") == 2
    assert tree(place) == before
    company.forget("admin")
    grow(company)
    assert company.crmcli("backup", who="nobody").code == 14
    assert tree(place) == before


def test_a_restored_store_goes_on_and_is_backed_up_beside_what_it_left(company: Company) -> None:
    grow(company)
    backed_up(company)
    later = replace(company, now=company.now + DAY)
    grow(later)
    backed_up(later)
    shutil.rmtree(company.root)
    out = later.crmcli("restore", "20260302", "--to", str(company.root))
    assert out.code == 0, out
    commit = out.out.rpartition("restore commit")[2].strip()
    assert len(commit) == 64
    third = replace(company, now=company.now + 2 * DAY)
    for who in ("admin", "manager"):
        before = third.crmcli("list", "clients", who=who)
        if who == "admin":
            assert before.code == 14, before
        ok(third, "verify", "--accept-restore", commit, who=who)
        ok(third, "list", "clients", who=who)
    assert len(third.names()) == 1
    assert backed_up(third)[0]["commit"] == company.open().state.seq
    assert rows(third, "backup", "verify", "--deep")[0]["problems"] == 0
    fourth = replace(company, now=company.now + 3 * DAY)
    grow(fourth)
    backed_up(fourth)
    assert rows(fourth, "backup", "verify", "--deep")[0]["problems"] == 0
    assert rows(fourth, "backup", "status")[0]["state"] == "ok"


def test_a_restore_is_accepted_once_and_by_its_hash_alone(company: Company) -> None:
    grow(company)
    backed_up(company)
    grow(company)
    shutil.rmtree(company.root)
    out = ok(company, "restore", "latest", "--to", str(company.root))
    commit = out.rpartition("restore commit")[2].strip()
    for wrong in ("0" * 64, out.partition("commit ")[2].split()[0].zfill(64)):
        assert company.crmcli("verify", "--accept-restore", wrong).code == 14
        assert company.crmcli("list", "clients").code == 14
    shutil.copytree(company.root, company.folder / "just restored")
    # As somebody reads it out.
    ok(company, "verify", "--accept-restore", " ".join(re.findall(".{8}", commit.upper())))
    assert "nothing to accept" in company.crmcli("verify", "--accept-restore", commit).err
    grow(company)
    # The state right after the restore is an old copy like any other now, also on a machine without its cache.
    shutil.rmtree(company.root)
    (company.folder / "just restored").rename(company.root)
    shutil.rmtree(company.home("admin") / "cache")
    assert company.crmcli("list", "clients").code == 14
    result = company.crmcli("verify", "--accept-restore", commit)
    assert result.code == 14
    assert "saw that restore before" in result.err


def test_a_damaged_restored_store_is_not_accepted(company: Company) -> None:
    grow(company)
    backed_up(company)
    grow(company)
    shutil.rmtree(company.root)
    out = ok(company, "restore", "latest", "--to", str(company.root))
    commit = out.rpartition("restore commit")[2].strip()
    path = next((company.root / "files").glob("??/*"))
    good = path.read_bytes()
    flip(path)
    assert company.crmcli("verify", "--accept-restore", commit).code == 13
    path.write_bytes(good)
    assert company.crmcli("list", "clients").code == 14


def test_who_is_no_admin_restores_to_the_byte(company: Company) -> None:
    grow(company)
    backed_up(company)
    for who in ("manager", "nobody"):
        target = company.folder / who
        assert ok(company, "restore", "latest", "--to", str(target), who=who).rstrip().endswith("restore commit")
        assert tree(target / "log") == tree(company.log)


def test_the_recovery_key_restores(tmp_path: Path) -> None:
    company = Company(tmp_path)
    company.home("admin").mkdir(parents=True)
    out = ok(company, "init", "--company", "Acme", "--admin", "Ada", "--no-passphrase")
    key = out.partition("recovery key")[2].split()[0]
    grow(company)
    backed_up(company)
    shutil.rmtree(company.root)
    shutil.rmtree(company.home("admin"))
    company.home("admin").mkdir()
    restored = company.start("restore", "latest", "--to", str(company.root), "--recovery-key", stdin=subprocess.PIPE)
    told, err = restored.communicate(f"{key}\n")
    assert restored.returncode == 0, err
    assert len(told.rpartition("restore commit")[2].strip()) == 64


def test_a_place_that_is_not_there_is_not_made_up(company: Company) -> None:
    result = company.crmcli("backup", "--to", str(company.folder / "disk" / "backups"), who="nobody")
    assert result.code == 1
    assert "no such file" in result.err
    assert not (company.folder / "disk").exists()
    result = company.crmcli("backup", "--to", str(company.folder / "disk" / "x"), "--to", str(company.folder / "good"))
    assert result.code == 1
    assert rows(company, "backup", "list", "--to", str(company.folder / "good"))


@pytest.mark.usefixtures("crowded")
def test_backups_during_changes_and_upkeep_are_consistent(company: Company) -> None:
    grow(company, 2)
    late = LateCompany(company.folder)
    backed_up(late)
    writers = [late.start("add-client", f"New {n}") for n in range(6)]
    backups = [late.start("backup", "make", who="admin") for _ in range(3)]
    collectors = [late.start("gc") for _ in range(2)]
    for process in (*writers, *backups, *collectors):
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    assert late.crmcli("backup").code == 0
    found = rows(late, "backup", "verify", "--deep", who="admin")
    assert found[0]["problems"] == 0
    assert found[0]["snapshots"] > 1
    for snapshot in rows(late, "backup", "list", who="admin"):
        target = company.folder / snapshot["snapshot"]
        ok(late, "restore", snapshot["snapshot"], "--to", str(target), "--exact")


def test_old_snapshots_go_with_what_only_they_need(
    company: Company, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "MANY", 1)
    for days in range(0, 80, 4):
        now = replace(company, now=company.now + days * DAY)
        grow(now)
        backed_up(now)
    now = replace(company, now=company.now + 80 * DAY)
    plan = rows(now, "backup", "forget")
    assert {row["fate"] for row in plan} == {"stays"}
    age(place)
    plan = rows(now, "backup", "forget")
    goes = [row["snapshot"] for row in plan if row["fate"] == "goes"]
    assert 3 < len(goes) < 12
    assert all(row["reason"] for row in plan)
    before = objects(place)
    assert len(rows(now, "backup", "list")) == 20
    result = now.crmcli("backup", "forget", "--yes", who="nobody")
    assert result.code == 0, result
    assert len(rows(now, "backup", "list")) == 20 - len(goes)
    assert len(objects(place)) < len(before)
    assert rows(now, "backup", "verify", "--deep")[0]["problems"] == 0
    again = company.crmcli("backup", "forget", "--yes", who="nobody")
    assert "removed 0 snapshots and 0 objects" in again.err


def test_the_newest_the_verified_and_the_pinned_stay(company: Company, place: Path) -> None:
    names = []
    for days in (0, 1, 2, 3):
        now = replace(company, now=company.now + days * DAY)
        grow(now)
        names.append(backed_up(now)[0]["snapshot"])
        if days == 1:
            rows(now, "backup", "verify", "--deep")
    age(place)
    ok(company, "backup", "pin", names[0])
    none = ("--keep-days", "0", "--keep-weekly", "0", "--keep-monthly", "0", "--keep-yearly", "0")
    now = replace(company, now=company.now + 4 * DAY)
    fates = {row["snapshot"]: row["fate"] for row in rows(now, "backup", "forget", *none)}
    assert [fates[name] for name in names] == ["stays", "stays", "goes", "stays"]
    for name in (names[0], names[1], names[3]):
        assert now.crmcli("backup", "forget", name, "--yes").code == 5
    ok(now, "backup", "forget", names[2], "--yes")
    ok(now, "backup", "pin", names[0], "--remove")
    ok(now, "backup", "forget", *none, "--yes")
    assert [row["snapshot"] for row in rows(now, "backup", "list")] == [names[3], names[1]]


def told_in_passing(company: Company, who: str = "admin") -> str:
    """What a command says on a terminal that has nothing to say by itself."""
    ours, theirs = pty.openpty()
    process = company.start("list", "deals", who=who, stderr=theirs)
    os.close(theirs)
    process.communicate(timeout=20)
    try:
        return os.read(ours, 4096).decode()
    except OSError:
        return ""
    finally:
        os.close(ours)


def test_an_admin_at_a_terminal_is_told_that_the_last_verified_backup_is_old(company: Company, place: Path) -> None:
    def told(days: int, who: str = "admin") -> str:
        return told_in_passing(replace(company, now=company.now + timedelta(days=days)), who)

    assert "backup" not in told(8)
    assert "no verified backup is known here: crmcli backup" in told(9)
    assert told(9, "manager") == ""
    later = replace(company, now=company.now + 9 * DAY)
    backed_up(later)
    assert "no backup of this store has been verified yet: crmcli backup" in told(9)
    rows(later, "backup", "verify", "--deep")
    assert told(9) == ""
    assert told(17) == ""
    assert "the last verified backup is 9 days old" in told(18)
    ok(later, "settings", "set", "backup_days", "20")
    assert told(18) == ""
    assert rows(replace(company, now=company.now + 18 * DAY), "backup", "status", who="admin")
    shutil.rmtree(place)
    rows(later, "backup", "list", code=3)


def test_a_backup_is_made_when_it_is_due(company: Company) -> None:
    assert rows(company, "backup", "--if-due", code=3) == []
    assert not (company.folder / "backups").exists()
    assert len(backed_up(company)) == 1
    for days, due in ((1, 0), (6, 0), (7, 1), (8, 0)):
        now = replace(company, now=company.now + days * DAY)
        assert len(rows(now, "backup", "--if-due")) == due, days
    assert len(rows(now, "backup", "--if-due", "--days", "1")) == 1
    assert now.crmcli("backup", "status", who="nobody").code == 6
    ok(now, "backup", "verify", "--deep", who="nobody")
    assert now.crmcli("backup", "status", who="nobody").code == 0
    far = replace(company, now=company.now + 20 * DAY)
    assert far.crmcli("backup", "status", who="nobody").code == 6
    assert far.crmcli("backup", "status", "--days", "30", who="nobody").code == 0


def test_a_schedule_drills_what_was_backed_up(company: Company, place: Path) -> None:
    for name in ("norms", "gc", "remind"):
        ok(company, "schedule", "set", name, "none")
    place.write_text("no folder")
    first = company.run("schedule", "run")
    assert (first.code, first.err.splitlines()[-2].endswith("failed: backup (exit code 1)")) == (1, True), first
    place.unlink()
    second = replace(company, now=company.now + timedelta(minutes=11)).run("schedule", "run")
    assert second.code == 0, second
    assert [json.loads(path.read_text())["kind"] for path in (place / "results").iterdir()] == ["drill"]
