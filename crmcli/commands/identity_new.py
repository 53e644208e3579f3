"""`crmcli identity new`: make the key pair of somebody who is to join a store."""

from __future__ import annotations

from typing import Annotated

import typer


def identity_new(
    ctx: typer.Context,
    name: Annotated[str, typer.Option(metavar="NAME", help="your name, for yourself: admins give their own to you")],
    no_passphrase: Annotated[bool, typer.Option("--no-passphrase", help="leave the identity file open")] = False,
) -> None:
    """Make an identity on your own machine: the key pair that opens what admins let you open.

    The file never leaves this machine; what you give to an admin is its public half, the card.
    """
    from crmcli.storage.identity import Identity, require_absent, save_identity

    crm = ctx.obj
    require_absent(crm.identity_path)
    identity = Identity.new(name)
    save_identity(crm.identity_path, identity, None if no_passphrase else crm.chosen_passphrase())
    crm.output.pairs([("member", identity.member), ("name", name), ("identity", str(crm.identity_path))])
    crm.output.note("Next: crmcli identity join FINGERPRINT, which an admin reads to you, then crmcli identity card")
