"""Preparing for a call: what there is to know about a client on one screen, as rows of section, name and text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmcli.model import preparing as rules
from crmcli.model.dates import Moment, format_moment
from crmcli.model.flags import flags
from crmcli.model.reminding import is_overdue
from crmcli.model.returning import occasions
from crmcli.storage.expecting import expected_of
from crmcli.storage.finding import open_deals
from crmcli.storage.history import open_reminders
from crmcli.storage.suggesting import suggestions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from crmcli.model.records import Client
    from crmcli.storage.view import View

Row = tuple[str, str, str]


def prepared(view: View, client: Client, now: datetime) -> list[Row]:
    """Return the rows: who, open deals, what is to do, the last touches, purchases, the usual basket, what to offer."""
    parts = (_who, _deals, _to_do, _touches, _purchases, _basket, _offers)
    return [row for part in parts for row in part(view, client, now)]


def _who(view: View, client: Client, now: datetime) -> Iterator[Row]:  # noqa: ARG001 - as the others
    contact = view.contact(client.client_id)
    known = {
        "name": contact.name,
        "company": contact.company,
        "phones": "; ".join(contact.phones),
        "segment": client.segment,
        "asked": "to be left alone" if client.do_not_contact else None,
    }
    for name, value in known.items():
        if value:
            yield "client", name, value


def _deals(view: View, client: Client, now: datetime) -> Iterator[Row]:
    activities = view.of_client("activities", client.client_id)
    reminders = view.of_client("reminders", client.client_id)
    for deal in open_deals(view, client):
        found = flags(view.process, view.settings.zone, deal, activities, reminders, now)
        named = {"overdue": found.overdue, "idle": found.idle, "no next step": found.no_next_step}
        until = f"until {found.deadline_on}" if found.deadline_on else None
        amount = f"{deal.amount} {view.settings.currency}" if deal.amount is not None else None
        stage = view.process.stage_of(deal)
        text = [amount, until, *(name for name, is_set in named.items() if is_set)]
        yield "open deals", stage.name if stage else deal.stage, ", ".join(part for part in text if part)


def _to_do(view: View, client: Client, now: datetime) -> Iterator[Row]:
    zone = view.settings.zone
    for reminder, text in open_reminders(view, client):
        due = format_moment(Moment(reminder.due_at, reminder.has_time), zone)
        late = " (overdue)" if is_overdue(reminder, now, zone) else ""
        yield "to do", due + late, f"{reminder.cause.replace('_', ' ')}: {text}" if text else reminder.cause


def _touches(view: View, client: Client, now: datetime) -> Iterator[Row]:
    done = [a for a in view.of_client("activities", client.client_id) if not a.voided and a.happened_at <= now]
    last = done[::-1][: rules.TOUCHES]
    said = view.texts([activity.activity_id for activity in last], ("said", "about"))
    for activity in last:
        words = [activity.kind.replace("_", " "), activity.direction, activity.result]
        what = " ".join(word for word in words if word)
        at, text = format_moment(activity.happened_at, view.settings.zone), said.get(activity.activity_id)
        yield "last touches", at, f"{what}: {text}" if text else what


def _purchases(view: View, client: Client, now: datetime) -> Iterator[Row]:
    sales = [sale for sale in view.of_client("sales", client.client_id) if not sale.voided and sale.sold_at <= now]
    days = occasions(sales, view.settings.zone, now)
    sums = [sale.amount for sale in sales if sale.amount > 0]
    if days:
        check = sum(sums[1:], sums[0]) / len(sums)
        yield "purchases", "so far", f"{len(days)}, average check {check:.2f} {view.settings.currency}"
        yield "purchases", "last", f"{days[-1]}, {(now.astimezone(view.settings.zone).date() - days[-1]).days} days ago"
    expected = expected_of(view, client, now, client.buy_by)
    if expected is not None:
        window = ", most likely {1} to {2}".format(*expected) if expected.from_on != expected.to_on else ""
        weak = ", weak" if expected.is_weak else ""
        yield "purchases", "next", f"{expected.on} ({expected.origin}{weak}){window}"


def _basket(view: View, client: Client, now: datetime) -> Iterator[Row]:
    sales = [sale for sale in view.of_client("sales", client.client_id) if sale.sold_at <= now]
    lines = view.of_client("sale_lines", client.client_id)
    products = {product.product_id: product.name for product in view.products}
    names = view.texts([line.line_id for line in lines if line.product_id is None], ("item",))
    names |= {line.line_id: products[line.product_id] for line in lines if line.product_id in products}
    for item in rules.basket(sales, lines, names, view.settings.zone):
        yield "usual basket", item.name, item.text


def _offers(view: View, client: Client, now: datetime) -> Iterator[Row]:
    for one in suggestions(view, client, now)[: rules.SUGGESTIONS]:
        price = f"{one.product.price} {view.settings.currency}; " if one.product.price is not None else ""
        yield "to offer", one.product.name, f"{price}{one.why}"
