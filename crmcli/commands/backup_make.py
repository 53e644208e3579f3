"""`crmcli backup`: copy what is new to where backups lie, each byte checked against the signed log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from crmcli.commands import backing_up
from crmcli.commands.backing_up import Days, Quiet, To
from crmcli.commands.params import Form
from crmcli.errors import CrmError, DamagedError

if TYPE_CHECKING:
    from crmcli.session import Session
    from crmcli.storage.backups.known import Known
    from crmcli.storage.backups.making import Made
    from crmcli.storage.backups.places import Place
    from crmcli.storage.backups.source import Source

COLUMNS = ("place", "snapshot", "commit", "files", "bytes", "copied", "copied_bytes")


def backup_make(
    ctx: typer.Context,
    to: To = None,
    if_due: Annotated[
        bool, typer.Option("--if-due", help="only where the last one is a day younger than it may be")
    ] = False,
    anew: Annotated[
        bool, typer.Option("--anew", help="begin anew where backups are gone, or in a new place with an older store")
    ] = False,
    days: Days = None,
    quiet: Quiet = False,
    form: Form = "table",
) -> None:
    """Back the store up: its log, every file that the log names, and what waits in the inbox. It takes no key.

    Only what is new is copied. It may be cut short at any point and run again, and run while others work. A snapshot
    counts as verified once crmcli backup verify --deep or crmcli backup drill has read it back.
    """
    from crmcli.storage.backups.source import Source

    crm = ctx.obj
    places = backing_up.places(crm, to)
    known = backing_up.known(crm)
    source = Source(crm.store_path, crm.cache, crm.pins)
    if not anew:
        source.require_current()
    places, failures = (places, []) if anew else _begun(crm, source, places, if_due=if_due)
    if if_due:
        places, unknown = _due(crm, source, places, days, quiet=quiet)
        failures += unknown
    made, failed = backing_up.each(places, lambda place: _make(crm, source, known, place))
    failures += failed
    rows = [_row(place, done) for place, done in made]
    backing_up.show(crm, COLUMNS, rows, form, quiet=quiet)
    for name in dict.fromkeys(name for _, done in made for name in done.passed_over):
        crm.output.note(f"snapshot {name} is no part of this store: crmcli backup verify says more")
    for doubt in dict.fromkeys(done.doubt for _, done in made if done.doubt):
        crm.output.note(f"{doubt}: if the clock is wrong, the new snapshot counts for nothing")
    problems = dict.fromkeys(problem for _, done in made for problem in done.problems)
    failures += [DamagedError(f"the backup lacks what the store has lost: {problem}", _HINT) for problem in problems]
    backing_up.end(crm, failures)


_HINT = "crmcli backup verify says whether an older snapshot has it"


def _make(crm: Session, source: Source, known: Known, place: Place) -> Made:
    from crmcli.storage.backups.making import make
    from crmcli.storage.backups.remembering import remember

    with crm.output.progress(None, f"copying to {place.text}") as advance:
        made = make(source, place, known, advance)
    remember(crm.pins, source.genesis, place)
    return made


def _begun(crm: Session, source: Source, places: list[Place], *, if_due: bool) -> tuple[list[Place], list[CrmError]]:
    """Return the places but those that have vanished, and what there is to say of these."""
    from crmcli.storage.backups.remembering import begun

    there, failures = backing_up.each(places, lambda place: begun(crm.pins, source.genesis, place, if_due=if_due))
    return [place for place, _ in there], failures


def _row(place: Place, made: Made) -> tuple[object, ...]:
    snapshot = made.snapshot
    return (place.text, snapshot.name, snapshot.seq, snapshot.files, snapshot.bytes, made.copied, made.copied_bytes)


def _due(
    crm: Session, source: Source, places: list[Place], days: int | None, *, quiet: bool
) -> tuple[list[Place], list[CrmError]]:
    """Return the places where a backup is due now, and what is wrong with those that do not say."""
    from crmcli.model.backups import is_due
    from crmcli.storage.backups.stale import made_at

    known, every = backing_up.known(crm), backing_up.schedule(crm, days) - 1
    told, failures = backing_up.each(places, lambda place: is_due(made_at(place, known, source), crm.now, every))
    for place, is_now in told:
        if not is_now and not quiet:
            crm.say(f"{place.text}: not due yet")
    return [place for place, is_now in told if is_now], failures
