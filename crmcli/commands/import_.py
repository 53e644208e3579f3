"""`crmcli import`: take in clients, deals, stages, calls or sales from a file, all of it or nothing."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crmcli.commands.saving import saved_as
from crmcli.errors import InputError
from crmcli.model.importing import FIELDS, REQUIRED, Cells, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from crmcli.formats.delimited import Sheet
    from crmcli.formats.mapping import Binding
    from crmcli.session import Session
    from crmcli.storage.importing import Import, Outcome

_SHOWN = 20
_STEP = 1000


def import_(
    ctx: typer.Context,
    kind: Annotated[Kind, typer.Argument(help="what its rows are")],
    file: Annotated[
        Path, typer.Argument(metavar="FILE.csv", help="a csv-like file whose first line names the columns")
    ],
    map_file: Annotated[
        Path | None, typer.Option("--map", metavar="MAP.toml", help="which column is which field, and how values read")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="check everything and save nothing")] = False,
    skip_errors: Annotated[bool, typer.Option("--skip-errors", help="leave out the rows that are rejected")] = False,
    with_sales: Annotated[
        bool, typer.Option("--with-sales", help="with deals: record the sale of each won one")
    ] = False,
) -> None:
    """Take in a file. Known clients and records are updated, so that importing a file again changes nothing.

    All or nothing: one bad row and nothing is saved, unless --skip-errors. docs/howto/import.md shows the map file.
    """
    from concurrent.futures import ThreadPoolExecutor

    from crmcli.formats.delimited import open_sheet
    from crmcli.formats.mapping import ImportMap, load_map
    from crmcli.formats.numbers import parse_amount
    from crmcli.storage.importing import Terms, import_of

    crm = ctx.obj
    if with_sales and kind != "deals":
        raise InputError("--with-sales goes with deals")
    chosen = load_map(map_file) if map_file else ImportMap()
    importer = import_of(kind)
    with (
        open_sheet(file, delimiter=chosen.delimiter, encoding=chosen.encoding) as sheet,
        ThreadPoolExecutor(1) as beside,
    ):
        binding = chosen.bind(sheet.header, FIELDS[kind], REQUIRED[kind])
        # A plain file is parsed while the store is opened.
        plain = beside.submit(_read_at_once, file, sheet, binding, every_line=importer.tells_lines)
        with crm.writing() as store, crm.output.progress(None, f"import {kind}") as advance:
            products = {product.name.casefold(): product.product_id for product in store.products}
            money = partial(parse_amount, decimal=chosen.decimal)
            cells = Cells(store.settings, store.process, products, crm.now, money, chosen.date_format)
            terms = Terms(binding.fields, chosen.namespace, chosen.unknown.get("client"), with_sales)
            taking = importer(store, crm.acting(store), cells, terms)
            outcome = _taken_at_once(taking, plain.result(), advance) or taking.run(_rows(sheet, binding, advance))
            _report_rejected(crm, outcome, skip_errors=skip_errors)
            taking.put()
            if dry_run:
                store.discard()
    crm.output.pairs([*_summary(outcome), ("commit", saved_as(store.committed, dry_run=dry_run))])


def _read_at_once(file: Path, sheet: Sheet, binding: Binding, *, every_line: bool) -> Any:
    """Return a file as columns, or None if it is not plain enough for it."""
    from crmcli.storage.plain_sheet import read_plain

    return read_plain(
        file.read_bytes(), sheet.encoding, sheet.delimiter, sheet.header, binding.places, binding.constants,
        every_line=every_line,
    )  # fmt: skip


def _taken_at_once(taking: Import, columns: Any, advance: Callable[[int], None]) -> Outcome | None:
    """Take in a file in columns; None if it is to be read line by line."""
    outcome = None if columns is None else taking.run_columns(columns)
    advance(outcome.read if outcome else 0)
    return outcome


def _rows(
    sheet: Sheet, binding: Binding, advance: Callable[[int], None]
) -> Iterator[tuple[int, dict[str, str], str | None]]:
    """Yield (line, fields, what is wrong with the line)."""
    row = binding.row
    for count, (number, cells, problem) in enumerate(sheet.rows, 1):
        yield number, row(cells) if problem is None else {}, problem
        if not count % _STEP:
            advance(_STEP)


def _report_rejected(crm: Session, outcome: Outcome, *, skip_errors: bool) -> None:
    """Say which rows are rejected and why. Raises: InputError, unless they are to be left out."""
    hinted: set[str] = set()
    for line, problem, hint in outcome.rejected[:_SHOWN]:
        more = f" ({hint})" if hint and problem not in hinted else ""
        hinted.add(problem)
        crm.say(f"line {line}: {problem}{more}")
    count = len(outcome.rejected)
    if count > _SHOWN:
        crm.say(f"and {count - _SHOWN} more")
    if count and not skip_errors:
        raise InputError(
            f"{count} of {outcome.read} rows rejected; nothing was saved", "--skip-errors imports the others"
        )


def _summary(outcome: Outcome) -> list[tuple[str, Any]]:
    rows = outcome.rows
    always = {"rows read": outcome.read, **{name: rows[name] for name in ("new", "changed", "unchanged")}}
    sometimes = {
        "repeated in the file": rows["repeated"],
        "rejected": len(outcome.rejected),
        "new clients": outcome.new_clients,
        "under unknown": outcome.under_unknown,
        "new staff": outcome.new_staff,
        "sales of won deals": outcome.sales,
    }
    return [*always.items(), *((name, count) for name, count in sometimes.items() if count)]
