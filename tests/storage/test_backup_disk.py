"""Backups on disks that are full, can only be read, or are gone: nothing listed is bad, and the next run goes on."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.storage.company import Company
from tests.storage.test_backups import age, backed_up, grow, objects, ok, rows, tree
from tests.storage.test_full_disk import Mount, command, fill_blocks, fill_names, make_room
from tests.storage.test_full_disk import mount as mount  # noqa: PLC0414 - a fixture

FILL = {"blocks": fill_blocks, "names": fill_names}


@pytest.mark.parametrize("what", FILL)
def test_disk_that_fills_in_the_midst_of_a_backup(mount: Mount, company: Company, what: str) -> None:
    grow(company, 3)
    disk = mount()
    backed_up(company, disk / "backups")
    grow(company, 2)
    before = tree(disk / "backups")
    codes = []
    for left in range(0, 48, 3):
        FILL[what](disk, left)
        result = company.crmcli("backup", "--to", str(disk / "backups"), who="lead")
        codes.append(result.code)
        assert result.code in (0, 17), result
        assert result.err.count("\n") <= 2
        make_room(disk)
        found = company.crmcli("backup", "verify", "--deep", "--to", str(disk / "backups"), who="lead")
        assert found.code == 0, found
        assert tree(disk / "backups").items() >= before.items()
        if result.code == 0:
            break
    assert {0, 17} <= set(codes)
    assert not list((disk / "backups" / "tmp").iterdir())


def test_disk_that_is_full_can_be_tidied_up(mount: Mount, company: Company) -> None:
    grow(company, 3)
    disk = mount()
    place = disk / "backups"
    first = backed_up(company, place)[0]["snapshot"]
    grow(company)
    backed_up(company, place)
    age(place)
    fill_blocks(disk)
    listed = company.crmcli("backup", "list", "--to", str(place), who="lead")
    assert listed.code == 0
    checked = company.crmcli("backup", "verify", "--deep", "--to", str(place), who="lead")
    assert (checked.code, "the result could not be kept" in checked.err) == (6, True), checked
    result = company.crmcli("backup", "forget", first, "--yes", "--to", str(place), who="lead")
    assert result.code in (0, 5), result
    make_room(disk)
    assert rows(company, "backup", "verify", "--deep", "--to", str(place))[0]["problems"] == 0


@pytest.mark.parametrize("what", FILL)
def test_disk_that_fills_in_the_midst_of_a_restore(mount: Mount, company: Company, what: str) -> None:
    grow(company, 2)
    backed_up(company)
    disk = mount("ext4")
    for left in (0, 3, 10, 40, 100, 250, 270, 300):
        FILL[what](disk, left)
        target = disk / "target"
        result = company.crmcli("restore", "latest", "--exact", "--to", str(target))
        assert result.code in (0, 17), result
        assert target.exists() == (result.code == 0)
        assert not (disk / ".target.restoring").exists()
        shutil.rmtree(target, ignore_errors=True)
        make_room(disk)
    ok(company, "restore", "latest", "--exact", "--to", str(disk / "target"))


def test_disk_that_can_only_be_read_is_checked_and_restored_from(mount: Mount, company: Company) -> None:
    grow(company)
    disk = mount()
    place = str(disk / "backups")
    backed_up(company, disk / "backups")
    command("mount", "-o", "remount,ro", disk)
    try:
        for arguments, code in (
            (("verify", "--deep"), 6),
            (("list",), 0),
            (("show",), 0),
            (("status",), 6),
            (("forget",), 0),
        ):
            result = company.crmcli("backup", *arguments, "--to", place, who="lead")
            assert result.code == code, result
            told = "the result could not be kept in" in result.err and "read-only file system" in result.err
            assert told == ("--deep" in arguments)
        result = company.crmcli("backup", "--to", place, who="lead")
        assert result.code == 15
        assert "read-only file system" in result.err
        drilled = company.crmcli("backup", "drill", "--to", place, who="lead")
        assert drilled.code == 15
        assert f"cannot keep what came of the restore beside the backup in {place}: read-only" in drilled.err
        ok(company, "restore", "latest", "--exact", "--from", place, "--to", str(company.folder / "target"))
        command("mount", "-o", "remount,rw", disk)
        min(objects(disk / "backups").values()).write_bytes(b"rot")
        command("mount", "-o", "remount,ro", disk)
        repaired = company.crmcli("backup", "verify", "--deep", "--repair", "--to", place, who="lead")
        assert (repaired.code, f"cannot repair the backup in {place}: read-only" in repaired.err) == (15, True)
    finally:
        command("mount", "-o", "remount,rw", disk)


def test_an_empty_mount_point_is_told_of_before_anything_is_written(mount: Mount, company: Company) -> None:
    grow(company)
    backed_up(company)
    disk = mount()
    result = company.crmcli("restore", "latest", "--exact", "--to", str(disk))
    assert (result.code, "is a mount point" in result.err) == (2, True)
    command("mount", "-o", "remount,size=64m,nr_inodes=4096", disk)
    ok(company, "restore", "latest", "--exact", *result.err.partition("hint: ")[2].split()[:2])
    assert (disk / "store" / "genesis.json").exists()


def test_disk_that_goes_away_in_the_midst_of_a_backup(mount: Mount, company: Company) -> None:
    grow(company, 30)
    disk = mount("ext4")
    process = company.start("backup", "--to", str(disk / "backups"), stdout=subprocess.PIPE)
    subprocess.run(["sleep", "0.25"], check=True)
    subprocess.run(["umount", "--lazy", str(disk)], check=True)
    _, err = process.communicate(timeout=60)
    # It may have been through, or at work on a disk that nobody else sees any more.
    assert process.returncode in (0, 1), err
    assert err.count("\n") <= 2
    assert Path(disk).exists()
    result = company.crmcli("backup", "list", "--to", str(disk / "backups"))
    assert result.code in (0, 3), result
    command("mount", "-t", "tmpfs", "none", disk)
