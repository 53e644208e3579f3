"""`crmcli backup list`: the snapshots of each place."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import typer

from crmcli.commands import backing_up
from crmcli.commands.backing_up import To
from crmcli.commands.params import Form, Limit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crmcli.model.backups import Result
    from crmcli.storage.backups.known import Known
    from crmcli.storage.backups.places import Place
    from crmcli.storage.backups.source import Source

COLUMNS = ("snapshot", "made_at", "commit", "files", "bytes", "state", "verified_at", "pinned", "place")


def backup_list(ctx: typer.Context, to: To = None, form: Form = "table", limit: Limit = 50) -> None:
    """List snapshots, the newest first. State: whole, failed (its last check), lacks files, or not genuine.

    `verified_at` is when one was last read back whole. Times are in UTC, for the company's time zone takes a key.
    """
    crm = ctx.obj
    known = backing_up.known(crm)
    source = backing_up.source_or_none(crm)
    done, failures = backing_up.each(backing_up.places(crm, to), lambda place: list(_rows(place, source, known)))
    backing_up.show(crm, COLUMNS, [row for _, rows in done for row in rows], form, limit)
    backing_up.end(crm, failures)


def _rows(place: Place, source: Source | None, known: Known) -> Iterator[tuple[object, ...]]:
    from crmcli.storage import files
    from crmcli.storage.backups import judging, results, stale

    with files.mapped(f"read the backup in {place.text}"):
        shelf, found = stale.judged(place, known, source)
        verdicts = results.verdicts(place, known.now)
    verified = {name: datetime.fromisoformat(result.at) for name, result in verdicts.items() if result.ok}
    strange = judging.strange(shelf, found)
    for one in reversed(shelf.snapshots):
        if one.name in strange:
            state = f"not genuine: {strange[one.name]}"
        else:
            state = _state(one.name, len(found.lacked(one)), verdicts)
        pinned = one.name in shelf.pinned
        yield one.name, one.at, one.seq, one.files, one.bytes, state, verified.get(one.name), pinned, place.text
    for name, why in shelf.strange.items():
        yield (
            name,
            None,
            None,
            None,
            None,
            "damaged" if name in shelf.damaged else f"not genuine: {why}",
            None,
            name in shelf.pinned,
            place.text,
        )


def _state(name: str, lacked: int, verdicts: dict[str, Result]) -> str:
    if lacked:
        return f"lacks {lacked} files"
    return "failed" if name in verdicts and not verdicts[name].ok else "whole"
