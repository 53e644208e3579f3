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

    from crmcli.storage.backups.known import Known
    from crmcli.storage.backups.places import Place

COLUMNS = ("snapshot", "made_at", "commit", "files", "bytes", "state", "verified_at", "pinned", "place")


def backup_list(ctx: typer.Context, to: To = None, form: Form = "table", limit: Limit = 50) -> None:
    """List snapshots, the newest first. State: whole, lacks files that the store had lost, or not genuine.

    `verified_at` is when one was last read back whole. Times are in UTC, for the company's time zone takes a key.
    """
    crm = ctx.obj
    known = backing_up.known(crm)
    done, failures = backing_up.each(backing_up.places(crm, to), lambda place: list(_rows(place, known)))
    backing_up.show(crm, COLUMNS, [row for _, rows in done for row in rows], form, limit)
    backing_up.end(crm, failures)


def _rows(place: Place, known: Known) -> Iterator[tuple[object, ...]]:
    from crmcli.storage import files
    from crmcli.storage.backups import judging, snapshots

    with files.mapped(f"read the backup in {place.text}"):
        shelf, found = judging.judged(place, known)
        whole = [result for result in reversed(snapshots.results(place)) if result.reads_all]
    verified = {result.snapshot: datetime.fromisoformat(result.at) for result in whole}
    strange = judging.strange(shelf, found)
    for one in reversed(shelf.snapshots):
        if one.name in strange:
            state = f"not genuine: {strange[one.name]}"
        else:
            state = f"lacks {len(found.lacked(one))} files" if found.lacked(one) else "whole"
        pinned = one.name in shelf.pinned
        yield one.name, one.at, one.seq, one.files, one.bytes, state, verified.get(one.name), pinned, place.text
    for name, why in shelf.strange.items():
        yield name, None, None, None, None, f"not genuine: {why}", None, name in shelf.pinned, place.text
