"""Lineage: the signed logs that snapshots hold, checked from the genesis, and what each snapshot therefore needs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from crmcli.errors import CrmError, DamagedError
from crmcli.model.backups import AHEAD
from crmcli.storage.backups.places import checked
from crmcli.storage.erasure import erasures
from crmcli.storage.state import State
from crmcli.storage.tables import PERSONAL, stamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from crmcli.storage.backups.places import Place
    from crmcli.storage.backups.snapshots import Piece, Snapshot
    from crmcli.storage.genesis import Genesis
    from crmcli.storage.log import FileEntry

# A store has thousands of files; what claims millions is refused before a list of them is made.
MOST_FILES = 1_000_000


class Moment(NamedTuple):
    """A store at one commit: when that was made, the live files and the clients who were erased."""

    at: str
    live: tuple[FileEntry, ...]
    erased: frozenset[str]


@dataclass
class Chain:
    """What a log adds up to: the hash of every commit, the moments that were asked for, and what was erased when.

    `pieces` is SHA-256 and length of the runs of commits that were asked for. `erased` is SHA-256 of a personal file ->
    instant. `damage` says why the log ended before its end.
    """

    state: State
    heads: dict[int, str] = field(default_factory=dict)
    moments: dict[int, Moment] = field(default_factory=dict)
    pieces: dict[tuple[int, int], tuple[str, int]] = field(default_factory=dict)
    erased: dict[str, str] = field(default_factory=dict)
    damage: str | None = None

    def holds(self, snapshot: Snapshot) -> bool:
        """Say whether a snapshot is this log up to one of its commits."""
        return self.heads.get(snapshot.seq) == snapshot.head

    def is_in(self, pieces: Iterable[Piece]) -> bool:
        """Say whether objects hold the commits of this log that they are said to hold."""
        return all(self.pieces.get((piece.first, piece.last)) == (piece.sha256, piece.bytes) for piece in pieces)

    def goes_on_from(self, older: Chain) -> bool:
        """Say whether this log is, by an admin's restore, what became of another one that it does not hold."""
        since = [restore for restore in self.state.restores if restore not in older.state.restores]
        return any(older.heads.get(seq) == head for seq, head in since)


class _Pieces:
    """The runs of commits that are the pieces of the logs of snapshots, hashed while a log is read once."""

    def __init__(self, snapshots: Iterable[Snapshot], done: dict[tuple[int, int], tuple[str, int]]) -> None:
        self.done = done
        self.begun: dict[tuple[int, int], tuple[hashlib._Hash, int]] = {}
        self.spans: dict[int, set[tuple[int, int]]] = {}
        for snapshot in snapshots:
            for piece in snapshot.log:
                self.spans.setdefault(piece.first, set()).add((piece.first, piece.last))

    def take(self, seq: int, raw: bytes) -> None:
        """Add the next commit."""
        self.begun |= {span: (hashlib.sha256(), 0) for span in self.spans.get(seq, ())}
        for span, (digest, size) in list(self.begun.items()):
            digest.update(raw)
            self.begun[span] = (digest, size + len(raw))
            if span[1] == seq:
                del self.begun[span]
                self.done[span] = (digest.hexdigest(), size + len(raw))


def fold(genesis: Genesis, raws: Iterable[bytes], snapshots: Sequence[Snapshot]) -> Chain:
    """Check a log from its first commit on; the moments of `snapshots`, and the pieces of their logs, are noted."""
    asked = {snapshot.seq for snapshot in snapshots}
    personal: dict[str, str] = {}
    chain = Chain(State(genesis, None))
    pieces = _Pieces(snapshots, chain.pieces)
    chain.heads[0] = genesis.hash
    if 0 in asked:
        chain.moments[0] = Moment(genesis.created_at, (), frozenset())

    def followed() -> Iterator[bytes]:
        state = chain.state
        for raw in raws:
            commit = state.apply(raw)
            personal.update((entry.file_id, entry.sha256) for entry in commit.add if entry.group == PERSONAL)
            if len(state.live) > MOST_FILES:
                raise DamagedError(f"commit {state.seq} makes more files than a store can have")
            chain.heads[state.seq] = state.hash
            pieces.take(state.seq, raw)
            if state.seq in asked:
                chain.moments[state.seq] = Moment(state.at, tuple(state.live.values()), frozenset(state.erased))
            yield raw

    try:
        for erasure in erasures(followed()):
            chain.erased.update((personal[file_id], erasure.at) for file_id in erasure.files)
    except CrmError as error:
        chain.damage = error.message
    except FileNotFoundError:
        chain.damage = "a piece of its log is missing"
    return chain


def raws_of(place: Place, snapshot: Snapshot) -> Iterator[bytes]:
    """Yield the commits of a snapshot's log. Raises: DamagedError, FileNotFoundError, OSError."""
    for piece in snapshot.log:
        lines = checked(place, piece.sha256, piece.bytes).split(b"\n")
        if len(lines) != 2 * (piece.last - piece.first + 1) + 1 or lines[-1]:
            raise DamagedError(f"a piece of the log does not hold commits {piece.first} to {piece.last}")
        for at in range(0, len(lines) - 1, 2):
            yield b"%b\n%b\n" % (lines[at], lines[at + 1])


@dataclass
class Lineage:
    """The snapshots of a place, checked: `chains` has the log of each, `wrong` why one is no backup of this store.

    `strange` says of the others which cannot have been made when they say, and why; `genuine` are what is left, oldest
    first.
    """

    chains: dict[str, Chain] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)
    strange: dict[str, str] = field(default_factory=dict)
    genuine: list[Snapshot] = field(default_factory=list)

    def files(self, snapshot: Snapshot) -> dict[str, FileEntry]:
        """Return the live files of a snapshot, by SHA-256, without those that the store had lost by then."""
        lost = set(snapshot.lost)
        return {entry.sha256: entry for entry in self.moment(snapshot).live if entry.sha256 not in lost}

    def moment(self, snapshot: Snapshot) -> Moment:
        """Return what the store was at the head of a snapshot."""
        return self.chains[snapshot.name].moments[snapshot.seq]

    def erased_since(self, snapshot: Snapshot) -> set[str]:
        """Return the clients who were erased after a snapshot, as any of the logs tells."""
        return self.erased_clients() - self.moment(snapshot).erased

    def drops(self, snapshot: Snapshot) -> list[Piece]:
        """Return the drops of a snapshot that may be restored.

        Nobody without a key knows who is in a drop. So once somebody was erased, only those count that wait still.
        """
        waiting = {piece.sha256 for piece in self.genuine[-1].inbox} if self.genuine else set()
        may_hold = bool(self.erased_since(snapshot))
        return [piece for piece in snapshot.inbox if not may_hold or piece.sha256 in waiting]

    def erased(self) -> dict[str, str]:
        """Return what any of the logs says is erased: SHA-256 -> when."""
        found: dict[str, str] = {}
        for chain in self.distinct():
            for digest, at in chain.erased.items():
                found[digest] = min(at, found.get(digest, at))
        return found

    def erased_clients(self) -> set[str]:
        """Return the clients that any of the logs says are erased."""
        return set().union(*(chain.state.erased for chain in self.distinct()))

    def distinct(self) -> list[Chain]:
        """Return each log once."""
        return list({id(chain): chain for chain in self.chains.values()}.values())


def lineage(place: Place, genesis: Genesis, snapshots: Sequence[Snapshot], now: datetime) -> Lineage:
    """Check the logs of snapshots, oldest first, each log once: most snapshots are the beginning of a longer one."""
    found = Lineage()
    for snapshot in sorted(snapshots, key=lambda snapshot: snapshot.seq, reverse=True):
        known = next((chain for chain in found.distinct() if chain.holds(snapshot)), None)
        chain = known or fold(genesis, raws_of(place, snapshot), snapshots)
        if chain.holds(snapshot) and not chain.is_in(snapshot.log):
            found.wrong[snapshot.name] = "the pieces of its log are not the commits that lead to its head"
        elif chain.holds(snapshot):
            found.chains[snapshot.name] = chain
        else:
            found.wrong[snapshot.name] = chain.damage or "its head is not the end of its log"
    found.strange = _out_of_order(found, snapshots, now)
    found.genuine = [known for known in snapshots if known.name in found.chains and known.name not in found.strange]
    return found


def _out_of_order(found: Lineage, snapshots: Sequence[Snapshot], now: datetime) -> dict[str, str]:
    """Return which of the snapshots whose logs are right, oldest first, cannot have been made when they say, and why.

    A later one goes on where an earlier one ended, or was made after an admin's restore. Whoever plants an old state
    under a new date is found out by that, and who plants a new state under an old date by the time of its head.
    """
    strange: dict[str, str] = {}
    last: Snapshot | None = None
    for snapshot in snapshots:
        chain = found.chains.get(snapshot.name)
        if chain is None:
            continue
        if snapshot.at > now + AHEAD:
            strange[snapshot.name] = "it is dated in the future"
            continue
        # A log that is ahead of this clock tells of a clock that was wrong, not of a snapshot.
        if stamp(snapshot.at + AHEAD) < found.moment(snapshot).at <= stamp(now):
            strange[snapshot.name] = "it is dated before its own newest commit"
            continue
        if last is not None:
            before = found.chains[last.name]
            goes_on = last.seq <= snapshot.seq and chain.heads.get(last.seq) == last.head
            if not goes_on and not (chain is not before and chain.goes_on_from(before)):
                strange[snapshot.name] = f"it is older than, or differs from, {last.name}, which was made before it"
                continue
        last = snapshot
    return strange
