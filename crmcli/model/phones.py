"""Phone numbers in any form people write, as one canonical E.164 string."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from crmcli.errors import InputError

_LONGEST = 64
_MIN_CLIENT_DIGITS = 7
_NO_PHONE = ("not a phone number", "write it as it is dialled, or with + and the code of its country")

# Deleted before anything is judged: ASCII and typographic punctuation of phones, spaces, and the invisible marks
# that address books paste around numbers.
_PUNCTUATION = (
    " -.()/\t"
    "\u00a0\u2002\u2003\u2007\u2009\u200a\u202f\u205f\u3000"
    "\u00ad\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u30fc\uff0d\u2060\u200b"
    "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
    "\uff08\uff09\uff0e\uff0f"
)
_BARE = dict.fromkeys(map(ord, _PUNCTUATION)) | {0xFF0B: "+"}

# Every number of Russia has ten figures, the first of them 3, 4, 8 or 9; 8 and 7 are the two ways to begin one at home.
# What begins with 810 is a call abroad.
_RUSSIAN = re.compile(r"(?!810)(?:\+7|[78])?([3489][0-9]{9})").fullmatch
_EXTENSION = r"(?<=[0-9). ,;])[ ,;.(]*(?:доб(?:авочный)?|вн(?:утр)?|ext(?:n|ension)?|[xх#])[ .:=#]*[0-9]{1,6}[ .)]*$"
_LABEL = r"^(?:tel|тел)[ .:]*"


class _Numbering(NamedTuple):
    """What the library knows of a country's numbers: enough to answer for it in the plain cases."""

    code: str
    idd: re.Pattern[str] | None
    prefix: re.Pattern[str] | None
    has_plain_prefix: bool
    whole: re.Pattern[str]
    lengths: frozenset[int]


def normalise_phone(raw: str, region: str) -> str:
    """Return the E.164 form, such as +79001234567, of a number dialled from `region` (ISO 3166 alpha-2, upper case).

    A number is one if its length is possible in its country; whether it was ever assigned is not asked. An extension
    is left out. Raises InputError, which never quotes the number.
    """
    if len(raw) > _LONGEST:
        raise InputError(*_NO_PHONE)
    # Loading the library costs more than all else that a short command does.
    if region == "RU" and (found := _RUSSIAN(raw)):
        return "+7" + found[1]
    bare = raw.translate(_BARE)
    if region == "RU" and (found := _RUSSIAN(bare)):
        return "+7" + found[1]
    figures = _figures(raw, bare)
    if region == "RU" and (found := _RUSSIAN(figures)):
        return "+7" + found[1]
    return _by_numbering(figures, region) or _by_library(figures, region)


def looks_like_phone(text: str) -> bool:
    """Tell cheaply whether text may be a phone: at least seven figures, and nothing but figures and punctuation."""
    if len(text) > _LONGEST:
        return False
    figures = text.strip().translate(_BARE).removeprefix("+")
    return len(figures) >= _MIN_CLIENT_DIGITS and figures.isdecimal()


def _figures(raw: str, bare: str) -> str:
    """Return the number in ASCII figures with its plus sign, without its label and extension."""
    if not bare.removeprefix("+").isdecimal():
        text = re.sub(_LABEL, "", raw.strip().lower())
        bare = re.sub(_EXTENSION, "", text).strip().translate(_BARE)
    plus = "+" if bare.startswith("+") else ""
    figures = bare.removeprefix("+")
    if not figures.isdecimal():
        raise InputError(*_NO_PHONE)
    return plus + (figures if figures.isascii() else "".join(str(int(figure)) for figure in figures))


def _by_numbering(figures: str, region: str) -> str | None:
    """Answer as the library would, ten times faster, where that takes a prefix and a length; else None."""
    if figures.startswith("+"):
        numbering = _of_code(figures[1:4])
        national = figures[1 + len(numbering.code) :] if numbering else ""
    else:
        numbering, national = _of_region(region), figures
        # It may begin with the own country's code or lead abroad, which only the library weighs up.
        if numbering and (figures.startswith(numbering.code) or (numbering.idd and numbering.idd.match(figures))):
            return None
    if numbering is None:
        return None
    if numbering.prefix and (found := numbering.prefix.match(national)):
        if not numbering.has_plain_prefix or numbering.whole.fullmatch(national):
            return None
        national = national[found.end() :]
    return f"+{numbering.code}{national}" if len(national) in numbering.lengths else None


@lru_cache(maxsize=1024)
def _of_code(beginning: str) -> _Numbering | None:
    """Return the numbering of the country whose code (one to three figures) the number begins with."""
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

    for size in (1, 2, 3):
        regions = COUNTRY_CODE_TO_REGION_CODE.get(int(beginning[:size]))
        if regions and not beginning.startswith("0"):
            return _of_region(regions[0])
    return None


@lru_cache(maxsize=256)
def _of_region(region: str) -> _Numbering | None:
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

    known = PhoneMetadata.metadata_for_region(region, None)
    if known is None or known.country_code is None or known.general_desc is None:
        return None
    # Where countries share a code, the library judges the length of all numbers by the first of them.
    first = COUNTRY_CODE_TO_REGION_CODE[known.country_code][0]
    prefix = re.compile(known.national_prefix_for_parsing) if known.national_prefix_for_parsing else None
    return _Numbering(
        code=str(known.country_code),
        idd=re.compile(known.international_prefix) if known.international_prefix else None,
        prefix=prefix,
        has_plain_prefix=prefix is not None and not prefix.groups and not known.national_prefix_transform_rule,
        whole=re.compile(known.general_desc.national_number_pattern or ""),
        lengths=_lengths(region) & _lengths(first),
    )


def _lengths(region: str) -> frozenset[int]:
    from phonenumbers import PhoneMetadata

    known = PhoneMetadata.metadata_for_region(region, None)
    return frozenset(known.general_desc.possible_length if known and known.general_desc else ())


def _by_library(figures: str, region: str) -> str:
    from phonenumbers import (
        NumberParseException,
        ValidationResult,
        is_possible_number_with_reason,
        national_significant_number,
        parse,
    )

    try:
        number = parse(figures, region)
    except NumberParseException:
        raise InputError(*_NO_PHONE) from None
    # A number that is only dialled within its town has no E.164 form, so "possible, locally" is not enough.
    if is_possible_number_with_reason(number) != ValidationResult.IS_POSSIBLE:
        raise InputError(*_NO_PHONE)
    return f"+{number.country_code}{national_significant_number(number)}"
