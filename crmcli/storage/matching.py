"""Matching in bulk: whom a file's rows mean among the clients, people and records that are in the store."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from crmcli.errors import InputError
from crmcli.model.acting import clean_name
from crmcli.model.emails import normalise_email
from crmcli.model.ids import decode_id
from crmcli.model.importing import external_key, tax_number
from crmcli.model.phones import looks_like_phone, normalise_phone
from crmcli.storage import kernels as pc
from crmcli.storage.members import may_write
from crmcli.storage.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from crmcli.model.acting import Acting
    from crmcli.storage.reading import Reader
    from crmcli.storage.view import Draft

Cells = tuple[Any, ...]

# Stands for an id where several clients share a key; no record has it.
SEVERAL = 0


def cells_of(rows: pa.Table) -> list[Cells]:
    """Return rows as tuples of cells; instants are microseconds."""
    kinds = [(field.name, pa.int64() if pa.types.is_timestamp(field.type) else field.type) for field in rows.schema]
    columns = pc.cast(rows, pa.schema(kinds)).columns
    return list(zip(*(column.to_pylist() for column in columns), strict=True))


def stored(reader: Reader, table: str, where: tuple[str, list[int]] | None = None) -> dict[int, Cells]:
    """Return the rows of a table by their key, which is their first cell."""
    return {cells[0]: cells for cells in cells_of(reader.merged(table, None, where))}


def texts(reader: Reader, *fields: str) -> Iterator[tuple[int, str, str]]:
    """Yield (record, field, text) of the notes that hold one of the fields, oldest first."""
    notes = reader.merged("notes", ["about_id", "field", "text", "noted_at"])
    notes = pc.sorted_by(pc.filtered(notes, pc.is_in(notes.column("field"), pa.array(fields))), "noted_at")
    yield from zip(*(notes.column(name).to_pylist() for name in ("about_id", "field", "text")), strict=True)


class Index:
    """Which client has a key: of those in the store, read when first asked, and of those that the file adds."""

    def __init__(self, load: Callable[[], Iterable[tuple[Any, int]]]) -> None:
        self._load = load
        self._fresh: dict[Any, int] = {}

    @cached_property
    def _known(self) -> dict[Any, int]:
        known: dict[Any, int] = {}
        for key, number in self._load():
            if known.setdefault(key, number) != number:
                known[key] = SEVERAL
        return known

    def add(self, key: Any, number: int) -> None:
        """Say that a client has a key."""
        if self._fresh.setdefault(key, number) != number:
            self._fresh[key] = SEVERAL

    def among(self, keys: set[Any]) -> set[Any]:
        """Return those of the keys that some client has."""
        return (self._known.keys() & keys) | (self._fresh.keys() & keys)

    def find(self, key: Any) -> int | None:
        """Return the client that has a key, 0 for several, or None."""
        known, fresh = self._known.get(key), self._fresh.get(key)
        if known is None or fresh is None or known == fresh:
            return fresh if known is None else known
        return SEVERAL


class Clients:
    """The clients that rows may mean, those that the file adds among them."""

    def __init__(self, draft: Draft, namespace: str | None, unknown: str | None) -> None:
        self._reader = draft.reader
        self._region = draft.settings.region
        self._namespace = namespace
        self._unknown = unknown
        self._found: dict[str, int] = {}
        self.own_book = draft.store.own_book
        self._books = self._foreign_books(draft)
        self.external_ids = Index(lambda: self._listed("external_ids"))
        self.phones = Index(lambda: self._listed("phones"))
        self.emails = Index(lambda: self._listed("emails"))
        self.tax_ids = Index(lambda: self._single("tax_id"))
        self._names = Index(lambda: ((name.casefold(), number) for name, number in self._single("name")))
        self._companies = Index(lambda: ((name.casefold(), number) for name, number in self._single("company")))

    def _foreign_books(self, draft: Draft) -> dict[int, str | None]:
        """Return the books of clients that are not in the own one: None for those that the member may not change."""
        member = draft.store.member
        books: dict[int, str | None] = {}
        for book in self._reader.parts(TABLES["clients"]):
            if book != self.own_book:
                ids = self._reader.merged("clients", ["client_id"], books=[book]).column(0).to_pylist()
                books.update(
                    dict.fromkeys(ids, book if may_write(member, draft.store.state.books[book], "clients") else None)
                )
        return books

    def _listed(self, column: str) -> Iterator[tuple[str, int]]:
        for batch in self._reader.merged("contacts", ["client_id", column]).to_batches():
            owners = pc.taken(batch.column(0), pc.list_parent_indices(batch.column(1)))
            yield from zip(pc.list_flatten(batch.column(1)).to_pylist(), owners.to_pylist(), strict=True)

    def _single(self, column: str) -> Iterator[tuple[str, int]]:
        rows = self._reader.merged("contacts", ["client_id", column])
        cells = zip(rows.column(1).to_pylist(), rows.column(0).to_pylist(), strict=True)
        yield from ((text, number) for text, number in cells if text is not None)

    def book(self, client_id: int) -> str:
        """Return the book that a client's records belong to."""
        return self._books.get(client_id) or self.own_book

    def by_book(self, rows: pa.Table) -> Iterator[tuple[str, pa.Table]]:
        """Yield (book, rows) of rows that belong to clients, for each book that has some."""
        rest = rows
        for book in dict.fromkeys(book for book in self._books.values() if book):
            ids = pa.array([number for number, place in self._books.items() if place == book], pa.int64())
            is_its = pc.is_in(rest.column("client_id"), ids)
            its, rest = pc.filtered(rest, is_its), pc.filtered(rest, pc.invert(is_its))
            if its.num_rows:
                yield book, its
        if rest.num_rows:
            yield self.own_book, rest

    def may_change(self, client_ids: pa.Array) -> bool:
        """Say whether clients are all in books that the member may change."""
        closed = [number for number, book in self._books.items() if book is None]
        return not closed or not pc.count_true(pc.is_in(client_ids, pa.array(closed, pa.int64())))

    def allowed(self, client_id: int) -> int:
        """Return the client, if they are in a book that the member may change. Raises: InputError."""
        if self._books.get(client_id, self.own_book) is None:
            raise InputError("the client is in a book that you may not change")
        return client_id

    def find(self, text: str) -> int | None:
        """Return the client that the cell `client` means, or None. Raises: InputError if it may mean several."""
        found = self._found.get(text)
        if found is None:
            found = self._search(text)
            if found == SEVERAL:
                raise InputError("several clients fit")
            if found is not None:
                self._found[text] = self.allowed(found)
        return found

    def external_numbers(self) -> tuple[pa.Array, pa.Array]:
        """Return the external ids of the store, and whose each is; none if one of them is of several."""
        rows = pc.batch(self._reader.merged("contacts", ["client_id", "external_ids"]))
        keys = pc.list_flatten(rows.column(1))
        owners = pc.taken(rows.column(0), pc.list_parent_indices(rows.column(1)))
        is_clear = len(pc.coded(keys).dictionary) == len(keys)
        return (keys, owners) if is_clear else (keys.slice(0, 0), owners.slice(0, 0))

    def numbered(self, texts: pa.Array, numbers: tuple[pa.Array, pa.Array]) -> pa.Array:
        """Return the client that each text means by an external id, null for those that `find` has to look for."""
        keys, owners = numbers
        ours = texts
        if self._namespace:
            ours = pa.array([external_key(self._namespace, text) for text in texts.to_pylist()], pa.string())
        found = pc.taken(owners, pc.index_in(ours, keys))
        if self._unknown is not None:
            found = pc.if_else(pc.equal(texts, self._unknown), pa.scalar(None, pa.int64()), found)
        return found if self.may_change(found) else pa.nulls(len(texts), pa.int64())

    def _search(self, text: str) -> int | None:
        found = None
        if text != self._unknown:
            found = self.external_ids.find(external_key(self._namespace, text))
            if found is None and self._namespace:
                found = self.external_ids.find(text)
            if found is None and looks_like_phone(text):
                found = self.phones.find(self._phone(text))
            if found is None and "@" in text:
                found = self.emails.find(_email(text))
            if found is None:
                found = self.tax_ids.find(tax_number(text))
        name = (clean_name(text, "the client") or "").casefold()
        if found is None:
            found = self._names.find(name)
        return self._companies.find(name) if found is None else found

    def _phone(self, text: str) -> str | None:
        try:
            return normalise_phone(text, self._region)
        except InputError:
            return None

    def named(self, client_id: int, text: str) -> Cells:
        """Return the contact of a new client of whom no more is known than the cell `client`."""
        name = clean_name(text, "the client")
        external: tuple[str, ...] = ()
        phone = email = None
        if text == self._unknown:
            pass
        elif self._namespace:
            external = (external_key(self._namespace, text),)
        elif looks_like_phone(text):
            phone = self._phone(text)
        elif "@" in text:
            email = _email(text)
        phones, raw, emails = (phone,) if phone else (), (text,) if phone else (), (email,) if email else ()
        contact = (client_id, name, None, phones, raw, emails, None, None, external)
        self.add(contact)
        self._found[text] = client_id
        return contact

    def add(self, contact: Cells) -> None:
        """Say that a client of the file has this contact."""
        client_id, name, company, phones, _, emails, tax_id, _, external_ids = contact
        for index, keys in ((self.phones, phones), (self.emails, emails), (self.external_ids, external_ids)):
            for key in keys:
                index.add(key, client_id)
        self._names.add(name.casefold(), client_id)
        if company:
            self._companies.add(company.casefold(), client_id)
        if tax_id:
            self.tax_ids.add(tax_id, client_id)


class People:
    """The staff that rows name; an admin's import adds those that nobody knows yet."""

    def __init__(self, draft: Draft, acting: Acting) -> None:
        member = draft.store.member
        self._may_add = may_write(member, draft.store.state.books[draft.store.state.book_of_kind("company")], "staff")
        self._known = {name.casefold(): number for number, name in draft.staff.items()}
        self._new_id = acting.new_id
        self._found: dict[str, int | None] = {"": None}
        self.new: list[Cells] = []

    def find(self, text: str) -> int | None:
        """Return the member of staff of that name, or None for an empty one. Raises: InputError."""
        if text in self._found:
            return self._found[text]
        name = clean_name(text, "the name of a person") or ""
        number = self._known.get(name.casefold())
        if number is None:
            if not self._may_add:
                raise InputError("nobody on the staff has that name", "an admin's import adds them")
            number = self._known[name.casefold()] = self._new_id()
            self.new.append((number, name))
        self._found[text] = number
        return number


class Records:
    """The records of one table that rows are matched with: by external id, else by what makes rows equal.

    `key` takes from a record's cells what two equal ones share; `new` and `changed` hold what is to be written.
    """

    def __init__(self, reader: Reader, table: str, key: Callable[[Cells], Any]) -> None:
        self.table = table
        self._reader = reader
        self._key = key
        self.new: dict[int, Cells] = {}
        self.changed: dict[int, Cells] = {}
        self.seen: set[int] = set()

    @cached_property
    def stored(self) -> dict[int, Cells]:
        """The records in the store."""
        return stored(self._reader, self.table)

    @cached_property
    def external_ids(self) -> dict[str, int]:
        """External id -> record, those of the file among them."""
        if not self.stored:
            return {}
        known = texts(self._reader, "external_id")
        return {text: about for about, _, text in known if about in self.stored}

    @cached_property
    def _waiting(self) -> dict[Any, list[Cells]]:
        waiting: dict[Any, list[Cells]] = {}
        for cells in self.stored.values():
            waiting.setdefault(self._key(cells), []).append(cells)
        return waiting

    def equal(self, key: Any, fits: Callable[[Cells], bool]) -> Cells | None:
        """Return a stored record of that key that no earlier row meant, one that fits wholly if there is one."""
        waiting = self._waiting.get(key)
        if not waiting:
            return None
        chosen = next((cells for cells in waiting if fits(cells)), waiting[0])
        waiting.remove(chosen)
        return chosen

    def current(self, number: int) -> Cells:
        """Return a record as it will be."""
        return self.new.get(number) or self.changed.get(number) or self.stored[number]

    def named(self, text: str, namespace: str | None) -> int | None:
        """Return the record of that external id or whole id, or None."""
        for key in (external_key(namespace, text), text):
            if key in self.external_ids:
                return self.external_ids[key]
        number = decode_id(text)
        return number if number in self.stored else None

    def put(self, cells: Cells) -> str:
        """Take a record as it is to be, and say what that is: new, changed, unchanged or repeated."""
        number = cells[0]
        is_repeated = number in self.seen
        self.seen.add(number)
        before = self.stored.get(number)
        if before is None:
            is_repeated = number in self.new
            self.new[number] = cells
            return "repeated" if is_repeated else "new"
        if before == cells:
            self.changed.pop(number, None)
            return "repeated" if is_repeated else "unchanged"
        self.changed[number] = cells
        return "repeated" if is_repeated else "changed"


def _email(text: str) -> str | None:
    try:
        return normalise_email(text)
    except InputError:
        return None
