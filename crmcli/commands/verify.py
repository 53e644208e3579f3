"""`crmcli verify`: check every signature, hash and row of the store."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from crmcli.errors import DamagedError, InputError


def verify(
    ctx: typer.Context,
    accept_restore: Annotated[
        str | None, typer.Option(metavar="HASH", help="take the store that an admin restored, by the restore's hash")
    ] = None,
) -> None:
    """Check the whole store from its first byte: signatures, chain, hashes, rights, and every row the keys open.

    Damage ends with exit code 13, every damaged file named. With --accept-restore, a store that was restored is
    taken for the store once all of it was checked, if that hash is of its last restore or of a commit after it; get the
    hash from the admin, not from the folder.
    """
    from crmcli.storage.verification import Findings
    from crmcli.storage.verification import verify as check

    crm = ctx.obj
    crm.store(_hash(accept_restore) if accept_restore is not None else None)
    findings = Findings()
    with crm.reading() as store, crm.output.progress(None, "checking") as advance:
        for _ in check(store.store, findings):
            advance(1)
    crm.output.pairs(
        [
            ("commits", findings.commits),
            ("head", findings.head),
            ("files", findings.files),
            ("opened with your keys", findings.opened),
            ("rows read", findings.rows),
            ("compactions recomputed", findings.compactions),
            ("problems", len(findings.problems)),
        ]
    )
    if findings.problems:
        first, *others = findings.problems
        for problem in others:
            crm.output.note(problem)
        raise DamagedError(f"the store is damaged: {first}", findings.hint or "restore what is named from a backup")
    if accept_restore is not None:
        was_taken = crm.store().confirm()
        crm.say(
            "the restored store is the store now" if was_taken else "nothing to accept: this machine saw nothing newer"
        )


def _hash(text: str) -> str:
    """Return the hash in a text as it comes over the telephone or from paper: in groups, in capitals."""
    digits = re.sub(r"[\s-]", "", text).lower()
    if not re.fullmatch("[0-9a-f]{64}", digits):
        raise InputError("the hash of a restore is 64 hex digits", "crmcli restore printed it")
    return digits
