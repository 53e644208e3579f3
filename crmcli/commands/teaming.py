"""What the commands about the team share: how a member is shown, and the options that several of them have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from crmcli.session import Session
    from crmcli.storage.members import Member
    from crmcli.storage.store import Store
    from crmcli.storage.view import View

Role = Literal["manager", "lead", "analyst", "service", "admin"]
MemberName = Annotated[str, typer.Argument(metavar="NAME", help="the name on the staff list, or the id")]

Rewrite = Annotated[bool, typer.Option("--rewrite", help="encrypt all that is under older keys again, now")]


def encrypted_again(crm: Session, store: Store) -> int:
    """Encrypt all that is under older keys again, and return how many commits that took."""
    from crmcli.storage.rewriting import outdated, rewrite

    with crm.output.progress(len(outdated(store)), "encrypting again") as advance:
        return len([advance(files) for files in rewrite(store, crm.now)])


def show_changed_member(crm: Session, store: Store, member: str, books: int, *, rewrite: bool) -> None:
    """Write the sheet of a member who opens more or less by now, and what old keys still open."""
    from crmcli.model.ids import decode_id
    from crmcli.storage.assigning import given_back
    from crmcli.storage.view import View

    rewritten = encrypted_again(crm, store) if rewrite else 0
    show_member(crm, View(store), store.state.members[member])
    back = given_back(View(store), decode_id(member) or 0)
    if back:
        crm.say(f"reminders of others' clients that are their owners' again: {back}")
    if books:
        crm.say(f"books with new keys: {books}; from now on crmcli shows this member no more than what is listed")
        say_what_old_keys_open(crm, store)
    if rewritten:
        say_what_stays(crm, View(store))


def say_what_old_keys_open(crm: Session, store: Store) -> None:
    """Say that files under older keys open with them, if there are any."""
    from crmcli.storage.rewriting import outdated

    if outdated(store):
        crm.say("files written before open with the old keys until they are compacted; --rewrite does it now")


def say_what_stays(crm: Session, view: View) -> None:
    """Say how long the files that were just replaced can be copied still, and how to be rid of them."""
    from crmcli.model.dates import format_moment
    from crmcli.storage.upkeep import KEEP

    until = format_moment(crm.now + KEEP, view.settings.zone)
    crm.say(
        f"the files replaced open with the old keys until crmcli gc removes them, after {until}; "
        "crmcli gc --now does it at once"
    )


def show_member(crm: Any, view: View, member: Member) -> None:
    """Write the sheet of one member."""
    from crmcli.storage.team import client_count, name_of, opens, owner_name

    opened = opens(view, member)
    crm.output.pairs(
        [
            ("member", member.member),
            ("name", name_of(view, member)),
            ("role", member.role),
            ("state", "active" if member.active else "removed"),
            ("clients", client_count(view, member)),
            ("reads", [owner_name(view, book) for book in member.read]),
            ("personal", [owner_name(view, book) for book in member.personal]),
            ("dispatcher", member.dispatcher),
            ("opens whole", opened["whole"]),
            ("opens facts of", opened["facts"]),
        ]
    )
