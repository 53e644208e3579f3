"""The story of one client: what is promised, and everything that happened, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crmcli.model.moves import in_chain
from crmcli.model.records import OPEN

if TYPE_CHECKING:
    from crmcli.model.records import Client, Reminder, StageChange
    from crmcli.storage.view import View

STORY = ("at", "what", "id", "text", "by")


def story(view: View, client: Client) -> list[tuple[Any, ...]]:
    """Return rows (at, what, (table, id) or None, text, by) of a client, newest first; undated ones last."""
    notes = view.of_client("notes", client.client_id)
    texts: dict[int, list[str]] = {}
    for note in notes:
        texts.setdefault(note.about_id, []).append(
            note.text if note.field in ("said", "note", "interest") else f"{note.field.replace('_', ' ')}: {note.text}"
        )
    rows: list[tuple[Any, ...]] = []
    for act in view.of_client("activities", client.client_id):
        words = (act.kind.replace("_", " "), act.direction, act.result, "(voided)" if act.voided else None)
        what = " ".join(word for word in words if word)
        named = ("activities", act.activity_id)
        rows.append((act.happened_at, what, named, _joined(texts, act.activity_id), act.by_id))
    lines = view.of_client("sale_lines", client.client_id)
    names = {product.product_id: product.name for product in view.products}
    for sale in view.of_client("sales", client.client_id):
        items = []
        for line in (line for line in lines if line.sale_id == sale.sale_id):
            name = names.get(line.product_id) or _joined(texts, line.line_id).removeprefix("item: ")
            name = name or view.nameless(client.client_id) or ""
            items.append(f"{name} x {line.quantity.normalize():f}")
        what = ("refund" if sale.amount < 0 else "sale") + (" (voided)" if sale.voided else "")
        text = f"{abs(sale.amount)} {view.settings.currency}" + (f": {', '.join(items)}" if items else "")
        rows.append((sale.sold_at, what, ("sales", sale.sale_id), text, sale.by_id))
    for move in _moves(view, client):
        flag = f" ({move.move})" if move.move in ("skip", "back", "reopen") else ""
        text = f"{move.from_stage or ''} -> {move.to_stage}{flag}".removeprefix(" -> ")
        rows.append((move.changed_at, "stage", ("deals", move.deal_id), text, move.by_id))
    about_client = {client.client_id} | {deal.deal_id for deal in view.of_client("deals", client.client_id)}
    rows += [
        (note.noted_at, note.field, None, note.text, note.by_id)
        for note in notes
        if note.about_id in about_client and note.field != "external_id"
    ]
    dated = sorted((row for row in rows if row[0] is not None), key=lambda row: row[0])
    return dated[::-1] + [row for row in rows if row[0] is None]


def _moves(view: View, client: Client) -> list[StageChange]:
    """Return the entries in the histories of a client's deals, each history as it came about."""
    deals: dict[int, list[StageChange]] = {}
    for move in view.of_client("stage_changes", client.client_id):
        deals.setdefault(move.deal_id, []).append(move)
    return [
        entries[place]
        for entries in deals.values()
        for place in in_chain([(move.changed_at, move.from_stage, move.to_stage, move.move) for move in entries])
    ]


def open_reminders(view: View, client: Client) -> list[tuple[Any, ...]]:
    """Return rows (reminder, text) of what is still to do, promises first, then by when; none for the archived."""
    if client.archived:
        return []
    reminders: list[Reminder] = [r for r in view.of_client("reminders", client.client_id) if r.status == OPEN]
    reminders.sort(key=lambda r: (not r.is_promise, r.due_at))
    texts = view.texts([r.reminder_id for r in reminders], ("promised", "about"))
    return [(reminder, texts.get(reminder.reminder_id)) for reminder in reminders]


def _joined(texts: dict[int, list[str]], about: int) -> str:
    return "; ".join(texts.get(about, ()))
