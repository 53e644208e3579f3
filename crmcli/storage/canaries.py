"""Canaries in the store: in which books there is none, planting one, and in whose books each was when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from crmcli.errors import ConflictError, InputError, NotFoundError, NotPermittedError
from crmcli.model.canaries import invent, sign_of
from crmcli.model.capture import contact as contact_of
from crmcli.model.ids import decode_id, encode_id
from crmcli.model.records import Canary, Client, Contact
from crmcli.storage.auditing import newest_first, staff_name
from crmcli.storage.keys import random_bytes
from crmcli.storage.members import ADMIN, SERVICE
from crmcli.storage.settling import in_steps
from crmcli.storage.tables import TABLES
from crmcli.storage.versions import versions
from crmcli.storage.view import Draft

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from crmcli.model.acting import Acting
    from crmcli.model.canaries import Sign
    from crmcli.storage.members import Book
    from crmcli.storage.store import Store
    from crmcli.storage.view import View

_LONGEST_KNOWN = timedelta(days=60)
_NEAR = timedelta(days=2)
_HOURS = range(9, 18)
_TRIES = 100


def require_admin(view: View) -> None:
    """Raise NotPermittedError unless the member is an admin."""
    if view.reader.keyring.role != ADMIN:
        raise NotPermittedError("canaries are for admins")


def books_of(view: View, names: Sequence[str]) -> list[Book]:
    """Return the books of the people named, or of all active members but services. Raises: NotFoundError."""
    state = view.store.state
    owned = {
        book.owner: book
        for book in state.books.values()
        if book.owner and state.members[book.owner].active and state.members[book.owner].role != SERVICE
    }
    if not names:
        return sorted(owned.values(), key=lambda book: staff_name(view, book.owner or ""))
    chosen = []
    for name in names:
        book = owned.get(encode_id(view.person(name) or 0))
        if book is None:
            raise NotFoundError(f"{name} has no clients of their own")
        chosen.append(book)
    return list(dict.fromkeys(chosen))


def without_canary(view: View, books: Iterable[Book]) -> list[Book]:
    """Return those books in which there is no canary yet."""
    return [book for book in books if not view.reader.merged("canaries", ["client_id"], books=[book.book]).num_rows]


def plant(
    store: Store, acting: Acting, books: Sequence[Book], domain: str | None, phones: Sequence[str]
) -> list[tuple[Book, Contact]]:
    """Put a canary into each of the books that has none, the first ones with the phones given; return which.

    A book is a commit of its own, as where somebody adds a client.
    Raises: InputError for more phones than books, ConflictError for a phone that somebody has.
    """
    with in_steps(store):
        draft = Draft(store)
        bare = without_canary(draft, books)
        if len(phones) > len(bare):
            raise InputError(f"{len(phones)} phones are too many for {len(bare)} books without a canary")
        chosen: list[tuple[Book, Contact, Random]] = []
        for place, book in enumerate(bare):
            phone = phones[place] if place < len(phones) else None
            random = Random(acting.new_id())  # noqa: S311 - 60 bits of a record's id, random but where a seed is set
            others = [known for _, known, _ in chosen]
            chosen.append((book, _nobody_knows(draft, acting, random, domain, phone, others), random))
        for book, contact, random in chosen:
            draft = Draft(store)
            owner = decode_id(book.owner or "") or 0
            sources = draft.process.sources
            since = _since(draft, random, acting.now, book)
            client = Client(contact.client_id, since, owner, owner, random.choice(sources) if sources else None)
            for record in (client, contact, Canary(contact.client_id, acting.now, acting.by)):
                table = next(table for table in TABLES.values() if table.record is type(record))
                draft.put_rows(book.book, table, "insert", table.to_arrow([record]))
            store.commit(draft.finish(), draft.base, random_bytes(16).hex(), acting.now)
    return [(book, contact) for book, contact, _ in chosen]


def _nobody_knows(
    draft: Draft, acting: Acting, random: Random, domain: str | None, phone: str | None, others: Sequence[Contact]
) -> Contact:
    """Return an invented contact who shares nothing with a client or another canary."""
    region = draft.settings.region
    client_id = acting.new_id()
    for _ in range(_TRIES):
        contact = contact_of(client_id, invent(random, region, domain, phone), region)
        shared = any({*contact.phones, *contact.emails} & {*other.phones, *other.emails} for other in others)
        if not shared and not draft.known_as(contact):
            return contact
        if phone is not None:
            break
    raise ConflictError("a client or another canary has that phone", "give another --phone")


def _since(draft: Draft, random: Random, now: datetime, book: Book) -> datetime:
    """Return since when a canary seems to be known: at the instant at which many clients of its book came, if they did.

    Else within days of one of them or, without any, in the last weeks: in a working hour, not before the store.
    """
    came = draft.reader.merged("clients", ["created_at"], books=[book.book]).column("created_at")
    known: list[datetime] = [at.replace(tzinfo=UTC) for at in came.drop_null().to_pylist()]
    genesis = datetime.fromisoformat(draft.store.genesis.created_at)
    first, last = max(now - _LONGEST_KNOWN, genesis), now
    if known:
        at = random.choice(known)
        if known.count(at) > 1:
            return at
        first, last = max(at - _NEAR, min(genesis, *known)), min(at + _NEAR, now)
    zone = draft.settings.zone
    tries = [first + random.random() * (last - first) for _ in range(_TRIES)]
    return next((at for at in tries if at.astimezone(zone).hour in _HOURS), tries[0])


def canaries(view: View) -> list[tuple[Canary, Contact, Book]]:
    """Return the canaries of all books that the keys open, the newest first, and the book that each was planted in.

    The contact may be another by now, or none: the book is its owner's to edit, the mark is not.
    """
    table = TABLES["canaries"]
    marks = [
        (canary, view.store.state.books[book])
        for book in view.reader.parts(table)
        for canary in table.to_records(view.reader.merged(table.name, books=[book]))
    ]
    ids = [canary.client_id for canary, _ in marks]
    contacts = {contact.client_id: contact for contact in view.records("contacts", "client_id", ids)}
    marks.sort(key=lambda mark: (mark[0].planted_at, mark[0].client_id), reverse=True)
    return [(canary, contacts.get(canary.client_id) or Contact(canary.client_id, ""), book) for canary, book in marks]


def signs(view: View) -> list[Sign]:
    """Return by what each canary is known, by what it was called before too: its book's owner may have edited it."""
    found = []
    for canary, *_ in canaries(view):
        rows = versions(view.reader, view.store.state, TABLES["contacts"], canary.client_id)
        known: list[Any] = [c for c in TABLES["contacts"].to_records(rows) if c.name is not None]
        found.append(sign_of(canary.client_id, ((c.name, c.company, c.phones, c.emails) for c in known)))
    return found


def holders(view: View, found: Iterable[int]) -> dict[int, list[tuple[str, datetime, datetime | None]]]:
    """Return in whose books each canary was: (owner, since, until), the one who has it now last."""
    books = view.store.state.books
    chains: dict[int, list[tuple[str, datetime, datetime | None]]] = {}
    wanted = set(found)
    for canary, _, book in canaries(view):
        if canary.client_id in wanted:
            chains[canary.client_id] = [(staff_name(view, book.owner or ""), canary.planted_at, None)]
    moves = [head for head in newest_first(view.store) if head.type == "transfer"] if chains else []
    for head in reversed(moves):
        moved = head.document["transfer"]
        at = datetime.fromisoformat(head.at)
        for number in {decode_id(text) or 0 for text in moved["clients"]} & chains.keys():
            owner, since, _ = chains[number][-1]
            chains[number][-1] = owner, since, at
            chains[number].append((staff_name(view, books[moved["to"]].owner or ""), at, None))
    return chains
