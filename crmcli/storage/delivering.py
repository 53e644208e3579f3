"""Deliveries: who is to be told of which reminders, claimed in the sender's own book before anything leaves.

A claim is a row of `deliveries` without an outcome. What goes out together was claimed together, at one time of its
own, and is tried again together, under the same id of the message. A delivery counts for a reminder until that is put
off to a later time.
"""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa

from crmcli.model.dates import day_start, local_day
from crmcli.model.delivering import (
    DROPPED,
    FAILED,
    SENT,
    cutoffs,
    escalates_before,
    is_due_again,
)
from crmcli.model.ids import BITS, decode_id
from crmcli.model.records import OPEN
from crmcli.model.reminding import PROMISE
from crmcli.storage import kernels as pc
from crmcli.storage.agenda import READ, chosen, in_order, instant
from crmcli.storage.archiving import archived_clients, in_sight
from crmcli.storage.assigning import ids, keepers
from crmcli.storage.members import ADMIN, LEAD, SERVICE
from crmcli.storage.tables import TABLES
from crmcli.storage.together import at_once
from crmcli.storage.view import View
from crmcli.storage.writing import Pending

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from crmcli.model.channels import Channel
    from crmcli.model.delivering import Bounds
    from crmcli.model.records import Delivery, Record
    from crmcli.storage.members import Book, Member
    from crmcli.storage.state import State
    from crmcli.storage.store import Store

_T = TypeVar("_T")
# A delivery whose claim lies further ahead than this was made under a clock that was wrong, and is not believed.
_AHEAD = timedelta(days=1)
_TABLE = TABLES["deliveries"]
# What tells of a delivery whose it is, of what and when, and what came of it.
CLAIM = ("delivery_id", "member_id", "channel", "reminder_id", "claimed_at", "outcome")
# The reminder and the client of a digest, which is about all of a day: the last id there is.
DIGEST = (1 << BITS) - 1


@dataclass(frozen=True)
class Batch:
    """What goes to one member through one channel at once: its rows, insert or upsert, and the reminders it tells of.

    `message` is the number that its Message-ID is made of. Without reminders there is nothing left to tell.
    """

    rows: pa.Table
    kind: str
    reminders: list[int]

    @property
    def member_id(self) -> int:
        """Whom it goes to."""
        return int(self.rows.column("member_id")[0].as_py())

    @property
    def message(self) -> int:
        """The lowest id of a delivery in it, which stays when it is tried again."""
        return int(pc.min_max(self.rows.column("delivery_id")).as_py()["min"])


class Dispatch:
    """The deliveries of one run by the member at work, as of `now`."""

    def __init__(self, store: Store, now: datetime, op_id: Callable[[], str], *, is_digest: bool = False) -> None:
        self.view = View(store)
        self._store = store
        self._now = now
        self._op_id = op_id
        self.is_digest = is_digest
        self._base = store.state.seq
        self._due: dict[int, pa.Table] | None = None
        self._expected = _none()

    def expect(self, reminders: Iterable[Record]) -> None:
        """Take into account reminders in the own book that are not there yet, to foretell a run that makes them."""
        self._expected = TABLES["reminders"].to_arrow(reminders).select(list(READ))

    @property
    def sender(self) -> str:
        """The member at work."""
        return self._store.member.member

    def recipients(self) -> list[int]:
        """Return who may have something to be told by this run, as numbers; nobody, of a role without a book."""
        me = self._store.member
        if self._store.state.own_book(me.member) is None:
            return []
        if me.role != SERVICE:
            return [self._store.member_number]
        return sorted(self._reminders()) if not self.is_digest else self._named()

    def _named(self) -> list[int]:
        """Return the owners of the books that an admin named to this service."""
        me = self._store.member
        owners = (self._store.state.books[book].owner for book in me.personal)
        return [number for owner in owners if owner and (number := decode_id(owner))]

    def awaits(self, member_id: int) -> bool:
        """Say whether anything is due of which a member is to be told, or was."""
        return bool(self._reminders().get(member_id, _none()).num_rows)

    def batches(self, member_id: int, channel: str, bounds: Bounds) -> tuple[list[Batch], int]:
        """Return what is to be delivered to a member through a channel now, what was tried before first.

        Then how many reminders are left for the next run. Where not all go into one message, promises go first.
        """
        most = bounds.message
        if self.is_digest:
            return self._digest(self._before(member_id, channel), member_id, channel, most), 0
        reads: tuple[Callable[[], Any], ...] = (
            lambda: self._before(member_id, channel, CLAIM),
            self._reminders,
        )
        before, reminders = at_once(lambda read: read(), reads)
        due = reminders.get(member_id, _none())
        pending = pc.filtered(before, pc.not_equal(before.column("reminder_id"), DIGEST))
        batches = self._again(pending, due, most)
        told = _latest(pc.filtered(pending, pc.less_equal(pending.column("claimed_at"), instant(self._now + _AHEAD))))
        places = pc.index_in(due.column("reminder_id"), told[0])
        claimed = pc.taken(told[1], places)
        fresh = pc.filtered(due, pc.coalesce(pc.less(claimed, due.column("due_at")), True))
        again = {number for batch in batches for number in batch.reminders}
        left = [number for number in _ordered(fresh, most) if number not in again]
        pieces = _pieces(left, most)
        about = [*(batch.reminders for batch in batches), *pieces]
        going = bounds.going(about)
        for told_of in pieces[: max(going - len(batches), 0)]:
            rows = pc.filtered(fresh, pc.is_in(fresh.column("reminder_id"), ids(told_of)))
            batches.append(Batch(self._claims(rows, member_id, channel, len(batches)), "insert", told_of))
        return batches[:going], sum(map(len, about[going:]))

    def claim(self, batch: Batch) -> bool:
        """Commit the claim of a batch; False if another run has claimed or recorded something since it was chosen."""
        with self._store.lock():
            self._store.refresh()
            if self._has_changed():
                self.view, self._due, self._base = View(self._store), None, self._store.state.seq
                return False
            self._commit(batch.rows, batch.kind)
        return True

    def record(self, batch: Batch, *, was_sent: bool) -> None:
        """Commit what came of a batch that was claimed."""
        outcome = DROPPED if not batch.reminders and not self.is_digest else SENT if was_sent else FAILED
        rows = _with(batch.rows, ended_at=instant(self._now), outcome=pa.scalar(outcome, pa.string()))
        with self._store.lock():
            self._store.refresh()
            self._commit(rows, "upsert")

    def _commit(self, rows: pa.Table, kind: str) -> None:
        pending = Pending()
        pending.rows[self._store.own_book, _TABLE.name, kind].append(rows)
        self._store.commit(pending, self._store.state.seq, self._op_id(), self._now)
        self._base = self._store.state.seq

    def _has_changed(self) -> bool:
        book = self._store.own_book
        since = self._store.seen_since(self._base)
        return any((entry.book, entry.table) == (book, _TABLE.name) for commit in since for entry in commit.add)

    # What is due.

    def _reminders(self) -> dict[int, pa.Table]:
        """Return the reminders that each recipient is to be told of, told already or not."""
        if self._due is None:
            pieces: dict[int, list[pa.Table]] = {}
            books = set(self.view.reader.parts(TABLES["reminders"]))
            for book in sorted(books | ({self._store.own_book} if self._expected.num_rows else set())):
                for member_id, rows in self._in_book(self._store.state.books[book]):
                    pieces.setdefault(member_id, []).append(rows)
            self._due = {member_id: pa.concat_tables(rows) for member_id, rows in pieces.items()}
        return self._due

    def _in_book(self, book: Book) -> Iterable[tuple[int, pa.Table]]:
        """Yield (recipient, rows) of the reminders in a book: who is to do them, and who leads."""
        state, settings = self._store.state, self.view.settings
        me = self._store.member
        if me.role == SERVICE and book.book not in me.personal:
            return
        rows = self._open(book.book)
        assignees = rows.column("assignee_id")
        known = keepers(state, book.book)
        theirs: defaultdict[int, list[int]] = defaultdict(list)
        for assignee in pc.distinct(assignees).to_pylist():
            for doer in known.doers(assignee):
                theirs[doer].append(assignee)
        leading = {number for member in _leaders(state.members.values(), book) if (number := decode_id(member))}
        told = theirs.keys() | leading if me.role == SERVICE else {self._store.member_number}
        for number in sorted(told & theirs.keys()):
            yield number, pc.filtered(rows, pc.is_in(assignees, ids(theirs[number])))
        before = escalates_before(self._now, settings.escalate_days, settings.zone)
        if before is None:
            return
        late = pc.filtered(rows, pc.less(rows.column("due_at"), instant(before)))
        for number in sorted(told & leading):
            yield number, pc.filtered(late, pc.invert(pc.is_in(late.column("assignee_id"), ids(theirs[number]))))

    def _open(self, book: str) -> pa.Table:
        """Return the open reminders in a book that are to be delivered, of clients who are in sight.

        What is planned by itself is of no canary; what somebody wants to be reminded of is delivered like any other.
        """
        reader = self.view.reader
        timed, whole_days = cutoffs(self._now, self.view.process.calendar.start, self.view.settings.zone)
        # What is read of all books is kept, and looked at again to shorten ids.
        books = None if len(reader.parts(TABLES["reminders"])) == 1 else [book]
        reads: tuple[Callable[[], Any], ...] = (
            lambda: reader.merged("reminders", READ, books=books),
            lambda: archived_clients(reader),
        )
        rows, _ = at_once(lambda read: read(), reads)
        if self._expected.num_rows and book == self._store.own_book:
            rows = pa.concat_tables([rows.select(list(READ)), self._expected])
        due, has_time = rows.column("due_at"), rows.column("has_time")
        is_due = pc.if_else(
            pc.whole(has_time), pc.less_equal(due, instant(timed)), pc.less_equal(due, instant(whole_days))
        )
        rows = pc.filtered(rows, pc.and_(pc.equal(rows.column("status"), OPEN), is_due))
        if not rows.num_rows:
            return rows
        return in_sight(reader, rows)

    # What was claimed before.

    def _before(self, member_id: int, channel: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the deliveries to a member through a channel from the own book; of them the columns, or all."""
        rows = self.view.reader.merged(_TABLE.name, columns, books=[self._store.own_book])
        mask = pc.and_(pc.equal(rows.column("member_id"), member_id), pc.equal(rows.column("channel"), channel))
        return pc.filtered(rows, mask)

    def _again(self, before: pa.Table, due: pa.Table, most: int) -> list[Batch]:
        """Return what was claimed and not sent, and is to be tried now; of what is not due any more only the record."""
        unsent = pc.filtered(before, pc.coalesce(pc.equal(before.column("outcome"), FAILED), True))
        if not unsent.num_rows:
            return []
        these = ("delivery_id", unsent.column("delivery_id").to_pylist())
        unsent = self.view.reader.merged(_TABLE.name, None, these, [self._store.own_book])
        groups: dict[datetime, list[Delivery]] = {}
        for delivery in _TABLE.to_records(unsent):
            groups.setdefault(delivery.claimed_at, []).append(delivery)
        batches: list[Batch] = []
        for group in groups.values():
            for piece in _pieces(group, most) if is_due_again(group[0], self._now) else ():
                claimed = ids(delivery.reminder_id for delivery in piece)
                left = _ordered(pc.filtered(due, pc.is_in(due.column("reminder_id"), claimed)), most)
                rows = self._retried(_TABLE.to_arrow(piece), len(batches))
                batches.append(Batch(rows, "upsert", left))
        return batches

    def _retried(self, rows: pa.Table, place: int) -> pa.Table:
        attempts = pc.add(rows.column("attempt"), 1)
        nothing = {name: pa.scalar(None, _TABLE.schema.field(name).type) for name in ("ended_at", "outcome")}
        return _with(rows, attempt=attempts, claimed_at=self._time(place), **nothing)

    def _claims(self, due: pa.Table, member_id: int, channel: str, place: int) -> pa.Table:
        """Return new claims on reminders, which have the columns `reminder_id` and `client_id`."""
        rows = pa.table(
            [_random_ids(due.num_rows), pc.whole(due.column("reminder_id")), pc.whole(due.column("client_id"))],
            names=["delivery_id", "reminder_id", "client_id"],
        )
        told = {"member_id": member_id, "channel": channel, "claimed_at": self._time(place), "attempt": 1}
        return _with(rows, **told, ended_at=None, outcome=None)

    def _time(self, place: int) -> pa.Scalar:
        """Return the time of a claim, another one for each batch of a run."""
        return instant(self._now + timedelta(microseconds=place))

    # The digest of a day.

    def _digest(self, before: pa.Table, member_id: int, channel: str, most: int) -> list[Batch]:
        """Return the digest of today, unless it was sent, is being sent or there is nothing to do."""
        zone = self.view.settings.zone
        digests = _TABLE.to_records(pc.filtered(before, pc.equal(before.column("reminder_id"), DIGEST)))
        today = [d for d in digests if local_day(d.claimed_at, zone) == local_day(self._now, zone)]
        if any(not is_due_again(delivery, self._now) for delivery in today):
            return []
        tomorrow = instant(day_start(local_day(self._now, zone) + timedelta(days=1), zone))
        expected = pc.filtered(self._expected, pc.less(self._expected.column("due_at"), tomorrow))
        due = _ordered(pa.concat_tables([chosen(self.view, self._now, member_id).select(list(READ)), expected]), most)
        if today:
            return [Batch(self._retried(_TABLE.to_arrow(today[:1]), 0), "upsert", due)]
        every = pa.table({name: pa.array([DIGEST], pa.int64()) for name in ("reminder_id", "client_id")})
        return [Batch(self._claims(every, member_id, channel, 0), "insert", due)] if due else []


def _ordered(rows: pa.Table, most: int) -> list[int]:
    """Return the ids of reminders by when they are due; where not all fit into one message, promises first."""
    if rows.num_rows <= most:
        return in_order(rows, 0)
    is_promise = pc.equal(rows.column("cause"), PROMISE)
    return in_order(pc.filtered(rows, is_promise), 0) + in_order(pc.filtered(rows, pc.invert(is_promise)), 0)


def _pieces(listed: list[_T], most: int) -> list[list[_T]]:
    """Return what is listed in pieces of so many at most."""
    return [listed[start : start + most] for start in range(0, len(listed), most)]


def within_reach(state: State, me: Member) -> set[str]:
    """Return whom a member may have something to deliver to: oneself, and others if one is a service.

    Those are who own the books that were named to it, who lead there, and admins, who may be given what is in them.
    """
    if me.role != SERVICE:
        return {me.member}
    books = [state.books[book] for book in me.personal]
    admins = [member.member for member in state.members.values() if member.role == ADMIN] if books else []
    owners = [book.owner for book in books if book.owner]
    return {me.member, *owners, *admins, *(each for book in books for each in _leaders(state.members.values(), book))}


def unreachable(view: View, known: Iterable[Channel]) -> str | None:
    """Return what to say of channels to members to whom nothing will go out of here; None if there are none."""
    state, me = view.store.state, view.store.member
    far = {channel.member for channel in known} - within_reach(state, me)
    names = sorted(view.staff.get(decode_id(member) or 0, "") for member in far)
    if not names:
        return None
    return (
        f"nothing goes to {', '.join(names)}, whose book was not named to this service: crmcli member allow --personal"
    )


def _leaders(members: Iterable[Member], book: Book) -> list[str]:
    """Return who is told of what is long overdue in a book: the leads who read it, or else the admins."""
    active = [member for member in members if member.active and not member.recovery]
    leads = [member.member for member in active if member.role == LEAD and book.book in member.read]
    return leads or [member.member for member in active if member.role == ADMIN]


def _latest(deliveries: pa.Table) -> tuple[pa.Array, pa.Array]:
    """Return the reminders that were claimed, latest first, and when."""
    order = [("claimed_at", "descending", "at_end")]
    rows = pc.taken(deliveries.select(["reminder_id", "claimed_at"]), pc.sort_indices(deliveries, order))
    return pc.whole(rows.column("reminder_id")), pc.whole(rows.column("claimed_at"))


def _with(rows: pa.Table, **cells: object) -> pa.Table:
    """Return rows as deliveries, with columns in the place of those they have; a single value is that of every row."""
    columns = []
    for field in _TABLE.schema:
        value = cells.get(field.name, rows.column(field.name) if field.name in rows.column_names else None)
        if not isinstance(value, (pa.Array, pa.ChunkedArray)):
            value = value if isinstance(value, pa.Scalar) else pa.scalar(value, field.type)
            value = pa.repeat(value, rows.num_rows)
        columns.append(value)
    return pa.table(columns, schema=_TABLE.schema)


def _random_ids(count: int) -> pa.Array:
    """Return fresh ids: 60 random bits each, never 0."""
    return pa.array([number >> 4 or 1 for number in memoryview(os.urandom(8 * count)).cast("Q")], pa.int64())


def _none() -> pa.Table:
    return TABLES["reminders"].schema.empty_table().select(list(READ))
