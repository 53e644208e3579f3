"""Rows as JSON lines: an object a line, numbers with their digits, and no character that could end a line."""

from __future__ import annotations

import re
from decimal import Decimal
from json import JSONEncoder
from typing import TYPE_CHECKING, Any

from crmcli.formats.spreadsheet import exact_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# What ends a line for some readers, turns the direction of reading, or cannot be encoded.
_ESCAPED = re.compile(r"[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")


def json_lines(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Return rows as JSON lines in UTF-8; times and dates are ISO texts, what is not known is null."""
    encode = JSONEncoder(ensure_ascii=False).encode

    def quoted(text: str) -> str:
        return _ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", encode(text))

    def value(cell: Any) -> str:
        if cell is None:
            return "null"
        text = exact_text(cell)
        return text if isinstance(cell, int | Decimal) else quoted(text)

    keys = [quoted(name) for name in columns]
    lines = (
        "{" + ", ".join(f"{key}: {value(cell)}" for key, cell in zip(keys, row, strict=True)) + "}\n" for row in rows
    )
    return "".join(lines).encode()
