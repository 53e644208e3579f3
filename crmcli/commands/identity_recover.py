"""`crmcli identity recover`: open the store with the recovery key on paper."""

from __future__ import annotations

from typing import Annotated

import typer


def identity_recover(
    ctx: typer.Context,
    name: Annotated[str, typer.Option(metavar="NAME", help="your name, as the staff list is to show it")],
    no_passphrase: Annotated[bool, typer.Option("--no-passphrase", help="leave the identity file open")] = False,
) -> None:
    """Make an identity of the recovery key, for when the admin's own is lost. It opens every book of the store.

    The key is asked for on the terminal, or read from standard input where there is none.
    """
    crm = ctx.obj
    crm.recover(crm.recovery_text(), name, with_passphrase=not no_passphrase)
    crm.output.pairs([("store", str(crm.store_path)), ("identity", str(crm.identity_path))])
    crm.output.note("Next: crmcli verify, then crmcli doctor")
