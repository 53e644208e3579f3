"""The kernels that are put together from those of Arrow."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest

from crmcli.storage import kernels as pc


@pytest.mark.parametrize("count", [1, 2, 4_095, 4_096, 4_097, 70_000, (1 << 24) + 1])
def test_places_are_put_in_order_and_equal_ones_stay(count: int) -> None:
    chance = random.Random(count)
    places = [chance.randrange(count) for _ in range(30_000)] + [count - 1, 0]
    expected = sorted(range(len(places)), key=places.__getitem__)
    for kind in (pa.int32(), pa.int64(), pa.uint64()):
        assert pc.order_of_places(pa.array(places, kind), count).to_pylist() == expected


def test_no_places_are_in_order() -> None:
    assert pc.order_of_places(pa.array([], pa.int32()), 0).to_pylist() == []
    assert pc.order_between(pa.array([3, 1], pa.int32()), 5, 9).to_pylist() == []


@pytest.mark.parametrize(("start", "end"), [(0, 6_000), (2_000, 9_000), (8_999, 9_000), (9_000, 10_000)])
def test_numbers_of_a_span_are_put_in_order(start: int, end: int) -> None:
    chance = random.Random(start)
    numbers = [chance.randrange(9_000) for _ in range(30_000)]
    expected = sorted((n for n, number in enumerate(numbers) if start <= number < end), key=numbers.__getitem__)
    assert pc.order_between(pa.array(numbers, pa.int32()), start, end).to_pylist() == expected


def test_pieces_are_coded_by_one_dictionary() -> None:
    found = pc.coded(pa.chunked_array([["a", "b"], [], ["b", None, "c"]]))
    assert found.dictionary.to_pylist() == ["a", "b", "c"]
    assert found.to_pylist() == ["a", "b", "b", None, "c"]
    assert pc.coded(pa.chunked_array([], pa.string())).to_pylist() == []


@pytest.mark.parametrize("kind", [pa.int64(), pa.bool_(), pa.dictionary(pa.int32(), pa.string())])
@pytest.mark.parametrize("count", [0, 1, 65_536, 65_537, 200_000])
def test_one_value_stands_in_every_row(kind: pa.DataType, count: int) -> None:
    value = "call" if pa.types.is_dictionary(kind) else True if pa.types.is_boolean(kind) else 7
    for one in (value, None):
        rows = pc.same(one, count, kind)
        assert (len(rows), rows.type, set(rows.to_pylist())) == (count, kind, {one} if count else set())
