"""`crmcli process show`: print the sales process as a file to edit."""

from __future__ import annotations

import typer

from crmcli.formats.toml_text import toml_text


def process_show(ctx: typer.Context) -> None:
    """Print the sales process as TOML. Edit it and give it back to crmcli process apply."""
    crm = ctx.obj
    with crm.reading() as store:
        document = store.process.to_plain()
    for line in toml_text(document).splitlines():
        crm.output.line(line)
