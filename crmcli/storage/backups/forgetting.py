"""Forgetting: which snapshots go and why, then the objects that nothing needs, and those of erased clients."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from crmcli.errors import NotFoundError, RuleError
from crmcli.model.backups import ERASED_STAY, Policy, age_of, reasons_to_keep
from crmcli.storage import files, log
from crmcli.storage.backups import judging, results, stale
from crmcli.storage.backups.places import object_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crmcli.storage.backups.known import Known
    from crmcli.storage.backups.lineage import Lineage
    from crmcli.storage.backups.places import Item, Place
    from crmcli.storage.backups.snapshots import Shelf, Snapshot
    from crmcli.storage.backups.source import Source

# Seconds for which nothing that was written to a place is removed: a backup at work relies on it.
FRESH = 2 * 86_400


@dataclass(frozen=True)
class Fate:
    """What is to become of a snapshot, and why."""

    name: str
    made_at: datetime | None
    stays: bool
    reason: str


@dataclass
class Forgotten:
    """What was removed, or would be: objects, their bytes, and those among them that erased clients are in."""

    fates: list[Fate]
    objects: int = 0
    bytes: int = 0
    erased: int = 0
    kept_for: str | None = None


def forget(
    place: Place, source: Source | None, policy: Policy, named: Sequence[str], known: Known, *, carry_out: bool
) -> Forgotten:
    """Decide which snapshots go, by a policy or by name, and remove them if asked to.

    The store, if it is at hand, tells which are not genuine, too.

    Raises: NotFoundError, RuleError if a named one has to stay or none would be left.
    """
    with files.mapped(f"tidy up the backups in {place.text}"):
        shelf, found = stale.judged(place, known, source)
        present = place.items("objects")
        fates = _fates(place, shelf, found, present, policy, named, known.now)
        going = {fate.name for fate in fates if not fate.stays}
        if going and not [fate for fate in fates if fate.stays]:
            raise RuleError("that would remove every snapshot")
        if carry_out and going:
            place.remove([f"{folder}/{name}" for name in sorted(going) for folder, name in _files_of(name)])
        left = shelf.damaged - going
        staying = [snapshot for snapshot in shelf.snapshots if snapshot.name not in going]
        if carry_out:
            # A backup may have ended meanwhile.
            again, found = stale.judged(place, known, source)
            left, staying = again.damaged, list(again.snapshots)
        return _sweep(
            place, Forgotten(fates), found, staying, present, known.now, damaged=bool(left), carry_out=carry_out
        )


def _files_of(name: str) -> list[tuple[str, str]]:
    return [("snapshots", f"{name}.json"), ("pins", name)]


def _fates(
    place: Place,
    shelf: Shelf,
    found: Lineage,
    present: dict[str, Item],
    policy: Policy,
    named: Sequence[str],
    now: datetime,
) -> list[Fate]:
    """Return what becomes of each snapshot: those that cannot be what they say, or lack something, count for nothing.

    So nobody gets rid of genuine ones by planting others.
    """
    strange = judging.strange(shelf, found)
    counting = []
    for snapshot in shelf.snapshots:
        if snapshot.name not in strange:
            if judging.is_whole(found, snapshot, present):
                counting.append(snapshot)
            else:
                strange[snapshot.name] = "it lacks something: crmcli backup verify"
    # What lacks something stands for no week before what is whole, and stays by itself while it is called for.
    whole = [snapshot for snapshot in counting if not found.lacked(snapshot)]
    reasons: dict[str, str] = {}
    for some in ([snapshot for snapshot in counting if found.lacked(snapshot)], whole):
        told = zip(some, reasons_to_keep([snapshot.at for snapshot in some], policy), strict=True)
        reasons |= {snapshot.name: reason for snapshot, reason in told if reason}
    held = _held(place, shelf, found, counting, now)
    if named:
        return _named_fates(shelf, found, held, named)
    fates = []
    for snapshot in shelf.snapshots:
        why = held.get(snapshot.name) or reasons.get(snapshot.name)
        if snapshot.name in strange:
            why = f"left alone: {strange[snapshot.name]}"
        fates.append(Fate(snapshot.name, snapshot.at, why is not None, why or "no longer called for"))
    known = {snapshot.name for snapshot in shelf.snapshots}
    fates += [
        Fate(name, None, stays=True, reason=f"left alone: {why}") for name, why in strange.items() if name not in known
    ]
    return fates


def _held(place: Place, shelf: Shelf, found: Lineage, counting: list[Snapshot], now: datetime) -> dict[str, str]:
    """Return the snapshots that nothing removes, and why."""
    written = place.items("snapshots")
    held = {
        snapshot.name: "made in the last 2 days"
        for snapshot in counting
        if abs(time.time() - written[f"{snapshot.name}.json"].at) < FRESH
    }
    # A backup that is at work may rely on what was the newest one when it began.
    for snapshot in [*[old for old in counting if old.name not in held][-1:], *counting[-1:]]:
        held[snapshot.name] = "the newest"
    whole = [snapshot for snapshot in counting if not found.lacked(snapshot)] or counting
    held |= {snapshot.name: "the newest that is whole" for snapshot in whole[-1:] if snapshot is not counting[-1]}
    verdicts = results.verdicts(place, now)
    verified = [known.name for known in whole if known.name in verdicts and verdicts[known.name].ok]
    if verified:
        held[max(verified)] = "the newest verified"
    # Without it, the one that parted from it might be taken for genuine.
    held |= {good: f"tells that {parted} is not genuine" for parted, good in found.parted.items()}
    return held | dict.fromkeys(shelf.pinned, "pinned")


def _named_fates(shelf: Shelf, found: Lineage, held: dict[str, str], named: Sequence[str]) -> list[Fate]:
    """Return the fates of snapshots when some were named to go. Raises: NotFoundError, RuleError."""
    strange = judging.strange(shelf, found)
    going = {name if name in strange else judging.find(shelf, found, name).name for name in named}
    for name in sorted(going):
        if name in held:
            raise RuleError(f"snapshot {name} has to stay: {held[name]}")
        if not any(item == name for item in strange) and name not in {known.name for known in shelf.snapshots}:
            raise NotFoundError("there is no such snapshot", "crmcli backup list shows them")
    rows: list[tuple[str, datetime | None]] = [(snapshot.name, snapshot.at) for snapshot in shelf.snapshots]
    rows += [(name, None) for name in shelf.strange]
    return [Fate(name, at, name not in going, "named" if name in going else "not named") for name, at in rows]


def _sweep(
    place: Place,
    done: Forgotten,
    found: Lineage,
    staying: list[Snapshot],
    present: dict[str, Item],
    now: datetime,
    *,
    damaged: bool,
    carry_out: bool,
) -> Forgotten:
    """Remove the objects that no snapshot needs any more, and those of clients who were erased long enough ago."""
    needed = judging.needs(found, staying)
    times = [snapshot.at for snapshot in staying if snapshot.name in found.chains]
    stale = {
        digest
        for digest, at in found.erased().items()
        if digest in present and age_of(datetime.fromisoformat(at), times, now) >= ERASED_STAY
    }
    spare = set()
    if found.wrong or damaged:
        done.kept_for = "a snapshot that cannot be read may need what no other one does: only erased files go"
    else:
        old = time.time() - FRESH
        spare = {digest for digest, item in present.items() if digest not in needed and item.at < old}
    going = sorted(stale | spare)
    done.objects, done.erased = len(going), len(stale)
    done.bytes = sum(max(present[digest].size, 0) for digest in going)
    if carry_out:
        place.remove([object_name(digest) if log.HEX64.fullmatch(digest) else digest for digest in going])
        _sweep_rest(place, {snapshot.name for snapshot in staying})
    return done


def _sweep_rest(place: Place, staying: set[str]) -> None:
    """Remove what runs that were cut short have left, and results about snapshots that are gone."""
    old = time.time() - FRESH
    place.remove([f"tmp/{name}" for name, item in place.items("tmp").items() if item.at < old])
    gone = [name for name, result in results.named(place).items() if result.snapshot not in staying]
    place.remove([f"results/{name}" for name in gone])
