"""Csv-like files as they come: encodings, delimiters, bad lines, hostile cells, sizes."""

from __future__ import annotations

import codecs
import csv
import gc
import io
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crmcli.errors import InputError
from crmcli.formats.delimited import Line, open_sheet

REAL = Path(__file__).parents[3] / "shared" / "data"
CDNOW = REAL / "cdnow" / "CDNOW_master.txt"
MAVEN = REAL / "maven_crm" / "sales_pipeline.csv"
RUSSIAN = "Имя;Телефон;Город\r\nАнна Каренина;+7 900;Москва\r\nПётр;№ 5 — «дом»;Ёлки\r\n"
PLAIN = RUSSIAN.replace("№", "N").replace("—", "-").replace("«", "'").replace("»", "'")


def file_of(folder: Path, content: str | bytes, encoding: str = "utf-8") -> Path:
    path = folder / "leads.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def read(path: Path, **how: str) -> tuple[tuple[str, ...], list[Line]]:
    with open_sheet(path, **how) as sheet:
        return sheet.header, list(sheet.rows)


def refusal(path: Path, **how: str) -> str:
    with pytest.raises(InputError) as caught:
        read(path, **how)
    assert "\n" not in caught.value.message
    return caught.value.message


# Encodings


@pytest.mark.parametrize(
    ("encoding", "found"),
    [("utf-8", "utf-8"), ("utf-8-sig", "utf-8"), ("utf-16", "utf-16"), ("cp1251", "cp1251")],
)
def test_the_encoding_is_found(tmp_path: Path, encoding: str, found: str) -> None:
    path = file_of(tmp_path, RUSSIAN, encoding)
    with open_sheet(path) as sheet:
        assert (sheet.encoding, sheet.delimiter) == (found, ";")
        assert sheet.header == ("Имя", "Телефон", "Город")
        assert list(sheet.rows) == [
            Line(2, ("Анна Каренина", "+7 900", "Москва"), None),
            Line(3, ("Пётр", "№ 5 — «дом»", "Ёлки"), None),
        ]


def test_big_endian_utf_16_with_its_mark(tmp_path: Path) -> None:
    path = file_of(tmp_path, codecs.BOM_UTF16_BE + RUSSIAN.encode("utf-16-be"))
    assert read(path)[0] == ("Имя", "Телефон", "Город")


@pytest.mark.parametrize("encoding", ["utf-8", "cp1251"])
def test_all_of_the_file_is_looked_at(tmp_path: Path, encoding: str) -> None:
    # Three blocks of plain ASCII before the first letter that tells; one character lies across a border.
    head = "name,city\n" + f"x,{'y' * 90}\n" * 40_000
    for shift in range(3):
        path = file_of(tmp_path, head[: (3 << 20) - 1 - shift] + "\nАнна,Москва\n", encoding)
        with open_sheet(path) as sheet:
            assert sheet.encoding == encoding
            *_, last = sheet.rows
            assert last.cells == ("Анна", "Москва")


def test_a_character_is_not_put_together_across_a_block(tmp_path: Path) -> None:
    block = b"x,y\n" * (1 << 18)
    content = block[:-1] + b"\xd0" + block + b"\xb0,y\n"
    assert "neither" in refusal(file_of(tmp_path, content))


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.encode("cp866"),
        PLAIN.encode("koi8-r"),
        "name;city\nMüller;Zürich\nJosé;Málaga\n".encode("latin-1"),
        RUSSIAN.encode()[:-4] + b"\xff\r\n",
        "ВЕЗДЕ;ГДЕ\n".encode() + b"\xff\n",
        RUSSIAN.encode() + b"\xd0",
        "имя\nАнна ".encode("cp1251") + b"\x98",
    ],
    ids=["cp866", "koi8-r", "latin-1", "damaged utf-8", "damaged capitals", "cut utf-8", "not in cp1251"],
)
def test_what_cannot_be_told_is_refused(tmp_path: Path, content: bytes) -> None:
    message = refusal(file_of(tmp_path, content))
    assert "cp1251" in message
    assert "byte" in message


def test_a_named_encoding_is_used(tmp_path: Path) -> None:
    assert read(file_of(tmp_path, RUSSIAN, "utf-8-sig"), encoding="UTF8")[0][0] == "Имя"
    assert read(file_of(tmp_path, PLAIN, "cp866"), encoding="cp866")[1][0].cells[2] == "Москва"
    assert read(file_of(tmp_path, RUSSIAN, "utf-16-le"), encoding="utf-16-le")[1][0].cells[2] == "Москва"
    assert "not utf-8" in refusal(file_of(tmp_path, RUSSIAN, "cp1251"), encoding="utf-8")
    for name in ("klingon", "base64", "rot13", "undefined", ""):
        assert "unknown encoding" in refusal(file_of(tmp_path, RUSSIAN), encoding=name)


# Delimiters and headers


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    rows = [["id", "name", "price", "note"], ["1", "a, b; c|d", "1,50", "x; y"], ["2", "e", "2;50", "|"]]
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(rows * 1)
    path = file_of(tmp_path, text.getvalue())
    with open_sheet(path) as sheet:
        assert sheet.delimiter == delimiter
        assert [list(line.cells) for line in sheet.rows] == rows[1:]


def test_decimal_commas_do_not_win(tmp_path: Path) -> None:
    path = file_of(tmp_path, "date, time;sum;rest\n1,5;2,5;3,5\n1,5;2,5;3,5\n")
    assert read(path)[0] == ("date, time", "sum", "rest")


def test_a_single_column_is_a_sheet_too(tmp_path: Path) -> None:
    assert read(file_of(tmp_path, "email\na@b.c\n")) == (("email",), [Line(2, ("a@b.c",), None)])


def test_a_delimiter_can_be_named(tmp_path: Path) -> None:
    path = file_of(tmp_path, "a~b;c\n1~2;3\n")
    assert read(path, delimiter="~")[0] == ("a", "b;c")
    assert read(path, delimiter="semicolon")[0] == ("a~b", "c")
    for name in ("", "ab", "x", '"', "\n", " "):
        assert "delimiter" in refusal(path, delimiter=name)


def test_runs_of_blanks_only_when_asked_for(tmp_path: Path) -> None:
    path = file_of(tmp_path, ' id  name\t sum\r\n\r\n 01   Анна\xa0К.  "5"\n02 x\n  03\ty 7 \n')
    assert read(path, delimiter="whitespace") == (
        ("id", "name", "sum"),
        [
            Line(3, ("01", "Анна\xa0К.", '"5"'), None),
            Line(4, ("02", "x"), "2 cells where the header has 3"),
            Line(5, ("03", "y", "7"), None),
        ],
    )
    assert len(read(path)[0]) == 2


def test_header_names(tmp_path: Path) -> None:
    path = file_of(tmp_path, "\ufeff\n\n name , ,phone,\n1,2,3,4\n".encode())
    assert read(path) == (("name", "", "phone", ""), [Line(4, ("1", "2", "3", "4"), None)])
    secret = "Каренина"  # noqa: S105 - a name that no message may hold
    message = refusal(file_of(tmp_path, f"{secret},x, {secret}\n"))
    assert message == "line 1, the header: columns 1 and 3 have the same name"
    assert "header" in refusal(file_of(tmp_path, 'a,"b\n'))


# Bad lines


def test_ragged_lines_are_told_and_the_rest_is_read(tmp_path: Path) -> None:
    path = file_of(tmp_path, "a,b\n1,2\n1\n\n1,2,3\n,\n5,6")
    assert read(path)[1] == [
        Line(2, ("1", "2"), None),
        Line(3, ("1",), "1 cells where the header has 2"),
        Line(5, ("1", "2", "3"), "3 cells where the header has 2"),
        Line(6, ("", ""), None),
        Line(7, ("5", "6"), None),
    ]


def test_quoted_newlines_count_as_lines(tmp_path: Path) -> None:
    path = file_of(tmp_path, 'a,b\r\n"1\r\n2\n3","say ""hi"""\r\n4,5\r\n')
    assert read(path)[1] == [Line(2, ("1\r\n2\n3", 'say "hi"'), None), Line(5, ("4", "5"), None)]


@pytest.mark.parametrize(
    "content",
    [
        'a,b\n1,"open\n2,x\n3,"fine, quoted"\n4,y\n',
        'a,b\n1,"open\n2,x\n3,"a ""b"""\n4,y\n',
        'a,b\n1,"open\n2,x\n3,z\n4,y\n',
        'a,b\n1,"closed"too early\n2,x\n3,z\n4,y\n',
    ],
)
def test_a_bad_quote_costs_one_line(tmp_path: Path, content: str) -> None:
    lines = read(file_of(tmp_path, content))[1]
    assert lines[0] == Line(2, (), "a quote is out of place or left open")
    assert [(line.number, line.cells[0], line.problem) for line in lines[1:]] == [
        (3, "2", None),
        (4, "3", None),
        (5, "4", None),
    ]


def test_a_quote_left_open_before_much_costs_one_line(tmp_path: Path) -> None:
    rows = "".join(f"{n},{'x' * 40}\n" for n in range(150_000))
    lines = read(file_of(tmp_path, f'a,b\n0,"open\n{rows}'))[1]
    assert [line.number for line in lines if line.problem] == [2]
    assert [line.number for line in lines] == list(range(2, 150_003))
    assert lines[-1].cells[0] == "149999"


def test_many_bad_quotes_end_in_bearable_time(tmp_path: Path) -> None:
    lines = read(file_of(tmp_path, "a,b\n" + '1,"x\n' * 20_001))[1]
    assert [line.number for line in lines if line.problem] == list(range(2, 20_003))
    # Here each line opens a quote anew, and all of the file follows before that shows.
    lines = read(file_of(tmp_path, "a,b\n" + 'x","y\n' * 1_500_000))[1]
    assert all(line.problem for line in lines)
    assert 10 < len(lines) < 100


def test_many_records_of_several_lines_are_not_one_long_record(tmp_path: Path) -> None:
    cell = "x" * 50_000 + "\n" + "y" * 40_000
    lines = read(file_of(tmp_path, "a,b\n" + f'1,"{cell}"\n' * 120))[1]
    assert [line.problem for line in lines] == [None] * 120
    assert lines[-1] == Line(240, ("1", cell), None)


def test_long_cells_are_told(tmp_path: Path) -> None:
    for cell in ("x" * (1 << 20), "Ж\n" * 60_000, ("y" * 3_000 + "\n") * 40):
        lines = read(file_of(tmp_path, f'a,b\n1,"{cell}"\n2,3\n1,{"x" * 100_000}\n'))[1]
        assert lines[0] == Line(2, (), "a cell is longer than 100,000 characters")
        assert [(line.cells[0], line.problem) for line in lines[1:]] == [("2", None), ("1", None)]
    lines = read(file_of(tmp_path, f"a b\n1 {'x' * 100_001}\n2 3\n"), delimiter="whitespace")[1]
    assert [line.problem is None for line in lines] == [False, True]
    lines = read(file_of(tmp_path, f"a,b\n1,{'x' * (5 << 20)}\n2,3\n"))[1]
    assert [line.problem for line in lines] == ["a cell is longer than 100,000 characters", None]


def test_a_line_without_end_is_refused_before_it_is_held(tmp_path: Path) -> None:
    assert "a line is longer" in refusal(file_of(tmp_path, b"a,b\n" + b"x" * (12 << 20)))


def test_nul(tmp_path: Path) -> None:
    content = "a,b\n1,x\0y\n2,3\n"
    assert refusal(file_of(tmp_path, content)) == "byte 7 of the file is a NUL: it is no text"
    for path, how in ((file_of(tmp_path, content), {"encoding": "utf-8"}), (tmp_path / "16", {})):
        (tmp_path / "16").write_text(content, encoding="utf-16")
        assert [line.problem for line in read(path, **how)[1]] == ["a cell holds a NUL", None]
    assert "NUL" in refusal(file_of(tmp_path, "a\0,b\n"), encoding="utf-8")


def test_hostile_cells_come_through_as_they_are(tmp_path: Path) -> None:
    cells = ('=HYPERLINK("http://x","y")', "\x1b[2J\x9b", "\u202eexe.pdf\u200b", "'; DROP TABLE clients --", "\x1c\x85")
    text = io.StringIO()
    csv.writer(text).writerows([["a", "b", "c", "d", "e"], cells])
    assert read(file_of(tmp_path, text.getvalue()))[1] == [Line(2, cells, None)]


# Files


def test_what_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "absent.csv") == f"no such file: {tmp_path / 'absent.csv'}"
    assert refusal(tmp_path).startswith("not a plain file: ")
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "pipe").startswith("not a plain file: ")
    assert refusal(Path("/dev/null")).startswith("not a plain file: ")
    assert "NUL" in refusal(tmp_path / "a\0b")
    for content in (b"", b"\n\r\n\n", codecs.BOM_UTF8, codecs.BOM_UTF16_LE):
        assert refusal(file_of(tmp_path, content)) == "the file is empty"


def test_a_file_beyond_two_gib_is_refused_unread(tmp_path: Path) -> None:
    path = file_of(tmp_path, "a,b\n")
    os.truncate(path, (2 << 30) + 1)
    assert refusal(path).startswith("the file is larger than 2,147,483,648 bytes: ")


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    path = file_of(tmp_path, "a,b\n")
    path.chmod(0)
    assert refusal(path).startswith("permission denied: ")


def test_a_sheet_closes_its_file(tmp_path: Path) -> None:
    path = file_of(tmp_path, "a,b\n1,2\n3,4\n")
    with open_sheet(path) as sheet:
        assert next(sheet.rows).number == 2
    assert list(sheet.rows) == []
    open_sheet(path)
    # A file that is left open would warn here, and a warning is an error.
    gc.collect()


def test_rows_are_streamed(tmp_path: Path) -> None:
    path = file_of(tmp_path, "a,b\n" + "1,2\n" * 2_000_000)
    import tracemalloc

    tracemalloc.start()
    try:
        with open_sheet(path) as sheet:
            for _ in zip(range(20_000), sheet.rows, strict=False):
                pass
        assert tracemalloc.get_traced_memory()[1] < 6 << 20
    finally:
        tracemalloc.stop()


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.lists(texts, min_size=3, max_size=3)),
    delimiter=st.sampled_from(",;\t|~"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    ends=st.sampled_from(["\r\n", "\n"]),
)
def test_whatever_csv_writes_comes_back(
    tmp_path: Path, rows: list[list[str]], delimiter: str, encoding: str, ends: str
) -> None:
    text = io.StringIO()
    # Everything in quotes: the csv module of Python 3.11 and 3.12 does not see that a lone \r needs them.
    writer = csv.writer(text, delimiter=delimiter, lineterminator=ends, quoting=csv.QUOTE_ALL)
    writer.writerows([["name", "phone", "city"], *rows])
    path = file_of(tmp_path, text.getvalue(), encoding)
    header, lines = read(path, delimiter=delimiter)
    assert header == ("name", "phone", "city")
    assert [(list(line.cells), line.problem) for line in lines] == [(row, None) for row in rows]
    physical = io.StringIO(text.getvalue(), newline="").readlines()
    assert all(physical[line.number - 1].startswith('"') for line in lines)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(min_size=1) | texts.map(lambda text: ("a,b\n" + text).encode()))
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    path = file_of(tmp_path, content)
    for how in ({}, {"delimiter": "whitespace"}, {"encoding": "latin-1", "delimiter": ","}):
        try:
            header, lines = read(path, **how)
        except InputError:
            continue
        numbers = [line.number for line in lines]
        assert numbers == sorted(set(numbers))
        assert all(line.problem or len(line.cells) == len(header) for line in lines)


# Real input


@pytest.mark.skipif(not CDNOW.exists(), reason="the shop's purchases are not here")
def test_a_real_dump_in_columns() -> None:
    header, lines = read(CDNOW, delimiter="whitespace")
    assert header == ("customer_id", "date", "number_of_cds", "dollar_value")
    assert len(lines) == 69_659
    assert not any(line.problem for line in lines)


@pytest.mark.skipif(not MAVEN.exists(), reason="the sales pipeline is not here")
def test_a_real_csv() -> None:
    header, lines = read(MAVEN)
    assert header[0] == "opportunity_id"
    assert len(lines) == 8_800
    assert not any(line.problem for line in lines)
