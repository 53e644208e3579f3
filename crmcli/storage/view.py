"""What a command sees of the store, as records; and what it puts there, as one commit."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from crmcli.errors import ConflictError, DamagedError, InputError, NotFoundError, NotPermittedError, RuleError
from crmcli.model.acting import clean_text
from crmcli.model.emails import normalise_email
from crmcli.model.ids import SHORTEST, encode_id
from crmcli.model.phones import looks_like_phone, normalise_phone
from crmcli.model.process import Process
from crmcli.model.records import (
    CALL_RESULTS,
    DIRECTIONS,
    DONE,
    HELD,
    LOST,
    OPEN,
    WON,
    Client,
    Contact,
    Document,
    Product,
    Record,
)
from crmcli.model.reminding import CAUSES
from crmcli.model.settings import Settings
from crmcli.storage import kernels as pc
from crmcli.storage import lookup
from crmcli.storage.archiving import ERASED
from crmcli.storage.members import may_write, role_text, who_may
from crmcli.storage.tables import COMPANY, PERSONAL, TABLE_OF, TABLES, Table
from crmcli.storage.writing import Pending

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from crmcli.storage.store import Store

_CANDIDATES = 10
# What lists and reports call a segment or source that is not known.
UNKNOWN = "unknown"
# The words of the filters that are no company list.
_WORDS = {
    "status": (OPEN, WON, LOST, DONE, HELD),
    "direction": DIRECTIONS,
    "result": CALL_RESULTS,
    "cause": CAUSES,
}


class View:
    """The store as it is at one commit, as far as the keys at hand open it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.reader = store.reader

    @cached_property
    def settings(self) -> Settings:
        """The company's settings."""
        return Settings.from_plain(self._document("settings"))

    @cached_property
    def process(self) -> Process:
        """The prescribed process, in its newest version."""
        return Process.from_plain(self._document("process"))

    @cached_property
    def staff(self) -> dict[int, str]:
        """Everybody who ever acted: id -> name."""
        return {person.staff_id: person.name for person in self.records("staff")}

    @cached_property
    def products(self) -> list[Product]:
        """The products of the company."""
        return self.records("products")

    def _document(self, table: str) -> dict[str, Any]:
        return json.loads(self.newest(table).text)  # type: ignore[no-any-return]

    def newest(self, table: str) -> Document:
        """Return the newest version of the process, the settings or the norms. Raises: NotFoundError."""
        newest = self.newest_or_none(table)
        if newest is None:
            raise NotFoundError(f"the company has no {table} yet")
        return newest

    def newest_or_none(self, table: str) -> Document | None:
        """Return the newest version of the process, the settings or the norms, or None where there is none yet."""
        versions: list[Document] = self.records(table)
        return max(versions, key=lambda document: document.version, default=None)

    def records(self, table: str, column: str | None = None, ids: Iterable[int] = ()) -> list[Any]:
        """Return the records of a table, or those whose `column` is one of `ids`.

        The column must be one that never changes: the key, client_id, deal_id of a stage change, about_id of a note.
        """
        where = (column, list(ids)) if column else None
        return TABLES[table].to_records(self.reader.merged(table, None, where))

    def of_client(self, table: str, client_id: int) -> list[Any]:
        """Return a client's records in a table, in order of time where it has one."""
        found = self.records(table, "client_id", [client_id])
        time = TABLES[table].time
        return sorted(found, key=lambda r: (getattr(r, time) is not None, getattr(r, time))) if time else found

    def contact(self, client_id: int) -> Contact:
        """Return the contact of a client; an analyst sees none, and of who was erased there is none."""
        found: list[Contact] = self.records("contacts", "client_id", [client_id])
        return found[0] if found else Contact(client_id, self.nameless(client_id) or "")

    def nameless(self, client_id: int) -> str | None:
        """Return what stands in place of the name of a client who has none."""
        return ERASED if encode_id(client_id) in self.store.state.erased else None

    def texts(self, about_ids: Iterable[int], fields: Sequence[str]) -> dict[int, str]:
        """Return the newest text of one of the fields about each record."""
        notes = self.records("notes", "about_id", about_ids)
        notes.sort(key=lambda note: note.noted_at)
        return {note.about_id: note.text for note in notes if note.field in fields}

    def client(self, who: str, among: Collection[int] | None = None) -> Client:
        """Return the client, one of `among`, of that id, id prefix, phone, e-mail, external id or part of a name.

        Raises: NotFoundError; ConflictError if several fit.
        """
        found = [number for number in self._clients(clean_text(who) or "") if among is None or number in among]
        if not found:
            raise NotFoundError("no such client among yours", "crmcli find TEXT looks in every field")
        if len(set(found)) > 1:
            raise ConflictError(f"{len(found)} clients fit", "name one by its id: " + self.named(found))
        clients: list[Client] = self.records("clients", "client_id", found)
        if not clients:
            raise NotFoundError("no such client among yours")
        if len(clients) > 1:
            raise DamagedError("this client is in two books", "crmcli verify names the file with what cannot be true")
        return clients[0]

    def _clients(self, who: str) -> list[int]:
        if not who:
            raise InputError("which client?", "an id, a phone, an e-mail or part of a name")
        found = lookup.ids_with_prefix(self.reader, "clients", who) if len(who) >= SHORTEST else []
        if not found and looks_like_phone(who):
            found = self._with_phone(who)
        if not found and "@" in who:
            found = lookup.clients_with(self.reader, "emails", [normalise_email(who)])
        if not found and ":" in who:
            found = lookup.clients_with(self.reader, "external_ids", [who])
        return found or lookup.clients_named(self.reader, who)

    def _with_phone(self, text: str) -> list[int]:
        """Return the clients that have the phone, or none if the text is but a part of one."""
        try:
            phone = normalise_phone(text, self.settings.region)
        except InputError:
            return []
        return lookup.clients_with(self.reader, "phones", [phone])

    def named(self, client_ids: Sequence[int]) -> str:
        """Return ids of the first few clients, for a choice, and the names that a list would show, unrecorded."""
        settings = self.settings
        told = client_ids[: 0 if settings.record_reveals else min(_CANDIDATES, settings.reveal_rows)]
        names = {number: self.nameless(number) or "" for number in client_ids[:_CANDIDATES]}
        names |= {contact.client_id: contact.name for contact in self.records("contacts", "client_id", told)}
        shorts = self.short("clients", client_ids[:_CANDIDATES])
        listed = ", ".join(f"{shorts[number]} {names[number]}".strip() for number in client_ids[:_CANDIDATES])
        return listed + (", …" if len(client_ids) > _CANDIDATES else "")

    def known_as(self, contact: Contact) -> list[int]:
        """Return the other clients that have a phone, e-mail, tax id or external id of this contact."""
        found = [
            number
            for column, texts in lookup.marks(contact).items()
            for number in lookup.clients_with(self.reader, column, texts)
        ]
        return [number for number in dict.fromkeys(found) if number != contact.client_id]

    def matching(self, text: str) -> list[int]:
        """Return the clients that have the text, or the phone that it is, anywhere."""
        text = clean_text(text) or ""
        if looks_like_phone(text):
            found = self._with_phone(text)
            if found:
                return found
        return lookup.clients_matching(self.reader, text)

    def one(self, table: str, prefix: str) -> Any:
        """Return the record of a table with that id or unique id prefix. Raises: NotFoundError, ConflictError."""
        found = lookup.ids_with_prefix(self.reader, table, prefix) if len(prefix) >= SHORTEST else []
        noun = table.removesuffix("s").replace("activitie", "activity").replace("_", " ")
        if not found:
            hint = f"an id has at least {SHORTEST} characters" if len(prefix) < SHORTEST else None
            raise NotFoundError(f"no such {noun} among yours", hint)
        if len(found) > 1:
            raise ConflictError(f"{len(found)} ids begin like that", "give more of it")
        return self.records(table, TABLES[table].key, found)[0]

    def person(self, name: str | None) -> int | None:
        """Return the id of the member of staff of that name, or None for nothing. Raises: NotFoundError."""
        if name is None:
            return None
        found = [staff_id for staff_id, known in self.staff.items() if known.casefold() == name.strip().casefold()]
        if found:
            # Somebody known from an import may have the name of a member who came later.
            members = self.store.state.members
            active = (n for n in found if encode_id(n) in members and members[encode_id(n)].active)
            return next(active, found[0])
        raise NotFoundError(
            "there is nobody of that name on the staff", "there is " + ", ".join(sorted(self.staff.values())[:12])
        )

    def listed_value(self, name: str, word: str | None) -> str | None:
        """Return the word of a filter as records hold it. Raises: InputError if the company's list lacks it.

        The segment and the source of who has none are UNKNOWN.
        """
        if word is None:
            return None
        process = self.process
        if name == "stage":
            stages = [stage for pipeline in process.pipelines for stage in pipeline.stages]
            known = [stage.id for stage in stages if word.casefold() in (stage.id.casefold(), stage.name.casefold())]
            return known[0] if known else process.pipelines[0].stage(word).id
        if name == "pipeline":
            return process.pipeline(word).id
        checks = {"segment": process.segment, "source": process.source}
        if name in checks:
            if word.strip().casefold() == UNKNOWN:
                return UNKNOWN
            return checks[name](word)
        if word not in _WORDS[name]:
            raise InputError(f"--{name} is one of {', '.join(_WORDS[name])}")
        return word

    def require_any(self, found: Sequence[int]) -> None:
        """Raise NotFoundError for an empty result."""
        if not found:
            raise NotFoundError("nothing found among yours")

    def short(self, table: str, ids: Sequence[int]) -> dict[int, str]:
        """Return the short ids of records of one table."""
        return lookup.short_ids(self.reader, table, ids)


class Draft(View):
    """A view that a command adds to; what was put becomes one commit when the command is through."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.base = store.state.seq
        self.pending = Pending()
        # What to say once it is saved.
        self.remarks: list[str] = []
        self._loaded: set[tuple[str, int]] = set()
        self._books: dict[int, str] = {}
        self._puts: dict[tuple[str, str, str], dict[int, Any]] = {}

    def client(self, who: str, among: Collection[int] | None = None) -> Client:
        """Return the client meant, as a view does. Raises: also RuleError for one who was erased."""
        client = super().client(who, among)
        if encode_id(client.client_id) in self.store.state.erased:
            raise RuleError("this client was erased")
        return client

    def depends_on(self, *tables: str) -> None:
        """Say that the command's answer would be another if somebody adds to these tables meanwhile."""
        self.pending.depends_on.update(tables)

    def stays_unknown(self, contact: Contact) -> None:
        """Say that nobody may add a contact with a phone, e-mail, tax id or external id of this one meanwhile."""
        self.pending.lacks["contacts"] = lookup.marks(contact)

    def records(self, table: str, column: str | None = None, ids: Iterable[int] = ()) -> list[Any]:
        """Return records as a view does, and remember that putting one of them changes it."""
        found = super().records(table, column, ids)
        key = TABLES[table].key
        self._loaded.update((table, getattr(record, key)) for record in found)
        return found

    def put(self, *records: Record) -> None:
        """Add new records, and replace those that were read from the store."""
        for record in records:
            self.put_into(TABLE_OF[type(record)], [record])

    def put_document(self, table: str, document: Document) -> None:
        """Add a version of the process, the settings or the norms."""
        self.put_into(TABLES[table], [document])

    def put_into(self, table: Table, records: Iterable[Any]) -> None:
        """Add records of one table."""
        for record in records:
            number = getattr(record, table.key)
            if table.name == "clients" and (table.name, number) not in self._loaded:
                # A new client needs not be looked for.
                self._books.setdefault(number, self.store.own_book)
            kind = "upsert" if (table.name, number) in self._loaded else "insert"
            self._puts.setdefault((self._book(table, record), table.name, kind), {})[number] = record

    def put_rows(self, book: str, table: Table, kind: str, rows: pa.Table) -> None:
        """Add many rows of one table to a book at once; `kind` is insert or upsert. Raises: NotPermittedError."""
        self.require_right(book, table.name)
        self.pending.rows[book, table.name, kind].append(rows)

    def require_right(self, book: str, table: str) -> None:
        """Raise NotPermittedError for who may not write a table into a book."""
        member = self.store.member
        if not may_write(member, self.store.state.books[book], table):
            raise NotPermittedError(
                f"{role_text(member.role)} may not write {table} there",
                who_may(member, self.store.state.books[book], table),
            )

    def _book(self, table: Table, record: Any) -> str:
        """Return the book a record belongs to: that of its client, or the member's own for a new one."""
        if table.group == COMPANY:
            return self.store.state.book_of_kind("company")
        return self.book_of(record.client_id)

    def book_of(self, client_id: int) -> str:
        """Return the book that a client is in, or the member's own for a new one."""
        if client_id not in self._books:
            self._books[client_id] = self._client_book(client_id) or self.store.own_book
        return self._books[client_id]

    def place(self, client_ids: Sequence[int]) -> None:
        """Find out at once which book each of many clients is in, who are all there."""
        for book in self._member_books():
            rows = self.reader.merged("clients", ["client_id"], ("client_id", client_ids), [book])
            self._books.update(dict.fromkeys(rows.column("client_id").to_pylist(), book))

    def _member_books(self) -> list[str]:
        return list(self.reader.parts(TABLES["clients"]))

    def _client_book(self, client_id: int) -> str | None:
        """Return the book that a client is in, or None. Raises: DamagedError for a client in two books."""
        books = self._member_books()
        found = [
            book
            for book in books
            if self.reader.merged("clients", ["client_id"], ("client_id", [client_id]), [book]).num_rows
        ]
        if len(found) > 1:
            raise DamagedError("this client is in two books", "crmcli verify shows more; nothing was written")
        return found[0] if found else None

    def discard(self) -> None:
        """Forget what was put, once it is checked that the member might put it. Raises: NotPermittedError."""
        self.finish()
        self._puts.clear()
        self.pending = Pending()

    @property
    def committed(self) -> int | None:
        """The commit that came of this draft once its command is through, or None if nothing had changed."""
        return self.store.state.seq if self.store.state.seq > self.base else None

    def finish(self) -> Pending:
        """Return what was put, as rows by book, table and kind. Raises: NotPermittedError."""
        for (book, table, kind), rows in self._puts.items():
            self.require_right(book, table)
            self.pending.rows[book, table, kind].append(TABLES[table].to_arrow(rows.values()))
        self._refuse_erased()
        return self.pending

    def _refuse_erased(self) -> None:
        """Raise RuleError for a personal row of somebody who was erased."""
        erased = self.reader.erased
        for (_, name, kind), pieces in self.pending.rows.items() if len(erased) else ():
            if TABLES[name].group == PERSONAL and kind != "delete":
                for rows in pieces:
                    if pc.filtered(rows, pc.is_in(rows.column("client_id"), erased)).num_rows:
                        raise RuleError("this client was erased")
