"""`crmcli backup status`: say whether there is a verified backup that is young enough."""

from __future__ import annotations

import typer

from crmcli.commands import backing_up
from crmcli.commands.backing_up import Days, To
from crmcli.commands.params import Form
from crmcli.errors import AttentionError

COLUMNS = ("place", "snapshots", "newest", "verified", "state", "found")


def backup_status(ctx: typer.Context, to: To = None, days: Days = None, form: Form = "table") -> None:
    """Say of each place whether its last verified backup is young enough, and whether all its snapshots are genuine.

    Exit code 6 if not. Verified is what crmcli backup verify --deep or crmcli backup drill has read back whole.
    """
    from crmcli.storage.backups.standing import standing

    crm = ctx.obj
    most = backing_up.schedule(crm, days)
    known = backing_up.known(crm)
    done, failures = backing_up.each_own(crm, backing_up.places(crm, to), lambda place: standing(place, known, most))
    rows: list[tuple[object, ...]] = [
        (place.text, one.snapshots, one.newest, one.verified, "attention" if one.found else "ok", one.found)
        for place, one in done
    ]
    backing_up.show(crm, COLUMNS, rows, form)
    needing = [f"{place.text}: {one.found}" for place, one in done if one.found]
    failures += [AttentionError(text, "crmcli backup, then crmcli backup verify --deep") for text in needing]
    backing_up.end(crm, failures)
