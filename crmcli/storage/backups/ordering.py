"""Ordering: which snapshots cannot have been made when they say, or contradict what this machine saw of the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from crmcli.model.backups import AHEAD
from crmcli.storage.tables import stamp

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from crmcli.storage.backups.known import Known
    from crmcli.storage.backups.lineage import Chain, Lineage
    from crmcli.storage.backups.snapshots import Snapshot


class Seen(NamedTuple):
    """A commit that this machine saw in the store; `chain` is a log that has it, if there is one."""

    seq: int
    head: str
    chain: Chain | None

    def contradicts(self, seq: int, chain: Chain) -> bool:
        """Say whether a log, up to a commit, parts from the one that led to this commit, other than by a restore."""
        if self.chain is None:
            return seq >= self.seq and chain.heads.get(self.seq) != self.head
        both = min(seq, self.seq)
        if chain.heads.get(both) == self.chain.heads.get(both):
            return False
        return not (chain.goes_on_from(self.chain) or self.chain.goes_on_from(chain))


def seen(found: Lineage, snapshots: Sequence[Snapshot], known: Known, genesis: str) -> list[Seen]:
    """Return what this machine saw of a store; a snapshot that was verified before it saw another log counts not."""
    agreed: list[Seen] = []
    for one in _seen(found, snapshots, known, genesis):
        if one.chain is None or not any(other.contradicts(one.seq, one.chain) for other in agreed):
            agreed.append(one)
    return agreed


def _seen(found: Lineage, snapshots: Sequence[Snapshot], known: Known, genesis: str) -> Iterator[Seen]:
    """Yield what this machine saw: as a member or in making backups, then the snapshots that it verified."""
    for seq, head in known.seen(genesis):
        yield Seen(seq, head, next((chain for chain in found.distinct() if chain.heads.get(seq) == head), None))
    verified = known.verified(genesis)
    for snapshot in snapshots:
        if snapshot.name in verified and snapshot.name in found.chains:
            yield Seen(snapshot.seq, snapshot.head, found.chains[snapshot.name])


def out_of_order(found: Lineage, snapshots: Sequence[Snapshot], now: datetime) -> dict[str, str]:
    """Return which of the snapshots whose logs are right, oldest first, are not genuine all the same, and why.

    What this machine saw goes before any date, which whoever plants a snapshot has chosen. For the rest, a later one
    goes on where an earlier one ended, or was made after an admin's restore. Whoever plants an old state under a new
    date is found out by that, and who plants a new state under an old date by the time of its head. Of two that part,
    the one made first stays, unless the other's log outranks its log.
    """
    strange: dict[str, str] = {}
    stay: list[Snapshot] = []
    for snapshot in snapshots:
        chain = found.chains.get(snapshot.name)
        if chain is None:
            continue
        last = stay[-1] if stay else None
        if why := _by_itself(found, snapshot, chain, now):
            strange[snapshot.name] = why
            if last is not None and found.chains[last.name] is not chain:
                found.parted[snapshot.name] = last.name
            continue
        if last is not None and not _follows(found, last, snapshot):
            before = found.chains[last.name]
            if before.holds(snapshot) or not chain.outranks(before):
                strange[snapshot.name] = f"it is older than, or differs from, {last.name}, which was made before it"
                if not before.holds(snapshot):
                    found.parted[snapshot.name] = last.name
                continue
            while stay and not _follows(found, stay[-1], snapshot):
                gone = stay.pop().name
                strange[gone] = f"it differs from {snapshot.name}, which more of the members signed"
                found.parted[gone] = snapshot.name
        stay.append(snapshot)
    return strange


def _by_itself(found: Lineage, snapshot: Snapshot, chain: Chain, now: datetime) -> str | None:
    """Return why a snapshot is not genuine, whatever the others are, or None."""
    if snapshot.at > now + AHEAD:
        return "it is dated in the future"
    if against := [one.seq for one in found.seen if one.contradicts(snapshot.seq, chain)]:
        return f"it differs from what this machine saw of the store, up to commit {against[0]}"
    # A log that is ahead of this clock tells of a clock that was wrong, not of a snapshot.
    if stamp(snapshot.at + AHEAD) < found.moment(snapshot).at <= stamp(now):
        return "it is dated before its own newest commit"
    return None


def _follows(found: Lineage, last: Snapshot, snapshot: Snapshot) -> bool:
    """Say whether a snapshot goes on where an earlier one ended, or is what an admin's restore made of that."""
    before, chain = found.chains[last.name], found.chains[snapshot.name]
    if last.seq <= snapshot.seq and chain.holds(last):
        return True
    return chain is not before and chain.goes_on_from(before)
