"""`crmcli erase`: remove all that is personal of a client, for ever, and say what was done."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import typer

from crmcli.commands.asking import Yes, ask
from crmcli.commands.params import Form, Who
from crmcli.model.ids import decode_id, encode_id

if TYPE_CHECKING:
    from crmcli.commands.params import Format
    from crmcli.model.records import Client
    from crmcli.session import Session

STAYS = "facts without a name: the id, dates, stages, sums, calls made"
NOT_REACHED = "copies made elsewhere, exports; backups, until crmcli backup forget --yes 30 days of backups later"


def erase(ctx: typer.Context, client: Who, yes: Yes = False, form: Form = "table") -> None:
    """Remove the name, phones, e-mails, addresses and every text of a client from the store, for ever; print the act.

    Facts stay, without a name, so that no report changes. Who is erased already is not erased again: the act is
    printed once more. Who is no admin needs a grant: the next command of an admin then carries it out.
    """
    from crmcli.storage import erasure

    crm = ctx.obj
    with crm.writing() as store:
        known = erasure.anybody(store, client)
        number, name = encode_id(known.client_id), store.contact(known.client_id).name
        ask(crm, f"erase {number} {name} for ever?", yes=yes or erasure.is_erased(store.store, known.client_id))
        is_erased = erasure.erase(store, known)
    if is_erased:
        _show_act(crm, known, form)
    else:
        crm.output.pairs([("client", number), ("state", "asked for")])
        crm.say("the next command of an admin erases the client; then crmcli erase prints the act")


def _show_act(crm: Session, client: Client, form: Format) -> None:
    """Remove what is to be removed, then show the act of it."""
    from crmcli.model.dates import format_moment
    from crmcli.storage import erasure

    store = crm.store()
    done = erasure.erasure_of(store, client.client_id)
    erasure.remove(store, sweep=crm.saved)
    with crm.reading() as view:
        by, zone = view.staff.get(decode_id(done.author) or 0, done.author), view.settings.zone
    told = erasure.act(store, done) | {"erased_by": by, "stays": STAYS, "not_reached": NOT_REACHED}
    if form == "table":
        told["erased_at"] = format_moment(datetime.fromisoformat(done.at), zone)
        crm.output.pairs([(name.replace("_", " "), value) for name, value in told.items()])
    else:
        crm.output.rows(list(told), [tuple(told.values())], form=form, id_column="client")
