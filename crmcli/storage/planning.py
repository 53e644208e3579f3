"""Planning: the touches that are due in a member's own book become reminders, one open for each client at most."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from crmcli.model.cadence import Touchable, cadence_of, next_touch, plan
from crmcli.model.records import ANSWERED, CALL, DONE, OPEN
from crmcli.model.reminding import CADENCE
from crmcli.storage import kernels as pc
from crmcli.storage.members import may_write

if TYPE_CHECKING:
    from datetime import date

    from crmcli.model.acting import Acting
    from crmcli.model.records import Client, Record
    from crmcli.storage.view import Draft, View

_TRUE = pa.array([True], pa.bool_())
_EMPTY = pa.table({"client_id": pa.array([], pa.int64()), "at": pa.array([], pa.timestamp("us"))})


def plan_touches(draft: Draft, acting: Acting) -> tuple[list[Record], int]:
    """Return the reminders of the touches that are due with clients in the own book, and how many wait for room.

    There are none for who has no such book.
    """
    store = draft.store
    member = store.member
    book = store.state.own_book(member.member)
    if book is None or not may_write(member, store.state.books[book], "reminders"):
        return [], 0
    draft.depends_on("reminders", "activities")
    reminders = draft.reader.merged("reminders", ["client_id", "cause", "status", "done_at"], books=[book])
    reminders = pc.filtered(reminders, pc.equal(reminders.column("cause"), CADENCE))
    planned = pc.filtered(reminders, pc.equal(reminders.column("status"), OPEN)).column("client_id")
    last = _last(_touches(draft, [book]), _done(reminders))
    touchables = [
        Touchable(client_id, days, last.get(client_id, created_at))
        for client_id, created_at, segment, own in _clients(draft, book, planned)
        if (days := cadence_of(own, segment, draft.process.cadence)) is not None
    ]
    return plan(acting, touchables, len(planned), draft.settings.zone)


def touch_due(view: View, client: Client) -> date | None:
    """Return the day of the next touch of one client; None if there is no cadence, or none is wanted."""
    days = cadence_of(client.cadence_days, client.segment, view.process.cadence)
    if days is None or client.do_not_contact:
        return None
    wanted = pa.array([client.client_id], pa.int64())
    touches = _touches(view, None)
    last = _last(pc.filtered(touches, pc.is_in(touches.column("client_id"), wanted)), _EMPTY)
    return next_touch(last.get(client.client_id, client.created_at), days, view.settings.zone)


def _touches(view: View, books: list[str] | None) -> pa.Table:
    """Return client and time of every activity in which somebody was really in touch; `is_completed` says which."""
    columns = ["client_id", "happened_at", "kind", "result", "voided"]
    rows = view.reader.merged("activities", columns, books=books)
    touched = pc.or_(pc.not_equal(rows.column("kind"), CALL), pc.is_true(pc.equal(rows.column("result"), ANSWERED)))
    rows = pc.filtered(rows, pc.and_(pc.invert(rows.column("voided")), touched))
    return rows.select(["client_id", "happened_at"]).rename_columns(["client_id", "at"])


def _done(reminders: pa.Table) -> pa.Table:
    """Return client and time of every planned touch that was said to be done."""
    rows = pc.filtered(reminders, pc.equal(reminders.column("status"), DONE))
    rows = pc.filtered(rows, pc.is_valid(rows.column("done_at")))
    return rows.select(["client_id", "done_at"]).rename_columns(["client_id", "at"])


def _last(*tables: pa.Table) -> dict[int, datetime]:
    """Return the latest time of each client."""
    rows = pc.sorted_by(pa.concat_tables(tables), "client_id", "at")
    if not rows.num_rows:
        return {}
    keys = pc.whole(rows.column("client_id"))
    is_last = pa.concat_arrays([pc.whole(pc.not_equal(keys.slice(0, len(keys) - 1), keys.slice(1))), _TRUE])
    rows = pc.filtered(rows, is_last)
    times = zip(rows.column("client_id").to_pylist(), rows.column("at").to_pylist(), strict=True)
    return {client_id: at.replace(tzinfo=UTC) for client_id, at in times}


def _clients(draft: Draft, book: str, planned: pa.ChunkedArray) -> list[tuple[Any, ...]]:
    """Return (id, since, segment, own cadence) of the clients in a book who may be touched and are not planned yet.

    A canary is planned only by a cadence of its own: whoever set that would tell it by the reminder that never comes.
    """
    columns = ["client_id", "created_at", "segment", "cadence_days", "archived", "do_not_contact"]
    rows = draft.reader.merged("clients", columns, books=[book])
    canaries = draft.reader.merged("canaries", ["client_id"], books=[book]).column("client_id")
    rows = pc.filtered(rows, pc.invert(pc.or_(rows.column("archived"), rows.column("do_not_contact"))))
    clients = rows.column("client_id")
    bare = pc.and_(pc.is_in(clients, pc.whole(canaries)), pc.invert(pc.is_valid(rows.column("cadence_days"))))
    rows = pc.filtered(rows, pc.invert(pc.or_(bare, pc.is_in(clients, pc.whole(planned)))))
    cells = (rows.column(name).to_pylist() for name in columns[:4])
    return [(number, at.replace(tzinfo=UTC), *more) for number, at, *more in zip(*cells, strict=True)]
