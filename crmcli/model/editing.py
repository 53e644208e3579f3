"""Rules of editing: what is known of a client or a deal is filled in, changed or taken away; what happened never is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from crmcli.errors import InputError, NotFoundError, RuleError
from crmcli.model.capture import Introduction, contact
from crmcli.model.emails import normalise_email
from crmcli.model.expecting import NEXT
from crmcli.model.frozen import dataclass
from crmcli.model.phones import normalise_phone
from crmcli.model.records import OPEN
from crmcli.model.reminding import let_alone, remind, settle

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date, datetime
    from decimal import Decimal

    from crmcli.model.acting import Acting
    from crmcli.model.process import Process
    from crmcli.model.records import Client, Contact, Deal, Product, Record, Reminder


@dataclass(frozen=True, slots=True)
class Edit:
    """What is to change about a client, as it was typed: None is left alone, an empty text takes the value away."""

    name: str | None = None
    company: str | None = None
    tax_id: str | None = None
    address: str | None = None
    phones: Sequence[str] = ()
    emails: Sequence[str] = ()
    without_phones: Sequence[str] = ()
    without_emails: Sequence[str] = ()
    source: str | None = None
    segment: str | None = None
    do_not_contact: bool | None = None


def edit_contact(known: Contact, edit: Edit, region: str) -> tuple[Contact, Contact]:
    """Return the contact as it is to be, and one that has of it only what is new, to look for who has that already.

    Raises: InputError for what is no phone, no e-mail or no name; NotFoundError for one to be taken away that is not
    there.
    """
    name = known.name if edit.name is None else edit.name
    person = Introduction(name, edit.phones, edit.emails, edit.company, edit.tax_id, edit.address)
    fresh = contact(known.client_id, person, region)
    no_phones = [normalise_phone(raw, region) for raw in edit.without_phones]
    no_emails = [normalise_email(raw) for raw in edit.without_emails]
    _check_there("phone", no_phones, known.phones)
    _check_there("e-mail", no_emails, known.emails)
    kept = [raw for raw in known.raw_phones if not edit.without_phones or _phone(raw, region) not in no_phones]
    named = [field for field in ("company", "tax_id", "address") if getattr(edit, field) is not None]
    edited = replace(
        known,
        name=fresh.name,
        phones=_joined([phone for phone in known.phones if phone not in no_phones], fresh.phones),
        raw_phones=_joined(kept, [raw for raw in edit.phones if _phone(raw, region) not in known.phones]),
        emails=_joined([email for email in known.emails if email not in no_emails], fresh.emails),
        **{field: getattr(fresh, field) for field in named},
    )
    new = replace(
        fresh,
        phones=tuple(phone for phone in fresh.phones if phone not in known.phones),
        emails=tuple(email for email in fresh.emails if email not in known.emails),
        tax_id=None if fresh.tax_id == known.tax_id else fresh.tax_id,
    )
    return edited, new


def edit_client(
    acting: Acting,
    process: Process,
    known: Client,
    edit: Edit,
    buys: tuple[date | None, datetime | None] | None,
    reminders: Sequence[Reminder],
) -> tuple[Client, list[Record]]:
    """Return the client as it is to be, and what comes of the day to buy by: its reminder made, moved or done.

    Of who is not to be contacted any more, nothing that was planned by routine is left to do.
    `buys` is (local day, instant to be reminded), (None, None) to take it away, None to leave it alone; `reminders` are
    the client's. Raises: InputError for a source or segment that is not in the lists.
    """
    changes: dict[str, Any] = {}
    if edit.source is not None:
        changes["source"] = process.source(edit.source) if edit.source.strip() else None
    if edit.segment is not None:
        changes["segment"] = process.segment(edit.segment) if edit.segment.strip() else None
    ended: list[Record] = []
    if edit.do_not_contact is not None:
        changes["do_not_contact"] = edit.do_not_contact
        ended += let_alone(reminders) if edit.do_not_contact else []
    if buys is None:
        return replace(known, **changes), ended
    day, remind_at = buys
    edited = replace(known, buy_by=day, **changes)
    # There is one next purchase: another day takes the place of what was expected.
    ended += settle(acting, NEXT, reminders)
    if remind_at is None:
        return edited, [*ended, *settle(acting, "buy_by", reminders)]
    # Who is to be reminded of is worked with, so not archived any more.
    made = remind(acting, known.client_id, "buy_by", remind_at, known=reminders)
    return replace(edited, archived=False), [*ended, *made]


def edit_deal(deal: Deal, amount: Decimal | None, product: str | None, products: Iterable[Product]) -> Deal:
    """Return the deal with another sum expected or another product.

    Raises: RuleError if it is closed, InputError for a product that is not in the list.
    """
    if deal.status != OPEN:
        raise RuleError(f"the deal is {deal.status}", "only what is still open can be edited")
    changes: dict[str, Any] = {} if amount is None else {"amount": amount}
    if product is not None:
        names = {known.name.casefold(): known for known in products}
        listed = names.get(product.strip().casefold())
        if listed is None:
            raise InputError("there is no such product", "crmcli process show lists the products")
        changes["product_id"] = listed.product_id
    return replace(deal, **changes)


def sheet_of(client: Client, contact: Contact) -> dict[str, Any]:
    """Return what can be edited of a client, by field."""
    of_contact = ("name", "company", "phones", "emails", "tax_id", "address")
    of_client = ("source", "segment", "buy_by", "archived", "do_not_contact")
    return {field: getattr(contact, field) for field in of_contact} | {
        field: getattr(client, field) for field in of_client
    }


def deal_sheet(deal: Deal, products: Iterable[Product], interest: str | None) -> dict[str, Any]:
    """Return what can be edited of a deal, by field."""
    names = {product.product_id: product.name for product in products}
    return {"amount": deal.amount, "product": names.get(deal.product_id or 0), "interest": interest}


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return (field, before, after) of what differs, several values as one text. Raises: InputError if nothing does."""
    rows = [(field, _shown(before[field]), _shown(after[field])) for field in before if before[field] != after[field]]
    if not rows:
        raise InputError("nothing would change", "--help lists what can")
    return rows


def _shown(value: Any) -> Any:
    return ", ".join(value) if isinstance(value, tuple) else value


def _check_there(what: str, wanted: Iterable[str], there: Sequence[str]) -> None:
    if any(value not in there for value in wanted):
        raise NotFoundError(f"the client has no such {what}")


def _phone(raw: str, region: str) -> str | None:
    try:
        return normalise_phone(raw, region)
    except InputError:
        return None


def _joined(*parts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for part in parts for value in part))
