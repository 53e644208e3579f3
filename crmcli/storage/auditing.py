"""The audit: who did what, as the log tells it, newest first; and which of it is unusual."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from crmcli.errors import DamagedError
from crmcli.model.dates import format_moment
from crmcli.model.frozen import dataclass
from crmcli.model.ids import decode_id, encode_id
from crmcli.model.watching import CHANGE, EXPORT, REVEAL, Event, Watch
from crmcli.model.zones import in_zone
from crmcli.storage import files, log
from crmcli.storage.members import ADMIN, ADMIN_TABLE, SERVICE
from crmcli.storage.tables import stamp
from crmcli.storage.versions import disguised, touched

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from crmcli.storage.store import Store
    from crmcli.storage.view import View

COLUMNS = ("seq", "at", "who", "type", "what", "where", "rows")
# A commit as this program writes it; what another one wrote with blanks is parsed.
_HEAD = re.compile(
    rb'"prev":"([0-9a-f]{64})","op_id":"[0-9a-f]{32}","author":"(\w{12})","at":"([^"]{27})","type":"([a-z-]+)"'
)
_MARKS = {"insert": "+", "upsert": "~", "delete": "-", "history": ""}
# In every commit that plants a canary.
_MARK = f'"{ADMIN_TABLE}"'.encode()
_ABOUT_CLIENTS = ("reveal", "transfer", "erase")


@dataclass(frozen=True, slots=True)
class Head:
    """What every commit has: its number, the hash of the one before, author, time and type; `raw` is all of it."""

    seq: int
    raw: bytes
    prev: str
    author: str
    at: str
    type: str

    @property
    def document(self) -> dict[str, Any]:
        """The commit as JSON values; the fold has checked their forms."""
        return json.loads(self.raw.partition(b"\n")[0])  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which commits are asked for; None for all. `between` is half-open, `client` a number, `seqs` their numbers."""

    who: int | None = None
    client: int | None = None
    types: Sequence[str] = ()
    between: tuple[datetime, datetime] | None = None
    seqs: Collection[int] | None = None


def _head(seq: int, raw: bytes) -> Head:
    found = _HEAD.search(raw)
    if found:
        return Head(seq, raw, *(part.decode() for part in found.groups()))
    known = json.loads(raw.partition(b"\n")[0])
    return Head(seq, raw, *(known[name] for name in ("prev", "author", "at", "type")))


def oldest_first(store: Store) -> Iterator[Head]:
    """Yield the commits up to the head of this run. Raises: DamagedError, at the end at the latest, if one changed."""
    before = store.genesis.hash
    with files.mapped("read the log"):
        for seq, raw in islice(log.read_from(store.root / "log", 1), store.state.seq):
            head = _head(seq, raw)
            if head.prev != before:
                raise _changed(max(seq - 1, 1))
            before = log.digest(raw)
            yield head
    if before != store.state.hash:
        raise _changed(store.state.seq)


def newest_first(store: Store) -> Iterator[Head]:
    """Yield the commits from the head of this run back, each the one that the next names. Raises: DamagedError."""
    wanted, last = store.state.hash, store.state.seq
    while last:
        first = (last - 1) // log.SEGMENT * log.SEGMENT + 1
        with files.mapped("read the log"):
            block = list(islice(log.read_from(store.root / "log", first), last - first + 1))
        for seq, raw in reversed(block):
            if log.digest(raw) != wanted:
                raise _changed(seq)
            head = _head(seq, raw)
            wanted = head.prev
            yield head
        last = first - 1


def made_by(store: Store, seqs: Collection[int]) -> dict[int, tuple[str, datetime]]:
    """Return the author and the time of commits, by their numbers."""
    made: dict[int, tuple[str, datetime]] = {}
    first = min(seqs, default=store.state.seq + 1)
    for head in newest_first(store):
        if head.seq < first:
            break
        if head.seq in seqs:
            made[head.seq] = head.author, datetime.fromisoformat(head.at)
    return made


def _changed(seq: int) -> DamagedError:
    return DamagedError(f"commit {seq} is not the one that was verified", "crmcli verify shows more")


class Audit:
    """The log as one member reads it: names of staff where they are known, and no more than the log says."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._store = view.store
        self._state = view.store.state
        self._is_admin = view.store.member.role == ADMIN
        self._watch = Watch(view.settings.zone)
        # Commit -> the books whose keys it renewed.
        self._renewed: dict[int, list[str]] = {}
        self._survey()

    def _survey(self) -> None:
        """Go through the log once for what a commit means only among the others."""
        epochs: dict[str, int] = {}
        for head in oldest_first(self._store):
            if head.type == "keys":
                for book in head.document["books"]:
                    if book["epoch"] > epochs.get(book["book"], 0):
                        epochs[book["book"]] = book["epoch"]
                        self._renewed.setdefault(head.seq, []).append(book["book"])
            is_seen = head.type != "compact" and self._disguised(head, {}) is not None
            if is_seen and self._state.members[head.author].role != SERVICE:
                self._watch.see(_event(head))

    @property
    def flags(self) -> dict[int, list[tuple[str, str]]]:
        """The rules that each unusual commit broke, with the figures: seq -> [(rule, figures)]."""
        flags: dict[int, list[tuple[str, str]]] = {}
        for flag in self._watch.flags:
            flags.setdefault(flag.seq, []).append((flag.rule, flag.figures))
        return flags

    def page(self, wanted: Wanted, limit: int) -> tuple[Iterable[tuple[Any, ...]], int | None]:
        """Return the first `limit` rows (seq, at, who, type, what, where, rows) asked for and how many there are.

        With a limit of 0 all of them, one by one, and None.
        """
        heads = self._heads(wanted)
        if not limit:
            return map(self._row, heads), None
        rows = [self._row(head) for head in islice(heads, limit)]
        return rows, len(rows) + sum(1 for _ in heads)

    def _heads(self, wanted: Wanted) -> Iterator[Head]:
        """Yield the commits asked for, newest first."""
        bounds = None if wanted.between is None else [stamp(at) for at in wanted.between]
        author = None if wanted.who is None else encode_id(wanted.who)
        client = None if wanted.client is None else encode_id(wanted.client)
        with_rows = touched(self._view.reader, self._state, wanted.client) if wanted.client is not None else set()
        seems = disguised(self._view, wanted.client) if wanted.client is not None else {}
        for known in newest_first(self._store):
            if bounds is not None and known.at < bounds[0]:
                return
            head = self._disguised(known, seems)
            if (
                head is not None
                and (bounds is None or bounds[0] <= head.at < bounds[1])
                and author in (None, head.author)
                and (not wanted.types or head.type in wanted.types)
                and (wanted.seqs is None or head.seq in wanted.seqs)
                and (client is None or head.seq in with_rows or _names(head, client))
            ):
                yield head

    def _disguised(self, head: Head, seems: dict[int, tuple[str, datetime]]) -> Head | None:
        """Return a commit as this member is to see it: one that planted a canary is for admins.

        Others are told of their client's what history tells, and of none that it was there.
        """
        if self._is_admin or head.type != "data" or _MARK not in head.raw:
            return head
        if all(entry["table"] != ADMIN_TABLE for entry in head.document["add"]):
            return head
        if head.seq not in seems:
            return None
        author, at = seems[head.seq]
        return replace(head, author=author, at=stamp(at))

    def _row(self, head: Head) -> tuple[Any, ...]:
        document = head.document
        # Whose client is a canary is for admins to know, even where the log would tell.
        added = [entry for entry in document["add"] if self._is_admin or entry["table"] != ADMIN_TABLE]
        what, books, rows = self._told(head, document, added)
        at = in_zone(datetime.fromisoformat(head.at), self._view.settings.zone)
        where = ", ".join(dict.fromkeys(self._owner(book) for book in books))
        return head.seq, at, self._name(head.author), head.type, what, where, rows

    def _told(  # noqa: PLR0911 - a type each
        self, head: Head, document: dict[str, Any], added: list[dict[str, Any]]
    ) -> tuple[str, list[str], int | None]:
        """Return what a commit did, in which books, and to how many rows."""
        books, rows = [entry["book"] for entry in added], sum(entry["rows"] for entry in added)
        match head.type:
            case "data":
                return _rows_told(added), books, rows
            case "compact":
                replaced = f"compacted {len(document['drop'])} files of {added[0]['table'] if added else 'a table'}"
                return replaced, books, rows
            case "members":
                return "; ".join(self._member_told(change) for change in document["members"]), [], None
            case "keys":
                return self._keys_told(head, document["books"]), [book["book"] for book in document["books"]], None
            case "grant":
                return self._grant_told(document["grant"]), document["grant"].get("books") or [], None
            case "grant-use":
                use = document["use"]
                by = f"by grant {use['grant']}" if use["grant"] else "as an admin"
                return f"{use['right']} of {use['rows']} rows {by}", use["books"], use["rows"]
            case "reveal":
                return f"looked at {_clients(document['reveal']['clients'])}", [], None
            case "transfer":
                moved = document["transfer"]
                return f"transfer of {_clients(moved['clients'])}", [moved["from"], moved["to"]], rows
            case "erase":
                erased = document["erase"]["clients"]
                said = f"erased {_clients(erased)}" if erased else f"took out {len(document['drop'])} unreadable files"
                return said, books, rows
            case _:
                return f"restored as of commit {document['restore']['seq']}", books, rows

    def _member_told(self, change: dict[str, Any]) -> str:
        name = self._name(change["member"])
        match change["action"]:
            case "add":
                return f"{name} added as {change['role']}"
            case "role":
                return f"{name} made {change['role']}"
            case "allow":
                extra = " and the inbox" if change["dispatcher"] else ""
                return f"{name} allowed to read {len({*change['read'], *change['personal']})} other books{extra}"
            case _:
                return f"{name} removed"

    def _keys_told(self, head: Head, books: list[dict[str, Any]]) -> str:
        renewed = self._renewed.get(head.seq, [])
        shared = [book for book in books if book["book"] not in renewed]
        told = [f"new keys of {len(renewed)} books"] if renewed else []
        if shared:
            holders = {wrap["member"] for book in shared for key in book["keys"] for wrap in key["wraps"]}
            told.append(f"keys of {len(shared)} books given to {', '.join(sorted(map(self._name, holders)))}")
        return "; ".join(told)

    def _grant_told(self, grant: dict[str, Any]) -> str:
        if grant["action"] == "revoke":
            return f"grant {grant['grant']} revoked"
        rows = "" if grant["max_rows"] is None else f" of up to {grant['max_rows']} rows"
        once = ", once" if grant["once"] else ""
        to = self._name(grant["to"])
        until = format_moment(datetime.fromisoformat(grant["expires"]), self._view.settings.zone)
        return f"grant {grant['grant']} to {to}: {grant['right']}{rows} until {until}{once}"

    def _name(self, member: str) -> str:
        return staff_name(self._view, member)

    def _owner(self, book: str) -> str:
        known = self._state.books[book]
        return known.kind if known.owner is None else self._name(known.owner)


def staff_name(view: View, member: str) -> str:
    """Return the name of a member, or the id of one whom the staff does not list."""
    return view.staff.get(decode_id(member) or 0, member)


def _event(head: Head) -> Event:
    at = datetime.fromisoformat(head.at)
    if head.type == "reveal":
        return Event(head.seq, at, head.author, REVEAL, " ".join(head.document["reveal"]["clients"]))
    if head.type == "grant-use" and (use := head.document["use"])["right"] == "export":
        return Event(head.seq, at, head.author, EXPORT, rows=use["rows"])
    return Event(head.seq, at, head.author, CHANGE)


def _names(head: Head, client: str) -> bool:
    """Say whether a commit names a client by itself, and not by rows."""
    if head.type not in _ABOUT_CLIENTS:
        return False
    body = head.document[head.type]
    return client in body["clients"]


def _rows_told(added: list[dict[str, Any]]) -> str:
    counts: dict[tuple[str, str], int] = {}
    for entry in added:
        place = entry["table"], _MARKS[entry["kind"]]
        counts[place] = counts.get(place, 0) + entry["rows"]
    return ", ".join(f"{table} {mark}{count}" for (table, mark), count in sorted(counts.items()))


def _clients(ids: list[str]) -> str:
    return f"client {ids[0]}" if len(ids) == 1 else f"{len(ids)} clients"
