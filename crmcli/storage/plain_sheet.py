"""A csv-like file as columns of text, where it is so plain that there is but one way to read it.

What has quotes or cells too many is left to the reader of `formats`, which says what is wrong and where.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from crmcli.storage import kernels as pc

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# Smaller files are read line by line in less time than the parser takes to load.
_FEWEST_BYTES = 1 << 16
_MOST_BYTES = 1 << 30
# Where a column has this many distinct values in its first rows, its values are not looked at one by one.
_SAMPLE = 4096
_FEW = 1024

# Where every line is a row, behind that of the header.
FIRST_LINE = 2

# The fields of few different texts.
_LISTED = {"stage", "direction", "result", "by", "owner", "source", "segment", "pipeline"}

Place = tuple[str, int, "Mapping[str, str] | None", str]


def read_plain(
    raw: bytes,
    encoding: str,
    delimiter: str,
    header: Sequence[str],
    places: Iterable[Place],
    constants: Mapping[str, str],
    *,
    every_line: bool = False,
) -> pa.Table | None:
    """Return the rows behind the header as columns, field -> text in our words, or None if it is not plain.

    `places` says which field lies where, what its values mean and what an empty one means; `every_line`, that a file
    is not plain if a line of it is blank and so no row. Texts may have blanks around them still; those of which there
    are few different ones come as their dictionary.
    """
    content = _plain_bytes(raw, encoding)
    if content is None or len(delimiter) != 1 or not delimiter.isascii():
        return None
    if every_line and (b"\n\n" in content or b"\n\r\n" in content):
        return None
    from pyarrow import _csv

    names = [str(place) for place in range(len(header))]
    wanted = list(dict.fromkeys(str(place) for _, place, _, _ in places))
    kinds = dict.fromkeys(names, pa.string())
    kinds |= {str(place): pa.dictionary(pa.int32(), pa.string()) for name, place, _, _ in places if name in _LISTED}
    try:
        rows = _csv.read_csv(
            pa.BufferReader(content),
            _csv.ReadOptions(skip_rows=1, column_names=names),
            _csv.ParseOptions(delimiter=delimiter, quote_char=False, double_quote=False),
            _csv.ConvertOptions(include_columns=wanted, column_types=kinds),
        )
    except pa.ArrowException:
        return None
    columns = {name: _in_our_words(rows.column(str(place)), values, unknown) for name, place, values, unknown in places}
    columns |= {name: pa.repeat(text, rows.num_rows) for name, text in constants.items()}
    return pa.table(columns)


def _plain_bytes(raw: bytes, encoding: str) -> bytes | None:
    """Return the content in UTF-8 without its mark, or None if it has anything that could be read in two ways."""
    if not _FEWEST_BYTES <= len(raw) <= _MOST_BYTES:
        return None
    try:
        content = raw if encoding == "utf-8" else raw.decode(encoding).encode()
    except UnicodeError:
        return None
    content = content.removeprefix(b"\xef\xbb\xbf")
    if b'"' in content or b"\0" in content or content.startswith((b"\n", b"\r")):
        return None
    if b"\r" in content and content.count(b"\r") != content.count(b"\r\n"):
        return None
    return content


def _in_our_words(cells: pa.ChunkedArray, values: Mapping[str, str] | None, unknown: str) -> Any:
    if values is None and not unknown:
        return cells
    known, codes = distinct(cells)
    meant = [(values or {}).get(text, text) or unknown for text in known]
    return pc.taken(pa.array(meant, pa.string()), codes)


def coded(column: pa.ChunkedArray | pa.Array) -> pa.DictionaryArray:
    """Return the different cells of a column, in the order of their first rows, and each row's place among them.

    Texts are stripped.
    """
    found = pc.coded(column)
    if not pa.types.is_string(found.dictionary.type):
        return found
    texts = pc.trimmed(found.dictionary)
    if texts.equals(found.dictionary):
        return found
    same = pc.coded(texts)
    return pa.DictionaryArray.from_arrays(pc.taken(same.indices, found.indices), same.dictionary)


def distinct(column: pa.ChunkedArray | pa.Array) -> tuple[list[Any], pa.Array]:
    """Return the different cells of a column as a list, and each row's place in it."""
    found = coded(column)
    return found.dictionary.to_pylist(), found.indices


def row_at(columns: pa.Table, place: int) -> dict[str, str]:
    """Return a row as field -> text."""
    return {name: str(columns.column(name)[place].as_py()) for name in columns.column_names}


def has_few(column: pa.ChunkedArray) -> bool:
    """Say whether a column seems to repeat its values."""
    first = column.slice(0, _SAMPLE)
    return len(column) <= _SAMPLE or pc.count_distinct(first) <= _FEW
