"""What the disk alone takes: the files of durable commits, or of a copy, and nothing besides.

No encryption, no signature, no check and none of the program: what no form of it that writes these files can undercut.

Usage: python bench/plain_files.py commits FOLDER COUNT | copy FOLDER FILES BYTES
"""

from __future__ import annotations

import mmap
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

# Bytes of a data file of one row, or of a commit that names two; threads that write at once.
SMALL, WRITERS = 1_500, 6
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL


def commits(folder: Path, count: int) -> None:
    """Put two data files and a commit on the disk, each and its name synced, again and again; print the seconds."""
    content = os.urandom(SMALL)
    for name in ("files", "log", "tmp"):
        (folder / name).mkdir(parents=True)
    files, log = (os.open(folder / name, os.O_RDONLY) for name in ("files", "log"))
    start = time.perf_counter()
    for number in range(count):
        for table in ("clients", "contacts"):
            _write(folder / "files" / f"{number}-{table}", content, 0, synced=True)
        os.fsync(files)
        commit = folder / "tmp" / f"{number}"
        _write(commit, content, 0, synced=True)
        commit.rename(folder / "log" / commit.name)
        os.fsync(log)
    print(time.perf_counter() - start)


def copy(folder: Path, count: int, size: int) -> None:
    """Put files of random bytes on the disk, past the cache, several at once, and sync them all."""
    folder.mkdir()
    pages = memoryview(mmap.mmap(-1, -(-size // mmap.PAGESIZE) * mmap.PAGESIZE))
    pages[:] = os.urandom(len(pages))
    with ThreadPoolExecutor(WRITERS) as pool:
        write = partial(_write, content=pages, flags=getattr(os, "O_DIRECT", 0), synced=False)
        list(pool.map(write, (folder / f"{number}" for number in range(count))))
    os.sync()


def _write(path: Path, content: bytes | memoryview, flags: int, *, synced: bool) -> None:
    handle = os.open(path, NEW | flags, 0o600)
    os.write(handle, content)
    if synced:
        os.fsync(handle)
    os.close(handle)


def main() -> None:
    """Do what the command line says."""
    what, folder, *numbers = sys.argv[1:]
    if what == "commits":
        commits(Path(folder), int(numbers[0]))
    else:
        copy(Path(folder), *map(int, numbers))


if __name__ == "__main__":
    main()
