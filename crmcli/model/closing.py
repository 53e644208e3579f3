"""Rules that touch a deal and more: moving it, winning it with its sale, losing it with the date to come back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmcli.model import pipeline
from crmcli.model.entering import next_step, steps_taken
from crmcli.model.records import LOST
from crmcli.model.reminding import RETURN, remind, settle
from crmcli.model.selling import Item, sell

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date, datetime
    from decimal import Decimal

    from crmcli.model.acting import Acting
    from crmcli.model.process import Process
    from crmcli.model.records import Deal, Product, Record, Reminder


def move(acting: Acting, process: Process, deal: Deal, to: str | None, known: Iterable[Reminder] = ()) -> list[Record]:
    """Return the deal at its next stage or at `to`, the entry in its history, and the reminder of its next step.

    `known` are the client's reminders: that of the step before is done, as is one to come back to a lost deal that is
    reopened.
    """
    known = list(known)
    moved, change = pipeline.advance(acting, process.pipeline(deal.pipeline), deal, to)
    of_deal = (reminder for reminder in known if reminder.deal_id == deal.deal_id)
    back = settle(acting, RETURN, of_deal) if deal.status == LOST else []
    return [moved, change, *next_step(acting, process, moved, known), *back]


def win_with_sale(
    acting: Acting,
    deal: Deal,
    amount: Decimal,
    items: Sequence[Item] = (),
    products: Iterable[Product] = (),
    known: Iterable[Reminder] = (),
) -> list[Record]:
    """Return the deal won, the entry in its history, the sale that it was, and its open next steps as done.

    `known` are the client's reminders.
    """
    sale = sell(acting, deal.client_id, amount, items, products, deal)
    return [*pipeline.win(acting, deal, amount), *sale, *steps_taken(acting, deal, known)]


def lose_until(
    acting: Acting,
    process: Process,
    deal: Deal,
    reason: str,
    back: tuple[date | None, datetime | None],
    known: Iterable[Reminder],
) -> list[Record]:
    """Return the deal lost for a listed reason, and the reminder of the local day and instant to come back.

    `known` are the client's reminders; those of the deal's next step are done.
    """
    return_on, due_at = back
    known = list(known)
    records: list[Record] = [*pipeline.lose(acting, deal, process.lost_reason(reason), return_on)]
    if due_at is not None:
        records += remind(acting, deal.client_id, RETURN, due_at, deal_id=deal.deal_id, known=known)
    return [*records, *steps_taken(acting, deal, known)]
