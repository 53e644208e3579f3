"""`crmcli channel list`: list the channels by which reminders go out from here."""

from __future__ import annotations

import typer

from crmcli.commands.channels import show_channels
from crmcli.commands.params import Form


def channel_list(ctx: typer.Context, form: Form = "table") -> None:
    """List the channels beside your identity, without their secrets."""
    from crmcli.storage.channel_file import read_channels

    crm = ctx.obj
    with crm.reading() as store:
        show_channels(crm, store, read_channels(crm.identity_path), form)
