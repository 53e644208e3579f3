"""How commands ask: before they do what cannot be taken back, and for what was left out on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from crmcli.errors import InputError, InterruptedByUserError

if TYPE_CHECKING:
    from collections.abc import Callable

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


def answer(crm: Session, question: str, check: Callable[[str], object]) -> str | None:
    """Return what is typed in answer to a question, asked once a run, or None where there is nobody to ask.

    An answer that `check` refuses with an InputError is asked for again.
    """
    if not crm.output.stdin.isatty():
        return None
    while question not in crm.answers:
        crm.output.note(question)
        typed = crm.output.stdin.readline()
        if not typed:
            return None
        try:
            check(typed.strip())
        except InputError as error:
            crm.output.note(error.message)
        else:
            crm.answers[question] = typed.strip()
    return crm.answers[question]
