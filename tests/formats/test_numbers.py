"""Amounts as people write them; what could be read in two ways is refused, never guessed."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmcli.errors import InputError
from crmcli.formats.numbers import parse_amount

Sign = Literal[".", ","] | None


@pytest.mark.parametrize(
    ("text", "decimal", "amount"),
    [
        ("5", None, "5.00"),
        ("-5", None, "-5.00"),
        ("−5,5", None, "-5.50"),
        ("+5.50", None, "5.50"),
        ("(5.00)", None, "-5.00"),
        ("( $5.00 )", None, "-5.00"),
        ("-0", None, "0.00"),
        ("(0)", ",", "0.00"),
        ("0011.77", None, "11.77"),
        (".5", None, "0.50"),
        (",5", ",", "0.50"),
        ("1 234,56", None, "1234.56"),
        ("1\xa0234\xa0567,5", None, "1234567.50"),
        ("1\u202f234,56 ₽", ",", "1234.56"),
        ("1,234.56", None, "1234.56"),
        ("1.234,56", None, "1234.56"),
        ("1,234,567", None, "1234567.00"),
        ("1.234.567", None, "1234567.00"),
        ("1'234.50", None, "1234.50"),
        ("1’234.50", ".", "1234.50"),
        ("1,234", ".", "1234.00"),
        ("1.234", ",", "1234.00"),
        ("1,50", None, "1.50"),
        ("12,5000", None, "12.50"),
        ("0,500", None, "0.50"),
        ("1234.500", None, "1234.50"),
        ("$1,234.56", None, "1234.56"),
        ("-$5", None, "-5.00"),
        ("€ -5", None, "-5.00"),
        ("100 руб.", None, "100.00"),
        ("100,50руб", None, "100.50"),
        ("99 Р.", None, "99.00"),
        ("9999999999999999.99", None, "9999999999999999.99"),
        ("  7\t", None, "7.00"),
    ],
)
def test_amounts_are_read(text: str, decimal: Sign, amount: str) -> None:
    assert str(parse_amount(text, decimal)) == amount


@pytest.mark.parametrize(
    ("text", "decimal", "said"),
    [
        ("", None, "is empty"),
        (" \xa0", None, "is empty"),
        ("1,234", None, "two ways"),
        ("12.345", None, "two ways"),
        ("1.005", ".", "more than two decimals"),
        ("1 234,567", None, "more than two decimals"),
        ("1234.56", ",", "not a number"),
        ("12,34", ".", "not a number"),
        ("1,23,456.00", ".", "not a number"),
        ("1 234'567", None, "not a number"),
        ("1 2", None, "not a number"),
        ("1.2.3", None, "not a number"),
        ("1.234,567,890", None, "not a number"),
        ("5.", None, "not a number"),
        ("1e3", None, "not a number"),
        ("1E+3", ".", "not a number"),
        ("inf", None, "not a number"),
        ("NaN", None, "not a number"),
        ("0x10", None, "not a number"),
        ("1_000", None, "not a number"),
        ("٣", None, "not a number"),
        ("１２", None, "not a number"),
        ("--5", None, "not a number"),
        ("(-5)", None, "not a number"),
        ("(5", None, "not a number"),
        ("()", None, "not a number"),
        ("5 £", None, "not a number"),
        ("руб.", None, "not a number"),
        ("5\n", ",", None),
        ("10000000000000000", None, "too large"),
        ("1" * 65, None, "not a number"),
        ("9" * 10_000_000, None, "not a number"),
    ],
)
def test_amounts_are_refused(text: str, decimal: Sign, said: str | None) -> None:
    if said is None:
        assert parse_amount(text, decimal) == 5
        return
    with pytest.raises(InputError) as caught:
        parse_amount(text, decimal)
    assert said in caught.value.message
    assert len(text.strip()) < 2 or text not in (caught.value.message + str(caught.value.hint)) or text == "1,234"


@given(
    st.decimals(-(10**16) + 1, 10**16 - 1, places=2),
    st.sampled_from([("", "."), (",", "."), (" ", ","), ("\xa0", ","), (".", ","), ("'", ".")]),
    st.sampled_from(["{}", "{} ₽", "${}", "{} руб."]),
)
def test_what_is_written_is_read(amount: Decimal, marks: tuple[str, str], form: str) -> None:
    group, sign = marks
    text = f"{amount:,.2f}".replace(",", "g").replace(".", sign).replace("g", group)
    decimal: Literal[".", ","] = "." if sign == "." else ","
    assert parse_amount(form.format(text), decimal) == amount
    # Two decimals are always there, so nothing is in doubt.
    assert parse_amount(form.format(text)) == amount


@given(st.text() | st.text("0123456789.,' -+()$₽\xa0рубeE"), st.sampled_from([".", ",", None]))
def test_any_text_is_an_amount_or_refused(text: str, decimal: Sign) -> None:
    try:
        amount = parse_amount(text, decimal)
    except InputError:
        return
    assert amount.as_tuple().exponent == -2
    assert abs(amount) < 10**16
