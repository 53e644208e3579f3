"""`crmcli process show`: print the sales process as a file to edit."""

from __future__ import annotations

import typer

from crmcli.commands.processing import file_of


def process_show(ctx: typer.Context) -> None:
    """Print the sales process as TOML. Edit it and give it back to crmcli process apply."""
    from crmcli.storage.processing import present_process

    crm = ctx.obj
    with crm.reading() as store:
        text = file_of(present_process(store))
    for line in text.splitlines():
        crm.output.line(line)
