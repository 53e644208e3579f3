"""Reads csv-like files as they come: finds out encoding and delimiter, and streams lines, good ones and bad ones."""

from __future__ import annotations

import io
import re
from collections.abc import Generator, Iterator, Sequence
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from crmcli.errors import InputError
from crmcli.formats.source import encoding_of, open_source
from crmcli.model.frozen import dataclass

_LARGEST_FILE = 2 << 30
_LONGEST_CELL = 100_000
# A record may span lines, inside quotes; beyond this a quote was surely left open.
_LONGEST_RECORD = 4 << 20
# How many characters after bad quotes are read again as lines of their own; a hostile file would have it without end.
_MOST_REREAD = 64 << 20
_SAMPLE = 1 << 16
_WHITESPACE = "whitespace"
_NAMES = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
_TOO_LONG = f"a cell is longer than {_LONGEST_CELL:,} characters"
_NUL = "a cell holds a NUL"


class Line(NamedTuple):
    """One record of a file.

    `number`: the physical line, from 1, where it starts; `cells`: its texts, none where they could not be told apart;
    `problem`: what is wrong with it, without any of its text, or None.
    """

    number: int
    cells: tuple[str, ...]
    problem: str | None


@dataclass(frozen=True)
class Sheet:
    """An open file: `header` holds the stripped names, of which some may be empty; `rows` streams what follows."""

    encoding: str
    delimiter: str
    header: tuple[str, ...]
    rows: Generator[Line]

    def close(self) -> None:
        """Close the file; `rows` ends."""
        self.rows.close()

    def __enter__(self) -> Self:
        """Return the sheet, to be closed at the end."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()


def open_sheet(path: Path, *, delimiter: str | None = None, encoding: str | None = None) -> Sheet:
    """Open a csv-like file whose first line that is not blank names the columns.

    The encoding is UTF-8, UTF-16 with its mark, or cp1251, and the delimiter one of `,` `;` tab `|`, unless named;
    the delimiter `whitespace` means runs of blanks. Lines are read as they are asked for and blank ones left out.
    Raises: InputError for what is no such file, is over 2 GiB, or has no header or one that names a column twice.
    """
    chosen = None if delimiter is None else _known(delimiter)
    file = open_source(path, _LARGEST_FILE)
    try:
        found = encoding_of(file, encoding)
        # Ends of lines are left to the reader, for those inside quotes belong to the cell.
        text = io.TextIOWrapper(file, encoding=found.name, newline="")
        if chosen is None:
            chosen = _likely(text.read(_SAMPLE))
            text.seek(0)
        lines = _blank_separated(text) if chosen == _WHITESPACE else iter(_Quoted(text, chosen))
        guarded = _guarded(text, lines, has_nul=found.has_nul)
    except BaseException:
        file.close()
        raise
    try:
        header = _header(next(guarded, None))
    except BaseException:
        guarded.close()
        raise
    return Sheet(found.name.removesuffix("-sig"), chosen, header, guarded)


def _known(delimiter: str) -> str:
    chosen = _NAMES.get(delimiter, delimiter)
    if chosen != _WHITESPACE and (len(chosen) != 1 or chosen.isalnum() or chosen in '"\r\n\0\ufeff '):
        raise InputError("the delimiter has to be one character or the word whitespace")
    return chosen


def _likely(sample: str) -> str:
    """Return the delimiter that cuts most lines into as many cells as the first one, and into most cells."""
    import csv

    if len(sample) >= _SAMPLE:
        # What the sample cuts off would count as a short line.
        sample = sample[: max(sample.rfind("\n"), sample.rfind("\r")) + 1] or sample
    best, best_score = ",", (0.0, 1)
    for candidate in (",", ";", "\t", "|"):
        counts = [len(cells) for cells in csv.reader(io.StringIO(sample, newline=""), delimiter=candidate) if cells]
        if counts and counts[0] > 1:
            score = (counts.count(counts[0]) / len(counts), counts[0])
            if score > best_score:
                best, best_score = candidate, score
    return best


def _header(line: Line | None) -> tuple[str, ...]:
    if line is None:
        raise InputError("the file is empty")
    if line.problem:
        raise InputError(f"line {line.number}, the header: {line.problem}")
    names = tuple(name.replace("\ufeff", "").strip() for name in line.cells)
    places: dict[str, int] = {}
    for place, name in enumerate(names, 1):
        if name and places.setdefault(name, place) != place:
            # Where the file has no header, these are somebody's cells: not for a message.
            raise InputError(
                f"line {line.number}, the header: columns {places[name]} and {place} have the same name",
                "the first line has to name the columns",
            )
    return names


def _guarded(text: io.TextIOWrapper, lines: Iterator[Line], *, has_nul: bool) -> Generator[Line]:
    """Hand on the lines and close the file behind them."""
    with text:
        try:
            if has_nul:
                for line in lines:
                    yield line._replace(problem=_NUL) if any("\0" in cell for cell in line.cells) else line
            else:
                yield from lines
        except UnicodeError as err:
            raise InputError("the file was changed while it was read") from err


def _line(number: int, cells: Sequence[str], width: int) -> Line:
    """Return a record whose cells are as many as the header's `width` and short enough, or else say what it is not."""
    if any(len(cell) > _LONGEST_CELL for cell in cells):
        return Line(number, (), _TOO_LONG)
    uneven = f"{len(cells)} cells where the header has {width}" if len(cells) != width else None
    return Line(number, tuple(cells), uneven)


def _blank_separated(text: Iterator[str]) -> Iterator[Line]:
    split = re.compile(r"[ \t]+").split
    width = 0
    for number, line in enumerate(text, 1):
        stripped = line.strip(" \t\r\n")
        if stripped:
            cells = split(stripped)
            width = width or len(cells)
            yield _line(number, cells, width)


class _RecordTooLongError(Exception):
    """The record being read spans more than it may."""


class _Quoted:
    """Reads records whose cells may stand in quotes, and after a bad quote goes on with the next line."""

    def __init__(self, text: Iterator[str], delimiter: str) -> None:
        self._text = text
        self._delimiter = delimiter
        self._number = 1
        self._width = -1
        self._taken: list[str] = []  # the lines of the record being read
        self._again: list[str] = []  # lines to be read once more, the next one last

    def __iter__(self) -> Iterator[Line]:
        import csv

        # Long cells are let through as far as a record may go, for only a reader that sees a cell's end knows which
        # line is the next record.
        csv.field_size_limit(_LONGEST_RECORD)
        taken, reread = self._taken, 0
        while True:
            try:
                yield from self._records(csv.reader(self._feed(), delimiter=self._delimiter, strict=True))
            except (csv.Error, _RecordTooLongError) as err:
                long = len(taken) == 1 and "field limit" in str(err)
                yield Line(self._number, (), _TOO_LONG if long else "a quote is out of place or left open")
                # A quote left open swallows good lines: only the line that it stands in is bad.
                reread += sum(map(len, taken))
                skipped = 1 if reread <= _MOST_REREAD else len(taken)
                self._number += skipped
                self._again.extend(reversed(taken[skipped:]))
                taken.clear()
            else:
                return

    def _records(self, reader: Iterator[list[str]]) -> Iterator[Line]:
        taken = self._taken
        for cells in reader:
            if len(cells) == self._width and len(taken) == 1 and len(taken[0]) <= _LONGEST_CELL:
                yield Line(self._number, tuple(cells), None)
            elif cells:
                # The first record is the header.
                self._width = len(cells) if self._width < 0 else self._width
                yield _line(self._number, cells, self._width)
            self._number += len(taken)
            taken.clear()

    def _left(self) -> Iterator[str]:
        while self._again:
            yield self._again.pop()

    def _feed(self) -> Iterator[str]:
        taken, again, size = self._taken, self._again, 0
        for line in chain(self._left(), self._text):
            if taken:
                size += len(line)
                if size > _LONGEST_RECORD:
                    again.append(line)
                    raise _RecordTooLongError
            else:
                size = 0
            taken.append(line)
            yield line
