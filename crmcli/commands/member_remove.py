"""`crmcli member remove`: remove a member, hand the clients over, and change the keys of what the member could open."""

from __future__ import annotations

from typing import Annotated

import typer

from crmcli.commands.teaming import MemberName, Rewrite, encrypted_again, say_what_old_keys_open, say_what_stays


def member_remove(
    ctx: typer.Context,
    name: MemberName,
    to: Annotated[str | None, typer.Option(metavar="NAME", help="who takes over the clients")] = None,
    rewrite: Rewrite = False,
) -> None:
    """Remove a member. The grants are revoked, and every book that the member could open has new keys from now on.

    A member with clients is not removed without --to. What others had given the member to do is the clients' owners'
    again. Files written before are encrypted again as they are compacted,
    or at once with --rewrite. Interrupted, run it again: it does what is missing. Only an admin may do it, and nobody
    to oneself.
    """
    from crmcli.model.ids import decode_id
    from crmcli.storage.assigning import given_back
    from crmcli.storage.enrolling import dismiss
    from crmcli.storage.rewriting import outdated
    from crmcli.storage.team import name_of, named
    from crmcli.storage.view import View

    crm = ctx.obj
    store = crm.store()
    view = View(store)
    member, taker = named(view, name), None if to is None else named(view, to)
    moved, books = dismiss(store, member, taker, crm.now)
    crm.saved = True
    rewritten = encrypted_again(crm, store) if rewrite else 0
    crm.output.pairs(
        [
            ("removed", name_of(view, member)),
            ("clients handed over", 0 if moved is None else len(moved.clients)),
            ("reminders given back", given_back(view, decode_id(member.member) or 0)),
            ("books with new keys", books),
            ("commits of encrypting again", rewritten),
            ("files under older keys", len(outdated(store))),
        ]
    )
    crm.say("this cannot be undone: whoever was removed keeps the copies made before, and they open with the old keys")
    say_what_old_keys_open(crm, store)
    if rewritten or (moved is not None and len(moved.clients)):
        say_what_stays(crm, view)
