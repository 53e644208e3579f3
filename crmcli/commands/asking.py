"""How commands ask before they do what cannot be taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from crmcli.errors import InputError, InterruptedByUserError

if TYPE_CHECKING:
    from crmcli.session import Session

Yes = Annotated[bool, typer.Option("--yes", help="do not ask")]


def ask(crm: Session, question: str, *, yes: bool) -> None:
    """Ask on the terminal, once a run, unless the command line said yes.

    Raises: InputError where there is nobody to ask, InterruptedByUserError for any other answer than yes.
    """
    if yes or question in crm.agreed:
        return
    if not crm.output.stdin.isatty():
        raise InputError("this cannot be taken back, so it has to be confirmed", "add --yes")
    crm.output.note(f"{question} [y/N]")
    if crm.output.stdin.readline().strip().casefold() not in ("y", "yes"):
        raise InterruptedByUserError("nothing was done")
    crm.agreed.add(question)
