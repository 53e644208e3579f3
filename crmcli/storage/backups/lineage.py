"""Lineage: the signed logs that snapshots hold, checked from the genesis, and what each snapshot therefore needs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from cryptography.hazmat.primitives.hashes import SHA256, Hash

from crmcli.errors import CrmError, DamagedError
from crmcli.storage import log
from crmcli.storage.backups import ordering
from crmcli.storage.backups.places import NO_FILE, checked
from crmcli.storage.backups.snapshots import shelf
from crmcli.storage.ledger import erasures
from crmcli.storage.members import ADMIN
from crmcli.storage.state import State
from crmcli.storage.tables import PERSONAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from crmcli.storage.backups.known import Known
    from crmcli.storage.backups.ordering import Seen
    from crmcli.storage.backups.places import Place
    from crmcli.storage.backups.snapshots import Piece, Snapshot
    from crmcli.storage.genesis import Genesis
    from crmcli.storage.ledger import Erasure
    from crmcli.storage.log import Commit, FileEntry
    from crmcli.storage.members import Grant, Member

# A store has thousands of files; what claims millions is refused before a list of them is made.
MOST_FILES = 1_000_000
# What a restore commits, all at the same time: it erases and revokes again, and says where the log goes on.
_REVIVING = ("erase", "grant", "restore")


class Moment(NamedTuple):
    """A store at one commit: when that was made, the live files, who was erased, all members and grants by id."""

    at: str
    live: tuple[FileEntry, ...]
    erased: frozenset[str]
    members: dict[str, Member]
    grants: dict[str, Grant]

    @classmethod
    def of(cls, state: State) -> Moment:
        """Return what a state is now."""
        live, erased = tuple(state.live.values()), frozenset(state.erased)
        return cls(state.at, live, erased, dict(state.members), dict(state.grants))


class Restore(NamedTuple):
    """Commits `first` to `last`: the last one is a restore, and those before it erase and revoke again for it."""

    first: int
    last: int
    author: str


@dataclass
class Chain:
    """What a log adds up to: the hash of every commit, the moments that were asked for, and what was erased when.

    `pieces` is SHA-256 and length of the runs of commits that were asked for. `restores` are what admins restored.
    `signers` is the number of a commit -> its author, and whether an admin. `erasures` are the erasures in it, with the
    SHA-256 of the files that each erased. `takers` is a member -> who took over clients last.
    `damage` says why the log ended before its end.
    """

    state: State
    heads: dict[int, str] = field(default_factory=dict)
    moments: dict[int, Moment] = field(default_factory=dict)
    pieces: dict[tuple[int, int], tuple[str, int]] = field(default_factory=dict)
    restores: list[Restore] = field(default_factory=list)
    signers: dict[int, tuple[str, bool]] = field(default_factory=dict)
    erasures: list[tuple[Erasure, list[str]]] = field(default_factory=list)
    takers: dict[str, str] = field(default_factory=dict)
    damage: str | None = None

    def holds(self, snapshot: Snapshot) -> bool:
        """Say whether a snapshot is this log up to one of its commits."""
        return self.heads.get(snapshot.seq) == snapshot.head

    def erased(self, last: int | None = None) -> tuple[dict[str, str], set[str]]:
        """Return what is erased by commits up to `last`, or all: SHA-256 of a file -> when, and the clients."""
        found: dict[str, str] = {}
        clients: set[str] = set()
        for erasure, digests in self.erasures:
            if last is None or erasure.seq <= last:
                found |= dict.fromkeys(digests, erasure.at)
                clients.update(erasure.clients)
        return found, clients

    def is_in(self, pieces: Iterable[Piece]) -> bool:
        """Say whether objects hold the commits of this log that they are said to hold."""
        return all(self.pieces.get((piece.first, piece.last)) == (piece.sha256, piece.bytes) for piece in pieces)

    def parted(self, other: Chain) -> int:
        """Return the number of the last commit that two logs have in common."""
        return max(
            (seq for seq in self.heads.keys() & other.heads.keys() if self.heads[seq] == other.heads[seq]), default=0
        )

    def goes_on_from(self, older: Chain) -> bool:
        """Say whether this log is, by an admin's restore, what became of another one that it does not hold.

        The admin has to be one at the end of that other log, too: who was removed restores nothing.
        """
        admins = {who.member for who in older.state.members.values() if who.active and who.role == ADMIN}
        parted = self.parted(older)
        return any(one.first <= parted + 1 <= one.last and one.author in admins for one in self.restores)

    def outranks(self, other: Chain) -> bool:
        """Say whether more admins, or as many and more members, signed this log since they parted than the other.

        Whoever signs a log of his own alone does not prevail over the team with it. Nobody counts whom only one of them
        knows: that one may have made them up.
        """
        parted = self.parted(other)
        known = self.state.members.keys() & other.state.members.keys()

        def weight(chain: Chain) -> tuple[int, int]:
            signed = {row for seq, row in chain.signers.items() if seq > parted and row[0] in known}
            return len({who for who, is_admin in signed if is_admin}), len({who for who, _ in signed})

        return weight(self) > weight(other)


class _Pieces:
    """The runs of commits that are the pieces of the logs of snapshots, hashed while a log is read once."""

    def __init__(self, snapshots: Iterable[Snapshot], done: dict[tuple[int, int], tuple[str, int]]) -> None:
        self.done = done
        self.begun: dict[tuple[int, int], tuple[Hash, int]] = {}
        self.spans: dict[int, set[tuple[int, int]]] = {}
        for snapshot in snapshots:
            for piece in snapshot.log:
                self.spans.setdefault(piece.first, set()).add((piece.first, piece.last))

    def take(self, seq: int, raw: bytes) -> None:
        """Add the next commit."""
        self.begun |= {span: (Hash(SHA256()), 0) for span in self.spans.get(seq, ())}
        for span, (digest, size) in list(self.begun.items()):
            digest.update(raw)
            self.begun[span] = (digest, size + len(raw))
            if span[1] == seq:
                del self.begun[span]
                self.done[span] = (digest.finalize().hex(), size + len(raw))


def _carried_on(revival: tuple[int, str, str] | None, commit: Commit) -> tuple[int, str, str] | None:
    """Return the first commit, author and time of the revival that a commit is part of, or None."""
    if commit.type not in _REVIVING:
        return None
    is_same = revival is not None and revival[1:] == (commit.author, commit.at)
    return revival if is_same else (commit.seq, commit.author, commit.at)


def _handed_over(state: State, commit: Commit) -> dict[str, str]:
    """Return who handed clients over to whom by a commit."""
    if commit.type != "transfer":
        return {}
    giver, taker = (state.books[commit.body["transfer"][side]].owner for side in ("from", "to"))
    return {giver: taker} if giver and taker else {}


def fold(genesis: Genesis, raws: Iterable[bytes], snapshots: Sequence[Snapshot]) -> Chain:
    """Check a log from its first commit on; the moments of `snapshots`, and the pieces of their logs, are noted."""
    asked = {snapshot.seq for snapshot in snapshots}
    personal: dict[str, str] = {}
    chain = Chain(State(genesis, None))
    pieces = _Pieces(snapshots, chain.pieces)
    chain.heads[0] = genesis.hash
    if 0 in asked:
        chain.moments[0] = Moment.of(chain.state)

    def followed() -> Iterator[bytes]:
        state, revival = chain.state, None
        for raw in raws:
            commit = state.apply(raw)
            chain.signers[state.seq] = (commit.author, state.members[commit.author].role == ADMIN)
            personal.update((entry.file_id, entry.sha256) for entry in commit.add if entry.group == PERSONAL)
            if len(state.live) > MOST_FILES:
                raise DamagedError(f"commit {state.seq} makes more files than a store can have")
            chain.heads[state.seq] = state.hash
            revival = _carried_on(revival, commit)
            if revival is not None and commit.type == "restore":
                chain.restores.append(Restore(revival[0], state.seq, commit.author))
            chain.takers |= _handed_over(state, commit)
            pieces.take(state.seq, raw)
            if state.seq in asked:
                chain.moments[state.seq] = Moment.of(state)
            yield raw

    try:
        for erasure in erasures(followed()):
            chain.erasures.append((erasure, [personal[file_id] for file_id in erasure.files]))
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

    `strange` says of the others which are not genuine all the same, and why; `parted` which of them have a log
    that parted from that of a genuine one, and from which. `genuine` are what is left, oldest first, and `everywhere`
    those of the other places that were asked, too. `held` are objects of the place that a snapshot calls lost. `live`
    is the log of the live store, `seen` what this machine saw of the store.
    """

    chains: dict[str, Chain] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)
    strange: dict[str, str] = field(default_factory=dict)
    parted: dict[str, str] = field(default_factory=dict)
    genuine: list[Snapshot] = field(default_factory=list)
    everywhere: list[Snapshot] = field(default_factory=list)
    held: set[str] = field(default_factory=set)
    live: Chain | None = None
    seen: list[Seen] = field(default_factory=list)

    def files(self, snapshot: Snapshot) -> dict[str, FileEntry]:
        """Return the live files of a snapshot, by SHA-256, without those that it lacks."""
        lacked = self.lacked(snapshot)
        return {entry.sha256: entry for entry in self.moment(snapshot).live if entry.sha256 not in lacked}

    def lacked(self, snapshot: Snapshot) -> set[str]:
        """Return the live files that the store had lost when a snapshot was made, and that the place has not either."""
        lost = set(snapshot.lost) - self.held
        return {entry.sha256 for entry in self.moment(snapshot).live if entry.sha256 in lost}

    def whole(self) -> list[Snapshot]:
        """Return the genuine snapshots that lack nothing, or all of them if each one does; only they count."""
        return [known for known in self.genuine if not self.lacked(known)] or self.genuine

    def moment(self, snapshot: Snapshot) -> Moment:
        """Return what the store was at the head of a snapshot."""
        return self.chains[snapshot.name].moments[snapshot.seq]

    def erased_since(self, snapshot: Snapshot) -> set[str]:
        """Return the clients who were erased after a snapshot, as the trusted logs tell."""
        return self.erased_clients() - self.moment(snapshot).erased

    def went_on(self, snapshot: Snapshot) -> list[Chain]:
        """Return the trusted logs that go on from a snapshot."""
        return [chain for chain in self.distinct() if chain.holds(snapshot) and self._is_trusted(chain)]

    def commits_since(self, snapshot: Snapshot) -> int:
        """Return how many commits were made since a snapshot, as far as is known here."""
        ends = [chain.state.seq for chain in self.went_on(snapshot)]
        ends += [one.seq for one in self.seen if one.chain is None or one.chain.holds(snapshot)]
        return max(0, max(ends, default=0) - snapshot.seq)

    def drops(self, snapshot: Snapshot) -> list[Piece]:
        """Return the drops of a snapshot that may be restored.

        Nobody without a key knows who is in a drop. So once somebody was erased, only those count that wait still.
        """
        waiting = {piece.sha256 for piece in self.everywhere[-1].inbox} if self.everywhere else set()
        may_hold = bool(self.erased_since(snapshot))
        return [piece for piece in snapshot.inbox if not may_hold or piece.sha256 in waiting]

    def erased(self) -> dict[str, str]:
        """Return what the trusted logs say is erased: SHA-256 -> when."""
        found: dict[str, str] = {}
        for erased, _ in self._ledgers():
            for digest, at in erased.items():
                found[digest] = min(at, found.get(digest, at))
        return found

    def erased_clients(self) -> set[str]:
        """Return the clients that the trusted logs say are erased."""
        return set().union(*(clients for _, clients in self._ledgers()))

    def _ledgers(self) -> Iterator[tuple[dict[str, str], set[str]]]:
        """Yield what is erased by each log: all of it if it is trusted, else up to its last genuine snapshot."""
        for chain in self.distinct():
            if self._is_trusted(chain):
                yield chain.erased()
            else:
                yield chain.erased(max((known.seq for known in self.everywhere if chain.holds(known)), default=0))

    def _is_trusted(self, chain: Chain) -> bool:
        """Say whether a log goes on from the last genuine snapshot, if there is one, and from what was seen here."""
        if any(one.contradicts(chain.state.seq, chain) for one in self.seen):
            return False
        if not self.everywhere or chain.holds(self.everywhere[-1]):
            return True
        return chain is self.live and chain.goes_on_from(self.chains[self.everywhere[-1].name])

    def distinct(self) -> list[Chain]:
        """Return each log once."""
        chains = [*self.chains.values(), *([self.live] if self.live is not None else [])]
        return list({id(chain): chain for chain in chains}.values())


def lineage(place: Place, genesis: Genesis, snapshots: Sequence[Snapshot], known: Known) -> Lineage:
    """Check the logs of snapshots, oldest first, each log once: most snapshots are the beginning of a longer one.

    Those of other places are checked with them, for one place alone may have been filled by whoever can write there.
    """
    found = Lineage()
    if lost := {digest for snapshot in snapshots for digest in snapshot.lost}:
        found.held = {digest for digest, item in place.items("objects").items() if item.size != NO_FILE} & lost
    lying = [(place, snapshot) for snapshot in snapshots]
    for other in known.others:
        if other is not place:
            with suppress(CrmError, OSError):
                lying += [(other, snapshot) for snapshot in shelf(other, genesis.hash).snapshots]
    every = list({snapshot.name: snapshot for _, snapshot in lying}.values())
    every.sort(key=lambda snapshot: (snapshot.made_at, snapshot.seq, snapshot.name))
    folded: dict[tuple[str, tuple[Piece, ...]], Chain] = {}
    # Those of the place come first, so that no other one makes up for what is damaged in it.
    for where, snapshot in sorted(lying, key=lambda pair: (pair[0] is not place, -pair[1].seq)):
        if snapshot.name in found.chains:
            continue
        same = next((chain for chain in found.distinct() if chain.holds(snapshot)), None)
        # Whoever plants many heads of one log keeps nobody busy with it.
        source = where.text, snapshot.log
        chain = same or folded.get(source) or fold(genesis, raws_of(where, snapshot), every)
        folded[source] = chain
        wrong = None
        if not chain.holds(snapshot):
            wrong = chain.damage or "its head is not the end of its log"
        elif not chain.is_in(snapshot.log):
            wrong = "the pieces of its log are not the commits that lead to its head"
        if wrong is None:
            found.chains[snapshot.name] = chain
        elif where is place:
            found.wrong[snapshot.name] = wrong
    live = _same_as_live(found, genesis, known) or fold(genesis, known.live_log(genesis.hash), every)
    found.live = live if live.state.seq else None
    found.seen = ordering.seen(found, every, known, genesis.hash)
    strange = ordering.out_of_order(found, every, known.now)
    found.everywhere = [one for one in every if one.name in found.chains and one.name not in strange]
    ours = {snapshot.name for snapshot in snapshots}
    found.strange = {name: why for name, why in strange.items() if name in ours}
    found.genuine = [one for one in found.everywhere if one.name in ours - found.wrong.keys()]
    return found


def _same_as_live(found: Lineage, genesis: Genesis, known: Known) -> Chain | None:
    """Return the log of a snapshot that ends where that of the live store does: its head names all that leads to it."""
    for chain in found.distinct():
        last = list(islice(known.live_log(genesis.hash, chain.state.seq), 2)) if chain.state.seq else []
        if len(last) == 1 and log.digest(last[0]) == chain.state.hash:
            return chain
    return None
