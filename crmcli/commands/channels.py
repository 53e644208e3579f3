"""What the commands about channels share: whose they are, and how they are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from crmcli.errors import NotPermittedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crmcli.commands.params import Format
    from crmcli.model.channels import Channel
    from crmcli.session import Session
    from crmcli.storage.view import View

For = Annotated[
    str | None, typer.Option("--for", metavar="NAME", help="a service: the member whom the channel leads to")
]
ChannelName = Annotated[str, typer.Argument(metavar="CHANNEL", help="as crmcli channel list names it")]


def member_meant(store: View, name: str | None) -> str:
    """Return the id of the member named, or of oneself. Raises: NotPermittedError unless a service names another."""
    from crmcli.storage.members import SERVICE
    from crmcli.storage.team import named

    me = store.store.member
    member = me if name is None else named(store, name)
    if member.member != me.member and me.role != SERVICE:
        raise NotPermittedError("only a service sends to others")
    return member.member


def show_channels(crm: Session, store: View, channels: Iterable[Channel], form: Format = "table") -> None:
    """Show channels without what is secret."""
    from crmcli.model.ids import decode_id

    rows = [(c.name, c.kind, store.staff.get(decode_id(c.member) or 0), c.shown or None) for c in channels]
    crm.output.rows(("channel", "kind", "to", "where"), rows, form=form, limit=0, id_column="channel")
