"""`crmcli norms`: publish the figures of the whole base that every member works by."""

from __future__ import annotations

import typer

from crmcli.commands.params import Form
from crmcli.commands.returning import show_norms
from crmcli.commands.saving import saved_as


def norms(ctx: typer.Context, form: Form = "table") -> None:
    """Publish the purchase periods of each segment, the usual gaps, and which products are bought by the same clients.

    Managers open their own clients only, and work by what was published last. Run it by cron, once a day, as an admin
    or a service; where nothing but the day would change it saves nothing, and they keep the day of their last change.
    """
    from crmcli.storage.norming import publish

    crm = ctx.obj
    with crm.writing() as store:
        published = publish(store, crm.acting(store))
    show_norms(crm, published, form)
    crm.say(f"commit: {saved_as(store.committed, dry_run=False)}")
