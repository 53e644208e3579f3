"""`crmcli export`: write rows to a file, under a grant, recorded before the file is there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from crmcli.commands.params import GrantId, Yes
from crmcli.errors import InputError
from crmcli.model.exporting import Kind, listed

FileFormat = Literal["csv", "xlsx", "jsonl", "vcard", "parquet"]
Purpose = Literal["excel", "crm"]


def export(
    ctx: typer.Context,
    out: Annotated[Path, typer.Option(metavar="FILE", help="the file to write; it must not be there yet")],
    purpose: Annotated[Purpose, typer.Option("--for", help="a spreadsheet to read, or a program to take all of it in")],
    kind: Annotated[Kind, typer.Argument(help="what its rows are")] = "clients",
    form: Annotated[FileFormat, typer.Option("--format", help="how it is written")] = "csv",
    grant: GrantId = None,
    columns: Annotated[str | None, typer.Option(metavar="a,b,…", help="only these columns, such as name,phone")] = None,
    yes: Yes = False,
    encrypt_to: Annotated[
        Path | None, typer.Option(metavar="CARD", help="seal it for whoever made this card with identity card")
    ] = None,
) -> None:
    """Write clients, deals, calls, activities, sales, reminders or notes to a file: all that your keys open.

    It takes a grant of an admin's (crmcli grant export), and its use is in the signed log, with the number of rows and
    the hash of the file, before the file appears. An admin's own export takes the identity's passphrase or --yes, and
    is recorded alike. What was voided is left out.
    """
    from crmcli.storage import exporting, giving
    from crmcli.storage.identity import has_passphrase
    from crmcli.storage.out_files import new_file

    crm = ctx.obj
    _check(kind, form, purpose)
    asked = listed(columns)
    with (
        new_file(out, crm.store_path, "the export is recorded, and a grant was used for it") as file,
        crm.writing() as store,
    ):
        sure = yes or has_passphrase(crm.identity_path)
        used, sheet = giving.using(store, crm.now, grant, exporting.under(store, kind, asked), sure=sure)
        content = _sealed(store, encrypt_to, _written(form, purpose, sheet, store.settings.region))
        file.hold(content)
        giving.record_use(store, used, sheet.books, len(sheet.rows), content)
    crm.output.pairs(
        [
            ("rows", len(sheet.rows)),
            ("bytes", len(content)),
            ("grant", used.grant if used else "none, an admin's own"),
            ("commit", store.committed),
            ("file", str(out)),
        ]
    )


def _check(kind: Kind, form: FileFormat, purpose: Purpose) -> None:
    """Raise InputError for a format that does not go with what is asked for."""
    if purpose == "excel" and form not in ("csv", "xlsx"):
        raise InputError(f"a spreadsheet does not read {form}", "--for excel writes csv and xlsx")
    if form == "vcard" and kind != "clients":
        raise InputError(f"a vcard is about a client, not about {kind}")


def _written(form: FileFormat, purpose: Purpose, sheet: Any, region: str) -> bytes:
    """Return rows as the bytes of a file."""
    from crmcli.formats import json_lines, spreadsheet, vcard
    from crmcli.storage.plain_parquet import plain_parquet

    match form:
        case "csv" if purpose == "excel":
            return spreadsheet.excel_csv(sheet.columns, sheet.rows, region)
        case "csv":
            return spreadsheet.exact_csv(sheet.columns, sheet.rows)
        case "xlsx":
            return spreadsheet.xlsx(sheet.columns, sheet.rows)
        case "jsonl":
            return json_lines.json_lines(sheet.columns, sheet.rows)
        case "vcard":
            return vcard.vcards(sheet.columns, sheet.rows)
        case "parquet":
            return plain_parquet(sheet.columns, sheet.rows)


def _sealed(store: Any, card: Path | None, content: bytes) -> bytes:
    """Return the content, or what only the holder of a card opens."""
    if card is None:
        return content
    from crmcli.storage import sealing
    from crmcli.storage.cards import read_card

    state = store.store.state
    recipient = read_card(card, state.store)
    sealing.check_recipient(state, recipient)
    return sealing.seal_for(recipient, state.store, content)
