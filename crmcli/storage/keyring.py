"""The keys at hand: which books a member opens, unwrapped when they are first needed; and the making of new ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crmcli.errors import NoKeyError
from crmcli.storage.genesis import b64, unb64
from crmcli.storage.keys import KEY_SIZE, FileAddress, KeyPair, key_id, random_bytes, seal_under
from crmcli.storage.members import GROUPS_OF, Book, Member, Wrap, entitled
from crmcli.storage.state import State
from crmcli.storage.tables import PERSONAL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crmcli.storage.identity import Identity
    from crmcli.storage.log import FileEntry

DROP_LABEL = "crmcli/drop-key/v1"


class Keyring:
    """The book keys that one identity opens in one state of the store: those that the member is entitled to by now."""

    def __init__(self, identity: Identity, state: State) -> None:
        self._identity = identity
        self._state = state
        self._keys: dict[tuple[str, str, int], bytes] = {}

    @property
    def role(self) -> str | None:
        """The role of the member whose keys they are; None before there is one."""
        member = self._state.members.get(self._identity.member)
        return None if member is None else member.role

    def holds(self, book: str, group: str) -> bool:
        """Say whether the present key of a group of a book is at hand."""
        return self._wrap(book, group, self._state.books[book].epoch) is not None

    def opens(self, entry: FileEntry) -> bool:
        """Say whether the key of a file is at hand."""
        return self._wrap(entry.book, entry.group, entry.epoch) is not None

    def _wrap(self, name: str, group: str, epoch: int) -> Wrap | None:
        """Return a key of a book, sealed; a key kept from a time when the member might open more counts for none."""
        book, member = self._state.books[name], self._state.members.get(self._identity.member)
        wrap = book.wrap(group, epoch)
        if wrap is None or wrap.mine is None or member is None or not entitled(member, book, group):
            return None
        return wrap

    def book_key(self, book: str, group: str, epoch: int) -> bytes:
        """Return the key of a group of a book at an epoch. Raises: NoKeyError."""
        wrap = self._wrap(book, group, epoch)
        if wrap is None or wrap.mine is None:
            raise NoKeyError("this identity holds no key of that book")
        known = self._keys.get((book, group, epoch))
        if known is not None:
            return known
        context = wrap_context(self._state.store, book, group, epoch, self._identity.member)
        key = self._identity.keys.open(unb64(wrap.mine), *context)
        if key_id(key) != wrap.key_id:
            raise NoKeyError("a key of that book is not the one the log names")
        self._keys[book, group, epoch] = key
        return key

    def file_keys(self, entry: FileEntry) -> tuple[bytes, bytes]:
        """Return (key, additional data prefix) of a file."""
        address = self.address(entry.book, entry.table, entry.group, entry.epoch, entry.file_id)
        return address.key(self.book_key(entry.book, entry.group, entry.epoch)), address.aad()

    def address(self, book: str, table: str, group: str, epoch: int, file_id: str) -> FileAddress:
        """Return the address of a file in this store."""
        return FileAddress(self._state.store, book, table, group, epoch, file_id)


def wrap_context(store: str, book: str, group: str, epoch: int, member: str) -> tuple[str, ...]:
    """Return what a wrapped book key is bound to."""
    return store, book, group, str(epoch), member


def new_epoch(state: State, book: Book, members: Iterable[Member]) -> dict[str, Any]:
    """Return the change of a `keys` commit that starts a book's next epoch for those entitled among `members`."""
    epoch = book.epoch + 1
    keys, drop = [], None
    for group in GROUPS_OF[book.kind]:
        key = random_bytes(KEY_SIZE)
        wraps = []
        for member in members:
            if member.active and entitled(member, book, group):
                context = wrap_context(state.store, book.book, group, epoch, member.member)
                wraps.append({"member": member.member, "wrap": b64(member.public.seal(key, *context))})
        keys.append({"group": group, "key_id": key_id(key), "wraps": wraps})
        if group == PERSONAL:
            drop = _drop_key(state.store, book.book, epoch, key)
    return {
        "book": book.book,
        "kind": book.kind,
        "owner": book.owner,
        "epoch": epoch,
        "keys": keys,
        "drop": drop,
    }


def _drop_key(store: str, book: str, epoch: int, personal: bytes) -> dict[str, str]:
    pair = KeyPair.generate()
    private = pair.seed[KEY_SIZE:]
    return {
        "mlkem": b64(pair.public.mlkem),
        "x25519": pair.public.x25519.hex(),
        "sealed": b64(seal_under(personal, DROP_LABEL, f"{store}|{book}|{epoch}", private)),
    }
