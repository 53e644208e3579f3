"""Judging: which snapshots of a place are genuine, the latest of them, and the one that a user means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crmcli.errors import DamagedError
from crmcli.storage import files
from crmcli.storage.backups import lineage, snapshots

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crmcli.storage.backups.known import Known
    from crmcli.storage.backups.lineage import Chain, Lineage
    from crmcli.storage.backups.places import Item, Place
    from crmcli.storage.backups.snapshots import Piece, Shelf, Snapshot
    from crmcli.storage.log import FileEntry


@dataclass
class Need:
    """An object that snapshots need: its length, their names, and what it is: a data file, or commits or a drop."""

    bytes: int
    by: list[str]
    what: FileEntry | Piece


def judged(place: Place, known: Known) -> tuple[Shelf, Lineage]:
    """Return what lies in a place, and what the signed logs say of it. Raises: NotFoundError, DamagedError, OSError."""
    genesis, _ = snapshots.genesis_of(place)
    shelf = snapshots.shelf(place, genesis.hash)
    return shelf, lineage.lineage(place, genesis, shelf.snapshots, known)


def strange(shelf: Shelf, found: Lineage) -> dict[str, str]:
    """Return which snapshots of a place cannot be what they say, and why, whether or not their objects are there."""
    return shelf.strange | found.wrong | found.strange


def find(shelf: Shelf, found: Lineage, name: str) -> Snapshot:
    """Return the snapshot that begins like that, genuine or not, or the latest genuine one.

    Raises: NotFoundError, ConflictError, DamagedError if the latest is asked for and none is genuine.
    """
    if name != snapshots.LATEST or not shelf.snapshots:
        return shelf.find(name)
    if found.genuine:
        return found.genuine[-1]
    last = shelf.snapshots[-1].name
    raise DamagedError(
        f"no snapshot is genuine; the last, {last}, is not: {strange(shelf, found)[last]}",
        "look at the clock of this machine, and at crmcli backup list",
    )


def newer(shelf: Shelf, found: Lineage, snapshot: Snapshot) -> dict[str, str]:
    """Return the snapshots with a later date that were passed over for one because they are not genuine, and why."""
    later = {known.name for known in shelf.snapshots if known.made_at > snapshot.made_at}
    return {name: why for name, why in strange(shelf, found).items() if name in later}


def needs(found: Lineage, chosen: Sequence[Snapshot]) -> dict[str, Need]:
    """Return all objects that snapshots need, by hash; of one whose log is not known, only those that it names."""
    needed: dict[str, Need] = {}
    # Where nothing happened between two backups, both need the same.
    alike: dict[tuple[object, ...], list[Snapshot]] = {}
    for one in chosen:
        what = (one.name in found.chains, one.seq, one.head, one.log, one.inbox, one.lost)
        alike.setdefault(what, []).append(one)
    for (is_known, *_), (snapshot, *others) in alike.items():
        pieces = [*snapshot.log, *(found.drops(snapshot) if is_known else snapshot.inbox)]
        parts = [(piece.sha256, piece.bytes, piece) for piece in pieces]
        if is_known:
            parts += [(digest, entry.bytes, entry) for digest, entry in found.files(snapshot).items()]
        names = [snapshot.name, *(other.name for other in others)]
        for digest, size, source in parts:
            needed.setdefault(digest, Need(size, [], source)).by.extend(names)
    return needed


@dataclass(frozen=True)
class Candidate:
    """A snapshot of a place that was asked for, and its log, if that is right."""

    snapshot: Snapshot
    chain: Chain | None

    def is_later_than(self, other: Candidate) -> bool:
        """Say whether this one is later: by the logs if one of them goes on from the other, else by date."""
        mine, theirs = self.chain, other.chain
        if mine is None or theirs is None:
            return mine is not None
        if self.snapshot.seq > other.snapshot.seq and mine.holds(other.snapshot):
            return True
        if self.snapshot.seq < other.snapshot.seq and theirs.holds(self.snapshot):
            return False
        if mine.goes_on_from(theirs) != theirs.goes_on_from(mine):
            return mine.goes_on_from(theirs)
        return self.snapshot.made_at > other.snapshot.made_at


def having(place: Place, name: str, known: Known) -> Candidate:
    """Return the snapshot of a place that is asked for. Raises: NotFoundError, ConflictError, DamagedError."""
    with files.mapped(f"read the backup in {place.text}"):
        shelf, found = judged(place, known)
        snapshot = find(shelf, found, name)
    return Candidate(snapshot, found.chains.get(snapshot.name))


def is_whole(found: Lineage, snapshot: Snapshot, present: dict[str, Item]) -> bool:
    """Say whether all that a snapshot needs is in the place, but for what is erased, by names and lengths."""
    erased = found.erased()
    return all(
        digest in erased or (digest in present and present[digest].size == need.bytes)
        for digest, need in needs(found, [snapshot]).items()
    )


def pin(place: Place, name: str, known: Known, *, remove: bool) -> str:
    """Pin a snapshot of a place, or take the pin out; return its name. Raises: NotFoundError, ConflictError."""
    with files.mapped(f"write to the backup in {place.text}"):
        pinned = find(*judged(place, known), name).name
        if remove:
            place.remove([f"pins/{pinned}"])
        else:
            place.put(f"pins/{pinned}", b"")
            place.settle()
    return pinned
