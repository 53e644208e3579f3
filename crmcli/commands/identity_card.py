"""`crmcli identity card`: print the public half of the identity, for an admin to enrol."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def identity_card(
    ctx: typer.Context,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="write it into this new file instead")] = None,
) -> None:
    """Print your card for the store at hand: your public keys, and the proof that you hold the private ones.

    Nothing on it is secret, but it must reach the admin unchanged. An admin enrols you by it: crmcli member add.
    """
    from crmcli.storage.cards import card_text, write_card
    from crmcli.storage.layout import read_genesis

    crm = ctx.obj
    genesis = read_genesis(crm.store_path)
    identity = crm.identity()
    text = card_text(identity, genesis)
    if out is None:
        crm.output.line(text)
        return
    write_card(out, text)
    crm.output.pairs([("member", identity.member), ("card", str(out))])
