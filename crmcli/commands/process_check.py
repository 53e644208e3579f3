"""`crmcli process check`: say what a file would change in the sales process."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crmcli.commands.processing import show_difference
from crmcli.formats.toml_text import read_toml
from crmcli.model.process import Process


def process_check(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="a process, as crmcli process show prints it")],
) -> None:
    """Check that a file is a process, and show line by line what process apply would change; save nothing.

    Open deals, as far as your keys open them, that stand at a stage the file has not are named.
    """
    from crmcli.storage.processing import check_process, present_process

    crm = ctx.obj
    process = Process.from_plain(read_toml(file))
    with crm.reading() as store:
        show_difference(crm, present_process(store), process)
        check_process(store, process)
