"""What stdout and stderr receive: every format, a terminal and a pipe, hostile text, pipes that close."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import select
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmcli.errors import CrmError, InputError, NoKeyError
from crmcli.output import Format, Output, cell, display_width, sanitise

MSK = timezone(timedelta(hours=3))
NOON = datetime(2026, 3, 15, 10, 0, 7, 123456, tzinfo=MSK)
HARD = ["note", "amount", "at", "on", "is_vip", "phones", "share", "seconds"]
HARD_ROWS: list[list[object]] = [
    ['Анна "Аня", ООО', Decimal("1054.00"), NOON, date(2026, 3, 15), True, ("+7 900", "+7 901"), 0.5, 3],
    ["a\x1b[31m\u202eb\r\n\tc\x85", Decimal("-0.10"), None, None, False, [], 1e-7, None],
    ["李小龍", Decimal("1E+3"), None, None, None, None, float("nan"), -12],
]


def shown(write: Callable[[Output], object], *, tty: bool = False, width: int = 80, color: bool = False) -> str:
    stdout = io.StringIO()
    write(Output(stdout, io.StringIO(), tty=tty, color=color, width=width))
    return stdout.getvalue()


def listed(columns: list[str], rows: list[list[object]], form: Format, **how: object) -> str:
    return shown(lambda output: output.rows(columns, rows, form=form, **how))  # type: ignore[arg-type]


# Sanitising


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("Анна Каренина — «ООО»", "Анна Каренина — «ООО»"),
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("a\r\n\tb", r"a\r\n\tb"),
        ("\x7f\x9b\xad", r"\x7f\x9b\xad"),
        ("\u202eexe.pdf\u2066\u061c\u200e", r"\u202eexe.pdf\u2066\u061c\u200e"),
        ("\u200b\u2060\ufeff\u2028\u2029\u3164", r"\u200b\u2060\ufeff\u2028\u2029\u3164"),
        ("\U000e0041\ud800", r"\U000e0041\ud800"),
        ("❤\ufe0f", "❤\ufe0f"),
        ("", ""),
    ],
)
def test_what_is_hidden_becomes_visible(text: str, safe: str) -> None:
    assert sanitise(text) == safe


def test_no_character_of_unicode_gets_through_unseen() -> None:
    dangerous = {"Cc", "Cs", "Zl", "Zp"}
    for code in range(sys.maxunicode + 1):
        char = chr(code)
        safe = sanitise(char)
        assert safe == char or re.fullmatch(r"\\(n|r|t|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})", safe), code
        if unicodedata.category(char) in dangerous or unicodedata.bidirectional(char) in {
            *("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI", "BN"),
        }:
            assert safe != char or 0xFDD0 <= code <= 0xFDEF or code & 0xFFFE == 0xFFFE or code >= 0xE0000, hex(code)
    unseen = (0x00AD, 0x061C, 0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x2060, 0xFEFF, *range(0xE0000, 0xE0080))
    fillers = (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0)
    for code in unseen + fillers:
        assert sanitise(f"ж{chr(code)}ж") != f"ж{chr(code)}ж"


@given(st.text(st.characters()) | st.text("\x00\x1b\n\r\t\x9b\u202e\u200b\ud800\U000e0001аb "))
def test_sanitised_text_is_sanitised_once_and_for_all(text: str) -> None:
    safe = sanitise(text)
    assert sanitise(safe) == safe
    assert not any(char < " " or "\x7f" <= char <= "\x9f" or "\u202a" <= char <= "\u202e" for char in safe)
    safe.encode()


# Tables


def test_a_table_aligns_and_says_what_it_left_out() -> None:
    stdout, stderr = io.StringIO(), io.StringIO()
    rows = [["Анна", 5, None], ["李小龍", Decimal("1054.00"), "x"], ["e\u0301", 1, ""], ["last", 2, ""]]
    Output(stdout, stderr).rows(["name", "sum_total", "note"], rows, limit=3)
    assert stdout.getvalue() == (
        "name    sum_total  note\nАнна            5\n李小龍    1054.00  x\ne\u0301               1\n"
    )
    assert stderr.getvalue() == "… and 1 more (--limit 0 shows all)\n"


@pytest.mark.parametrize(
    ("limit", "total", "said"),
    [(50, 1000, "… and 950 more (--limit 0 shows all)\n"), (0, None, ""), (100, None, ""), (50, 50, "")],
)
def test_the_limit_is_a_table_s_only(limit: int, total: int | None, said: str) -> None:
    stdout, stderr = io.StringIO(), io.StringIO()
    output = Output(stdout, stderr)
    count = 50 if total else 100
    output.rows(["n"], ([n] for n in range(count)), limit=limit, total=total)
    assert len(stdout.getvalue().splitlines()) == count + 1
    assert stderr.getvalue() == said
    forms: tuple[Format, ...] = ("csv", "tsv", "json", "jsonl", "ids")
    for form in forms:
        assert listed(["n"], [[n] for n in range(100)], form, limit=3, id_column="n").count("99") == 1


def test_nothing_is_cut_in_a_pipe_and_everything_fits_a_terminal() -> None:
    rows: list[list[object]] = [["A1B2C3", "долгое имя " * 9, "李" * 40, 123456789012345]]
    columns = ["client_id", "name", "also", "a_very_long_name_of_a_column"]
    assert "долгое имя " * 8 in listed(columns, rows, "table")
    for width in range(30, 400, 7):
        text = shown(lambda o: o.rows(columns, rows, id_column="client_id"), tty=True, width=width)
        assert all(display_width(line) <= width for line in text.splitlines())
        assert "A1B2C3" in text
        assert "123456789012345" in text or width < 40
    assert "…" not in shown(lambda o: o.rows(columns, rows), tty=True, width=400)
    assert all(display_width(line) <= 9 for line in shown(lambda o: o.rows(columns, rows), tty=True, width=9).split())


def test_a_terminal_shows_when_before_what_and_leaves_out_what_is_empty() -> None:
    columns = ["number", "due", "who", "whom", "about", "promised", "stage", "phone", "reminder_id"]
    texts = ("Ольга", "Анна «Чайная» Петрова", "спросить про весну и про лето", None, None, "+79161234567", "5KWF3Y")
    rows: list[list[object]] = [[1, "2026-03-02 11:30", *texts], [2, "2026-03-03", *texts]]
    text = shown(lambda o: o.rows(columns, rows, id_column="reminder_id", mark={0: "overdue"}), tty=True)
    first, second, _ = text.splitlines()
    assert "promised" not in first
    assert "stage" not in first
    assert all(part in second for part in ("2026-03-02 11:30", "5KWF3Y", "overdue"))
    assert display_width(second) <= 80
    # With room for all there is all.
    assert "promised" in shown(lambda o: o.rows(columns, rows, id_column="reminder_id"), tty=True, width=200)
    assert shown(lambda o: o.rows(["aaaa", "bbbb"], [[None, None]]), tty=True, width=8).startswith("aaaa")


def test_a_long_text_is_whole_in_a_pipe_and_pads_no_other_line() -> None:
    rows: list[list[object]] = [["x" * 1000, "1"], ["y", "2"]]
    first, second, third = listed(["about", "id"], rows, "table").splitlines()
    assert (second, len(first), len(third)) == ("x" * 1000 + "  1", 84, 83)


def test_a_mark_stands_behind_its_row_in_a_table_only() -> None:
    rows: list[list[object]] = [["call", 1], ["closing", 3]]
    assert listed(["stage", "lost"], rows, "table", mark={1: "most losses"}) == (
        "stage    lost\ncall        1\nclosing     3  most losses\n"
    )
    assert "most" not in listed(["stage", "lost"], rows, "csv", mark={1: "most losses"})


def test_a_table_without_rows_is_its_header() -> None:
    assert listed(["a", "b"], [], "table") == "a  b\n"
    assert listed(["a", "b"], [], "table", mark={0: "x"}) == "a  b\n"
    assert listed(["a", "b"], [], "csv") == "a,b\n"
    assert listed(["a"], [], "json") == "[]\n"
    assert listed(["a"], [], "jsonl") == ""


words = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1)
values = (
    words
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.dates()
    | st.lists(st.from_regex(r"\A\w+\Z"), min_size=1)
)


@given(st.lists(st.tuples(values, values, values), min_size=1))
def test_table_and_csv_agree_cell_for_cell(rows: list[tuple[object, ...]]) -> None:
    columns = ["first", "second", "third"]
    text = listed(columns, [list(row) for row in rows], "csv")
    table = listed(columns, [list(row) for row in rows], "table", limit=0)
    expected = list(csv.reader(io.StringIO(text, newline="")))
    assert [re.split(" {2,}", line.strip(" ")) for line in table.split("\n")[:-1]] == expected


def test_only_times_and_truth_values_are_spelt_otherwise_where_machines_read() -> None:
    for value in [row for rows in HARD_ROWS for row in rows]:
        if isinstance(value, datetime):
            assert (cell(value), cell(value, exact=True)) == ("2026-03-15 10:00", "2026-03-15T10:00:07+03:00")
        elif isinstance(value, bool):
            assert {cell(value), cell(value, exact=True)} in ({"yes", "true"}, {"no", "false"})
        else:
            assert cell(value) == cell(value, exact=True)
    assert [cell(v) for v in (1e22, 1e-7, Decimal("1E+3"), float("inf"))] == [f"1{'0' * 22}", "0.0000001", "1000", ""]


# Formats for machines


def test_csv_and_tsv_show_what_is_hidden_and_keep_the_rest() -> None:
    for tty in (True, False):
        text = shown(lambda o: o.rows(HARD, HARD_ROWS, form="csv"), tty=tty)
        assert text == (
            "note,amount,at,on,is_vip,phones,share,seconds\n"
            '"Анна ""Аня"", ООО",1054.00,2026-03-15T10:00:07+03:00,2026-03-15,true,+7 900; +7 901,0.5,3\n'
            "a\\x1b[31m\\u202eb\\r\\n\\tc\\x85,-0.10,,,false,,0.0000001,\n"
            "李小龍,1000,,,,,,-12\n"
        )
    assert listed(["a", "b"], [["x\ty\nz\\", "\r"], ["", None]], "tsv") == "a\tb\nx\\ty\\nz\\\t\\r\n\t\n"
    assert listed(["a"], [[""], ["x"]], "csv") == 'a\n""\nx\n'


@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2, max_size=2)))
def test_csv_comes_back_as_a_table_shows_it(rows: list[list[str]]) -> None:
    text = listed(["a", "b"], [list(row) for row in rows], "csv")
    expected = [[sanitise(value) for value in row] for row in rows]
    assert list(csv.reader(io.StringIO(text, newline=""), strict=True)) == [["a", "b"], *expected]


def test_json_has_types_and_exact_digits() -> None:
    text = listed(HARD, HARD_ROWS, "json")
    lines = text.splitlines()
    assert (lines[0], lines[-1], len(lines)) == ("[", "]", 5)
    assert '"amount": 1054.00, "at": "2026-03-15T10:00:07+03:00", "on": "2026-03-15", "is_vip": true' in lines[1]
    assert r'"note": "a\u001b[31m\u202eb\r\n\tc\u0085"' in lines[2]
    assert '"share": null, "seconds": -12}' in lines[3]
    read = json.loads(text, parse_float=Decimal)
    assert read[0]["phones"] == "+7 900; +7 901"
    assert read[1]["note"] == HARD_ROWS[1][0]
    assert [json.loads(line, parse_float=Decimal) for line in listed(HARD, HARD_ROWS, "jsonl").splitlines()] == read


@given(st.dictionaries(st.text(min_size=1), st.none() | st.booleans() | st.integers() | st.text(), min_size=1))
def test_json_comes_back_and_holds_nothing_dangerous(row: dict[str, object]) -> None:
    text = listed(list(row), [list(row.values())], "jsonl")
    assert json.loads(text) == row
    assert sanitise(text[:-1]) == text[:-1]


def test_json_holds_tags_and_surrogates() -> None:
    text = listed(["a"], [["\U000e0041\ud800"]], "jsonl")
    assert text == '{"a": "\\udb40\\udc41\\ud800"}\n'
    assert json.loads(text) == {"a": "\U000e0041\ud800"}


def test_ids_are_one_per_line() -> None:
    assert listed(["name", "client_id"], [["x", "A1"], ["y", "B\n2"]], "ids", id_column="client_id") == "A1\nB\\n2\n"
    for column in (None, "deal_id"):
        with pytest.raises(InputError):
            listed(["name", "client_id"], [["x", "A1"]], "ids", id_column=column)


# Lines, sheets and talk


def test_lines_headings_and_sheets() -> None:
    def write(output: Output) -> None:
        output.heading("Sales\x1b")
        output.line("a\nb")
        output.pairs([("name", "Анна"), ("phones", ["1", "2"]), ("asked_not_to_call", False), ("email", None)])

    plain = "Sales\\x1b\na\\nb\nname               Анна\nphones             1; 2\nasked_not_to_call  no\nemail\n"
    assert shown(write) == plain
    colored = shown(write, color=True)
    assert colored.startswith("\x1b[1mSales\\x1b\x1b[0m\n")
    assert re.sub(r"\x1b\[\d+m", "", colored) == plain


def test_an_error_is_one_line_and_a_hint() -> None:
    stderr = io.StringIO()
    output = Output(io.StringIO(), stderr, color=True)
    output.error(CrmError("no\x1b such\nthing"))
    output.error(InputError("bad", "try\rthis"))
    assert stderr.getvalue() == ("crmcli: error: no\\x1b such\\nthing\ncrmcli: error: bad\ncrmcli: hint: try\\rthis\n")


def test_an_error_that_quotes_a_long_word_is_cut() -> None:
    for letter in "x\x1bя":
        stderr = io.StringIO()
        Output(io.StringIO(), stderr).error(CrmError(letter * 1_000_000, letter * 5000))
        assert [line[-1] for line in stderr.getvalue().splitlines()] == ["…", "…"]
        assert len(stderr.getvalue()) < 2100


def test_without_a_terminal_nothing_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = io.StringIO()
    output = Output(io.StringIO(), stderr, io.StringIO("y\n"))
    with output.progress(3, "import") as advance:
        advance(3)
    assert stderr.getvalue() == ""
    for name, value, colored in (("TERM", "xterm", True), ("NO_COLOR", "1", False)):
        monkeypatch.setenv(name, value)
        assert Output(io.StringIO(), tty=True).color is colored
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert Output(io.StringIO(), tty=True).color is False


# Real processes

START = "from crmcli.output import Output\nfrom crmcli.errors import CrmError\no = Output()\n"


def run(
    code: str, *, env: dict[str, str] | None = None, stdout: int = subprocess.PIPE
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", START + code],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={**os.environ, **(env or {})},
        check=False,
        timeout=60,
        start_new_session=True,
    )


def on_terminal(code: str, typed: bytes = b"", env: dict[str, str] | None = None) -> str:
    """Run on a terminal of its own, type something, and return all that it showed."""
    child, master = pty.fork()
    if child == 0:
        os.execve(  # noqa: S606 - the child of a fork, on its own terminal
            sys.executable,
            [sys.executable, "-c", START + code],
            {**os.environ, "TERM": "xterm", "COLUMNS": "", **(env or {})},
        )
    seen = b""
    try:
        while True:
            ready, _, _ = select.select([master], [], [], 60)
            assert ready, f"nothing more after {seen!r}"
            part = os.read(master, 4096)
            if not part:
                break
            seen += part
            if typed and seen.rstrip().endswith((b"[y/N]", b":")):
                os.write(master, typed)
                typed = b""
    except OSError:
        # The terminal of a finished process reads as an error.
        pass
    finally:
        os.close(master)
        os.waitpid(child, 0)
    return seen.decode()


def test_a_closed_pipe_leaves_no_trace_at_exit() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        code = "o.line('x'); o.flush(); o.line('y'); o.error(CrmError('bad'))"
        done = run(code, env={"PYTHONUNBUFFERED": ""}, stdout=writer)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"crmcli: error: bad\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full device")
def test_a_full_disk_is_not_passed_over() -> None:
    with Path("/dev/full").open("wb") as full:
        done = run("o.line('x'); o.flush()", stdout=full.fileno())
        told = run("o.line('x'); o.error(CrmError('no space'))", env={"PYTHONUNBUFFERED": ""}, stdout=full.fileno())
    assert b"OSError" in done.stderr
    assert (told.returncode, told.stderr) == (0, b"crmcli: error: no space\n")


def test_a_narrow_encoding_loses_no_text() -> None:
    code = "o.line('Анна 李'); o.rows(['a'], [['李😀']], form='json'); o.rows(['n'], [[1], [2]], limit=1)"
    done = run(code, env={"PYTHONIOENCODING": "ascii"})
    assert done.stdout == b'\\u0410\\u043d\\u043d\\u0430 \\u674e\n[\n{"a": "\\u674e\\ud83d\\ude00"}\n]\nn\n1\n'
    assert done.stderr == b"... and 1 more (--limit 0 shows all)\n"


def test_started_without_stdout_it_still_runs() -> None:
    command = [sys.executable, "-c", START + "o.line('x'); o.note('y'); o.flush()"]
    shell = ["sh", "-c", '"$@" >&-', "sh", *command]
    done = subprocess.run(shell, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"y\n")


def test_data_and_talk_keep_their_order_in_one_pipe() -> None:
    command = [sys.executable, "-c", START + "o.line('1'); o.note('2'); o.line('3'); o.error(CrmError('4'))"]
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONUNBUFFERED": ""},
        check=True,
        timeout=60,
    )
    assert done.stdout == b"1\n2\n3\ncrmcli: error: 4\n"


def test_a_secret_is_asked_for_and_not_shown() -> None:
    text = on_terminal("print('<%d>' % len(o.secret('passphrase')))", b"correct horse\n")
    assert "passphrase:" in text
    assert "<13>" in text
    assert "horse" not in text


def test_without_a_terminal_a_secret_is_refused() -> None:
    done = run("try:\n    o.secret('passphrase')\nexcept Exception as e:\n    print(type(e).__name__, e.exit_code)")
    assert (done.stdout.decode().split(), done.stderr) == ([NoKeyError.__name__, "12"], b"")


def test_progress_is_drawn_on_a_terminal_and_gone_in_the_end() -> None:
    code = (
        "import time\n"
        "with o.progress(1000, 'import') as advance:\n"
        "    for n in range(500): advance(2)\n"
        "    o.note('said between')\n"
        "    time.sleep(0.11); advance(0)\n"
    )
    text = on_terminal(code)
    assert "\rimport  2 of 1,000  [....................] 0%\x1b[K" in text
    assert "\r\x1b[Ksaid between\r\n" in text
    assert text.endswith("100%\x1b[K\r\x1b[K")
    assert text.count("import") <= 3
    assert on_terminal(code, env={"TERM": "dumb"}) == "said between\r\n"


def test_the_terminal_s_width_is_found_out() -> None:
    import fcntl
    import struct
    import termios

    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    run("o.rows(['a', 'b'], [['x' * 100, 'y' * 100]])", stdout=slave, env={"NO_COLOR": "1", "TERM": "xterm"})
    lines = os.read(master, 4096).decode().split("\r\n")
    os.close(master)
    os.close(slave)
    assert len(lines[1]) == 40
    assert lines[1].count("…") == 2


def test_starting_it_loads_nothing_slow() -> None:
    done = run("import sys; print(*sorted({'csv', 'json', 'unicodedata', 'getpass', 'rich'} & set(sys.modules)))")
    assert done.stdout == b"\n"


def test_times_of_any_zone_are_shown_as_given() -> None:
    assert cell(NOON.astimezone(UTC)) == "2026-03-15 07:00"
