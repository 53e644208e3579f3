"""Durable files: write, sync, publish, read and lock, each with its errors mapped once."""

from __future__ import annotations

import errno
import os
import stat
import time
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from crmcli.errors import CrmError, DamagedError, LockedError, NoSpaceError, NotPermittedError
from crmcli.storage.keys import sha256_of

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_LOCK = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
PIECE = 1 << 20
# Seconds between two looks at a lock that is taken: it is held for a few hundredths, and free while all others sleep.
LONGEST_PAUSE = 0.005
_FEW = 4
_SYNCS_AT_ONCE = 16
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}
_REFUSED_HINT = "the system refuses it: look at owner and mode of the folder, and at how its disk is mounted"
_HINTS = {
    errno.ENOENT: "look at its name, and whether its disk is mounted",
    errno.ENOTDIR: "look at its name, and whether its disk is mounted",
    errno.EHOSTUNREACH: "look at its address, the network, and the keys for it in the environment",
}


@contextmanager
def mapped(action: str) -> Iterator[None]:
    """Turn an OSError inside the block into a CrmError that says what could not be done.

    Raises: NoSpaceError for a full disk or quota, NotPermittedError where the system refuses, CrmError for the rest.
    """
    try:
        yield
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        if error.errno in _FULL:
            raise NoSpaceError(f"cannot {action}: {reason}", "free some space and run it again") from error
        if error.errno in _REFUSED:
            raise NotPermittedError(f"cannot {action}: {reason}", _REFUSED_HINT) from error
        raise CrmError(f"cannot {action}: {reason}", _HINTS.get(error.errno or 0)) from error


def modes(root: Path) -> tuple[int, int]:
    """Return the modes of new files and folders: private, or the group's where the store's folder is."""
    shared = root.stat().st_mode & stat.S_IWGRP
    return (0o660, 0o2770) if shared else (0o600, 0o700)


def make_folder(path: Path, mode: int) -> None:
    """Create a folder with exactly that mode, whatever the umask."""
    path.mkdir()
    path.chmod(mode)


def ensure_folder(path: Path, mode: int) -> None:
    """Create a folder that a copying program may have left out because it was empty."""
    require_folder(path)
    if not path.exists():
        # Another process may be as far.
        with suppress(FileExistsError):
            make_folder(path, mode)
        sync_folder(path.parent)


def ensure_private(path: Path) -> None:
    """Create a folder of the user's own, and those above it that are missing, each with a durable name."""
    if path.is_dir():
        return
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
        sync_folder(folder.parent)


def write_new(path: Path, content: bytes | memoryview, mode: int, *, durable: bool = True) -> None:
    """Create `path`, which must not exist, with `content` on the disk; what fails is removed again."""
    handle = os.open(path, CREATE, mode)
    try:
        os.fchmod(handle, mode)
        write_all(handle, memoryview(content))
        if durable:
            os.fsync(handle)
    except BaseException:
        os.close(handle)
        discard(path)
        raise
    os.close(handle)


def write_all(handle: int, content: memoryview) -> None:
    """Write all of `content`, in as many calls as it takes."""
    while content:
        content = content[os.write(handle, content) :]


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_files(paths: list[Path]) -> None:
    """Make the contents of many files durable together, which takes a fraction of one sync after the other.

    Raises: OSError if one could not be written.
    """
    if len(paths) <= _FEW:
        for path in paths:
            _sync_file(path)
        return
    from concurrent.futures import ThreadPoolExecutor

    # It writes all out but tells of no failure; syncing each then has little left to do, and tells.
    os.sync()
    with ThreadPoolExecutor(_SYNCS_AT_ONCE) as pool:
        list(pool.map(_sync_file, paths))


def _sync_file(path: Path) -> None:
    handle = os.open(path, _READ)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def discard(path: Path) -> None:
    """Remove, if possible, what has become useless; another failure must not hide the one that made it so."""
    with suppress(OSError):
        path.unlink()


def replace_atomically(path: Path, content: bytes, mode: int = 0o600, *, durable: bool = True) -> None:
    """Put `content` in place of a file that is private to this machine: cache, pin or identity.

    After a power cut it is the old or the new file; or, unless `durable`, any bytes at all.
    """
    fresh = _beside(path)
    write_new(fresh, content, mode, durable=durable)
    try:
        fresh.replace(path)
    except BaseException:
        discard(fresh)
        raise


def add_atomically(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Create `path`, which must not exist, with all of `content`; after a power cut it is whole or not there."""
    fresh = _beside(path)
    write_new(fresh, content, mode)
    try:
        os.link(fresh, path)
    finally:
        discard(fresh)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")


def open_regular(path: str | Path) -> int:
    """Return a handle on a regular file, following no link and waiting for no pipe."""
    try:
        handle = os.open(path, _READ)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise DamagedError(f"{Path(path).name} is not a regular file") from error
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise DamagedError(f"{Path(path).name} is not a regular file")
    return handle


@contextmanager
def opened(path: Path) -> Iterator[io.BufferedReader]:
    """Give a regular file to read from. Raises: FileNotFoundError, DamagedError if it is something else."""
    with os.fdopen(open_regular(path), "rb") as file:
        yield file


def read_regular(path: Path, limit: int) -> tuple[bytes, os.stat_result]:
    """Return the bytes of a regular file and its status.

    Raises: FileNotFoundError; DamagedError if it is something else than a file or longer than `limit`.
    """
    handle = open_regular(path)
    try:
        status = os.fstat(handle)
        if status.st_size > limit:
            raise DamagedError(f"{path.name} is {status.st_size} bytes long, more than it can be")
        chunks = []
        while chunk := os.read(handle, PIECE):
            chunks.append(chunk)
        return b"".join(chunks), status
    finally:
        os.close(handle)


def hash_regular(path: Path) -> tuple[str, os.stat_result]:
    """Return SHA-256, in hex, and status of a regular file, read a piece at a time.

    Raises: FileNotFoundError; DamagedError if it is something else.
    """
    with opened(path) as file:
        return sha256_of(iter(partial(file.read, PIECE), b"")), os.fstat(file.fileno())


def is_no_folder(path: Path) -> bool:
    """Say whether there is something of that name that is no folder, such as a link to one."""
    try:
        return not stat.S_ISDIR(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def require_folder(path: Path) -> None:
    """Raise DamagedError unless `path` is a folder, or nothing at all, and no link to one."""
    if is_no_folder(path):
        raise DamagedError(f"{path.name} in the store is no folder", "put the store back from a backup")


@contextmanager
def locked(path: Path, timeout: float) -> Iterator[None]:
    """Hold the exclusive lock of a store; it ends with the process, so none is ever stale.

    Raises: LockedError after `timeout` seconds; DamagedError without a lock file.
    """
    deadline = time.monotonic() + timeout
    pause = 0.001
    while True:
        try:
            handle = os.open(path, _LOCK)
        except FileNotFoundError as error:
            raise no_lock_file(path) from error
        with os.fdopen(handle, "rb", 0):
            if _lock(handle, path):
                yield
                return
        if time.monotonic() > deadline:
            raise LockedError(
                f"the store has been locked for {timeout:.0f} s",
                f"wait for the other command to end; fuser -v {path} shows one that hangs",
            )
        time.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


def _lock(handle: int, path: Path) -> bool:
    """Lock an open file; say whether it is locked now, and still the one of that name, which is what others lock."""
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES, errno.EINTR):
            return False
        raise CrmError(
            f"cannot lock the store: {(error.strerror or 'it fails').lower()}",
            "keep the store on a local disk or a file system with flock",
        ) from error
    try:
        return os.path.samestat(os.fstat(handle), path.lstat())
    except FileNotFoundError:
        return False


@contextmanager
def alone_in(folder: Path, patience: float = 0) -> Iterator[bool]:
    """Hold, if it is free within `patience` seconds, a lock on a folder that spares processes useless work.

    Gives False if another process holds it still; True also on a file system without locks: then it is as it is.
    """
    import fcntl

    deadline = time.monotonic() + patience
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() < deadline:
                    time.sleep(0.001)
                    continue
                yield False
                return
            except OSError:
                pass
            yield True
            return
    finally:
        os.close(handle)


def no_lock_file(path: Path) -> DamagedError:
    """Return what to raise for a store without its lock file, which is empty and easily made again."""
    return DamagedError("the store has no lock file", f"put an empty file in its place: {path}")
