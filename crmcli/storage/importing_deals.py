"""The import of deals and of the stages that they went through: a deal and its history always tell the same."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from crmcli.errors import InputError
from crmcli.model.dates import day_start, local_day
from crmcli.model.importing import DealRow, instant, microseconds
from crmcli.model.inferred import CLOSING, OPENING, inferred_id, is_inferred
from crmcli.model.moves import in_chain, moves
from crmcli.model.records import LOST, OPEN, WON
from crmcli.storage.importing import Import
from crmcli.storage.importing_stages import Entries
from crmcli.storage.matching import Records, stored, texts
from crmcli.storage.plain_sheet import FIRST_LINE, row_at
from crmcli.storage.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pyarrow as pa

    from crmcli.model.acting import Acting
    from crmcli.model.importing import Cells as CellReader
    from crmcli.storage.importing import Terms
    from crmcli.storage.matching import Cells
    from crmcli.storage.view import Draft

_DEAL = {name: place for place, name in enumerate(TABLES["deals"].kinds)}
_CHANGE = {name: place for place, name in enumerate(TABLES["stage_changes"].kinds)}
_CLOSED = (WON, LOST)
_DAY = 86_400_000_000


def _deal(cells: Cells) -> dict[str, Any]:
    return dict(zip(_DEAL, cells, strict=True))


class Histories(Import):
    """What both imports do with the history of deals."""

    reads: tuple[str, ...] = ("deals", "stage_changes", "notes")

    def __init__(self, draft: Draft, acting: Acting, cells: CellReader, terms: Terms) -> None:
        super().__init__(draft, acting, cells, terms)
        self.stages = {pipe.id: [stage.id for stage in pipe.stages] for pipe in draft.process.pipelines}

    def changes_of(self, deal_ids: Iterable[int]) -> dict[int, list[Cells]]:
        """Return the history of deals that are in the store, in order."""
        changes: dict[int, list[Cells]] = defaultdict(list)
        wanted = list(deal_ids)
        if wanted:
            for change in stored(self.draft.reader, "stage_changes", ("deal_id", wanted)).values():
                changes[change[1]].append(change)
        for number, history in changes.items():
            history.sort(key=lambda change: _when(change)[:2])
            entries = [(change[_CHANGE["changed_at"]], *change[4:7]) for change in history]
            changes[number] = [history[place] for place in in_chain(entries)]
        return changes

    def change(self, deal: Cells, to: str, at: int | None, by: int) -> Cells:
        """Return an entry of a deal's history; where it came from and the move are told by `retold`."""
        return (self.acting.new_id(), deal[0], deal[1], deal[_DEAL["pipeline"]], None, to, "", at, by)

    def retold(self, deal: Cells, history: Sequence[Cells]) -> list[Cells]:
        """Return a history in order, with the stage each entry came from and its move."""
        to = _CHANGE["to_stage"]
        told = moves(self.stages.get(deal[_DEAL["pipeline"]], ()), [change[to] for change in history])
        return [
            (*change[:4], before, change[to], move, *change[7:])
            for change, (before, move) in zip(history, told, strict=True)
        ]

    def write(self, deal: Cells, history: Sequence[Cells], before: Iterable[Cells]) -> None:
        """Gather what is new, other or gone in a deal's history."""
        known = {change[0]: change for change in before}
        for change in self.retold(deal, history):
            stored = known.pop(change[0], None)
            if stored is None:
                # One that was inferred may have the id of one that was taken out.
                self.add("stage_changes", deal[1], change, "upsert" if is_inferred(change[0], deal[0]) else "insert")
            elif stored != change:
                self.add("stage_changes", deal[1], change, "upsert")
        for change in known.values():
            self.add("stage_changes", deal[1], change, "delete")


class DealImport(Histories):
    """Deals as they stand; their history is the opening and, for those that are closed, the closing."""

    def __init__(self, draft: Draft, acting: Acting, cells: CellReader, terms: Terms) -> None:
        super().__init__(draft, acting, cells, terms)
        draft.depends_on("products", *(("sales", "sale_lines") if terms.with_sales else ()))
        self._deals = Records(draft.reader, "deals", _natural_key)
        self._titles: dict[int, str] = {}
        if "title" in terms.fields:
            self._titles = {about: text for about, _, text in texts(draft.reader, "title")}

    def take(self, row: Mapping[str, str]) -> str:
        """Take in one deal."""
        deal: DealRow = self.cells.deal(row)
        if self.terms.with_sales and deal.status == WON and deal.amount and deal.closed_at is None:
            raise InputError("closed_at is empty, and the sale would have no date")
        found = self.clients.find(deal.client)
        known = self.known(self._deals, deal.external_id, found)
        owner = self.people.find(deal.owner)
        client_id = self.client(
            found, deal.client, deal.opened_at if deal.closed_at is None else deal.opened_at or deal.closed_at
        )
        if known is None and found is not None and not deal.external_id:
            key = (client_id, deal.opened_at, deal.pipeline, deal.product_id, owner or self.acting.by, deal.amount)
            known = self._deals.equal(key, lambda c: self._after(c, deal, owner) == c)
        if known is None:
            number = self.acting.new_id()
            stage = deal.stage or self.stages[deal.pipeline][0]
            cells = (
                number, client_id, owner or self.acting.by, deal.pipeline, stage, deal.status, deal.opened_at,
                deal.opened_at, deal.closed_at, deal.amount, deal.product_id, deal.lost_reason, None,
            )  # fmt: skip
            self.named(self._deals, client_id, number, deal.external_id)
        else:
            number, cells = known[0], self._after(known, deal, owner)
        outcome = self._deals.put(cells)
        if deal.title and self._titles.get(number) != deal.title:
            self._titles[number] = deal.title
            self.note(client_id, number, "title", deal.title, deal.opened_at if known is None else None)
            outcome = "changed" if outcome == "unchanged" else outcome
        return outcome

    def _after(self, known: Cells, row: DealRow, owner: int | None) -> Cells:
        """Return a known deal as its row says that it is; an empty cell takes nothing away."""
        before = _deal(known)
        stage = row.stage or before["stage"]
        opened_at = self._told(row.opened_at, before["opened_at"])
        after = before | {
            "owner_id": owner or before["owner_id"],
            "pipeline": row.pipeline,
            "stage": stage,
            "status": row.status,
            "opened_at": opened_at,
            "amount": before["amount"] if row.amount is None else row.amount,
            "product_id": row.product_id or before["product_id"],
            "lost_reason": row.lost_reason or (before["lost_reason"] if row.status == LOST else None),
        }
        if row.pipeline != before["pipeline"]:
            after["stage"] = row.stage or self.stages[row.pipeline][0]
        has_moved = row.status == OPEN and (before["status"] != OPEN or after["stage"] != before["stage"])
        if has_moved:
            # The file does not say since when; it is so now.
            after["entered_at"] = self.now
        elif before["entered_at"] == before["opened_at"]:
            after["entered_at"] = opened_at
        kept = before["closed_at"] if row.status == before["status"] else None
        after["closed_at"] = None if row.status == OPEN else self._told(row.closed_at, kept)
        if row.status != LOST:
            after["return_on"] = None
        return tuple(after.values())

    def _told(self, at: int | None, known: int | None) -> int | None:
        """Return an instant that a row tells, or the one that is known; a day says nothing else than a time of it."""
        if at is None or known is None:
            return known if at is None else at
        day = local_day(instant(at), self.cells.zone)
        is_day = microseconds(day_start(day, self.cells.zone)) == at
        return known if is_day and local_day(instant(known), self.cells.zone) == day else at

    def finish(self) -> None:
        """Gather the deals, their histories and, if asked for, the sales of those that are won."""
        super().finish()
        self.add_records(self._deals)
        owner, opened, closed = _DEAL["owner_id"], _DEAL["opened_at"], _DEAL["closed_at"]
        for cells in self._deals.new.values():
            stage, status, by = cells[4], cells[5], cells[owner]
            self._open(cells, stage, cells[opened], by)
            if status != OPEN:
                closing = (cells[0] ^ CLOSING, *self.change(cells, status, cells[closed], by)[1:4])
                self.add("stage_changes", cells[1], (*closing, stage, status, status, cells[closed], by))
        histories = self.changes_of(self._deals.changed)
        for number, cells in self._deals.changed.items():
            before = histories[number]
            self.write(cells, self._follow(self._deals.stored[number], cells, before), before)
        if self.terms.with_sales:
            self._sell()

    def _open(self, deal: Cells, stage: str, at: int | None, by: int) -> None:
        opening = (deal[0] ^ OPENING, *self.change(deal, stage, at, by)[1:5])
        self.add("stage_changes", deal[1], (*opening, stage, "open", at, by))

    def _follow(self, old: Cells, new: Cells, history: Sequence[Cells]) -> list[Cells]:
        """Return a known deal's history as it is once the deal has become `new`."""
        before, after = _deal(old), _deal(new)
        place, to = _CHANGE["changed_at"], _CHANGE["to_stage"]
        entries = [_with(change, pipeline=after["pipeline"]) for change in history]
        if entries and entries[0][place] == before["opened_at"]:
            entries[0] = _with(entries[0], changed_at=after["opened_at"])
        was_closed, is_closed = before["status"] != OPEN, after["status"] != OPEN
        by = after["owner_id"]
        if was_closed and is_closed and entries and entries[-1][to] in _CLOSED:
            entries[-1] = _with(entries[-1], to_stage=after["status"], changed_at=after["closed_at"])
        elif is_closed and not was_closed:
            entries.append(self._inferred(new, after["status"], after["closed_at"], by, history))
        elif not is_closed and (was_closed or after["stage"] != before["stage"]):
            entries.append(self._inferred(new, after["stage"], self.now, by, history))
        stops = [place for place, change in enumerate(entries) if change[to] not in _CLOSED]
        if stops and is_closed and entries[stops[-1]][to] != after["stage"]:
            # It was closed from another stage than was thought.
            entries[stops[-1]] = _with(entries[stops[-1]], to_stage=after["stage"])
        return entries

    def _inferred(self, deal: Cells, to: str, at: int | None, by: int, history: Iterable[Cells]) -> Cells:
        """Return one more inferred entry of a deal's history."""
        change = self.change(deal, to, at, by)
        return (inferred_id(deal[0], {entry[0] for entry in history}) or change[0], *change[1:])

    def _sell(self) -> None:
        """Gather the sale of each deal that is won, unless it has one; one that an import made follows its deal."""
        records = Records(self.draft.reader, "sales", lambda _: None)
        linked: dict[int, Cells] = {sale[5]: sale for sale in records.stored.values() if sale[5] and not sale[6]}
        lines = self._lines({sale[0] for sale in linked.values()})
        for deal_id in self._deals.seen | set(self._deals.new):
            deal = _deal(self._deals.current(deal_id))
            if deal["status"] != WON or not deal["amount"]:
                continue
            sale, sold = linked.get(deal_id), (deal["closed_at"], deal["amount"])
            if sale is None:
                number = self.acting.new_id()
                records.put((number, deal["client_id"], *sold, deal["owner_id"], deal_id, None, False))
                self._itemise(deal, number, None)
                self.outcome.sales += 1
            elif deal_id in self._deals.changed:
                before = _deal(self._deals.stored[deal_id])
                if sale[2:4] == (before["closed_at"], before["amount"]):
                    records.put((*sale[:2], *sold, *sale[4:]))
                    known = lines.get(sale[0], [])
                    if not known or [line[3:] for line in known] == [_item(before)]:
                        self._itemise(deal, sale[0], known[0][0] if known else None)
        self.add_records(records)

    def _lines(self, sale_ids: set[int]) -> dict[int, list[Cells]]:
        """Return the lines of sales that are in the store."""
        lines: dict[int, list[Cells]] = defaultdict(list)
        for line in stored(self.draft.reader, "sale_lines", ("sale_id", list(sale_ids))).values() if sale_ids else ():
            lines[line[1]].append(line)
        return lines

    def _itemise(self, deal: Mapping[str, Any], sale_id: int, line_id: int | None) -> None:
        """Gather what the sale of a deal is of, if the deal names a product: a new line, or a known one changed."""
        if deal["product_id"]:
            cells = (line_id or self.acting.new_id(), sale_id, deal["client_id"], *_item(deal))
            self.add("sale_lines", deal["client_id"], cells, "upsert" if line_id else "insert")


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
        stage, status = self.cells.stage(deal[_DEAL["pipeline"]], moved.stage)
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
        to, at, owner = _CHANGE["to_stage"], _CHANGE["changed_at"], _CHANGE["by_id"]
        entries = sorted(entries, key=lambda entry: (entry[1], entry[0] in _CLOSED))
        replaced = _giving_way(deal, sorted(before, key=_when), [entry[:2] for entry in entries])
        instead = set(replaced.values())
        history = [change for change in before if change[0] not in replaced]
        known = {(change[to], change[at]): place for place, change in enumerate(history)}
        # Of rows that say the same of different people the last one counts.
        named = {entry[:2]: entry[2] for entry in entries if entry[2] is not None}
        for stage, when, _ in entries:
            place, by = known.get((stage, when)), named.get((stage, when))
            if place is None:
                known[stage, when] = len(history)
                history.append(self.change(deal, stage, when, by or deal[_DEAL["owner_id"]]))
                count["changed" if (stage, when) in instead else "new"] += 1
            elif by in {None, history[place][owner]}:
                count["unchanged"] += 1
            else:
                history[place] = _with(history[place], by_id=by)
                count["changed"] += 1
        history.sort(key=_when)
        return history


def _giving_way(deal: Cells, before: Sequence[Cells], rows: Sequence[tuple[str, int]]) -> dict[int, tuple[str, int]]:
    """Return which inferred entries of a history, in order, give way to which rows of a file, in order.

    An opening does to the first row, if all that is known was inferred; any other entry to the last row of its stop,
    if that is of another time, but neither before the entry before it nor a day later.
    """
    found: dict[int, tuple[str, int]] = {}
    to, at = _CHANGE["to_stage"], _CHANGE["changed_at"]
    inferred = [change for change in before if is_inferred(change[0], deal[0])]
    is_recorded = any(change[to] not in _CLOSED for change in before if change not in inferred)
    if not is_recorded and rows[0][0] not in _CLOSED:
        found |= {change[0]: rows[0] for change in inferred if change[0] == deal[0] ^ OPENING}
    last = dict(rows)
    for place, change in enumerate(before):
        told = last.get(change[to])
        if change in inferred and change[0] not in found and told is not None:
            earliest, inferred_at = before[place - 1][at] if place else None, change[at]
            is_near = inferred_at is None or (told != inferred_at and told < inferred_at + _DAY)
            if is_near and (earliest is None or earliest <= told):
                found[change[0]] = change[to], told
    return found


def _standing(deal: Cells, history: Sequence[Cells]) -> Cells:
    """Return a deal as its history leaves it."""
    to, at = _CHANGE["to_stage"], _CHANGE["changed_at"]
    cells = _deal(deal)
    stops = [change for change in history if change[to] not in _CLOSED]
    if stops:
        cells |= {"stage": stops[-1][to], "entered_at": stops[-1][at]}
    last = history[-1]
    if last[to] not in _CLOSED:
        cells |= {"status": OPEN, "closed_at": None, "lost_reason": None, "return_on": None}
    else:
        cells |= {"status": last[to], "closed_at": last[at]}
    if cells["opened_at"] is None:
        cells["opened_at"] = history[0][at]
    return tuple(cells.values())


def _item(deal: Mapping[str, Any]) -> Cells:
    """Return product, quantity, price and amount of the line that says what a deal was about."""
    return deal["product_id"], 1, deal["amount"], deal["amount"]


def _natural_key(deal: Cells) -> Any:
    cells = _deal(deal)
    return tuple(cells[name] for name in ("client_id", "opened_at", "pipeline", "product_id", "owner_id", "amount"))


def _when(change: Cells) -> tuple[bool, int, bool]:
    """Return what orders a history: an entry without a time comes first, a closing last of its instant."""
    at = change[_CHANGE["changed_at"]]
    return at is not None, at or 0, change[_CHANGE["to_stage"]] in _CLOSED


def _with(change: Cells, **cells: Any) -> Cells:
    return tuple((dict(zip(_CHANGE, change, strict=True)) | cells).values())
