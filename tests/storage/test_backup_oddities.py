"""What is no regular file in a place of backups: it is named, never waited for, never followed, and nothing hangs."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.storage.company import Company, Result
from tests.storage.test_backups import age, backed_up, grow, objects, rows, tree


def pipe(path: Path) -> None:
    os.mkfifo(path)


def listener(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        # The name of a socket is short.
        os.chdir(path.parent)
        made.bind(path.name)


def device(path: Path) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("only root makes devices")


def link(path: Path) -> None:
    elsewhere = Path.cwd() / "empty"
    elsewhere.write_bytes(b"")
    path.symlink_to(elsewhere)


def good_link(path: Path) -> None:
    """A link to the right content."""
    path.symlink_to(path.with_name(".before"))


def folder(path: Path) -> None:
    path.mkdir()


ODD = [pipe, listener, device, link, good_link, folder]
COMMANDS = ("verify", "drill", "status", "list", "show", "forget", "pin latest")


@pytest.fixture
def company(company: Company, monkeypatch: pytest.MonkeyPatch) -> Company:
    monkeypatch.chdir(company.folder)
    grow(company)
    backed_up(company)
    return company


def run(company: Company, *arguments: str, who: str = "admin") -> Result:
    """Run the program in this process; it has 10 seconds, for to wait for what never comes is what must not happen."""

    def give_up(*_: object) -> None:
        raise TimeoutError(f"{arguments} hangs")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(10)
    try:
        return company.crmcli(*arguments, who=who)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def put_instead(path: Path, make: Callable[[Path], None]) -> None:
    path.rename(path.with_name(".before"))
    make(path)


@pytest.mark.parametrize("kind", ["a data file", "a piece of the log"])
@pytest.mark.parametrize("make", ODD)
def test_under_the_name_of_an_object(company: Company, make: Callable[[Path], None], kind: str) -> None:
    place = company.folder / "backups"
    data = {entry.sha256 for entry in company.open().entries()}
    name = next(name for name in objects(place) if (name in data) == (kind == "a data file"))
    put_instead(objects(place)[name], make)
    for deep in ((), ("--deep",)):
        result = run(company, "backup", "verify", *deep, who="admin")
        assert result.code == 13, result
        assert f"objects/{name[:2]}/{name} is no regular file: spoils snapshot" in result.err
    for command in (*COMMANDS[1:], "restore latest --to copy"):
        words = command.split() if command.startswith("restore") else ["backup", *command.split()]
        result = run(company, *words)
        assert result.err.count("\n") <= 3, result
    assert not (company.folder / "copy").exists()
    repaired = run(company, "backup", "verify", "--repair")
    assert repaired.code == 0, repaired
    assert rows(company, "backup", "verify", "--deep")[0]["problems"] == 0
    assert not objects(place)[name].is_symlink()


@pytest.mark.parametrize("make", ODD)
def test_under_the_name_of_a_snapshot(company: Company, make: Callable[[Path], None]) -> None:
    place = company.folder / "backups"
    [path] = (place / "snapshots").iterdir()
    planted = path.with_name(path.name.replace("-", "-0")[: len(path.name) - 5] + ".json")
    make(planted)
    for command, code in zip(COMMANDS, (6, 0, 6, 0, 0, 0, 0), strict=True):
        result = run(company, "backup", *command.split())
        assert result.code == code, (command, result)
    told = run(company, "backup", "verify").err
    assert f"{planted.stem}: it is no regular file" in told
    assert run(company, "backup").code == 0
    gone = run(company, "backup", "forget", planted.stem, "--yes")
    assert gone.code == 0, gone
    assert not os.path.lexists(planted)
    age(place)


@pytest.mark.parametrize("kind", ["an object", "a snapshot"])
def test_a_folder_that_holds_something_is_told_with_what_helps(company: Company, kind: str) -> None:
    place = company.folder / "backups"
    if kind == "an object":
        path = min(objects(place).values())
        put_instead(path, folder)
        arguments: tuple[str, ...] = ("verify", "--repair")
    else:
        path = place / "snapshots" / "20260302T090001Z-0123456789ab.json"
        folder(path)
        arguments = ("forget", path.stem, "--yes")
    (path / "within").write_bytes(b"")
    assert run(company, "backup", "verify").code == (13 if kind == "an object" else 6)
    result = run(company, "backup", *arguments)
    assert (result.code, result.err.splitlines()[-2:]) == (
        13,
        [
            f"crmcli: error: {path.relative_to(place)} in {place} is a folder that holds something",
            f"crmcli: hint: rm -r {path}",
        ],
    )
    shutil.rmtree(path)
    assert run(company, "backup", *(arguments if kind == "an object" else ("verify",))).code == 0


@pytest.mark.parametrize("make", [pipe, folder])
@pytest.mark.parametrize("folder", ["pins", "results", "tmp", "objects"])
def test_under_any_other_name(company: Company, folder: str, make: Callable[[Path], None]) -> None:
    place = company.folder / "backups"
    [path] = (place / "snapshots").iterdir()
    names = {"objects": f"00/{'0' * 64}", "pins": path.stem}
    odd = place / folder / names.get(folder, path.name)
    odd.parent.mkdir(exist_ok=True)
    make(odd)
    for command in (*COMMANDS, "verify --deep"):
        result = run(company, "backup", *command.split())
        assert result.code == 0, result
    assert run(company, "backup").code == 0
    age(place)
    assert run(company, "backup", "forget", "--yes").code == 0
    # A pin is one whatever it is, and a result that is none is left alone.
    assert os.path.lexists(odd) == (folder in ("pins", "results"))


@pytest.mark.parametrize("folder", ["objects", "snapshots", "pins", "results", "tmp", "a shard"])
def test_a_link_under_the_name_of_a_folder_is_told_for_what_it_is(company: Company, folder: str) -> None:
    place = company.folder / "backups"
    path = next(iter((place / "objects").iterdir())) if folder == "a shard" else place / folder
    path.rename(company.folder / "elsewhere")
    path.symlink_to(company.folder / "elsewhere")
    before = tree(company.folder / "elsewhere")
    grow(company)
    told = ""
    for command in ("backup", *(f"backup {command}" for command in COMMANDS), "restore latest --to copy --exact"):
        result = run(company, *command.split())
        assert result.err.count("\n") <= 3, result
        assert "put the store back" not in result.err
        told += result.err
    assert f"{path.relative_to(place)} in {place} is no folder" in told or folder == "a shard"
    assert tree(company.folder / "elsewhere") == before


@pytest.mark.parametrize("make", [pipe, link, lambda path: path.write_bytes(b"{}\n")])
def test_a_spoilt_genesis_is_put_back_from_the_store(company: Company, make: Callable[[Path], None]) -> None:
    place = company.folder / "backups"
    put_instead(place / "genesis.json", make)
    result = run(company, "backup", "verify")
    assert (result.code, result.err.count("\n")) == (13, 2), result
    assert f"genesis.json in {place} is damaged" in result.err
    assert "put a copy of genesis.json of the store" in result.err
    (place / "genesis.json").unlink()
    (place / "genesis.json").write_bytes((company.root / "genesis.json").read_bytes())
    assert run(company, "backup", "verify").code == 0


@pytest.mark.parametrize("folder", ["snapshots", "results", "pins"])
def test_what_is_far_too_long_is_not_read(company: Company, folder: str) -> None:
    place = company.folder / "backups"
    path = place / folder / ("20260302T090001Z-0123456789ab" + ("" if folder == "pins" else ".json"))
    path.touch()
    os.truncate(path, 1 << 40)
    result = run(company, "backup", "verify", "--deep")
    assert (result.code, "more than it can be" in result.err) == ((6, True) if folder == "snapshots" else (0, False))
    assert run(company, "restore", "latest", "--to", "copy", "--exact").code == 0
