"""What is synced together is on the disk, or who asked is told: a real disk that cannot take what it promised."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from crmcli.storage import files, syncing
from crmcli.storage.syncing import Together
from tests.storage.company import Company
from tests.storage.test_backups import backed_up, grow, rows
from tests.storage.test_full_disk import command

MIB = 1 << 20


@pytest.fixture
def shaky(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 MiB, as it says, in a room of 6 MiB: what is written seems to fit, and cannot be kept."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    room, disk = tmp_path / "room", tmp_path / "disk"
    room.mkdir()
    disk.mkdir()
    command("mount", "-t", "tmpfs", "-o", f"size={6 * MIB}", "none", room)
    try:
        (room / "image").touch()
        os.truncate(room / "image", 64 * MIB)
        command("mkfs.ext4", "-q", "-b", "4096", "-N", "512", "-O", "^has_journal", "-m", "0", room / "image")
        command("mount", "-o", "loop,errors=continue", room / "image", disk)
        yield disk
    finally:
        subprocess.run(["umount", disk], check=False)
        subprocess.run(["umount", room], check=True)


def test_what_could_not_be_written_is_told(shaky: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for way in ("one call", "one call a file"):
        if way == "one call a file":
            monkeypatch.setattr(syncing, "_LOCAL", set())
        folder = shaky / way
        folder.mkdir()
        paths = [folder / str(n) for n in range(10)]
        with Together(folder) as together:
            for path in paths:
                files.write_new(path, os.urandom(MIB), 0o600, durable=False)
            with pytest.raises(OSError, match=r"error|space"):
                together.sync(paths)


def sync(folder: Path, paths: list[Path]) -> None:
    with Together(folder) as together:
        together.sync(paths)


def test_one_call_syncs_what_is_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "many").mkdir()
    paths = [tmp_path / "many" / str(n) for n in range(10)]
    for path in paths:
        path.touch()
    synced: list[Path] = []
    monkeypatch.setattr(files, "sync_files", synced.extend)
    sync(tmp_path, paths)
    assert synced == []
    sync(tmp_path, paths[:3])
    assert synced == paths[:3]
    # Neither a system that keeps failures to itself nor a file system of a server is trusted with it.
    monkeypatch.setattr(syncing, "_TELLS", (99, 0))
    sync(tmp_path, paths)
    monkeypatch.undo()
    monkeypatch.setattr(files, "sync_files", synced.extend)
    sync(Path("/proc/self"), paths)
    assert synced == [*paths[:3], *paths, *paths]


def test_a_backup_that_the_disk_cannot_keep_is_none(company: Company, shaky: Path) -> None:
    grow(company, 3)
    place = shaky / "backups"
    backed_up(company, place)
    for _ in range(10):
        entry = company.place(os.urandom(MIB), company.book("admin"))
        company.append("admin", add=(entry,))
    result = company.crmcli("backup", "--to", str(place), who="nobody")
    assert result.code in (1, 17), result
    assert result.err.count("\n") <= 2
    assert len(rows(company, "backup", "list", "--to", str(place))) == 1
