"""What the backup commands share: where backups lie, how old they may be, and going on after a place has failed."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from crmcli.errors import AttentionError, CrmError, DamagedError, InputError, InterruptedByUserError
from crmcli.model.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from crmcli.commands.params import Format
    from crmcli.session import Session
    from crmcli.storage.backups.checking import Trouble
    from crmcli.storage.backups.known import Known
    from crmcli.storage.backups.places import Place
    from crmcli.storage.backups.source import Source
    from crmcli.storage.identity import Identity

_Done = TypeVar("_Done")
# A century of days.
MOST = 36_500

To = Annotated[
    list[str] | None,
    typer.Option("--to", metavar="PLACE", help="where backups lie: a folder, or s3://bucket/folder (CRMCLI_BACKUPS)"),
]
Days = Annotated[
    int | None, typer.Option(min=1, max=MOST, metavar="N", help="how old they may be (the setting backup_days, or 8)")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="show nothing but what is wrong; for cron")]
Snapshot = Annotated[str, typer.Argument(metavar="SNAPSHOT", help="the beginning of its name, or latest")]


def places(crm: Session, given: list[str] | None) -> list[Place]:
    """Return where backups lie. Raises: InputError."""
    from crmcli.environment import backup_places
    from crmcli.storage.backups.places import open_place, refuse_inside

    found = [open_place(text) for text in backup_places(given, crm.environ, crm.store_path)]
    for place in found:
        refuse_inside(place, crm.store_path)
    return found


def ranked(crm: Session, given: list[str] | None, snapshot: str) -> list[Place]:
    """Return the places that have such a snapshot; of the latest, that which has the later genuine one first.

    Raises: NotFoundError, ConflictError, what the last one says, if none has it.
    """
    from crmcli.storage.backups.judging import having

    every, failures = of_one_store(crm, places(crm, given))
    outside = known(crm, every)
    found, others = each(every, lambda place: having(place, snapshot, outside))
    failures += others
    if not found:
        for error in failures[:-1]:
            crm.output.note(error.message)
        raise failures[-1]
    for error in failures:
        crm.output.note(error.message)
    # Where one goes on from the other the dates need not be asked; whoever planted one has chosen them.
    best = found[0]
    for other in found[1:]:
        if snapshot == "latest" and other[1].is_later_than(best[1]):
            best = other
    return [best[0], *(place for place, _ in found if place is not best[0])]


def of_one_store(crm: Session, every: list[Place]) -> tuple[list[Place], list[CrmError]]:
    """Return the places with backups of one store, and what is wrong with the others.

    It is the store at hand if a place has it, else one that the identity belongs to, else that of the first place.
    """
    from crmcli.storage.backups.snapshots import genesis_of, of_another
    from crmcli.storage.layout import read_genesis

    found, failures = each(every, lambda place: genesis_of(place)[0].hash)
    hashes = [genesis for _, genesis in found]
    wanted: list[str] = []
    with suppress(CrmError):
        wanted.append(read_genesis(crm.store_path).hash)
    with suppress(CrmError):
        identity = identity_or_none(crm)
        wanted += identity.stores if identity is not None else ()
    ours = next((genesis for genesis in [*wanted, *hashes] if genesis in hashes), None)
    failures += [of_another(place) for place, genesis in found if genesis != ours]
    return [place for place, genesis in found if genesis == ours], failures


def known(crm: Session, others: Sequence[Place] = (), identity: Identity | None = None) -> Known:
    """Return what is known when places are judged; `others` are judged together with each."""
    from crmcli.storage.backups.known import Known

    if identity is None:
        with suppress(CrmError):
            identity = identity_or_none(crm)
    return Known(crm.now, crm.store_path, crm.pins, identity, others)


def one_place(crm: Session, given: list[str] | None, snapshot: str) -> Place:
    """Return the place that `ranked` puts first. Raises: NotFoundError, ConflictError, DamagedError."""
    return ranked(crm, given, snapshot)[0]


def first(crm: Session, places: list[Place], job: Callable[[Place], _Done]) -> _Done:
    """Do a job at the first place that is not spoilt. Raises: DamagedError, what the last one says."""
    for place in places[:-1]:
        try:
            return job(place)
        except DamagedError as error:
            crm.output.note(f"{place.text}: {error.message}; the next place is tried")
    return job(places[-1])


def each(places: list[Place], job: Callable[[Place], _Done]) -> tuple[list[tuple[Place, _Done]], list[CrmError]]:
    """Do a job at every place, whatever happens at one; return what came of it, and what went wrong."""
    done, failures = [], []
    for place in places:
        try:
            done.append((place, job(place)))
        except InterruptedByUserError:
            raise
        except CrmError as error:
            if len(places) > 1 and place.text not in error.message:
                error.message = f"{place.text}: {error.message}"
            failures.append(error)
    return done, failures


def each_own(
    crm: Session, places: list[Place], job: Callable[[Place], _Done]
) -> tuple[list[tuple[Place, _Done]], list[CrmError]]:
    """Do a job as `each` does, but where the backups are those of another store than the one at hand."""
    from crmcli.storage.backups.snapshots import require_of

    def guarded(place: Place) -> _Done:
        require_of(crm.store_path, place)
        return job(place)

    return each(places, guarded)


def show(
    crm: Session,
    columns: tuple[str, ...],
    rows: list[tuple[object, ...]],
    form: Format,
    limit: int = 0,
    *,
    quiet: bool = False,
) -> None:
    """Show rows about places or snapshots, unless it is to be quiet; a table without a row is nothing."""
    if not quiet and (rows or form != "table"):
        crm.output.rows(columns, rows, form=form, limit=limit, id_column="snapshot")


def end(crm: Session, failures: list[CrmError]) -> None:
    """Raise the first failure, after a line for each other one."""
    for error in failures[1:]:
        crm.output.note(error.message)
    if failures:
        raise failures[0]


def schedule(crm: Session, days: int | None) -> int:
    """Return how old the last verified backup may be: as given, else as the settings say where a key is at hand."""
    if days is not None:
        return days
    if not crm.identity_path.exists() or _would_ask(crm):
        return Settings("").backup_days
    try:
        with crm.reading() as view:
            return view.settings.backup_days
    except CrmError:
        return Settings("").backup_days


def _would_ask(crm: Session) -> bool:
    from crmcli.storage.identity import has_passphrase

    told = any(crm.environ.get(f"CRMCLI_PASSPHRASE_{kind}") for kind in ("COMMAND", "FILE"))
    return has_passphrase(crm.identity_path) and not told


def source_or_none(crm: Session) -> Source | None:
    """Return the live store, if it is there and whole enough to be asked."""
    from crmcli.storage.backups.source import Source

    try:
        return Source(crm.store_path, crm.cache, crm.pins)
    except CrmError:
        return None


def part(text: str | None, *, deep: bool) -> tuple[int, int] | None:
    """Return which part of the data is to be read: (n, t), all of it, or None. Raises: InputError."""
    if text is None:
        return (1, 1) if deep else None
    first, slash, last = text.partition("/")
    if deep or not slash or not (first + last).isdecimal() or not (first + last).isascii():
        raise InputError("--subset is N/T, such as 1/7, and --deep is all of it")
    if not 1 <= int(first) <= int(last) <= 1000:  # noqa: PLR2004
        raise InputError("--subset is N/T with N from 1 to T, and T at most 1000")
    return int(first), int(last)


def told(trouble: Trouble, place: Place) -> str:
    """Return the line about a file that is not as it should be."""
    *others, newest = trouble.spoils
    spoils = f"spoils snapshot {newest}" + (f" and {len(others)} before it" if others else "")
    if trouble.repaired:
        end = f"put back from {trouble.elsewhere}"
    elif trouble.elsewhere:
        more = "" if trouble.is_of_store else f" --to {trouble.elsewhere}"
        end = f"{trouble.elsewhere} still has it: crmcli backup verify --repair --to {place.text}{more}"
    elif trouble.is_snapshot:
        end = f"nobody here has it any more: crmcli backup forget {newest} --yes --to {place.text}"
    else:
        end = "nobody here has it any more"
    return f"{trouble.file} is {trouble.how}: {spoils}; {end}"


def raise_strange(strange: list[tuple[Place, dict[str, str]]]) -> None:
    """Raise AttentionError about snapshots that cannot be what they say."""
    from crmcli.model.backups import forgetting

    count = sum(len(names) for _, names in strange)
    for place, names in strange:
        for name, why in names.items():
            raise AttentionError(
                f"{count} snapshots cannot be what they say: {name}: {why}",
                f"find out who put them there, or whose clock was wrong; {forgetting(names, place.text)}",
            )


def raise_lacking(lacking: dict[str, int]) -> None:
    """Raise AttentionError about snapshots that lack files, which the store had lost when they were made."""
    if lacking:
        name = max(lacking)
        raise AttentionError(
            f"snapshot {name} lacks {lacking[name]} files that the store had lost",
            "it counts for nothing while an older one is whole: crmcli backup list",
        )


def raise_not_kept(reasons: list[tuple[Place, str]]) -> None:
    """Raise AttentionError if the result of a check could not be kept, so that nobody else knows of it."""
    for place, why in reasons:
        raise AttentionError(
            f"the result could not be kept in {place.text}: {why}",
            "check it as who may write there: else nobody is told what came of it",
        )


def raise_damage(crm: Session, troubles: list[tuple[Place, Trouble]]) -> None:
    """Tell of every object that is spoilt. Raises: DamagedError for the first that was not put back."""
    for place, trouble in troubles:
        crm.output.note(told(trouble, place))
    left = [trouble for _, trouble in troubles if not trouble.repaired]
    if left:
        raise DamagedError(
            f"{len(left)} objects of the backup are damaged or missing", "the lines above say what helps"
        )


def identity_or_none(crm: Session) -> Identity | None:
    """Return the identity of this run, if there is one that opens without a question."""
    return crm.identity() if crm.identity_path.exists() and not _would_ask(crm) else None


def restorer(crm: Session, place: Place, *, recovery_key: bool) -> Identity | None:
    """Return who restores: the recovery key's admin, else the identity of this run, else nobody.

    Raises: InputError for a misread key, NoKeyError for another store's.
    """
    from crmcli.storage.backups.snapshots import genesis_of
    from crmcli.storage.identity import recovered, recovery_seed

    if recovery_key:
        return recovered(recovery_seed(crm.recovery_text()), genesis_of(place)[0])
    return crm.identity() if crm.identity_path.exists() else None


def remember(crm: Session, verified: list[tuple[Place, str]]) -> None:
    """Note on this machine which snapshots were verified, "" where that failed, for the reminder that admins get."""
    from crmcli.storage.backups.remembering import remember
    from crmcli.storage.backups.snapshots import genesis_of

    for place, name in verified:
        remember(crm.pins, genesis_of(place)[0], place, name)
