"""`crmcli restore`: make a snapshot a store again, in a new folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crmcli.commands import backing_up
from crmcli.commands.backing_up import Snapshot

if TYPE_CHECKING:
    from crmcli.storage.backups.places import Place
    from crmcli.storage.backups.reviving import Restored


def restore(
    ctx: typer.Context,
    snapshot: Snapshot,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="a folder that is new or empty")],
    source: Annotated[
        list[str] | None, typer.Option("--from", metavar="PLACE", help="where the backups lie (CRMCLI_BACKUPS)")
    ] = None,
    book: Annotated[str | None, typer.Option(metavar="ID", help="only the files of that book")] = None,
    table: Annotated[str | None, typer.Option(metavar="TABLE", help="only the files of that table")] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="as it was, to the byte, without a commit; takes no key")
    ] = False,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="though its date, or its place in time, is not right")
    ] = False,
    recovery_key: Annotated[bool, typer.Option("--recovery-key", help="as who has the recovery key on paper")] = False,
) -> None:
    """Restore a snapshot, every byte checked; the folder is there whole, or not at all. Latest is the latest genuine.

    With an admin's identity at hand, or the recovery key, who was erased since is erased again, grants that ended since
    are revoked, and a commit says where the log goes on: each machine that knows the store accepts that by crmcli
    verify --accept-restore HASH; this one does by restoring in the place of the store, unless it saw a newer state.
    Without one, the store is what it was, to the byte. Members who were removed since, or may less, are named, with the
    command that makes it so again.
    """
    from crmcli.storage.backups.places import refuse_target
    from crmcli.storage.backups.reviving import Wanted, restore_to

    crm = ctx.obj
    refuse_target(to, crm.store_path)
    places = backing_up.ranked(crm, source, snapshot)
    part = bool(book or table)
    identity = None if exact or part else backing_up.restorer(crm, places[0], recovery_key=recovery_key)
    every, _ = backing_up.of_one_store(crm, backing_up.places(crm, source))
    known = backing_up.known(crm, every, identity)
    home = (crm.cache, crm.pins) if to.absolute() == crm.store_path.absolute() else None
    wanted = Wanted(snapshot, book, table, anyway, home)

    def restored(place: Place) -> Restored:
        with crm.output.progress(None, f"restoring from {place.text}") as advance:
            return restore_to(place, wanted, to, known, identity, advance)

    done = backing_up.first(crm, places, restored)
    crm.output.pairs(
        [
            ("store", str(to)),
            ("snapshot", done.snapshot),
            ("commit", done.seq),
            ("files", done.files),
            ("bytes", done.bytes),
            ("erased again", done.erased),
            ("restore commit", done.commit),
        ]
    )
    for line in done.notes:
        crm.say(line)
