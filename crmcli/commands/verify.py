"""`crmcli verify`: check every signature, hash and row of the store."""

from __future__ import annotations

import typer

from crmcli.errors import DamagedError


def verify(ctx: typer.Context) -> None:
    """Check the whole store from its first byte: signatures, chain, hashes, rights, and every row the keys open.

    Damage ends with exit code 13, every damaged file named.
    """
    from crmcli.storage.verification import Findings
    from crmcli.storage.verification import verify as check

    crm = ctx.obj
    findings = Findings()
    with crm.reading() as store, crm.output.progress(None, "checking") as advance:
        for _ in check(store.store, findings):
            advance(1)
    crm.output.pairs(
        [
            ("commits", findings.commits),
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
