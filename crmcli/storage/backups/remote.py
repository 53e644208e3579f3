"""A place at an address that Arrow's file systems understand: an object store such as S3, or HDFS."""

from __future__ import annotations

import errno
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pyarrow import ArrowException

from crmcli.errors import DamagedError, InputError
from crmcli.storage.backups.places import Item

if TYPE_CHECKING:
    from collections.abc import Iterator

_FLAT = ("s3", "gcs", "abfs")
_REASON = re.compile(r"(?:AWS|GCS) Error ([A-Z_ ]+)")
_REMOVED_AT_ONCE = 16
_PATIENCE = 60


@contextmanager
def _spoken() -> Iterator[None]:
    """Turn a failure of the far end into an OSError with a short reason."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, ArrowException) as error:
        found = _REASON.search(str(error))
        reason = found[1].strip().replace("_", " ").lower() if found else "the place does not answer as it should"
        raise OSError(getattr(error, "errno", None) or errno.EHOSTUNREACH, reason) from error


class RemotePlace:
    """An object store; a file in it is there, whole, as soon as it was put, and stays there."""

    def __init__(self, text: str) -> None:
        from pyarrow import fs

        # What is in the query, such as another endpoint, is no secret, but no name either.
        self.text, mark, options = text.partition("?")
        # Arrow would try for a quarter of an hour; it takes no such limit for S3, where it gives up after two minutes.
        if text.startswith(("gs://", "gcs://")) and "retry_limit_seconds=" not in options:
            text += f"{'&' if mark else '?'}retry_limit_seconds={_PATIENCE}"
        try:
            self._files, self._root = fs.FileSystem.from_uri(text)
            if not self._root.strip("/"):
                raise ValueError("no bucket or folder")
        except (ArrowException, ValueError, OSError) as error:
            raise InputError(
                f"{self.text} is no address of a place for backups", "such as s3://bucket/folder"
            ) from error

    @_spoken()
    def prepare(self) -> None:
        """Make the folders, where there are any; a bucket has to be there."""
        if self._files.type_name not in _FLAT:
            for name in ("objects", "snapshots", "pins", "results"):
                self._files.create_dir(self._path(name), recursive=True)

    @_spoken()
    def items(self, folder: str) -> dict[str, Item]:
        """Return every file below a folder by its last name."""
        return dict(self._walk(folder))

    def _walk(self, folder: str) -> Iterator[tuple[str, Item]]:
        from pyarrow import fs

        selector = fs.FileSelector(self._path(folder), allow_not_found=True, recursive=True)
        for info in self._files.get_file_info(selector):
            if info.type == fs.FileType.File:
                yield info.base_name, Item(info.size or 0, (info.mtime_ns or 0) / 1e9)

    @_spoken()
    def read(self, name: str, limit: int) -> bytes:
        """Return a file."""
        with self._files.open_input_stream(self._path(name)) as stream:
            content: bytes = stream.read(limit + 1)
        if len(content) > limit:
            raise DamagedError(f"{name} is longer than it can be")
        return content

    def borrow(self, name: str, limit: int) -> bytes:
        """Return a file."""
        return self.read(name, limit)

    @_spoken()
    def put(self, name: str, content: bytes | memoryview) -> None:
        """Write a file; what is cut off in the middle of it is not there."""
        path = self._path(name)
        if self._files.type_name not in _FLAT:
            self._files.create_dir(path.rpartition("/")[0], recursive=True)
        with self._files.open_output_stream(path) as stream:
            stream.write(content)

    def settle(self) -> None:
        """Do nothing: an object that was put is durable."""

    @_spoken()
    def remove(self, names: list[str]) -> None:
        """Remove files."""
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(_REMOVED_AT_ONCE) as pool:
            list(pool.map(self._remove, names))

    def _remove(self, name: str) -> None:
        try:
            self._files.delete_file(self._path(name))
        except FileNotFoundError:
            return

    def _path(self, name: str) -> Any:
        return f"{self._root}/{name}"
