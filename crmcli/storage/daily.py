"""What this machine does or says once a day for a store, and remembers having done."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from crmcli.model.dates import local_day

if TYPE_CHECKING:
    from crmcli.storage.view import View

PLANNING, UNREACHED = "planning", "unreached"


def is_done_today(view: View, what: str, now: datetime) -> bool:
    """Say whether something was done on this machine today, in the company's time zone."""
    at = view.store.memory.jobs().get(what)
    zone = view.settings.zone
    return at is not None and local_day(datetime.fromisoformat(at), zone) == local_day(now, zone)


def mark_done(view: View, what: str, now: datetime) -> None:
    """Remember that something was done today; where that fails it is done again."""
    with suppress(OSError):
        view.store.memory.set_job(what, now.isoformat())
