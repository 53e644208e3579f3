"""An independent reader of a store, written from docs/reference/store-format.md alone: it shares no code with crmcli.

The tables are read from that page itself. Left out: passphrases, pins and caches, drops.
"""

import base64
import json
import os
import re
import stat
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PrivateKey, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pyarrow.parquet.encryption import create_decryption_properties

Row = dict[str, Any]

PAGE = (Path(__file__).parents[1] / "docs/reference/store-format.md").read_text("utf-8")
GROUPS = {"member": {"facts", "personal"}, "inbox": {"facts", "personal"}, "company": {"company"}}
TEXTS = {
    "id": "(?!0{12})[0-9A-HJKMNP-TV-Z]{12}",
    "hex16": "[0-9a-f]{32}",
    "hash": "[0-9a-f]{64}",
    "signature": "[0-9a-f]{128}",
    "word": "[a-z][a-z_-]{0,31}",
    "instant": r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z",
    "group": "facts|personal|company",
    "kind": "insert|upsert|delete|history",
    "book-kind": "member|company|inbox",
    "role": "admin|manager|lead|analyst|service",
    "right": "export|erase",
    "type": "data|compact|members|keys|grant|grant-use|transfer|erase|restore",
}
NUMBERS = {"count": range(2**53), "from-1": range(1, 2**53), "one": range(1, 2)}
BYTES = {"mlkem": 1184, "wrap": 1168, "sealed": 12 + 96 + 16}  # the length of what the base64 says
OBJECTS = {  # each the forms that it may have; `*` is a list, `?` may be null, a quoted text is just that
    "genesis": ["format=one store=hex16 created_at=instant founder=public recovery=public"],
    "public": ["member=id sign=hash mlkem=mlkem x25519=hash"],
    "file": [
        "file_id=hex16 book=id table=word group=group epoch=from-1 kind=kind rows=from-1 bytes=count sha256=hash"
        " min=instant? max=instant?"
    ],
    "change": [
        "action='add' member=id role=role keys=public proof=signature",
        "action='role' member=id role=role",
        "action='allow' member=id read=id* personal=id* dispatcher=flag",
        "action='remove' member=id",
    ],
    "book": ["book=id kind=book-kind owner=id? epoch=from-1 keys=key* drop=drop?"],
    "key": ["group=group key_id=hex16 wraps=wrapped*"],
    "wrapped": ["member=id wrap=wrap"],
    "drop": ["mlkem=mlkem x25519=hash sealed=sealed"],
    "grant": [
        "action='give' grant=id to=id right=right books=id*? columns=word*? max_rows=count? expires=instant once=flag",
        "action='revoke' grant=id",
    ],
    "use": ["grant=id? right=right books=id* rows=count sha256=hash"],
    "transfer": ["from=id to=id clients=id*"],
    "erase": ["clients=id* files=hex16*"],
    "restore": ["seq=count hash=hash"],
    "commit": [
        "store=hex16 seq=from-1 prev=hash op_id=hex16 author=id at=instant type=type schema=from-1 add=file* drop=hex16*"
        + own
        for own in ("", *(f" {name}={name}" for name in ("grant", "use", "transfer", "erase", "restore")))
    ]
    + [],
}
OWN_FIELD = {"members": "members=change*", "keys": "books=book*", "grant": "grant=grant", "grant-use": "use=use"}


class Refused(Exception):  # noqa: N818 - the page's word
    """What a reader must reject."""


def need(holds: object, what: str) -> None:
    if not holds:
        raise Refused(what)
