"""`crmcli identity show`: whose identity this is and which stores it belongs to."""

from __future__ import annotations

import typer


def identity_show(ctx: typer.Context) -> None:
    """Show the identity of this machine: member, name, passphrase, and the fingerprints of its stores.

    It needs no store. An admin reads the fingerprint to whoever is to join.
    """
    from crmcli.storage.identity import spelled

    crm = ctx.obj
    identity, passphrase = crm.identity_to_reseal()
    crm.output.pairs(
        [
            ("member", identity.member),
            ("name", identity.name),
            ("identity", str(crm.identity_path)),
            ("passphrase", "none" if passphrase is None else "set"),
            *(("fingerprint", spelled(store)) for store in identity.stores),
        ]
    )
