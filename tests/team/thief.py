"""A thief: somebody with an identity file and a copy of a store, who keeps to no rule of the program."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe

from crmcli.errors import NoKeyError
from crmcli.storage import log
from crmcli.storage.genesis import unb64
from crmcli.storage.identity import Identity
from crmcli.storage.keyring import DROP_LABEL
from crmcli.storage.keys import SEED_SIZE, FileAddress, KeyPair, open_under


def commits(root: Path) -> Iterator[dict[str, Any]]:
    for _, raw in log.read_from(root / "log", 1):
        yield json.loads(raw.partition(b"\n")[0])


def unwrapped(root: Path, identity: Identity) -> list[bytes]:
    """Every book key that private keys open anywhere in the log: their own, and those of drops, whoever's they are."""
    found: list[bytes] = []
    pairs = [identity.keys]
    for commit in commits(root):
        for book in commit.get("books", ()):
            place = (commit["store"], book["book"])
            for key in book["keys"]:
                for wrap in key["wraps"]:
                    context = (*place, key["group"], str(book["epoch"]), wrap["member"])
                    found += _opened(pairs, unb64(wrap["wrap"]), context)
            if book["drop"]:
                pairs += _drop_pairs(found, book["drop"]["sealed"], "|".join((*place, str(book["epoch"]))))
    return list(dict.fromkeys(found))


def _opened(pairs: list[KeyPair], sealed: bytes, context: tuple[str, ...]) -> Iterator[bytes]:
    for pair in pairs:
        try:
            yield pair.open(sealed, *context)
        except NoKeyError:
            continue


def _drop_pairs(keys: list[bytes], sealed: str, context: str) -> Iterator[KeyPair]:
    for key in keys:
        try:
            private = open_under(key, DROP_LABEL, context, unb64(sealed))
        except NoKeyError:
            continue
        yield KeyPair(bytes(SEED_SIZE - len(private)) + private)


def readable(root: Path, keys: list[bytes]) -> dict[str, list[dict[str, Any]]]:
    """Every file still in the store that one of the keys decrypts, whatever the log says it is under: id -> rows."""
    found = {}
    for commit in commits(root):
        for entry in commit["add"]:
            place = (commit["store"], entry["book"], entry["table"], entry["group"], entry["epoch"], entry["file_id"])
            path = root / "files" / entry["file_id"][:2] / f"{entry['file_id']}.parquet"
            for key in keys if path.exists() else ():
                rows = _decrypted(path.read_bytes(), FileAddress(*place), key)
                if rows is not None:
                    found[entry["file_id"]] = rows
    return found


def _decrypted(raw: bytes, address: FileAddress, key: bytes) -> list[dict[str, Any]] | None:
    try:
        properties = pe.create_decryption_properties(address.key(key), aad_prefix=address.aad())
        rows: list[dict[str, Any]] = pq.ParquetFile(BytesIO(raw), decryption_properties=properties).read().to_pylist()
    except (OSError, ValueError):
        return None
    return rows
