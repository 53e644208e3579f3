"""Files copied by the thousand: through memory that is used again, and past the system's cache of the disk.

What is copied is not looked at again soon. To keep it in the cache takes longer than to write it to the disk, and puts
out of it what others need.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import threading
from pathlib import Path

from crmcli.errors import DamagedError
from crmcli.storage import files

# Threads that read and hash; and those that write too, of which most wait for the disk at any time.
READERS, WRITERS = 3, 6
# Bytes after which what was copied is made durable, so that a run that is cut short has not been for nothing.
BATCH = 1 << 26
_PAGE = mmap.PAGESIZE
# Memory is taken in steps of this many bytes, and so many are worth a way of their own.
_STEP = 1 << 20
_LARGE = 1 << 17
# What the platform calls it; none where it has no such way.
_DIRECT = getattr(os, "O_DIRECT", 0)


class _Memory(threading.local):
    """What each thread reads into: it begins at a page, and has whole ones."""

    room = memoryview(bytearray())


_memory = _Memory()


def borrow(path: str | Path, limit: int) -> memoryview:
    """Return the bytes of a regular file, in memory that the next call by this thread takes again.

    Raises: FileNotFoundError; DamagedError if it is something else than a file or longer than `limit`.
    """
    handle = files.open_regular(path)
    try:
        size = os.fstat(handle).st_size
        if size > limit:
            raise DamagedError(f"{Path(path).name} is {size} bytes long, more than it can be")
        room = _room(size)
        length = 0
        while count := os.readv(handle, [room[length:size]]):
            length += count
    finally:
        os.close(handle)
    return room[:length]


def _room(size: int) -> memoryview:
    """Return this thread's memory, of that size at least."""
    if len(_memory.room) < size:
        _memory.room = memoryview(mmap.mmap(-1, -(-size // _STEP) * _STEP))
    return _memory.room


def write(path: Path, content: bytes | memoryview, mode: int) -> None:
    """Create `path`, which must not exist, with `content`; what fails is removed again. It lasts once it is synced.

    What this thread has borrowed goes past the cache, where the disk has such a way.
    """
    is_borrowed = isinstance(content, memoryview) and content.obj is _memory.room.obj
    if not is_borrowed or len(content) < _LARGE or not _DIRECT or not _write_pages(path, len(content), mode):
        files.write_new(path, content, mode, durable=False)


def _write_pages(path: Path, length: int, mode: int) -> bool:
    """Create a file with so many bytes of what this thread has borrowed; say whether the disk has such a way."""
    try:
        handle = os.open(path, files.CREATE | _DIRECT, mode)
        try:
            os.fchmod(handle, mode)
            whole = length // _PAGE * _PAGE
            files.write_all(handle, _memory.room[:whole])
            # The rest is less than a page, and the cache takes it.
            fcntl.fcntl(handle, fcntl.F_SETFL, fcntl.fcntl(handle, fcntl.F_GETFL) & ~_DIRECT)
            files.write_all(handle, _memory.room[whole:length])
        except BaseException:
            files.discard(path)
            raise
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        # Some disks make the file before they refuse.
        files.discard(path)
        return False
    return True
