"""Reads TOML files and writes plain values as TOML text that people can edit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crmcli.errors import InputError
from crmcli.formats.source import open_source

_LARGEST = 1 << 20
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r", "\b": "\\b", "\f": "\\f"}
# A list of this many letters stands on a line of its own.
_LINE = 100
_LAST_SHORT = 0xFFFF


def read_toml(path: Path) -> dict[str, Any]:
    """Return what a TOML file holds. Raises: InputError naming the file and, for what is no TOML, the line."""
    import tomllib

    with open_source(path, _LARGEST) as file:
        try:
            # Some editors put a mark at the start, which TOML does not know.
            return tomllib.loads(file.read().decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: the file has to be UTF-8") from error
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise InputError(f"{path}: this is no TOML: {str(error)[:1].lower()}{str(error)[1:]}") from error


def toml_text(document: dict[str, Any]) -> str:
    """Return a document of texts, numbers, booleans, lists and tables as TOML; a key without a value is left out.

    Tables and lists of tables come last, each table under a [heading] of its own.
    """
    return "\n".join([*_lines(document, ""), ""]).lstrip("\n")


def _lines(table: dict[str, Any], path: str) -> list[str]:
    """Return the lines of a table whose headings begin with `path`."""
    lines, below = [], []
    for key, value in table.items():
        name = f"{path}{_key(key)}"
        if isinstance(value, dict):
            below += ["", f"[{name}]", *_lines(value, f"{name}.")]
        elif _is_tables(value):
            for row in value:
                below += ["", f"[[{name}]]", *_lines(row, f"{name}.")]
        elif value is not None:
            lines.append(f"{_key(key)} = {_value(value)}")
    return lines + below


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(key)} = {_value(cell)}" for key, cell in value.items()) + " }"
    if isinstance(value, list):
        cells = [_value(cell) for cell in value]
        short = f"[{', '.join(cells)}]"
        if len(short) <= _LINE and not _is_tables(value):
            return short
        return "[\n" + "".join(f"    {cell},\n" for cell in cells) + "]"
    return _quoted(value)


def _key(key: str) -> str:
    is_bare = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if is_bare else _quoted(key)


def _quoted(text: str) -> str:
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    number = ord(character)
    return f"\\u{number:04X}" if number <= _LAST_SHORT else f"\\U{number:08X}"
