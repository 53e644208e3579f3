"""The import of stages in columns: the rows of a file and the histories in the store are laid together at once.

An entry of a history is a row of a batch: `deal`, a place among the deals that the file names; `when`, twice its
microseconds, plus 1 for a closing; `to`, a number of `Stops`; `by`, null where the file names nobody; `origin`, its
place among the stored entries, null for a new one; `row`, its place in the file, null for one that only the store has;
`instead`, whether it takes the place of an inferred one.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import pyarrow as pa

from crmcli.model.ids import decode_id
from crmcli.model.importing import external_key
from crmcli.model.inferred import LAST, OPENING
from crmcli.model.records import OPEN
from crmcli.storage import kernels as pc
from crmcli.storage.importing_columns import DAY, halves, instants, new_ids, read_each, require
from crmcli.storage.importing_named import numbers_of, used
from crmcli.storage.importing_stops import Stops
from crmcli.storage.plain_sheet import coded
from crmcli.storage.together import side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable

    from crmcli.storage.importing_moves import StageImport

# When an entry without a time took place: before all others, and a closing after them.
_NEVER = -(1 << 62)
_INSTANT = pa.timestamp("us")
_NO_PLACE = pa.scalar(None, pa.int64())

Change: TypeAlias = "tuple[str, str, dict[str, pa.Array]]"


class Told(NamedTuple):
    """What comes of rows: changes of the store (table, kind, cells by column), counts, and the rows that are left."""

    changes: list[Change]
    counts: dict[str, int]
    left: list[int]


class Entries:
    """The entries of a file and those of the store. Raises: NotPlainError if a cell of the file does not read."""

    def __init__(self, importing: StageImport, columns: pa.Table) -> None:
        self._importing = importing
        self._stops = Stops(importing.stages)
        # The store is read by one of these alone.
        at, names, (deals, notes, changes), self._ids = side_by_side(
            lambda: instants(columns.column("changed_at"), importing.cells),
            lambda: coded(columns.column("deal")),
            self._read,
            lambda: new_ids(importing.acting, columns.num_rows),
        )
        numbers = self._numbers(names.dictionary, notes, deals.column("deal_id"))
        if len(numbers) < deals.num_rows:
            deals = pc.filtered(deals, pc.is_in(deals.column("deal_id"), numbers))
        self._deals, place = used(pc.batch(deals), numbers)
        require(importing.clients.may_change(self._deals.column("client_id")))
        self._pipelines = pc.coded(self._deals.column("pipeline"))
        deal = pc.taken(place, names.indices)
        to, self._changes = side_by_side(
            lambda: self._numbered(deal, columns.column("stage"), self._meant), lambda: self._of_these(changes)
        )
        rows = {"deal": deal, "when": self._when(at, to), "to": to, "row": pa.arange(0, columns.num_rows)}
        if "by" in columns.column_names:
            # Last of what may fail, for it makes people.
            rows["by"] = read_each(columns.column("by"), importing.people.find, pa.int64())
        self._rows = pa.record_batch(rows)

    def _read(self) -> tuple[pa.Table, pa.RecordBatch, pa.Table]:
        """Return the deals, the external ids of records with whose each is, and the histories that are in the store."""
        reader = self._importing.draft.reader
        notes = reader.merged("notes", ["about_id", "field", "text"])
        notes = pc.filtered(notes, pc.equal(notes.column("field"), "external_id"))
        return reader.merged("deals"), pc.batch(notes), reader.merged("stage_changes")

    def _numbers(self, texts: pa.Array, notes: pa.RecordBatch, ids: pa.ChunkedArray) -> pa.Array:
        """Return the id of the deal that each text means: by external id, else as it is. Raises: NotPlainError."""
        namespace = self._importing.terms.namespace
        found = numbers_of(texts, notes, ids)
        if namespace:
            ours = pa.array([external_key(namespace, text) for text in texts.to_pylist()], pa.string())
            found = pc.coalesce(numbers_of(ours, notes, ids), found)
        if not found.null_count:
            return found
        missing = pc.is_null(found)
        shown = [decode_id(text) for text in pc.filtered(texts, missing).to_pylist()]
        return pc.replaced(found, missing, pa.array(shown, pa.int64()))

    def _of_these(self, changes: pa.Table) -> pa.RecordBatch:
        """Return the history of the deals, with the place of its deal, `deal`, in each row."""
        deal = pc.index_in(changes.column("deal_id"), self._deals.column("deal_id"))
        rows = changes.append_column("deal", deal)
        return pc.batch(pc.filtered(rows, pc.is_valid(deal)) if deal.null_count else rows)

    def _meant(self, pipeline: str, text: str) -> str:
        stage, status = self._importing.cells.stage(pipeline, text)
        return stage or status

    def _numbered(self, deal: pa.Array, words: Any, read: Callable[[str, str], str]) -> pa.Array:
        """Return the number of what each word means for its deal, which `read` tells by pipeline and word."""
        named = coded(words)
        pipelines, known = self._pipelines.dictionary.to_pylist(), named.dictionary.to_pylist()

        def number(code: int) -> int:
            pipeline, word = pipelines[code // len(known)], known[code % len(known)]
            return self._stops.number(pipeline, read(pipeline, word))

        if len(pipelines) == 1:
            # Every word means one thing.
            return pc.taken(read_each(pa.array(range(len(known)), pa.int32()), number, pa.int32()), named.indices)
        pairs = pc.add(pc.multiply(pc.taken(self._pipelines.indices, deal), len(known)), named.indices)
        return read_each(pairs, number, pa.int32())

    def _when(self, at: pa.Array, to: pa.Array) -> pa.Array:
        """Return what orders a history: without a time an opening comes first, a closing last, as of its instant."""
        is_closing = self._stops.are_closings(to)
        twice = pc.multiply(at, 2)
        if at.null_count:
            twice = pc.coalesce(twice, pc.if_else(is_closing, -_NEVER, _NEVER))
        return pc.add(twice, pc.cast_to(is_closing, pa.int64()))

    def lay(self) -> list[int]:
        """Gather what comes of the rows; return the places of those that are left to be taken one by one.

        Left are the rows of deals that have an entry twice, by different people.
        """
        stored, spans = self._stored(), halves(self._deals.num_rows, self._rows.num_rows)
        parts = side_by_side(*(partial(self._told, stored, span) for span in spans))
        left: list[int] = []
        ids = self._ids
        for told in parts:
            for table, kind, cells in told.changes:
                if kind == "delete":
                    self._importing.take_out(table, cells)
                    continue
                if kind == "insert":
                    count = len(cells["deal_id"])
                    cells["change_id"], ids = ids.slice(0, count), ids.slice(count)
                self._importing.put_columns(table, cells, kind)
            self._importing.outcome.rows.update(told.counts)
            left += told.left
        self._importing.outcome.read += self._rows.num_rows - len(left)
        return sorted(left)

    def _told(self, stored: pa.RecordBatch, span: tuple[int, int]) -> Told:
        """Return what comes of the rows of the deals of some places."""
        stored = _in_order(stored, *span)
        laid, gone = self._laid(stored, _in_order(self._rows, *span), span)
        entries, unchanged, left = self._without_known(laid, self._unclear(stored, laid))
        if left:
            gone = pc.filtered(gone, pc.is_in(gone.column("deal"), pc.distinct(entries.column("deal"))))
        is_new = pc.is_null(entries.column("origin"))
        changed = pc.count_true(pc.and_(is_new, entries.column("instead")))
        count = {"new": pc.count_true(is_new) - changed, "changed": changed, "unchanged": unchanged}
        if not entries.num_rows:
            return Told([], count, left)
        entries = entries.append_column("stop", self._newest_stops(entries))
        return Told([*self._changes_of(entries), self._gone(gone), self._deals_of(entries)], count, left)

    def _laid(
        self, stored: pa.RecordBatch, fresh: pa.RecordBatch, span: tuple[int, int]
    ) -> tuple[pa.RecordBatch, pa.RecordBatch]:
        """Return all entries of some deals in order, and the inferred ones that give way."""
        if "by" not in fresh.schema.names:
            fresh = fresh.append_column("by", _no_places(fresh))
        fresh = fresh.append_column("origin", _no_places(fresh))
        gone, places = self._giving_way(stored, fresh)
        instead = pc.is_in(pa.arange(0, fresh.num_rows), places)
        fresh = fresh.append_column("instead", instead)
        if gone.num_rows < stored.num_rows:
            stored = pc.filtered(stored, pc.invert(pc.is_in(stored.column("origin"), gone.column("origin"))))
            return _in_order(pa.concat_batches([stored, fresh.select(stored.schema.names)]), *span), gone
        return fresh, gone

    def _giving_way(self, stored: pa.RecordBatch, fresh: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.Array]:
        """Return the inferred entries that give way to rows, and the places of these rows.

        An opening does to the first row, if all that is known was inferred; any other entry to the last row of its
        stop, if that is neither before the entry before it nor a day later.
        """
        differs = self._bits(stored)
        is_inferred = pc.less_equal(differs, LAST)
        deal, when, to = (stored.column(name) for name in ("deal", "when", "to"))
        recorded = pc.filtered(deal, pc.and_(pc.invert(self._stops.are_closings(to)), pc.invert(is_inferred)))
        firsts = pc.filtered(pa.arange(0, fresh.num_rows), _are_first(fresh))
        first = pc.taken(fresh.select(["deal", "to"]), firsts)
        opened = pc.filtered(first.column("deal"), pc.invert(self._stops.are_closings(first.column("to"))))
        is_opening = pc.and_(pc.equal(differs, OPENING), pc.invert(pc.is_in(deal, recorded)))
        gives_way = pc.and_(is_opening, pc.is_in(deal, opened))
        places = pc.taken(firsts, pc.index_in(pc.filtered(deal, gives_way), first.column("deal")))
        if pc.count_true(is_inferred) > len(places):
            last = self._last_of(fresh, stored)
            at, told = (pc.shift_right(cells, 1) for cells in (when, pc.taken(fresh.column("when"), last)))
            before = pc.if_else(_are_first(stored), _NEVER, _previous(at))
            is_near = pc.or_(_are_undated(when), pc.less(told, pc.add(at, DAY)))
            is_told = pc.is_true(pc.and_(pc.less_equal(before, told), is_near))
            others = pc.and_(pc.and_(is_inferred, pc.invert(gives_way)), is_told)
            places = pa.concat_arrays([places, pc.filtered(last, others)])
            gives_way = pc.or_(gives_way, others)
        return pc.filtered(stored, gives_way), places

    def _last_of(self, fresh: pa.RecordBatch, stored: pa.RecordBatch) -> pa.Array:
        """Return for each stored entry the place of the last row that tells of its deal and stop, null for none."""
        key, known = (
            pc.add(pc.multiply(rows.column("deal"), len(self._stops)), rows.column("to")) for rows in (stored, fresh)
        )
        backwards = pa.arange(fresh.num_rows - 1, -1, -1)
        return pc.taken(backwards, pc.index_in(key, pc.taken(known, backwards)))

    def _gone(self, gone: pa.RecordBatch) -> Change:
        """Return the stored entries that are to be taken out."""
        keys = self._changes.select(["client_id", "change_id"])
        return "stage_changes", "delete", _cells(pc.taken(keys, gone.column("origin")))

    def _stored(self) -> pa.RecordBatch:
        """Return the entries of the store."""
        deal = self._changes.column("deal")
        to = self._numbered(deal, self._changes.column("to_stage"), lambda _, word: word)
        when = self._when(self._changes.column("changed_at").view(pa.int64()), to)
        none = _no_places(self._changes)
        rows = {"deal": deal, "when": when, "to": to, "by": none, "origin": pa.arange(0, len(none)), "row": none}
        return pa.record_batch(rows | {"instead": pc.is_valid(none)})

    def _unclear(self, stored: pa.RecordBatch, laid: pa.RecordBatch) -> pa.Array:
        """Return the deals of which times do not tell the order: of stored entries, or of an inferred closing."""
        is_early = pc.and_(self._stops.are_closings(laid.column("to")), pc.invert(_are_last(laid)))
        early = pc.filtered(laid.select(["deal", "origin"]), pc.and_(is_early, pc.is_valid(laid.column("origin"))))
        is_inferred = pc.less_equal(self._bits(early), LAST)
        return pa.concat_arrays([_tied(stored), pc.filtered(early.column("deal"), is_inferred)])

    def _bits(self, stored: pa.RecordBatch) -> pa.Array:
        """Return in what the id of each stored entry differs from that of its deal."""
        ids = pc.taken(self._changes.select(["change_id", "deal_id"]), stored.column("origin"))
        return pc.bits_xor(ids.column("change_id"), ids.column("deal_id"))

    def _without_known(self, entries: pa.RecordBatch, odd: pa.Array) -> tuple[pa.RecordBatch, int, list[int]]:
        """Return the entries but for rows that say what an earlier entry says, how many those are, and rows to leave.

        All rows of a deal are left if it is one of the `odd`, or if a row names somebody else than its entry.
        """
        deal, when, to, row = (entries.column(name) for name in ("deal", "when", "to", "row"))
        if not len(odd) and not len(_tied(entries)):
            return entries, 0, []
        moment = pc.cast_to(pc.coded(when).indices, pa.int64())
        key = pc.add(pc.multiply(pc.add(pc.multiply(moment, self._deals.num_rows), deal), len(self._stops)), to)
        first = pc.index_in(key, key)
        instead = pc.is_in(pa.arange(0, len(key)), pc.filtered(first, entries.column("instead")))
        entries = entries.set_column(entries.schema.get_field_index("instead"), "instead", instead)
        is_again = pc.not_equal(first, pa.arange(0, len(key)))
        agrees = pc.coalesce(pc.equal(entries.column("by"), pc.taken(self._by(entries), first)), True)
        is_known = pc.and_(is_again, pc.and_(pc.is_valid(row), agrees))
        is_left = pc.is_in(deal, pa.concat_arrays([odd, pc.filtered(deal, pc.and_(is_again, pc.invert(is_known)))]))
        left: list[int] = pc.filtered(row, pc.and_(is_left, pc.is_valid(row))).to_pylist()
        rest = pc.filtered(entries, pc.invert(pc.or_(is_known, is_left)))
        return rest, pc.count_true(pc.and_(is_known, pc.invert(is_left))), sorted(left)

    def _by(self, entries: pa.RecordBatch) -> pa.Array:
        """Return who made each entry: whom its row names, else who made the stored one, else the owner of the deal."""
        by, origin = entries.column("by"), entries.column("origin")
        if origin.null_count < len(origin):
            by = pc.coalesce(by, pc.taken(self._changes.column("by_id"), origin))
        owner = pc.taken(self._deals.column("owner_id"), entries.column("deal"))
        return pc.coalesce(by, owner) if by.null_count < len(by) else owner

    def _newest_stops(self, entries: pa.RecordBatch) -> pa.Array:
        """Return for each entry the place of the newest one of its deal so far that is a stage, null for none."""
        is_stop = pc.invert(self._stops.are_closings(entries.column("to")))
        none = pc.if_else(_are_first(entries), -1, _NO_PLACE)
        found = pc.filled_forward(pc.if_else(is_stop, pa.arange(0, entries.num_rows), none))
        return pc.if_else(pc.equal(found, -1), _NO_PLACE, found)

    def _changes_of(self, entries: pa.RecordBatch) -> list[Change]:
        """Return the new entries, and the stored ones that tell something else now."""
        to, is_first = entries.column("to"), _are_first(entries)
        before = pc.taken(to, pc.if_else(is_first, _NO_PLACE, _previous(entries.column("stop"))))
        was_closed = pc.and_(pc.invert(is_first), _previous(self._stops.are_closings(to)))
        moves = self._stops.moves(before, was_closed, to)
        entries = entries.append_column("before", before).append_column("move", moves)
        is_new = pc.is_null(entries.column("origin"))
        new, known = pc.filtered(entries, is_new), pc.filtered(entries, pc.invert(is_new))
        deal = new.column("deal")
        whose = _cells(pc.taken(self._deals.select(["deal_id", "client_id"]), deal))
        made = whose | {"pipeline": pc.taken(self._pipelines, deal)} | self._told_of(new)
        stored = pc.taken(self._changes, known.column("origin"))
        told = _others(stored, pa.record_batch(self._told_of(known)))
        return [("stage_changes", "insert", made), ("stage_changes", "upsert", told)]

    def _told_of(self, entries: pa.RecordBatch) -> dict[str, pa.Array]:
        """Return what a change tells of each entry."""
        return {
            "from_stage": self._stops.words(entries.column("before")),
            "to_stage": self._stops.words(entries.column("to")),
            "move": entries.column("move"),
            "changed_at": _instants(entries.column("when")),
            "by_id": self._by(entries),
        }

    def _deals_of(self, entries: pa.RecordBatch) -> Change:
        """Return the deals that stand elsewhere now: a deal stands where its history ends."""
        opened = pc.filtered(entries.column("when"), _are_first(entries))
        last = pc.filtered(entries, _are_last(entries))
        stop, to = pc.taken(entries.select(["to", "when"]), last.column("stop")), last.column("to")
        deals = pc.taken(self._deals, last.column("deal"))
        is_open = pc.invert(self._stops.are_closings(to))

        def unless_open(cells: pa.Array) -> pa.Array:
            return pc.if_else(is_open, pa.scalar(None, cells.type), cells)

        entered_at = pc.if_else(
            pc.is_null(last.column("stop")), deals.column("entered_at"), _instants(stop.column("when"))
        )
        told = {
            "stage": pc.coalesce(_texts(self._stops.words(stop.column("to"))), deals.column("stage")),
            "status": pc.if_else(is_open, OPEN, _texts(self._stops.words(to))),
            "opened_at": pc.coalesce(deals.column("opened_at"), _instants(opened)),
            "entered_at": entered_at,
            "closed_at": unless_open(_instants(last.column("when"))),
            "lost_reason": unless_open(deals.column("lost_reason")),
            "return_on": unless_open(deals.column("return_on")),
        }
        return "deals", "upsert", _others(deals, pa.record_batch(told))


def _others(stored: pa.RecordBatch, told: pa.RecordBatch) -> dict[str, pa.Array]:
    """Return the cells of the stored rows of which something else is told now."""
    is_other = pa.repeat(False, stored.num_rows)  # noqa: FBT003
    for name, cells in _cells(told).items():
        before, after = stored.column(name), _texts(cells)
        differs = pc.is_true(pc.not_equal(before, after))
        is_other = pc.or_(is_other, pc.or_(differs, pc.not_equal(pc.is_null(before), pc.is_null(after))))
    return _cells(pc.filtered(stored, is_other)) | _cells(pc.filtered(told, is_other))


def _texts(cells: pa.Array) -> pa.Array:
    return pc.cast_to(cells, pa.string()) if pa.types.is_dictionary(cells.type) else cells


def _cells(rows: pa.RecordBatch) -> dict[str, pa.Array]:
    return dict(zip(rows.schema.names, rows.columns, strict=True))


def _no_places(rows: pa.RecordBatch) -> pa.Array:
    return pa.nulls(rows.num_rows, pa.int64())


def _in_order(rows: pa.RecordBatch, start: int, end: int) -> pa.RecordBatch:
    """Return the entries of some deals, deal by deal, each history in order; what happened at once stays as it is."""
    theirs = pc.taken(rows, pc.order_between(rows.column("deal"), start, end))
    return theirs if pc.is_ascending(rows.column("when")) else pc.sorted_by(theirs, "deal", "when")


def _previous(cells: pa.Array) -> pa.Array:
    """Return for each row the cell of the row before; for the first one, its own."""
    return pa.concat_arrays([cells.slice(0, 1), cells.slice(0, max(len(cells) - 1, 0))])


def _are_first(entries: pa.RecordBatch) -> pa.Array:
    """Say of each entry whether it is the first one of its deal."""
    deal = entries.column("deal")
    differs = pc.not_equal(deal, _previous(deal))
    return pa.concat_arrays([pa.repeat(True, min(len(deal), 1)), differs.slice(1)])  # noqa: FBT003


def _are_last(entries: pa.RecordBatch) -> pa.Array:
    """Say of each entry whether it is the last one of its deal, as the one before the first of the next deal is."""
    return pa.concat_arrays([_are_first(entries).slice(1), pa.repeat(True, min(entries.num_rows, 1))])  # noqa: FBT003


def _tied(entries: pa.RecordBatch) -> pa.Array:
    """Return the deals that have several entries of one instant, each time."""
    when = entries.column("when")
    return pc.filtered(entries.column("deal"), pc.and_(pc.invert(_are_first(entries)), pc.equal(when, _previous(when))))


def _instants(when: pa.Array) -> pa.Array:
    """Return the instants of entries, null for those without a time."""
    return pc.if_else(_are_undated(when), _NO_PLACE, pc.shift_right(when, 1)).view(_INSTANT)


def _are_undated(when: pa.Array) -> pa.Array:
    return pc.or_(pc.less(when, _NEVER // 2), pc.greater_equal(when, -_NEVER // 2))
