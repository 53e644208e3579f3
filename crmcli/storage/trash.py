"""The trash: commits of late whose undoing would bring something back, the newest first."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from crmcli.errors import RuleError
from crmcli.storage.auditing import newest_first, staff_name
from crmcli.storage.tables import stamp
from crmcli.storage.undoing import Undoing, may_undo, plan, undoes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crmcli.storage.auditing import Head
    from crmcli.storage.view import View

# What somebody may miss even where an undo has brought back something else.
_MISSED = ("clients", "deals", "activities", "sales")


def lately(view: View, since: datetime) -> Iterator[tuple[Undoing, str, datetime, bool]]:
    """Yield what undoing a commit would do, who made it and when, and whether this member may undo it.

    Of the commits since an instant by this member, or in the own book, those that changed or took out records.
    """
    first = stamp(since)
    for head in newest_first(view.store):
        if head.at < first:
            return
        if head.type == "data" and _concerns(view, head):
            try:
                undoing = plan(view, head)
            except RuleError:
                continue
            at = datetime.fromisoformat(head.at)
            yield undoing, staff_name(view, head.author), at, may_undo(view, head.author)


def _concerns(view: View, head: Head) -> bool:
    """Say whether a commit is by this member or in the own book, and did more than add, or than bring back."""
    me = view.store.identity.member
    mine = view.store.state.own_book(me)
    changed = [e for e in head.document["add"] if e["kind"] != "insert"]
    if undoes(view.store, head) is not None:
        brings_back = any(entry["kind"] == "upsert" for entry in changed)
        gone = [entry for entry in changed if entry["kind"] == "delete"]
        changed = [entry for entry in gone if entry["table"] in _MISSED] if brings_back else gone
    return bool(changed) and (head.author == me or any(entry["book"] == mine for entry in changed))
