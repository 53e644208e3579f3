"""Sealing: files that only the holder of a card opens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from crmcli.errors import CrmError, DamagedError, InputError, NoKeyError, NotPermittedError, no_such_file
from crmcli.storage import files, log

if TYPE_CHECKING:
    from pathlib import Path

    from crmcli.storage.cards import Card
    from crmcli.storage.identity import Identity
    from crmcli.storage.state import State

SEALED_FORMAT = "crmcli-sealed/1"
SEALED_LABEL = "crmcli/export/v1"
_LARGEST_SEALED = 1 << 31
_LONGEST_HEADER = 1 << 10


def _read(path: Path, limit: int) -> bytes:
    try:
        return files.read_regular(path, limit)[0]
    except FileNotFoundError as error:
        raise no_such_file(path) from error
    except OSError as error:
        raise CrmError(f"{path.name} cannot be read: {(error.strerror or '').lower()}") from error


def check_recipient(state: State, card: Card) -> None:
    """Check that a card fits what the log says of the member, if it is one. Raises: NoKeyError, NotPermittedError."""
    member = state.members.get(card.member)
    card.require_keys_of(member)
    if member is not None and not member.active:
        raise NotPermittedError("the card is of somebody who is no member any more")


def seal_for(card: Card, store: str, content: bytes) -> bytes:
    """Return a file that only the card's holder opens: a line of JSON, then what HPKE makes of the content."""
    header = {"format": SEALED_FORMAT, "store": store, "member": card.member}
    sealed = card.keys.seal(content, store, card.member, label=SEALED_LABEL)
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
