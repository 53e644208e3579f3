"""`crmcli backup verify`: check backups, and put back what another copy still has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from crmcli.commands import backing_up
from crmcli.commands.backing_up import Quiet, To
from crmcli.commands.params import Form

if TYPE_CHECKING:
    from crmcli.storage.backups.checking import Checked
    from crmcli.storage.backups.places import Place

COLUMNS = ("place", "snapshots", "objects", "read", "read_bytes", "erased", "problems", "verified")


def backup_verify(
    ctx: typer.Context,
    snapshot: Annotated[str | None, typer.Argument(metavar="[SNAPSHOT]", help="one alone, or latest; else all")] = None,
    to: To = None,
    deep: Annotated[bool, typer.Option("--deep", help="read every byte; only that counts as verified")] = False,
    subset: Annotated[str | None, typer.Option(metavar="N/T", help="read the N-th of T parts of the data")] = None,
    if_due: Annotated[
        bool, typer.Option("--if-due", help="only where the newest snapshot was not read back yet")
    ] = False,
    repair: Annotated[bool, typer.Option("--repair", help="put back what the store or another place has")] = False,
    quiet: Quiet = False,
    form: Form = "table",
) -> None:
    """Check that snapshots can be restored: signatures, chain, and that each file is there with the right length.

    With --deep, every byte. What is wrong is named, with the snapshots that it spoils and who still has it. Exit code
    13 if something is spoilt, 6 if a snapshot cannot be what it says.
    """
    from crmcli.storage.backups.checking import verify
    from crmcli.storage.backups.standing import is_verified

    crm = ctx.obj
    part = backing_up.part(subset, deep=deep)
    places = backing_up.places(crm, to)
    known = backing_up.known(crm)
    source = backing_up.source_or_none(crm)
    job = lambda place: if_due and is_verified(place, source, known)  # noqa: E731
    asked, failed = backing_up.each_own(crm, places, job)

    def check(place: Place) -> Checked:
        others = [other for other in places if other is not place]
        with crm.output.progress(None, f"checking {place.text}") as advance:
            return verify(place, (source, others), snapshot, part, known, advance, repair=repair)

    done, failures = backing_up.each([place for place, is_done in asked if not is_done], check)
    failures += failed
    backing_up.show(crm, COLUMNS, [_row(place, found) for place, found in done], form, quiet=quiet)
    backing_up.remember(crm, [(place, found.verified or "") for place, found in done if found.verified or found.spoilt])
    backing_up.end(crm, failures)
    backing_up.raise_damage(crm, [(place, trouble) for place, found in done for trouble in found.troubles])
    backing_up.raise_strange([(place, found.strange) for place, found in done])
    backing_up.raise_not_kept([(place, found.not_kept) for place, found in done if found.not_kept])
    backing_up.raise_lacking({name: count for _, found in done for name, count in found.lacking.items()})


def _row(place: Place, found: Checked) -> tuple[object, ...]:
    problems = len(found.troubles) + len(found.strange)
    counts = (len(found.snapshots), found.objects, found.read, found.read_bytes, found.erased, problems)
    return (place.text, *counts, found.verified)
