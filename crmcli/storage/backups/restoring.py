"""Restoring: a snapshot becomes a store again in a new folder, staged beside it, checked byte by byte, renamed last."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crmcli.errors import ConflictError, DamagedError, InputError, LockedError, NotPermittedError
from crmcli.storage import bulk, files, log
from crmcli.storage.backups import judging, lineage, snapshots
from crmcli.storage.backups.places import borrowed, checked, object_name
from crmcli.storage.backups.withdrawing import Withdrawn, withdrawn
from crmcli.storage.layout import FOLDERS, file_path
from crmcli.storage.syncing import Together
from crmcli.storage.tables import TABLES
from crmcli.storage.together import streamed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from crmcli.storage.backups.known import Known
    from crmcli.storage.backups.places import Place
    from crmcli.storage.backups.snapshots import Piece, Snapshot
    from crmcli.storage.genesis import Genesis
    from crmcli.storage.log import FileEntry
    from crmcli.storage.state import State

_WHERE = "crmcli backup verify says where it still is"
MODES = (0o600, 0o700)


@dataclass
class Plan:
    """What a restore will write, all of it known to be there: nothing is written before there is one.

    `entries` are the files to be written; those of `erased` among them hold clients who were erased since, `gone` are
    such files that the place has no more. `clients` are who was erased since, wherever that is recorded. `left_out`
    counts files that were not asked for. `drops` are those that nobody can be in who was erased since. `heads` are
    the hashes of its commits. `passed_over` are snapshots of a later date that are not genuine.
    `withdrawn` is what was taken back since, as far as is known here, and `commits_lost` the commits made since.
    """

    place: Place
    snapshot: Snapshot
    genesis: Genesis
    genesis_raw: bytes
    entries: list[FileEntry]
    erased: list[FileEntry] = field(default_factory=list)
    gone: list[FileEntry] = field(default_factory=list)
    clients: set[str] = field(default_factory=set)
    left_out: int = 0
    drops: list[Piece] = field(default_factory=list)
    heads: dict[int, str] = field(default_factory=dict)
    passed_over: dict[str, str] = field(default_factory=dict)
    withdrawn: Withdrawn = field(default_factory=Withdrawn)
    commits_lost: int = 0

    @property
    def bytes(self) -> int:
        """How many bytes of data files it writes."""
        return sum(entry.bytes for entry in self.entries)


def plan(
    place: Place,
    name: str,
    known: Known,
    *,
    book: str | None = None,
    table: str | None = None,
    anyway: bool = False,
) -> Plan:
    """Return how to restore a snapshot, checked but for the bytes of its data files.

    The live store, if of the same company, and the other places of `known` are asked for what was erased and taken
    back, too, as far as their logs can be trusted. `book` and `table` choose files.
    With `anyway`, a snapshot is taken whatever its date says of it.
    Raises: NotFoundError, DamagedError if anything is missing or not what was signed, InputError.
    """
    genesis, raw = snapshots.genesis_of(place)
    shelf = snapshots.shelf(place, genesis.hash)
    if table is not None and table not in TABLES:
        raise InputError("there is no such table", f"there is {', '.join(TABLES)}")
    found = lineage.lineage(place, genesis, shelf.snapshots, known)
    snapshot = judging.find(shelf, found, name)
    if snapshot.name in found.wrong:
        raise DamagedError(
            f"snapshot {snapshot.name} is no backup of this store: {found.wrong[snapshot.name]}",
            "crmcli backup verify shows which snapshots are",
        )
    if snapshot.name in found.strange and not anyway:
        raise DamagedError(
            f"snapshot {snapshot.name} is not genuine: {found.strange[snapshot.name]}",
            "restore another one; if it was a clock that was wrong, --anyway takes it",
        )
    chain = found.chains[snapshot.name]
    wanted = found.files(snapshot)
    erased = found.erased()
    since = found.erased_since(snapshot)
    if book is not None:
        book = _book(chain.state, book)
    entries = [entry for entry in wanted.values() if book in (None, entry.book) and table in (None, entry.table)]
    present = place.items("objects")
    drops = found.drops(snapshot)
    if since and known.live is not None and found.live is not None:
        drops = [piece for piece in drops if (known.live / "inbox" / f"{piece.sha256}.drop").exists()]
    for piece in (*snapshot.log, *drops):
        if piece.sha256 not in present or present[piece.sha256].size != piece.bytes:
            raise DamagedError(f"snapshot {snapshot.name} lacks a piece of its log or a drop", _WHERE)
    gone = [entry for entry in entries if entry.sha256 not in present or present[entry.sha256].size != entry.bytes]
    bad = [entry.sha256 for entry in gone if entry.sha256 not in erased]
    if bad:
        raise DamagedError(
            f"snapshot {snapshot.name} lacks {len(bad)} of its {len(wanted)} files, {object_name(bad[0])} among them",
            _WHERE,
        )
    there = [entry for entry in entries if entry not in gone]
    return Plan(
        place,
        snapshot,
        genesis,
        raw,
        there,
        [entry for entry in there if entry.sha256 in erased],
        gone,
        since,
        len(wanted) - len(entries),
        drops,
        chain.heads,
        judging.newer(shelf, found, snapshot) if name == snapshots.LATEST else {},
        withdrawn(found.moment(snapshot), found.went_on(snapshot)),
        found.commits_since(snapshot),
    )


def _book(state: State, text: str) -> str:
    """Return the book of that id, or owned by the member of that id. Raises: InputError."""
    for book in state.books.values():
        if text.upper() in (book.book, book.owner):
            return book.book
    raise InputError("there is no such book", "--book takes the id of a book or of the member who owns it")


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """Give a new folder beside `target`, to be moved to its place at the end of the block; a failure leaves nothing.

    Raises: ConflictError if `target` holds something or is a link, LockedError if another restore is at work on it.
    """
    if target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
        raise ConflictError(f"{target} is not empty", "restore into a new folder: --to DIR")
    stage = target.with_name(f".{target.name}.restoring")
    files.ensure_private(target.parent)
    if stage.is_symlink():
        raise ConflictError(f"{stage} is a link", "remove it")
    stage.mkdir(mode=MODES[1], exist_ok=True)
    handle = os.open(stage, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise LockedError(f"another restore into {target} is at work") from error
        # What one left that was cut short goes; what somebody else put there does not, unasked.
        if foreign := {path.name for path in stage.iterdir()} - {*FOLDERS, "genesis.json", "lock"}:
            raise ConflictError(f"{stage} holds {min(foreign)}, which no restore left there", "move it away")
        try:
            for path in stage.iterdir():
                _remove(path)
            yield stage
            stage.rename(target)
            files.sync_folder(target.parent)
        except BaseException:
            shutil.rmtree(stage, ignore_errors=True)
            raise
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def write(plan: Plan, root: Path, *, with_erased: bool, advance: Callable[[int], None]) -> None:
    """Write the store of a plan into an empty folder, every byte checked; on return it is durable.

    Raises: NotPermittedError if clients were erased since and files with them are not to be written.
    """
    if plan.erased + plan.gone and not with_erased:
        raise NotPermittedError(
            f"{len(plan.clients)} clients were erased after snapshot {plan.snapshot.name} was made",
            "an admin restores it whole, without --exact, and erases them from it: CRMCLI_IDENTITY, or --recovery-key",
        )
    with Together(root) as together:
        _write(plan, root, together, advance)


def _write(plan: Plan, root: Path, together: Together, advance: Callable[[int], None]) -> None:
    fresh = _lay_out(plan, root)
    pending = 0
    for path, size in streamed(lambda entry: _write_file(plan.place, entry, root), plan.entries, bulk.WRITERS):
        fresh.append(path)
        advance(size)
        pending += size
        if pending >= bulk.BATCH:
            together.sync(fresh)
            fresh, pending = [], 0
    together.sync([*fresh, *(root / "files").iterdir(), *root.iterdir(), root])


def _lay_out(plan: Plan, root: Path) -> list[Path]:
    """Write all but the data files; return what has to be synced."""
    for name in FOLDERS:
        files.make_folder(root / name, MODES[1])
    for shard in range(256):
        files.make_folder(root / "files" / f"{shard:02x}", MODES[1])
    contents = {root / "genesis.json": plan.genesis_raw, root / "lock": b""}
    for piece in plan.drops:
        contents[root / "inbox" / f"{piece.sha256}.drop"] = checked(plan.place, piece.sha256, piece.bytes)
    segment: list[bytes] = []
    packed = max(plan.snapshot.seq - log.LOOSE, 0) // log.SEGMENT * log.SEGMENT
    for seq, raw in enumerate(lineage.raws_of(plan.place, plan.snapshot), 1):
        if log.digest(raw) != plan.heads.get(seq):
            raise DamagedError(f"commit {seq} of snapshot {plan.snapshot.name} is not the one that was signed", _WHERE)
        segment.append(raw)
        if seq > packed:
            contents[root / "log" / log.loose_name(seq)] = raw
        elif len(segment) == log.SEGMENT:
            contents[root / "log" / log.segment_name(seq - log.SEGMENT + 1, seq)] = b"".join(segment)
            segment = []
    for path, content in contents.items():
        files.write_new(path, content, MODES[0], durable=False)
    return list(contents)


def _write_file(place: Place, entry: FileEntry, root: Path) -> tuple[Path, int]:
    path = root / file_path(entry.file_id)
    bulk.write(path, borrowed(place, entry.sha256, entry.bytes), MODES[0])
    return path, entry.bytes
