"""`crmcli canary who`: say whose canaries are in a file that leaked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crmcli.commands.canaries import show_holders
from crmcli.commands.params import Form


def canary_who(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="a list that got out: text, csv, json, vcf, xlsx, docx, ods or zip")],
    form: Form = "table",
) -> None:
    """Say in whose books the canaries were that a file names, and since when (admins only).

    A canary is known by its phone in any spelling, its e-mail, or its name beside its company. Exit code 3 if there is
    none in the file.
    """
    from crmcli.formats.leaked import texts_in
    from crmcli.model.canaries import signs_in
    from crmcli.storage.canaries import require_admin, signs

    crm = ctx.obj
    with crm.reading() as store:
        require_admin(store)
        known = signs(store)
        show_holders(crm, store, [signs_in(text, known) for text in texts_in(file)], form)
