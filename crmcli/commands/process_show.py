"""`crmcli process show`: print the sales process as a file to edit."""

from __future__ import annotations

import typer

from crmcli.formats.toml_text import toml_text


def process_show(ctx: typer.Context) -> None:
    """Print the sales process as TOML. Edit it and give it back to crmcli process apply."""
    crm = ctx.obj
    with crm.reading() as store:
        # An empty list would forbid the [[tables]] that somebody adds below it.
        document = {name: value for name, value in store.process.to_plain().items() if value}
    for line in toml_text(document).splitlines():
        crm.output.line(line)
