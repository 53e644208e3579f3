"""The few compute kernels of Arrow that the store uses, called by name.

`pyarrow.compute` wraps some 290 functions when it is imported, which takes longer than a whole commit; the methods
of tables that filter, sort, take and cast import it too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow._compute import (
    AssumeTimezoneOptions,
    CastOptions,
    CountOptions,
    DictionaryEncodeOptions,
    FilterOptions,
    MatchSubstringOptions,
    ReplaceSubstringOptions,
    ScalarAggregateOptions,
    SelectKOptions,
    SetLookupOptions,
    SortOptions,
    TakeOptions,
    TrimOptions,
    call_function,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


_PIECE = 1 << 16
# What sorts numbers counts them where they span no more than this many bits, and compares them where they span more.
_DIGIT = 12
# To find out the type of a value Arrow loads what it needs for intervals, which takes a millisecond.
_TYPES = {int: pa.int64(), str: pa.string(), bool: pa.bool_()}


def _plain(name: str) -> Any:
    def kernel(*operands: Any) -> Any:
        return call_function(name, [pa.scalar(o, _TYPES[type(o)]) if type(o) in _TYPES else o for o in operands])

    return kernel


equal = _plain("equal")
not_equal = _plain("not_equal")
less = _plain("less")
less_equal = _plain("less_equal")
greater_equal = _plain("greater_equal")
and_ = _plain("and")
or_ = _plain("or")
add = _plain("add")
subtract = _plain("subtract")
multiply = _plain("multiply")
divide = _plain("divide")
invert = _plain("invert")
shift_right = _plain("shift_right")
bits_and = _plain("bit_wise_and")
bits_xor = _plain("bit_wise_xor")
trimmed = _plain("utf8_trim_whitespace")
if_else = _plain("if_else")
is_null = _plain("is_null")
is_valid = _plain("is_valid")
coalesce = _plain("coalesce")
min_max = _plain("min_max")
binary_length = _plain("binary_length")
total = _plain("sum")
distinct = _plain("unique")
list_flatten = _plain("list_flatten")
list_parent_indices = _plain("list_parent_indices")
# Values in the place of those where a mask is true, in their order.
replaced = _plain("replace_with_mask")
filled_forward = _plain("fill_null_forward")


def is_in(values: Any, known: pa.Array) -> Any:
    """Say of each value whether it is among the known ones."""
    return call_function("is_in", [values], SetLookupOptions(value_set=known))


def index_in(values: Any, known: pa.Array) -> Any:
    """Return for each value its first place among the known ones, or null."""
    return call_function("index_in", [values], SetLookupOptions(value_set=known))


def is_true(mask: Any) -> Any:
    """Return a mask with its nulls as false."""
    return call_function("coalesce", [mask, pa.scalar(False, pa.bool_())])  # noqa: FBT003


def contains(values: Any, text: str) -> Any:
    """Say of each text whether it has `text` in it, null for null."""
    return call_function("match_substring", [values], MatchSubstringOptions(text))


def are_plain(texts: Any, most: int) -> bool:
    """Say whether all texts are of at most so many characters, printable ones of ASCII."""
    odd = call_function("match_substring_regex", [texts], MatchSubstringOptions("[^ -~]"))
    return longest(texts) <= most and not any_true(odd)


def lowered(values: Any) -> Any:
    """Return texts in small letters; where all are ASCII, as phones and e-mails are, in a fifth of the time."""
    # Of nulls `all` says nothing.
    is_ascii = call_function("all", [call_function("string_is_ascii", [values])], ScalarAggregateOptions(min_count=0))
    return call_function("ascii_lower" if is_ascii.as_py() else "utf8_lower", [values])


def folded(values: Any) -> Any:
    """Return texts as they are compared: in small letters, ё as е."""
    return call_function("replace_substring", [lowered(values)], ReplaceSubstringOptions("ё", "е"))


def longest(texts: Any) -> int:
    """Return how many bytes the longest text has, 0 where there is none."""
    return min_max(binary_length(texts))["max"].as_py() or 0


def stripped(texts: Any, characters: str) -> Any:
    """Return texts without the ASCII characters that they begin and end with."""
    return call_function("ascii_trim", [texts], TrimOptions(characters))


def found_at(texts: Any, part: str) -> Any:
    """Return at which byte a part is first found in each text, -1 for not at all."""
    return call_function("find_substring", [texts], MatchSubstringOptions(part))


def any_true(mask: Any) -> bool:
    """Say whether a mask is true anywhere."""
    return bool(call_function("any", [mask], ScalarAggregateOptions(min_count=0)).as_py())


def all_true(mask: Any) -> bool:
    """Say whether a mask is true everywhere, of which null is not; of nothing it is."""
    return bool(call_function("all", [is_true(mask)], ScalarAggregateOptions(min_count=0)).as_py())


def whole(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Return a column in one piece."""
    pieces = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return pieces.chunk(0) if isinstance(pieces, pa.ChunkedArray) else pieces


def batch(rows: pa.Table) -> pa.RecordBatch:
    """Return rows in one piece."""
    return pa.record_batch([whole(column) for column in rows.columns], names=rows.column_names)


def coded(values: pa.ChunkedArray | pa.Array) -> pa.DictionaryArray:
    """Return values as their dictionary, in the order of first appearance, and each one's place in it."""
    if pa.types.is_dictionary(values.type):
        return whole(values)
    found = call_function("dictionary_encode", [values], DictionaryEncodeOptions("mask"))
    if not isinstance(found, pa.ChunkedArray):
        return found
    # Every piece has the whole dictionary.
    places = [piece.indices for piece in found.chunks]
    if not places:
        return whole(found)
    return pa.DictionaryArray.from_arrays(pa.concat_arrays(places), found.chunk(0).dictionary)


def is_ascending(values: pa.Array) -> bool:
    """Say whether no value is less than the one before it, nor null."""
    return all_true(less_equal(values.slice(0, max(len(values) - 1, 0)), values.slice(1)))


def count_true(mask: pa.Array) -> int:
    """Return how often a mask is true."""
    return total(mask).as_py() or 0


def in_zone(values: Any, zone: str) -> Any:
    """Return local times as instants. Raises: pa.ArrowException for an hour that comes twice or not at all."""
    return call_function(
        "assume_timezone", [values], AssumeTimezoneOptions(zone, ambiguous="raise", nonexistent="raise")
    )


def cast_to(values: Any, kind: pa.DataType) -> Any:
    """Return values as another type. Raises: pa.ArrowException."""
    return call_function("cast", [values], CastOptions(kind))


def count_distinct(values: Any) -> int:
    """Return how many different values there are, null not counted."""
    count: int = call_function("count_distinct", [values], CountOptions("only_valid")).as_py()
    return count


def filtered(rows: Any, mask: Any) -> Any:
    """Return the rows where the mask is true."""
    return call_function("filter", [rows, mask], FilterOptions())


def taken(rows: Any, places: Any) -> Any:
    """Return the rows at those places."""
    return call_function("take", [rows, places], TakeOptions())


def same(value: Any, count: int, kind: pa.DataType) -> pa.ChunkedArray:
    """Return one value, or null, `count` times; the pieces share the little memory that they take.

    Of a plain value Arrow would find out the type, and try to load pandas for it.
    """
    whole, rest = divmod(count, _PIECE)
    if value is not None and pa.types.is_dictionary(kind):
        places = pa.repeat(pa.scalar(0, kind.index_type), min(count, _PIECE))
        piece = pa.DictionaryArray.from_arrays(places, pa.array([value], kind.value_type))
    else:
        piece = pa.repeat(pa.scalar(value, kind), min(count, _PIECE))
    return pa.chunked_array([*(piece for _ in range(whole)), piece.slice(0, rest)], kind)


def sort_indices(rows: pa.Table, keys: Sequence[tuple[str, ...]]) -> pa.Array:
    """Return the places of the rows in order of keys (column, `ascending` or `descending`, where nulls go)."""
    return call_function("sort_indices", [rows], SortOptions(list(keys)))


def order(values: pa.Array) -> pa.Array:
    """Return the places of values in ascending order."""
    return call_function("sort_indices", [values], SortOptions([("", "ascending")]))


def order_between(numbers: pa.Array, start: int, end: int) -> pa.Array:
    """Return the places of the numbers from `start` to below `end`, in ascending order; equal ones stay as they are."""
    places = call_function("indices_nonzero", [and_(greater_equal(numbers, start), less(numbers, end))])
    return taken(places, order_of_places(subtract(taken(numbers, places), start), end - start))


def order_of_places(places: pa.Array, count: int) -> pa.Array:
    """Return where places, from 0 to below `count`, are in ascending order; equal ones stay as they are.

    Digit by digit, which takes a fifth of the time of `order`.
    """
    found: Any = None
    for shift in range(0, max(1, (count - 1).bit_length()), _DIGIT):
        digit = bits_and(shift_right(places, pa.scalar(shift, places.type)), pa.scalar((1 << _DIGIT) - 1, places.type))
        step = order(digit if found is None else taken(digit, found))
        found = step if found is None else taken(found, step)
    return found


def first_indices(rows: pa.Table, keys: Sequence[tuple[str, str]], count: int) -> pa.Array:
    """Return the places of the first rows in order of keys (column, `ascending` or `descending`), nulls at the end."""
    if count >= rows.num_rows:
        return sort_indices(rows, [(*key, "at_end") for key in keys])
    return call_function("select_k_unstable", [rows], SelectKOptions(count, list(keys)))


def sorted_by(rows: pa.Table, *columns: str) -> pa.Table:
    """Return the rows in ascending order of columns."""
    return taken(rows, sort_indices(rows, [(column, "ascending", "at_end") for column in columns]))


def as_numbers(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return dates as days, instants as microseconds since 1970."""
    width = pa.int32() if pa.types.is_date32(cells.type) else pa.int64()
    return pa.chunked_array([chunk.view(width) for chunk in cells.chunks], width)


def cast(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the rows with the types of a schema, column by column in order. Raises: ValueError, pa.ArrowException."""
    if rows.schema.equals(schema) or rows.schema.types == schema.types:
        return rows
    columns = [
        column if column.type == field.type else call_function("cast", [column], CastOptions(field.type))
        for column, field in zip(rows.columns, schema, strict=True)
    ]
    return pa.table(columns, schema=schema)
