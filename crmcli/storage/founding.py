"""Founding a store: staged in a folder within its place, given its first keys and company records, then moved up."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from crmcli.errors import ConflictError, InputError
from crmcli.model.ids import decode_id
from crmcli.model.records import Document, Staff
from crmcli.storage import files
from crmcli.storage.identity import new_member_id
from crmcli.storage.keyring import new_epoch
from crmcli.storage.keys import random_bytes
from crmcli.storage.layout import FOLDERS
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

STAGE = ".founding"
# All of a store but its genesis.
PARTS = (*FOLDERS, "lock")
# Keys, then settings, process and staff.
FIRST_COMMITS = 2


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
    with files.mapped("create the store"):
        _take_back(place)
        if place.exists() and (not place.is_dir() or any(path.name != "README.md" for path in place.iterdir())):
            raise ConflictError(f"{place} is not empty", "choose another folder with --store")
        is_new = not place.exists()
        stage = place / STAGE
        try:
            files.ensure_private(place)
            if group is not None:
                _share(place, group)
            place.chmod(0o700 if group is None else 0o2770)
            files.make_folder(stage, files.modes(place)[1])
            files.sync_folder(place)
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
            _move_up(stage, place)
        except BaseException:
            with suppress(OSError):
                (place / "genesis.json").unlink(missing_ok=True)
                _take_back(place)
                if is_new:
                    place.rmdir()
            raise


def _share(place: Path, group: str) -> None:
    """Give a folder to a Unix group. Raises: InputError if there is none of that name."""
    try:
        shutil.chown(place, group=group)
    except LookupError as error:
        raise InputError(f"there is no Unix group {group}", "getent group lists them") from error


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


def _move_up(stage: Path, place: Path) -> None:
    """Make the staged store the store; its genesis comes when all else is durable, for without it there is none."""
    for name in PARTS:
        (stage / name).rename(place / name)
    files.sync_folder(place)
    os.link(stage / "genesis.json", place / "genesis.json")
    files.sync_folder(place)
    (stage / "genesis.json").unlink()
    stage.rmdir()


def _take_back(place: Path) -> None:
    """Remove what is left of a founding cut short: its genesis is staged at most, and nobody went on with it."""
    stage = place / STAGE
    if (place / "genesis.json").exists() or stage.is_symlink() or not stage.is_dir():
        return
    if (stage / "genesis.json").exists() and not any((place / "log").glob(f"*{FIRST_COMMITS + 1}.json")):
        for name in FOLDERS:
            if (place / name).is_dir():
                shutil.rmtree(place / name)
        (place / "lock").unlink(missing_ok=True)
    shutil.rmtree(stage)
