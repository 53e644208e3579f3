"""How the audit and a client's history are shown: a row for each commit, flag or changed field, newest first."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from crmcli.model.ids import encode_id
from crmcli.model.zones import in_zone
from crmcli.output import cell

if TYPE_CHECKING:
    from crmcli.commands.params import Format
    from crmcli.session import Session
    from crmcli.storage.auditing import Audit, Wanted
    from crmcli.storage.view import View

HISTORY = ("at", "who", "record", "id", "field", "before", "after", "commit")
# Columns that hold the id of a record of another table, and those that hold somebody of the staff.
_REFERENCES = {"deal_id", "sale_id", "refund_of", "product_id", "about_id", "reminder_id"}
_PEOPLE = {"by_id", "owner_id", "created_by", "assignee_id", "member_id"}


def show_audit(crm: Session, audit: Audit, wanted: Wanted, form: Format, limit: int) -> None:
    """Show a row for each commit asked for, with the rules that it broke."""
    from crmcli.storage.auditing import COLUMNS

    flags = audit.flags
    found, total = audit.page(wanted, limit if form == "table" else 0)
    rows = ((*row, "; ".join(rule for rule, _ in flags.get(row[0], ())) or None) for row in found)
    crm.output.rows((*COLUMNS, "flags"), rows, form=form, limit=limit, total=total, id_column="seq")


def show_flags(crm: Session, audit: Audit, wanted: Wanted, form: Format, limit: int) -> None:
    """Show a row for each rule that a commit asked for broke, with the figures."""
    from crmcli.storage.auditing import COLUMNS

    flags = audit.flags
    found, _ = audit.page(replace(wanted, seqs=flags), 0)
    rows = ((*row, *flag) for row in found for flag in flags[row[0]])
    crm.output.rows((*COLUMNS, "rule", "figures"), rows, form=form, limit=limit, id_column="seq")


def show_history(crm: Session, store: View, client_id: int, form: Format, limit: int) -> None:
    """Show what changed in the records of a client, and say in a line what the keys or an erasure keep back."""
    from crmcli.storage.auditing import made_by, staff_name
    from crmcli.storage.versions import changes_of, disguised, kept_back

    changes = changes_of(store.reader, store.store.state, client_id)
    shown = changes[:limit] if form == "table" and limit else changes
    made = made_by(store.store, {change.seq for change in shown}) | disguised(store, client_id)
    rows = []
    for change in shown:
        author, at = made[change.seq]
        cells = (shown_value(store, change.field, value) for value in (change.before, change.after))
        rows.append(
            (in_zone(at, store.settings.zone), staff_name(store, author), change.table, encode_id(change.number),
             change.field, *cells, change.seq)
        )  # fmt: skip
    crm.output.rows(HISTORY, rows, form=form, limit=limit, total=len(changes), id_column="id")
    for note in kept_back(store, client_id):
        crm.output.note(note)


def shown_value(store: View, name: str | None, value: Any) -> Any:
    """Return the value of a field as it is shown: ids as text, people by name, times in the company's zone."""
    if value is None:
        return None
    if name is None:
        return ", ".join(
            f"{field} {cell(shown_value(store, field, part))}" for field, part in value if part is not None
        )
    if name in _PEOPLE:
        return store.staff.get(value, encode_id(value))
    if name in _REFERENCES:
        return encode_id(value)
    return value.astimezone(store.settings.zone) if isinstance(value, datetime) else value
