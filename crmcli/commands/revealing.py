"""How listings keep to the rows that show contacts: the others are masked, or shown under a grant and recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from crmcli.errors import NotPermittedError
from crmcli.model.masking import CONTACT_COLUMNS, masked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crmcli.session import Session
    from crmcli.storage.members import Grant
    from crmcli.storage.view import View

_Rows = list[tuple[Any, ...]]


class Revealing(NamedTuple):
    """What was asked for: rows `wanted` unmasked, under which grant, or as an admin's own doing.

    `clients` are whom the rows are about, one each, where no column says it.
    """

    wanted: bool = False
    grant: str | None = None
    yes: bool = False
    clients: Sequence[int] = ()


def within_bounds(crm: Session, store: View, columns: Sequence[str], rows: _Rows) -> _Rows:
    """Return rows as they may be shown to anybody: masked after the first ones, which is said on stderr."""
    first = store.settings.reveal_rows
    shown, count = masked(columns, rows, first)
    if count:
        crm.say(
            f"rows masked: {count}, those after the first {first}; "
            "--reveal shows them under a grant, which an admin gives: crmcli grant export"
        )
    return shown


def record_seen(crm: Session, store: View, columns: Sequence[str], rows: _Rows, client_ids: Sequence[int]) -> None:
    """Record whom the rows that are not masked show, where the company wants that recorded; before they are shown."""
    from crmcli.storage.giving import record_reveal

    told = [at for at, name in enumerate(columns) if name in CONTACT_COLUMNS]
    first = zip(client_ids, rows[: store.settings.reveal_rows], strict=False)
    seen = [number for number, row in first if any(row[at] is not None for at in told)]
    if seen and store.settings.record_reveals:
        with crm.writing() as draft:
            record_reveal(draft, seen)


def revealed(
    crm: Session, store: View, columns: Sequence[str], rows: _Rows, client_ids: Sequence[int], asked: Revealing
) -> _Rows:
    """Return rows unmasked as far as a grant covers them, once its use is recorded. Raises: NotPermittedError."""
    from crmcli.formats.json_lines import json_lines
    from crmcli.model.exporting import is_covered
    from crmcli.storage import exporting, giving
    from crmcli.storage.identity import has_passphrase

    first = store.settings.reveal_rows
    if not masked(columns, rows, first)[1]:
        return rows

    def make(under: Grant | None) -> tuple[_Rows, list[str], int]:
        covered = None if under is None else under.columns
        shown = [name for name in columns if name in CONTACT_COLUMNS and is_covered(name, covered)]
        if not shown:
            raise NotPermittedError("the grant covers no column that is masked here")
        return masked(columns, rows, first, shown)[0], exporting.books_of(store, client_ids), len(rows)

    with crm.writing() as draft:
        sure = asked.yes or has_passphrase(crm.identity_path)
        used, shown = giving.using(draft, crm.now, asked.grant, make, sure=sure)
        giving.record_use(draft, used, exporting.books_of(draft, client_ids), len(rows), json_lines(columns, shown))
    return shown
