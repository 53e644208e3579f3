"""Reactivation in the store: who is due over the whole base, the plan put as reminders, and what came of plans."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from crmcli.model import reactivating as rules
from crmcli.model.bands import BANDS, LOST, parse_bands
from crmcli.model.dates import day_end, day_start, local_day
from crmcli.model.ids import decode_id
from crmcli.model.process import OTHERS
from crmcli.model.reactivating import Arm, Candidate, Choice, Quarter, Wanted
from crmcli.model.records import HELD
from crmcli.model.returning import FEWEST, PRIOR, Norms
from crmcli.storage import kernels as pc
from crmcli.storage.counting import counted
from crmcli.storage.reporting import SALES, naive
from crmcli.storage.returning import ask, published_norms, works_by_published
from crmcli.storage.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from crmcli.model.acting import Acting
    from crmcli.model.records import Reminder, Sale
    from crmcli.storage.view import Draft, View

_CLIENTS = ("client_id", "owner_id", "segment", "period_days", "archived", "do_not_contact")
_REMINDERS = ("client_id", "cause", "status", "created_at", "due_at", "done_at")
_ACTIVITIES = ("client_id", "deal_id", "kind", "result", "happened_at", "voided")
_TABLES: dict[str, tuple[str, ...]] = {
    "sales": SALES,
    "clients": _CLIENTS,
    "deals": ("deal_id", "client_id", "status", "opened_at", "closed_at"),
    "activities": _ACTIVITIES,
    "reminders": _REMINDERS,
}
_LEADS: dict[str, tuple[str, ...]] = {
    "sales": SALES,
    "clients": (
        "client_id", "created_at", "owner_id", "source", "segment", "buy_by", "archived", "do_not_contact",
        "cadence_days",
    ),
    "activities": _ACTIVITIES,
    "reminders": _REMINDERS,
}  # fmt: skip
# More rows than there can be.
_ALL = 1 << 40


class Due(NamedTuple):
    """Who is due, each row with the `total` of all; how many are left out, by reason; the published norms, if any."""

    rows: list[dict[str, Any]]
    left_out: dict[str, int]
    norms: Norms | None


def due(view: View, as_of: datetime, wanted: Wanted) -> Due:
    """Return who is due to buy again, the most valuable first, by the published norms if the member works by them."""
    settings = view.settings
    norms = published_norms(view) if works_by_published(view) else None
    today = local_day(as_of, settings.zone)
    parameters = {
        "today": today,
        "quarter": naive(day_start(Quarter.of(today).from_on, settings.zone)),
        "cooling": naive(as_of - timedelta(days=settings.cooldown_days)),
        "soon": _soon(view, today),
        "fewest": FEWEST,
        "prior": PRIOR,
        "default_days": settings.period_days,
        "rule": wanted.rule,
        "segment": wanted.segment,
        "band": wanted.band,
        "lost": LOST,
        "limit": wanted.limit or _ALL,
    }
    extra = {"published": _published(norms), "bands": _bands(parse_bands(settings.bands))}
    found = ask(view, "reactivation", as_of, _TABLES, parameters, extra)
    left_out = {row["left_out"]: row["total"] for row in found if row["left_out"]}
    return Due([row for row in found if not row["left_out"]], left_out, norms)


def leads_due(view: View, as_of: datetime, segment: str | None, limit: int) -> list[dict[str, Any]]:
    """Return who never bought and is past the planned day, or was not touched for the cadence."""
    today = local_day(as_of, view.settings.zone)
    cadence = view.process.cadence
    names = [None if name == OTHERS else name for name in cadence]
    cadences = pa.table({"segment": pa.array(names, pa.string()), "days": pa.array(list(cadence.values()), pa.int64())})
    parameters = {"today": today, "soon": _soon(view, today), "segment": segment, "limit": limit or _ALL}
    return ask(view, "leads", as_of, _LEADS, parameters, {"cadences": cadences})


def _soon(view: View, today: date) -> datetime | None:
    return naive(day_end(today + timedelta(days=rules.SOON_DAYS), view.settings.zone))


def _published(norms: Norms | None) -> pa.Table:
    """Return the period of each segment and, without a name, that of all others; nothing where it is to be counted."""
    segments = [] if norms is None else [*norms.segments, None]
    return pa.table(
        {
            "segment": pa.array(segments, pa.string()),
            "period_days": pa.array([norms.of(name).period_days for name in segments] if norms else [], pa.float64()),
            "basis": pa.array([norms.basis(name) for name in segments] if norms else [], pa.string()),
        }
    )


def _bands(ends: Sequence[float]) -> pa.Table:
    bounds = list(pairwise((float("-inf"), *ends, float("inf"))))
    return pa.table(
        {
            "band": pa.array(BANDS, pa.string()),
            "above": pa.array([low for low, _ in bounds], pa.float64()),
            "upto": pa.array([high for _, high in bounds], pa.float64()),
        }
    )


def plan(draft: Draft, acting: Acting, per_day: int, *, assign: bool) -> tuple[list[Choice], int]:
    """Put a reminder for each of those due, as many a day as are wanted; return the choices and how many are due.

    `assign`: each is the call of the client's owner, not of who acts.
    Raises: NotPermittedError for who may make no reminders.
    """
    draft.require_right(draft.store.own_book, "reminders")
    draft.depends_on("reminders", "sales")
    zone = draft.settings.zone
    today = local_day(acting.now, zone)
    quarter = Quarter.of(today)
    rows = due(draft, acting.now, Wanted()).rows
    assignees = _assignees(draft, acting, rows) if assign else {}
    candidates = [
        Candidate(
            row["client_id"],
            assignees.get(row["client_id"], acting.by),
            _about(row, draft.settings.currency),
            row["is_planned"],
            row["is_held"],
        )
        for row in rows
    ]
    days = quarter.working_days(draft.process.calendar, today)
    taken = Counter(
        (reminder.assignee_id, local_day(reminder.due_at, zone))
        for reminder in _plans(draft, day_start(today, zone))
        if reminder.status != HELD
    )
    choices = rules.choose(candidates, quarter, days, per_day, taken, draft.settings.holdout_pct)
    draft.place([choice.candidate.client_id for choice in choices])
    draft.put(*rules.carry_out(acting, choices, zone))
    return choices, len(rows)


def _about(row: dict[str, Any], currency: str) -> str:
    times = "once" if row["purchases"] == 1 else f"{row['purchases']} times"
    return (
        f"bought {times}, last on {row['last_sale_on']}, {row['days_since_last']} days ago; "
        f"average check {row['average_check']} {currency}"
    )


def _assignees(draft: Draft, acting: Acting, rows: Sequence[dict[str, Any]]) -> dict[int, int]:
    """Return whose call each client is: the owner's or, where that is no active member, the owner's of the book."""
    members = {decode_id(name): member for name, member in draft.store.state.members.items() if member.active}
    draft.place([row["client_id"] for row in rows if row["owner_id"] not in members])
    found = {}
    for row in rows:
        owner = row["owner_id"]
        if owner not in members:
            book = draft.store.state.books[draft.book_of(row["client_id"])]
            owner = (decode_id(book.owner) if book.owner else None) or acting.by
        found[row["client_id"]] = owner
    return found


def _plans(view: View, due_from: datetime | None = None) -> list[Reminder]:
    """Return the reminders of reactivation, those due from an instant on if one is given, the first made first."""
    table = TABLES["reminders"]
    rows = counted(view.reader, "reminders", table.schema.names)
    rows = pc.filtered(rows, pc.equal(rows.column("cause"), rules.CAUSE))
    found: list[Reminder] = table.to_records(rows)
    return sorted((r for r in found if due_from is None or r.due_at >= due_from), key=lambda r: r.created_at)


def results(view: View, since: datetime, until: datetime, as_of: datetime, within: int) -> dict[bool, Arm]:
    """Return what came of the plans made in a period: of those left alone (True) and of those touched.

    A plan counts up to `within` days on, up to the next one of the same client, and up to `as_of`.
    """
    plans = defaultdict(list)
    for reminder in _plans(view):
        plans[reminder.client_id].append(reminder)
    sales: dict[int, list[Sale]] = defaultdict(list)
    for sale in view.records("sales", "client_id", plans):
        sales[sale.client_id].append(sale)
    zone = view.settings.zone
    arms = {held: Arm(0, 0, Decimal("0.00")) for held in (False, True)}
    for client_id, made in plans.items():
        for plan_, following in zip(made, [*made[1:], None], strict=True):
            if since <= plan_.created_at < until and plan_.created_at <= as_of:
                ends = [as_of, plan_.created_at + timedelta(days=within)]
                ends += [following.created_at] if following else []
                times, money = rules.bought_since(sales[client_id], zone, plan_.created_at, min(ends))
                arm = arms[plan_.status == HELD]
                arms[plan_.status == HELD] = Arm(arm.clients + 1, arm.returned + bool(times), arm.money + money)
    return arms
