"""`crmcli channel remove`: send no more reminders by a channel."""

from __future__ import annotations

import typer

from crmcli.commands.channels import ChannelName, For, member_meant, show_channels


def channel_remove(ctx: typer.Context, channel: ChannelName, member: For = None) -> None:
    """Remove a channel. Without any left, `crmcli remind` prints."""
    from crmcli.storage.channel_file import channel_named, read_channels, write_channels

    crm = ctx.obj
    with crm.reading() as store:
        known = read_channels(crm.identity_path)
        removed = channel_named(known, channel, member_meant(store, member))
        left = [other for other in known if other != removed]
        write_channels(crm.identity_path, left)
        show_channels(crm, store, left)
