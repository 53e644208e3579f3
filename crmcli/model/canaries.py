"""Canaries: plausible people who do not exist, and how to tell them in a list that got out.

A canary's phone rings nowhere: it is in a range that the regulator keeps for films or has assigned to nobody, unless
the company gives one of its own. An e-mail it has only at a domain that the company names, for any other may be
somebody's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from crmcli.errors import InputError
from crmcli.model import canary_words as words
from crmcli.model.capture import Introduction
from crmcli.model.emails import normalise_email
from crmcli.model.frozen import dataclass
from crmcli.model.ids import ALPHABET

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from random import Random

# Russia: area codes of the numbering plan that no area has. Others: what regulators keep for films and books; # is any
# figure. Ofcom, North American Numbering Plan, Bundesnetzagentur, Arcep, Post- och telestyrelsen, ComReg, ACMA.
_RUSSIAN_AREAS = ("344", "348", "476", "488", "497", "819", "849", "874")
_FOR_FILMS = {
    "GB": ("+44 7700 900###",),
    "US": tuple(f"+1 {area} 555-01##" for area in ("202", "312", "415", "617", "713")),
    "CA": tuple(f"+1 {area} 555-01##" for area in ("416", "514", "604", "613")),
    "DE": ("+49 30 23125###", "+49 40 66969###", "+49 69 90009###", "+49 89 99998###", "+49 221 4710###"),
    "FR": tuple(f"+33 {area} ## ##" for area in ("1 99 00", "2 61 91", "3 53 01", "4 65 71", "5 36 49", "6 39 98")),
    "SE": ("+46 8 465 004 ##", "+46 31 390 06 ##", "+46 40 628 04 ##"),
    "IE": ("+353 20 91# ####",),
    "AU": tuple(f"+61 {area} {block} ####" for area in "2378" for block in ("5550", "7010")),
}
_TRIES = 500
_UNGUESSABLE = 8

# What people write between the figures of a phone, and what cannot be seen.
_BETWEEN = dict.fromkeys(map(ord, " ().-_/'\u00a0\u00ad\u2007\u2009\u2010\u2011\u2012\u2013\u2014\u202f\u200b\u2060"))
_HIDDEN = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff"))
_EXPONENT = re.compile(r"(?<![0-9])([0-9])[.,]([0-9]{7,14})e\+?(1[0-4])(?![0-9])")
# A name counts with the company near it: names repeat, and so do companies.
_NEAR = 300
_FEWEST_FIGURES = 7


@dataclass(frozen=True, slots=True)
class Sign:
    """By what a canary is known in a text: figures of phones without the country's code, e-mails, names, companies."""

    client_id: int
    figures: tuple[str, ...]
    emails: tuple[str, ...]
    names: tuple[tuple[str, str], ...]


def invent(random: Random, region: str, domain: str | None = None, phone: str | None = None) -> Introduction:
    """Return somebody who does not exist: with a phone as given or that rings nowhere, with an e-mail at a domain.

    `random` needs 60 bits that nobody can guess. Raises: InputError for what is no domain.
    """
    name, latin, company = _russian(random) if region == "RU" else _english(random)
    emails: tuple[str, ...] = ()
    if domain is not None:
        secret = "".join(random.choice(ALPHABET).lower() for _ in range(_UNGUESSABLE))
        given, _, family = latin.lower().partition(" ")
        emails = (normalise_email(f"{given[0]}.{family}.{secret}@{domain.removeprefix('@')}"),)
    return Introduction(name, (phone or silent_phone(random, region),), emails, company)


def _russian(random: Random) -> tuple[str, str, str]:
    is_woman = random.random() < 0.5  # noqa: PLR2004
    given = random.choice(words.RUSSIAN_WOMEN if is_woman else words.RUSSIAN_MEN).split()
    family = random.choice(words.RUSSIAN_FAMILIES).split()
    if is_woman:
        family = [family[0] + "а", family[1] + "a"]
    company = random.choice(words.RUSSIAN_COMPANIES) + random.choice(words.RUSSIAN_ENDINGS)
    return f"{given[0]} {family[0]}", f"{given[1]} {family[1]}", f"ООО {company}"


def _english(random: Random) -> tuple[str, str, str]:
    name = f"{random.choice(words.ENGLISH_GIVEN)} {random.choice(words.ENGLISH_FAMILIES)}"
    return name, name, f"{random.choice(words.ENGLISH_COMPANIES)} {random.choice(words.ENGLISH_ENDINGS)}"


def silent_phone(random: Random, region: str) -> str:
    """Return a phone of a region, as it may be typed, that is nobody's. Raises: InputError where none is known."""
    if region == "RU":
        return _filled(random, f"+7 {random.choice(_RUSSIAN_AREAS)} {random.choice('234567')}##-##-##")
    if region in _FOR_FILMS:
        return _filled(random, random.choice(_FOR_FILMS[region]))
    return _unassigned(random, region)


def _filled(random: Random, pattern: str) -> str:
    return "".join(random.choice("0123456789") if letter == "#" else letter for letter in pattern)


def _unassigned(random: Random, region: str) -> str:
    """Return a number as like the region's mobile ones, or others, as may be, and in no range that it assigned."""
    from phonenumbers import (
        PhoneNumber,
        PhoneNumberType,
        ValidationResult,
        example_number,
        example_number_for_type,
        is_possible_number_with_reason,
        is_valid_number,
    )

    examples = (example_number_for_type(region, PhoneNumberType.MOBILE), example_number(region))
    for code, shape in ((e.country_code, str(e.national_number)) for e in examples if e is not None):
        # The fewer figures are left as they are, the more ranges come into question.
        for kept in range(len(shape) - 4, -1, -1):
            for _ in range(_TRIES):
                national = int(_filled(random, shape[:kept] + "#" * (len(shape) - kept)))
                number = PhoneNumber(country_code=code, national_number=national)
                is_possible = is_possible_number_with_reason(number) == ValidationResult.IS_POSSIBLE
                if is_possible and not is_valid_number(number):
                    return f"+{code}{national}"
    raise InputError(f"no numbers are known that {region} has assigned to nobody", "give numbers of your own: --phone")


def sign_of(client_id: int, contacts: Iterable[tuple[str, str | None, Sequence[str], Sequence[str]]]) -> Sign:
    """Return the sign of a canary of whom there are, or were, contacts (name, company, E.164 phones, e-mails)."""
    known = list(contacts)
    figures = {_figures(phone) for *_, phones, _ in known for phone in phones}
    return Sign(
        client_id,
        tuple(sorted(number for number in figures if len(number) >= _FEWEST_FIGURES)),
        tuple(sorted({_folded(email) for *_, emails in known for email in emails})),
        tuple(sorted({(_folded(name), _folded(company)) for name, company, *_ in known if name and company})),
    )


def _figures(phone: str) -> str:
    """Return the figures of a phone without the code of its country; the owner of the book may have made it none."""
    from phonenumbers import NumberParseException, parse

    try:
        return str(parse(phone).national_number)
    except NumberParseException:
        return "".join(figure for figure in phone if figure.isdecimal())


def signs_in(text: str, signs: Iterable[Sign]) -> dict[int, set[str]]:
    """Return by what each canary is found in a text: phone in any spelling, e-mail, name beside the company."""
    folded = _folded(text)
    figures = folded.translate(_BETWEEN)
    figures += "".join(f" {a}{b[: int(size)].ljust(int(size), '0')}" for a, b, size in _EXPONENT.findall(folded))
    found: dict[int, set[str]] = {}
    for sign in signs:
        by = {
            "phone": any(number in figures for number in sign.figures),
            "e-mail": any(email in folded for email in sign.emails),
            "name and company": any(_stand_together(folded, *pair) for pair in sign.names),
        }
        if any(by.values()):
            found[sign.client_id] = {name for name, is_there in by.items() if is_there}
    return found


def _stand_together(text: str, name: str, company: str) -> bool:
    """Say whether all words of the name stand near the company, in any order; a form such as ООО may be left out."""
    core = company.removeprefix("ооо ")
    parts = name.split()
    at = text.find(core)
    while at >= 0:
        near = text[max(0, at - _NEAR) : at + len(core) + _NEAR]
        if all(re.search(rf"\b{re.escape(part)}\b", near) for part in parts):
            return True
        at = text.find(core, at + 1)
    return False


def _folded(text: str) -> str:
    """Return a text as texts are compared: composed, in small letters, ё as е, without what cannot be seen."""
    if not text.isascii():
        from unicodedata import normalize

        text = normalize("NFKC", text).translate(_HIDDEN).replace("\u0301", "")
    return text.lower().replace("ё", "е")
