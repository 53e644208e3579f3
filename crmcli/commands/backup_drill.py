"""`crmcli backup drill`: restore the newest snapshot for practice, and count what comes out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crmcli.commands import backing_up
from crmcli.commands.backing_up import To
from crmcli.commands.params import Form

if TYPE_CHECKING:
    from crmcli.model.backups import Result
    from crmcli.storage.backups.places import Place

COLUMNS = ("place", "snapshot", "ok", "seconds", "files", "bytes", "rows")


def backup_drill(
    ctx: typer.Context,
    to: To = None,
    scratch: Annotated[
        Path | None, typer.Option(metavar="DIR", help="where there is room for a while (TMPDIR)")
    ] = None,
    form: Form = "table",
) -> None:
    """Restore the newest snapshot into a scratch folder, check all of it, count the rows that your keys open, tidy up.

    The result, with the time it took, is kept beside the backup. Without an identity no rows are counted.
    """
    from crmcli.storage.backups.drilling import drill

    crm = ctx.obj
    identity = backing_up.identity_or_none(crm)
    known = backing_up.known(crm)
    source = backing_up.source_or_none(crm)

    def practise(place: Place) -> Result:
        with crm.output.progress(None, f"restoring from {place.text}") as advance:
            return drill(place, source, scratch, identity, known, advance)

    done, failures = backing_up.each_own(crm, backing_up.places(crm, to), practise)
    backing_up.show(crm, COLUMNS, [_row(place, result) for place, result in done], form)
    backing_up.remember(crm, [(place, result.snapshot) for place, result in done])
    backing_up.end(crm, failures)


def _row(place: Place, result: Result) -> tuple[object, ...]:
    counts = (result.files, result.bytes, result.rows)
    return (place.text, result.snapshot, result.ok, result.seconds, *counts)
