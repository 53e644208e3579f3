"""A file that leaves the store: whole, private and new, or not there at all; its room is taken before it is due."""

from __future__ import annotations

import errno
import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from crmcli.errors import ConflictError, CrmError, InputError, InterruptedByUserError, NoSpaceError, RepeatedError
from crmcli.storage import files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_PLACE = {errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.EROFS}
_CANNOT_RESERVE = {errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS}


class OutFile:
    """A file to be: `hold` takes its content and the room for it, and the end of the block writes it."""

    def __init__(self, path: Path, handle: int) -> None:
        self.path = path
        self._handle = handle
        self._content = b""

    def hold(self, content: bytes) -> None:
        """Take what the file is to hold, and the room for it on the disk. Raises: NoSpaceError."""
        with files.mapped(f"write {self.path.name}"):
            _reserve(self._handle, len(content))
        self._content = content

    def write(self) -> None:
        """Write what is held, so that no power cut takes it back."""
        rest = memoryview(self._content)
        while rest:
            rest = rest[os.write(self._handle, rest) :]
        os.ftruncate(self._handle, len(self._content))
        os.fsync(self._handle)


def _reserve(handle: int, size: int) -> None:
    if not size:
        return
    try:
        os.posix_fallocate(handle, 0, size)
    except OSError as error:
        if error.errno not in _CANNOT_RESERVE:
            raise


@contextmanager
def new_file(path: Path, outside: Path | None = None, lost: str | None = None) -> Iterator[OutFile]:
    """Give a file that appears as `path`, 0600, at the end of the block; after an exception in it, nothing does.

    Until then it is empty and has no name, so that nothing is left of it if this process is killed; where a disk knows
    no such files, it has another name in the same folder. `outside` is a folder that it must not lie in; `lost` is what
    to say when the block was through and the file cannot be written.
    Raises: ConflictError if something is there, or if the block was done before; InputError for a place that is none,
    NoSpaceError.
    """
    _require_place(path, outside)
    try:
        handle, fresh = _create(path)
    except OSError as error:
        raise _no_place(path, error) from error
    try:
        os.fchmod(handle, 0o600)
        out = OutFile(path, handle)
        try:
            yield out
        except RepeatedError as error:
            # What was done before is not undone, nor is it done again; but to say that all is well would be wrong.
            raise ConflictError(
                f"{error.message}; no file is written", "if there is none from then, run it without --op-id"
            ) from error
        try:
            out.write()
            _name(handle, fresh, path)
            files.sync_folder(path.parent)
        except OSError as error:
            raise _unwritten(path, error, lost) from error
        except KeyboardInterrupt as error:
            raise InterruptedByUserError("; ".join(["interrupted", *([lost] if lost else [])])) from error
    finally:
        os.close(handle)
        if fresh is not None:
            files.discard(fresh)


def _create(path: Path) -> tuple[int, Path | None]:
    """Return a handle on a new file beside `path`, and its name if it has one."""
    if hasattr(os, "O_TMPFILE"):
        with suppress(OSError):
            handle = os.open(path.parent, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            if os.path.lexists(_way_to(handle)):
                return handle, None
            os.close(handle)
    fresh = path.with_name(f".{path.name[:100]}.{os.getpid()}.{time.monotonic_ns()}")
    return os.open(fresh, _CREATE, 0o600), fresh


def _name(handle: int, fresh: Path | None, path: Path) -> None:
    """Give the file the name that it is to have, if nothing has it."""
    if fresh is not None:
        os.link(fresh, path)
    else:
        # Only with a folder, which an absolute path makes nothing of, is the link in /proc followed to the file.
        os.link(_way_to(handle), path, src_dir_fd=handle, follow_symlinks=True)


def _way_to(handle: int) -> str:
    return f"/proc/self/fd/{handle}"


def _require_place(path: Path, outside: Path | None) -> None:
    if str(path) == "-" or not path.name:
        raise InputError("a file has to be named", "it is written to a new file: --out clients.csv")
    if os.path.lexists(path):
        raise ConflictError(f"{path.name} is there already", "choose another name: nothing is written over")
    if not path.parent.is_dir():
        raise InputError(f"there is no folder {path.parent}", "choose one that is there")
    if outside is not None:
        with suppress(OSError):
            place = path.parent.resolve()
            if place.is_relative_to(outside.resolve()):
                raise InputError(
                    "the file would lie in the store", "choose another folder: the store is copied as it is"
                )


def _no_place(path: Path, error: OSError) -> CrmError:
    """Return what to raise for a folder in which no file can be made."""
    message = f"cannot write {path.name}: {(error.strerror or type(error).__name__).lower()}"
    if error.errno in _NO_ROOM:
        return NoSpaceError(message, "free some space and run it again")
    if error.errno in _NO_PLACE:
        return InputError(message, "choose a folder that you can write to")
    return CrmError(message)


def _unwritten(path: Path, error: OSError, lost: str | None) -> CrmError:
    """Return what to raise for a file that cannot be written after all."""
    reason = (error.strerror or type(error).__name__).lower()
    message = f"cannot write {path.name}: {reason}" + (f"; {lost}" if lost else "")
    if error.errno == errno.EEXIST:
        return ConflictError(message)
    return NoSpaceError(message) if error.errno in _NO_ROOM else CrmError(message)
