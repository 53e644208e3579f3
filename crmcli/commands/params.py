"""Options and arguments that several commands share, so that they are spelled and explained alike."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from crmcli.errors import InputError

if TYPE_CHECKING:
    from crmcli.model.selling import Item

Format = Literal["table", "json", "jsonl", "csv", "tsv", "ids"]

Who = Annotated[str, typer.Argument(metavar="CLIENT", help="an id, a phone, an e-mail or part of a name")]
When = Annotated[str | None, typer.Option(metavar="DATE", help="when it took place, if not now")]
Form = Annotated[Format, typer.Option("--format", help="how rows are written")]
Limit = Annotated[int, typer.Option(min=0, help="rows of a table; 0 shows all")]
AsOf = Annotated[str | None, typer.Option(metavar="DATE", help="the state as it was then")]
PeriodText = Annotated[
    str | None, typer.Option("--period", metavar="PERIOD", help="2026, 2026-Q1, 2026-03, 2026-03-15 or 7d")
]
FromDay = Annotated[str | None, typer.Option("--from", metavar="DATE", help="the first day of the period")]
ToDay = Annotated[str | None, typer.Option("--to", metavar="DATE", help="the day after the last one")]
Note = Annotated[str | None, typer.Option(metavar="TEXT", help="anything worth remembering")]
Reveal = Annotated[bool, typer.Option("--reveal", help="mask no row, under a grant to export; it is recorded")]
GrantId = Annotated[str | None, typer.Option("--grant", metavar="ID", help="the grant to use, where there are several")]
Yes = Annotated[bool, typer.Option("--yes", help="an admin's own doing, without a grant")]
ReminderId = Annotated[str, typer.Argument(metavar="REMINDER", help="its number in the agenda, or its id")]
DealId = Annotated[str | None, typer.Option("--deal", metavar="ID", help="the deal, where the client has several")]


def amount(text: str) -> Decimal:
    """Return the sum of money in an argument. Raises: InputError."""
    from crmcli.formats.numbers import parse_amount

    try:
        return parse_amount(text)
    except InputError as error:
        raise InputError(error.message, "write it like 1234.50 or 1 234,50") from error


def minutes(text: str) -> Decimal:
    """Return a number of minutes. Raises: InputError."""
    try:
        number = Decimal(text.replace(",", "."))
    except ArithmeticError as error:
        raise InputError("--minutes is a number") from error
    if not number.is_finite():
        raise InputError("--minutes is a number")
    return number


Minutes = Annotated[Decimal | None, typer.Option(metavar="N", help="how long it took", parser=minutes)]


def item(text: str) -> Item:
    """Return the line of a sale in NAME:QTY:PRICE. Raises: InputError."""
    from crmcli.formats.numbers import parse_amount
    from crmcli.model.selling import Item

    name, _, rest = text.strip().rpartition(":")
    name, _, quantity = name.rpartition(":")
    if not name.strip():
        raise InputError("an item is NAME:QTY:PRICE, such as tea:2:350")
    try:
        number = Decimal(quantity.replace(",", "."))
    except ArithmeticError as error:
        raise InputError("the quantity of an item is a number") from error
    if not number.is_finite() or not 0 < number < 10**9 or number != number.quantize(Decimal("0.001")):
        raise InputError("the quantity of an item is above 0 and has at most three places")
    return Item(name.strip(), number, parse_amount(rest))
