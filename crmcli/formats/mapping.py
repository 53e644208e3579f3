"""Reads the map file of an import: which of their columns is which field of ours, and what their values mean."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Literal, cast

from crmcli.errors import InputError
from crmcli.formats.source import open_source
from crmcli.model.frozen import dataclass

_LARGEST = 1 << 20
_TEXTS = ("delimiter", "encoding", "date_format", "decimal", "namespace")
_TABLES = ("columns", "constants", "values", "unknown")

_Values = Mapping[str, str]


@dataclass(frozen=True)
class Binding:
    """A map laid on one header: turns the cells of a line into fields.

    `places`: (field, column, what its values mean, what an empty cell means); `constants`: field -> text.
    """

    places: tuple[tuple[str, int, _Values | None, str], ...]
    constants: _Values

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that every row has."""
        return (*self.constants, *(name for name, *_ in self.places))

    def row(self, cells: Sequence[str]) -> dict[str, str]:
        """Return field -> stripped text, in our words; `cells` are as many as the header has. Empty is ""."""
        row = dict(self.constants)
        for name, place, values, unknown in self.places:
            text = cells[place].strip()
            if values is not None:
                text = values.get(text, text)
            row[name] = text or unknown
        return row


@dataclass(frozen=True)
class ImportMap:
    """A map file; whatever it leaves out is None or empty.

    `columns`: field of ours -> name of their column; `constants`: field -> its value in every row; `values`: field ->
    their value -> ours; `unknown`: field -> the value of an empty cell; `namespace`: prefix of external ids;
    `date_format`: as for strptime; `source`: the file, for messages.
    """

    delimiter: str | None = None
    encoding: str | None = None
    date_format: str | None = None
    decimal: Literal[".", ","] | None = None
    namespace: str | None = None
    columns: _Values = field(default_factory=dict)
    constants: _Values = field(default_factory=dict)
    values: Mapping[str, _Values] = field(default_factory=dict)
    unknown: _Values = field(default_factory=dict)
    source: str = "the header"

    @classmethod
    def default(cls, header: Sequence[str], known_fields: Collection[str]) -> ImportMap:
        """Return the map of a file whose columns bear the names of fields; the others are left out.

        Case does not matter, and blanks and dashes are as good as `_`.
        Raises: InputError where two columns bear the name of one field.
        """
        return cls(columns=_same_names(header, known_fields))

    def bind(self, header: Sequence[str], known_fields: Collection[str], required: Collection[str] = ()) -> Binding:
        """Lay the map on a header; a map without `columns` goes by the names of fields.

        Raises: InputError for a field that does not exist, a column that the file does not have, a field with values
        but no column, or one of `required` without a column or constant.
        """
        columns = self.columns or _same_names(header, known_fields)
        for table, names in (("columns", self.columns), ("constants", self.constants)):
            for name in names:
                if name not in known_fields:
                    raise InputError(f"{self.source}: {table}.{name}: no such field", _near(name, known_fields))
        for table, fields in (("values", tuple(self.values)), ("unknown", tuple(self.unknown))):
            for name in fields:
                if name not in columns:
                    raise InputError(f"{self.source}: {table}.{name}: the field has no column", _near(name, columns))
        for name, column in columns.items():
            if not column or column not in header:
                raise InputError(f"{self.source}: columns.{name}: the file has no such column", _near(column, header))
        missing = [name for name in required if name not in columns and name not in self.constants]
        if missing:
            raise InputError(
                f"{self.source}: no column for {', '.join(missing)}",
                "name the columns in a map file, or give the fields a value under [constants]",
            )
        places = {name: place for place, name in enumerate(header)}
        return Binding(
            tuple(
                (name, places[column], self.values.get(name), self.unknown.get(name, ""))
                for name, column in columns.items()
                if name not in self.constants
            ),
            dict(self.constants),
        )


def load_map(path: Path) -> ImportMap:
    """Read a map file (TOML).

    Raises: InputError naming the file and the key for what is no TOML, a key that does not exist, a value of the
    wrong kind, or a field that has both a column and a constant.
    """
    import tomllib

    with open_source(path, _LARGEST) as file:
        try:
            # Some editors put a mark at the start, which TOML does not know.
            read = tomllib.loads(file.read().decode("utf-8-sig"))
        except UnicodeDecodeError as err:
            raise InputError(f"{path}: a map file has to be UTF-8") from err
        except (tomllib.TOMLDecodeError, RecursionError) as err:
            raise InputError(f"{path}: this is no TOML: {str(err)[:1].lower()}{str(err)[1:]}") from err
    for key in read:
        if key not in _TEXTS and key not in _TABLES:
            raise InputError(f"{path}: {key}: no such key", _near(key, _TEXTS + _TABLES))
    texts = {key: _text(read[key], f"{path}: {key}") for key in _TEXTS if key in read}
    tables = {key: _table(read.get(key, {}), f"{path}: {key}") for key in _TABLES if key != "values"}
    values = read.get("values", {})
    if not isinstance(values, dict):
        raise InputError(f"{path}: values: has to be a table of tables")
    for name in tables["columns"]:
        if name in tables["constants"]:
            raise InputError(f"{path}: constants.{name}: the field has a column already")
    _check(texts, str(path))
    return ImportMap(
        delimiter=texts.get("delimiter"),
        encoding=texts.get("encoding"),
        date_format=texts.get("date_format"),
        decimal=cast("Literal['.', ',']", texts["decimal"]) if "decimal" in texts else None,
        namespace=texts.get("namespace"),
        columns={name: column.strip() for name, column in tables["columns"].items()},
        constants=tables["constants"],
        values={name: _table(table, f"{path}: values.{name}") for name, table in values.items()},
        unknown=tables["unknown"],
        source=str(path),
    )


def _text(value: object, place: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"{place}: has to be a text in quotes")
    return value


def _table(value: object, place: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise InputError(f"{place}: has to be a table")
    return {name: _text(text, f"{place}.{name}") for name, text in value.items()}


def _check(texts: Mapping[str, str], place: str) -> None:
    if texts.get("decimal", ".") not in {".", ","}:
        raise InputError(f'{place}: decimal: has to be "." or ","')
    namespace = texts.get("namespace")
    if namespace is not None and not namespace.replace("-", "").replace("_", "").isalnum():
        raise InputError(f"{place}: namespace: has to be letters, digits, - and _")
    if "date_format" in texts:
        import re
        import warnings
        from datetime import UTC, datetime

        form, day = texts["date_format"], datetime(2026, 3, 15, tzinfo=UTC)
        try:
            # A format that loses the day reads every line wrong.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                kept = datetime.strptime(day.strftime(form), form).replace(tzinfo=UTC).date() == day.date()
        except (ValueError, re.error):
            # The latter is what strptime makes of a part that stands twice.
            kept = False
        if not kept:
            raise InputError(f"{place}: date_format: does not read a day back", "such as %d.%m.%Y")


def _same_names(header: Sequence[str], known_fields: Collection[str]) -> dict[str, str]:
    columns: dict[str, str] = {}
    for column in header:
        name = column.strip().lower().replace(" ", "_").replace("-", "_")
        if name not in known_fields:
            continue
        if name in columns:
            raise InputError(f"two columns are called {name}", "say in a map file which one is meant")
        columns[name] = column
    return columns


def _near(name: str, names: Collection[str]) -> str | None:
    from difflib import get_close_matches

    lowered = {other.lower(): other for other in names if other}
    near = [lowered[other] for other in get_close_matches(name.lower(), lowered)]
    return f"near names: {', '.join(near)}" if near else None
