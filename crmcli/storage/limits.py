"""What a file may become in memory: a few bytes of Parquet can stand for gigabytes, which is counted before reading."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from crmcli.storage import kernels

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

FOOTER = 1 << 20
ROWS = 1 << 20
# A cell that is no text takes at most this much.
CELL = 16
THRIFT = {"thrift_string_size_limit": FOOTER, "thrift_container_size_limit": 1 << 14}
# Bytes of one text: of whatever people type, and of a document of the company's.
TEXT, DOCUMENT = 1 << 20, 1 << 24
_TAIL = 8
_PLAIN = {"PLAIN", "RLE", "BIT_PACKED"}
_LISTED = {*_PLAIN, "PLAIN_DICTIONARY", "RLE_DICTIONARY"}


def footer_fits(source: Path | bytes) -> bool:
    """Say whether a file's footer, which is unpacked before anything else is known of it, is of bearable length."""
    if isinstance(source, bytes):
        tail = source[-_TAIL:]
    else:
        with source.open("rb") as file:
            file.seek(-_TAIL, os.SEEK_END)
            tail = file.read()
    return int.from_bytes(tail[:4], "little") <= FOOTER


def fits(metadata: Any, rows: int, most: int, listed: Collection[str], *, has_lists: bool) -> bool:
    """Say whether a file has as many rows as were signed, and no column of it unpacks to more than `most` bytes.

    `listed` are the columns whose texts may stand in a dictionary; `words_fit` counts those once they are read.
    """
    groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
    unpacked = sum(group.total_byte_size for group in groups)
    if metadata.num_rows != rows or rows > ROWS or max(unpacked, rows * metadata.num_columns * CELL) > most:
        return False
    elements = sum(column.num_values for column in _columns(groups) if "." in column.path_in_schema) if has_lists else 0
    if elements * CELL > most:
        return False
    # No one text can be longer than all that is in the file.
    if max(rows, elements) * unpacked <= most:
        return True
    return all(
        set(column.encodings) <= (_LISTED if column.path_in_schema in listed else _PLAIN)
        for column in _columns(groups)
        if column.physical_type == "BYTE_ARRAY"
    )


def _columns(groups: list[Any]) -> Iterator[Any]:
    return (group.column(place) for group in groups for place in range(group.num_columns))


def words_fit(rows: pa.Table, most: int) -> bool:
    """Say whether the texts that were read as places in a dictionary come to no more than `most` bytes."""
    return words(rows) <= most


def longest(cells: pa.ChunkedArray) -> int:
    """Return how many bytes the longest text of a column has, be it in a list or in a dictionary."""
    texts = kernels.list_flatten(cells) if pa.types.is_list(cells.type) else cells
    pieces = [chunk.dictionary if pa.types.is_dictionary(chunk.type) else chunk for chunk in texts.chunks]
    return max(map(kernels.longest, pieces), default=0)


def words(rows: pa.Table) -> int:
    """Return how many bytes the texts come to that are places in a dictionary."""
    count = 0
    for column in rows.columns:
        if pa.types.is_dictionary(column.type):
            for chunk in column.chunks:
                lengths = kernels.taken(kernels.binary_length(chunk.dictionary), chunk.indices)
                count += kernels.total(lengths).as_py() or 0
    return count
