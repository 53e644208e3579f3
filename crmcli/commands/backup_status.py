"""`crmcli backup status`: say whether there is a verified backup that is young enough."""

from __future__ import annotations

import typer

from crmcli.commands import backing_up
from crmcli.commands.backing_up import Days, Quiet, To
from crmcli.commands.params import Form
from crmcli.errors import AttentionError

COLUMNS = ("place", "snapshots", "newest", "verified", "state", "found")


def backup_status(
    ctx: typer.Context, to: To = None, days: Days = None, quiet: Quiet = False, form: Form = "table"
) -> None:
    """Say of each place whether its last verified backup is young enough, and all its snapshots are genuine and sound.

    Exit code 6 if not: also while one has failed a check and was not read back whole since, or while the store here is
    older than what was backed up here. Verified is what crmcli backup verify --deep or crmcli backup drill has read
    back whole.
    """
    from crmcli.storage.backups.remembering import has_vanished, vanished
    from crmcli.storage.backups.standing import standing

    crm = ctx.obj
    most = backing_up.schedule(crm, days)
    places = backing_up.places(crm, to)
    known = backing_up.known(crm)
    source = backing_up.source_or_none(crm)
    among = "".join(f" --to {place.text}" for place in places) if to else ""
    job = lambda place: standing(place, source, known, most, among)  # noqa: E731
    gone = [place for place in places if source is not None and has_vanished(crm.pins, source.genesis, place)]
    done, failures = backing_up.each_own(crm, [place for place in places if place not in gone], job)
    outdated = source.outdated() if source is not None else None
    for error in (*map(vanished, gone), *([outdated] if outdated else [])):
        failures.append(AttentionError(error.message, error.hint))
    rows: list[tuple[object, ...]] = [
        (place.text, one.snapshots, one.newest, one.verified, "attention" if one.found else "ok", one.found)
        for place, one in done
    ]
    backing_up.show(crm, COLUMNS, rows, form, quiet=quiet)
    failures += [AttentionError(f"{place.text}: {one.found}", one.remedy) for place, one in done if one.found]
    backing_up.end(crm, failures)
