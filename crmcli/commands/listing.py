"""How listings are shown: ids short in a table and whole elsewhere, times in the company's zone."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from crmcli.commands.revealing import record_seen, revealed, within_bounds
from crmcli.model.ids import encode_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crmcli.commands.params import Format
    from crmcli.commands.revealing import Revealing
    from crmcli.session import Session
    from crmcli.storage.view import View

_ID_TABLES = {
    "client_id": "clients",
    "deal_id": "deals",
    "activity_id": "activities",
    "sale_id": "sales",
    "refund_of": "sales",
    "reminder_id": "reminders",
    "product_id": "products",
}


def show_rows(
    crm: Session,
    store: View,
    columns: Sequence[str],
    rows: Sequence[tuple[Any, ...]],
    form: Format,
    limit: int,
    total: int | None = None,
    asked: Revealing | None = None,
    mark: Mapping[int, str] | None = None,
    id_column: str | None = None,
) -> None:
    """Show rows whose ids are numbers and whose times are UTC; `id_column`, else the first, is what `ids` prints.

    Contacts are masked after the first rows, unless that is `asked` for and granted; None where nobody asks, as in what
    a schedule shows. `mark` is a word after the row of that index, in a table.
    """
    whole = readable(store, columns, rows, short=form == "table")
    if form != "ids" and asked is None:
        whole = within_bounds(crm, store, columns, whole)
    elif form != "ids" and asked is not None:
        client_ids = asked.clients or [row[columns.index("client_id")] for row in rows]
        if asked.wanted:
            whole = revealed(crm, store, columns, whole, client_ids, asked)
        else:
            whole = within_bounds(crm, store, columns, whole)
            record_seen(crm, store, columns, whole, client_ids)
    crm.output.rows(columns, whole, form=form, limit=limit, total=total, id_column=id_column or columns[0], mark=mark)


def readable(
    store: View, columns: Sequence[str], rows: Sequence[tuple[Any, ...]], *, short: bool
) -> list[tuple[Any, ...]]:
    """Return rows with ids as text and times in the company's zone."""
    zone = store.settings.zone
    turned: list[Sequence[Any]] = []
    for place, column in enumerate(columns):
        cells = [row[place] for row in rows]
        if column in _ID_TABLES:
            known = [cell for cell in cells if cell is not None]
            shorts = store.short(_ID_TABLES[column], known) if short else {}
            cells = [None if cell is None else shorts.get(cell) or encode_id(cell) for cell in cells]
        turned.append([cell.astimezone(zone) if isinstance(cell, datetime) else cell for cell in cells])
    return list(zip(*turned, strict=True)) if rows else []
