"""The import of calls: which of those known a row is, and what it adds to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from crmcli.model.records import CALL
from crmcli.storage.importing import Import
from crmcli.storage.importing_columns import Facts, NotPlainError, instants, read_each, read_words, require
from crmcli.storage.matching import Records, texts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from crmcli.model.acting import Acting
    from crmcli.model.importing import CallRow
    from crmcli.model.importing import Cells as CellReader
    from crmcli.storage.importing import Terms
    from crmcli.storage.view import Draft


class CallImport(Import):
    """Calls: one row is one activity."""

    reads = ("activities", "notes")

    def __init__(self, draft: Draft, acting: Acting, cells: CellReader, terms: Terms) -> None:
        super().__init__(draft, acting, cells, terms)
        self._calls = Records(draft.reader, "activities", lambda c: (c[1], c[3], c[6], c[8]) if c[2] == CALL else None)
        self._said: dict[int, str] = {}
        if "said" in terms.fields:
            self._said = {about: text for about, _, text in texts(draft.reader, "said")}

    def take_columns(self, columns: pa.Table) -> None:
        """Take in calls of which nothing was written down and that have no numbers of their own."""
        names = set(columns.column_names)
        if not names <= {"client", "direction", "result", "called_at", "seconds", "minutes", "by"}:
            raise NotPlainError
        if {"seconds", "minutes"} <= names:
            raise NotPlainError
        read = self.cells
        reading: dict[str, Callable[[], Any]] = {
            "happened_at": lambda: instants(columns.column("called_at"), read),
            "direction": lambda: read_words(columns.column("direction"), read.directions.__getitem__),
        }
        if "result" in names:
            reading["result"] = lambda: read_words(columns.column("result"), read.results.__getitem__)
        if "seconds" in names:
            reading["seconds"] = lambda: read_each(columns.column("seconds"), read.seconds.__getitem__, pa.int64())
        elif "minutes" in names:
            reading["seconds"] = lambda: read_each(columns.column("minutes"), read.minutes.__getitem__, pa.int64())
        facts = Facts(self, "activities", columns, reading)
        require(not facts.cells["direction"].null_count)
        facts.require_new("happened_at", "direction", "seconds")
        facts.put(kind=CALL, voided=False)

    def take(self, row: Mapping[str, str]) -> str:
        """Take in one call."""
        call: CallRow = self.cells.call(row)
        found = self.clients.find(call.client)
        known = self.known(self._calls, call.external_id, found)
        by = self.people.find(call.by)
        client_id = self.client(found, call.client, call.called_at)
        if known is None and found is not None and not call.external_id:
            known = self._calls.equal(
                (client_id, call.called_at, call.direction, call.seconds),
                lambda c: (
                    by in (None, c[4]) and call.result in (None, c[7]) and call.said in (None, self._said.get(c[0]))
                ),
            )
        if known is None:
            number = self.acting.new_id()
            self.named(self._calls, client_id, number, call.external_id)
            after = (
                number, client_id, CALL, call.called_at, by or self.acting.by, None, call.direction, call.result,
                call.seconds, None, False,
            )  # fmt: skip
        else:
            number, seconds = known[0], known[8] if call.seconds is None else call.seconds
            after = (
                number, client_id, CALL, call.called_at, by or known[4], known[5], call.direction,
                call.result or known[7], seconds, *known[9:],
            )  # fmt: skip
        outcome = self._calls.put(after)
        if call.said and self._said.get(number) != call.said:
            self._said[number] = call.said
            self.note(client_id, number, "said", call.said, call.called_at if known is None else None)
            outcome = "changed" if outcome == "unchanged" else outcome
        return outcome

    def finish(self) -> None:
        """Gather the calls."""
        super().finish()
        self.add_records(self._calls)
