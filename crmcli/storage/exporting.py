"""Exporting: the rows of a kind that the keys at hand open, as plain values in the words of other programs."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from crmcli.errors import NotFoundError, NotPermittedError
from crmcli.model.exporting import COLUMNS, PERSONAL, chosen_columns, is_covered
from crmcli.model.frozen import dataclass
from crmcli.model.ids import encode_id
from crmcli.model.records import CALL, OPEN, Contact
from crmcli.storage import tables
from crmcli.storage.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from crmcli.storage.members import Grant
    from crmcli.storage.view import View

BETWEEN = "; "
_Made = tuple[Any, dict[str, Any]]


@dataclass(frozen=True)
class Sheet:
    """Rows that leave the store: their columns, their cells, and the books that they come from.

    Cells are None, bool, int, Decimal, text, date, or an instant in the company's zone.
    """

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    books: list[str]


def sheet(view: View, kind: str, asked: Sequence[str] | None, books: Collection[str] | None) -> Sheet:
    """Return all rows of a kind in the books at hand, or those of them that are in `books`, oldest first.

    Raises: InputError for an unknown column, NotPermittedError where only what is closed is asked for.
    """
    readable = readable_books(view, books)
    columns = chosen_columns(kind, asked, personal=any(view.reader.keyring.holds(b, tables.PERSONAL) for b in readable))
    made: list[_Made] = []
    used = []
    for book in readable:
        rows = list(_OneBook(view, book, personal=bool(set(columns) & PERSONAL)).rows(kind))
        if rows:
            used.append(book)
            made += rows
    made.sort(key=lambda row: (row[0] is not None, row[0], row[1]["client_id"]))
    return Sheet(columns, [tuple(row[column] for column in columns) for _, row in made], used)


def under(view: View, kind: str, asked: Sequence[str] | None) -> Callable[[Grant | None], tuple[Sheet, list[str], int]]:
    """Return what makes the sheet of a kind under a grant: the columns asked for, or all that the grant covers.

    It raises: NotPermittedError for a column, or books, that the grant does not cover; NotFoundError for no rows.
    """

    def make(grant: Grant | None) -> tuple[Sheet, list[str], int]:
        covered = None if grant is None else grant.columns
        wanted = asked
        for column in asked or ():
            if not is_covered(column, covered):
                raise NotPermittedError(f"the grant does not cover the column {column}")
        if covered is not None and asked is None:
            wanted = [column for column in COLUMNS[kind] if is_covered(column, covered)]
            if not wanted:
                raise NotPermittedError(f"the grant covers no column of {kind}")
        books = None if grant is None else grant.books
        if not readable_books(view, books):
            raise NotPermittedError("the grant is for books that your keys do not open")
        made = sheet(view, kind, wanted, books)
        if not made.rows:
            raise NotFoundError(f"there are no {kind} among yours to export")
        return made, made.books, len(made.rows)

    return make


def readable_books(view: View, books: Collection[str] | None = None) -> list[str]:
    """Return the books of members, and the inbox, that the keys at hand open, all or those in `books`."""
    return [
        book.book
        for book in view.store.state.books.values()
        if book.kind != "company"
        and (books is None or book.book in books)
        and view.reader.keyring.holds(book.book, tables.FACTS)
    ]


class _OneBook:
    """The rows of one book; names and texts are read only where they are asked for."""

    def __init__(self, view: View, book: str, *, personal: bool) -> None:
        self._view = view
        self._book = book
        self._personal = personal
        self._zone = view.settings.zone

    def rows(self, kind: str) -> Iterable[_Made]:
        """Yield (when, column -> cell) of each row of a kind."""
        make: Callable[[], Iterable[_Made]] = getattr(self, f"_{kind}")
        return make()

    def _records(self, table: str) -> list[Any]:
        rows = self._view.reader.merged(table, None, None, [self._book])
        return TABLES[table].to_records(rows)

    @cached_property
    def _contacts(self) -> dict[int, Contact]:
        return {contact.client_id: contact for contact in self._records("contacts")} if self._personal else {}

    @cached_property
    def _texts(self) -> dict[tuple[int, str], str]:
        """The newest text of each field about each record."""
        notes = self._records("notes") if self._personal else []
        notes.sort(key=lambda note: note.noted_at)
        return {(note.about_id, note.field): note.text for note in notes}

    @cached_property
    def _products(self) -> dict[int | None, str]:
        return {product.product_id: product.name for product in self._view.products}

    def _at(self, at: Any) -> Any:
        return None if at is None else at.astimezone(self._zone)

    def _of(self, record: Any, key: str) -> dict[str, Any]:
        """Return what all kinds of rows have: the ids, and the client as an import finds them."""
        contact = self._contacts.get(record.client_id)
        who = None
        if contact is not None:
            keys = (*contact.external_ids, *contact.phones, *contact.emails, contact.tax_id, contact.name)
            who = next((text for text in keys if text), None)
        return {"client": who, "client_id": encode_id(record.client_id), key: encode_id(getattr(record, key))}

    def _clients(self) -> Iterable[_Made]:
        for client in self._records("clients"):
            number = client.client_id
            contact = self._contacts.get(number) or Contact(number, "")
            yield (
                client.created_at,
                {
                    "client_id": encode_id(number),
                    "name": contact.name or None,
                    **_several("phone", "phones", contact.phones),
                    **_several("email", "emails", contact.emails),
                    "company": contact.company,
                    "tax_id": contact.tax_id,
                    "address": contact.address,
                    "source": client.source,
                    "segment": client.segment,
                    "owner": self._view.staff.get(client.owner_id),
                    "created_at": self._at(client.created_at),
                    "interest": self._texts.get((number, "interest")),
                    "note": self._texts.get((number, "note")),
                    "buy_by": client.buy_by,
                    "external_id": next(iter(contact.external_ids), None),
                    "other_external_ids": BETWEEN.join(contact.external_ids[1:]) or None,
                    "archived": client.archived,
                    "do_not_contact": client.do_not_contact,
                },
            )

    def _deals(self) -> Iterable[_Made]:
        for deal in self._records("deals"):
            is_open = deal.status == OPEN
            yield (
                deal.opened_at,
                {
                    **self._of(deal, "deal_id"),
                    "stage": deal.stage if is_open else deal.status,
                    "pipeline": deal.pipeline,
                    "external_id": self._texts.get((deal.deal_id, "external_id")),
                    "owner": self._view.staff.get(deal.owner_id),
                    "opened_at": self._at(deal.opened_at),
                    "closed_at": self._at(deal.closed_at),
                    "amount": deal.amount,
                    "product": self._products.get(deal.product_id),
                    "lost_reason": deal.lost_reason,
                    "title": self._texts.get((deal.deal_id, "title")),
                    "closed_from": None if is_open else deal.stage,
                    "return_on": deal.return_on,
                },
            )

    def _calls(self) -> Iterable[_Made]:
        for at, row in self._activities():
            if row["kind"] == CALL:
                yield at, {**row, "called_at": row["happened_at"]}

    def _activities(self) -> Iterable[_Made]:
        for act in self._records("activities"):
            if act.voided:
                continue
            yield (
                act.happened_at,
                {
                    **self._of(act, "activity_id"),
                    "kind": act.kind,
                    "direction": act.direction,
                    "result": act.result,
                    "happened_at": self._at(act.happened_at),
                    "seconds": act.seconds,
                    "source": act.source,
                    "by": self._view.staff.get(act.by_id),
                    "said": self._texts.get((act.activity_id, "said")),
                    "external_id": self._texts.get((act.activity_id, "external_id")),
                },
            )

    def _sales(self) -> Iterable[_Made]:
        lines: dict[int, list[Any]] = {}
        for line in self._records("sale_lines"):
            lines.setdefault(line.sale_id, []).append(line)
        for sale in self._records("sales"):
            if sale.voided:
                continue
            sold = lines.get(sale.sale_id, [])
            items = [self._products.get(line.product_id) or self._texts.get((line.line_id, "item")) for line in sold]
            yield (
                sale.sold_at,
                {
                    **self._of(sale, "sale_id"),
                    "sold_at": self._at(sale.sold_at),
                    "amount": sale.amount,
                    "by": self._view.staff.get(sale.by_id),
                    "item": BETWEEN.join(item for item in items if item) or None,
                    "quantity": sold[0].quantity if len(sold) == 1 else None,
                    "deal": self._texts.get((sale.deal_id, "external_id")),
                    "external_id": self._texts.get((sale.sale_id, "external_id")),
                    "refund_of": _id(sale.refund_of),
                    "deal_id": _id(sale.deal_id),
                },
            )

    def _reminders(self) -> Iterable[_Made]:
        for reminder in self._records("reminders"):
            number = reminder.reminder_id
            yield (
                reminder.due_at,
                {
                    **self._of(reminder, "reminder_id"),
                    "cause": reminder.cause,
                    "due_at": self._at(reminder.due_at),
                    "about": self._texts.get((number, "promised")) or self._texts.get((number, "about")),
                    "owner": self._view.staff.get(reminder.assignee_id),
                    "status": reminder.status,
                    "done_at": self._at(reminder.done_at),
                    "deal_id": _id(reminder.deal_id),
                },
            )

    def _notes(self) -> Iterable[_Made]:
        for note in self._records("notes"):
            yield (
                note.noted_at,
                {
                    **self._of(note, "note_id"),
                    "field": note.field,
                    "text": note.text,
                    "noted_at": self._at(note.noted_at),
                    "by": self._view.staff.get(note.by_id),
                    "about_id": encode_id(note.about_id),
                },
            )


def books_of(view: View, client_ids: Sequence[int]) -> list[str]:
    """Return the books that clients are in."""
    where = ("client_id", list(dict.fromkeys(client_ids)))
    return [
        book for book in readable_books(view) if view.reader.merged("clients", ["client_id"], where, [book]).num_rows
    ]


def _id(number: int | None) -> str | None:
    return None if number is None else encode_id(number)


def _several(one: str, many: str, texts: Sequence[str]) -> dict[str, str | None]:
    """Return the first two of several texts in columns of their own, as an import takes them in, and the others."""
    first, second = (texts[place] if place < len(texts) else None for place in range(2))
    return {one: first, f"{one}2": second, f"other_{many}": BETWEEN.join(texts[2:]) or None}
