"""The genesis of a store: its id and its first two admins, the founder and the recovery key, self-signed."""

from __future__ import annotations

import base64
from typing import Any

from crmcli.errors import DamagedError, NoStoreError
from crmcli.model.frozen import dataclass
from crmcli.storage import log
from crmcli.storage.keys import KeyPair, PublicKeys

MAX_GENESIS = 1 << 16
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Genesis:
    """What `genesis.json` says; `hash` names the store to identities, pins and caches."""

    store: str
    created_at: str
    founder: str
    founder_keys: PublicKeys
    recovery: str
    recovery_keys: PublicKeys
    hash: str

    @classmethod
    def parse(cls, raw: bytes) -> Genesis:
        """Return the genesis in the bytes of its file. Raises: DamagedError."""
        try:
            line, signatures = log.split_lines(raw, 2)
            document = log.parse_json(line)
            if tuple(document) != ("format", "store", "created_at", "founder", "recovery"):
                raise ValueError("its fields are not those of a genesis")
            if log.is_count(document["format"]) and document["format"] > FORMAT:
                raise NoStoreError("the store was made by a newer crmcli", "upgrade the program")
            if document["format"] != FORMAT:
                raise ValueError("its format is none")
            (founder, founder_keys), (recovery, recovery_keys) = (
                member_of(document[role]) for role in ("founder", "recovery")
            )
            if not log.matches(log.HEX32, document["store"]) or not log.is_stamp(document["created_at"]):
                raise ValueError("its id or time is malformed")
        except (ValueError, TypeError, KeyError) as error:
            raise DamagedError("genesis.json is damaged", "put it back from a backup") from error
        for keys, signature in zip((founder_keys, recovery_keys), signatures, strict=True):
            if not keys.verify(log.GENESIS_LABEL, line, signature):
                raise DamagedError("genesis.json is damaged: a signature is wrong", "put it back from a backup")
        return cls(
            document["store"],
            document["created_at"],
            founder,
            founder_keys,
            recovery,
            recovery_keys,
            log.digest(raw),
        )


def found(store: str, created_at: str, founder: tuple[str, KeyPair], recovery: tuple[str, KeyPair]) -> bytes:
    """Return the bytes of the genesis of a new store, signed by both admins."""
    document = {
        "format": FORMAT,
        "store": store,
        "created_at": created_at,
        "founder": member_json(founder[0], founder[1].public),
        "recovery": member_json(recovery[0], recovery[1].public),
    }
    return log.signed_lines(document, (founder[1], recovery[1]), log.GENESIS_LABEL)


def member_json(member: str, keys: PublicKeys) -> dict[str, str]:
    """Return a member's id and public keys as the log writes them."""
    return {"member": member, "sign": keys.sign.hex(), "mlkem": b64(keys.mlkem), "x25519": keys.x25519.hex()}


def member_of(document: Any) -> tuple[str, PublicKeys]:
    """Return id and public keys from what `member_json` wrote. Raises: ValueError, TypeError, DamagedError."""
    member, sign, mlkem, x25519 = (document[name] for name in ("member", "sign", "mlkem", "x25519"))
    if not log.matches(log.ID, member) or tuple(document) != ("member", "sign", "mlkem", "x25519"):
        raise ValueError("a member is malformed")
    keys = PublicKeys(bytes.fromhex(sign), unb64(mlkem), bytes.fromhex(x25519))
    keys.check()
    if member_json(member, keys) != document:
        raise ValueError("a member's keys are not in their one form")
    return member, keys


def b64(content: bytes) -> str:
    """Return bytes as base64 text."""
    return base64.b64encode(content).decode()


def unb64(text: Any) -> bytes:
    """Return the bytes behind canonical base64 text. Raises: ValueError."""
    if not isinstance(text, str):
        raise TypeError("base64 is text")
    content = base64.b64decode(text, validate=True)
    if b64(content) != text:
        raise ValueError("base64 is not canonical")
    return content
