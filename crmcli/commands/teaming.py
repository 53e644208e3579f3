"""What the commands about the team share: how a member is shown, and the options that several of them have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from crmcli.storage.members import Member
    from crmcli.storage.view import View

Role = Literal["manager", "lead", "analyst", "service", "admin"]
MemberName = Annotated[str, typer.Argument(metavar="NAME", help="the name on the staff list, or the id")]


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
