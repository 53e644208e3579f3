"""The company's settings in the store: a change of one is a new version of them all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from crmcli.model.records import OPEN, Document
from crmcli.model.reminding import in_other_zone
from crmcli.storage import kernels as pc

if TYPE_CHECKING:
    from datetime import tzinfo

    from crmcli.model.acting import Acting
    from crmcli.model.settings import Settings
    from crmcli.storage.view import Draft


def set_setting(draft: Draft, acting: Acting, name: str, text: str) -> Settings:
    """Put the settings with one value changed, unless it is the present one; return them.

    With the time zone go the reminders that are for a whole day: that stays the day that was named.

    Raises: InputError, RuleError; NotPermittedError for who is no admin.
    """
    draft.require_right(draft.store.state.book_of_kind("company"), "settings")
    draft.depends_on("settings", "sales", "deals")
    before = draft.settings
    after = before.changed(name, text, has_money=_has_money(draft))
    if after != before:
        newest = draft.newest("settings")
        # What a newer program has set stays.
        plain = json.loads(newest.text) | after.to_plain()
        text = json.dumps(plain, ensure_ascii=False)
        draft.put_document("settings", Document(acting.new_id(), newest.version + 1, text, acting.now, acting.by))
        if after.timezone != before.timezone:
            _move_days(draft, before.zone, after.zone)
    return after


def _move_days(draft: Draft, before: tzinfo, after: tzinfo) -> None:
    """Put the open reminders that are for a whole day, as days of another zone."""
    draft.depends_on("reminders")
    rows = draft.reader.merged("reminders", ["reminder_id", "status", "has_time"])
    is_day = pc.and_(pc.equal(rows.column("status"), OPEN), pc.invert(rows.column("has_time")))
    days = pc.filtered(rows, is_day).column("reminder_id").to_pylist()
    if days:
        moved = [in_other_zone(reminder, before, after) for reminder in draft.records("reminders", "reminder_id", days)]
        draft.place([reminder.client_id for reminder in moved])
        draft.put(*moved)


def _has_money(draft: Draft) -> bool:
    """Say whether a sale or the sum of a deal is recorded."""
    if draft.reader.merged("sales", ["sale_id"]).num_rows:
        return True
    amounts = draft.reader.merged("deals", ["amount"])
    return bool(amounts.num_rows > amounts.column("amount").null_count)
