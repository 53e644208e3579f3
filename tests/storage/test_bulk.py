"""Files copied by the thousand: the same bytes past the cache and through it, and nothing left of a failure."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from crmcli.errors import DamagedError
from crmcli.storage import bulk
from crmcli.storage.files import write_new

PAGE = os.sysconf("SC_PAGESIZE")
LARGE = 1 << 17
SIZES = [0, 1, PAGE - 1, PAGE, PAGE + 1, LARGE - 1, LARGE, LARGE + 1, LARGE + PAGE - 1, 500_000, (3 << 20) + 7]


@pytest.fixture(params=SIZES)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(os.urandom(request.param))
    return path


def opened(monkeypatch: pytest.MonkeyPatch, look: Callable[[int], None]) -> None:
    """Have a look at the flags of every file that is opened."""
    real = os.open

    def look_and_open(path: str, flags: int, *arguments: int) -> int:
        look(flags)
        return real(path, flags, *arguments)

    monkeypatch.setattr(os, "open", look_and_open)


def test_what_was_borrowed_is_written_as_it_was(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    opened(monkeypatch, lambda flags: seen.append(bool(flags & os.O_DIRECT)))
    target = source.with_name("target")
    bulk.write(target, bulk.borrow(source, 1 << 23), 0o640)
    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_mode & 0o777 == 0o640
    assert any(seen) == (source.stat().st_size >= LARGE)


def test_memory_is_used_again_by_the_same_thread_alone(tmp_path: Path) -> None:
    paths = [tmp_path / str(number) for number in range(40)]
    for path in paths:
        path.write_bytes(os.urandom(300_000 + int(path.name) * 10_007))

    def copy(path: Path) -> None:
        bulk.write(path.with_suffix(".copy"), bulk.borrow(path, 1 << 23), 0o600)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(copy, paths))
    for path in paths:
        assert path.with_suffix(".copy").read_bytes() == path.read_bytes()
    first = bulk.borrow(paths[0], 1 << 23)
    bulk.borrow(paths[1], 1 << 23)
    assert bytes(first) == paths[1].read_bytes()[: len(first)]


def test_a_smaller_file_holds_nothing_of_the_one_before(tmp_path: Path) -> None:
    large, small = tmp_path / "large", tmp_path / "small"
    large.write_bytes(b"L" * 900_000)
    small.write_bytes(b"s" * (LARGE + 5))
    for path in (large, small):
        bulk.write(path.with_suffix(".copy"), bulk.borrow(path, 1 << 23), 0o600)
    assert small.with_suffix(".copy").read_bytes() == b"s" * (LARGE + 5)


@pytest.mark.parametrize("refused", ["open", "write"])
def test_a_disk_that_has_no_way_past_its_cache_is_written_through_it(
    source: Path, refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_open, real_write = os.open, os.write
    direct: set[int] = set()

    def refuse_open(path: str, flags: int, *arguments: int) -> int:
        if flags & os.O_DIRECT and refused == "open":
            # As tmpfs does: the file is there, and its opening failed.
            os.close(real_open(path, flags & ~os.O_DIRECT, *arguments))
            raise OSError(errno.EINVAL, "no such way")
        handle = real_open(path, flags, *arguments)
        if flags & os.O_DIRECT:
            direct.add(handle)
        return handle

    def refuse_write(handle: int, content: bytes) -> int:
        if handle in direct:
            direct.clear()
            raise OSError(errno.EINVAL, "no such way")
        return real_write(handle, content)

    monkeypatch.setattr(os, "open", refuse_open)
    monkeypatch.setattr(os, "write", refuse_write)
    target = source.with_name("target")
    bulk.write(target, bulk.borrow(source, 1 << 23), 0o600)
    assert target.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_nothing_is_left_of_a_file_that_did_not_fit(
    tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, target = tmp_path / "source", tmp_path / "target"
    path.write_bytes(os.urandom(500_000))
    content = bulk.borrow(path, 1 << 23)
    real, written = os.write, [PAGE, None]

    def full(handle: int, content: memoryview) -> int:
        size = written.pop(0)
        if size is None:
            raise OSError(number, "it fails")
        return real(handle, content[:size])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="it fails"):
        bulk.write(target, content, 0o600)
    assert not target.exists()


def test_what_is_there_already_stays(tmp_path: Path) -> None:
    path, target = tmp_path / "source", tmp_path / "target"
    path.write_bytes(os.urandom(500_000))
    write_new(target, b"mine", 0o600)
    with pytest.raises(FileExistsError):
        bulk.write(target, bulk.borrow(path, 1 << 23), 0o600)
    assert target.read_bytes() == b"mine"


def test_only_a_file_of_bearable_length_is_borrowed(tmp_path: Path) -> None:
    path, pipe, link = (tmp_path / name for name in ("file", "pipe", "link"))
    path.write_bytes(bytes(100))
    os.mkfifo(pipe)
    link.symlink_to(path)
    assert bytes(bulk.borrow(path, 100)) == bytes(100)
    with pytest.raises(DamagedError, match="100 bytes long"):
        bulk.borrow(path, 99)
    for other in (pipe, link):
        with pytest.raises(DamagedError, match="regular"):
            bulk.borrow(other, 1 << 20)
