"""Phones and e-mails: one canonical form, the library's own, however they are written."""

from __future__ import annotations

import subprocess
import sys

import phonenumbers
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from crmcli.errors import InputError
from crmcli.model.emails import normalise_email
from crmcli.model.phones import looks_like_phone, normalise_phone

PUNCTUATION = st.text(" -.()/\u00a0\u2011\u2013", max_size=2)
REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)


def ours(raw: str, region: str) -> str | None:
    try:
        return normalise_phone(raw, region)
    except InputError:
        return None


def by_library(raw: str, region: str) -> str | None:
    """Return what the library alone makes of the raw text."""
    try:
        number = phonenumbers.parse(raw, region)
    except phonenumbers.NumberParseException:
        return None
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@st.composite
def written(draw: st.DrawFn, figures: st.SearchStrategy[str]) -> str:
    """Spread punctuation over figures, as people do."""
    parts = [draw(PUNCTUATION) + character for character in draw(figures)]
    return "".join(parts)[:60] + draw(PUNCTUATION)


RUSSIAN = st.from_regex(r"(\+7|8|7|)[0-9]{9,11}", fullmatch=True, alphabet=st.characters(codec="ascii"))
ANY_FIGURES = st.from_regex(r"\+?[0-9]{2,16}", fullmatch=True, alphabet=st.characters(codec="ascii"))


@given(raw=written(RUSSIAN))
@settings(max_examples=1500)
@example(raw="81049301234567")
@example(raw="8-10 44 20 7946 0958")
@example(raw="7 7012345678")
@example(raw="72001234567")
@example(raw="8001234567")
@example(raw="8101000000")
def test_russian_numbers_are_what_the_library_says(raw: str) -> None:
    assert ours(raw, "RU") == by_library(raw, "RU")


@given(raw=written(ANY_FIGURES), region=st.sampled_from(REGIONS))
@settings(max_examples=1000)
def test_any_region_is_what_the_library_says(raw: str, region: str) -> None:
    assert ours(raw, region) == by_library(raw, region)


@pytest.mark.parametrize("region", REGIONS)
def test_example_numbers_of_every_region_in_every_form(region: str) -> None:
    forms = phonenumbers.PhoneNumberFormat
    for kind in phonenumbers.supported_types_for_region(region):
        number = phonenumbers.example_number_for_type(region, kind)
        if number is None:
            continue
        for form in (forms.E164, forms.INTERNATIONAL, forms.NATIONAL):
            raw = phonenumbers.format_number(number, form)
            # A star leads some countries' short services; it is no figure of a phone here.
            if "*" not in raw:
                assert ours(raw, region) == by_library(raw, region), raw


@given(raw=written(st.from_regex(r"(\+7|8|7|)[3489][0-9]{9}", fullmatch=True, alphabet=st.characters(codec="ascii"))))
def test_every_way_to_write_a_russian_number_is_one_number(raw: str) -> None:
    # 8 and 10 begin a call abroad.
    assume(not "".join(letter for letter in raw if letter.isdecimal()).startswith("810"))
    normal = normalise_phone(raw, "RU")
    assert normal.startswith("+7")
    assert len(normal) == 12
    assert normalise_phone(normal, "RU") == normalise_phone(normal, "DE") == normal


@pytest.mark.parametrize(
    "raw",
    [
        "+79001234567",
        "89001234567",
        "9001234567",
        "79001234567",
        "8 (900) 123-45-67",
        "+7\u00a0900\u00a0123\u201145\u201167",
        "\u202a+7 900 123-45-67\u202c",
        "8.900.123.45.67",
        "\uff0b\uff17\uff19\uff10\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17",
        "٨٩٠٠١٢٣٤٥٦٧",
        "8 900 123-45-67 доб. 12",
        "8 900 123-45-67, доб.12",
        "8 900 123-45-67 (доб. 12)",
        "8 900 123-45-67 ext 12",
        "8 900 123-45-67 Ext. 12",
        "+79001234567;ext=12",
        "89001234567x12",
        "8 900 123-45-67#12",
        "8 900 123-45-67 вн. 12",
        "tel:+79001234567",
        "тел. 8 900 123-45-67",
        " 89001234567\n",
    ],
)
def test_all_of_these_are_one_phone(raw: str) -> None:
    assert normalise_phone(raw, "RU") == "+79001234567"


@pytest.mark.parametrize(
    "raw",
    [
        "",
        " ",
        "+",
        "()",
        "12",
        "123-45-67",
        "Маша",
        "8 900 CALL NOW",
        "1-800-FLOWERS",
        "89001234567 Маша",
        "89001234567, 89007654321",
        "89001234567;89007654321",
        "89001234567 / 89007654321",
        "89001234567\n89007654321",
        "8900123456\x00",
        "8900123456\ud800",
        "доб. 12",
        "#12",
        "8+9001234567",
        "++79001234567",
        "79001234567.0",
        "²²²²²²²²²²",
        "8" * 30,
        "8" * 100_000,
        "+" * 64,
        "x1" * 32,
    ],
)
def test_these_are_no_phone(raw: str) -> None:
    with pytest.raises(InputError) as caught:
        normalise_phone(raw, "RU")
    assert caught.value.message == "not a phone number"


@given(raw=st.text(max_size=80), region=st.sampled_from(["RU", "US", "KZ", "DE", "", "ru", "XX", "001"]))
def test_any_text_is_a_phone_or_refused(raw: str, region: str) -> None:
    normal = ours(raw, region)
    assert normal is None or (normal[0] == "+" and normal[1:].isascii() and normal[1:].isdecimal())


def test_a_region_decides_what_a_bare_number_is() -> None:
    assert normalise_phone("(212) 555-0123", "US") == "+12125550123"
    assert normalise_phone("030 1234567", "DE") == "+49301234567"
    assert normalise_phone("06 6982 1234", "IT") == "+390669821234"
    assert normalise_phone("8 701 234 56 78", "KZ") == "+77012345678"
    assert ours("2125550123", "XX") is None
    assert normalise_phone("+1 212 555 0123", "XX") == "+12125550123"


def test_plain_russian_numbers_do_not_load_the_library() -> None:
    code = (
        "import sys; from crmcli.model.phones import normalise_phone, looks_like_phone as l;"
        "l('8 900'); normalise_phone('8 (900) 123-45-67 доб. 1', 'RU'); sys.exit('phonenumbers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1234567", True),
        ("+7 (900) 123-45-67", True),
        ("123-45-6", False),
        ("12345a7", False),
        ("8900123456,7", False),
        ("1+234567", False),
        ("Ivan", False),
        ("", False),
        ("1" * 100, False),
    ],
)
def test_what_may_be_a_phone(text: str, *, expected: bool) -> None:
    assert looks_like_phone(text) is expected


@given(raw=written(ANY_FIGURES))
def test_a_long_enough_phone_looks_like_one(raw: str) -> None:
    if sum(character.isdigit() for character in raw) >= 7:
        assert looks_like_phone(raw)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (" Ivan@Example.COM ", "ivan@example.com"),
        ("И\u0306ОД@Почта.РФ", "йод@почта.рф"),
        ("a@STRASSE.de", "a@strasse.de"),
        ("a+b.c_d@x-y.co.uk", "a+b.c_d@x-y.co.uk"),
        ("ivan@localhost", "ivan@localhost"),
        ("a" * 64 + "@b.ru", "a" * 64 + "@b.ru"),
    ],
)
def test_an_email_in_one_form(raw: str, expected: str) -> None:
    assert normalise_email(raw) == expected


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "@",
        "a@",
        "@b.ru",
        "ab.ru",
        "a@b@c.ru",
        "a b@c.ru",
        "a@b.ru, c@d.ru",
        "a@b.ru;c@d.ru",
        "Ivan <a@b.ru>",
        "a@b..ru",
        "a@.ru",
        "a@b.ru.",
        "a@b\n.ru",
        "a\u200b@b.ru",
        "a@b\u202e.ru",
        "a\x00@b.ru",
        "a\ud800@b.ru",
        "a" * 65 + "@b.ru",
        "a@" + "b" * 253,
        "a@" + "b." * 100_000 + "ru",
    ],
)
def test_these_are_no_emails(raw: str) -> None:
    with pytest.raises(InputError) as caught:
        normalise_email(raw)
    assert caught.value.message == "not an e-mail address"


@given(raw=st.one_of(st.emails(), st.builds("{}@{}.ru".format, st.text(min_size=1, max_size=8), st.text(max_size=8))))
def test_normalising_an_email_twice_changes_nothing(raw: str) -> None:
    try:
        once = normalise_email(raw)
    except InputError:
        return
    assert normalise_email(once) == once
    if once.isascii():
        assert normalise_email(f" {once.upper()} ") == once
