"""Places: where backups lie, a folder here or an object store; a file in one is whole and right, or not there."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import NamedTuple, Protocol

from crmcli.errors import CrmError, DamagedError, InputError
from crmcli.storage import bulk, files
from crmcli.storage.keys import random_bytes
from crmcli.storage.syncing import Together

_MARK = "://"
# The length of what is no regular file: a link, pipe, socket or device.
NO_FILE = -1


class Item(NamedTuple):
    """What lies in a place: its length, or `NO_FILE`, and when it was written by the clock of the place, in seconds."""

    size: int
    at: float


class Place(Protocol):
    """What a backup needs of the place where it lies. Names are relative, with `/`; every failure is an OSError.

    `put` may be called by several threads; what was put counts once `settle` has returned.
    """

    text: str

    def prepare(self) -> None:
        """Make the place ready to be written to."""

    def items(self, folder: str) -> dict[str, Item]:
        """Return what lies below a folder by the last name; nothing if there is no such folder."""

    def read(self, name: str, limit: int) -> bytes:
        """Return a file. Raises: FileNotFoundError, DamagedError if it is longer than `limit` or no file."""

    def borrow(self, name: str, limit: int) -> bytes | memoryview:
        """Return a file as `read` does, in memory that the next call by this thread takes again."""

    def put(self, name: str, content: bytes | memoryview) -> None:
        """Write a file, or another one in its place."""

    def settle(self) -> None:
        """Make what was put durable, and only then give it its name."""

    def remove(self, names: list[str]) -> None:
        """Remove files for good; what is not there is no failure."""


def open_place(text: str) -> Place:
    """Return the place that was named: a folder, or an address such as s3://bucket/folder. Raises: InputError."""
    if not text.strip():
        raise InputError("a place for backups has no name")
    if _MARK in text:
        from crmcli.storage.backups.remote import RemotePlace

        return RemotePlace(text)
    return Folder(Path(text))


class Folder:
    """A folder, on a disk of this machine or mounted."""

    def __init__(self, root: Path) -> None:
        self.text = str(root)
        self.root = root
        self._fresh: list[tuple[Path, Path]] = []
        self._lock = Lock()
        self._together: Together | None = None
        self._modes = (0o600, 0o700)
        # Those that were seen to be none but folders.
        self._folders: set[str] = set()

    def prepare(self) -> None:
        """Make the folder, not those above it: a disk that is not there is to be missed, not replaced."""
        if not self.root.is_dir():
            self.root.mkdir(0o700, exist_ok=True)
            files.sync_folder(self.root.parent)
        self._modes = files.modes(self.root)
        for name in ("tmp", "objects", "snapshots", "pins", "results"):
            self._require(self.root / name)
            files.ensure_folder(self.root / name, self._modes[1])

    def _is_there(self, path: Path) -> bool:
        self._require(path)
        return path.exists()

    def _require(self, path: Path) -> None:
        """Raise DamagedError unless a folder in the place is one, or nothing at all, and no link to one."""
        if files.is_no_folder(path):
            name = path.relative_to(self.root)
            raise DamagedError(f"{name} in {self.text} is no folder", "look at what lies there, and move it away")

    def items(self, folder: str) -> dict[str, Item]:
        """Return what lies below a folder by the last name. Raises: DamagedError if the folder is none."""
        self._require(self.root / folder)
        return _below(self.root / folder, depth=1 if folder == "objects" else 0)

    def read(self, name: str, limit: int) -> bytes:
        """Return a regular file."""
        path = self.root / name
        self._require(path.parent)
        return files.read_regular(path, limit)[0]

    def borrow(self, name: str, limit: int) -> memoryview:
        """Return a regular file in memory that is used again."""
        folder = name.rpartition("/")[0]
        if folder not in self._folders:
            self._require(self.root / folder)
            self._folders.add(folder)
        return bulk.borrow(f"{self.text}/{name}", limit)

    def put(self, name: str, content: bytes | memoryview) -> None:
        """Write a file under another name for now."""
        fresh = self.root / "tmp" / random_bytes(12).hex()
        with self._lock:
            self._together = self._together or Together(fresh.parent)
        try:
            bulk.write(fresh, content, self._modes[0])
        except BaseException:
            with self._syncing():
                raise
        with self._lock:
            self._fresh.append((fresh, self.root / name))

    def _syncing(self) -> Together:
        """Return what syncs that which was put; what is being put meanwhile is told of failures nobody knows yet."""
        with self._lock:
            together, self._together = self._together, None
        return together or Together(self.root / "tmp")

    def settle(self) -> None:
        """Sync all contents together, then the names."""
        with self._lock:
            fresh, self._fresh = self._fresh, []
        if fresh or self._together is not None:
            with self._syncing() as together:
                self._settle(fresh, together)

    def _settle(self, fresh: list[tuple[Path, Path]], together: Together) -> None:
        try:
            together.sync([path for path, _ in fresh])
            folders = {final.parent for _, final in fresh}
            missing = [folder for folder in folders if not self._is_there(folder)]
            for folder in missing:
                # Another process may be as far.
                with suppress(FileExistsError):
                    files.make_folder(folder, self._modes[1])
            for path, final in fresh:
                try:
                    path.replace(final)
                except IsADirectoryError:
                    self._remove(final)
                    path.replace(final)
            together.sync([*folders, *{folder.parent for folder in missing}])
        except BaseException:
            for path, _ in fresh:
                files.discard(path)
            raise

    def remove(self, names: list[str]) -> None:
        """Remove files and sync the folders that they were in."""
        paths = [self.root / name for name in names]
        for path in paths:
            self._require(path.parent)
            self._remove(path)
        for folder in sorted({path.parent for path in paths}):
            if folder.exists():
                files.sync_folder(folder)

    def _remove(self, path: Path) -> None:
        """Remove a file, or a folder that lies in its place and is empty. Raises: DamagedError if that is not."""
        try:
            if _is_folder(path):
                path.rmdir()
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            name = path.relative_to(self.root)
            raise DamagedError(f"{name} in {self.text} is a folder that holds something", f"rm -r {path}") from error


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _below(folder: Path, depth: int) -> dict[str, Item]:
    """Return what lies so many folders below a folder, following no link and opening nothing.

    Folders down there are no files, and are told as that; what goes away meanwhile is left out.
    """
    found = {}
    folders = [(str(folder), depth)]
    while folders:
        path, left = folders.pop()
        try:
            listing = os.scandir(path)
        except FileNotFoundError:
            continue
        with listing:
            for entry in listing:
                if left and entry.is_dir(follow_symlinks=False):
                    folders.append((entry.path, left - 1))
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                size = status.st_size if stat.S_ISREG(status.st_mode) else NO_FILE
                found[entry.name] = Item(size, status.st_mtime)
    return found


def refuse_inside(place: Place, root: Path) -> None:
    """Raise InputError for a folder that lies in the store, or the store in it, or is a link."""
    if not isinstance(place, Folder):
        return
    here, there = root.resolve(), place.root.resolve()
    if here == there or here in there.parents:
        raise InputError("backups lie outside the store", "--to names another folder")
    if place.root.exists() and not place.root.is_dir():
        raise CrmError(f"{place.text} is no folder")


def refuse_within(place: Place, target: Path) -> None:
    """Raise InputError for a folder that lies in a place, among what backups are made of."""
    if isinstance(place, Folder) and place.root.resolve() in (target.resolve(), *target.resolve().parents):
        raise InputError("no store is restored into the folder of its backups", "--to names another folder")


def refuse_target(target: Path, root: Path) -> None:
    """Raise InputError for what no restored store can take the place of, or would lie in the store that is there."""
    if target.is_symlink():
        raise InputError(f"{target} is a link", f"--to {target.resolve()} names the folder itself")
    if target.resolve() in (Path.cwd(), *Path.cwd().parents):
        raise InputError("the folder that you are in cannot be replaced", "--to restored makes one in it")
    if target.is_mount():
        raise InputError(
            f"{target} is a mount point, and cannot be replaced", f"--to {target}/store makes a folder in it"
        )
    if (root / "genesis.json").exists() and root.resolve() in target.resolve().parents:
        raise InputError("no store is restored into another one", "--to names a folder outside of it")


class DamagedObjectError(DamagedError):
    """An object is not what it is named after, or not there: `digest` is its name."""

    def __init__(self, digest: str, how: str) -> None:
        super().__init__(f"{object_name(digest)} is {how}")
        self.digest = digest


def object_name(sha256: str) -> str:
    """Return the name of what has that hash."""
    return f"objects/{sha256[:2]}/{sha256}"


def checked(place: Place, sha256: str, size: int) -> bytes:
    """Return the object of that hash. Raises: DamagedError if its bytes are others, FileNotFoundError, OSError."""
    return bytes(borrowed(place, sha256, size))


def borrowed(place: Place, sha256: str, size: int) -> bytes | memoryview:
    """Return the object of that hash as `checked` does, in memory that the next call by this thread takes again."""
    from crmcli.storage.keys import sha256 as hash_of

    content = place.borrow(object_name(sha256), size)
    if len(content) != size or hash_of(content) != sha256:
        raise DamagedObjectError(sha256, "damaged")
    return content
