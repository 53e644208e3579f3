"""`crmcli settings set`: change one of the company's settings."""

from __future__ import annotations

from typing import Annotated

import typer

from crmcli.commands.saving import saved_as


def settings_set(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="as crmcli settings show names it")],
    value: Annotated[str, typer.Argument(help="the new value; on or off for what is switched")],
) -> None:
    """Change a setting, for everybody. Only an admin may do it.

    The currency stays once a sum is recorded, for that would only rename the sums. Another time zone moves the days
    that instants fall on in lists and reports, but not the days of open reminders; another region changes how new phone
    numbers are read.
    """
    from crmcli.storage.setting import set_setting

    crm = ctx.obj
    with crm.writing() as store:
        settings = set_setting(store, crm.acting(store), name, value)
    crm.output.pairs([(name, settings.to_plain()[name]), ("commit", saved_as(store.committed, dry_run=False))])
