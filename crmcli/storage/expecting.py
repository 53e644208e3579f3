"""Next purchases in the store: of one client by the rules, of the whole base by a statement that says the same."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from crmcli.model.bands import parse_bands
from crmcli.model.dates import local_day
from crmcli.model.expecting import LONGEST, STATED, USE_UP, Expected, next_purchase, used_up_on
from crmcli.model.records import Sale, SaleLine
from crmcli.model.returning import PRIOR, Norm, Norms, occasions
from crmcli.storage.reporting import SALES
from crmcli.storage.returning import ask, norms

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime

    from crmcli.model.records import Client, Record
    from crmcli.storage.view import View

_TABLES: dict[str, tuple[str, ...]] = {
    "sales": SALES,
    "clients": (
        "client_id", "created_at", "owner_id", "segment", "buy_by", "archived", "do_not_contact", "period_days",
    ),
    "sale_lines": ("sale_id", "client_id", "product_id", "quantity"),
    "products": ("product_id", "use_up_days"),
}  # fmt: skip


def expected_of(
    view: View, client: Client, as_of: datetime, stated: date | None = None, new: Iterable[Record] = ()
) -> Expected | None:
    """Return when a client is expected to buy next; `new` are sales and lines that are about to be put."""
    zone = view.settings.zone
    put = {record.sale_id: record for record in new if isinstance(record, Sale)}
    sales = [sale for sale in view.of_client("sales", client.client_id) if sale.sale_id not in put]
    sales += put.values()
    lines = [*view.of_client("sale_lines", client.client_id), *(r for r in new if isinstance(r, SaleLine))]
    sales = [sale for sale in sales if sale.sold_at <= as_of]
    days = occasions(sales, zone, as_of)
    products = {product.product_id: product for product in view.products}
    used_up = used_up_on(sales, lines, products, zone, days[-1]) if days else None
    plain = Norm.plain(view.settings.period_days)
    found = next_purchase(days, plain, stated, used_up, client.period_days)
    if found is None or found.origin in (STATED, USE_UP) or client.period_days:
        return found
    # What is usual is found out only where it counts.
    return next_purchase(days, norms(view, as_of).of(client.segment))


def expected(view: View, as_of: datetime, within: int) -> tuple[list[dict[str, Any]], Norms]:
    """Return who is expected to buy within so many days, those who are overdue first, and the norms that it rests on.

    Those in the band `lost` are not expected any more; each row has `lost`, how many there are.
    """
    settings = view.settings
    known = norms(view, as_of)
    today = local_day(as_of, settings.zone)
    parameters = {
        "today": today,
        "until": today + timedelta(days=within),
        "prior": PRIOR,
        "longest": int(LONGEST),
        "lost_after": parse_bands(settings.bands)[-1],
    }
    return ask(view, "expected", as_of, _TABLES, parameters, {"norms": _norms_table(known)}), known


def _norms_table(norms: Norms) -> pa.Table:
    """Return the norm of each segment and, without a name, that of all others."""
    segments = [*norms.segments, None]
    found = [norms.of(name) for name in segments]
    columns = {name: pa.array([getattr(norm, name) for norm in found], pa.float64()) for name in Norm.__slots__}
    basis = pa.array([norms.basis(name) for name in segments], pa.string())
    return pa.table({"segment": pa.array(segments, pa.string()), "basis": basis} | columns)
