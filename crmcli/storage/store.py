"""The store: one folder, opened by one identity, read at one commit and changed by the next."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from crmcli.errors import (
    CrmError,
    DamagedError,
    NoKeyError,
    NotPermittedError,
    RolledBackError,
)
from crmcli.model.ids import decode_id
from crmcli.storage import files, log, writing
from crmcli.storage.genesis import Genesis, found, member_json
from crmcli.storage.identity import Identity, new_member_id
from crmcli.storage.keyring import Keyring, new_epoch
from crmcli.storage.keys import random_bytes
from crmcli.storage.layout import FOLDERS, check_folders, read_genesis
from crmcli.storage.log import Commit, FileEntry
from crmcli.storage.members import Book, Member
from crmcli.storage.memory import Memory
from crmcli.storage.reading import Reader
from crmcli.storage.state import State
from crmcli.storage.tables import stamp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path


class Store:
    """A store at the newest commit that this run has seen.

    `state` is what the log adds up to, `reader` reads tables, `commit` makes the next commit.
    """

    def __init__(self, root: Path, genesis: Genesis, identity: Identity, memory: Memory) -> None:
        self.root = root
        self.genesis = genesis
        self.identity = identity
        self.memory = memory
        self.state = State(genesis, identity.member)
        self.keyring = Keyring(identity, self.state)
        self.reader = Reader(root, self.state, self.keyring, memory)
        self.file_mode, self.folder_mode = files.modes(root)
        self._recent: list[Commit] = []
        self._held = False
        # Whether the log was read since the lock was taken: until it is let go, nobody else goes on with it.
        self._is_fresh = False
        # Whether the head is one to pin.
        self._is_ahead = False
        self.is_accepting = False
        self.is_forked = False
        self._unsynced: OSError | None = None

    @classmethod
    def create(cls, root: Path, identity: Identity, recovery_seed: bytes, at: datetime) -> Genesis:
        """Lay out the folders and the genesis of a new store in an empty folder; it has no keys yet."""
        recovery = Identity.recover(recovery_seed)
        file_mode, folder_mode = files.modes(root)
        for name in FOLDERS:
            files.make_folder(root / name, folder_mode)
        for shard in range(256):
            files.make_folder(root / "files" / f"{shard:02x}", folder_mode)
        files.write_new(root / "lock", b"", file_mode)
        founder = (identity.member, identity.keys)
        raw = found(random_bytes(16).hex(), stamp(at), founder, (recovery.member, recovery.keys))
        files.write_new(root / "genesis.json", raw, file_mode)
        for folder in ("files", "."):
            files.sync_folder(root / folder)
        return Genesis.parse(raw)

    @classmethod
    def open(cls, root: Path, identity: Identity, cache: Path, pins: Path, accept: str | None = None) -> Store:
        """Open a store and check every commit that this machine has not seen yet.

        `accept` is the hash of a restore commit, or of one after it: a store that has it is taken though this machine
        never saw that restore, or saw a newer state, for this run; `confirm` makes that last.
        Raises: NoStoreError, DamagedError, RolledBackError, NoKeyError, NotPermittedError.
        """
        genesis = read_genesis(root)
        check_folders(root)
        if genesis.hash not in identity.stores:
            raise RolledBackError(
                "this identity does not belong to this store",
                "CRMCLI_IDENTITY and CRMCLI_STORE must fit together; crmcli identity join FINGERPRINT ties the two",
            )
        memory = Memory(cache, pins, genesis.hash, identity.member, identity.keys.memory_key())
        store = cls(root, genesis, identity, memory)
        remembered = memory.load() if accept is None else None
        if remembered is not None:
            store.state.load_json(remembered)
            store._check_remembered()
        store.refresh(accept)
        member = store.state.members.get(identity.member)
        if member is None:
            raise NotPermittedError("you are no member of this store yet", "give an admin your crmcli identity card")
        if not member.active:
            raise NotPermittedError("you are no member of this store any more")
        return store

    def close(self) -> None:
        """Pin the head, and keep what was verified for the next run."""
        self.pin()
        if self.memory.changed and self._unsynced is None:
            self.memory.save(self.state.to_json())

    def pin(self) -> None:
        """Pin the head if it is durable. A full or read-only disk, which may refuse, makes the next run less strict."""
        if self._is_ahead and self._unsynced is None:
            with suppress(OSError):
                self.memory.set_pin(self.state.seq, self.state.hash, self.state.restores)
            self._is_ahead = False

    def _check_remembered(self) -> None:
        """Check that the log still holds, under its number, the commit remembered as the head."""
        seq, head = self.state.seq, self.state.hash
        if seq == 0:
            return
        with files.mapped("read the log"):
            raw = log.read_one(self.root / "log", seq)
        if log.digest(raw) != head:
            raise _rolled_back(seq)

    def refresh(self, accept: str | None = None) -> None:
        """Fold in the commits made since, check them against the pin, and make the head durable, to be pinned.

        Raises: DamagedError, RolledBackError.
        """
        if self._held and self._is_fresh:
            return
        pin, damage = None, None
        try:
            # Before the log is read, for another process may go on with both meanwhile.
            with files.mapped("read what this machine remembers of the store"):
                pin = self.memory.pin()
        except DamagedError as error:
            damage = error
        start = self.state.seq
        heads = {start: self.state.hash}
        with files.mapped("read the log"):
            for seq, raw in log.read_from(self.root / "log", start + 1):
                self._recent.append(self.state.apply(raw))
                heads[seq] = self.state.hash
            self._check_identity()
            if damage is not None:
                raise damage
            if pin is not None and not self._is_expected(pin, start, heads):
                self._require_accepted(pin, heads, accept)
                return
        if self.state.seq > start:
            self.memory.changed = True
        if self.state.seq > (0 if pin is None else pin[0]):
            self._sync_head()
        self._is_fresh = self._held

    def _is_expected(self, pin: tuple[int, str], start: int, heads: dict[int, str]) -> bool:
        """Say whether the store goes on from what this machine saw, without a restore that it has not accepted.

        A restored copy beside the store would otherwise take the store's place by being looked at.
        """
        self.is_forked = pin[0] >= start and heads.get(pin[0]) != pin[1]
        return not self.is_forked and all(seq <= max(start, pin[0]) for seq, _ in self.state.restores)

    def _require_accepted(self, pin: tuple[int, str], heads: dict[int, str], accept: str | None) -> None:
        """Take a restored store for this run if its user named a commit of it. Raises: RolledBackError."""
        if accept is None:
            raise _rolled_back(pin[0]) if self.is_forked else _restored(self.state.restores[-1][0])
        require_new_restore(self.state.restores, accept, heads, self.memory.pinned_restores())
        self.is_accepting = True

    def _sync_head(self) -> None:
        """Make the head durable: a reader may see a commit before its writer has, and must not run ahead.

        A head that cannot be synced may be read, but neither pinned, remembered nor built upon.
        """
        try:
            files.sync_folder(self.root / "log")
        except OSError as error:
            self._unsynced = error
        else:
            self._is_ahead = self.memory.changed = True

    def confirm(self) -> bool:
        """Take a restored store for the newest that this machine saw, once all was verified; say if it was one."""
        if not self.is_accepting:
            return False
        with files.mapped("remember the restored store"):
            files.sync_folder(self.root / "log")
            self.memory.set_pin(self.state.seq, self.state.hash, self.state.restores, accepted=True)
        self.memory.changed = True
        self.is_accepting = False
        return True

    def require_durable(self) -> None:
        """Raise the OSError that kept the newest commits from being synced, if one did."""
        if self._unsynced is not None:
            raise self._unsynced

    def _check_identity(self) -> None:
        """Check that the keys at hand are the member's: changed ones open neither pin nor cache, and sign nothing."""
        identity = self.identity
        member = self.state.members.get(identity.member)
        if member is not None and member.keys != member_json(identity.member, identity.keys.public):
            raise NoKeyError("the identity's keys are not those of the member it names", "is the identity file whole?")

    def accept(self, raw: bytes) -> None:
        """Fold in a commit of our own that is durable."""
        self._recent.append(self.state.apply(raw, trusted=True))
        self._is_ahead = self.memory.changed = True

    def seen_since(self, base: int) -> list[Commit]:
        """Return the commits after `base` that this run has folded in."""
        unseen = self.state.seq - base
        return self._recent[-unseen:] if unseen else []

    @contextmanager
    def lock(self, timeout: float = writing.LOCK_TIMEOUT) -> Iterator[None]:
        """Hold the store's lock; inside a block that holds it, it is free. Raises: LockedError."""
        if self._held:
            yield
            return
        with files.locked(self.root / "lock", timeout):
            self._held = True
            try:
                yield
            finally:
                self._held = self._is_fresh = False

    def commit(self, pending: writing.Pending, base: int, op_id: str, at: datetime) -> Commit:
        """Make a pending change the next commit; see `writing.commit`."""
        return writing.commit(self, pending, base, op_id, at)

    def find_operation(self, op_id: str) -> Commit | None:
        """Return the commit with that op_id, now durable, from the whole log and no memory of it."""
        state = State(self.genesis, None)
        with files.mapped("read the log"):
            for seq, raw in log.read_from(self.root / "log", 1):
                commit = state.apply(raw)
                if commit.op_id == op_id:
                    self.require_durable()
                    if seq > self.state.seq:
                        files.sync_folder(self.root / "log")
                    return commit
        return None

    @property
    def member(self) -> Member:
        """The member at work."""
        return self.state.members[self.identity.member]

    @property
    def own_book(self) -> str:
        """The book of the member. Raises: NotPermittedError if the role has none."""
        book = self.state.own_book(self.identity.member)
        if book is None:
            raise NotPermittedError("your role has no clients of its own")
        return book

    @property
    def member_number(self) -> int:
        """The member's id as records hold it: a member acts as the member of staff of the same id."""
        number = decode_id(self.identity.member)
        if number is None:
            raise CrmError("the identity has a malformed id")
        return number

    def entries(self) -> list[FileEntry]:
        """Return all live files."""
        return list(self.state.live.values())


def first_keys(store: Store) -> dict[str, Any]:
    """Return the body of the first commit: the company book, the inbox and the founder's own book."""
    members = list(store.state.members.values())
    kinds = (("company", None), ("inbox", None), ("member", store.genesis.founder))
    books = [Book(new_member_id(), kind, owner, 0, {}, {}) for kind, owner in kinds]
    return {"books": [new_epoch(store.state, book, members) for book in books]}


def _rolled_back(seq: int) -> RolledBackError:
    return RolledBackError(
        f"the store is older than, or differs from, what this machine saw at commit {seq}",
        "somebody put an old copy back or forked it; if it was an admin's restore, ask for its hash: "
        "crmcli verify --accept-restore HASH",
    )


def _restored(seq: int) -> RolledBackError:
    return RolledBackError(
        f"the store was restored by commit {seq}, which this machine has not accepted",
        "if it is the store now, ask the admin for the hash: crmcli verify --accept-restore HASH; "
        "if it is a copy to look at, crmcli restore said how",
    )


def require_new_restore(
    restores: list[tuple[int, str]], accept: str, heads: dict[int, str], known: list[tuple[int, str]]
) -> None:
    """Raise RolledBackError unless a hash is that of the last restore, or of a commit after it, and that restore new.

    A restore is accepted once: the store as it was right after it is an old copy like any other from then on.
    """
    named = next((seq for seq, head in heads.items() if head == accept), 0)
    if not restores or named < restores[-1][0]:
        raise RolledBackError("the store has no restore of that hash", "ask the admin who restored it for the hash")
    if restores[-1] in known:
        raise RolledBackError(
            "this machine saw that restore before, and more since", "somebody put an old copy back; get the newest one"
        )
