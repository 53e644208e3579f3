"""How the sales process is written as a file, compared with another, edited and shown."""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from contextlib import contextmanager
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING

from crmcli.errors import ConflictError, CrmError, InputError, OvertakenError
from crmcli.formats.toml_text import read_toml, toml_text
from crmcli.model.process import Process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crmcli.session import Session


def file_of(process: Process) -> str:
    """Return a process as the text of a file that says the same."""
    # An empty list would forbid the [[tables]] that somebody adds below it.
    return toml_text({name: value for name, value in process.to_plain().items() if value})


def show_difference(crm: Session, before: Process, after: Process) -> None:
    """Show line by line what one process has and the other has not."""
    now, then = (file_of(process).splitlines() for process in (before, after))
    lines = list(unified_diff(now, then, "now", "then", lineterm="", n=2))
    for line in lines or ["nothing would change"]:
        crm.output.line(line)


@contextmanager
def edited(crm: Session, before: Process) -> Iterator[Process]:
    """Let the user change a process in the editor, and give what came of it, to be saved inside the block.

    Raises: InputError without an editor, or for one that fails; what the text or the block raises, the text being kept.
    """
    editor = crm.environ.get("VISUAL") or crm.environ.get("EDITOR")
    if not editor:
        raise InputError("there is no editor", "set EDITOR, or use crmcli process show and process apply")
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", prefix="crmcli-process-", suffix=".toml", delete=False
    ) as file:
        file.write(file_of(before))
    path = Path(file.name)
    try:
        _edit(crm, editor, path)
        yield Process.from_plain(read_toml(path))
    except CrmError as error:
        # One that was overtaken is not run again from its start, for that is the editor.
        kind = ConflictError if isinstance(error, OvertakenError) else type(error)
        kept = f"your text is kept: crmcli process apply {path}"
        raise kind(error.message, kept if path.exists() else "the editor left no text; nothing was changed") from error
    path.unlink()


def _edit(crm: Session, editor: str, path: Path) -> None:
    crm.output.flush()
    try:
        code = subprocess.run([*shlex.split(editor), str(path)], check=False).returncode  # noqa: S603 - the user's own
    except (OSError, ValueError) as error:
        raise InputError("the editor cannot be run") from error
    if code:
        raise InputError(f"the editor ended with exit code {code}; nothing was saved")


def show_process(crm: Session, process: Process, version: int, commit: int | str) -> None:
    """Show what is in a process that was saved, or would be."""
    crm.output.pairs(
        [
            ("version", version),
            ("pipelines", len(process.pipelines)),
            ("stages", sum(len(pipeline.stages) for pipeline in process.pipelines)),
            ("products", len(process.products)),
            ("commit", commit),
        ]
    )
