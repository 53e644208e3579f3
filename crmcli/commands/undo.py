"""`crmcli undo`: take back the last mistake, or the commit of a number, by another commit."""

from __future__ import annotations

from typing import Annotated

import typer

from crmcli.commands.params import Form, Limit
from crmcli.commands.undoing import say_undone, show_undone


def undo(
    ctx: typer.Context,
    commit: Annotated[
        int | None, typer.Argument(min=1, metavar="[COMMIT]", help="its number, as trash and audit show it")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show what would come of it and save nothing")] = False,
    limit: Limit = 50,
    form: Form = "table",
) -> None:
    """Take back the last change of records that you made, or the one of a number: all of it, as if it had not been.

    Again, and the change before that is taken back; an undo is taken back by its own number. Nothing is removed from
    the history. It is refused where records were changed since, where something else belongs to them, and for what is
    no change of clients' records. What was erased never comes back.
    """
    from crmcli.storage.undoing import undo as undo_commit

    crm = ctx.obj
    with crm.writing() as store:
        undone = undo_commit(store, commit)
        if dry_run:
            store.discard()
    show_undone(crm, undone, form, limit)
    say_undone(crm, undone, store.committed)
