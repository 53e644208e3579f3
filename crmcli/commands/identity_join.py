"""`crmcli identity join`: tie the identity to one store, by the fingerprint that an admin gave."""

from __future__ import annotations

from typing import Annotated

import typer


def identity_join(
    ctx: typer.Context,
    fingerprint: Annotated[
        list[str], typer.Argument(metavar="FINGERPRINT", help="64 hex digits, in groups and any case")
    ],
) -> None:
    """Tie the identity to the store at hand, if that is the one of the fingerprint (else exit code 14).

    Take the fingerprint from an admin by another way than the store: by voice, or from paper.
    """
    from crmcli.storage.identity import fingerprint_in, save_identity, spelled
    from crmcli.storage.layout import require_genesis

    crm = ctx.obj
    genesis = require_genesis(crm.store_path, fingerprint_in("".join(fingerprint)))
    identity, passphrase = crm.identity_to_reseal()
    save_identity(crm.identity_path, identity.belonging_to(genesis.hash), passphrase, replacing=True)
    crm.output.pairs(
        [("identity", str(crm.identity_path)), ("store", str(crm.store_path)), ("fingerprint", spelled(genesis.hash))]
    )
    crm.output.note("Next: crmcli identity card --out FILE, and give the file to an admin")
