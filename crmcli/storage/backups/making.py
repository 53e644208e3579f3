"""Making a backup: what a place does not have yet is copied, each byte checked, and the snapshot is written last."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from crmcli.errors import CrmError, DamagedError, InterruptedByUserError, RolledBackError
from crmcli.model.backups import doubt
from crmcli.storage import bulk, files
from crmcli.storage.backups import results, snapshots
from crmcli.storage.backups.places import Item, borrowed, object_name
from crmcli.storage.backups.snapshots import Piece, Snapshot
from crmcli.storage.genesis import MAX_GENESIS
from crmcli.storage.keys import sha256
from crmcli.storage.tables import stamp
from crmcli.storage.together import streamed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from crmcli.storage.backups.known import Known
    from crmcli.storage.backups.places import Place
    from crmcli.storage.backups.source import Source
    from crmcli.storage.log import FileEntry

# Bytes of commits that are put together, and pieces of them after which the log is copied anew.
_PIECE = 1 << 24
_MANY_PIECES = 64
# Seconds for which an object may be relied upon that no snapshot names yet; `forget` leaves it alone for longer.
_FRESH = 86_400
# How often files may be replaced by upkeep while they are being copied.
_TRIES = 20


@dataclass
class Made:
    """A backup that was made: what was copied for it, what the store could not give, which snapshots are none of it.

    `doubt` is what there is to say of the clock that it was made under.
    """

    snapshot: Snapshot
    copied: int = 0
    copied_bytes: int = 0
    problems: list[str] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    doubt: str | None = None


def make(source: Source, place: Place, known: Known, advance: Callable[[int], None]) -> Made:
    """Back a store up to a place; `advance` is given the bytes that were copied.

    Raises: RolledBackError if the place has a later or another state of the store, NoSpaceError, CrmError.
    """
    try:
        with files.mapped(f"write the backup in {place.text}"):
            try:
                return _Making(source, place, known, advance).run()
            except BaseException:
                # What was copied so far is whole, and the next run need not copy it again.
                with suppress(OSError, CrmError):
                    place.settle()
                raise
    except KeyboardInterrupt as error:
        raise InterruptedByUserError("interrupted; what was copied stays: run it again to go on") from error


class _Making:
    def __init__(self, source: Source, place: Place, known: Known, advance: Callable[[int], None]) -> None:
        self.source = source
        self.place = place
        self.known = known
        self.now = known.now
        self.advance = advance
        self.copied: list[int] = []
        self.present: dict[str, Item] = {}
        self.base: Snapshot | None = None
        self.passed_over: list[str] = []
        self.doubt: str | None = None

    def run(self) -> Made:
        raw, _ = files.read_regular(self.source.root / "genesis.json", MAX_GENESIS)
        self.place.prepare()
        snapshots.claim(self.place, raw)
        self.base = self._base()
        self.present = self._sound_objects()
        # Before the log, so that a drop which is committed meanwhile is in one or the other.
        inbox = tuple(self._keep(content) for _, content in self.source.drops())
        self.source.refresh()
        problems = self._copy_files()
        state = self.source.state
        live = state.live.values()
        lost = sorted(entry.sha256 for entry in live if entry.file_id in problems)
        pieces = self._pieces()
        here = [entry for entry in live if entry.file_id not in problems]
        snapshot, document = snapshots.written(
            Snapshot(
                "",
                self.source.genesis.hash,
                stamp(self.now),
                state.seq,
                state.hash,
                state.at,
                pieces,
                inbox,
                tuple(lost),
                len(here),
                sum(entry.bytes for entry in here),
            )
        )
        self.place.settle()
        self.place.put(f"snapshots/{snapshot.name}.json", document)
        self.place.settle()
        self.source.close()
        told = [error.message for error in problems.values()]
        return Made(snapshot, len(self.copied), sum(self.copied), told, self.passed_over, self.doubt)

    def _base(self) -> Snapshot | None:
        """Return the newest snapshot that the store goes on from.

        Raises: RolledBackError if there is one by this store's members that it does not go on from.
        """
        known = snapshots.shelf(self.place, self.source.genesis.hash).snapshots
        head = datetime.fromisoformat(self.source.state.at)
        self.doubt = doubt(self.now, head, [snapshot.at for snapshot in known])
        base, others = None, []
        for snapshot in sorted(known, key=lambda known: (known.seq, known.made_at), reverse=True):
            if snapshot.seq <= self.source.state.seq and self.source.hash_at(snapshot.seq) == snapshot.head:
                base = snapshot
                break
            others.append(snapshot)
        if others:
            self._refuse_to_go_back(known, others)
        return base

    def _refuse_to_go_back(self, known: Sequence[Snapshot], others: list[Snapshot]) -> None:
        """Raise RolledBackError if the store does not go on from one of `others`, and that one counts for more.

        It does if the store is the beginning of it, or if it is genuine and as much of the team signed it.
        """
        from crmcli.storage.backups import lineage

        found = lineage.lineage(self.place, self.source.genesis, known, self.known)
        ours = lineage.fold(self.source.genesis, (raw for _, raw in self.source.commits()), ())
        for snapshot in others:
            chain = found.chains.get(snapshot.name)
            if chain is None or ours.goes_on_from(chain):
                continue
            is_ahead = chain.heads.get(ours.state.seq) == ours.state.hash
            if is_ahead or (snapshot.name not in found.strange and not ours.outranks(chain)):
                raise RolledBackError(
                    f"the store is older than, or differs from, snapshot {snapshot.name}",
                    "somebody put an old copy back; crmcli restore brings a snapshot back as the store",
                )
            self.passed_over.append(snapshot.name)

    def _sound_objects(self) -> dict[str, Item]:
        """Return what objects lie in the place, but for those that a check found damaged since they came there."""
        damaged = results.damaged(self.place, self.now)
        return {
            digest: item
            for digest, item in self.place.items("objects").items()
            if digest not in damaged or damaged[digest] < item.at < time.time() + _FRESH
        }

    def _copy_files(self) -> dict[str, CrmError]:
        """Copy what the place lacks; return file id -> what is wrong with files that are still part of the store."""
        for _ in range(_TRIES):
            failed = dict(self._copied([entry for entry in self.source.state.live.values() if not self._has(entry)]))
            self.place.settle()
            before = self.source.state.seq
            if failed:
                # Upkeep may have replaced them meanwhile, and an erasure has removed them.
                self.source.refresh()
            if not failed or self.source.state.seq == before:
                break
        return {name: error for name, error in failed.items() if name in self.source.state.live}

    def _copied(self, entries: list[FileEntry]) -> Iterator[tuple[str, CrmError]]:
        """Copy files, some side by side; yield those that cannot be had."""
        pending = 0
        for entry, error in zip(entries, streamed(self._copy, entries, bulk.WRITERS), strict=True):
            if error is not None:
                yield entry.file_id, error
                continue
            self.advance(entry.bytes)
            pending += entry.bytes
            if pending >= bulk.BATCH:
                self.place.settle()
                pending = 0

    def _copy(self, entry: FileEntry) -> CrmError | None:
        content = self.source.borrow(entry)
        if isinstance(content, CrmError):
            # A good copy, though nothing but this snapshot relies on it, is better than none.
            there = self.present.get(entry.sha256)
            return None if there is not None and there.size == entry.bytes else content
        self.place.put(object_name(entry.sha256), content)
        self.copied.append(entry.bytes)
        self.present[entry.sha256] = Item(entry.bytes, time.time())
        return None

    def _has(self, entry: FileEntry) -> bool:
        """Say whether the place has a file for good; what is live now and as old as the base was live in it too."""
        base = self.base
        is_needed = base is not None and entry.seq <= base.seq and entry.sha256 not in base.lost
        return self._is_there(entry.sha256, entry.bytes, is_needed=is_needed)

    def _is_there(self, digest: str, size: int, *, is_needed: bool) -> bool:
        """Say whether an object may be relied on: the base needs it, or it was put there just now."""
        item = self.present.get(digest)
        if item is None or item.size != size:
            return False
        return is_needed or abs(time.time() - item.at) < _FRESH

    def _pieces(self) -> tuple[Piece, ...]:
        """Return the pieces of the log, cut where those of the base are cut, with those that the place lacks copied."""
        cuts = {piece.last for piece in self.base.log} if self.base is not None else set()
        if len(cuts) >= _MANY_PIECES:
            cuts = set()
        made: list[Piece] = []
        raws: list[bytes] = []
        size = 0
        for seq, raw in self.source.commits():
            raws.append(raw)
            size += len(raw)
            if seq in cuts or size >= _PIECE or seq == self.source.state.seq:
                kept = self._keep(b"".join(raws))
                made.append(Piece(seq - len(raws) + 1, seq, kept.sha256, kept.bytes))
                raws, size = [], 0
        return tuple(made)

    def _keep(self, content: bytes) -> Piece:
        """Put an object, unless the place has it, and return its hash and length.

        Commits and drops are few, and a snapshot is none without its log: what is there of them is read back.
        """
        digest = sha256(content)
        is_needed = self.base is not None and any(piece.sha256 == digest for piece in self.base.pieces())
        if not self._is_there(digest, len(content), is_needed=is_needed) or not self._is_sound(digest, len(content)):
            self.place.put(object_name(digest), content)
            self.copied.append(len(content))
        return Piece(0, 0, digest, len(content))

    def _is_sound(self, digest: str, size: int) -> bool:
        try:
            borrowed(self.place, digest, size)
        except (OSError, DamagedError):
            return False
        return True
