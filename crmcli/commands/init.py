"""`crmcli init`: create a store, its founding admin and a recovery key."""

from __future__ import annotations

from typing import Annotated

import typer

from crmcli.model.process import DEFAULT
from crmcli.model.settings import Settings


def init(
    ctx: typer.Context,
    company: Annotated[str, typer.Option(metavar="NAME", help="the company")],
    currency: Annotated[str, typer.Option(metavar="CODE", help="the currency of all sums")] = "RUB",
    timezone: Annotated[str, typer.Option(metavar="ZONE", help="the time zone that days are counted in")] = (
        "Europe/Moscow"
    ),
    region: Annotated[str, typer.Option(metavar="CODE", help="the country of phones without a code")] = "RU",
    admin: Annotated[str | None, typer.Option(metavar="NAME", help="your name; else that of your account")] = None,
    no_passphrase: Annotated[bool, typer.Option("--no-passphrase", help="leave the identity file open")] = False,
    group: Annotated[str | None, typer.Option(metavar="GROUP", help="share the folder with this Unix group")] = None,
) -> None:
    """Create a store, the identity of its admin, and a recovery key to print and lock away.

    The folder must be empty or new. An identity that exists already is used again.
    """
    from crmcli.storage.identity import spelled
    from crmcli.storage.layout import read_genesis

    crm = ctx.obj
    settings = Settings(company, currency.upper(), timezone, region.upper())
    settings.check()
    recovery = crm.found(settings, DEFAULT, admin, group, with_passphrase=not no_passphrase)
    crm.output.pairs(
        [
            ("store", str(crm.store_path)),
            ("identity", str(crm.identity_path)),
            ("fingerprint", spelled(read_genesis(crm.store_path).hash)),
            ("recovery key", recovery),
        ]
    )
    crm.output.note("Write the recovery key on paper and lock it away: it opens everything, and is shown only now.")
    crm.output.note('Next: crmcli add-client "Anna Petrova" --phone "8 916 123-45-67"')
