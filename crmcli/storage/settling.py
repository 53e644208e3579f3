"""Settling: the keys of every book brought into line with who may open it, in as few commits as fit."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from crmcli.errors import InterruptedByUserError
from crmcli.storage.genesis import b64
from crmcli.storage.identity import new_member_id
from crmcli.storage.keyring import new_epoch, wrap_context
from crmcli.storage.keys import random_bytes
from crmcli.storage.members import ADMIN, ANALYST, GROUPS_OF, Book, Member, entitled
from crmcli.storage.writing import Pending

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from crmcli.storage.state import State
    from crmcli.storage.store import Store

# Bytes of wraps in one commit, which may have 1 MiB; a wrap with its names, and the rest of a book's change, take:
MOST = 700_000
HALF_DONE = "interrupted, perhaps half-way: run it again, it does what is missing"
_WRAP, _CHANGE = 1_640, 2_600


def settle(store: Store, at: datetime) -> int:
    """Give every member a book who is to have one, every book that somebody lost a new epoch, and everybody their keys.

    Done again it goes on where it was interrupted, and where nothing is due it does nothing. Returns how many books
    have a new epoch.
    """
    with in_steps(store):
        lost = [book.book for book in store.state.books.values() if is_lost(store.state, book)]
        fresh = [Book(new_member_id(), "member", owner, 0, {}, {}) for owner in _without_book(store.state)]
        books = [*(store.state.books[name] for name in lost), *fresh]
        epochs = (new_epoch(store.state, book, _first(store.state, book)) for book in books)
        for changes in (epochs, _shares(store)):
            for pack in _packs(changes):
                store.commit(Pending("keys", body={"books": pack}), store.state.seq, random_bytes(16).hex(), at)
    return len(lost)


@contextmanager
def in_steps(store: Store) -> Iterator[None]:
    """Hold the lock over several commits, each of which may be the last one: what is missing then is done by a new run.

    Raises: InterruptedByUserError that says so.
    """
    try:
        with store.lock():
            store.refresh()
            yield
    except (KeyboardInterrupt, InterruptedByUserError) as error:
        raise InterruptedByUserError(HALF_DONE) from error


def unsettled(state: State) -> int:
    """Return how many books wait for new keys, or for keys to be given out, because a change was interrupted."""
    waiting = {book.book for book in state.books.values() if is_lost(state, book)}
    waiting.update(book.book for book, *_ in missing(state))
    return len(waiting) + len(_without_book(state))


def is_lost(state: State, book: Book) -> bool:
    """Say whether somebody holds a present key of a book who is not entitled to it any more."""
    return any(
        not _may_hold(state.members[holder], book, group)
        for group in GROUPS_OF[book.kind]
        if (wrap := book.wrap(group, book.epoch)) is not None
        for holder in wrap.holders
    )


def missing(state: State) -> Iterator[tuple[Book, int, str, list[Member]]]:
    """Yield (book, epoch, group, members): who lacks a key they are to have, the newest epochs of all books first.

    Of the older epochs those count that a live file is under.
    """
    used = {(entry.book, entry.epoch, entry.group) for entry in state.live.values()}
    places = {(book.book, book.epoch, group) for book in state.books.values() for group in GROUPS_OF[book.kind]}
    age = {name: state.books[name].epoch for name, *_ in used | places}
    for name, epoch, group in sorted(used | places, key=lambda place: (age[place[0]] - place[1], place)):
        book = state.books[name]
        wrap = book.wrap(group, epoch)
        if wrap is None or not any(_is_admin(state.members[holder]) for holder in wrap.holders):
            # A key that is out of every admin's reach cannot be given out any more.
            continue
        held = set(wrap.holders)
        members = [m for m in state.members.values() if m.member not in held and _may_hold(m, book, group)]
        if members:
            yield book, epoch, group, members


def _may_hold(member: Member, book: Book, group: str) -> bool:
    return member.active and entitled(member, book, group)


def _is_admin(member: Member) -> bool:
    return member.active and member.role == ADMIN


def _without_book(state: State) -> list[str]:
    """Return the members who are to have a book and have none; the key on paper has one once it is used."""
    members = (m for m in state.members.values() if m.active and m.role != ANALYST and not m.recovery)
    return [member.member for member in members if state.own_book(member.member) is None]


def _first(state: State, book: Book) -> list[Member]:
    """Return whom a new epoch begins with: all who are entitled, or the admins and as many others as a commit holds."""
    groups = GROUPS_OF[book.kind]
    holders = [m for m in state.members.values() if any(_may_hold(m, book, group) for group in groups)]
    holders.sort(key=lambda member: member.role != ADMIN)
    admins = sum(member.role == ADMIN for member in holders)
    return holders[: max(admins, (MOST - _CHANGE) // _WRAP // len(groups))]


def _shares(store: Store) -> Iterator[dict[str, Any]]:
    """Yield the changes of books that give out the keys which members lack, each small enough for a commit."""
    most = (MOST - _CHANGE) // _WRAP
    for book, epoch, group, members in list(missing(store.state)):
        wrap = book.wrap(group, epoch)
        if wrap is None or wrap.mine is None:
            # Another admin has it.
            continue
        key = store.keyring.book_key(book.book, group, epoch)
        for start in range(0, len(members), most):
            wraps = []
            for member in members[start : start + most]:
                context = wrap_context(store.state.store, book.book, group, epoch, member.member)
                wraps.append({"member": member.member, "wrap": b64(member.public.seal(key, *context))})
            yield {
                "book": book.book,
                "kind": book.kind,
                "owner": book.owner,
                "epoch": epoch,
                "keys": [{"group": group, "key_id": wrap.key_id, "wraps": wraps}],
                "drop": None,
            }


def _packs(changes: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield the changes of books that fit into a commit together; a book stands in it once, at one epoch."""
    pack: dict[str, dict[str, Any]] = {}
    size = 0
    for change in changes:
        extra = _CHANGE + _WRAP * sum(len(key["wraps"]) for key in change["keys"])
        known = pack.get(change["book"])
        if size + extra > MOST or (known is not None and not _joins(known, change)):
            yield list(pack.values())
            pack, size = {}, 0
        pack.setdefault(change["book"], change | {"keys": []})["keys"] += change["keys"]
        size += extra
    if pack:
        yield list(pack.values())


def _joins(known: dict[str, Any], change: dict[str, Any]) -> bool:
    """Say whether two changes of a book are one: about other keys of the same epoch."""
    groups = [key["group"] for key in (*known["keys"], *change["keys"])]
    return known["epoch"] == change["epoch"] and len(set(groups)) == len(groups)
