"""The import of deals, which tells where each one stands: a deal and its history always tell the same."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from crmcli.errors import InputError
from crmcli.model.dates import local_day
from crmcli.model.importing import DealRow, instant
from crmcli.model.inferred import CLOSING, OPENING, inferred_id, is_inferred
from crmcli.model.records import LOST, OPEN, WON
from crmcli.storage.matching import Records, stored, texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from crmcli.model.acting import Acting
    from crmcli.model.importing import Cells as CellReader
    from crmcli.storage.importing import Terms
    from crmcli.storage.matching import Cells
    from crmcli.storage.view import Draft
from crmcli.storage.importing_histories import CHANGE, CLOSED, DEAL, Histories, as_deal, changed


class DealImport(Histories):
    """Deals as they stand; their history is the opening and, for those that are closed, the closing."""

    def __init__(self, draft: Draft, acting: Acting, cells: CellReader, terms: Terms) -> None:
        super().__init__(draft, acting, cells, terms)
        draft.depends_on("products", *(("sales", "sale_lines") if terms.with_sales else ()))
        self._deals = Records(draft.reader, "deals", _natural_key)
        self._titles: dict[int, str] = {}
        self._retitled: set[int] = set()
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
            opened_at, closed_at = deal.opened_at, deal.closed_at
            if opened_at is not None and closed_at is not None:
                closed_at = max(opened_at, closed_at)
            cells = (
                number, client_id, owner or self.acting.by, deal.pipeline, stage, deal.status, opened_at,
                opened_at, closed_at, deal.amount, deal.product_id, deal.lost_reason, None,
            )  # fmt: skip
            self.named(self._deals, client_id, number, deal.external_id)
        else:
            number, cells = known[0], self._after(known, deal, owner)
        outcome = self._deals.put(cells)
        if deal.title and self._titles.get(number) != deal.title:
            self._titles[number] = deal.title
            self._retitled.add(number)
            self.note(client_id, number, "title", deal.title, deal.opened_at if known is None else None)
            outcome = "changed" if outcome == "unchanged" else outcome
        return outcome

    def _after(self, known: Cells, row: DealRow, owner: int | None) -> Cells:
        """Return a known deal as its row says that it is; an empty cell takes nothing away."""
        before = as_deal(known)
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
        return known if self.cells.is_day_of(at, known) else at

    def finish(self) -> None:
        """Gather the deals, their histories and, if asked for, the sales of those that are won."""
        super().finish()
        owner, opened, closed = DEAL["owner_id"], DEAL["opened_at"], DEAL["closed_at"]
        for cells in self._deals.new.values():
            stage, status, by = cells[4], cells[5], cells[owner]
            self._open(cells, stage, cells[opened], by)
            if status != OPEN:
                closing = (cells[0] ^ CLOSING, *self.change(cells, status, cells[closed], by)[1:4])
                self.add("stage_changes", cells[1], (*closing, stage, status, status, cells[closed], by))
        histories = self.changes_of(self._deals.changed)
        for number, cells in list(self._deals.changed.items()):
            before, known = histories.get(number, []), self._deals.stored[number]
            history = self._follow(known, cells, before)
            deal = self._as_recorded(cells, history)
            self.write(deal, history, before)
            self._deals.changed[number] = deal
            if deal == known:
                # All that the row says otherwise was recorded.
                del self._deals.changed[number]
                if number not in self._retitled:
                    self.outcome.rows.update(changed=-1, unchanged=1)
        self.add_records(self._deals)
        if self.terms.with_sales:
            self._sell()

    def _open(self, deal: Cells, stage: str, at: int | None, by: int) -> None:
        opening = (deal[0] ^ OPENING, *self.change(deal, stage, at, by)[1:5])
        self.add("stage_changes", deal[1], (*opening, stage, "open", at, by))

    def _follow(self, old: Cells, new: Cells, history: Sequence[Cells]) -> list[Cells]:
        """Return a known deal's history as it is once the deal has become `new`; what was recorded stays as it is."""
        before, after = as_deal(old), as_deal(new)
        at, to = CHANGE["changed_at"], CHANGE["to_stage"]
        entries = [changed(change, pipeline=after["pipeline"]) for change in history]
        if entries and is_inferred(entries[0][0], new[0]) and entries[0][at] == before["opened_at"]:
            entries[0] = changed(entries[0], changed_at=after["opened_at"])
        by = after["owner_id"]
        if after["status"] == OPEN:
            if before["status"] != OPEN or after["stage"] != before["stage"]:
                entries.append(self._inferred(new, after["stage"], self.now, by, history))
            return entries
        known = entries[-1] if entries and entries[-1][to] in CLOSED else None
        is_guess = known is not None and (known[at] is None or is_inferred(known[0], new[0]))
        if known is not None and not is_guess and known[to] == after["status"]:
            return entries
        if is_guess:
            entries.pop()
        if entries and is_inferred(entries[-1][0], new[0]) and entries[-1][to] not in CLOSED:
            # It was closed from another stage than was thought.
            entries[-1] = changed(entries[-1], to_stage=after["stage"])
        closed_at = after["closed_at"]
        if closed_at is not None and entries and entries[-1][at] is not None:
            # A day begins before all that happened on it.
            closed_at = max(closed_at, entries[-1][at])
        closing = known if is_guess and known else self._inferred(new, after["status"], closed_at, by, history)
        entries.append(changed(closing, to_stage=after["status"], changed_at=closed_at))
        return entries

    def _as_recorded(self, deal: Cells, history: Sequence[Cells]) -> Cells:
        """Return a closed deal as its history has it: when it was closed, and from which stage."""
        cells, to = as_deal(deal), CHANGE["to_stage"]
        stops = [change[to] for change in history if change[to] in self.stages.get(cells["pipeline"], ())]
        if cells["status"] != OPEN and history and history[-1][to] in CLOSED:
            cells |= {"closed_at": history[-1][CHANGE["changed_at"]], "stage": stops[-1] if stops else cells["stage"]}
        return tuple(cells.values())

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
            deal = as_deal(self._deals.current(deal_id))
            if deal["status"] != WON or not deal["amount"]:
                continue
            sale, sold = linked.get(deal_id), (deal["closed_at"], deal["amount"])
            if sale is None:
                number = self.acting.new_id()
                records.put((number, deal["client_id"], *sold, deal["owner_id"], deal_id, None, False))
                self._itemise(deal, number, None)
                self.outcome.sales += 1
            elif deal_id in self._deals.changed:
                before = as_deal(self._deals.stored[deal_id])
                if sale[3] == before["amount"] and self._are_of_a_day(sale[2], before["closed_at"]):
                    sold_at = sale[2] if self._are_of_a_day(sale[2], deal["closed_at"]) else deal["closed_at"]
                    records.put((*sale[:2], sold_at, deal["amount"], *sale[4:]))
                    known = lines.get(sale[0], [])
                    if not known or [line[3:] for line in known] == [_item(before)]:
                        self._itemise(deal, sale[0], known[0][0] if known else None)
        self.add_records(records)

    def _are_of_a_day(self, one: int, other: int | None) -> bool:
        return other is not None and local_day(instant(one), self.cells.zone) == local_day(
            instant(other), self.cells.zone
        )

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


def _item(deal: Mapping[str, Any]) -> Cells:
    """Return product, quantity, price and amount of the line that says what a deal was about."""
    return deal["product_id"], 1, deal["amount"], deal["amount"]


def _natural_key(deal: Cells) -> Any:
    cells = as_deal(deal)
    return tuple(cells[name] for name in ("client_id", "opened_at", "pipeline", "product_id", "owner_id", "amount"))
