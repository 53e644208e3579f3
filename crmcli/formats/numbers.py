"""Reads amounts of money as people and their programs write them."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Literal

from crmcli.errors import InputError

_PLAIN = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,2})?")
_CURRENCY = r"(?:[₽$€]|руб\.?|р\.)?"
_AMOUNT = re.compile(rf"{_CURRENCY} *([-+−]?) *{_CURRENCY} *([0-9.,' ]*[0-9]) *{_CURRENCY}", re.IGNORECASE)
_BLANKS = str.maketrans(dict.fromkeys("\xa0\u202f\u2009\t", " ") | {"’": "'"})
_CENT = Decimal("0.01")
_LONGEST = 64
_DIGITS = 16


def parse_amount(text: str, decimal: Literal[".", ","] | None = None) -> Decimal:
    """Return the amount with two decimals: `1 234,56`, `1,234.56`, `-5`, `(5.00)` for -5, with or without `₽ $ € руб.`.

    `decimal` is the decimal sign; with None it is found out from the text, and an amount with two readings, such as
    `1,234`, is refused. So are more than two decimals unless the rest is 0, exponents, and 10^16 or more.
    Raises: InputError.
    """
    if decimal != "," and _PLAIN.fullmatch(text):
        return _without_minus_zero(Decimal(text).quantize(_CENT))
    text = text.translate(_BLANKS).strip()
    if not text:
        raise InputError("an amount is empty")
    negative = text.startswith("(") and text.endswith(")")
    found = _AMOUNT.fullmatch(text[1:-1].strip() if negative else text) if len(text) <= _LONGEST else None
    if found is None or (negative and found[1]):
        raise InputError("an amount is not a number")
    whole, cents = _cut(found[2], decimal or _decimal_sign(found[2]))
    if cents.rstrip("0")[2:]:
        raise InputError("an amount has more than two decimals")
    if len(whole.lstrip("0")) > _DIGITS:
        raise InputError("an amount is too large")
    sign = "-" if negative or found[1] in {"-", "−"} else ""
    return _without_minus_zero(Decimal(f"{sign}{whole or 0}.{cents[:2]:0<2}"))


def _decimal_sign(digits: str) -> str:
    marks = [char for char in digits if char in ".,"]
    if not marks:
        return "."
    last = marks[-1]
    other = "," if last == "." else "."
    if len(marks) == 1:
        if re.fullmatch(r"[1-9][0-9]{0,2}[.,][0-9]{3}", digits):
            raise InputError(
                "an amount could be read in two ways: 1,234 may be a thousand or one and a bit",
                'name the decimal sign in the map file: decimal = "." or ","',
            )
        return last
    return other if set(marks) == {last} else last


def _cut(digits: str, decimal: str) -> tuple[str, str]:
    """Return the digits before and after the decimal sign; what groups them has to group by three, and is one sign."""
    whole, _, cents = digits.partition(decimal)
    grouped = re.fullmatch(r"[0-9]{1,3}(?:([.,' ])[0-9]{3}(?:\1[0-9]{3})*)?|[0-9]+|", whole)
    if grouped is None or not re.fullmatch(r"[0-9]*", cents):
        raise InputError("an amount is not a number")
    return re.sub(r"[^0-9]", "", whole), cents


def _without_minus_zero(amount: Decimal) -> Decimal:
    return amount or abs(amount)
