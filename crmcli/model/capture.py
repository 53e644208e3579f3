"""Rules of capture: everybody who showed interest becomes a client, with what they want and when they plan to buy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmcli.errors import InputError
from crmcli.model.acting import clean_name
from crmcli.model.emails import normalise_email
from crmcli.model.entering import start
from crmcli.model.frozen import dataclass
from crmcli.model.phones import normalise_phone
from crmcli.model.records import Client, Contact, Record
from crmcli.model.reminding import remind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from crmcli.model.acting import Acting
    from crmcli.model.process import Process


@dataclass(frozen=True, slots=True)
class Introduction:
    """What is known of somebody new, as it was typed."""

    name: str
    phones: Sequence[str] = ()
    emails: Sequence[str] = ()
    company: str | None = None
    tax_id: str | None = None
    address: str | None = None
    source: str | None = None
    segment: str | None = None
    external_ids: Sequence[str] = ()


def contact(client_id: int, person: Introduction, region: str) -> Contact:
    """Return the contact of a person: phones as E.164 beside their raw text, e-mails in one form.

    Raises: InputError for what is no phone, no e-mail or no name.
    """
    name = clean_name(person.name, "the name")
    if name is None:
        raise InputError("a client needs a name", "of a person, or of a company")
    tax_id = clean_name(person.tax_id, "the tax id")
    return Contact(
        client_id,
        name,
        clean_name(person.company, "the company"),
        tuple(dict.fromkeys(normalise_phone(raw, region) for raw in person.phones)),
        tuple(person.phones),
        tuple(dict.fromkeys(normalise_email(raw) for raw in person.emails)),
        "".join(tax_id.split()).upper() if tax_id else None,
        clean_name(person.address, "the address"),
        tuple(person.external_ids),
    )


def introduce(
    acting: Acting, process: Process, person: Introduction, region: str, buy_by: date | None = None
) -> tuple[Client, Contact]:
    """Return the client and contact of somebody new, owned by who acts."""
    client_id = acting.new_id()
    client = Client(
        client_id,
        acting.at,
        acting.by,
        acting.by,
        process.source(person.source) if person.source else None,
        process.segment(person.segment) if person.segment else None,
        buy_by,
    )
    return client, contact(client_id, person, region)


def interest(
    acting: Acting,
    process: Process,
    client: Client,
    *,
    wants: str | None = None,
    note: str | None = None,
    remind_at: datetime | None = None,
    with_deal: bool = True,
) -> list[Record]:
    """Return what goes with a new client: what they want, the deal with its next step, and when to be back."""
    records: list[Record] = [
        *acting.note(client.client_id, client.client_id, "interest", wants),
        *acting.note(client.client_id, client.client_id, "note", note),
    ]
    deal_id = None
    if with_deal:
        deal, opened = start(acting, process, client)
        deal_id = deal.deal_id
        records += opened
    if remind_at is not None:
        records += remind(acting, client.client_id, "buy_by", remind_at, about=wants, deal_id=deal_id)
    return records
