"""How an undo and the trash are shown: a row for each record that leaves, comes back, or is as it was before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from crmcli.commands.auditing import shown_value
from crmcli.commands.showing import ids_shown, what
from crmcli.model.masking import masked
from crmcli.model.zones import in_zone
from crmcli.output import cell

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from crmcli.commands.params import Format
    from crmcli.session import Session
    from crmcli.storage.undoing import Undoing
    from crmcli.storage.view import View

COLUMNS = ("becomes", "record", "id", "name", "what")
TRASH = ("at", "who", "record", "id", "name", "what", "commit", "how")
# Table -> what its records are called; the other tables say no more than the record that they come with.
_CALLED = {
    "contacts": "client",
    "clients": "client",
    "deals": "deal",
    "activities": "activity",
    "sales": "sale",
    "reminders": "reminder",
    "notes": "note",
}
_COMES_AND_GOES = ("contacts", "deals", "activities", "sales", "reminders")
_PERSONAL = ("contacts", "notes")


class _Step(NamedTuple):
    """What becomes of one record: `then` is how it was before the commit, `now` how the commit left it."""

    table: str
    number: int
    client_id: int
    then: Any
    now: Any


def show_undone(crm: Session, undone: Undoing, form: Format, limit: int) -> None:
    """Show what an undo did to each record."""
    with crm.reading() as store:
        steps = _steps(undone)
        rows = [
            (_becomes(step), *named, _told(store, step, step.now, step.then))
            for step, named in zip(steps, _named(store, undone, steps, form), strict=True)
        ]
        _show(crm, store, COLUMNS, rows, form, limit, "id")


def say_undone(crm: Session, undone: Undoing, commit: int | None) -> None:
    """Say which commit was undone by which, and what of it stays."""
    for table in undone.kept:
        crm.say(f"what it added to {table} stays")
    if commit is None:
        crm.say(f"commit {undone.seq} would be undone; nothing was saved")
    else:
        crm.say(f"commit {undone.seq} is undone by commit {commit}; crmcli undo {commit} brings it back")


def show_trash(
    crm: Session, store: View, found: Iterable[tuple[Undoing, str, datetime, bool]], form: Format, limit: int
) -> None:
    """Show what undoing commits, each with its author, time and whether one may, would bring back: a row each."""
    rows: list[tuple[Any, ...]] = []
    for undone, who, at, may in found:
        how = f"crmcli undo {undone.seq}" if may else f"ask {who} to undo {undone.seq}"
        if missed := _missed(store, undone, form):
            rows.append((in_zone(at, store.settings.zone), who, *missed, undone.seq, how))
        if form == "table" and limit and len(rows) >= limit:
            break
    _show(crm, store, TRASH, rows, form, limit, "commit")


def _missed(store: View, undone: Undoing, form: Format) -> tuple[Any, ...]:
    """Return the first of the records that would be as they were, and how many more there are; nothing if none is."""
    steps = [step for step in _steps(undone) if step.then is not None]
    if not steps:
        return ()
    first, *more = steps
    [named] = _named(store, undone, [first], form)
    told = _told(store, first, first.then, first.now)
    return (*named, ", and ".join(text for text in (told, f"{len(more)} more" if more else None) if text))


def _show(
    crm: Session, store: View, columns: tuple[str, ...], rows: list[tuple[Any, ...]], form: Format, limit: int, key: str
) -> None:
    """Show rows, with names in as many as are shown to anybody."""
    shown = rows[:limit] if form == "table" and limit else rows
    bounded, count = masked(columns, shown, store.settings.reveal_rows)
    crm.output.rows(columns, bounded, form=form, limit=limit, total=len(rows), id_column=key)
    if count:
        crm.say(f"names masked: {count}, those after the first {store.settings.reveal_rows}")


def _becomes(step: _Step) -> str:
    if step.then is None:
        return "taken out"
    return "brought back" if step.now is None else "as it was"


def _steps(undone: Undoing) -> list[_Step]:
    """Return what becomes of each record that has a line of its own; of texts alone, if nothing else has."""
    steps = [step for part in undone.parts for step in _steps_of(part)]
    shown = [step for step in steps if step.table in _COMES_AND_GOES or (step.then and step.now)]
    return shown or [step for step in steps if step.table == "notes"]


def _steps_of(part: Any) -> Iterator[_Step]:
    name, key = part.table.name, part.table.key
    if name in _CALLED:
        then, now = ({getattr(r, key): r for r in part.table.to_records(rows)} for rows in (part.before, part.after))
        for number in dict.fromkeys((*then, *now)):
            versions = [then.get(number), now.get(number)]
            if versions[0] != versions[1]:
                client_id = next(version.client_id for version in versions if version is not None)
                yield _Step(name, number, client_id, *versions)


def _named(store: View, undone: Undoing, steps: list[_Step], form: Format) -> list[tuple[str, str, str]]:
    """Return what each record is called, its id, and the name of its client."""
    clients = {step.client_id for step in steps}
    names = {contact.client_id: contact.name for contact in store.records("contacts", "client_id", clients)}
    for part in undone.parts:
        if part.table.name == "contacts":
            for rows in (part.after, part.before):
                names |= {contact.client_id: contact.name for contact in part.table.to_records(rows)}
    tables = ["clients" if step.table == "contacts" else step.table for step in steps]
    ids = ids_shown(store, [(table, step.number) for table, step in zip(tables, steps, strict=True)], form)
    return [
        (_CALLED[table], ids[table, step.number], names.get(step.client_id, ""))
        for table, step in zip(tables, steps, strict=True)
    ]


def _told(store: View, step: _Step, old: Any, new: Any) -> str | None:
    """Return what a record is that came or went, or what differs between two versions of it; nobody's texts."""
    if step.then is not None and step.now is not None:
        fields = [name for name in step.then.__slots__ if getattr(step.then, name) != getattr(step.now, name)]
        if step.table in _PERSONAL:
            return ", ".join(fields)
        return ", ".join(
            f"{name} {_text(store, name, getattr(old, name))} -> {_text(store, name, getattr(new, name))}"
            for name in fields
        )
    record = step.then or step.now
    if step.table == "notes":
        return str(record.field)
    return None if step.table == "contacts" else what(store, record)


def _text(store: View, name: str, value: Any) -> str:
    return "none" if value is None else cell(shown_value(store, name, value))
