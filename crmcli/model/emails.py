"""E-mail addresses in one canonical form, so that the same one is found however it was typed."""

from __future__ import annotations

import re
import unicodedata

from crmcli.errors import InputError

LONGEST = 254

_LONGEST_LOCAL = 64
_PLAIN = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+").fullmatch
# No part of an address so short can be too long.
_PLAIN_LENGTH = 64
_NO_EMAIL = "not an e-mail address"
# Legal between quotes only, which nobody uses; in a cell they mean a list or "Name <address>".
_NOT_IN_ADDRESS = frozenset('<>()[],;:\\"')


def normalise_email(raw: str) -> str:
    """Return the address stripped, in NFC and in lower case, its domain casefolded.

    It has one @ with something on both sides, no spaces or invisible characters, and lengths within RFC 5321.
    Raises InputError, which never quotes the address.
    """
    # Cut before normalising, which costs more the longer the text; no address has a thousand spaces around it.
    if len(raw) > 2 * LONGEST:
        raise InputError(_NO_EMAIL)
    local, at, domain = unicodedata.normalize("NFC", raw.strip()).partition("@")
    # Changing the case can take apart what NFC put together.
    local = unicodedata.normalize("NFC", local.lower())
    domain = unicodedata.normalize("NFC", domain.casefold())
    address = local + at + domain
    whole = at and local and all(domain.split(".")) and "@" not in domain
    if not whole or len(address) > LONGEST or len(local) > _LONGEST_LOCAL or not all(map(_is_allowed, address)):
        raise InputError(_NO_EMAIL)
    return address


def plain_email(raw: str) -> str:
    """Return an address in one form, the plain ones without weighing each character."""
    return raw.lower() if len(raw) <= _PLAIN_LENGTH and _PLAIN(raw) else normalise_email(raw)


def _is_allowed(character: str) -> bool:
    return character not in _NOT_IN_ADDRESS and unicodedata.category(character)[0] not in "CZ"
