"""Founding a store: laid out beside its place, given its first keys and company records, then moved in whole."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

from crmcli.errors import ConflictError
from crmcli.model.ids import decode_id
from crmcli.model.records import Document, Staff
from crmcli.storage import files
from crmcli.storage.identity import new_member_id
from crmcli.storage.keyring import new_epoch
from crmcli.storage.keys import random_bytes
from crmcli.storage.members import Book
from crmcli.storage.store import Store, first_keys
from crmcli.storage.view import Draft
from crmcli.storage.writing import Pending

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from crmcli.model.process import Process
    from crmcli.model.settings import Settings
    from crmcli.storage.identity import Identity


def found_store(  # noqa: PLR0917 - a store is all of this
    place: Path,
    identity: Identity,
    recovery_seed: bytes,
    settings: Settings,
    process: Process,
    at: datetime,
    keep_identity: Callable[[Identity], None],
    memory: tuple[Path, Path],
    group: str | None = None,
) -> None:
    """Create a store in `place`, an empty or new folder; `keep_identity` saves the founder's identity before it counts.

    `memory` is (cache folder, pin folder). Raises: ConflictError if the folder holds something.
    """
    if place.exists() and (not place.is_dir() or any(path.name != "README.md" for path in place.iterdir())):
        raise ConflictError(f"{place} is not empty", "choose another folder with --store")
    with files.mapped("create the store"):
        place.parent.mkdir(parents=True, exist_ok=True)
        stage = place.with_name(f".{place.name}.{random_bytes(4).hex()}")
        stage.mkdir(mode=0o700)
        try:
            if group is not None:
                shutil.chown(stage, group=group)
                stage.chmod(0o2770)
            genesis = Store.create(stage, identity, recovery_seed, at)
            founder = identity.belonging_to(genesis.hash)
            store = Store.open(stage, founder, *memory)
            store.commit(Pending("keys", body=first_keys(store)), 0, random_bytes(16).hex(), at)
            draft = Draft(store)
            number = decode_id(identity.member) or 0
            draft.put(Staff(number, identity.name))
            for table, plain in (("settings", settings.to_plain()), ("process", process.to_plain())):
                draft.put_document(table, Document(1, 1, json.dumps(plain, ensure_ascii=False), at, number))
            store.commit(draft.finish(), draft.base, random_bytes(16).hex(), at)
            store.close()
            keep_identity(founder)
            _move_in(stage, place)
        except BaseException:
            shutil.rmtree(stage, ignore_errors=True)
            raise


def take_over(store: Store, name: str, at: datetime) -> None:
    """Give an admin who has none a book and a name on the staff; done again, it changes nothing."""
    member = store.identity.member
    if store.state.own_book(member) is None:
        members = list(store.state.members.values())
        book = Book(new_member_id(), "member", member, 0, {}, {})
        body = {"books": [new_epoch(store.state, book, members)]}
        store.commit(Pending("keys", body=body), store.state.seq, random_bytes(16).hex(), at)
    draft = Draft(store)
    if store.member_number not in draft.staff:
        draft.put(Staff(store.member_number, name))
        store.commit(draft.finish(), draft.base, random_bytes(16).hex(), at)


def _move_in(stage: Path, place: Path) -> None:
    """Make the staged store the store; its genesis comes last, for without it there is none."""
    if not place.exists():
        stage.rename(place)
        files.sync_folder(place.parent)
        return
    place.chmod(stage.stat().st_mode & 0o7777)
    for path in sorted(stage.iterdir(), key=lambda path: path.name == "genesis.json"):
        path.rename(place / path.name)
    files.sync_folder(place)
    stage.rmdir()
