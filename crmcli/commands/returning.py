"""How the commands on repeat sales show what they found, and say why a figure is not known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crmcli.commands.listing import show_rows
from crmcli.commands.reporting import smallest_base
from crmcli.commands.revealing import Revealing
from crmcli.model import returning as rules
from crmcli.model.reports import SMALL_BASE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from crmcli.commands.params import Format
    from crmcli.model.periods import Period
    from crmcli.model.records import Client
    from crmcli.model.returning import Norms
    from crmcli.session import Session
    from crmcli.storage.view import View

_PERIODS = (
    "segment",
    "period_days",
    "median_days",
    "p80_days",
    "clients",
    "buyers",
    "one_time_pct",
    "interval_mean_days",
    "basis",
)
_CLIENT_PERIOD = (
    "client_id", "name", "segment", "purchases", "last_sale_on", "own_days", "segment_days", "set_days", "period_days",
    "basis",
)  # fmt: skip
_NORMS = ("segment", "period_days", "gap_low", "gap_median", "gap_high", "clients")


def show_periods(crm: Session, store: View, as_of: datetime, form: Format) -> None:
    """Show the purchase period of each segment and of all."""
    from crmcli.storage.returning import periods, published_norms, works_by_published

    counted = periods(store, as_of)
    published = published_norms(store) if works_by_published(store) else None
    rows = rules.period_rows(counted, store.settings.period_days, published)
    if form == "table":
        rows = rules.without_small_shares(rows)
    crm.output.rows(_PERIODS, rows, form=form, limit=0)
    tell_published(crm, store, published)
    if published is not None:
        crm.say("what stands beside period_days is of your own clients")
    if form != "table":
        return
    whole = dict(zip(_PERIODS, rows[-1], strict=True))
    if not whole["buyers"]:
        crm.say("nobody has bought yet")
    elif not whole["clients"]:
        more = "" if published else ", so there is nothing to take a period from"
        crm.say(f"nobody has bought on two days yet{more}")
    else:
        crm.say(
            "interval_mean_days is not used: those who buy most often supply most intervals, so it is shorter than what"
            " the usual client takes"
        )
    tell_basis(crm, store, (row[-1] for row in rows))


def tell_basis(crm: Session, store: View, found: Iterable[str]) -> None:
    """Say where a period is no more than a setting."""
    if rules.DEFAULT in set(found):
        crm.say(
            f"fewer than {rules.FEWEST} clients bought twice, so that a period of {store.settings.period_days} days is "
            "assumed: crmcli settings set period_days"
        )


def tell_published(crm: Session, store: View, norms: Norms | None) -> None:
    """Say which norms a manager's figures rest on."""
    from crmcli.storage.returning import works_by_published

    if norms is not None and norms.is_published:
        crm.say(f"norms: published as of {norms.as_of}")
    elif works_by_published(store):
        crm.say("norms: of your own clients, for none are published yet: an admin runs crmcli norms")


def show_client_period(crm: Session, store: View, client: Client, as_of: datetime, form: Format) -> None:
    """Show how often a client bought and after how many days the next purchase is expected."""
    from crmcli.storage.returning import norms

    days = rules.occasions(store.of_client("sales", client.client_id), store.settings.zone, as_of)
    known = norms(store, as_of)
    own, norm = rules.own_period(days), known.of(client.segment).period_days
    row: tuple[Any, ...] = (
        client.client_id,
        store.contact(client.client_id).name,
        client.segment,
        len(days),
        days[-1] if days else None,
        rules.tenth(own),
        rules.tenth(norm),
        client.period_days,
        rules.tenth(rules.personal_period(len(days), own, norm, client.period_days)) if days else None,
        "by hand" if client.period_days else known.basis(client.segment),
    )
    # What is saved here is in the log, and so is whose it is.
    show_rows(crm, store, _CLIENT_PERIOD, [row], form, 0, asked=None if crm.saved else Revealing())
    tell_published(crm, store, known)
    tell_basis(crm, store, [row[-1]])
    if not days:
        crm.say("the client has not bought yet, so there is no period")
    elif own is None:
        crm.say("the client bought on one day only, so there is no own period")


def show_clients(
    crm: Session,
    store: View,
    columns: Sequence[str],
    found: Sequence[Mapping[str, Any]],
    form: Format,
    limit: int,
    mark: Mapping[int, str] | None = None,
) -> None:
    """Show rows of clients, found by id, with who they are; a row's `total` says how many there are in all."""
    shown = found[: limit or None] if form == "table" else found
    contacts = {c.client_id: c for c in store.records("contacts", "client_id", [row["client_id"] for row in shown])}
    rows = []
    for row in shown:
        contact = contacts.get(row["client_id"])
        who = {
            "name": contact.name if contact else store.nameless(row["client_id"]),
            "phone": next(iter(contact.phones), None) if contact else None,
            "owner": store.staff.get(row["owner_id"]),
        }
        rows.append(tuple(who[name] if name in who else row[name] for name in columns))
    total = found[0].get("total", len(found)) if found else 0
    show_rows(crm, store, columns, rows, form, limit, total, Revealing(), mark=mark)


def show_norms(crm: Session, norms: Norms, form: Format) -> None:
    """Show norms as they were published."""
    listed = [*norms.segments.items(), *([("all", norms.whole)] if norms.whole else [])]
    rows = [
        (name, *(rules.tenth(getattr(norm, column)) for column in _NORMS[1:-1]), norm.clients) for name, norm in listed
    ]
    crm.output.rows(_NORMS, rows, form=form, limit=0)
    if not rows:
        crm.say("nobody has bought twice yet, so there are no periods")


def show_repeat(
    crm: Session, store: View, period: Period | None, by: str | None, horizon: int, as_of: datetime, form: Format
) -> None:
    """Show the shares of clients who bought again, one row or one for each group."""
    from crmcli.storage.reporting import group_names
    from crmcli.storage.returning import repeat_counts

    span = None if period is None else (period.from_on, period.to_on)
    counted = repeat_counts(store, span, by, horizon, as_of)
    rows = rules.repeat_rows(counted, smallest_base(form))
    columns: Sequence[str] = rules.REPEAT
    if by:
        names = group_names(store, by, [row["grouping"] for row in counted])
        columns = (by, *columns)
        rows = [(names[row["grouping"]], *cells) for row, cells in zip(counted, rows, strict=True)]
    crm.output.rows(columns, rows, form=form, limit=0)
    if not any(row["clients"] for row in counted):
        crm.say("nobody bought for the first time in that period" if period else "nobody has bought yet")
    elif form == "table" and any(None in row for row in rows):
        crm.say(f"no rate is shown for fewer than {SMALL_BASE} clients")
