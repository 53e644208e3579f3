"""How canaries are shown: those just planted, all there are, and in whose books those of a file were."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmcli.errors import NotFoundError
from crmcli.model.ids import encode_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from crmcli.commands.params import Format
    from crmcli.model.records import Contact
    from crmcli.session import Session
    from crmcli.storage.members import Book
    from crmcli.storage.view import View

_WHO = ("name", "company", "phone", "email")


def show_planted(crm: Session, planted: Sequence[tuple[Book, Contact]], already: int, form: Format) -> None:
    """Show the canaries that were planted, and say how many books had one already."""
    from crmcli.storage.auditing import staff_name

    with crm.reading() as store:
        rows = [
            (encode_id(contact.client_id), staff_name(store, book.owner or ""), *_who(contact))
            for book, contact in planted
        ]
    crm.output.rows(("client_id", "owner", *_WHO), rows, form=form, limit=0, id_column="client_id")
    if already:
        crm.output.note(f"books that have a canary already: {already}")


def show_canaries(crm: Session, store: View, form: Format, limit: int) -> None:
    """Show every canary, in whose book it is now, who it seems to be, and when and by whom it was planted."""
    from crmcli.storage.auditing import staff_name
    from crmcli.storage.canaries import canaries

    zone = store.settings.zone
    rows = [
        (encode_id(canary.client_id), staff_name(store, book.owner or ""), *_who(contact),
         canary.planted_at.astimezone(zone), store.staff.get(canary.by_id, encode_id(canary.by_id)))
        for canary, contact, book in canaries(store)
    ]  # fmt: skip
    columns = ("client_id", "owner", *_WHO, "planted_at", "by")
    crm.output.rows(columns, rows, form=form, limit=limit, id_column="client_id")


def show_holders(crm: Session, store: View, found: Iterable[Mapping[int, set[str]]], form: Format) -> None:
    """Show in whose books the canaries found in a file were, and when. Raises: NotFoundError if none was found."""
    from crmcli.storage.canaries import holders

    by: dict[int, set[str]] = {}
    for seen in found:
        for number, signs in seen.items():
            by.setdefault(number, set()).update(signs)
    if not by:
        raise NotFoundError("no canary of this store is in the file", "a list of few clients need not have one in it")
    zone = store.settings.zone
    rows = [
        (owner, since.astimezone(zone), until and until.astimezone(zone), ", ".join(sorted(by[number])),
         encode_id(number))
        for number, chain in holders(store, by).items()
        for owner, since, until in chain
    ]  # fmt: skip
    crm.output.rows(
        ("owner", "since", "until", "found_by", "client_id"), rows, form=form, limit=0, id_column="client_id"
    )


def _who(contact: Contact) -> tuple[str | None, ...]:
    return contact.name, contact.company, *(next(iter(cells), None) for cells in (contact.phones, contact.emails))
