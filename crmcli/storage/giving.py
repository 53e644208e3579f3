"""Giving out: grants are given, listed and revoked by admins; a use of one is chosen, checked and recorded."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from crmcli.errors import ConflictError, InputError, NotFoundError, NotPermittedError, RuleError
from crmcli.model.acting import clean_text
from crmcli.model.frozen import dataclass
from crmcli.model.ids import SHORTEST, decode_id, encode_id
from crmcli.model.records import Document
from crmcli.model.zones import in_zone
from crmcli.storage.granting import refused
from crmcli.storage.keys import random_bytes, sha256
from crmcli.storage.members import ADMIN, Grant
from crmcli.storage.tables import stamp
from crmcli.storage.view import Draft

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from crmcli.model.acting import Acting
    from crmcli.storage.store import Store
    from crmcli.storage.view import View

_T = TypeVar("_T")
# Under a grant, or none: (what is given out, its books, its rows).
_Make: TypeAlias = "Callable[[Grant | None], tuple[_T, list[str], int]]"
LISTED = ("grant_id", "to", "right", "books", "columns", "max_rows", "expires", "once", "used", "state", "purpose")
# So far ahead of a clock the time of the log can be without a word: it lets grants last as much longer.
_LEAP = timedelta(days=1)
_UNKNOWN = "there is no such grant in this store"
_ASK = "an admin gives one: crmcli grant export --to NAME"


@dataclass(frozen=True)
class Terms:
    """On what terms a grant is given; None sets no limit. `to` and `books` name members, `columns` are words."""

    to: str
    right: str
    books: Sequence[str]
    columns: tuple[str, ...] | None
    max_rows: int | None
    expires: datetime
    once: bool
    purpose: str | None


def give(draft: Draft, acting: Acting, terms: Terms) -> str:
    """Make the draft the commit that gives a grant; return its id. Raises: NotPermittedError for who is no admin."""
    state = draft.store.state
    _require_admin(draft)
    to = member_named(draft, terms.to)
    if not state.members[to].active:
        raise InputError("that person is no member any more")
    start = counted_from(draft, acting.now)
    if terms.expires <= start:
        raise InputError("the grant would have expired already", "such as --expires 24h")
    if start - acting.now > _LEAP and not terms.once:
        raise RuleError(
            f"the log is {(start - acting.now).days} days ahead of this clock: the grant would not end by itself",
            "--once ends it with its use; crmcli doctor names who set the time ahead",
        )
    clean_text(terms.purpose)
    books = [_book_named(draft, name) for name in terms.books]
    grant = encode_id(acting.new_id())
    draft.pending.type = "grant"
    draft.pending.body = {
        "grant": {
            "action": "give",
            "grant": grant,
            "to": to,
            "right": terms.right,
            "books": books or None,
            "columns": None if terms.columns is None else list(terms.columns),
            "max_rows": terms.max_rows,
            "expires": stamp(terms.expires),
            "once": terms.once,
        }
    }
    return grant


def counted_from(view: View, now: datetime) -> datetime:
    """Return from when a grant counts: now, or the time of the log, which some clock may have set ahead."""
    return datetime.fromisoformat(_now(view, now))


def note_purpose(store: Store, grant: str, purpose: str | None, at: datetime) -> None:
    """Commit why a grant was given, which is people's text and so no part of it; the grant counts without."""
    text = clean_text(purpose)
    if text is None:
        return
    draft = Draft(store)
    draft.put_document("purposes", Document(decode_id(grant) or 0, 1, text, at, store.member_number))
    store.commit(draft.finish(), draft.base, random_bytes(16).hex(), at)


def revoke(draft: Draft, named: str) -> str:
    """Make the draft the commit that revokes a grant; return its id. Raises: NotFoundError, NotPermittedError."""
    _require_admin(draft)
    grant = grant_named(draft, named)
    if grant is None:
        raise NotFoundError(_UNKNOWN, "crmcli grant list --all shows their ids")
    if grant.revoked:
        raise ConflictError("the grant is revoked already")
    draft.pending.type = "grant"
    draft.pending.body = {"grant": {"action": "revoke", "grant": grant.grant}}
    return grant.grant


def listed(view: View, at: datetime, *, everything: bool) -> list[tuple[Any, ...]]:
    """Return rows of the grants that are valid at an instant, or of all; who is no admin sees their own."""
    state, me, now = view.store.state, view.store.identity.member, _now(view, at)
    purposes = {encode_id(note.document_id): note.text for note in view.records("purposes")}
    rows = []
    for grant in state.grants.values():
        standing = _standing(grant, now)
        if (everything or standing == "valid") and (grant.to == me or is_admin(view)):
            rows.append(
                (
                    grant.grant,
                    _person(view, grant.to),
                    grant.right,
                    None if grant.books is None else [_person(view, state.books[book].owner) for book in grant.books],
                    grant.columns,
                    grant.max_rows,
                    in_zone(datetime.fromisoformat(grant.expires), view.settings.zone),
                    grant.once,
                    grant.used,
                    standing,
                    purposes.get(grant.grant),
                )
            )
    return rows


def _standing(grant: Grant, at: str) -> str:
    if grant.revoked:
        return "revoked"
    if grant.once and grant.used:
        return "used"
    return "expired" if at >= grant.expires else "valid"


def _person(view: View, member: str | None) -> str:
    """Return the name of a member, or what they are known by otherwise."""
    return view.staff.get(decode_id(member or "") or 0) or member or "inbox"


def is_admin(view: View) -> bool:
    """Say whether the member of this run is an admin."""
    return view.store.member.role == ADMIN


def _require_admin(view: View) -> None:
    if not is_admin(view):
        raise NotPermittedError("only an admin gives and revokes grants")


def member_named(view: View, name: str) -> str:
    """Return the id of the member of that name or id. Raises: NotFoundError, ConflictError if several fit."""
    members = view.store.state.members
    wanted = name.strip().casefold()
    found = [encode_id(number) for number, known in view.staff.items() if known.casefold() == wanted]
    found = [member for member in found if member in members] or [m for m in members if m.casefold() == wanted]
    if not found:
        names = sorted(known for number, known in view.staff.items() if encode_id(number) in members)
        raise NotFoundError("there is no member of that name", f"there is {', '.join(names[:12])}")
    if len(found) > 1:
        raise ConflictError(f"{len(found)} members have that name", f"name one by its id: {', '.join(found)}")
    return found[0]


def _book_named(view: View, name: str) -> str:
    """Return the book of the member of that name. Raises: NotFoundError."""
    book = view.store.state.own_book(member_named(view, name))
    if book is None:
        raise NotFoundError("that member has no book")
    return book


def grant_named(view: View, named: str) -> Grant | None:
    """Return the grant of that id or beginning of one, or None. Raises: ConflictError if several begin like that."""
    wanted = named.strip().upper()
    grants = view.store.state.grants.values()
    found = [grant for grant in grants if grant.grant.startswith(wanted) and len(wanted) >= SHORTEST]
    if len(found) > 1:
        raise ConflictError(f"{len(found)} grants begin like that", "give more of the id")
    return found[0] if found else None


def using(view: View, at: datetime, named: str | None, make: _Make[_T], *, sure: bool) -> tuple[Grant | None, _T]:
    """Return a grant that covers what `make` makes under it, and that.

    `make` returns what is given out, its books and its rows, or raises NotPermittedError if the grant is not for it.
    The grant is the one named; or none for an admin who is `sure`; or the first that will do, those for once last.
    Raises: NotPermittedError with the reason.
    """
    if named is not None:
        grant = grant_named(view, named)
        if grant is None:
            raise NotPermittedError(_UNKNOWN)
        return grant, _covered(view, grant, at, make)
    if is_admin(view) and sure:
        return None, make(None)[0]
    grants = view.store.state.grants.values()
    mine = [grant for grant in grants if grant.to == view.store.identity.member and grant.right == "export"]
    # Where all are past, the newest one is what somebody has in mind.
    valid = [grant for grant in mine if _standing(grant, _now(view, at)) == "valid"] or mine[-1:]
    reason = NotPermittedError("you have no grant to export", _ASK)
    if is_admin(view):
        reason = NotPermittedError(
            "an admin without a passphrase exports with --yes, or with a grant", "either is recorded"
        )
    for grant in sorted(valid, key=lambda g: (g.once, g.books is not None, g.columns is not None, g.expires)):
        try:
            return grant, _covered(view, grant, at, make)
        except NotPermittedError as error:
            reason = error
    raise reason


def _now(view: View, at: datetime) -> str:
    """Return what the next commit would have for its time, by which expiry is judged."""
    return max(stamp(at), view.store.state.at)


def _covered(view: View, grant: Grant, at: datetime, make: _Make[_T]) -> _T:
    """Return what `make` makes under a grant. Raises: NotPermittedError with why the grant does not cover it."""
    when, me = _now(view, at), view.store.identity.member
    # What is wrong with the grant itself is told before anything is read under it.
    zone = view.settings.zone
    _require(refused(grant, me, "export", when, books=[], zone=zone))
    made, books, rows = make(grant)
    _require(refused(grant, me, "export", when, rows, books, zone=zone))
    return made


def _require(reason: str | None) -> None:
    if reason is not None:
        raise NotPermittedError(reason, _ASK)


def record_use(draft: Draft, grant: Grant | None, books: Sequence[str], rows: int, content: bytes) -> None:
    """Make the draft the commit that records what is given out, under a grant or an admin's own right."""
    draft.pending.type = "grant-use"
    draft.pending.body = {
        "use": {
            "grant": None if grant is None else grant.grant,
            "right": "export",
            "books": list(books),
            "rows": rows,
            "sha256": sha256(content),
        }
    }


def record_reveal(draft: Draft, client_ids: Sequence[int]) -> None:
    """Make the draft the commit that says that clients are looked at, where the company wants that recorded."""
    if draft.settings.record_reveals:
        draft.pending.type = "reveal"
        draft.pending.body = {"reveal": {"clients": [encode_id(number) for number in dict.fromkeys(client_ids)]}}
