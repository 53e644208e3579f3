"""The team: who is a member under which name and role, what each may open, and how many clients each has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crmcli.errors import ConflictError, NotFoundError, NotPermittedError, RuleError
from crmcli.model.ids import decode_id, encode_id
from crmcli.storage import kernels as pc
from crmcli.storage.members import ADMIN, GROUPS_OF, Member, entitled, role_text
from crmcli.storage.tables import FACTS

if TYPE_CHECKING:
    import pyarrow as pa

    from crmcli.storage.store import Store
    from crmcli.storage.view import View

COLUMNS = ("member", "name", "role", "state", "clients", "reads", "personal", "dispatcher")


def require_admin(store: Store, what: str = "the team") -> None:
    """Raise NotPermittedError unless the member at work is an admin."""
    member = store.member
    if member.role != ADMIN:
        raise NotPermittedError(f"{role_text(member.role)} may not change {what}", "an admin can")


def require_other(store: Store, member: Member) -> None:
    """Raise RuleError if a member is about to take something away from oneself."""
    if member.member == store.identity.member:
        raise RuleError("nobody does that to oneself", "another admin has to")


def require_admin_left(store: Store, member: Member) -> None:
    """Raise RuleError if without this member no admin but the recovery key would be left."""
    others = (m for m in store.state.members.values() if m.active and m.role == ADMIN and not m.recovery)
    if member.role == ADMIN and not member.recovery and all(m.member == member.member for m in others):
        raise RuleError("this is the last admin", "make somebody else one first: crmcli member role NAME admin")


def named(view: View, who: str) -> Member:
    """Return the member of a name on the staff list, in any case, or of a whole id; active ones before others.

    Raises: NotFoundError, ConflictError.
    """
    members = view.store.state.members
    number = decode_id(who.strip())
    if number is not None and encode_id(number) in members:
        return members[encode_id(number)]
    found = [m for m in members.values() if name_of(view, m).casefold() == who.strip().casefold()]
    found = [member for member in found if member.active] or found
    if not found:
        raise NotFoundError("there is nobody of that name in the team", "crmcli member list --all shows everybody")
    if len(found) > 1:
        raise ConflictError(
            f"{len(found)} members have that name", "name one by the id: " + ", ".join(m.member for m in found)
        )
    return found[0]


def name_of(view: View, member: Member) -> str:
    """Return the name of a member; the key on paper has one of its own until somebody uses it."""
    return view.staff.get(decode_id(member.member) or 0, "recovery key" if member.recovery else "")


def owner_name(view: View, book: str) -> str:
    """Return whose book it is, or which one of the company's."""
    place = view.store.state.books[book]
    return place.kind if place.owner is None else name_of(view, view.store.state.members[place.owner])


def book_of(view: View, member: Member) -> str:
    """Return the book of a member. Raises: RuleError if there is none."""
    book = view.store.state.own_book(member.member)
    if book is None:
        hint = "it is nobody's until somebody uses it" if member.recovery else f"{role_text(member.role)} has none"
        raise RuleError(f"{name_of(view, member)} has no book", hint)
    return book


def clients_in(view: View, book: str) -> pa.ChunkedArray:
    """Return the ids of the clients in a book; a canary is none, and stays where it was planted."""
    found = view.reader.merged("clients", ["client_id"], books=[book]).column("client_id")
    planted = view.reader.merged("canaries", ["client_id"], books=[book]).column("client_id")
    return pc.filtered(found, pc.invert(pc.is_in(found, planted.combine_chunks()))) if len(planted) else found


def client_count(view: View, member: Member) -> int | None:
    """Return how many clients a member has; None if the keys at hand do not open the book, or there is none.

    Who is no admin is not told by the number that a canary is none.
    """
    book = view.store.state.own_book(member.member)
    if book is None or not view.reader.keyring.holds(book, FACTS):
        return None
    if view.reader.keyring.role == ADMIN:
        return len(clients_in(view, book))
    return len(view.reader.merged("clients", ["client_id"], books=[book]).column("client_id"))


def roster(view: View, *, gone_too: bool) -> list[tuple[Any, ...]]:
    """Return a row of `COLUMNS` for each member, by name; those who were removed too, if asked for."""
    members = [m for m in view.store.state.members.values() if m.active or gone_too]
    rows = [
        (
            member.member,
            name_of(view, member),
            member.role,
            "active" if member.active else "removed",
            client_count(view, member),
            [owner_name(view, book) for book in member.read],
            [owner_name(view, book) for book in member.personal],
            member.dispatcher,
        )
        for member in members
    ]
    return sorted(rows, key=lambda row: (row[3], row[1].casefold(), row[0]))


def opens(view: View, member: Member) -> dict[str, list[str]]:
    """Return whose books a member is entitled to open, by how far: `whole` or `facts`."""
    found: dict[str, list[str]] = {"whole": [], "facts": []}
    for book in view.store.state.books.values() if member.active else ():
        groups = [group for group in GROUPS_OF[book.kind] if entitled(member, book, group)]
        if groups:
            whole = len(groups) == len(GROUPS_OF[book.kind])
            found["whole" if whole else "facts"].append(owner_name(view, book.book))
    return {how: sorted(names, key=str.casefold) for how, names in found.items()}
