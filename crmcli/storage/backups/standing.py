"""How backups stand: the newest and the last verified snapshot of a place, and what a person should look at."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from crmcli.model.backups import AHEAD, UNVERIFIED, failed, forgetting, is_leap, overdue
from crmcli.model.frozen import dataclass
from crmcli.storage import files
from crmcli.storage.backups import judging, results, stale

if TYPE_CHECKING:
    from crmcli.storage.backups.known import Known
    from crmcli.storage.backups.lineage import Lineage
    from crmcli.storage.backups.places import Place
    from crmcli.storage.backups.source import Source


@dataclass(frozen=True, slots=True)
class Standing:
    """How many snapshots there are, when the newest and the newest verified were made, and what is not in order.

    `remedy` is what helps against that.
    """

    snapshots: int
    newest: datetime | None
    verified: datetime | None
    found: str | None
    remedy: str


def standing(place: Place, source: Source | None, outside: Known, days: int, among: str) -> Standing:
    """Return how the backups in a place stand, by the store too, if it is there; `days` is how old they may be.

    `among` are the options that name all places, for what a person is to do.
    """
    now = outside.now
    with files.mapped(f"read the backup in {place.text}"):
        shelf, found = stale.judged(place, outside, source)
        strange = judging.strange(shelf, found)
        genuine = {snapshot.name: snapshot for snapshot in found.whole()}
        lacking = [known for known in found.genuine[-1:] if found.lacked(known)]
        verdicts = results.verdicts(place, outside.now)
    verified = [known for name, known in genuine.items() if name in verdicts and verdicts[name].ok]
    last = max(verified, key=lambda snapshot: snapshot.made_at, default=None)
    remedy = f"crmcli backup{among}, then crmcli backup verify --deep{among}"
    told = overdue(last.at, last.at, now, days) if last else UNVERIFIED
    bad = [verdicts[known.name] for known in found.genuine if known.name in verdicts and not found.lacked(known)]
    if bad := [one for one in bad if not one.ok]:
        told = failed(bad)
        remedy = f"crmcli backup verify --deep --repair{among}"
    if lacking:
        told = f"the newest snapshot lacks {len(found.lacked(lacking[0]))} files that the store had lost"
    if leap := _leap(found):
        told = f"snapshot {leap} is dated more than a year after anything before it: was the clock right?"
    if shelf.damaged:
        told = f"{len(shelf.damaged)} snapshots are damaged: {min(shelf.damaged)}"
        remedy = f"crmcli backup verify --deep --repair{among}"
    strange = {name: why for name, why in strange.items() if name not in shelf.damaged}
    if strange:
        later = sum(known.at > now + AHEAD for known in shelf.snapshots)
        by_clock = f", {later} of them dated after what this clock says, {now:%Y-%m-%d}" if later else ""
        told = f"{len(strange)} snapshots cannot be what they say{by_clock}: crmcli backup verify"
        remedy = f"{'if this clock is right: ' if later else ''}{forgetting(strange, place.text)}"
    newest = max((snapshot.at for snapshot in found.genuine), default=None)
    return Standing(len(shelf.snapshots), newest, last.at if last else None, told, remedy)


def is_verified(place: Place, source: Source | None, outside: Known) -> bool:
    """Say whether the newest genuine snapshot of a place was read back whole, and no check has failed since."""
    with files.mapped(f"read the backup in {place.text}"):
        _, found = stale.judged(place, outside, source)
        verdicts = results.verdicts(place, outside.now)
    newest = found.genuine[-1].name if found.genuine else ""
    return newest in verdicts and verdicts[newest].ok


def _leap(found: Lineage) -> str | None:
    """Return the name of the newest snapshot if it was made more than a year after its newest commit and the others."""
    if not found.genuine:
        return None
    *others, last = found.genuine
    before = [datetime.fromisoformat(found.moment(last).at), *(known.at for known in others)]
    return last.name if is_leap(last.at, before) else None
