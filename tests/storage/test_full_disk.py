"""On a disk that is full one can still read, and what does not fit is refused as a whole; real disks are filled."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.storage.company import Company, problems
from tests.storage.crowd import LateCompany, make_job

PAGE = 4096
ROOM = 200
READING: tuple[tuple[str, ...], ...] = (
    ("list", "clients"),
    ("find", "Old"),
    ("show", "Old 1"),
    ("report", "funnel"),
    ("verify",),
    ("process", "show"),
)
ANNA = ("add-client", "Anna", "--phone", "+79161234567")
Mount = Callable[..., Path]


def command(*arguments: str | Path) -> None:
    """Run a program that a test depends on, or skip the test where that is not permitted."""
    if shutil.which(arguments[0]) is None:
        pytest.skip(f"{arguments[0]} is not installed")
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{arguments[0]} does not work here: {done.stderr.strip()}")


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mounts small file systems, and unmounts them in the end."""
    mounted: list[Path] = []

    def mount(kind: str = "tmpfs") -> Path:
        if os.geteuid() != 0:
            pytest.skip("only root may mount a small file system")
        place = tmp_path / f"disk{len(mounted)}"
        place.mkdir()
        if kind == "tmpfs":
            command("mount", "-t", "tmpfs", "-o", f"size={ROOM * PAGE},nr_inodes={ROOM}", "none", place)
        else:
            image = tmp_path / f"image{len(mounted)}"
            image.write_bytes(b"")
            os.truncate(image, 8 << 20)
            command("mkfs.ext4", "-q", "-N", "512", "-m", "0", image)
            command("mount", "-o", "loop", image, place)
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", place], check=True)


def fill_blocks(disk: Path, left: int = 0) -> None:
    """Leave so many pages free."""
    with (disk / "filler").open("wb", buffering=0) as file:
        for size in (PAGE * 16, PAGE, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError as error:
                assert error.errno == errno.ENOSPC  # noqa: PT017
        file.truncate(max(0, file.tell() - left * PAGE))


def fill_names(disk: Path, left: int = 0) -> None:
    """Leave room for so many new names."""
    (disk / "filler").mkdir()
    made: list[Path] = []
    try:
        for n in range(100_000):
            (disk / "filler" / str(n)).touch()
            made.append(disk / "filler" / str(n))
    except OSError as error:
        assert error.errno == errno.ENOSPC  # noqa: PT017
    for path in made[:left]:
        path.unlink()


def make_room(disk: Path) -> None:
    if (disk / "filler").is_dir():
        shutil.rmtree(disk / "filler")
    else:
        (disk / "filler").unlink()


@pytest.fixture(scope="module")
def ready(founded: Company, crowded: None, tmp_path_factory: pytest.TempPathFactory) -> Company:  # noqa: ARG001
    """A company with five clients, something to collect, to compact and to pack, and only its admin's machine."""
    company = make_job("gc", founded, tmp_path_factory.mktemp("ready")).ready
    for home in (company.folder / "homes").iterdir():
        if home.name != "admin":
            shutil.rmtree(home)
    return company


def on(disk: Path, ready: Company) -> Company:
    return LateCompany(Path(shutil.copytree(ready.folder, disk / "company")))


FILL = {"blocks": fill_blocks, "names": fill_names}


@pytest.mark.parametrize("is_known", [True, False], ids=["known", "never seen"])
@pytest.mark.parametrize("what", FILL)
@pytest.mark.parametrize("kind", ["tmpfs", "ext4"])
def test_full_disk_can_be_read_and_takes_nothing(
    mount: Mount, ready: Company, kind: str, what: str, is_known: bool
) -> None:
    disk = mount(kind)
    company = on(disk, ready)
    names = company.names()
    if not is_known:
        company.forget("admin")
    FILL[what](disk)
    for arguments in READING:
        result = company.crmcli(*arguments)
        assert result.code == 0, (arguments, result)
        assert result.err.count("\n") <= 2
    file = disk.parent / "clients.csv"
    file.write_text("name,phone\n" + "".join(f"Client {n},+7916000{n:04}\n" for n in range(100)))
    for change in (ANNA, ("import", "clients", str(file))):
        result = company.crmcli(*change)
        assert result.code == 17, (change, result)
        assert result.err.startswith("crmcli: error: cannot write to the store: no space left on device\n")
    assert company.names() == names
    make_room(disk)
    assert problems(company) == []
    assert company.crmcli(*ANNA).code == 0
    assert company.names() == ["Anna", *names]
    assert not list((company.root / "tmp").iterdir())


@pytest.mark.parametrize("kind", ["tmpfs", "ext4"])
def test_full_disk_is_freed_by_gc(mount: Mount, ready: Company, kind: str) -> None:
    disk = mount(kind)
    company = on(disk, ready)
    before = len(list((company.root / "files").glob("??/*")))
    fill_blocks(disk)
    assert company.crmcli("gc").code in (0, 17)
    assert len(list((company.root / "files").glob("??/*"))) < before
    make_room(disk)
    assert company.crmcli("gc").code == 0
    assert company.crmcli(*ANNA).code == 0
    assert len(company.names()) == 6
    assert problems(company) == []


# A client takes four files, a commit and its second name; then come the pin and the cache.
@pytest.mark.parametrize("what", FILL)
def test_disk_that_fills_in_the_midst_of_a_change(mount: Mount, ready: Company, what: str) -> None:
    codes = []
    for left in range(10):
        disk = mount()
        company = on(disk, ready)
        names = company.names()
        FILL[what](disk, left)
        result = company.crmcli(*ANNA)
        codes.append(result.code)
        assert result.code in (0, 17), (left, result)
        assert bool(result.out) == (result.code == 0)
        assert company.names() == (["Anna", *names] if result.code == 0 else names), left
        make_room(disk)
        assert company.crmcli("add-client", "Boris").code == 0
        company.forget("admin")
        assert company.names() == sorted([*names, "Boris", *(["Anna"] if result.code == 0 else [])])
        assert problems(company) == []
    assert codes == sorted(codes, reverse=True)
    assert set(codes) == {0, 17}


def test_disk_that_fills_in_the_midst_of_an_import(mount: Mount, ready: Company) -> None:
    for left in range(0, 30, 3):
        disk = mount()
        company = on(disk, ready)
        names = company.names()
        file = disk.parent / "clients.csv"
        file.write_text("name,phone,note\n" + "".join(f"Client {n},+7916000{n:04},{n:x>99}\n" for n in range(400)))
        fill_blocks(disk, left)
        result = company.crmcli("import", "clients", str(file))
        assert result.code in (0, 17), (left, result)
        there = company.names()
        assert len(there) == len(names) + (400 if result.code == 0 else 0)
        make_room(disk)
        assert company.crmcli("import", "clients", str(file)).code == 0
        assert len(company.names()) == len(names) + 400
        assert problems(company) == []


def test_disk_that_may_only_be_read_can_be_read(mount: Mount, ready: Company) -> None:
    disk = mount()
    company = on(disk, ready)
    names = company.names()
    company.forget("admin")
    command("mount", "-o", "remount,ro", disk)
    for arguments in READING:
        assert company.crmcli(*arguments).code == 0, arguments
    result = company.crmcli(*ANNA)
    assert result.code == 15
    assert result.err.startswith("crmcli: error: cannot write to the store: read-only file system\ncrmcli: hint: ")
    command("mount", "-o", "remount,rw", disk)
    assert company.names() == names
    assert company.crmcli(*ANNA).code == 0


def test_disk_too_small_for_a_store_is_left_as_it_was(mount: Mount) -> None:
    for fill, left in ((fill_blocks, 0), (fill_blocks, 8), (fill_names, 3), (fill_names, 150)):
        disk = mount()
        company = Company(disk / "company")
        fill(disk, left)
        before = sorted(disk.rglob("*"))
        result = company.crmcli("init", "--company", "Acme", "--admin", "Ada", "--no-passphrase")
        assert result.code == 17, (left, result)
        assert [path for path in sorted(disk.rglob("*")) if path not in before and path.is_file()] == []
        make_room(disk)
