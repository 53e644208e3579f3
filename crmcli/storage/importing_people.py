"""The import of clients in columns: who shares no phone, e-mail, number or name with anybody is a new client."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa

from crmcli.errors import InputError
from crmcli.model.acting import MAX_NAME, clean_name, clean_text
from crmcli.model.emails import plain_email
from crmcli.model.importing import external_key, tax_number
from crmcli.model.phones import normalise_phone
from crmcli.model.records import OPEN
from crmcli.model.reminding import BUY_BY
from crmcli.storage import kernels as pc
from crmcli.storage.importing_columns import NotPlainError, new_ids, read_each
from crmcli.storage.plain_sheet import FIRST_LINE, row_at
from crmcli.storage.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from crmcli.storage.importing_clients import ClientImport
    from crmcli.storage.matching import Index

_V = TypeVar("_V")
_INSTANT = pa.timestamp("us")
_TEXTS = ("interest", "note")


class People:
    """The rows of a file of clients, a list for each column. Raises: NotPlainError where a cell is wrong."""

    def __init__(self, importing: ClientImport, columns: pa.Table) -> None:
        self._importing = importing
        self._names = set(columns.column_names)
        texts = [pc.cast_to(column, pa.string()) for column in columns.columns]
        self._columns = pa.table([pc.trimmed(column) for column in texts], names=columns.column_names)
        region, namespace = importing.draft.settings.region, importing.terms.namespace
        self.name = [name for name in self._names_in("name") if name]
        if len(self.name) < columns.num_rows:
            raise NotPlainError
        self.company = self._names_in("company")
        self.tax_id = [tax_number(text) for text in self._names_in("tax_id")]
        self.address = self._names_in("address")
        self.external_id = [text and external_key(namespace, text) for text in self._names_in("external_id")]
        phones = self._several("phone", "phone2", lambda text: (normalise_phone(text, region), text))
        # One number that is typed in two ways is kept as it was typed last.
        typed = [dict(pairs) for pairs in phones]
        self.phones = [tuple(numbers) for numbers in typed]
        self.raw_phones = [tuple(numbers.values()) for numbers in typed]
        self.emails = self._several("email", "email2", plain_email)
        self.texts = {field: self._cells(field, clean_text) for field in _TEXTS if field in self._names}
        self.called = [
            (name.casefold(), (company or "").casefold()) for name, company in zip(self.name, self.company, strict=True)
        ]

    def _cells(self, field: str, read: Callable[[str], Any]) -> list[Any]:
        if field not in self._names:
            return [None] * self._columns.num_rows
        try:
            return [read(text) if text else None for text in self._columns.column(field).to_pylist()]
        except InputError as error:
            raise NotPlainError from error

    def _names_in(self, field: str) -> list[str | None]:
        """Return the short texts of a column; most are as they are to be stored."""
        if field in self._names and pc.are_plain(self._columns.column(field), MAX_NAME):
            return [text or None for text in self._columns.column(field).to_pylist()]
        return self._cells(field, lambda text: clean_name(text, field))

    def _several(self, first: str, second: str, read: Callable[[str], _V]) -> list[tuple[_V, ...]]:
        """Return what stands in two columns, each value once."""
        ones = self._cells(first, read)
        if second not in self._names:
            return [(one,) if one else () for one in ones]
        pairs = zip(ones, self._cells(second, read), strict=True)
        return [tuple(dict.fromkeys(value for value in pair if value)) for pair in pairs]

    def alone(self, same_name: Mapping[tuple[str, str], Sequence[Any]]) -> list[bool]:
        """Say of each row whether nothing in it tells of anybody else; `same_name` are the clients known by name."""
        clients = self._importing.clients
        counted = Counter(self.called)
        alone = [counted[called] == 1 and not same_name.get(called) for called in self.called]
        for cells, index in (
            (self.phones, clients.phones),
            (self.emails, clients.emails),
            ([(cell,) if cell else () for cell in self.tax_id], clients.tax_ids),
            ([(cell,) if cell else () for cell in self.external_id], clients.external_ids),
        ):
            if shared := _shared(list(chain.from_iterable(cells)), index):
                alone = [so_far and shared.isdisjoint(row) for so_far, row in zip(alone, cells, strict=True)]
        return alone

    def others(self, alone: Sequence[bool]) -> Iterator[tuple[int, Mapping[str, str], None]]:
        """Yield (line, fields, None) of the rows that are not alone."""
        for place, is_alone in enumerate(alone):
            if not is_alone:
                yield place + FIRST_LINE, row_at(self._columns, place), None

    def put(self, alone: Sequence[bool]) -> int:
        """Gather the clients of the rows that are alone, and return how many they are."""
        importing, mask = self._importing, pa.array(alone, pa.bool_())
        chosen = pc.filtered(self._columns, mask)
        count: int = chosen.num_rows
        acting, cells = importing.acting, importing.cells
        find, me = importing.people.find, acting.by
        ids = new_ids(acting, count)

        def read(field: str, each: Callable[[str], Any], kind: pa.DataType) -> pa.Array:
            column = chosen.column(field) if field in self._names else pa.repeat("", count)
            return read_each(column, each, kind)

        created_at = read("created_at", lambda text: cells.instants[text] if text else importing.now, pa.int64())
        source = read("source", cells.sources.__getitem__, pa.string())
        segment = read("segment", cells.segments.__getitem__, pa.string())
        buy_by = read("buy_by", cells.days.__getitem__, pa.date32())
        due_at = read("buy_by", lambda text: importing.to_be_reminded(cells.days[text]), pa.int64())
        fresh = {
            "client_id": ids,
            "created_at": created_at.view(_INSTANT),
            "created_by": pa.repeat(pa.scalar(me, pa.int64()), count),
            # Last of what may fail, for it makes people.
            "owner_id": read("owner", lambda text: find(text) or me, pa.int64()),
            "source": source,
            "segment": segment,
            "buy_by": buy_by,
            "archived": pa.repeat(False, count),  # noqa: FBT003
            "do_not_contact": read("do_not_contact", lambda text: bool(cells.answers[text]), pa.bool_()),
        }
        contacts = {
            "client_id": ids,
            "name": self.name,
            "company": self.company,
            "phones": self.phones,
            "raw_phones": self.raw_phones,
            "emails": self.emails,
            "tax_id": self.tax_id,
            "address": self.address,
            "external_ids": [(key,) if key else () for key in self.external_id],
        }
        self._gather("clients", fresh, count)
        self._gather("contacts", {name: _kept(cells, alone) for name, cells in contacts.items()}, count)
        for field, texts in self.texts.items():
            self._note(field, ids, created_at, _kept(texts, alone))
        self._remind(ids, fresh["owner_id"], due_at)
        return count

    def _remind(self, ids: pa.Array, owner: pa.Array, due_at: pa.Array) -> None:
        """Gather the reminders of the days by which clients mean to buy."""
        rows = pa.record_batch({"client_id": ids, "assignee_id": owner, "due_at": due_at})
        rows = pc.filtered(rows, pc.is_valid(due_at))
        count, acting, now = rows.num_rows, self._importing.acting, self._importing.now
        cells = {
            "reminder_id": new_ids(acting, count),
            "client_id": rows.column("client_id"),
            "cause": pa.repeat(BUY_BY, count),
            "due_at": rows.column("due_at").view(_INSTANT),
            "has_time": pa.repeat(False, count),  # noqa: FBT003
            "assignee_id": rows.column("assignee_id"),
            "created_at": pa.repeat(pa.scalar(now, pa.int64()), count).view(_INSTANT),
            "created_by": pa.repeat(pa.scalar(acting.by, pa.int64()), count),
            "is_promise": pa.repeat(False, count),  # noqa: FBT003
            "status": pa.repeat(OPEN, count),
        }
        self._gather("reminders", cells, count)

    def _note(self, field: str, ids: pa.Array, noted_at: pa.Array, texts: Iterable[str | None]) -> None:
        rows = pa.table({"client_id": ids, "text": pa.array(texts, pa.string()), "noted_at": noted_at})
        rows = pc.filtered(rows, pc.invert(pc.is_null(rows.column("text")))).combine_chunks()
        count = rows.num_rows
        cells = {
            "note_id": new_ids(self._importing.acting, count),
            "client_id": rows.column("client_id"),
            "about_id": rows.column("client_id"),
            "field": pa.repeat(field, count),
            "text": rows.column("text"),
            "noted_at": pc.cast_to(rows.column("noted_at"), pa.timestamp("us")),
            "by_id": pa.repeat(pa.scalar(self._importing.acting.by, pa.int64()), count),
        }
        self._gather("notes", cells, count)

    def _gather(self, table: str, cells: Mapping[str, Any], count: int) -> None:
        if count:
            schema = TABLES[table].schema
            columns = [
                pa.array(cells[field.name], field.type)
                if isinstance(cells.get(field.name), list)
                else cells.get(field.name, pa.nulls(count, field.type))
                for field in schema
            ]
            rows = pa.table(columns, schema=schema)
            self._importing.columns.append((table, self._importing.clients.own_book, "insert", rows))


def _kept(cells: Any, alone: Sequence[bool]) -> Any:
    if not isinstance(cells, list) or all(alone):
        return cells
    return [cell for cell, is_kept in zip(cells, alone, strict=True) if is_kept]


def _shared(keys: list[str], index: Index) -> set[str]:
    """Return the keys that stand more than once, or that some client has."""
    distinct = set(keys)
    repeated = {key for key, count in Counter(keys).items() if count > 1} if len(distinct) < len(keys) else set()
    return repeated | index.among(distinct) if distinct else repeated
