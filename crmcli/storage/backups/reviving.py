"""Reviving: an admin makes a restored store the store again, without who was erased and what was granted, since."""

from __future__ import annotations

import shlex
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from crmcli.errors import CrmError, NotPermittedError
from crmcli.model.ids import decode_id
from crmcli.storage import files
from crmcli.storage.backups.places import refuse_within
from crmcli.storage.backups.restoring import plan as planned
from crmcli.storage.backups.restoring import staged, write
from crmcli.storage.keys import random_bytes
from crmcli.storage.members import ADMIN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from crmcli.storage.backups.known import Known
    from crmcli.storage.backups.places import Place
    from crmcli.storage.backups.restoring import Plan
    from crmcli.storage.identity import Identity
    from crmcli.storage.store import Store


@dataclass(frozen=True)
class Wanted:
    """Which snapshot, and which files of it: those of a book, of a table, or all. `anyway`: though it is strange.

    `home` is where this machine keeps its cache and pins, if it is to take what is restored as the store.
    """

    snapshot: str
    book: str | None = None
    table: str | None = None
    anyway: bool = False
    home: tuple[Path, Path] | None = None


@dataclass
class Restored:
    """What was restored; `commit` is the hash of the restore commit, where an admin made one."""

    snapshot: str
    seq: int
    files: int
    bytes: int
    erased: int
    commit: str | None
    notes: list[str]


def restore_to(
    place: Place,
    wanted: Wanted,
    target: Path,
    known: Known,
    identity: Identity | None,
    advance: Callable[[int], None],
) -> Restored:
    """Restore a snapshot into a new folder, which is there at the end, whole, or not at all.

    With an identity, an admin's, it becomes the store again, also for this machine if it saw nothing newer.
    Raises: NotFoundError, DamagedError, ConflictError, NotPermittedError if clients were erased since and the identity
    is no admin's.
    """
    refuse_within(place, target)
    with files.mapped(f"restore into {target}"):
        plan = planned(
            place,
            wanted.snapshot,
            known,
            book=wanted.book,
            table=wanted.table,
            anyway=wanted.anyway,
        )
        is_known = identity is not None and plan.genesis.hash in identity.stores
        with staged(target) as stage:
            write(plan, stage, with_erased=is_known, advance=advance)
            commit = revive(plan, stage, identity, known.now) if identity is not None and is_known else None
    erased = 0 if commit is None else len(plan.clients)
    notes = list(_notes(plan, commit, is_anybody=identity is not None))
    if identity is not None and commit is not None:
        notes += _taken(target, identity, commit, wanted.home, is_final=not plan.withdrawn.commands)
    return Restored(plan.snapshot.name, plan.snapshot.seq, len(plan.entries), plan.bytes, erased, commit, notes)


def _notes(plan: Plan, commit: str | None, *, is_anybody: bool) -> Iterator[str]:
    """Yield what to say to who restored, by whose `commit` or none."""
    if commit is None and not plan.left_out:
        yield "it is what it was, to the byte: no commit says that the log goes on from here"
        if is_anybody:
            yield "only an admin makes one, and this identity is none there"
    if plan.commits_lost:
        yield f"{plan.commits_lost} commits that were made since are not in it"
    for name, why in plan.passed_over.items():
        yield f"passed over {name}, which is not genuine: {why}"
    if left := len(plan.snapshot.inbox) - len(plan.drops):
        yield f"{left} drops were left out: clients who were erased since may be in them"
    if plan.left_out:
        yield f"{plan.left_out} other files were left out: this is no whole store"
    else:
        yield from plan.withdrawn.notes(is_revoked=commit is not None)
    if plan.gone:
        yield f"{len(plan.gone)} files of clients who were erased are gone from the backup: facts remain"
    if plan.snapshot.lost:
        yield f"{len(plan.snapshot.lost)} files were lost before that snapshot was made: crmcli verify names them"


def _taken(
    target: Path, identity: Identity, commit: str, home: tuple[Path, Path] | None, *, is_final: bool
) -> Iterator[str]:
    """Take a restored store for the newest on this machine, unless it saw a newer one; yield what to say of that.

    No machine that knows the store takes a restored one by itself, or one that is only looked at would be it. Nor is
    the restore what to hand out, unless it `is_final`: who is to be removed again could go on from it alone.
    """
    from crmcli.storage.store import Store

    who = "this one"
    if home is None:
        apart = "XDG_STATE_HOME=$(mktemp -d) XDG_CACHE_HOME=$(mktemp -d)"
        yield f"to look at it beside the store: {apart} crmcli --store {shlex.quote(str(target))} list clients"
        who = "if it is to be the store, this one"
    else:
        with suppress(CrmError):
            store = Store.open(target, identity, *home, commit)
            if not store.is_forked:
                store.confirm()
                who = ""
    command = "crmcli verify --accept-restore"
    if who:
        yield f"a machine that knows the store takes it when told to, once; {who}: {command} {commit}"
    if is_final:
        yield f"each other machine that knows the store: {command} {commit}"
    else:
        yield "before anybody else takes it, run what is named above, lest who was removed goes on with it"
        yield f"each other machine that knows the store, then: {command} with the head that crmcli verify shows here"


def revive(plan: Plan, root: Path, identity: Identity, at: datetime) -> str | None:
    """Erase again who was erased after the snapshot, and revoke what ended; commit the restore; return its hash.

    None if the identity is no admin's and there is nobody to erase: then the store is what it was, to the byte.
    Raises: NotPermittedError if there is somebody.
    """
    # Who restores to the byte does without the engines.
    from crmcli.storage import erasure
    from crmcli.storage.writing import Pending

    with tempfile.TemporaryDirectory(prefix="crmcli-restore-") as scratch:
        store = _opened(plan, root, identity, Path(scratch))
        if store is None:
            return None
        if plan.gone:
            dropped = [entry.file_id for entry in plan.gone]
            pending = Pending("erase", drop=dropped, body={"erase": {"clients": [], "files": dropped}})
            store.commit(pending, store.state.seq, _op_id(), at)
        for client in sorted(plan.clients):
            _erase(store, client, _op_id(), at)
        for grant, _ in plan.withdrawn.grants:
            revoked = Pending("grant", body={"grant": {"action": "revoke", "grant": grant}})
            store.commit(revoked, store.state.seq, _op_id(), at)
        pending = Pending("restore", body={"restore": {"seq": store.state.seq, "hash": store.state.hash}})
        store.commit(pending, store.state.seq, _op_id(), at)
        if store.state.last_erasure:
            erasure.remove(store, sweep=True)
        return store.state.hash


def _opened(plan: Plan, root: Path, identity: Identity, scratch: Path) -> Store | None:
    """Return the restored store if the identity is an admin's there. Raises: NotPermittedError if it has to be."""
    from crmcli.storage.store import Store

    needed = plan.erased or plan.gone
    try:
        store = Store.open(root, identity, scratch / "cache", scratch / "pins")
        if store.state.members[identity.member].role == ADMIN:
            return store
    except NotPermittedError:
        if needed:
            raise
    if needed:
        raise NotPermittedError(
            "clients were erased after that snapshot: only an admin restores it",
            "CRMCLI_IDENTITY names an admin's identity, or --recovery-key",
        )
    return None


def _erase(store: Store, client: str, op_id: str, at: datetime) -> None:
    from crmcli.storage import erasure
    from crmcli.storage.view import Draft

    draft = Draft(store)
    for known in draft.records("clients", "client_id", [decode_id(client) or 0]):
        erasure.erase(draft, known)
        store.commit(draft.finish(), draft.base, op_id, at)


def _op_id() -> str:
    return random_bytes(16).hex()
