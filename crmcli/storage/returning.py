"""Repeat sales over the whole base: purchase periods, norms, and who is due, as rows of plain values."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from crmcli.model.dates import local_day
from crmcli.model.returning import Norm, Norms
from crmcli.storage import query
from crmcli.storage.members import LEAD, MANAGER
from crmcli.storage.reporting import SALES, naive

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    import pyarrow as pa

    from crmcli.storage.view import View


# The files that a statement shares with others, by the table without which it does not need them.
_SHARED = {"sales": "buying", "sale_lines": "goods"}
_PURCHASES: dict[str, tuple[str, ...]] = {"sales": SALES, "clients": ("client_id", "segment")}


def ask(
    view: View,
    name: str,
    as_of: datetime,
    tables: Mapping[str, tuple[str, ...]],
    parameters: Mapping[str, object] | None = None,
    extra: Mapping[str, pa.Table] | None = None,
) -> list[dict[str, Any]]:
    """Return the rows of a statement over what clients bought up to an instant."""
    every = {"as_of": naive(as_of), "zone": view.settings.timezone, **(parameters or {})}
    rows = query.run(
        view.reader, name, tables, every, extra, shared=[file for table, file in _SHARED.items() if table in tables]
    )
    return rows.to_pylist()  # type: ignore[no-any-return]


def periods(view: View, as_of: datetime) -> list[dict[str, Any]]:
    """Return the purchase periods of each segment and, last, of all clients."""
    return ask(view, "periods", as_of, _PURCHASES)


def norms(view: View, as_of: datetime) -> Norms:
    """Return the norms that the member works by: of the whole base for who opens all facts, else those published.

    Where none are published yet, a manager works by the own clients.
    """
    published = published_norms(view) if works_by_published(view) else None
    return published or counted_norms(view, as_of)


def works_by_published(view: View) -> bool:
    """Say whether the member opens but a part of the facts, so that figures of the whole base have to be published."""
    return view.store.member.role in (MANAGER, LEAD)


def published_norms(view: View) -> Norms | None:
    """Return the norms that were published last, if any were."""
    document = view.newest_or_none("norms")
    return None if document is None else Norms.from_plain(json.loads(document.text), view.settings.period_days)


def counted_norms(view: View, as_of: datetime) -> Norms:
    """Return the norms of the clients at hand."""
    gaps = {(row["is_whole"], row["segment"]): row for row in ask(view, "gaps", as_of, _PURCHASES)}
    found: dict[tuple[bool, str | None], Norm] = {}
    for row in periods(view, as_of):
        place = (row["is_whole"], row["segment"])
        if row["clients"]:
            cells = row | gaps[place]
            found[place] = Norm(row["clients"], *(round(cells[name], 4) for name in Norm.__slots__[1:]))
    day = local_day(as_of, view.settings.zone)
    segments = {segment: norm for (_, segment), norm in found.items() if segment is not None}
    return Norms(day, view.settings.period_days, found.get((True, None)), segments)


def repeat_counts(
    view: View, span: tuple[date, date] | None, by: str | None, horizon: int, as_of: datetime
) -> list[dict[str, Any]]:
    """Return how many bought, again, long enough ago, and again within the horizon: of all, or by group.

    `span` are the local days of the first purchase, the second one outside it.
    """
    from_on, to_on = span or (None, None)
    tables = {"sales": SALES, "clients": ("client_id", "segment", "source", "owner_id")}
    today = local_day(as_of, view.settings.zone)
    parameters = {"by": by, "from_on": from_on, "to_on": to_on, "horizon": horizon, "today": today}
    rows = ask(view, "repeat", as_of, tables, parameters)
    return rows or ([] if by else [dict.fromkeys(("grouping", "clients", "repeat", "old_enough", "repeat_h"), 0)])
