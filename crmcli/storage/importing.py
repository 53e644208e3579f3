"""Importing: rows of a file matched with what is in the store, and the records that make the two agree."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from crmcli.errors import InputError, RuleError
from crmcli.model.importing import external_key, microseconds
from crmcli.storage import kernels as pc
from crmcli.storage.importing_columns import Facts, NotPlainError, amounts, instants
from crmcli.storage.matching import Clients, People, Records, stored, texts
from crmcli.storage.parquet import schema_of
from crmcli.storage.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from crmcli.model.acting import Acting
    from crmcli.model.importing import Cells as CellReader
    from crmcli.model.importing import SaleRow
    from crmcli.storage.matching import Cells
    from crmcli.storage.view import Draft


@dataclass(frozen=True)
class Terms:
    """On what terms a file is imported: `fields` are those its rows have, `unknown` whom an empty client means."""

    fields: tuple[str, ...]
    namespace: str | None = None
    unknown: str | None = None
    with_sales: bool = False


@dataclass
class Outcome:
    """What an import came to; `rejected` holds (line, what is wrong, hint) in the order of the file."""

    read: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    rejected: list[tuple[int, str, str | None]] = field(default_factory=list)
    new_clients: int = 0
    new_staff: int = 0
    under_unknown: int = 0
    sales: int = 0


class Import:
    """One import: `take` gives it each row, and what it gathers is put into the draft at the end."""

    # The tables whose rows decide what a row means.
    reads: tuple[str, ...] = ()
    # Whether a row that was taken in columns may turn out to be wrong, and its line is told.
    tells_lines = False

    def __init__(self, draft: Draft, acting: Acting, cells: CellReader, terms: Terms) -> None:
        self.draft = draft
        self.acting = acting
        self.cells = cells
        self.terms = terms
        self.now = microseconds(acting.now)
        self.outcome = Outcome()
        self.people = People(draft, acting)
        self.clients = Clients(draft, terms.namespace, terms.unknown)
        # New clients of whom only other records tell: contact cells, and when they are first heard of.
        self._contacts: dict[int, Cells] = {}
        self._since: dict[int, int] = {}
        self._batches: dict[tuple[str, str, str], list[Cells]] = defaultdict(list)
        # Rows that came in columns: table, book, kind, rows.
        self.columns: list[tuple[str, str, str, pa.Table]] = []
        draft.depends_on("clients", "contacts", "staff", "process", *self.reads)

    def run(self, rows: Iterable[tuple[int, Mapping[str, str], str | None]]) -> Outcome:
        """Take in rows, (line, fields, what is wrong with the line), and say what that came to."""
        self.take_each(rows)
        self.finish()
        return self.outcome

    def take_each(self, rows: Iterable[tuple[int, Mapping[str, str], str | None]]) -> None:
        """Take in rows one by one; those that are wrong are rejected."""
        outcome, take, count = self.outcome, self.take, self.outcome.rows
        for line, row, problem in rows:
            outcome.read += 1
            try:
                if problem is not None:
                    raise InputError(problem)
                count[take(row)] += 1
            except (InputError, RuleError) as error:
                outcome.rejected.append((line, error.message, error.hint))

    def run_columns(self, columns: pa.Table) -> Outcome | None:
        """Take in rows, field -> text, all at once and say what that came to; None if they are not plain enough."""
        try:
            self.take_columns(columns)
        except NotPlainError:
            return None
        self.finish()
        return self.outcome

    def take_columns(self, columns: pa.Table) -> None:  # noqa: ARG002 - for those that can
        """Take in all rows at once. Raises: NotPlainError if one needs to be looked at, and nothing was taken."""
        raise NotPlainError

    def put(self) -> None:
        """Put what was gathered into the draft."""
        for table, book, kind, rows in self.columns:
            self.draft.put_rows(book, TABLES[table], kind, rows)
        for (table, book, kind), rows in self._batches.items():
            if rows:
                self.draft.put_rows(book, TABLES[table], kind, arrow(table, rows, kind))

    def take(self, row: Mapping[str, str]) -> str:
        """Take in one row and say whether it is new, changed, unchanged or repeated. Raises: InputError, RuleError."""
        raise NotImplementedError

    def finish(self) -> None:
        """Gather what only the last row decides."""
        company = self.draft.store.state.book_of_kind("company")
        self._batches["staff", company, "insert"] += self.people.new
        self.outcome.new_staff = len(self.people.new)
        for client_id, contact in self._contacts.items():
            self.add_client(contact, self._since[client_id])
        self.outcome.new_clients += len(self._contacts)

    def client(self, found: int | None, text: str, at: int | None) -> int:
        """Return the client that was found or else a new one, heard of at an instant."""
        if text == self.terms.unknown:
            self.outcome.under_unknown += 1
        if found is None:
            found = self.acting.new_id()
            self._contacts[found] = self.clients.named(found, text)
            self._since[found] = self.now
        if at is not None and at < self._since.get(found, 0):
            self._since[found] = at
        return found

    def add_client(self, contact: Cells, created_at: int, **more: Any) -> None:
        """Gather a new client and the contact."""
        by = self.acting.by
        cells = dict.fromkeys(TABLES["clients"].kinds) | {
            "client_id": contact[0], "created_at": created_at, "created_by": by, "owner_id": by,
            "archived": False, "do_not_contact": False, **more,
        }  # fmt: skip
        self.add("clients", contact[0], tuple(cells.values()))
        self.add("contacts", contact[0], contact)

    def add(self, table: str, client_id: int, cells: Cells, kind: str = "insert") -> None:
        """Gather a row of a client's."""
        self._batches[table, self.clients.book(client_id), kind].append(cells)

    def put_columns(
        self, table: str, cells: Mapping[str, pa.Array], kind: str = "insert", same: Mapping[str, Any] | None = None
    ) -> None:
        """Gather rows of clients' by column; of other columns each row has the value in `same`, or null."""
        count = len(cells["client_id"])
        is_coded = any(pa.types.is_dictionary(column.type) for column in cells.values())
        schema = schema_of(TABLES[table], TABLES[table].schema.names, coded=is_coded)
        columns = [
            pc.same((same or {}).get(field.name), count, field.type)
            if field.name not in cells
            else cells[field.name]
            if cells[field.name].type == field.type
            else pc.cast_to(cells[field.name], field.type)
            for field in schema
        ]
        for book, rows in self.clients.by_book(pa.table(columns, schema=schema)):
            self.columns.append((table, book, kind, rows))

    def take_out(self, table: str, cells: Mapping[str, pa.Array]) -> None:
        """Gather rows to be taken out, given their clients and keys."""
        for book, rows in self.clients.by_book(pa.table(dict(cells))):
            self.columns.append((table, book, "delete", rows.select([TABLES[table].key])))

    def add_records(self, records: Records) -> None:
        """Gather what rows made of the records of a table; a client id is always their second cell."""
        for kind, rows in (("insert", records.new), ("upsert", records.changed)):
            for cells in rows.values():
                self.add(records.table, cells[1], cells, kind)

    def note(self, client_id: int, about_id: int, name: str, text: str | None, at: int | None = None) -> None:
        """Gather a text about a record, if there is one."""
        if text:
            when = self.now if at is None else at
            self.add("notes", client_id, (self.acting.new_id(), client_id, about_id, name, text, when, self.acting.by))

    def named(self, records: Records, client_id: int, number: int, external_id: str | None) -> None:
        """Keep the external id of a new record."""
        if external_id:
            key = external_key(self.terms.namespace, external_id)
            records.external_ids[key] = number
            self.note(client_id, number, "external_id", key)

    def known(self, records: Records, external_id: str | None, client_id: int | None) -> Cells | None:
        """Return the record of that external id. Raises: InputError if it is another client's."""
        number = records.external_ids.get(external_key(self.terms.namespace, external_id)) if external_id else None
        if number is None:
            return None
        cells = records.current(number)
        if cells[1] != client_id:
            raise InputError("the external id belongs to another client's record")
        self.clients.allowed(cells[1])
        return cells


class SaleImport(Import):
    """Sales: one row is one document, with at most one line."""

    reads = ("sales", "sale_lines", "notes", "deals", "products")

    def __init__(self, draft: Draft, acting: Acting, cells: CellReader, terms: Terms) -> None:
        super().__init__(draft, acting, cells, terms)
        self._deals = Records(draft.reader, "deals", lambda _: None)
        self._has_lines = bool({"item", "quantity"} & set(terms.fields))
        self._products = {product.name.casefold(): product.product_id for product in draft.products}
        self._names = {product.product_id: product.name.casefold() for product in draft.products}
        self._lines: dict[int, list[Cells]] = defaultdict(list)
        self._items: dict[int, str] = {}
        if self._has_lines:
            for line in stored(draft.reader, "sale_lines").values():
                self._lines[line[1]].append(line)
            self._items = {about: text for about, _, text in texts(draft.reader, "item")}
        self._sales = Records(draft.reader, "sales", self._key)

    def _key(self, sale: Cells) -> Any:
        sale_id, client_id, sold_at, amount = sale[:4]
        if not self._has_lines:
            return client_id, sold_at, amount
        lines = self._lines.get(sale_id, ())
        if len(lines) != 1:
            return client_id, sold_at, amount, len(lines) or None, None
        return client_id, sold_at, amount, *self._sold(lines[0])

    def _sold(self, line: Cells) -> tuple[Any, str | None]:
        """Return the quantity of a line and the name, casefolded, of what was sold."""
        line_id, _, _, product_id, quantity, *_ = line
        return quantity, self._names.get(product_id) or self._items.get(line_id, "").casefold() or None

    def take_columns(self, columns: pa.Table) -> None:
        """Take in documents that have no items, deals or numbers of their own."""
        if not set(columns.column_names) <= {"client", "sold_at", "amount", "by"}:
            raise NotPlainError
        reading = {
            "sold_at": lambda: instants(columns.column("sold_at"), self.cells),
            "amount": lambda: amounts(columns.column("amount"), self.cells),
        }
        facts = Facts(self, "sales", columns, reading)
        facts.require_new("sold_at", "amount")
        facts.put(voided=False)

    def take(self, row: Mapping[str, str]) -> str:
        """Take in one document."""
        sale: SaleRow = self.cells.sale(row)
        found = self.clients.find(sale.client)
        deal_id = self._deal(sale.deal, found)
        known = self.known(self._sales, sale.external_id, found)
        by = self.people.find(sale.by)
        client_id = self.client(found, sale.client, sale.sold_at)
        line: tuple[Any, str | None] = (None, None)
        if sale.item or sale.quantity is not None:
            line = (1 if sale.quantity is None else sale.quantity, sale.item.casefold() if sale.item else None)
        if known is None and found is not None and not sale.external_id:
            key = (
                (client_id, sale.sold_at, sale.amount, *line) if self._has_lines else (found, sale.sold_at, sale.amount)
            )
            known = self._sales.equal(key, lambda c: by in (None, c[4]) and deal_id in (None, c[5]))
        if known is None:
            number = self.acting.new_id()
            self.named(self._sales, client_id, number, sale.external_id)
            self._add_line(client_id, number, sale)
            made = (number, client_id, sale.sold_at, sale.amount, by or self.acting.by, deal_id, None, False)
            return self._sales.put(made)
        number = known[0]
        outcome = self._sales.put(
            (number, client_id, sale.sold_at, sale.amount, by or known[4], deal_id or known[5], *known[6:])
        )
        return "changed" if self._correct_line(sale, number, line) and outcome == "unchanged" else outcome

    def _deal(self, text: str, client_id: int | None) -> int | None:
        if not text:
            return None
        deal_id = self._deals.named(text, self.terms.namespace)
        if deal_id is None:
            raise InputError("no such deal among yours")
        if self._deals.stored[deal_id][1] != client_id:
            raise InputError("the deal is another client's")
        return deal_id

    def _add_line(self, client_id: int, sale_id: int, sale: SaleRow) -> None:
        if not sale.item and sale.quantity is None:
            return
        product_id = self._products.get(sale.item.casefold()) if sale.item else None
        line_id = self.acting.new_id()
        line = (
            line_id,
            sale_id,
            client_id,
            product_id,
            1 if sale.quantity is None else sale.quantity,
            None,
            sale.amount,
        )
        # Keyed by client too: a sale's line lives in the client's book.
        self.add("sale_lines", client_id, line)
        self._lines[sale_id].append(line)
        if product_id is None and sale.item:
            self._items[line_id] = sale.item
            self.note(client_id, line_id, "item", sale.item, sale.sold_at)

    def _correct_line(self, sale: SaleRow, sale_id: int, line: tuple[Any, str | None]) -> bool:
        """Make the one line of a known document what its row says; say whether it was not."""
        lines = self._lines.get(sale_id, [])
        if line == (None, None) or len(lines) > 1:
            return False
        if not lines:
            self._add_line(self._sales.current(sale_id)[1], sale_id, sale)
            return True
        before = lines[0]
        if (*self._sold(before), before[6]) == (*line, sale.amount):
            return False
        line_id, _, client_id, product_id, _, price, _ = before
        if sale.item and self._sold(before)[1] != line[1]:
            product_id = self._products.get(sale.item.casefold())
            if product_id is None:
                self._items[line_id] = sale.item
                self.note(client_id, line_id, "item", sale.item)
        after = (line_id, sale_id, client_id, product_id, line[0], price, sale.amount)
        lines[0] = after
        self.add("sale_lines", client_id, after, "upsert")
        return True

    def finish(self) -> None:
        """Gather the documents."""
        super().finish()
        self.add_records(self._sales)


def arrow(table: str, rows: list[Cells], kind: str = "insert") -> pa.Table:
    """Return tuples of cells as an Arrow table; of rows to be taken out, their keys."""
    schema = TABLES[table].schema
    columns = zip(*rows, strict=True)
    whole = pa.table([pa.array(*column) for column in zip(columns, schema.types, strict=True)], schema=schema)
    return whole.select([TABLES[table].key]) if kind == "delete" else whole


def import_of(kind: str) -> type[Import]:
    """Return what takes in a kind of rows."""
    from crmcli.storage import importing_calls, importing_clients, importing_deals, importing_moves

    kinds: dict[str, type[Import]] = {
        "clients": importing_clients.ClientImport,
        "deals": importing_deals.DealImport,
        "stages": importing_moves.StageImport,
        "calls": importing_calls.CallImport,
        "sales": SaleImport,
    }
    return kinds[kind]
