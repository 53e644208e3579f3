"""Judging by the store at hand: a snapshot that lacks what the store had long before the date it bears is not genuine.

Whoever can write to a place can put an old snapshot there under a new date, with which everything else is right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmcli.errors import NotFoundError
from crmcli.model.backups import AHEAD
from crmcli.storage import files
from crmcli.storage.backups import judging, results

if TYPE_CHECKING:
    from datetime import datetime

    from crmcli.storage.backups.known import Known
    from crmcli.storage.backups.lineage import Lineage
    from crmcli.storage.backups.places import Place
    from crmcli.storage.backups.snapshots import Shelf, Snapshot
    from crmcli.storage.backups.source import Source


def judged(place: Place, outside: Known, source: Source | None) -> tuple[Shelf, Lineage]:
    """Return what `judging.judged` does, by the store as well, if it is at hand.

    Raises: NotFoundError, DamagedError, OSError.
    """
    shelf, found = judging.judged(place, outside)
    unmask(found, source)
    return shelf, found


def unmask(found: Lineage, source: Source | None) -> None:
    """Take those that the store tells to be older than they say out of the genuine snapshots."""
    if source is None:
        return
    for snapshot in [known for known in found.genuine if _is_stale(known, source)]:
        found.genuine.remove(snapshot)
        found.everywhere.remove(snapshot)
        found.strange[snapshot.name] = f"it lacks commit {snapshot.seq + 1}, which the store had long before its date"


def _is_stale(snapshot: Snapshot, source: Source) -> bool:
    if source.hash_at(snapshot.seq) != snapshot.head:
        return False
    following = source.time_at(snapshot.seq + 1)
    return following is not None and snapshot.at > following + AHEAD


def made_at(place: Place, outside: Known, source: Source) -> list[datetime]:
    """Return when the snapshots were made that count: the genuine ones that have all they need and failed no check."""
    with files.mapped(f"read the backup in {place.text}"):
        try:
            _, found = judged(place, outside, source)
        except NotFoundError:
            return []
        present, verdicts = place.items("objects"), results.verdicts(place, outside.now)
    whole = [known for known in found.genuine if judging.is_whole(found, known, present)]
    return [known.at for known in whole if known.name not in verdicts or verdicts[known.name].ok]
