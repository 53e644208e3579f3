"""How the next purchase is asked for and shown."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from crmcli.commands.asking import answer
from crmcli.errors import InputError
from crmcli.model.expecting import STATED, Expected, follow_up, still_named

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from crmcli.commands.params import Format
    from crmcli.model.acting import Acting
    from crmcli.model.records import Client, Record, Reminder
    from crmcli.session import Session
    from crmcli.storage.view import View

_EXPECTED = (
    "client_id", "name", "expected_on", "from_on", "to_on", "origin", "is_weak", "overdue_days", "last_sale_on",
    "purchases", "average_check", "phone", "owner",
)  # fmt: skip
_AUTO, _NONE = "auto", "none"
_LABEL = "next purchase"


def planned(
    crm: Session,
    store: View,
    acting: Acting,
    client: Client,
    sold: Sequence[Record],
    reminders: Sequence[Reminder],
    typed: str | None,
) -> list[Record]:
    """Return what a sale changes in what is planned; `typed` is the next day, `auto`, `none`, or None to ask for it.

    `sold` are the sale and its lines, `reminders` those of the client.
    Raises: InputError for a day that is not after the last purchase.
    """
    from crmcli.storage.expecting import expected_of

    def suggested() -> Expected | None:
        named = still_named(acting, client, reminders, store.settings.zone)
        return expected_of(store, client, acting.now, named, sold)

    if typed is None and crm.output.stdin.isatty():
        found = suggested()
        auto = f"auto ({found.on}, {found.origin})" if found else _AUTO
        typed = answer(
            crm, f"when do they buy next? a day, {auto} or none [auto]", lambda text: _check(crm, store, text)
        )
        typed = _AUTO if typed == "" else typed
    word = (typed or _NONE).strip().casefold()
    expected = None
    if word == _AUTO:
        expected = suggested()
        if expected is not None:
            crm.say(f"{_LABEL}: {expected.on} ({expected.origin})")
    elif word != _NONE:
        day, _ = crm.day(store, typed, _LABEL)
        expected = expected_of(store, client, acting.now, day, sold)
        if expected is None or expected.origin != STATED:
            raise InputError("the next purchase must come after the last one")
    if expected is not None and client.do_not_contact:
        crm.say("the client asked to be left alone, so nothing reminds you of it")
    settings = store.settings
    sales = partial(store.of_client, "sales", client.client_id)
    return follow_up(
        acting, client, expected, reminders, settings.lead_days, settings.zone, sales, is_said=typed is not None
    )


def _check(crm: Session, store: View, text: str) -> None:
    """Raise InputError for an answer that is no day."""
    from crmcli.model.dates import parse_moment

    if text.casefold() not in ("", _AUTO, _NONE):
        parse_moment(text, now=crm.now, zone=store.settings.zone)


def show_expected(crm: Session, store: View, as_of: datetime, within: int, limit: int, form: Format) -> None:
    """Show who is expected to buy until then, overdue ones first."""
    from crmcli.commands.returning import show_clients, tell_basis, tell_published
    from crmcli.storage.expecting import expected

    found, norms = expected(store, as_of, within)
    here = [row for row in found if not row["is_lost"]]
    late = {place: "overdue" for place, row in enumerate(here) if row["overdue_days"]}
    show_clients(crm, store, _EXPECTED, here, form, limit, late)
    tell_published(crm, store, norms)
    tell_basis(crm, store, (row["basis"] for row in here))
    if not here and form == "table":
        crm.say(f"nobody is expected within {within} days")
    if len(here) < len(found):
        crm.say(f"lost, and not expected any more: {len(found) - len(here)}; crmcli reactivate --band lost lists them")
