"""Options of grants, and how the commands that give them do it and say so."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from crmcli.errors import InputError

if TYPE_CHECKING:
    from crmcli.session import Session
    from crmcli.storage.giving import Terms
    from crmcli.storage.view import View

BINDS = (
    "On a machine of one's own a grant binds the program, not the holder of the key: "
    "whoever holds a key can read what it opens with another program."
)
_HOURS = {"h": 1, "d": 24, "w": 168}

To = Annotated[str, typer.Option(metavar="NAME", help="the member who gets it: a name or an id")]
Books = Annotated[
    list[str] | None, typer.Option("--book", metavar="NAME", help="only this member's clients; repeatable")
]
MaxRows = Annotated[int | None, typer.Option(min=1, metavar="N", help="at most so many rows")]
Expires = Annotated[str, typer.Option(metavar="WHEN", help="24h, 7d, 2w or a date")]
Once = Annotated[bool, typer.Option("--once", help="for one use")]
Purpose = Annotated[str | None, typer.Option(metavar="TEXT", help="what for; every member can read it")]


def expiry(crm: Session, store: View, text: str) -> datetime:
    """Return the instant at which a grant ends: after a span such as 24h, at a time, or with a day."""
    span = re.fullmatch(r"([0-9]{1,4})([hdw])", text.strip().lower())
    if span:
        from crmcli.storage.giving import counted_from

        start = counted_from(store, crm.now)
        lasts = timedelta(hours=int(span[1]) * _HOURS[span[2]])
        return start + min(lasts, datetime.max.replace(tzinfo=UTC) - start)
    from crmcli.model.dates import day_end, local_day

    zone = store.settings.zone
    try:
        moment = crm.moment(store, text, "expires")
    except InputError as error:
        raise InputError(error.message, "such as 24h, 7d, 2w, or a date") from error
    return moment.at if moment.has_time else day_end(local_day(moment.at, zone), zone)


def give_grant(crm: Session, store: View, grant: str, terms: Terms) -> None:
    """Note what a grant that was committed is for, and show it."""
    from crmcli.model.dates import format_moment
    from crmcli.storage.giving import note_purpose

    note_purpose(store.store, grant, terms.purpose, crm.now)
    crm.output.pairs([("grant", grant), ("expires", format_moment(terms.expires, store.settings.zone))])
    crm.say(BINDS)
