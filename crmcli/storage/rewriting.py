"""Rewriting: what lies under older keys of its book is encrypted again under the present ones, a batch a commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmcli.errors import InterruptedByUserError
from crmcli.storage import upkeep
from crmcli.storage.keys import random_bytes
from crmcli.storage.settling import HALF_DONE, in_steps
from crmcli.storage.writing import FILE_ROWS, entries_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from crmcli.storage.log import FileEntry
    from crmcli.storage.store import Store


def outdated(store: Store) -> list[FileEntry]:
    """Return the live files under an older key of their book, as far as the keys at hand open them."""
    books = store.state.books
    return [e for e in store.state.live.values() if e.epoch < books[e.book].epoch and store.keyring.opens(e)]


def rewrite(store: Store, at: datetime) -> Iterator[int]:
    """Encrypt every outdated file again; yield after each commit how many files it replaced.

    A commit takes few rows, so that memory stays bounded. One that somebody overtakes is done again under the lock.
    """
    while batch := _batch(outdated(store)):
        try:
            made = upkeep.compact(store, batch, random_bytes(16).hex(), at)
        except InterruptedByUserError as error:
            raise InterruptedByUserError(HALF_DONE) from error
        if made is None:
            with in_steps(store):
                batch = _batch(outdated(store))
                if batch:
                    upkeep.compact(store, batch, random_bytes(16).hex(), at)
        yield len(batch)


def _batch(entries: list[FileEntry]) -> list[FileEntry]:
    """Return the first files, of one table of one book, that a compaction takes together: one, or as many as fit."""
    for group in entries_of(entries).values():
        for is_history in (False, True):
            alike = sorted((e for e in group if (e.kind == "history") is is_history), key=lambda e: (e.rows, e.file_id))
            rows = 0
            for index, entry in enumerate(alike):
                rows += entry.rows
                if index and rows > FILE_ROWS:
                    return alike[:index]
            if alike:
                return alike
    return []
