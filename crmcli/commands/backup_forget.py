"""`crmcli backup forget`: remove snapshots that are no longer called for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from crmcli.commands import backing_up
from crmcli.commands.backing_up import MOST, Quiet, To
from crmcli.commands.params import Form

if TYPE_CHECKING:
    from crmcli.session import Session
    from crmcli.storage.backups.forgetting import Forgotten
    from crmcli.storage.backups.places import Place

COLUMNS = ("snapshot", "made_at", "fate", "reason", "place")


def backup_forget(
    ctx: typer.Context,
    snapshot: Annotated[list[str] | None, typer.Argument(metavar="[SNAPSHOT]...", help="these alone")] = None,
    to: To = None,
    days: Annotated[int, typer.Option("--keep-days", min=0, max=MOST, help="keep all of the last days")] = 30,
    weekly: Annotated[int, typer.Option("--keep-weekly", min=0, max=MOST, help="and the last of so many weeks")] = 8,
    monthly: Annotated[int, typer.Option("--keep-monthly", min=0, max=MOST, help="and months")] = 12,
    yearly: Annotated[int, typer.Option("--keep-yearly", min=0, max=MOST, help="and years")] = 3,
    yes: Annotated[bool, typer.Option("--yes", help="do it; else only say what would be done")] = False,
    quiet: Quiet = False,
    form: Form = "table",
) -> None:
    """Say which snapshots would be removed and why each stays or goes; with --yes, remove them and what only they need.

    The newest, the newest verified, those of the last two days and pinned ones stay. What is dated in the future or is
    not genuine counts for nothing. Files of clients who were erased go 30 days after that, a gap between two backups
    counting for 8 at most.
    """
    from crmcli.model.backups import Policy
    from crmcli.storage.backups.forgetting import forget

    crm = ctx.obj
    policy = Policy(days, weekly, monthly, yearly)
    known = backing_up.known(crm)
    source = backing_up.source_or_none(crm)
    job = lambda place: forget(place, source, policy, snapshot or (), known, carry_out=yes)  # noqa: E731
    done, failures = backing_up.each_own(crm, backing_up.places(crm, to), job)
    rows: list[tuple[object, ...]] = [
        (fate.name, fate.made_at, "stays" if fate.stays else "goes", fate.reason, place.text)
        for place, found in done
        for fate in found.fates
    ]
    backing_up.show(crm, COLUMNS, rows, form, quiet=quiet)
    for place, found in [] if quiet else done:
        _tell(crm, place, found, yes=yes)
    backing_up.end(crm, failures)


def _tell(crm: Session, place: Place, found: Forgotten, *, yes: bool) -> None:
    did = "removed" if yes else "would remove"
    goes = sum(not fate.stays for fate in found.fates)
    crm.say(
        f"{place.text}: {did} {goes} snapshots and {found.objects} objects of {found.bytes:,} bytes, "
        f"{found.erased} of them of erased clients"
    )
    if found.kept_for is not None:
        crm.say(f"{place.text}: {found.kept_for}")
    if not yes and (goes or found.objects):
        crm.say("--yes does it")
