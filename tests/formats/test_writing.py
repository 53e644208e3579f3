"""Rows that leave: exact formats read back exactly, and in none of them is a text more than a text."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmcli.errors import InputError
from crmcli.formats.delimited import open_sheet
from crmcli.formats.json_lines import json_lines
from crmcli.formats.spreadsheet import exact_csv, exact_text, excel_csv, harmless, xlsx
from crmcli.formats.vcard import folded, vcards
from crmcli.storage.plain_parquet import plain_parquet

COLUMNS = ("name", "phone", "amount", "on", "at", "flag", "count")
HOSTILE = (
    "=cmd|' /C calc'!A0",
    "+79161234567",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "＝1",
    'a;=1"',
    'x",=1',
    "one\n=two",
    "one\r\ntwo",
    "\u202etxt.exe",
    "\u2028=1",
    "zero\0=1",
    "\0=1",
    "  =1",
    '"=1',
    "'=1",
    "a\\;b,c",
    "BEGIN:VCARD",
    "x\nEND:VCARD\nBEGIN:VCARD",
    "_x0041_",
    "",
)
TEXTS = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.sampled_from("=+-@;,\"'\t\r\n |\0ая\u202e\u2028\x85\x1c"), max_size=12),
    st.text(st.characters(exclude_categories=["Cs"])),
)
CELLS = st.tuples(
    st.none() | TEXTS,
    st.none() | TEXTS,
    st.none() | st.decimals(-(10**9), 10**9, places=2),
    st.none() | st.dates(date(1990, 1, 1), date(2100, 1, 1)),
    st.none()
    | st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)).map(  # noqa: DTZ001 - given a zone right here
        lambda at: at.replace(tzinfo=UTC).astimezone(ZoneInfo("Europe/Moscow"))
    ),
    st.none() | st.booleans(),
    st.none() | st.integers(-(2**53), 2**53),
)
ROWS = st.lists(CELLS, max_size=8)
FORMULA = re.compile(r"[\s\0\"']*[=+\-@＝＋－＠]")


@given(ROWS)
def test_exact_csv_reads_back(rows: list[tuple[Any, ...]]) -> None:
    content = exact_csv(COLUMNS, rows).decode()
    read = list(csv.reader(io.StringIO(content, newline=""), strict=True))
    assert read == [list(COLUMNS), *([exact_text(cell) for cell in row] for row in rows)]


@given(st.lists(st.tuples(TEXTS), max_size=8))
def test_exact_csv_of_one_column_reads_back(rows: list[tuple[str]]) -> None:
    read = list(csv.reader(io.StringIO(exact_csv(("name",), rows).decode(), newline=""), strict=True))
    assert read == [["name"], *map(list, rows)]


@given(rows=st.lists(st.tuples(TEXTS, TEXTS), max_size=8))
def test_exact_csv_is_read_by_an_import(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]) -> None:
    rows = [tuple(cell.replace("\0", "") for cell in row) for row in rows]  # type: ignore[misc]
    path = tmp_path_factory.getbasetemp() / "exact.csv"
    path.write_bytes(exact_csv(("name", "note"), rows))
    # That the encoding and the delimiter are found out is tested elsewhere.
    with open_sheet(path, delimiter=",", encoding="utf-8") as sheet:
        assert [line.cells for line in sheet.rows if line.problem is None] == rows


@given(ROWS)
def test_json_lines_read_back(rows: list[tuple[Any, ...]]) -> None:
    content = json_lines(COLUMNS, rows).decode()
    # Not even the freest reader of lines finds another one.
    lines = content.splitlines()
    assert len(lines) == len(rows)
    for line, row in zip(lines, rows, strict=True):
        read = json.loads(line, parse_float=Decimal)
        assert list(read) == list(COLUMNS)
        for found, cell in zip(read.values(), row, strict=True):
            exact = exact_text(cell) if isinstance(cell, date) else cell
            assert found == exact
            assert str(found) == str(exact) or not isinstance(cell, Decimal)


@given(ROWS)
def test_parquet_reads_back(rows: list[tuple[Any, ...]]) -> None:
    table = pq.read_table(pa.BufferReader(plain_parquet(COLUMNS, rows)))
    assert table.column_names == list(COLUMNS)
    assert list(zip(*(column.to_pylist() for column in table.columns), strict=True)) == rows


@given(ROWS, st.sampled_from(["RU", "US"]))
def test_csv_for_excel_holds_no_formula(rows: list[tuple[Any, ...]], region: str) -> None:
    content = excel_csv(COLUMNS, rows, region)
    assert content.startswith(b"\xef\xbb\xbf")
    assert b"\0" not in content
    text = content.decode("utf-8-sig")
    read = list(csv.reader(io.StringIO(text, newline=""), delimiter="," if region == "US" else ";", strict=True))
    assert [len(row) for row in read] == [len(COLUMNS)] * (len(rows) + 1)
    for found, row in zip(read[1:], rows, strict=True):
        for cell, value in zip(found, row, strict=True):
            if isinstance(value, str):
                # Wherever another separator would begin a cell, too.
                assert not any(FORMULA.match(part) for part in _parts(cell)), cell


def _parts(cell: str) -> list[str]:
    """The cells that a reader with any separator would see, apart from the apostrophe that makes one harmless."""
    return [part for part in re.split(r"[,;\t|\r\n]", cell) if not re.match(r"[\s\0\"']*'[=+\-@＝＋－＠]", part)]


@pytest.mark.parametrize("text", ["Anna", "Юрий Белов", "Smith-Jones", "a=b", "anna@example.com", "5 + 3", ""])
def test_plain_text_stays_as_it_is_for_excel(text: str) -> None:
    assert harmless(text) == text


def test_csv_for_excel_is_of_the_region() -> None:
    row = [("+79161234567", Decimal("-1234.50"), True, datetime(2026, 3, 2, 12, tzinfo=UTC), date(2026, 3, 2))]
    names = ("a", "b", "c", "d", "e")
    assert excel_csv(names, row, "RU").decode("utf-8-sig") == (
        'a;b;c;d;e\r\n\'+79161234567;"-1234,50";yes;2026-03-02 12:00;2026-03-02\r\n'
    )
    assert excel_csv(names, row, "US").decode("utf-8-sig") == (
        "a,b,c,d,e\r\n'+79161234567,-1234.50,yes,2026-03-02 12:00,2026-03-02\r\n"
    )


def test_xlsx_holds_texts_and_numbers_and_no_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/nowhere")
    rows: list[tuple[Any, ...]] = [
        (text, Decimal("1.50"), 7, True, date(2026, 3, 2), datetime(2026, 3, 2, 12, tzinfo=UTC)) for text in HOSTILE
    ]
    rows += [("http://example.com", None, None, None, None, None)]
    content = xlsx(("a", "b", "c", "d", "e", "f"), rows)
    assert content == xlsx(("a", "b", "c", "d", "e", "f"), rows)
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
        strings = book.read("xl/sharedStrings.xml").decode()
        assert not any("rels" in name and "sheet1" in name for name in book.namelist())
    assert "<f>" not in sheet
    assert "hyperlink" not in sheet
    assert sheet.count('t="s"') == 6 + len(rows)
    assert strings.count("<si>") == len(set(HOSTILE)) + 7
    assert "<v>1.50</v>" in sheet
    assert "_x0000_" in strings
    assert "\0" not in strings


@pytest.mark.parametrize("rows", [[("x" * 32_768,)]])
def test_xlsx_refuses_what_a_cell_cannot_hold(rows: list[tuple[str]]) -> None:
    with pytest.raises(InputError, match="longer than"):
        xlsx(("a",), rows)


def test_xlsx_without_its_library_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    with pytest.raises(InputError) as caught:
        xlsx(("a",), [])
    assert caught.value.exit_code == 2
    assert "crmcli[xlsx]" in str(caught.value.hint)


def read_vcards(content: bytes) -> list[dict[str, str]]:
    """Read cards as RFC 2425 and 2426 say: unfold, part at the first colon, undo the escapes."""
    cards: list[dict[str, str]] = []
    for line in content.decode().replace("\r\n ", "").removesuffix("\r\n").split("\r\n"):
        name, _, value = line.partition(":")
        if name == "BEGIN":
            cards.append({})
        cards[-1][name] = re.sub(r"\\(.)", lambda match: "\n" if match[1] == "n" else match[1], value)
    return cards


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5))
def test_vcards_are_one_a_row_whatever_the_text(rows: list[tuple[str, str]]) -> None:
    content = vcards(("name", "note"), rows)
    lines = content.split(b"\r\n")
    assert all(len(line) <= 75 and b"\n" not in line and b"\r" not in line for line in lines)
    cards = read_vcards(content)
    assert len(cards) == len(rows)
    for card, (name, note) in zip(cards, rows, strict=True):
        assert set(card) <= {"BEGIN", "VERSION", "N", "FN", "NOTE", "END"}
        assert (card["BEGIN"], card["END"]) == ("VCARD", "VCARD")
        assert _kept(card.get("NOTE", "")) == _kept(note)
        assert _kept(card["FN"]) == _kept(name or "?")


def _kept(text: str) -> str:
    """What a card keeps of a text: all but controls, and each end of a line as one."""
    text = re.sub(r"\r\n?|[\v\f\x85\u2028\u2029]", "\n", text)
    return re.sub(r"[\0-\x08\x0e-\x1f\x7f-\x9f]", "", text)


def test_vcard_has_every_way_to_reach_a_client() -> None:
    columns = ("name", "company", "phone", "phone2", "other_phones", "email", "address", "client_id")
    row = ("Anna; Maria", "Tea, Ltd", "+79161", "+79162", "+79163; +79164", "a@b.ru", "Street 1", "0123456789AB")
    assert vcards(columns, [row]).decode().split("\r\n")[2:-2] == [
        "N:Anna\\; Maria;;;;",
        "FN:Anna\\; Maria",
        "ORG:Tea\\, Ltd",
        *(f"TEL;TYPE=VOICE:+7916{n}" for n in "1234"),
        "EMAIL;TYPE=INTERNET:a@b.ru",
        "ADR:;;Street 1;;;;",
        "UID:0123456789AB",
    ]


def test_long_lines_are_folded_between_characters() -> None:
    line = "NOTE:" + "щ" * 100
    assert folded(line).replace("\r\n ", "") == line
    assert folded("x" * 75) == "x" * 75
