"""How backups stand: the newest and the last verified snapshot of a place, and what a person should look at."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from crmcli.model.backups import AHEAD, Result, is_leap, overdue
from crmcli.model.frozen import dataclass
from crmcli.storage import files
from crmcli.storage.backups import judging, lineage, snapshots
from crmcli.storage.backups.known import verified_file, verified_in
from crmcli.storage.backups.places import Folder
from crmcli.storage.members import ADMIN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crmcli.storage.backups.known import Known
    from crmcli.storage.backups.lineage import Lineage
    from crmcli.storage.backups.places import Place
    from crmcli.storage.genesis import Genesis
    from crmcli.storage.store import Store


@dataclass(frozen=True, slots=True)
class Standing:
    """How many snapshots there are, when the newest and the newest verified were made, and what is not in order."""

    snapshots: int
    newest: datetime | None
    verified: datetime | None
    found: str | None


def standing(place: Place, outside: Known, days: int) -> Standing:
    """Return how the backups in a place stand; `days` is how old the last verified one may be."""
    now = outside.now
    with files.mapped(f"read the backup in {place.text}"):
        genesis, _ = snapshots.genesis_of(place)
        shelf = snapshots.shelf(place, genesis.hash)
        found = lineage.lineage(place, genesis, shelf.snapshots, outside)
        strange = judging.strange(shelf, found)
        genuine = {snapshot.name: snapshot for snapshot in found.whole()}
        lacking = [known for known in found.genuine[-1:] if found.lacked(known)]
        verified = [genuine[result.snapshot] for result in snapshots.results(place) if _counts(result, genuine)]
    last = max(verified, key=lambda snapshot: snapshot.made_at, default=None)
    told = overdue(last.at if last else None, datetime.fromisoformat(genesis.created_at), now, days)
    if lacking:
        told = f"the newest snapshot lacks {len(found.lacked(lacking[0]))} files that the store had lost"
    if leap := _leap(found):
        told = f"snapshot {leap} is dated more than a year after anything before it: was the clock right?"
    if strange:
        later = sum(known.at > now + AHEAD for known in shelf.snapshots)
        by_clock = f", {later} of them dated after what this clock says, {now:%Y-%m-%d}" if later else ""
        told = f"{len(strange)} snapshots cannot be what they say{by_clock}: crmcli backup verify"
    newest = max((snapshot.at for snapshot in found.genuine), default=None)
    return Standing(len(shelf.snapshots), newest, last.at if last else None, told)


def _leap(found: Lineage) -> str | None:
    """Return the name of the newest snapshot if it was made more than a year after its newest commit and the others."""
    if not found.genuine:
        return None
    *others, last = found.genuine
    before = [datetime.fromisoformat(found.moment(last).at), *(known.at for known in others)]
    return last.name if is_leap(last.at, before) else None


def _counts(result: Result, genuine: dict[str, snapshots.Snapshot]) -> bool:
    return result.reads_all and result.snapshot in genuine


# What an admin is told of in passing: without the network, and from little more than a list of names.


def remember(pins: Path, genesis: Genesis, place: Place, snapshot: str) -> None:
    """Note on this machine that a snapshot was verified; a disk that refuses only makes a reminder come too early."""
    path = verified_file(pins, genesis.hash)
    with suppress(OSError):
        files.ensure_private(pins)
        known = verified_in(path)
        name = str(place.root.resolve()) if isinstance(place, Folder) else place.text
        known[name] = max(snapshot, known.get(name, ""))
        files.replace_atomically(path, json.dumps(known).encode(), durable=False)


def reminder(store: Store, places: Iterable[str], pins: Path, now: datetime) -> str | None:
    """Return what to tell an admin of backups, or None when all is well and for who is no admin."""
    if store.member.role != ADMIN:
        return None
    from crmcli.storage.view import View

    names = list(verified_in(verified_file(pins, store.genesis.hash)).values())
    for place in (Folder(Path(text)) for text in places if "://" not in text):
        with suppress(OSError):
            found = (result.snapshot for _, result in snapshots.named_results(place) if result.reads_all)
            names += [name for name in [next(found, None)] if name]
    times = []
    for name in names:
        with suppress(ValueError):
            times.append(snapshots.time_in(name))
    founded = datetime.fromisoformat(store.genesis.created_at)
    return overdue(max(times, default=None), founded, now, View(store).settings.backup_days)
