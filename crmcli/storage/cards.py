"""Cards: the public half of a member in a file, proven; and files sealed so that only its holder opens them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from crmcli.errors import CrmError, DamagedError, InputError, NoKeyError, NotPermittedError, RolledBackError
from crmcli.model.frozen import dataclass
from crmcli.storage import files, log
from crmcli.storage.genesis import member_json, member_of
from crmcli.storage.keys import PublicKeys
from crmcli.storage.members import PROOF_LABEL, proof_message
from crmcli.storage.shapes import signature_in

if TYPE_CHECKING:
    from pathlib import Path

    from crmcli.storage.identity import Identity
    from crmcli.storage.state import State

CARD_FORMAT = "crmcli-card/1"
SEALED_FORMAT = "crmcli-sealed/1"
SEALED_LABEL = "crmcli/export/v1"
_LARGEST_CARD = 1 << 16
_LARGEST_SEALED = 1 << 31
_LONGEST_HEADER = 1 << 10


@dataclass(frozen=True, slots=True)
class Card:
    """The public half of somebody's identity, made for one store."""

    store: str
    member: str
    keys: PublicKeys


def card_json(store: str, identity: Identity) -> bytes:
    """Return the card of an identity for a store, with the proof that its maker holds the private half."""
    public = identity.keys.public
    proof = identity.keys.sign(PROOF_LABEL, proof_message(store, identity.member, public))
    keys = member_json(identity.member, public)
    document = {"format": CARD_FORMAT, "store": store, "keys": keys, "proof": proof.hex()}
    return (json.dumps(document, indent=1) + "\n").encode()


def read_card(path: Path) -> Card:
    """Read a card. Raises: InputError for what is none; DamagedError for keys that are weak or not its maker's."""
    try:
        document = log.parse_json(_read(path, _LARGEST_CARD))
        if tuple(document) != ("format", "store", "keys", "proof") or document["format"] != CARD_FORMAT:
            raise ValueError("not a card")
        if not log.matches(log.HEX32, document["store"]):
            raise ValueError("not a store")
        member, keys = member_of(document["keys"])
        proof = signature_in(document["proof"])
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path.name} is no card", "crmcli identity card makes one") from error
    if not keys.verify(PROOF_LABEL, proof_message(document["store"], member, keys), proof):
        raise DamagedError(f"the proof on the card {path.name} is wrong", "its maker has to make it anew")
    return Card(document["store"], member, keys)


def _read(path: Path, limit: int) -> bytes:
    try:
        return files.read_regular(path, limit)[0]
    except FileNotFoundError as error:
        raise InputError(f"no such file: {path}") from error
    except OSError as error:
        raise CrmError(f"{path.name} cannot be read: {(error.strerror or '').lower()}") from error


def check_recipient(state: State, card: Card) -> None:
    """Check that a card was made for the store and fits what its log says of the member, if it is one.

    Raises: RolledBackError, NoKeyError, NotPermittedError.
    """
    if card.store != state.store:
        raise RolledBackError("the card was made for another store")
    member = state.members.get(card.member)
    if member is not None and member.keys != member_json(card.member, card.keys):
        raise NoKeyError("the keys on the card are not those of the member it names")
    if member is not None and not member.active:
        raise NotPermittedError("the card is of somebody who is no member any more")


def seal_for(card: Card, content: bytes) -> bytes:
    """Return a file that only the card's holder opens: a line of JSON, then what HPKE makes of the content.

    Raises: DamagedError for keys to which nothing can be sealed.
    """
    header = {"format": SEALED_FORMAT, "store": card.store, "member": card.member}
    try:
        sealed = card.keys.seal(content, card.store, card.member, label=SEALED_LABEL)
    except ValueError as error:
        raise DamagedError("a public key is malformed") from error
    return json.dumps(header, separators=(",", ":")).encode() + b"\n" + sealed


def open_sealed(path: Path, identity: Identity) -> bytes:
    """Return what was sealed for this identity.

    Raises: InputError for what is no sealed file, NoKeyError for somebody else's, DamagedError if it was changed.
    """
    line, _, sealed = _read(path, _LARGEST_SEALED).partition(b"\n")
    try:
        header = log.parse_json(line[:_LONGEST_HEADER])
        if tuple(header) != ("format", "store", "member") or header["format"] != SEALED_FORMAT:
            raise ValueError("not sealed")
        if not log.matches(log.HEX32, header["store"]) or not log.matches(log.ID, header["member"]):
            raise ValueError("not sealed for anybody")
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path.name} is no sealed file", "crmcli export --encrypt-to makes one") from error
    if header["member"] != identity.member:
        raise NoKeyError("the file is sealed for somebody else")
    try:
        return identity.keys.open(sealed, header["store"], header["member"], label=SEALED_LABEL)
    except NoKeyError as error:
        raise DamagedError("the file does not open: it was changed, or sealed for other keys of yours") from error
