"""A csv-like file as columns of text, where it is so plain that there is but one way to read it.

What has quotes, blank lines or cells too many is left to the reader of `formats`, which says what is wrong and where.
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

Place = tuple[str, int, "Mapping[str, str] | None", str]


def read_plain(
    raw: bytes,
    encoding: str,
    delimiter: str,
    header: Sequence[str],
    places: Iterable[Place],
    constants: Mapping[str, str],
) -> pa.Table | None:
    """Return the rows behind the header as columns, field -> stripped text in our words, or None if it is not plain.

    `places` says which field lies where, what its values mean and what an empty one means.
    """
    content = _plain_bytes(raw, encoding)
    if content is None or len(delimiter) != 1 or not delimiter.isascii():
        return None
    from pyarrow import _csv

    names = [str(place) for place in range(len(header))]
    wanted = list(dict.fromkeys(str(place) for _, place, _, _ in places))
    try:
        rows = _csv.read_csv(
            pa.BufferReader(content),
            _csv.ReadOptions(skip_rows=1, column_names=names),
            _csv.ParseOptions(delimiter=delimiter, quote_char=False, double_quote=False),
            _csv.ConvertOptions(include_columns=wanted, column_types=dict.fromkeys(names, pa.string())),
        ).combine_chunks()
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
    if content.count(b"\r") != content.count(b"\r\n") or b"\n\n" in content or b"\n\r\n" in content:
        return None
    return content


def _in_our_words(cells: pa.ChunkedArray, values: Mapping[str, str] | None, unknown: str) -> Any:
    texts = pc.trimmed(cells)
    if values is not None:
        known, codes = distinct(texts)
        texts = pc.taken(pa.array([values.get(text, text) for text in known], pa.string()), codes)
    return pc.if_else(pc.equal(texts, ""), unknown, texts) if unknown else texts


def distinct(column: pa.ChunkedArray) -> tuple[list[str], pa.Array]:
    """Return the different texts of a column, in the order of their first rows, and each row's place among them."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    coded = pc.coded(whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole)
    return coded.dictionary.to_pylist(), coded.indices


def has_few(column: pa.ChunkedArray) -> bool:
    """Say whether a column seems to repeat its values."""
    first = column.slice(0, _SAMPLE)
    return column.length() <= _SAMPLE or pc.count_distinct(first) <= _FEW
