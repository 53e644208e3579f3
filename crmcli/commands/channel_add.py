"""`crmcli channel add`: say by which way reminders reach you, or somebody for whom this service sends."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from crmcli.commands.channels import For, member_meant, show_channels
from crmcli.errors import InputError
from crmcli.model.channels import SMTP, URL, new_channel

_PORTS = {"tls": 465, "starttls": 587, "none": 25}


def channel_add(
    ctx: typer.Context,
    kind: Annotated[Literal["smtp", "url", "desktop", "stdout"], typer.Argument(help="what it is")],
    to: Annotated[str | None, typer.Option(metavar="ADDRESS", help="smtp: where the mail goes")] = None,
    from_: Annotated[str | None, typer.Option("--from", metavar="ADDRESS", help="smtp: whose it is; else --to")] = None,
    host: Annotated[str, typer.Option(metavar="HOST", help="smtp: the mail server")] = "localhost",
    port: Annotated[int | None, typer.Option(metavar="N", help="smtp: its port, if it is not the usual one")] = None,
    security: Annotated[
        Literal["tls", "starttls", "none"] | None,
        typer.Option(help="smtp: none goes to localhost alone, tls elsewhere"),
    ] = None,
    user: Annotated[str | None, typer.Option(metavar="NAME", help="smtp: who logs in; asks for a password")] = None,
    member: For = None,
) -> None:
    """Add a channel. Without any, `crmcli remind` prints, and cron mails what it prints.

    smtp hands mail to a mail server; url is a notification URL of apprise (Telegram, Matrix, ntfy and others), which is
    asked for, as passwords are, or read from CRMCLI_CHANNEL_URL_FILE or _COMMAND; desktop is notify-send. The channels
    lie in a file beside your identity, for you alone to read, and not in the store.
    """
    from crmcli.channels import require_way
    from crmcli.storage.channel_file import read_channels, write_channels
    from crmcli.storage.delivering import unreachable

    crm = ctx.obj
    with crm.reading() as store:
        whose = member_meant(store, member)
        options = {}
        if kind == SMTP:
            if to is None:
                raise InputError("where does the mail go?", "--to ADDRESS")
            way = security or ("none" if host == "localhost" else "tls")
            options = {"to": to, "from": from_ or to, "host": host, "security": way}
            options["port"] = str(_PORTS[way] if port is None else port)
            options |= {"user": user, "password": crm.passphrase("SMTP_PASSWORD")} if user is not None else {}
        elif kind == URL:
            options = {"url": crm.passphrase("CHANNEL_URL").strip()}
        known = read_channels(crm.identity_path)
        added = new_channel(kind, whose, options, known)
        require_way(added)
        write_channels(crm.identity_path, [*known, added])
        show_channels(crm, store, [added])
        said = unreachable(store, [added])
        if said is not None:
            crm.say(said)
