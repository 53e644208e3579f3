"""`crmcli channel test`: send a message by a channel, to see that it arrives."""

from __future__ import annotations

import typer

from crmcli.commands.channels import ChannelName, For, member_meant


def channel_test(ctx: typer.Context, channel: ChannelName, member: For = None) -> None:
    """Send a test message by a channel."""
    from crmcli.channels import send
    from crmcli.model.channels import Message
    from crmcli.session import new_op_id
    from crmcli.storage.channel_file import channel_named, read_channels

    crm = ctx.obj
    with crm.reading() as store:
        chosen = channel_named(read_channels(crm.identity_path), channel, member_meant(store, member))
        text = "If you read this, reminders reach you this way.\n"
        send(chosen, Message(f"test.{new_op_id()}", "crmcli: a test", text, crm.now))
    crm.output.line(f"sent by {chosen.name}: see that it arrives")
