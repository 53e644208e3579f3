"""Map files: what they may hold, what they are laid on, and what rows come out."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmcli.errors import InputError
from crmcli.formats.delimited import open_sheet
from crmcli.formats.mapping import ImportMap, load_map

FIELDS = ("client", "sold_at", "amount", "source", "stage", "name")
FULL = """
delimiter = "whitespace"
encoding = "cp1251"
date_format = "%Y%m%d"
decimal = ","
namespace = "cdnow"
[columns]
client = "customer_id"
sold_at = "date"
amount = " dollar_value "
stage = "deal_stage"
[constants]
source = "shop"
[values.stage]
Prospecting = "prospecting"
[unknown]
client = "unknown"
stage = "new"
"""


def map_of(folder: Path, text: str | bytes) -> Path:
    path = folder / "map.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_full_map(tmp_path: Path) -> None:
    for prefix in ("", "\ufeff"):
        path = map_of(tmp_path, prefix + FULL.replace("\n", "\r\n"))
        loaded = load_map(path)
        assert loaded == ImportMap(
            delimiter="whitespace",
            encoding="cp1251",
            date_format="%Y%m%d",
            decimal=",",
            namespace="cdnow",
            columns={"client": "customer_id", "sold_at": "date", "amount": "dollar_value", "stage": "deal_stage"},
            constants={"source": "shop"},
            values={"stage": {"Prospecting": "prospecting"}},
            unknown={"client": "unknown", "stage": "new"},
            source=str(path),
        )
    assert load_map(map_of(tmp_path, "")) == ImportMap(source=str(path))


def test_rows_come_out_in_our_words(tmp_path: Path) -> None:
    header = ("deal_stage", "dollar_value", "", "date", "customer_id")
    binding = load_map(map_of(tmp_path, FULL)).bind(header, FIELDS, ["client", "amount", "source"])
    assert set(binding.fields) == {"client", "sold_at", "amount", "stage", "source"}
    assert binding.row(("Prospecting", " 1,50\xa0", "x", "", "\t")) == {
        "source": "shop",
        "client": "unknown",
        "sold_at": "",
        "amount": "1,50",
        "stage": "prospecting",
    }
    assert binding.row(("Engaging", "", "", "", "7"))["stage"] == "Engaging"
    assert binding.row(("", "", "", "", "7"))["stage"] == "new"


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("delimeter = ';'", "delimeter: no such key", "near names: delimiter"),
        ("[column]\nclient = 'x'", "column: no such key", "near names: columns"),
        ("decimal = 5", "decimal: has to be a text in quotes", None),
        ("decimal = ';'", 'decimal: has to be "." or ","', None),
        ("columns = 'x'", "columns: has to be a table", None),
        ("[columns]\nclient = ['a']", "columns.client: has to be a text in quotes", None),
        ("[columns.client]\nx = 'a'", "columns.client: has to be a text in quotes", None),
        ("[constants]\nname = 5", "constants.name: has to be a text in quotes", None),
        ("values = 1", "values: has to be a table of tables", None),
        ("[values]\nstage = 'x'", "values.stage: has to be a table", None),
        ("[values.stage]\nWon = true", "values.stage.Won: has to be a text in quotes", None),
        ("[unknown]\nname = 1.5", "unknown.name: has to be a text in quotes", None),
        ("[columns]\nname = 'a'\n[constants]\nname = 'b'", "constants.name: the field has a column already", None),
        (
            "[columns]\nname = 'a'\nname = 'b'\n",
            "this is no TOML: cannot overwrite a value (at line 3, column 11)",
            None,
        ),
        ("namespace = 'a:b'", "namespace: has to be letters, digits, - and _", None),
        ("date_format = '%d.%m'", "date_format: does not read a day back", "such as %d.%m.%Y"),
        ("date_format = '%d.%c.%Y'", "date_format: does not read a day back", "such as %d.%m.%Y"),
        ("date_format = 'dd.mm.yyyy'", "date_format: does not read a day back", "such as %d.%m.%Y"),
        (b"\xff", "a map file has to be UTF-8", None),
    ],
)
def test_what_a_map_may_not_hold(tmp_path: Path, text: str | bytes, said: str, hint: str | None) -> None:
    path = map_of(tmp_path, text)
    with pytest.raises(InputError) as caught:
        load_map(path)
    assert (caught.value.message, caught.value.hint) == (f"{path}: {said}", hint)


def test_a_map_is_a_small_plain_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_map(tmp_path / "map.toml")
    with pytest.raises(InputError, match="larger than"):
        load_map(map_of(tmp_path, "#" * ((1 << 20) + 1)))
    with pytest.raises(InputError, match="no TOML"):
        load_map(map_of(tmp_path, "a = " + "[" * 100_000))


@pytest.mark.parametrize(
    ("tables", "required", "said", "hint"),
    [
        ({"columns": {"nam": "Name"}}, [], "m: columns.nam: no such field", "near names: name"),
        ({"constants": {"sourse": "x"}}, [], "m: constants.sourse: no such field", "near names: source"),
        ({"columns": {"name": "name"}}, [], "m: columns.name: the file has no such column", "near names: Name"),
        ({"columns": {"name": "City"}}, [], "m: columns.name: the file has no such column", None),
        ({"columns": {"name": ""}}, [], "m: columns.name: the file has no such column", None),
        (
            {"columns": {"name": "Name"}, "unknown": {"naem": "x"}},
            [],
            "m: unknown.naem: the field has no column",
            "near names: name",
        ),
        ({"constants": {"stage": "x"}, "values": {"stage": {}}}, [], "m: values.stage: the field has no column", None),
        (
            {"columns": {"name": "Name"}},
            ["name", "client", "amount"],
            "m: no column for client, amount",
            "name the columns in a map file, or give the fields a value under [constants]",
        ),
    ],
)
def test_what_a_map_cannot_be_laid_on(
    tables: dict[str, dict[str, str]], required: list[str], said: str, hint: str | None
) -> None:
    with pytest.raises(InputError) as caught:
        ImportMap(source="m", **tables).bind(("Name", "", "Phone"), FIELDS, required)  # type: ignore[arg-type]
    assert (caught.value.message, caught.value.hint) == (said, hint)


def test_without_a_map_names_speak_for_themselves() -> None:
    header = ("Client", "sold at", "Sold by", "AMOUNT", "")
    plain = ImportMap.default(header, FIELDS)
    assert plain.columns == {"client": "Client", "sold_at": "sold at", "amount": "AMOUNT"}
    row = plain.bind(header, FIELDS, ["client"]).row(("a", "b", "c", "d", "e"))
    assert row == {"client": "a", "sold_at": "b", "amount": "d"}
    assert ImportMap(constants={"source": "x"}).bind(header, FIELDS).row("abcde")["source"] == "x"
    with pytest.raises(InputError, match="two columns are called sold_at"):
        ImportMap.default(("sold_at", "Sold-At"), FIELDS)


def test_a_constant_wins_over_a_column_of_the_same_name() -> None:
    binding = ImportMap(constants={"source": "fair"}).bind(("Source", "Name"), FIELDS)
    assert binding.row(("web", "Анна")) == {"source": "fair", "name": "Анна"}


def test_a_sheet_and_a_map_together(tmp_path: Path) -> None:
    sheet_file = tmp_path / "shop.txt"
    sheet_file.write_bytes(
        " customer_id date dollar_value deal_stage\n 01 19970101 11,77 Prospecting\n".encode("cp1251")
    )
    plan = load_map(map_of(tmp_path, FULL))
    with open_sheet(sheet_file, delimiter=plan.delimiter, encoding=plan.encoding) as sheet:
        binding = plan.bind(sheet.header, FIELDS)
        assert [binding.row(line.cells) for line in sheet.rows] == [
            {"source": "shop", "client": "01", "sold_at": "19970101", "amount": "11,77", "stage": "prospecting"}
        ]


@given(st.permutations(FIELDS), st.lists(st.text(), min_size=6, max_size=6))
def test_every_cell_goes_to_its_field(header: list[str], cells: list[str]) -> None:
    row = ImportMap.default(header, FIELDS).bind(header, FIELDS, FIELDS).row(cells)
    assert row == {name: text.strip() for name, text in zip(header, cells, strict=True)}
