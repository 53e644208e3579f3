"""Erasure: a client's personal rows leave the store for ever, with every older file that may hold them."""

from __future__ import annotations

import json
import os
import re
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from crmcli.errors import NotPermittedError, RuleError
from crmcli.model.archiving import forget
from crmcli.model.ids import decode_id, encode_id
from crmcli.storage import files, log
from crmcli.storage import kernels as pc
from crmcli.storage.granting import refused
from crmcli.storage.keys import sha256
from crmcli.storage.layout import file_path
from crmcli.storage.ledger import PERSONAL_TABLES, Erasure, erased_files, erasures
from crmcli.storage.members import ADMIN
from crmcli.storage.tables import DELETED, SEQ, Table
from crmcli.storage.view import Draft, View

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from crmcli.model.records import Client
    from crmcli.storage.log import FileEntry
    from crmcli.storage.store import Store

_FILE_ID = re.compile(rb'"file_id":"([0-9a-f]{32})"')
# Seconds after which a file in tmp/ is no longer being written.
_WRITTEN = 60


def is_erased(store: Store, client_id: int) -> bool:
    """Say whether a client was erased."""
    return encode_id(client_id) in store.state.erased


def erasure_of(store: Store, client_id: int) -> Erasure:
    """Return the commit by which a client was erased, who was."""
    name = encode_id(client_id)
    return next(erasure for erasure in erasures(_raws(store)) if name in erasure.clients)


def _raws(store: Store) -> Iterator[bytes]:
    """Yield the commits that this run has verified."""
    for seq, raw in log.read_from(store.root / "log", 1):
        if seq > store.state.seq:
            return
        yield raw


# What an admin does, and what others ask for.


def anybody(draft: Draft, who: str) -> Client:
    """Return the client meant, who may have been erased. Raises: NotFoundError, ConflictError."""
    return View.client(draft, who)


def erase(draft: Draft, client: Client) -> bool:
    """Put the erasure of a client, or the request for it by who is no admin; say whether it is done, or was before.

    Raises: NotPermittedError without a grant to ask for it, RuleError if it has been asked for.
    """
    is_again = is_erased(draft.store, client.client_id)
    member = draft.store.member
    if member.role != ADMIN:
        if not is_again:
            _request(draft, client)
        return is_again
    # Nobody may add to what is known of the client meanwhile.
    draft.depends_on("contacts", "notes", "clients", "reminders")
    pending = draft.pending
    # Of who was erased before, only what somebody has signed since can be left, in any book.
    for book in sorted(draft.store.state.books) if is_again else _lived_in(draft, client.client_id):
        for table in PERSONAL_TABLES:
            for entry, rows in _without(draft.store, book, table, client.client_id):
                pending.drop.append(entry.file_id)
                if rows.num_rows:
                    pending.rows[book, table.name, entry.kind].append(rows)
    if is_again and not pending.drop:
        return True
    pending.type = "erase"
    pending.body = {"erase": {"clients": [encode_id(client.client_id)], "files": list(pending.drop)}}
    draft.put(*forget(client, draft.of_client("reminders", client.client_id)))
    return True


def _lived_in(draft: Draft, client_id: int) -> list[str]:
    """Return the books that a client is in or was ever moved out of or into."""
    books = {draft.book_of(client_id)}
    for raw in _raws(draft.store):
        if b'"type":"transfer"' in raw:
            transfer = json.loads(raw.partition(b"\n")[0])["transfer"]
            named = transfer["clients"]
            books |= {transfer["from"], transfer["to"]} if not named or encode_id(client_id) in named else set()
    return sorted(books)


def _without(store: Store, book: str, table: Table, client_id: int) -> Iterator[tuple[FileEntry, pa.Table]]:
    """Yield the live files of a table of a book that hold rows of a client, and their other rows."""
    entries = [entry for entry in store.state.entries(table.name) if entry.book == book]
    columns = list(dict.fromkeys((table.key, "client_id")))
    where = ("client_id", [client_id])
    keys: set[int] = set()
    holding = []
    for entry in entries:
        if entry.kind != "delete" and (found := store.reader.read(entry, columns, where)).num_rows:
            keys.update(found.column(table.key).to_pylist())
            holding.append(entry)
    # What says that a record is gone has nothing but its key.
    gone = [entry for entry in entries if entry.kind in ("delete", "history") and entry not in holding]
    by_key = (table.key, sorted(keys))
    holding += [entry for entry in gone if store.reader.read(entry, [table.key], by_key).num_rows]
    for entry in holding:
        names = [table.key, SEQ] if entry.kind == "delete" else [*table.schema.names, SEQ]
        rows = store.reader.read(entry).select([*names, DELETED] if entry.kind == "history" else names)
        theirs = pc.is_in(rows.column(table.key), pa.array(sorted(keys), pa.int64()))
        yield entry, pc.filtered(rows, pc.invert(theirs))


def _request(draft: Draft, client: Client) -> None:
    """Put the use of a grant by which an admin's next run erases the client."""
    state, member = draft.store.state, draft.store.identity.member
    book, asked = draft.book_of(client.client_id), sha256(encode_id(client.client_id).encode())
    if asked in state.requests:
        raise RuleError("that was asked for already", "the next command of an admin carries it out")
    mine = [grant for grant in state.grants.values() if grant.to == member and grant.right == "erase"]
    zone = draft.settings.zone
    reasons = {grant.grant: refused(grant, member, "erase", state.at, 1, [book], zone=zone) for grant in mine}
    valid = next((name for name, reason in reasons.items() if reason is None), None)
    if valid is None:
        hint = next(reversed(reasons.values()), None) or "an admin erases, or gives a grant to ask for it"
        raise NotPermittedError("you have no valid grant to erase", hint)
    draft.pending.type = "grant-use"
    use = {"grant": valid, "right": "erase", "books": [book], "rows": 1, "sha256": asked}
    draft.pending.body = {"use": use}


def carry_out(store: Store, op_id: Callable[[], str], at: datetime) -> list[str]:
    """Let an admin erase who others, by their grants, asked to be erased; return a line about each."""
    if not store.state.requests or store.member.role != ADMIN:
        return []
    lines = []
    unknown: dict[tuple[str, str], int] = defaultdict(int)
    for asked, (book, who, grant) in list(store.state.requests.items()):
        draft = Draft(store)
        name = draft.staff.get(decode_id(who) or 0, who)
        client_id = _asked_for(draft, book, asked)
        if client_id is None:
            unknown[name, grant] += 1
            continue
        [client] = draft.records("clients", "client_id", [client_id])
        erase(draft, client)
        commit = store.commit(draft.finish(), draft.base, op_id(), at)
        remove(store, sweep=True)
        lines.append(f"erased client {encode_id(client_id)} in commit {commit.seq}, as {name} had asked")
    for (name, grant), count in unknown.items():
        clients = "a client" if count == 1 else f"{count} clients"
        lines.append(f"{name} asked to erase {clients} not in that book; crmcli grant revoke {grant} drops it")
    return lines


def _asked_for(draft: Draft, book: str, asked: str) -> int | None:
    """Return the client of a book whose id has that hash."""
    ids = draft.reader.merged("clients", ["client_id"], None, [book]).column("client_id").to_pylist()
    return next((number for number in ids if sha256(encode_id(number).encode()) == asked), None)


# Files that are erased.


def is_due(store: Store) -> bool:
    """Say whether this machine has yet to see that the files of the newest erasure are gone."""
    return store.state.last_erasure > store.memory.cleared and os.access(store.root / "files", os.W_OK)


def remaining(store: Store) -> list[Path]:
    """Return where erased files still lie."""
    if not store.state.last_erasure:
        return []
    paths = (store.root / file_path(file_id) for file_id in erased_files(_raws(store)))
    return [path for path in paths if os.path.lexists(path)]


def remove(store: Store, *, sweep: bool = False) -> int:
    """Remove erased files that are still there; on return that is durable. Return how many there were.

    `sweep`: also what commands that were cut short have left. Raises: CrmError if the disk refuses.
    """
    with files.mapped("remove erased files"):
        store.require_durable()
        paths = remaining(store)
        with store.lock():
            paths += _orphans(store) if sweep or paths else []
            for path in paths:
                files.require_folder(path.parent)
                path.unlink(missing_ok=True)
        for folder in sorted({path.parent for path in paths}):
            files.sync_folder(folder)
    if store.memory.cleared < store.state.last_erasure:
        store.memory.cleared = store.state.last_erasure
        store.memory.changed = True
    return len(paths)


def _orphans(store: Store) -> list[Path]:
    """Return data files that no commit names, under the lock: whoever still writes one begins again."""
    store.refresh()
    known = {name.decode() for _, raw in log.read_from(store.root / "log", 1) for name in _FILE_ID.findall(raw)}
    loose = [path for path in (store.root / "files").glob("??/*.parquet") if path.stem not in known]
    old = time.time() - _WRITTEN
    loose += [path for path in (store.root / "tmp").iterdir() if path.lstat().st_mtime < old]
    return [path for path in loose if log.HEX32.fullmatch(path.stem) and not path.is_dir()]


# What is told.


def act(store: Store, erasure: Erasure) -> dict[str, Any]:
    """Return the act of an erasure, all of it from the log, and its SHA-256: that of the rest as JSON."""
    told: dict[str, Any] = {
        "client": " ".join(erasure.clients),
        "erased_at": erasure.at,
        "member": erasure.author,
        "commit": erasure.seq,
        "store": store.state.store,
        "books": " ".join(erasure.books),
        "files_rewritten": erasure.rewritten,
        "files_removed": len(erasure.files),
        **{f"{table}_removed": count for table, count in erasure.rows.items()},
    }
    return told | {"sha256": sha256(json.dumps(told, separators=(",", ":")).encode())}
