"""Syncing: many files and folders made durable together, by one call where there is one that tells of failures."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Self

from crmcli.storage import files

if TYPE_CHECKING:
    from pathlib import Path

# syncfs(2) tells of what could not be written since Linux 5.8.
_TELLS = (5, 8)
# Where it leaves nothing to a server: ext4, XFS, Btrfs, F2FS and tmpfs, by the numbers that statfs(2) gives them.
_LOCAL = {0xEF53, 0x58465342, 0x9123683E, 0xF2F52010, 0x01021994}
_STATFS_SIZE = 256
_FEW = 4


class Together:
    """Makes what is written below a folder, all on its file system, durable together; made before it is written."""

    def __init__(self, folder: Path) -> None:
        # What could not be written is told to who had a handle by then.
        self._handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def sync(self, paths: list[Path]) -> None:
        """Make files and folders durable. Raises: OSError if one could not be written."""
        if len(paths) <= _FEW or not _sync_file_system(self._handle):
            files.sync_files(paths)

    def __enter__(self) -> Self:
        """Begin a block that ends with it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the folder."""
        os.close(self._handle)


def _sync_file_system(handle: int) -> bool:
    """Make a file system of this machine durable; say whether that was done.

    Syncing each of thousands of files takes longer, as most of it is waiting for one another.
    Raises: OSError if something of it could not be written.
    """
    version = re.match(r"(\d+)\.(\d+)", os.uname().release)
    if os.uname().sysname != "Linux" or version is None or (int(version[1]), int(version[2])) < _TELLS:
        return False
    try:
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        statfs = ctypes.create_string_buffer(_STATFS_SIZE)
        # Its first field.
        if libc.fstatfs(handle, statfs) or ctypes.c_long.from_buffer(statfs).value & 0xFFFFFFFF not in _LOCAL:
            return False
        sync = libc.syncfs
    except (ImportError, OSError, AttributeError):
        return False
    if sync(handle):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return True
