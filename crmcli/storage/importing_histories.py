"""What the imports of deals and of their stages share: a deal's history, in order, and what becomes of it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from crmcli.model.inferred import is_inferred
from crmcli.model.moves import in_chain, moves
from crmcli.model.records import LOST, WON
from crmcli.storage.importing import Import
from crmcli.storage.matching import stored
from crmcli.storage.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from crmcli.model.acting import Acting
    from crmcli.model.importing import Cells as CellReader
    from crmcli.storage.importing import Terms
    from crmcli.storage.matching import Cells
    from crmcli.storage.view import Draft

DEAL = {name: place for place, name in enumerate(TABLES["deals"].kinds)}
CHANGE = {name: place for place, name in enumerate(TABLES["stage_changes"].kinds)}
CLOSED = (WON, LOST)
_EVER = 1 << 62


def as_deal(cells: Cells) -> dict[str, Any]:
    """Return the cells of a deal by column."""
    return dict(zip(DEAL, cells, strict=True))


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
            history.sort(key=lambda change: moment_of(change)[:2])
            entries = [(change[CHANGE["changed_at"]], *change[4:7]) for change in history]
            changes[number] = [history[place] for place in in_chain(entries)]
        return changes

    def change(self, deal: Cells, to: str, at: int | None, by: int) -> Cells:
        """Return an entry of a deal's history; where it came from and the move are told by `retold`."""
        return (self.acting.new_id(), deal[0], deal[1], deal[DEAL["pipeline"]], None, to, "", at, by)

    def retold(self, deal: Cells, history: Sequence[Cells]) -> list[Cells]:
        """Return a history in order, with the stage each entry came from and its move."""
        to = CHANGE["to_stage"]
        told = moves(self.stages.get(deal[DEAL["pipeline"]], ()), [change[to] for change in history])
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


def moment_of(change: Cells) -> tuple[bool, int, bool]:
    """Return what orders a history: without a time an opening comes first, a closing last, as of its instant."""
    at, is_closing = change[CHANGE["changed_at"]], change[CHANGE["to_stage"]] in CLOSED
    return at is not None or is_closing, _EVER if at is None and is_closing else at or 0, is_closing


def changed(change: Cells, **cells: Any) -> Cells:
    """Return an entry of a history with other cells in some columns."""
    return tuple((dict(zip(CHANGE, change, strict=True)) | cells).values())
