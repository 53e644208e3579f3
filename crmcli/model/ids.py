"""Record ids: 60 random bits inside, twelve characters of Crockford base32 outside, prefixes in conversation."""

from __future__ import annotations

BITS = 60
LENGTH = 12
SHORTEST = 6
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

_VALUES = {letter: value for value, letter in enumerate(ALPHABET)}
# The letters that Crockford's alphabet leaves out are read as the digits they look like.
_VALUES |= {"O": 0, "I": 1, "L": 1}


def encode_id(number: int) -> str:
    """Return the whole id, 12 characters, of a number in 1 .. 2**60 - 1."""
    return "".join(ALPHABET[number >> shift & 31] for shift in range(BITS - 5, -1, -5))


def decode_id(text: str) -> int | None:
    """Return the number behind a whole id in any letter case, or None if it is not one."""
    bounds = prefix_bounds(text)
    return bounds[0] if bounds and len(text) == LENGTH and bounds[0] else None


def prefix_bounds(text: str) -> tuple[int, int] | None:
    """Return the lowest and highest number whose id begins with `text`, or None if no id can."""
    if not 0 < len(text) <= LENGTH:
        return None
    number = 0
    for letter in text.upper():
        value = _VALUES.get(letter)
        if value is None:
            return None
        number = number << 5 | value
    free = BITS - 5 * len(text)
    return number << free, ((number + 1) << free) - 1


def short_id(number: int, *neighbours: int) -> str:
    """Return the shortest prefix of an id, at least 6 characters, that none of `neighbours` shares."""
    differing = max((BITS - (number ^ other).bit_length() for other in neighbours if other != number), default=0)
    return encode_id(number)[: max(SHORTEST, differing // 5 + 1)]
