"""`crmcli process apply`: make a file the sales process that everybody works by."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crmcli.commands.processing import show_process
from crmcli.commands.saving import saved_as
from crmcli.formats.toml_text import read_toml
from crmcli.model.process import Process


def process_apply(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="a process, as crmcli process show prints it")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="check it and save nothing")] = False,
) -> None:
    """Make a file the sales process: pipelines and their stages, lost reasons, sources, segments and products.

    A stage at which open deals stand cannot be left out. Only an admin may do it.
    """
    from crmcli.storage.processing import apply_process

    crm = ctx.obj
    process = Process.from_plain(read_toml(file))
    with crm.writing() as store:
        version = apply_process(store, crm.acting(store), process)
        if dry_run:
            store.discard()
    show_process(crm, process, version, saved_as(store.committed, dry_run=dry_run))
