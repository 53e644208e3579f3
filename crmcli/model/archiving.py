"""Rules of the archive: clients whom nobody works with any more, out of sight and in every figure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from crmcli.errors import RuleError

if TYPE_CHECKING:
    from crmcli.model.records import Client


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
