"""Suggestions: the best pair for each product, what a client still has, steps up in price; products that are typed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from crmcli.errors import ConflictError, CrmError, InputError, NotFoundError
from crmcli.formats.numbers import parse_amount
from crmcli.model.ids import encode_id
from crmcli.model.records import Product
from crmcli.model.suggesting import Pair, Suggestion, changed, named, new_product, steps_below, suggest

TODAY = date(2026, 3, 2)
TEA = Product(1, "Green tea", "tea", Decimal(300), 30)
BLACK = Product(2, "Black tea", "tea", Decimal(500))
WHITE = Product(3, "White tea", "tea", Decimal(900))
POT = Product(4, "Teapot", "ware", Decimal(2000))
CUP = Product(5, "Cup", "ware", Decimal(400))
SUGAR = Product(6, "Sugar")
ALL = [TEA, BLACK, WHITE, POT, CUP, SUGAR]
PAIRS = [
    Pair(1, 4, 30, 0.2, 2.0),
    Pair(1, 5, 123, 0.41, 2.3),
    Pair(2, 5, 40, 0.5, 3.0),
    Pair(1, 6, 99, 0.9, 1.5),
    Pair(3, 4, 50, 0.9, 9.0),
]


def offered(bought: dict[int, date]) -> list[Suggestion]:
    return suggest(PAIRS, ALL, bought, TODAY)


def test_cross_sell_is_ranked_by_confidence_times_price_and_says_why() -> None:
    found = offered({1: TODAY})
    assert [(one.product.name, one.kind) for one in found] == [
        ("Teapot", "cross-sell"), ("Cup", "cross-sell"), ("Sugar", "cross-sell"), ("Black tea", "up-sell"),
    ]  # fmt: skip
    assert found[1].why == "41 % of those who buy Green tea, 123 clients, lift 2.3"
    assert found[3].why == "the next price in tea after Green tea"
    assert found[3].pair is None


def test_of_several_reasons_the_strongest_counts() -> None:
    cup = next(one for one in offered({1: TODAY, 2: TODAY}) if one.product == CUP)
    assert (cup.because, cup.pair) == (BLACK, PAIRS[2])


def test_what_the_client_still_has_is_left_out() -> None:
    assert POT not in [one.product for one in offered({1: TODAY, 4: TODAY - timedelta(days=900)})]
    pairs = [Pair(5, 1, 30, 0.5, 2.0)]
    for ago, offer in ((0, False), (59, False), (60, True)):
        found = suggest(pairs, ALL, {5: TODAY, 1: TODAY - timedelta(days=ago)}, TODAY)
        assert (TEA in [one.product for one in found]) is offer
    assert suggest(PAIRS, ALL, {}, TODAY) == []
    assert suggest(PAIRS, ALL, {77: TODAY}, TODAY) == []


def test_the_step_up_is_from_the_dearest_of_a_category() -> None:
    assert [one.product for one in suggest([], ALL, {1: TODAY, 2: TODAY}, TODAY)] == [WHITE]
    assert suggest([], ALL, {3: TODAY, 4: TODAY, 6: TODAY}, TODAY) == []
    assert steps_below(WHITE, ALL) == ([BLACK], [WHITE])
    assert steps_below(TEA, ALL) == ([], [TEA, BLACK, WHITE])
    assert steps_below(SUGAR, ALL) == ([], [])


def test_products_are_found_by_id_name_or_part() -> None:
    assert named(ALL, encode_id(4)) == POT
    assert named(ALL, " green  TEA ") == TEA
    assert named(ALL, "pot") == POT
    with pytest.raises(ConflictError, match="4 products fit"):
        named(ALL, "tea ")
    for text in ("milk", ""):
        with pytest.raises(NotFoundError):
            named(ALL, text)


def test_a_product_is_changed_by_what_was_typed() -> None:
    edited = changed(SUGAR, "1 200,50", " sweets ", "14d", parse_amount)
    assert edited == replace(SUGAR, price=Decimal("1200.50"), category="sweets", use_up_days=14)
    assert changed(edited, "", "", "", parse_amount) == SUGAR
    assert changed(edited, None, None, None, parse_amount) == edited
    for price, use_up in (("-5", None), ("dear", None), (None, "soon"), (None, "0")):
        with pytest.raises(InputError):
            changed(SUGAR, price, None, use_up, parse_amount)
    assert new_product(ALL, " Honey ", lambda: 9) == Product(9, "Honey")
    for name in ("green TEA", "", "x" * 201):
        with pytest.raises(CrmError):
            new_product(ALL, name, lambda: 9)
