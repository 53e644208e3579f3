"""`crmcli identity open`: open a file that was sealed for you."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def identity_open(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="what crmcli export --encrypt-to wrote")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="the file to write; it must not be there yet")],
) -> None:
    """Open a file that somebody exported with --encrypt-to and your card. It takes your identity, and no store."""
    from crmcli.storage.out_files import new_file
    from crmcli.storage.sealing import open_sealed

    crm = ctx.obj
    with new_file(out, crm.store_path) as opened:
        content = open_sealed(file, crm.identity())
        opened.hold(content)
    crm.output.pairs([("bytes", len(content)), ("file", str(out))])
