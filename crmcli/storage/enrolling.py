"""Enrolling: members come, get another role, are allowed more or less, and go; each step done again does no harm.

Every one of these is several commits: who the members are, then the keys that follow from it, then a name. Interrupted
and run again, it does what is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crmcli.errors import ConflictError, InputError, RuleError
from crmcli.model.acting import clean_text
from crmcli.model.ids import decode_id
from crmcli.model.records import Staff
from crmcli.storage.keys import random_bytes
from crmcli.storage.members import ANALYST, LEAD, SERVICE, Member, role_text
from crmcli.storage.settling import in_steps, settle
from crmcli.storage.team import (
    book_of,
    client_count,
    name_of,
    named,
    require_admin,
    require_admin_left,
    require_other,
)
from crmcli.storage.transfer import hand_over
from crmcli.storage.view import Draft, View
from crmcli.storage.writing import Pending

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from crmcli.storage.cards import Card
    from crmcli.storage.store import Store
    from crmcli.storage.transfer import Move

_LONGEST_NAME = 200


def enrol(store: Store, name: str, card: Card, role: str, at: datetime) -> None:
    """Make the owner of a card a member: with keys of all that the role opens, a book, and a name on the staff list.

    Raises: NotPermittedError for who is no admin; NoKeyError for a card with other keys than its member has;
    ConflictError for a name that another member has, and for a member who is there with another role or name, or was
    removed.
    """
    require_admin(store)
    name = staff_name(name)
    with in_steps(store):
        view = View(store)
        known = store.state.members.get(card.member)
        card.require_keys_of(known)
        _require_free(view, name, card.member)
        if known is None:
            _change(store, [card.addition(role)], at)
        elif not known.active:
            raise ConflictError("this member was removed", "nothing brings an identity back: make a new one")
        elif known.role != role:
            raise ConflictError(f"this is {role_text(known.role)} already", "crmcli member role gives another role")
        settle(store, at)
        if name_of(view, store.state.members[card.member]) != name:
            draft = Draft(store)
            draft.put(Staff(decode_id(card.member) or 0, name))
            store.commit(draft.finish(), draft.base, random_bytes(16).hex(), at)


def staff_name(text: str) -> str:
    """Return a name as the staff list holds it. Raises: InputError."""
    name = " ".join((clean_text(text) or "").split())
    if not 0 < len(name) <= _LONGEST_NAME:
        raise InputError(f"a member needs a name of at most {_LONGEST_NAME} characters")
    return name


def _require_free(view: View, name: str, member: str) -> None:
    """Raise ConflictError if another active member has the name, or this one has another."""
    for other in view.store.state.members.values():
        has_name = name_of(view, other).casefold() == name.casefold()
        if has_name and other.active and other.member != member:
            raise ConflictError(f"there is a member called {name} already", "names tell people apart: add a surname")
    known = view.staff.get(decode_id(member) or 0, name)
    if known != name:
        raise ConflictError(f"this member is called {known} already")


def give_role(store: Store, member: Member, role: str, at: datetime) -> int:
    """Give a member another role, with the keys of what it opens and without those of what it does not.

    Returns how many books have new keys for it. Raises: NotPermittedError; RuleError for oneself, the recovery key, the
    last admin, and for clients that the member could not work with any more.
    """
    require_admin(store)
    with in_steps(store):
        member = _active(store, member)
        if member.role != role:
            require_other(store, member)
            require_admin_left(store, member)
            if member.recovery:
                raise RuleError("the recovery key stays an admin's")
            if role in (ANALYST, SERVICE):
                _require_no_clients(store, member, f"{role_text(role)} has none: crmcli transfer moves them")
            changes: list[dict[str, Any]] = [{"action": "role", "member": member.member, "role": role}]
            left = {
                "read": list(member.read) if role == LEAD else [],
                "personal": list(member.personal) if role == SERVICE else [],
                "dispatcher": member.dispatcher and role != ANALYST,
            }
            if left != _allowed(member):
                changes.append({"action": "allow", "member": member.member, **left})
            _change(store, changes, at)
        return settle(store, at)


def allow(
    store: Store,
    member: Member,
    read: Sequence[str] | None,
    personal: Sequence[str] | None,
    dispatcher: bool | None,  # noqa: FBT001 - on, off, or as it is
    at: datetime,
) -> int:
    """Say which books of others a lead reads, in which a service reads what is personal, and who opens the inbox.

    Owners are named as members are; None leaves things as they are. Returns how many books have new keys for it.
    Raises: NotPermittedError; RuleError for what does not go with the role.
    """
    require_admin(store)
    with in_steps(store):
        view, member = View(store), _active(store, member)
        if read and member.role != LEAD:
            raise RuleError(f"{role_text(member.role)} reads no books by name", "a lead does")
        if personal and member.role != SERVICE:
            raise RuleError(f"{role_text(member.role)} opens no personal books by name", "a service does")
        if dispatcher and member.role == ANALYST:
            raise RuleError("an analyst opens no inbox, for there are names in it")
        allowed = _allowed(member)
        for name, owners in (("read", read), ("personal", personal)):
            if owners is not None:
                allowed[name] = list(dict.fromkeys(book_of(view, named(view, owner)) for owner in owners))
        if dispatcher is not None:
            allowed["dispatcher"] = dispatcher
        if allowed != _allowed(member):
            _change(store, [{"action": "allow", "member": member.member, **allowed}], at)
        return settle(store, at)


def dismiss(store: Store, member: Member, taker: Member | None, at: datetime) -> tuple[Move | None, int]:
    """Remove a member: hand the clients over, revoke the grants, start new keys of every book that they opened.

    Returns what was handed over, if it was, and how many books have new keys. Raises: NotPermittedError; RuleError for
    oneself, the last admin, and for clients that would be left without an owner.
    """
    require_admin(store)
    require_other(store, member)
    if member.active:
        require_admin_left(store, member)
    moved = None
    if taker is not None and store.state.own_book(member.member) is not None:
        moved = hand_over(store, member, taker, at)
    with in_steps(store):
        _require_no_clients(store, member, "--to NAME hands them over first")
        for grant in list(store.state.grants.values()):
            if grant.to == member.member and not grant.revoked and grant.expires > store.state.at:
                body = {"grant": {"action": "revoke", "grant": grant.grant}}
                store.commit(Pending("grant", body=body), store.state.seq, random_bytes(16).hex(), at)
        if store.state.members[member.member].active:
            require_admin_left(store, member)
            _change(store, [{"action": "remove", "member": member.member}], at)
        return moved, settle(store, at)


def _require_no_clients(store: Store, member: Member, hint: str) -> None:
    view = View(store)
    count = client_count(view, member)
    if count:
        name = name_of(view, member)
        raise RuleError(f"{name} has {count} clients", hint)


def _active(store: Store, member: Member) -> Member:
    """Return a member as it is by now. Raises: RuleError for one who was removed."""
    member = store.state.members[member.member]
    if not member.active:
        raise RuleError("this member was removed")
    return member


def _allowed(member: Member) -> dict[str, Any]:
    return {"read": list(member.read), "personal": list(member.personal), "dispatcher": member.dispatcher}


def _change(store: Store, changes: list[dict[str, Any]], at: datetime) -> None:
    """Commit changes of members."""
    store.commit(Pending("members", body={"members": changes}), store.state.seq, random_bytes(16).hex(), at)
