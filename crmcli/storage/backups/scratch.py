"""Scratch folders of drills: locked while one is at work, so that the next can tidy up after one that was killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX = "crmcli-drill-"
# Seconds after which a folder that nobody has locked is one that was left.
_FRESH = 60


@contextmanager
def scratch_folder(within: Path | None) -> Iterator[Path]:
    """Give an empty folder until the end of the block; what others have left beside it goes."""
    with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=within) as name:
        folder = Path(name)
        _tidy_up(folder)
        handle = _locked(folder)
        try:
            yield folder
        finally:
            os.close(handle)


def _locked(folder: Path) -> int:
    """Return an open handle of a folder with the lock on it. Raises: OSError, also if somebody else has it."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle


def _tidy_up(own: Path) -> None:
    for left in own.parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            status = left.lstat()
            is_ours = status.st_uid == os.geteuid() and time.time() - status.st_mtime > _FRESH
            if left != own and is_ours:
                handle = _locked(left)
                shutil.rmtree(left, ignore_errors=True)
                os.close(handle)
