"""The only module that writes to stdout or stderr, and the only place where text is made safe for a terminal.

stdout is data: rows, lines and sheets. stderr is talk: notes, errors, questions and the progress bar.
"""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from decimal import Decimal
from itertools import chain, islice
from time import monotonic
from typing import Literal, TextIO

from crmcli.errors import CrmError, InputError, NoKeyError

_Row = Sequence[object]
Format = Literal["table", "json", "jsonl", "csv", "tsv", "ids"]

# The patterns below are compiled when they are first needed, which for plain text is never.
# What moves the cursor, turns the direction of reading or cannot be seen: controls, soft hyphen, joiners and fillers,
# bidi marks, line and paragraph separators, lone surrogates, shorthand and musical controls, tags. Variation
# selectors stay, for they only choose between two pictures of the same character.
_HIDDEN = (
    r"[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164"
    r"\ud800-\udfff\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    r"\U000e0000-\U000e00ff\U000e01f0-\U000e0fff]"
)
# What of that Python calls printable.
_FILLERS = r"[\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0]"
# Outside these ranges a character may be two columns wide, or none.
_UNEVEN = r"[^\x20-\u02ff\u0370-\u0482\u048a-\u058f\u2010-\u2027\u2030-\u205e\u20a0-\u20bf]"
_QUOTED = r'[",]'
_NAMED = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
_GAP = "  "
# Without a terminal a longer cell is whole, and sticks out of its column.
_WIDEST = 80
# What a table never shortens, beside numbers and ids: a part of it says nothing.
_WHOLE = ("", "due", "day", "week", "month", "quarter")
_BAR = 20
_REDRAW_SECONDS = 0.1
# An error may quote a file, which may be one long word.
_MOST_TOLD = 1000


def sanitise(text: str) -> str:
    r"""Return the text with each control, bidi or invisible character as an escape such as `\n`, `\x1b` or `\u202e`."""
    return text if _is_plain(text) else re.sub(_HIDDEN, _visible, text)


def _is_plain(text: str) -> bool:
    # Ten times faster than a search for all that is hidden, and almost always enough.
    return text.isprintable() and (text.isascii() or not re.search(_FILLERS, text))


def _visible(match: re.Match[str]) -> str:
    char = match[0]
    if char <= "\xff":
        return _NAMED.get(char) or f"\\x{ord(char):02x}"
    return f"\\u{ord(char):04x}" if char <= "\uffff" else f"\\U{ord(char):08x}"


def _json_escape(match: re.Match[str]) -> str:
    # Json spells characters beyond the basic plane as two halves.
    digits = match[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{digits[start : start + 4]}" for start in range(0, len(digits), 4))


def cell(value: object, *, exact: bool = False) -> str:
    """Return the text of one cell, the same in every format but for two types.

    A truth value is `yes` in a table and `true` when exact, a time `2026-03-15 10:00` and `2026-03-15T10:00:00+03:00`.
    None and what is not a number are empty; decimals keep their digits; a list is joined by `; `.
    """
    if value is None:
        return ""
    if type(value) is str:
        return value
    match value:
        case bool():
            text = str(value).lower() if exact else "yes" if value else "no"
        case Decimal():
            text = format(value, "f") if value.is_finite() else ""
        case float():
            # An exponent is spelt out, as it is for a decimal.
            text = repr(value)
            text = text if not text.strip("-.0123456789") else cell(Decimal(text))
        case datetime():
            text = value.isoformat(timespec="seconds") if exact else f"{value:%Y-%m-%d %H:%M}"
        case list() | tuple():
            text = "; ".join(cell(item, exact=exact) for item in value)
        case _:
            text = str(value)
    return text


def display_width(text: str) -> int:
    """Return the columns that the text takes on a terminal: two for wide characters, none for combining ones."""
    if text.isascii() or not re.search(_UNEVEN, text):
        return len(text)
    from unicodedata import category, east_asian_width

    return sum(
        0 if category(char) in {"Mn", "Me"} or "\u1160" <= char <= "\u11ff" else 1 + (east_asian_width(char) in "WF")
        for char in text
    )


def _cut(text: str, width: int, dots: str) -> str:
    if len(text) * 2 <= width or display_width(text) <= width:
        return text
    room = width - len(dots)
    for end, char in enumerate(text):
        room -= display_width(char)
        if room < 0:
            return text[:end] + dots
    return text


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _takes_unicode(stream: TextIO) -> bool:
    return (stream.encoding or "utf-8").lower().startswith("utf")


def _is_terminal(stream: TextIO) -> bool:
    return not stream.closed and stream.isatty()


def _prepared(stream: TextIO | None) -> TextIO:
    """Return a stream that survives any text; where the process was started without one, what is written is lost."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace", newline="\n")
    return stream if stream is not None else io.StringIO()


class Output:
    """Where one run of the program writes: `stdout` for data, `stderr` for talk; answers come from `stdin`.

    `tty`: stdout is a terminal; `color`: and one that wants colours; `width`: its columns. `is_heard`: it is there.
    """

    def __init__(
        self,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
        stdin: TextIO | None = None,
        *,
        tty: bool | None = None,
        color: bool | None = None,
        width: int | None = None,
    ) -> None:
        """Find out about the process whatever is not given."""
        self.is_heard = (stdout or sys.stdout) is not None
        self.stdout = _prepared(stdout or sys.stdout)
        self.stderr = _prepared(stderr or sys.stderr)
        self.stdin = stdin or sys.stdin
        self.tty = _is_terminal(self.stdout) if tty is None else tty
        smart = os.environ.get("TERM") != "dumb"
        self.color = (self.tty and smart and not os.environ.get("NO_COLOR")) if color is None else color
        self.width = width or _columns(self.stdout)
        self._draws = smart and _is_terminal(self.stderr)
        self._bar_is_up = False
        self._dots = "…" if _takes_unicode(self.stdout) and _takes_unicode(self.stderr) else "..."

    def rows(
        self,
        columns: Sequence[str],
        rows: Iterable[_Row],
        *,
        form: Format = "table",
        limit: int = 50,
        total: int | None = None,
        id_column: str | None = None,
        mark: Mapping[int, str] | None = None,
    ) -> None:
        """Write rows, each as long as `columns`, in the format asked for.

        Only a table obeys `limit` (0: all), says on stderr how many rows of `total` (counted if not given) it left
        out, and shows `mark`: a word after the row of that index, from 0. `id_column` is what `ids` prints and what a
        table never shortens. What is hidden in a text is
        shown in every format, on a terminal and in a pipe; json alone keeps it, escaped.
        Raises: InputError where `ids` has no column to print.
        """
        match form:
            case "table":
                rest = iter(rows)
                shown = list(islice(rest, limit or None))
                self._table(columns, shown, id_column, mark or {})
                more = sum(1 for _ in rest) if total is None else total - len(shown)
                if more > 0:
                    self.note(f"{self._dots} and {more} more (--limit 0 shows all)")
            case "json" | "jsonl":
                self._json(columns, rows, lines=form == "jsonl")
            case "csv" | "tsv":
                self._separated(columns, rows, form)
            case "ids":
                if id_column not in columns:
                    raise InputError("these rows have no id to print", "choose another --format")
                place = columns.index(id_column)
                for row in rows:
                    self.line(cell(row[place], exact=True))

    def line(self, text: str) -> None:
        """Write one line of data."""
        self.stdout.write(sanitise(text) + "\n")

    def heading(self, text: str) -> None:
        """Write a line that names what follows it."""
        self.stdout.write(self._styled(sanitise(text), "1") + "\n")

    def pairs(self, items: Iterable[tuple[str, object]]) -> None:
        """Write a sheet: one name and value per line, the values below one another."""
        sheet = [(sanitise(name), sanitise(cell(value))) for name, value in items]
        widest = max((display_width(name) for name, _ in sheet), default=0)
        for name, value in sheet:
            pad = " " * (widest - display_width(name))
            self.stdout.write(f"{self._styled(name, '1')}{pad}{_GAP}{value}".rstrip(" ") + "\n")

    def note(self, text: str) -> None:
        """Write one line of talk."""
        # What was said before in data has to stand before it where both streams are one.
        self.stdout.flush()
        self._talk(sanitise(text) + "\n")

    def error(self, err: CrmError) -> None:
        """Write the line of an error and the line of its hint, if any; nothing that stands in the way is raised."""
        try:
            self.flush()
        except OSError:
            # What could not be written must not hide why.
            _silence(self.stdout)
        message, hint = (self._told(text) for text in (err.message, err.hint or ""))
        try:
            self._talk(f"crmcli: error: {message}\n" + (f"crmcli: hint: {hint}\n" if hint else ""))
        except (OSError, ValueError):
            _silence(self.stderr)

    def _told(self, text: str) -> str:
        whole = sanitise(text[: _MOST_TOLD + 1])
        return whole if len(whole) <= _MOST_TOLD else whole[:_MOST_TOLD] + self._dots

    @contextmanager
    def progress(self, total: int | None, label: str) -> Iterator[Callable[[int], None]]:
        """Give a function that takes how many more of `total` are done; a bar is drawn only on a terminal."""
        done, drawn_at, width = 0, -1.0, _columns(self.stderr) - 1

        def advance(count: int) -> None:
            nonlocal done, drawn_at
            done += count
            if not self._draws or monotonic() - drawn_at < _REDRAW_SECONDS:
                return
            drawn_at = monotonic()
            text = f"{sanitise(label)}{_GAP}{done:,}"
            if total:
                share = min(done / total, 1.0)
                text += f" of {total:,}{_GAP}[{'#' * int(share * _BAR):.<{_BAR}}] {share:.0%}"
            self._talk("\r" + _cut(text, width, "...") + "\x1b[K")
            self._bar_is_up = True

        try:
            yield advance
        finally:
            self._talk("")

    def secret(self, prompt: str, hint: str | None = None) -> str:
        """Ask for a secret on the terminal, without showing what is typed.

        Raises: NoKeyError, with the hint, where there is no terminal to ask on.
        """
        import warnings
        from getpass import GetPassWarning, getpass

        # Where there is no terminal getpass would read stdin and show what is typed, with a mere warning.
        self.flush()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", GetPassWarning)
                return getpass(f"{sanitise(prompt)}: ")
        except (GetPassWarning, EOFError, OSError) as err:
            raise NoKeyError(f"no terminal to ask for the {sanitise(prompt)} on", hint) from err

    def flush(self) -> None:
        """Write out what waits. A reader that has gone is no error, now or at exit; a full disk is (OSError)."""
        for stream in (self.stdout, self.stderr):
            try:
                if not stream.closed:
                    stream.flush()
            except BrokenPipeError:
                _silence(stream)

    def silence(self) -> None:
        """Lead what is still to be written to stdout to nowhere, for nobody takes it."""
        _silence(self.stdout)

    def _talk(self, text: str) -> None:
        if self._bar_is_up and not text.startswith("\r"):
            text = "\r\x1b[K" + text
            self._bar_is_up = False
        self.stderr.write(text)
        self.stderr.flush()

    def _styled(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.color and code and text else text

    def _table(self, columns: Sequence[str], shown: list[_Row], id_column: str | None, mark: Mapping[int, str]) -> None:
        if mark:
            columns = [*columns, ""]
            shown = [(*row, mark.get(index)) for index, row in enumerate(shown)]
        table = [[sanitise(cell(value)) for value in row] for row in shown]
        turned = zip(*shown, strict=True)
        rights = [any(map(_is_number, c)) and all(v is None or _is_number(v) for v in c) for c in turned]
        rights = rights or [False] * len(columns)
        header = [sanitise(name) for name in columns]
        fixed = [right or name in {id_column, *_WHOLE} for right, name in zip(rights, columns, strict=True)]
        bodies = [max(map(display_width, texts)) for texts in zip(*table, strict=True)] or [0] * len(columns)
        widths = [max(body, display_width(name)) for body, name in zip(bodies, header, strict=True)]
        room = self.width if self.tty else 0
        if room:
            from crmcli.model.columns import fitted

            held = fitted(widths, bodies, fixed, room, len(_GAP))
            header, rights = [header[place] for place in held], [rights[place] for place in held]
            table = [[row[place] for place in held] for row in table]
            widths = list(held.values())
        else:
            widths = [width if right else min(width, _WIDEST) for width, right in zip(widths, rights, strict=True)]

        def line(cells: list[str]) -> str:
            parts: list[str] = []
            for text, width, right in zip(cells, widths, rights, strict=True):
                short = _cut(text, width, self._dots) if room else text
                pad = " " * (width - display_width(short))
                parts.append(pad + short if right else short + pad)
            whole = _GAP.join(parts).rstrip(" ")
            return _cut(whole, room, self._dots) if room else whole

        self.stdout.write(self._styled(line(header), "1") + "\n")
        for index, row in enumerate(table):
            self.stdout.write(self._styled(line(row), "33" if index in mark else "") + "\n")

    def _json(self, columns: Sequence[str], rows: Iterable[_Row], *, lines: bool) -> None:
        from json import JSONEncoder

        encode = JSONEncoder(ensure_ascii=not _takes_unicode(self.stdout)).encode

        def quoted(text: str) -> str:
            return encode(text) if _is_plain(text) else re.sub(_HIDDEN, _json_escape, encode(text))

        def value_of(value: object) -> str:
            text = cell(value, exact=True)
            # Written by hand so that 1054.00 keeps its digits; what is not a number is unknown.
            return text or "null" if value is None or isinstance(value, int | float | Decimal) else quoted(text)

        keys = [quoted(name) + ": " for name in columns]
        objects = (
            "{" + ", ".join([key + value_of(value) for key, value in zip(keys, row, strict=True)]) + "}" for row in rows
        )
        if lines:
            self.stdout.writelines(text + "\n" for text in objects)
            return
        between = "[\n"
        for text in objects:
            self.stdout.write(between + text)
            between = ",\n"
        self.stdout.write("[]\n" if between == "[\n" else "\n]\n")

    def _separated(self, columns: Sequence[str], rows: Iterable[_Row], form: Literal["csv", "tsv"]) -> None:
        def written(text: str) -> str:
            if form == "tsv":
                return text
            return '"' + text.replace('"', '""') + '"' if re.search(_QUOTED, text) else text

        between = "," if form == "csv" else "\t"
        for row in chain([columns], rows):
            line = between.join([written(sanitise(cell(value, exact=True))) for value in row])
            # A line of one empty cell would be a blank line, which readers skip.
            self.stdout.write((line or '""' if form == "csv" else line) + "\n")


def _columns(stream: TextIO) -> int:
    with suppress(OSError, ValueError, AttributeError):
        return os.get_terminal_size(stream.fileno()).columns or 80
    return 80


def _silence(stream: TextIO) -> None:
    """Lead a stream whose reader has gone to nowhere, so that the interpreter's last flush does not complain."""
    with suppress(OSError, ValueError):
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, stream.fileno())
        os.close(sink)
