"""Rows as csv and xlsx: exact for another program, or such that a spreadsheet shows them and runs none of them."""

from __future__ import annotations

import io
import re
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from crmcli.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# What spreadsheets take for the beginning of a formula, wide forms included, where a cell begins or where one that
# cuts lines at another separator would see it begin.
_FORMULA = re.compile(r"(^|[,;\t|\r\n])([\"'\s\0]*)([=+\-@＝＋－＠])")
_QUOTED = re.compile(r'[",;|\r\n\t\0\v\f\x1c-\x1e\x85\u2028\u2029]|^\s|\s$')
# Regions in which a decimal point is written; elsewhere it is a comma, and a semicolon parts the columns.
_POINT = re.compile("US|GB|CA|AU|NZ|IE|IN|PK|CN|JP|KR|TW|HK|SG|MY|TH|PH|IL|MX|NG|KE|GH")
_LONGEST_CELL = 32_767
_MOST_ROWS = 1_048_575


def exact_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Return rows as csv, UTF-8, that reads back exactly: nothing is altered, and what needs quotes has them."""
    return _csv(columns, ([exact_text(cell) for cell in row] for row in rows), ",", "\n").encode()


def excel_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]], region: str) -> bytes:
    """Return rows as csv for a spreadsheet of a region: with a byte order mark, and no text that is a formula."""
    has_point = _POINT.fullmatch(region) is not None
    texts = ([_shown(cell, has_point=has_point) for cell in row] for row in rows)
    return b"\xef\xbb\xbf" + _csv(columns, texts, "," if has_point else ";", "\r\n").encode()


def _csv(columns: Sequence[str], rows: Iterable[Sequence[str]], between: str, end: str) -> str:
    lines = [between.join(columns)]
    # A line of one empty cell would be a blank line, which readers skip.
    lines += [between.join([_quoted(text) for text in row]) or '""' for row in rows]
    return end.join([*lines, ""])


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text


def exact_text(cell: Any) -> str:
    """Return a cell as text that says all of it: times with their offset, decimals with their digits."""
    match cell:
        case None:
            return ""
        case bool():
            return str(cell).lower()
        case Decimal():
            return format(cell, "f")
        case datetime() | date():
            return cell.isoformat()
        case _:
            return str(cell)


def _shown(cell: Any, *, has_point: bool) -> str:
    match cell:
        case str():
            return harmless(cell)
        case Decimal():
            return format(cell, "f") if has_point else format(cell, "f").replace(".", ",")
        case datetime():
            return f"{cell:%Y-%m-%d %H:%M}"
        case bool():
            return "yes" if cell else "no"
        case _:
            return exact_text(cell)


def harmless(text: str) -> str:
    """Return a text with an apostrophe before what a spreadsheet would take for a formula, and without NULs."""
    return _FORMULA.sub(r"\1\2'\3", text).replace("\0", "")


def xlsx(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    """Return rows as an Excel workbook, made in memory: texts are texts, numbers and dates what they are.

    Raises: InputError without the library for it, or for more than a sheet can hold.
    """
    try:
        from xlsxwriter import Workbook
    except ImportError as error:
        raise InputError("xlsx needs a library", "pip install 'crmcli[xlsx]', or choose --format csv") from error
    if len(rows) > _MOST_ROWS:
        raise InputError(f"a sheet holds {_MOST_ROWS:,} rows, not {len(rows):,}", "choose --format csv")
    content = io.BytesIO()
    # Whatever else the library does by itself would make of a text something that acts.
    book = Workbook(content, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    # The same rows make the same file, whenever they are written.
    book.set_properties({"created": datetime(2000, 1, 1)})  # noqa: DTZ001 - as the library takes it
    sheet = book.add_worksheet()
    forms = {kind: book.add_format({"num_format": form}) for kind, form in _XLSX_FORMS.items()}
    for place, name in enumerate(columns):
        sheet.write_string(0, place, name)
    for number, row in enumerate(rows, 1):
        for place, cell in enumerate(row):
            _write(sheet, forms, (number, place), cell)
    sheet.freeze_panes(1, 0)
    book.close()
    return content.getvalue()


_XLSX_FORMS = {datetime: "yyyy-mm-dd hh:mm", date: "yyyy-mm-dd", Decimal: "0.00"}


def _write(sheet: Any, forms: dict[type, Any], place: tuple[int, int], cell: Any) -> None:
    match cell:
        case None:
            pass
        case bool():
            sheet.write_boolean(*place, cell)
        case int():
            sheet.write_number(*place, cell)
        case Decimal():
            sheet.write_number(*place, cell, forms[Decimal] if cell.as_tuple().exponent == -2 else None)  # noqa: PLR2004
        case datetime():
            sheet.write_datetime(*place, cell.replace(tzinfo=None), forms[datetime])
        case date():
            sheet.write_datetime(*place, cell, forms[date])
        case _:
            if len(cell) > _LONGEST_CELL:
                raise InputError(
                    f"a text is longer than the {_LONGEST_CELL:,} characters of a cell", "choose --format csv"
                )
            sheet.write_string(*place, cell)
