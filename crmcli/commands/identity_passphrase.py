"""`crmcli identity passphrase`: set, change or remove the passphrase of the identity."""

from __future__ import annotations

from typing import Annotated

import typer


def identity_passphrase(
    ctx: typer.Context,
    remove: Annotated[bool, typer.Option("--remove", help="leave the identity file open")] = False,
) -> None:
    """Set or change the passphrase of the identity, or remove it. The old one is asked for first, if there is one.

    Without a terminal the new one comes from CRMCLI_NEW_PASSPHRASE_COMMAND or CRMCLI_NEW_PASSPHRASE_FILE.
    """
    from crmcli.storage.identity import save_identity

    crm = ctx.obj
    identity, _ = crm.identity_to_reseal()
    passphrase = None if remove else crm.chosen_passphrase("NEW_PASSPHRASE")
    save_identity(crm.identity_path, identity, passphrase, replacing=True)
    crm.output.pairs([("identity", str(crm.identity_path)), ("passphrase", "none" if passphrase is None else "set")])
