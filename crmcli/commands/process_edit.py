"""`crmcli process edit`: change the sales process in your editor."""

from __future__ import annotations

import typer

from crmcli.commands.processing import edited, show_process
from crmcli.commands.saving import saved_as


def process_edit(ctx: typer.Context) -> None:
    """Open the sales process in VISUAL or EDITOR, and make what you saved there the process (admins only).

    A text that is no process, or that is refused, is kept in a file, and the error names it.
    """
    from crmcli.storage.processing import apply_process, present_process
    from crmcli.storage.team import require_admin

    crm = ctx.obj
    with crm.reading() as store:
        require_admin(store.store, "the process")
        before = present_process(store)
    with edited(crm, before) as process, crm.writing() as draft:
        version = apply_process(draft, crm.acting(draft), process)
    show_process(crm, process, version, saved_as(draft.committed, dry_run=False))
