"""Snapshots: the small document that makes a backup of what lies in a place, its name and pins."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from crmcli.errors import ConflictError, CrmError, DamagedError, NotFoundError, RolledBackError
from crmcli.model.frozen import dataclass
from crmcli.storage import files, log
from crmcli.storage.backups.places import NO_FILE
from crmcli.storage.genesis import MAX_GENESIS, Genesis
from crmcli.storage.keys import sha256
from crmcli.storage.layout import read_genesis

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crmcli.storage.backups.places import Place

FORMAT = "crmcli-backup/1"
MAX_SNAPSHOT = 1 << 22
MAX_PIECE = 1 << 25
# How many pieces a log may be in, and drops an inbox may hold.
MOST_PIECES = 10_000
MOST_DROPS = 20_000
LATEST = "latest"
GENESIS = "genesis.json"
_FIELDS = ("format", "genesis", "made_at", "seq", "head", "head_at", "log", "inbox", "lost", "files", "bytes")
NAME = re.compile(r"([0-9]{8}T[0-9]{6}Z)-([0-9a-f]{12})\.json")


@dataclass(frozen=True, slots=True)
class Piece:
    """Commits `first` to `last`, or a drop of the inbox (both 0), as one object of that hash and length."""

    first: int
    last: int
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A prefix of the log up to commit `seq`, and what it takes to restore it.

    `log` are the objects with its commits, `inbox` those with drops; the data files follow from the log. `lost` are
    the hashes of files that the store itself had lost by then; `files` and `bytes` count all that was there.
    """

    name: str
    genesis: str
    made_at: str
    seq: int
    head: str
    head_at: str
    log: tuple[Piece, ...]
    inbox: tuple[Piece, ...]
    lost: tuple[str, ...]
    files: int
    bytes: int

    @property
    def at(self) -> datetime:
        """When it was made, by the clock of the machine that made it."""
        return datetime.fromisoformat(self.made_at)

    def pieces(self) -> Iterator[Piece]:
        """Yield the objects that it names itself."""
        yield from self.log
        yield from self.inbox


def written(snapshot: Snapshot) -> tuple[Snapshot, bytes]:
    """Return a snapshot with its name, and its bytes."""
    cells = {"format": FORMAT} | asdict(snapshot)
    for field in ("log", "inbox"):
        cells[field] = [list(piece.values()) for piece in cells[field]]
    raw = json.dumps({name: cells[name] for name in _FIELDS}, separators=(",", ":")).encode() + b"\n"
    name = f"{snapshot.at:%Y%m%dT%H%M%SZ}-{sha256(raw)[:12]}"
    return Snapshot(**{field: getattr(snapshot, field) for field in Snapshot.__slots__} | {"name": name}), raw


def is_named_after(name: str, raw: bytes) -> bool:
    """Say whether the end of the name of a snapshot is the hash of those bytes, as it has to be."""
    return sha256(raw)[:12] == name[-12:]


def parse(name: str, raw: bytes) -> Snapshot:
    """Return the snapshot in the bytes of the file of that name. Raises: ValueError saying what is wrong with it."""
    match = NAME.fullmatch(f"{name}.json")
    if not match or not is_named_after(name, raw):
        raise ValueError("it is damaged, or not named after its bytes")
    document = log.parse_json(raw)
    if not isinstance(document, dict) or tuple(document) != _FIELDS or document["format"] != FORMAT:
        raise ValueError("its fields are not those of a snapshot")
    genesis, made_at, seq, head, head_at, commits, inbox, lost, count, size = list(document.values())[1:]
    hashes = all(log.matches(log.HEX64, value) for value in (genesis, head))
    stamps = all(log.is_stamp(value) for value in (made_at, head_at))
    if not hashes or not stamps or not all(log.is_count(value) for value in (seq, count, size)):
        raise ValueError("its head, times or counts are malformed")
    if f"{datetime.fromisoformat(made_at):%Y%m%dT%H%M%SZ}" != match[1]:
        raise ValueError("its name is of another time")
    if not isinstance(lost, list) or not all(log.matches(log.HEX64, value) for value in lost):
        raise ValueError("its lost files are malformed")
    pieces = _pieces(commits, MOST_PIECES)
    if [piece.first for piece in pieces] != [1, *(piece.last + 1 for piece in pieces)][: len(pieces)]:
        raise ValueError("its log has gaps")
    if (pieces[-1].last if pieces else 0) != seq or any(piece.last < piece.first for piece in pieces):
        raise ValueError("its log does not end at its head")
    drops = _pieces(inbox, MOST_DROPS)
    return Snapshot(name, genesis, made_at, seq, head, head_at, pieces, drops, tuple(lost), count, size)


def _pieces(rows: Any, most: int) -> tuple[Piece, ...]:
    """Return the objects in a list of them. Raises: ValueError."""
    if not isinstance(rows, list) or len(rows) > most:
        raise ValueError("its lists are malformed or too long")
    pieces = []
    for row in rows:
        if not isinstance(row, list) or len(row) != len(Piece.__slots__):
            raise ValueError("a row of it is malformed")
        first, last, digest, size = row
        if not all(log.is_count(value) for value in (first, last, size)) or not log.matches(log.HEX64, digest):
            raise ValueError("a row of it is malformed")
        if size > MAX_PIECE:
            raise ValueError("an object of it is too large")
        pieces.append(Piece(first, last, digest, size))
    return tuple(pieces)


@dataclass(frozen=True)
class Shelf:
    """What lies in a place: its snapshots, oldest first, what only looks like one and why, what is pinned.

    `damaged` are those of the strange ones whose bytes are not those that they were named after.
    """

    snapshots: tuple[Snapshot, ...]
    strange: dict[str, str]
    pinned: frozenset[str]
    damaged: frozenset[str]

    def find(self, name: str) -> Snapshot:
        """Return the snapshot that begins like that. Raises: NotFoundError, ConflictError."""
        if not self.snapshots:
            raise NotFoundError("there is no snapshot yet", "crmcli backup makes one")
        fits = [snapshot for snapshot in self.snapshots if snapshot.name.startswith(name)]
        if len(fits) > 1:
            raise ConflictError(f"{len(fits)} snapshots begin like that", "crmcli backup list shows them")
        if not fits:
            raise NotFoundError("there is no such snapshot", "crmcli backup list shows them")
        return fits[0]


def shelf(place: Place, genesis: str | None = None) -> Shelf:
    """Return what lies in a place, of the store of that genesis."""
    found, strange, damaged = [], {}, set()
    for file, item in sorted(place.items("snapshots").items()):
        name = file.removesuffix(".json")
        if not NAME.fullmatch(file) or item.size == NO_FILE:
            strange[name] = "it is no regular file" if item.size == NO_FILE else "it is not named like a snapshot"
            continue
        try:
            raw = place.read(f"snapshots/{file}", MAX_SNAPSHOT)
            if not is_named_after(name, raw):
                damaged.add(name)
            snapshot = parse(name, raw)
            if genesis not in (None, snapshot.genesis):
                raise ValueError("it is of another store")
        except FileNotFoundError:
            continue
        except (ValueError, KeyError, TypeError, DamagedError) as error:
            strange[name] = f"{error}"
        else:
            found.append(snapshot)
    found.sort(key=lambda snapshot: (snapshot.made_at, snapshot.seq, snapshot.name))
    return Shelf(tuple(found), strange, frozenset(place.items("pins")), frozenset(damaged))


def genesis_of(place: Place) -> tuple[Genesis, bytes]:
    """Return the genesis of the store whose backups lie in a place. Raises: NotFoundError, DamagedError."""
    try:
        raw = place.read(GENESIS, MAX_GENESIS)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFoundError(f"no backups in {place.text}", "--to or CRMCLI_BACKUPS names where they lie") from error
    except DamagedError as error:
        raise _no_genesis(place) from error
    try:
        return Genesis.parse(raw), raw
    except DamagedError as error:
        raise _no_genesis(place) from error


def _no_genesis(place: Place) -> DamagedError:
    return DamagedError(
        f"{GENESIS} in {place.text} is damaged", f"put a copy of {GENESIS} of the store, or of another place, there"
    )


def claim(place: Place, raw: bytes) -> None:
    """Make a place one for backups of a store. Raises: RolledBackError if it has those of another one, DamagedError."""
    try:
        there = place.read(GENESIS, MAX_GENESIS)
    except FileNotFoundError:
        place.put(GENESIS, raw)
        place.settle()
        return
    if there != raw:
        genesis_of(place)
        raise of_another(place)


def require_of(root: Path, place: Place) -> None:
    """Raise RolledBackError if a place has backups of another store than the one in a folder, where there is one."""
    try:
        ours = read_genesis(root)
    except CrmError:
        return
    with files.mapped(f"read the backup in {place.text}"):
        theirs, _ = genesis_of(place)
    if theirs.hash != ours.hash:
        raise of_another(place)


def of_another(place: Place) -> RolledBackError:
    """Return the error about a place that has backups of another store."""
    return RolledBackError(
        f"{place.text} has backups of another store", "give each store a place of its own; --store names the store"
    )


def time_in(name: str) -> datetime:
    """Return the time in the name of a snapshot."""
    return datetime.strptime(name[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
