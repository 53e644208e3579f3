"""Quarantine: a file that was signed and that nobody can read, or believe, is taken out of the store."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from crmcli.errors import DamagedError, NotFoundError, NotPermittedError, RuleError
from crmcli.storage import files, parquet
from crmcli.storage.layout import file_path
from crmcli.storage.members import ADMIN
from crmcli.storage.untruth import untrue
from crmcli.storage.writing import Pending

if TYPE_CHECKING:
    from datetime import datetime

    from crmcli.storage.log import Commit, FileEntry
    from crmcli.storage.store import Store


def quarantine(store: Store, name: str, op_id: str, at: datetime) -> Commit:
    """Let an admin's commit drop the file of that name, as an error names it, or of that id; its bytes stay until gc.

    Raises: NotPermittedError; NotFoundError; RuleError if it can be read and has a row that may be true; DamagedError
    if a backup may have the bytes that were signed.
    """
    if store.member.role != ADMIN:
        raise NotPermittedError("only an admin takes a file out of the store")
    entry = store.state.live.get(Path(name).stem)
    if entry is None:
        raise NotFoundError("the store has no such file now", "name it as the error names it: files/ab/….parquet")
    _require_signed(store, entry)
    with suppress(DamagedError):
        store.reader.read(entry)
        found = untrue(store.reader, store.state, entry)
        if not any(found):
            raise RuleError("the file can be read: it stays")
        if not all(found):
            raise RuleError(f"{found.count(False)} of the file's {len(found)} rows may be true: it stays")
    body = {"erase": {"clients": [], "files": [entry.file_id]}}
    return store.commit(Pending("erase", drop=[entry.file_id], body=body), store.state.seq, op_id, at)


def _require_signed(store: Store, entry: FileEntry) -> None:
    """Raise DamagedError unless the file has the bytes that were signed; they cannot come from a backup then."""
    path = file_path(entry.file_id)
    try:
        sha256, _ = files.hash_regular(store.root / path)
    except FileNotFoundError as error:
        raise DamagedError(f"{path} is missing", "restore it from a backup") from error
    if sha256 != entry.sha256:
        raise parquet.changed(path)
