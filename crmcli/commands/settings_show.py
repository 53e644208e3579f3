"""`crmcli settings show`: show the company's settings."""

from __future__ import annotations

import typer


def settings_show(ctx: typer.Context) -> None:
    """Show the company's settings: name, currency, time zone, region, and how much of its contacts lists show."""
    crm = ctx.obj
    with crm.reading() as store:
        crm.output.pairs(store.settings.to_plain().items())
