"""The import of stages, which tell the way that deals went, row by row; `importing_stages` does it in columns."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from crmcli.errors import InputError
from crmcli.model.inferred import OPENING, is_inferred
from crmcli.model.records import OPEN
from crmcli.storage.importing_columns import DAY
from crmcli.storage.importing_histories import CHANGE, CLOSED, DEAL, Histories, as_deal, changed, moment_of
from crmcli.storage.importing_stages import Entries
from crmcli.storage.matching import Records
from crmcli.storage.plain_sheet import FIRST_LINE, row_at

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from crmcli.model.acting import Acting
    from crmcli.model.importing import Cells as CellReader
    from crmcli.storage.importing import Terms
    from crmcli.storage.matching import Cells
    from crmcli.storage.view import Draft


class StageImport(Histories):
    """Stages: a row is one entry of a deal's history, and the last entry says where the deal stands."""

    def __init__(self, draft: Draft, acting: Acting, cells: CellReader, terms: Terms) -> None:
        super().__init__(draft, acting, cells, terms)
        self._deals = Records(draft.reader, "deals", lambda _: None)
        self._names: dict[str, int | None] = {}
        self._rows: dict[int, list[tuple[str, int, int | None]]] = defaultdict(list)

    def take_columns(self, columns: pa.Table) -> None:
        """Take in all rows at once, but for the few that need to be weighed one against the other."""
        left = Entries(self, columns).lay()
        self.take_each((place + FIRST_LINE, row_at(columns, place), None) for place in left)

    def take(self, row: Mapping[str, str]) -> str:
        """Take in one entry; what comes of it is known when all of a deal's are."""
        moved = self.cells.moved(row)
        if moved.deal not in self._names:
            self._names[moved.deal] = self._deals.named(moved.deal, self.terms.namespace)
        number = self._names[moved.deal]
        if number is None:
            raise InputError("no such deal among yours")
        deal = self._deals.stored[number]
        self.clients.allowed(deal[1])
        stage, status = self.cells.stage(deal[DEAL["pipeline"]], moved.stage)
        self._rows[number].append((stage or status, moved.changed_at, self.people.find(moved.by)))
        return "taken"

    def finish(self) -> None:
        """Lay the rows on the histories, and let each deal stand where its history ends."""
        # What the rows are is counted below.
        del self.outcome.rows["taken"]
        histories = self.changes_of(self._rows)
        for number, entries in self._rows.items():
            deal, before = self._deals.stored[number], histories[number]
            history = self._merged(deal, before, entries)
            self.write(deal, history, before)
            self._deals.put(_standing(deal, self.retold(deal, history)))
        self.add_records(self._deals)
        super().finish()

    def _merged(self, deal: Cells, before: Sequence[Cells], entries: list[tuple[str, int, int | None]]) -> list[Cells]:
        """Return the history that the store and the file tell together, and count what the rows of the file are."""
        count = self.outcome.rows
        to, at, owner = CHANGE["to_stage"], CHANGE["changed_at"], CHANGE["by_id"]
        entries = sorted(entries, key=lambda entry: (entry[1], entry[0] in CLOSED))
        replaced = _giving_way(deal, sorted(before, key=moment_of), [entry[:2] for entry in entries])
        instead = set(replaced.values())
        history = [change for change in before if change[0] not in replaced]
        known = {(change[to], change[at]): place for place, change in enumerate(history)}
        # Of rows that say the same of different people the last one counts.
        named = {entry[:2]: entry[2] for entry in entries if entry[2] is not None}
        for stage, when, _ in entries:
            place, by = known.get((stage, when)), named.get((stage, when))
            if place is None:
                known[stage, when] = len(history)
                history.append(self.change(deal, stage, when, by or deal[DEAL["owner_id"]]))
                count["changed" if (stage, when) in instead else "new"] += 1
            elif by in {None, history[place][owner]}:
                count["unchanged"] += 1
            else:
                history[place] = changed(history[place], by_id=by)
                count["changed"] += 1
        return self._closed_last(deal, history)

    def _closed_last(self, deal: Cells, history: list[Cells]) -> list[Cells]:
        """Return a history in order, in which an inferred closing of which the day is known comes last of that day."""
        at, to = CHANGE["changed_at"], CHANGE["to_stage"]
        for place, change in enumerate(history):
            if change[to] in CLOSED and change[at] is not None and is_inferred(change[0], deal[0]):
                times = [other[at] for other in history if other[at] is not None]
                later = [time for time in times if self.cells.is_day_of(change[at], time)]
                history[place] = changed(change, changed_at=max([change[at], *later]))
        history.sort(key=moment_of)
        return history


def _giving_way(deal: Cells, before: Sequence[Cells], rows: Sequence[tuple[str, int]]) -> dict[int, tuple[str, int]]:
    """Return which inferred entries of a history, in order, give way to which rows of a file, in order.

    An opening does to the first row, if all that is known was inferred; any other entry to the last row of its stop,
    if that is neither before the entry before it nor a day later.
    """
    found: dict[int, tuple[str, int]] = {}
    to, at = CHANGE["to_stage"], CHANGE["changed_at"]
    inferred = [change for change in before if is_inferred(change[0], deal[0])]
    is_recorded = any(change[to] not in CLOSED for change in before if change not in inferred)
    if not is_recorded and rows[0][0] not in CLOSED:
        found |= {change[0]: rows[0] for change in inferred if change[0] == deal[0] ^ OPENING}
    last = dict(rows)
    for place, change in enumerate(before):
        told = last.get(change[to])
        if change in inferred and change[0] not in found and told is not None:
            earliest, inferred_at = before[place - 1][at] if place else None, change[at]
            is_near = inferred_at is None or told < inferred_at + DAY
            if is_near and (earliest is None or earliest <= told):
                found[change[0]] = change[to], told
    return found


def _standing(deal: Cells, history: Sequence[Cells]) -> Cells:
    """Return a deal as its history leaves it."""
    to, at = CHANGE["to_stage"], CHANGE["changed_at"]
    cells = as_deal(deal)
    stops = [change for change in history if change[to] not in CLOSED]
    if stops:
        cells |= {"stage": stops[-1][to], "entered_at": stops[-1][at]}
    last = history[-1]
    if last[to] not in CLOSED:
        cells |= {"status": OPEN, "closed_at": None, "lost_reason": None, "return_on": None}
    else:
        cells |= {"status": last[to], "closed_at": last[at]}
    if cells["opened_at"] is None:
        cells["opened_at"] = history[0][at]
    return tuple(cells.values())
