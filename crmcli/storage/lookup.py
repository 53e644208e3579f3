"""Lookup: from what people type (an id, a phone, an e-mail, part of a name) to the ids of clients and records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from crmcli.model.ids import prefix_bounds, short_id
from crmcli.storage import kernels as pc
from crmcli.storage.tables import TABLES
from crmcli.storage.together import at_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from crmcli.model.records import Contact
    from crmcli.storage.log import FileEntry
    from crmcli.storage.reading import Reader

_FEWEST_DIGITS = 3


def ids_with_prefix(reader: Reader, table: str, prefix: str) -> list[int]:
    """Return the keys of a table whose id begins with the text, in any letter case."""
    bounds = prefix_bounds(prefix)
    if bounds is None:
        return []
    low, high = bounds
    exact = [low] if low == high else None
    key = TABLES[table].key
    ids = reader.merged(table, [key], (key, exact) if exact else None).column(key)
    inside = pc.and_(pc.greater_equal(ids, low), pc.less_equal(ids, high))
    found: list[int] = pc.filtered(ids, inside).to_pylist()
    return found


def short_ids(reader: Reader, table: str, ids: Sequence[int]) -> dict[int, str]:
    """Return for each id the shortest prefix, from 6 characters, that no other id in the table shares, or did."""
    if not ids:
        return {}
    known = reader.keys(table)
    wanted = pa.array(sorted({number >> 30 for number in ids}), pa.int64())
    near = pc.filtered(known, pc.is_in(pc.shift_right(known, 30), wanted)).to_pylist()
    shorts = {}
    for number in ids:
        shorts[number] = short_id(number, *(other for other in near if other >> 30 == number >> 30))
    return shorts


def clients_with(reader: Reader, column: str, texts: Iterable[str]) -> list[int]:
    """Return the clients one of whose phones, emails, external_ids or tax_id is one of the texts, whole."""
    wanted = sorted(set(texts))
    if not wanted:
        return []
    return _having(reader.merged("contacts", ["client_id", column]), column, _among(wanted))


def marks(contact: Contact) -> dict[str, Sequence[str]]:
    """Return, by column, what tells the contact from any other."""
    return {
        "phones": contact.phones,
        "emails": contact.emails,
        "tax_id": [contact.tax_id] if contact.tax_id else [],
        "external_ids": contact.external_ids,
    }


def holds_any(reader: Reader, entry: FileEntry, texts: Mapping[str, Sequence[str]]) -> bool:
    """Say whether a file that the keys at hand open has, in a column of its contacts, one of the texts for it."""
    if entry.kind == "delete" or not reader.keyring.opens(entry):
        return False
    rows = reader.read(entry, ["client_id", *texts])
    return any(_having(rows, column, _among(wanted)) for column, wanted in texts.items() if wanted)


def _among(wanted: Sequence[str]) -> Callable[[Any], Any]:
    if len(wanted) == 1:
        return lambda values: pc.equal(values, wanted[0])
    known = pa.array(wanted, pa.string())
    return lambda values: pc.is_in(values, known)


def clients_named(reader: Reader, text: str) -> list[int]:
    """Return the clients whose name or company has the text in it, in any letter case; those so named in full first."""
    rows = reader.merged("contacts", ["client_id", "name", "company"])
    found: list[int] = []
    wanted = _folded(text)
    for column in ("name", "company"):
        exact = pc.equal(_comparable(rows.column(column), wanted), wanted)
        found += pc.filtered(rows, pc.is_true(exact)).column("client_id").to_pylist()
    if found:
        return list(dict.fromkeys(found))
    for column in ("name", "company"):
        found += pc.filtered(rows, _contains(rows.column(column), text)).column("client_id").to_pylist()
    return list(dict.fromkeys(found))


def clients_matching(reader: Reader, text: str) -> list[int]:
    """Return the clients that have the text anywhere: names, phones, e-mails, tax ids, external ids or notes."""
    columns = ["name", "company", "phones", "emails", "tax_id", "address", "external_ids", "raw_phones"]
    has_letters = any(letter.isalpha() for letter in text)
    if has_letters:
        # In its one form a phone is all digits.
        columns.remove("phones")
    rows = reader.merged("contacts", ["client_id", *columns])
    wanted = [(column, text) for column in columns]
    digits = "".join(letter for letter in text if letter.isdecimal())
    if len(digits) >= _FEWEST_DIGITS and not has_letters:
        wanted.append(("phones", digits))
    lists = at_once(lambda pair: _having(rows, pair[0], lambda values: _contains(values, pair[1])), wanted)
    found = [number for numbers in lists for number in numbers]
    notes = reader.merged("notes", ["client_id", "text"])
    found += pc.filtered(notes, _contains(notes.column("text"), text)).column("client_id").to_pylist()
    return list(dict.fromkeys(found))


def _folded(text: str) -> str:
    """Return a text that was typed as it is compared, with single blanks."""
    return " ".join(text.lower().replace("ё", "е").split())


def _comparable(values: Any, folded: str) -> Any:
    """Return texts as they are compared with a folded one; only beside an е is there anything to do about a ё."""
    return pc.folded(values) if "е" in folded else pc.lowered(values)


def _contains(values: Any, text: str) -> Any:
    wanted = _folded(text)
    return pc.is_true(pc.contains(_comparable(values, wanted), wanted))


def _having(rows: pa.Table, column: str, test: Callable[[Any], Any]) -> list[int]:
    """Return the client ids of rows where the column, or one of the values in its list, passes a test."""
    found: list[int] = []
    for batch in rows.select(["client_id", column]).to_batches():
        cells = batch.column(column)
        is_list = pa.types.is_list(cells.type)
        values = pc.list_flatten(cells) if is_list else cells
        if cells.null_count == len(cells) or not len(values):
            continue
        mask = test(values)
        if not pc.any_true(mask):
            continue
        ids = batch.column("client_id")
        ids = pc.taken(ids, pc.filtered(pc.list_parent_indices(cells), mask)) if is_list else pc.filtered(ids, mask)
        found += ids.to_pylist()
    return found
