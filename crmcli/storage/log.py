"""The log: one signed, chained commit a file, older ones packed into segments; parsing that trusts nothing."""

from __future__ import annotations

import json
import os
import re
from dataclasses import field
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from crmcli.errors import DamagedError
from crmcli.model.frozen import dataclass
from crmcli.storage import files
from crmcli.storage.keys import random_bytes, sha256
from crmcli.storage.tables import GROUPS
from crmcli.storage.upgrade import check_schema

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crmcli.storage.keys import KeyPair

COMMIT_LABEL = "crmcli/commit/v1"
GENESIS_LABEL = "crmcli/genesis/v1"
MAX_COMMIT = 1 << 20
MAX_INT = 1 << 53
_MOST_DIGITS = len(str(-MAX_INT))
LOOSE = 1000
SEGMENT = 1000
_LISTINGS = 3

KINDS = ("insert", "upsert", "delete", "history")
BODIES = {
    "data": (),
    "compact": (),
    "members": ("members",),
    "keys": ("books",),
    "grant": ("grant",),
    "grant-use": ("use",),
    "reveal": ("reveal",),
    "transfer": ("transfer",),
    "erase": ("erase",),
    "restore": ("restore",),
}
_COMMON = ("store", "seq", "prev", "op_id", "author", "at", "type", "schema", "add", "drop")
_ENTRY = ("file_id", "book", "table", "group", "epoch", "kind", "rows", "bytes", "sha256", "min", "max")

HEX32, HEX64 = re.compile(r"[0-9a-f]{32}"), re.compile(r"[0-9a-f]{64}")
ID = re.compile(r"(?!0{12})[0-9A-HJKMNP-TV-Z]{12}")
_STAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
WORD = re.compile(r"[a-z][a-z_-]{0,31}")
_SIGNATURE = re.compile(rb"[0-9a-f]{128}")
_NAME = re.compile(r"([0-9]{20})(?:\.json|-([0-9]{20})\.jsonl)")


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One encrypted Parquet file as its commit describes it; `low`, `high`: bounds of its time column, or None."""

    file_id: str
    book: str
    table: str
    group: str
    epoch: int
    kind: str
    rows: int
    bytes: int
    sha256: str
    low: str | None
    high: str | None
    seq: int = 0
    schema: int = 0

    @classmethod
    def parse(cls, entry: Any, seq: int, schema: int) -> FileEntry:
        """Return the entry of a parsed commit, every field checked. Raises: ValueError."""
        _require(isinstance(entry, dict) and tuple(entry) == _ENTRY, "the fields of a file entry")
        file_id, book, table, group, epoch, kind, rows, size, sha256, low, high = entry.values()
        _require(matches(HEX32, file_id) and matches(HEX64, sha256) and matches(ID, book), "the ids of a file entry")
        _require(matches(WORD, table) and group in GROUPS and kind in KINDS, "the kind of a file entry")
        _require(is_count(epoch) and is_count(rows) and is_count(size) and epoch > 0, "the counts of a file entry")
        _require((low is None or is_stamp(low)) and (high is None or is_stamp(high)), "the times of a file entry")
        return cls(file_id, book, table, group, epoch, kind, rows, size, sha256, low, high, seq, schema)

    def as_json(self) -> dict[str, Any]:
        """Return the entry as a commit holds it."""
        cells = (getattr(self, name) for name in (*FileEntry.__slots__[:9], "low", "high"))
        return dict(zip(_ENTRY, cells, strict=True))


@dataclass(frozen=True, slots=True)
class Commit:
    """One change of the store; `body` holds what its type adds to the common fields."""

    store: str
    seq: int
    prev: str
    op_id: str
    author: str
    at: str
    type: str
    schema: int
    add: tuple[FileEntry, ...] = ()
    drop: tuple[str, ...] = ()
    body: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, line: bytes) -> Commit:
        """Return the commit on one line of JSON. Raises: ValueError saying what is wrong with it."""
        document = parse_json(line)
        _require(isinstance(document, dict), "a commit")
        check_schema(document.get("schema"))
        kind = document.get("type")
        _require(isinstance(kind, str) and kind in BODIES, "the commit's type")
        _require(tuple(document) == (*_COMMON, *BODIES[kind]), "the commit's fields")
        store, seq, prev, op_id, author, at, _, schema, add, drop = (document[name] for name in _COMMON)
        _require(matches(HEX32, store) and matches(HEX64, prev) and matches(HEX32, op_id), "the commit's ids")
        _require(matches(ID, author) and is_stamp(at), "the commit's author or time")
        _require(is_count(seq) and seq > 0 and is_count(schema) and schema > 0, "the commit's numbers")
        _require(isinstance(add, list) and isinstance(drop, list), "the commit's files")
        _require(all(matches(HEX32, file_id) for file_id in drop), "the commit's dropped files")
        entries = tuple(FileEntry.parse(entry, seq, schema) for entry in add)
        body = {name: document[name] for name in BODIES[kind]}
        return cls(store, seq, prev, op_id, author, at, kind, schema, entries, tuple(drop), body)

    def sealed(self, author: KeyPair) -> bytes:
        """Return the bytes to be written: the line of JSON, the line of signature."""
        cells = {name: getattr(self, name) for name in _COMMON}
        cells["add"] = [entry.as_json() for entry in self.add]
        cells["drop"] = list(self.drop)
        return signed_lines(cells | self.body, (author,), COMMIT_LABEL)


def signed_lines(document: dict[str, Any], signers: tuple[KeyPair, ...], label: str) -> bytes:
    """Return a document as one line of JSON followed by a line of signature, in hex, by each signer."""
    line = json.dumps(document, separators=(",", ":")).encode()
    signatures = [signer.sign(label, line).hex().encode() for signer in signers]
    return b"\n".join((line, *signatures, b""))


def split_lines(raw: bytes, signers: int) -> tuple[bytes, list[bytes]]:
    """Return the line of JSON and the signatures of what `signed_lines` wrote. Raises: ValueError."""
    line, *rest = raw.split(b"\n")
    _require(len(rest) == signers + 1 and rest[-1] == b"", "its lines")
    _require(all(_SIGNATURE.fullmatch(text) for text in rest[:-1]), "its signature line")
    return line, [bytes.fromhex(text.decode()) for text in rest[:-1]]


def parse_json(line: bytes) -> Any:
    """Parse JSON without duplicate keys, floats or integers of 2**53 and more. Raises: ValueError."""
    try:
        return json.loads(
            line.decode("utf-8", "strict"),
            object_pairs_hook=_unique,
            parse_float=_refuse,
            parse_int=_small,
            parse_constant=_refuse,
        )
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    _require(len(document) == len(pairs), "a key that stands twice")
    return document


def _refuse(text: str) -> None:
    raise ValueError(f"a number that is no integer, of {len(text)} characters")


def _small(text: str) -> int:
    number = int(text) if len(text) <= _MOST_DIGITS else MAX_INT
    _require(-MAX_INT < number < MAX_INT, "an integer of 2**53 or more")
    return number


def _require(condition: object, what: str) -> None:
    if not condition:
        raise ValueError(f"{what} is not of the form it must have")


def matches(pattern: re.Pattern[str], value: object) -> bool:
    """Say whether a parsed value is a text of that form."""
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def is_stamp(value: object) -> bool:
    """Say whether a parsed value is an instant as the log writes it, and one that exists."""
    if not isinstance(value, str) or not _STAMP.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def is_count(value: object) -> bool:
    """Say whether a parsed value is an integer from 0 on (and no boolean)."""
    return type(value) is int and value >= 0


def digest(raw: bytes) -> str:
    """Return the hash by which the next commit names this one: SHA-256 of its raw bytes, signature included."""
    return sha256(raw)


def loose_name(seq: int) -> str:
    """Return the file name of a commit that stands alone."""
    return f"{seq:020}.json"


def segment_name(first: int, last: int) -> str:
    """Return the file name of the commits first .. last together."""
    return f"{first:020}-{last:020}.jsonl"


def listing(folder: Path) -> tuple[list[int], list[tuple[int, int]]]:
    """Return the numbers of the loose commits and the ranges of the segments, both in order."""
    loose, segments = [], []
    for name in sorted(os.listdir(folder)):  # noqa: PTH208 - a thousand names at every commit
        match = _NAME.fullmatch(name)
        if match and match[2]:
            segments.append((int(match[1]), int(match[2])))
        elif match:
            loose.append(int(match[1]))
    return loose, segments


def time_of(raw: bytes) -> datetime:
    """Return when a commit was made, without parsing all of it."""
    return datetime.fromisoformat(raw.partition(b'"at":"')[2].partition(b'"')[0].decode())


def holds(folder: Path, seq: int) -> bool:
    """Say whether there is a commit of that number."""
    return (folder / loose_name(seq)).exists() or is_packed(folder, seq)


def is_packed(folder: Path, seq: int) -> bool:
    """Say whether a segment holds that commit, at less cost than a listing."""
    matches = (_NAME.fullmatch(name) for name in os.listdir(folder) if name.endswith(".jsonl"))  # noqa: PTH208
    return any(int(match[1]) <= seq <= int(match[2]) for match in matches if match and match[2])


def read_one(folder: Path, seq: int) -> bytes:
    """Return the raw bytes of a commit, nothing if there is none of that number. Raises: DamagedError."""
    try:
        return files.read_regular(folder / loose_name(seq), MAX_COMMIT)[0]
    except FileNotFoundError:
        return next(read_from(folder, seq), (0, b""))[1]


def read_from(folder: Path, first: int) -> Iterator[tuple[int, bytes]]:
    """Yield (seq, raw bytes) of every commit from `first` to the head.

    Packing may move a commit from a loose file to a segment meanwhile: what has just gone is looked for again.
    Raises: DamagedError if a commit is missing.
    """
    if _ends_before(folder, first):
        return
    seq = first
    stuck = 0
    while True:
        loose, segments = _whole_listing(folder)
        present = set(loose)
        start = seq
        for low, high in segments:
            if low <= seq <= high:
                for raw in islice(_segment(folder, low, high), seq - low, None):
                    yield seq, raw
                    seq += 1
        while seq in present:
            try:
                raw, _ = files.read_regular(folder / loose_name(seq), MAX_COMMIT)
            except FileNotFoundError:
                break
            yield seq, raw
            seq += 1
        if seq > max([*loose[-1:], *(high for _, high in segments)], default=0):
            return
        stuck = stuck + 1 if seq == start else 0
        if stuck > 1:
            raise _missing(seq)


def _ends_before(folder: Path, seq: int) -> bool:
    """Say whether the names in the log, by how many they are, are those of all commits before `seq` and no more.

    Mostly they are, and that is found out at a quarter of the cost of a listing.
    """
    names = os.listdir(folder)  # noqa: PTH208 - a thousand names at every commit
    segments = [name for name in names if name.endswith(".jsonl")]
    packed = max((int(match[2]) for name in segments if (match := _NAME.fullmatch(name)) and match[2]), default=0)
    return len(names) - len(segments) == seq - 1 - packed and max(names, default="") == loose_name(seq - 1)


def _whole_listing(folder: Path) -> tuple[list[int], list[tuple[int, int]]]:
    """Return a listing that leaves no number out; packing may be at work while the folder is being listed.

    Raises: DamagedError if a commit is missing.
    """
    for _ in range(_LISTINGS):
        loose, segments = listing(folder)
        covered = 0
        for low, high in sorted([*segments, *((seq, seq) for seq in loose)]):
            if low > covered + 1:
                break
            covered = max(covered, high)
        else:
            return loose, segments
    raise _missing(covered + 1)


def _missing(seq: int) -> DamagedError:
    return DamagedError(f"commit {seq} is missing from the log", "put the folder back from a backup")


def _segment(folder: Path, first: int, last: int) -> Iterator[bytes]:
    """Yield the raw bytes of the commits in a segment, no line of which may be longer than a commit."""
    name = segment_name(first, last)
    damaged = DamagedError(f"log/{name} does not hold commits {first} to {last}", "put it back from a backup")
    with files.opened(folder / name) as file:
        for _ in range(first, last + 1):
            raw = b"".join(file.readline(MAX_COMMIT) for _ in range(2))
            if raw.count(b"\n") != 2 or raw[-1:] != b"\n":  # noqa: PLR2004 - the commit and its signature
                raise damaged
            yield raw
        if file.read(1):
            raise damaged


def pack(folder: Path, mode: int) -> int:
    """Pack the oldest loose commits into segments, keeping the last 1,000 loose; return how many were packed.

    A segment and its name are on the disk before the first of its loose files goes. Call it under the lock.
    Raises: DamagedError if a commit is missing.
    """
    packed = 0
    while True:
        loose, segments = listing(folder)
        done = max((high for _, high in segments), default=0)
        packed_loose = [seq for seq in loose if seq <= done]
        if packed_loose:
            # Also the name of a segment whose maker was stopped before it could sync it.
            files.sync_folder(folder)
        for seq in packed_loose:
            (folder / loose_name(seq)).unlink()
        loose = [seq for seq in loose if seq > done]
        if len(loose) < LOOSE + SEGMENT:
            return packed
        first, last = loose[0], loose[SEGMENT - 1]
        if (first, last) != (done + 1, done + SEGMENT):
            raise DamagedError(f"a commit after {done} is missing from the log", "put the folder back from a backup")
        raws = [files.read_regular(folder / loose_name(seq), MAX_COMMIT)[0] for seq in loose[:SEGMENT]]
        # A name of its own, for who lost the lock, as on a network disk, may be packing the same commits.
        fresh = folder.parent / "tmp" / f"{segment_name(first, last)}.{random_bytes(4).hex()}"
        files.write_new(fresh, b"".join(raws), mode)
        fresh.rename(folder / segment_name(first, last))
        packed += last - first + 1
