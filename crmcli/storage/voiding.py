"""What came with a record that was a mistake, found by the commit that brought both."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from crmcli.model.records import Sale
from crmcli.model.voiding import Traced, without_day, without_mistake
from crmcli.storage import kernels as pc
from crmcli.storage import log
from crmcli.storage.finding import reminders_known
from crmcli.storage.reading import newest_versions
from crmcli.storage.tables import DELETED, SEQ, TABLES, Table
from crmcli.storage.versions import versions

if TYPE_CHECKING:
    from crmcli.model.records import Activity, Record, Reminder
    from crmcli.storage.view import Draft

_DOCUMENTS = ("sales", "activities")


def taken_back(draft: Draft, voided: Sale | Activity) -> tuple[list[Record], list[Reminder]]:
    """Return what changes with a voided record, and the open reminders that came with it and were changed since.

    Nothing does where many records came at once, as from a file: which of them made a reminder is not known.
    """
    client_id = voided.client_id
    name = "sales" if isinstance(voided, Sale) else "activities"
    seq = _came(draft, TABLES[name], voided)
    if not _is_alone(draft, seq):
        return [], []
    known = {reminder.reminder_id: reminder for reminder in reminders_known(draft, client_id)}
    then, left = _around(draft, TABLES["reminders"], client_id, seq)
    traced = [Traced(then.get(number), after, known[number]) for number, after in left.items() if number in known]
    number = getattr(voided, TABLES[name].key)
    others = {
        table: [r for r in draft.of_client(table, client_id) if getattr(r, TABLES[table].key) != number]
        for table in _DOCUMENTS
    }
    changed, stay = without_mistake(traced, list(known.values()), others["sales"], others["activities"])
    _forget_texts(draft, client_id, seq, [reminder for reminder in changed if reminder.reminder_id in then])
    (client,) = draft.records("clients", "client_id", [client_id])
    was, became = _around(draft, TABLES["clients"], client_id, seq)
    return [*changed, *without_day(was.get(client_id), became.get(client_id), client)], stay


def _came(draft: Draft, table: Table, record: Sale | Activity) -> int:
    """Return the commit that brought a record."""
    rows = versions(draft.reader, draft.store.state, table, record.client_id)
    same = pc.equal(rows.column(table.key), getattr(record, table.key))
    return min(pc.filtered(rows, same).column(SEQ).to_pylist())  # type: ignore[no-any-return]


def _is_alone(draft: Draft, seq: int) -> bool:
    """Say whether a commit brought one sale or activity only."""
    raw = log.read_one(draft.store.root / "log", seq)
    added = json.loads(raw.partition(b"\n")[0])["add"]
    brought: int = sum(entry["rows"] for entry in added if entry["table"] in _DOCUMENTS)
    return brought == 1


def _around(draft: Draft, table: Table, client_id: int, seq: int) -> tuple[dict[int, Any], dict[int, Any]]:
    """Return the records of a client that a commit changed, by id: as they were before, and as it left them."""
    rows = versions(draft.reader, draft.store.state, table, client_id)
    seqs = rows.column(SEQ)
    left = _by_key(table, pc.filtered(rows, pc.equal(seqs, seq)))
    before = _by_key(table, newest_versions(table.key, pc.filtered(rows, pc.less(seqs, seq))))
    return {number: record for number, record in before.items() if number in left}, left


def _by_key(table: Table, rows: pa.Table) -> dict[int, Any]:
    there = pc.filtered(rows, pc.invert(rows.column(DELETED)))
    return {getattr(record, table.key): record for record in table.to_records(there)}


def _forget_texts(draft: Draft, client_id: int, seq: int, moved: list[Reminder]) -> None:
    """Take out what a commit wrote anew about reminders that are as they were before it."""
    _, written = _around(draft, TABLES["notes"], client_id, seq)
    about = {reminder.reminder_id for reminder in moved}
    if gone := [number for number, note in written.items() if note.about_id in about]:
        draft.put_rows(draft.book_of(client_id), TABLES["notes"], "delete", pa.table({"note_id": gone}))
