"""`crmcli schedule install`: have cron or systemd run the schedules."""

from __future__ import annotations

from typing import Annotated

import typer

from crmcli.errors import InputError


def schedule_install(
    ctx: typer.Context,
    cron: Annotated[bool, typer.Option("--cron", help="a line for crontab, as without an option")] = False,
    systemd: Annotated[bool, typer.Option("--systemd", help="units for systemd, as a user's")] = False,
    write: Annotated[bool, typer.Option("--write", help="put them in their place, instead of printing them")] = False,
) -> None:
    """Print, or write, what makes cron or systemd run `crmcli schedule run` every minute.

    All paths are absolute. It hands on, if they are set, the XDG folders, CRMCLI_PASSPHRASE_FILE or _COMMAND and
    CRMCLI_BACKUPS; a value that looks like a secret itself is refused. Run it as the account that the jobs are to have.
    """
    from crmcli.commands.scheduling import install_cron, install_systemd

    crm = ctx.obj
    if cron and systemd:
        raise InputError("--cron and --systemd exclude one another")
    with crm.reading() as store:
        install = install_systemd if systemd else install_cron
        install(crm, store.store.state.store, write=write)
