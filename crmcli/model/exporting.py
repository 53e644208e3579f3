"""What can be exported: the columns of each kind of rows, which of them are personal, and what a grant calls them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from crmcli.errors import InputError, NotPermittedError
from crmcli.model.importing import near

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

Kind = Literal["clients", "deals", "calls", "activities", "sales", "reminders", "notes"]

# Those that `crmcli import` reads bear its names and come first; it leaves the others out.
COLUMNS: dict[str, tuple[str, ...]] = {
    "clients": (
        "name", "phone", "phone2", "email", "email2", "company", "tax_id", "address", "source", "segment", "owner",
        "created_at", "interest", "note", "buy_by", "external_id", "other_phones", "other_emails",
        "other_external_ids", "archived", "do_not_contact", "client_id",
    ),
    "deals": (
        "client", "stage", "pipeline", "external_id", "owner", "opened_at", "closed_at", "amount", "product",
        "lost_reason", "title", "closed_from", "return_on", "deal_id", "client_id",
    ),
    "calls": (
        "client", "direction", "result", "called_at", "seconds", "by", "said", "external_id", "activity_id",
        "client_id",
    ),
    "activities": (
        "client", "kind", "direction", "result", "happened_at", "seconds", "source", "by", "said", "activity_id",
        "client_id",
    ),
    "sales": (
        "client", "sold_at", "amount", "by", "item", "quantity", "deal", "external_id", "refund_of", "sale_id",
        "deal_id", "client_id",
    ),
    "reminders": (
        "client", "cause", "due_at", "about", "owner", "status", "done_at", "reminder_id", "deal_id", "client_id",
    ),
    "notes": ("client", "field", "text", "noted_at", "by", "about_id", "note_id", "client_id"),
}  # fmt: skip
PERSONAL = frozenset(
    {
        "name", "phone", "phone2", "email", "email2", "company", "tax_id", "address", "interest", "note",
        "external_id", "other_phones", "other_emails", "other_external_ids", "client", "title", "said", "item",
        "deal", "about", "text", "field",
    }
)  # fmt: skip
# Column -> the word of a grant that covers it, where it is not its own.
_COVERED_AS = {
    "phone2": "phone",
    "other_phones": "phone",
    "email2": "email",
    "other_emails": "email",
    "other_external_ids": "external_id",
    "whom": "name",
    "promised": "about",
}
WORDS = tuple(sorted({_COVERED_AS.get(column, column) for columns in COLUMNS.values() for column in columns}))


def is_covered(column: str, covered: Collection[str] | None) -> bool:
    """Say whether a grant for `covered` columns (None: all) is for this one."""
    return covered is None or _COVERED_AS.get(column, column) in covered


def listed(text: str | None) -> tuple[str, ...] | None:
    """Return the names in a list such as `name,phone`, or None for nothing."""
    if text is None:
        return None
    names = tuple(dict.fromkeys(name.strip().lower() for name in text.split(",") if name.strip()))
    if not names:
        raise InputError("no column is named", "such as --columns name,phone")
    return names


def granted_columns(text: str | None) -> tuple[str, ...] | None:
    """Return the columns that a grant is to cover, as its commit names them. Raises: InputError for an unknown one."""
    names = listed(text)
    if names is None:
        return None
    words = tuple(dict.fromkeys(_COVERED_AS.get(name, name) for name in names))
    _require_known(words, WORDS)
    return words


def chosen_columns(kind: str, asked: Sequence[str] | None, *, personal: bool) -> tuple[str, ...]:
    """Return the columns of an export: those asked for, or all; without the personal ones where keys are missing.

    Raises: InputError for an unknown column, NotPermittedError where only personal ones are asked for and closed.
    """
    _require_known(asked or (), COLUMNS[kind])
    columns = tuple(asked or COLUMNS[kind])
    if not personal:
        columns = tuple(column for column in columns if column not in PERSONAL)
    if not columns or (kind == "notes" and not personal):
        raise NotPermittedError("your keys open no names, phones or texts", "facts alone can be exported")
    return columns


def _require_known(names: Sequence[str], known: Sequence[str]) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InputError(f"there is no column {unknown[0][:40]!r}", near(unknown[0], known))
