"""Cards: the public half of an identity, with the proof that its owner holds the private one, for one store."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from crmcli.errors import ConflictError, DamagedError, InputError, NoKeyError, RolledBackError, no_such_file
from crmcli.model.frozen import dataclass
from crmcli.storage import files, log
from crmcli.storage.genesis import member_json, member_of
from crmcli.storage.members import PROOF_LABEL, proof_message
from crmcli.storage.shapes import require_fields, signature_in

if TYPE_CHECKING:
    from pathlib import Path

    from crmcli.storage.genesis import Genesis
    from crmcli.storage.identity import Identity
    from crmcli.storage.keys import PublicKeys
    from crmcli.storage.members import Member

FORMAT = "crmcli-card/1"
# A card holds no secret, so whoever is to enrol its owner may read it where it lies.
_MODE = 0o644
_LIMIT = 1 << 16


@dataclass(frozen=True, slots=True)
class Card:
    """A member to be: id, public keys, and the proof of possession, 64 bytes, that goes into the log."""

    member: str
    keys: PublicKeys
    proof: bytes

    def require_keys_of(self, member: Member | None) -> None:
        """Raise NoKeyError if the log knows the card's member, and by other keys."""
        if member is not None and member.keys != member_json(self.member, self.keys):
            raise NoKeyError("the keys on the card are not those of the member it names")

    def addition(self, role: str) -> dict[str, Any]:
        """Return the change of a `members` commit that enrols the card's owner."""
        keys = member_json(self.member, self.keys)
        return {"action": "add", "member": self.member, "role": role, "keys": keys, "proof": self.proof.hex()}


def card_text(identity: Identity, genesis: Genesis) -> str:
    """Return the card of an identity for a store, one line of JSON.

    Raises: RolledBackError if the identity does not belong to the store.
    """
    if genesis.hash not in identity.stores:
        raise RolledBackError(
            "this identity does not belong to this store", "crmcli identity join FINGERPRINT ties it to the store"
        )
    return card_json(genesis.store, identity)


def card_json(store: str, identity: Identity) -> str:
    """Return the card of an identity for the store of that id, whether it belongs there or not."""
    public = identity.keys.public
    proof = identity.keys.sign(PROOF_LABEL, proof_message(store, identity.member, public))
    keys = member_json(identity.member, public)
    return json.dumps({"format": FORMAT, "store": store, "keys": keys, "proof": proof.hex()})


def parse_card(raw: bytes, store: str) -> Card:
    """Return the card in the bytes of a file, for the store of that id.

    Raises: InputError for what is no card; RolledBackError for another store's; DamagedError for keys that are none or
    of small order, and for a proof that does not hold.
    """
    try:
        document = log.parse_json(raw.strip())
        require_fields(document, "format", "store", "keys", "proof")
        require_fields(document["keys"], "member", "sign", "mlkem", "x25519")
        if document["format"] != FORMAT or not log.matches(log.HEX32, document["store"]):
            raise ValueError("another format")
        proof = signature_in(document["proof"])
        if document["store"] != store:
            raise RolledBackError(
                "the card is for another store", "its owner runs crmcli identity join for this one, then identity card"
            )
        member, keys = member_of(document["keys"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError("this is no card", "crmcli identity card prints one") from error
    except DamagedError as error:
        raise DamagedError("the keys on the card are of no use", "enrol nobody by it: ask for a new one") from error
    _try_keys(keys)
    if not keys.verify(PROOF_LABEL, proof_message(store, member, keys), proof):
        raise DamagedError(
            "the card's proof of possession is wrong", "somebody changed the card on its way: ask for it by another one"
        )
    return Card(member, keys, proof)


def _try_keys(keys: PublicKeys) -> None:
    """Raise DamagedError for keys to which nothing can be sealed, such as an X25519 key of small order."""
    try:
        keys.seal(b"", "card")
    except ValueError as error:
        raise DamagedError("the keys on the card are of no use", "enrol nobody by it: ask for a new one") from error


def read_card(path: Path, store: str) -> Card:
    """Return the card in a file, for the store of that id. Raises: InputError for no file; and as `parse_card` does."""
    try:
        raw, _ = files.read_regular(path, _LIMIT)
    except FileNotFoundError as error:
        raise no_such_file(path) from error
    except DamagedError as error:
        raise InputError(f"{path} is no card", "crmcli identity card prints one") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {(error.strerror or '').lower()}") from error
    return parse_card(raw, store)


def write_card(path: Path, text: str) -> None:
    """Write a card into a new file. Raises: ConflictError if there is one of that name already."""
    if os.path.lexists(path):
        raise ConflictError(f"there is a {path} already", "choose another name")
    with files.mapped("write the card"):
        files.write_new(path, f"{text}\n".encode(), _MODE)
