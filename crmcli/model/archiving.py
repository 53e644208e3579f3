"""Rules of the archive: clients whom nobody works with any more, out of sight and in every figure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from crmcli.errors import RuleError
from crmcli.model.records import DONE, OPEN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crmcli.model.records import Client, Record, Reminder


def archive(client: Client) -> Client:
    """Return the client out of sight. Raises: RuleError if that is so already."""
    if client.archived:
        raise RuleError("the client is archived already")
    return replace(client, archived=True)


def unarchive(client: Client) -> Client:
    """Return the client in sight again. Raises: RuleError if that is so already."""
    if not client.archived:
        raise RuleError("the client is not archived")
    return replace(client, archived=False)


def forget(client: Client, reminders: Iterable[Reminder]) -> list[Record]:
    """Return what stays in the facts of a client who is erased: out of sight, not to be contacted, nothing to do.

    Their reminders are closed, and done by nobody, so that they have no time of being done.
    """
    closed = [replace(reminder, status=DONE) for reminder in reminders if reminder.status == OPEN]
    return [replace(client, archived=True, do_not_contact=True), *closed]
