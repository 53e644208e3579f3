"""Finding what a command is about: the client or a new one, the deal or sale meant, and who is known already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crmcli.errors import ConflictError, InputError, NotFoundError, RuleError
from crmcli.model.acting import clean_name
from crmcli.model.archiving import unarchive
from crmcli.model.capture import Introduction, interest, introduce
from crmcli.model.ids import encode_id
from crmcli.model.phones import looks_like_phone
from crmcli.model.records import LOST, OPEN, Activity, Client, Contact, Deal, Record, Reminder, Sale
from crmcli.model.requiring import require, stages_left

if TYPE_CHECKING:
    from crmcli.model.acting import Acting
    from crmcli.storage.view import Draft, View


def refuse_known(draft: Draft, contact: Contact) -> None:
    """Raise ConflictError, with who it is, if somebody has a phone, e-mail, tax id or external id of the contact."""
    draft.stays_unknown(contact)
    known = draft.known_as(contact)
    if known:
        from crmcli.storage.archiving import archived_clients

        if len(archived_clients(draft.reader, known)) == len(known):
            hint = f"crmcli unarchive ID brings back: {draft.named(known)}"
            raise ConflictError("you know this client already, who is archived", hint)
        raise ConflictError("you know this client already", f"see crmcli show: {draft.named(known)}")


def client_at_work(draft: Draft, who: str) -> Client:
    """Return the client meant, for what somebody does with them: one who was archived is in sight again by that."""
    client = draft.client(who)
    if client.archived:
        client = unarchive(client)
        draft.put(client)
        draft.remarks.append("the client was archived, and is in sight again")
    return client


def client_or_new(draft: Draft, acting: Acting, who: str, name: str | None) -> tuple[Client, list[Record]]:
    """Return the client meant, or a new one of that name who called from the phone `who`, with the records to put."""
    try:
        return client_at_work(draft, who), []
    except NotFoundError:
        if not looks_like_phone(who):
            raise
        if name is None:
            raise NotFoundError(
                "nobody among yours has that phone", "--new NAME records the caller as a new client"
            ) from None
    person = Introduction(clean_name(name, "the name") or "", [who])
    client, contact = introduce(acting, draft.process, person, draft.settings.region)
    refuse_known(draft, contact)
    return client, [client, contact, *interest(acting, draft.process, client)]


def deal_touched(view: View, client: Client, named: str | None) -> int | None:
    """Return the id of the deal that a touch belongs to: the one named, or the only open one."""
    if named is not None:
        return deal_named(view, client, named).deal_id
    deals = open_deals(view, client)
    return deals[0].deal_id if len(deals) == 1 else None


def deal_named(view: View, client: Client, named: str) -> Deal:
    """Return the client's deal of that id. Raises: NotFoundError, InputError if it is another client's."""
    deal: Deal = view.one("deals", named)
    if deal.client_id != client.client_id:
        raise InputError("that deal is another client's")
    return deal


def deal_to_move(view: View, client: Client, named: str | None, *, reopening: bool = False) -> Deal:
    """Return the deal named, the only open one or, to be reopened, the one lost last.

    Raises: NotFoundError, ConflictError if several are open.
    """
    if named is not None:
        return deal_named(view, client, named)
    deals: list[Deal] = view.of_client("deals", client.client_id)
    open_ones = [deal for deal in deals if deal.status == OPEN]
    if len(open_ones) > 1:
        shorts = view.short("deals", [deal.deal_id for deal in open_ones])
        listed = ", ".join(f"{shorts[deal.deal_id]} at {deal.stage}" for deal in open_ones)
        raise ConflictError(f"the client has {len(open_ones)} open deals", f"name one with --deal: {listed}")
    lost = [deal for deal in deals if deal.status == LOST] if reopening else []
    if not open_ones and not lost:
        raise NotFoundError("the client has no open deal", "crmcli add-deal opens one; --to STAGE reopens a lost one")
    return open_ones[0] if open_ones else max(lost, key=lambda deal: str(deal.closed_at or deal.opened_at or ""))


def deal_unmoved(
    view: View, client: Client, named: str | None, seen: dict[str, Any], *, reopening: bool = False
) -> Deal:
    """Return the deal to move, as `deal_to_move` does, and keep it in `seen`.

    Raises: also ConflictError if it has moved since an earlier attempt of the command saw it: what was to be done is
    done, or another thing is to be done now.
    """
    if "deal" in seen:
        _require_unmoved(view, seen["deal"])
    found = seen["deal"] = deal_to_move(view, client, named, reopening=reopening)
    return found


def _require_unmoved(view: View, before: Deal) -> None:
    deals: list[Deal] = view.records("deals", "deal_id", [before.deal_id])
    if [(deal.stage, deal.status, deal.entered_at) for deal in deals] != [
        (before.stage, before.status, before.entered_at)
    ]:
        there = [f"at {deal.stage}" if deal.status == OPEN else deal.status for deal in deals] or ["gone"]
        raise ConflictError(
            f"somebody moved the deal meanwhile: it is {there[0]} now", "look at it: crmcli show CLIENT"
        )


def open_deals(view: View, client: Client) -> list[Deal]:
    """Return the client's open deals."""
    return [deal for deal in view.of_client("deals", client.client_id) if deal.status == OPEN]


def require_known(draft: Draft, client: Client, deal: Deal, to: str | None = None, *, is_won: bool = False) -> None:
    """Raise RuleError if something is not known that must be before the deal moves on: a stage, to `to`, or to won."""
    stages = stages_left(draft.process.pipeline(deal.pipeline), deal, to, is_won=is_won)
    if any(stage.require for stage in stages):
        notes = draft.records("notes", "about_id", [client.client_id, deal.deal_id])
        known = draft.contact(client.client_id)
        require(stages, client, known, deal, is_interest_known=any(note.field == "interest" for note in notes))


def sale_named(draft: Draft, client: Client, named: str) -> Sale:
    """Return the client's sale of that id. Raises: NotFoundError, InputError if it is another client's."""
    # What is left to refund depends on refunds that somebody may be adding.
    draft.depends_on("sales")
    sale: Sale = draft.one("sales", named)
    if sale.client_id != client.client_id:
        raise InputError("that sale is another client's")
    return sale


def reminders_known(draft: Draft, client_id: int) -> list[Reminder]:
    """Return a client's reminders, to which nobody may add one of the same cause meanwhile."""
    draft.depends_on("reminders")
    return draft.of_client("reminders", client_id)


def assignee_named(draft: Draft, client: Client, name: str | None) -> int | None:
    """Return the id of the member of that name, who is to do something about a client; None for nobody.

    Raises: NotFoundError; RuleError for somebody who could not read of it, or not close it.
    """
    from crmcli.storage.assigning import keepers
    from crmcli.storage.members import entitled
    from crmcli.storage.tables import PERSONAL

    number, state = draft.person(name), draft.store.state
    if number is not None:
        book = draft.book_of(client.client_id)
        member = state.members.get(encode_id(number))
        if member is None or not member.active or not entitled(member, state.books[book], PERSONAL):
            raise RuleError(f"{draft.staff[number]} does not open this client", "crmcli transfer gives a client away")
        if number not in keepers(state, book).able:
            raise RuleError(
                f"{draft.staff[number]} reads of this client, and could not close it",
                "its owner and the admins can; crmcli transfer gives a client away",
            )
    return number


def text_of(draft: Draft, reminder: Reminder) -> str | None:
    """Return what a reminder says."""
    return draft.texts([reminder.reminder_id], ("promised", "about")).get(reminder.reminder_id)


def sale_or_activity(draft: Draft, named: str) -> Sale | Activity:
    """Return the sale or the activity of that id. Raises: NotFoundError, ConflictError."""
    draft.depends_on("sales")
    found: list[Sale | Activity] = []
    for table in ("sales", "activities"):
        try:
            found.append(draft.one(table, named))
        except NotFoundError:
            continue
    if not found:
        raise NotFoundError("no such sale or activity among yours", "crmcli show CLIENT and crmcli list sales show ids")
    if len(found) > 1:
        raise ConflictError("a sale and an activity begin like that", "give more of the id")
    return found[0]
