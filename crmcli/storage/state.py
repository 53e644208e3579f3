"""The state of a store: what the commits so far add up to, and whether the next one's author had the right to it."""

from __future__ import annotations

from dataclasses import asdict, replace
from operator import attrgetter
from typing import Any

from crmcli.errors import DamagedError, NoStoreError, NotPermittedError
from crmcli.storage import log
from crmcli.storage.genesis import Genesis, member_json, member_of
from crmcli.storage.granting import changed_grant, check_use
from crmcli.storage.keys import WRAP_SIZE, sha256
from crmcli.storage.log import Commit, FileEntry
from crmcli.storage.members import (
    ADMIN,
    ADMIN_TABLE,
    GROUPS_OF,
    PROOF_LABEL,
    ROLES,
    Book,
    Grant,
    Member,
    Wrap,
    entitled,
    may_write,
    proof_message,
    role_text,
)
from crmcli.storage.shapes import (
    are_ids,
    require_distinct,
    require_drop_key,
    require_fields,
    require_length,
    rows_in,
    signature_in,
    texts_in,
    with_tuples,
)
from crmcli.storage.tables import PERSONAL, TABLES

_ENTRY_CELLS = attrgetter(*FileEntry.__slots__)
_WITHOUT_FILES = ("members", "keys", "grant", "grant-use", "reveal")
_OF_ANYBODY = ("grant-use", "reveal")


class State:
    """What the log adds up to at commit `seq`, whose hash is `hash`; seen by the member `me`, or by nobody."""

    def __init__(self, genesis: Genesis, me: str | None) -> None:
        self.store = genesis.store
        self.me = me
        self.seq = 0
        self.hash = genesis.hash
        self.at = genesis.created_at
        self.members = {
            member: Member(member, member_json(member, keys), ADMIN, recovery=recovery)
            for member, keys, recovery in (
                (genesis.founder, genesis.founder_keys, False),
                (genesis.recovery, genesis.recovery_keys, True),
            )
        }
        self.books: dict[str, Book] = {}
        self.live: dict[str, FileEntry] = {}
        self.grants: dict[str, Grant] = {}
        self.erased: set[str] = set()
        self.last_erasure = 0
        # SHA-256 of the id of a client who is asked to be erased -> the book and who asks.
        self.requests: dict[str, tuple[str, str, str]] = {}
        self.restores: list[tuple[int, str]] = []

    # What follows is the fold: one method per type of commit, each of which either changes the state or raises.

    def apply(self, raw: bytes, *, trusted: bool = False) -> Commit:
        """Fold the next commit in; `trusted` skips the signature of bytes that this machine has verified before.

        Raises: DamagedError naming the seq, with the state as it was.
        """
        seq, signer = self.seq + 1, "no member"
        try:
            if len(raw) > log.MAX_COMMIT:
                raise ValueError("it is too large")
            line, (signature,) = log.split_lines(raw, 1)
            commit = self._parsed(line, signature)
            if commit.store != self.store:
                raise ValueError("it is of another store")
            if commit.seq < seq:
                raise ValueError(f"it is commit {commit.seq}, put there again")
            if (commit.seq, commit.prev) != (seq, self.hash):
                raise ValueError("it does not continue the chain")
            author = self.members.get(commit.author)
            if author is None or not author.active:
                raise ValueError("its author is no member")
            if not trusted and not author.public.verify(log.COMMIT_LABEL, line, signature):
                raise ValueError("its signature is wrong")
            signer = author.member
            self.admit(commit)
        except (ValueError, TypeError, KeyError, NotPermittedError, DamagedError) as error:
            # What a KeyError says is a text out of the commit, of any length.
            reason = "it names what is not there" if isinstance(error, KeyError) else error
            raise DamagedError(
                f"commit {seq} cannot be trusted: {reason}",
                f"nothing after it is used; it is log/{log.loose_name(seq)}, signed by {signer}: "
                "put the log back from a backup",
            ) from error
        self._fold(commit)
        self.seq, self.hash, self.at = seq, log.digest(raw), commit.at
        if commit.type == "restore":
            self.restores.append((self.seq, self.hash))
        return commit

    def _parsed(self, line: bytes, signature: bytes) -> Commit:
        """Return the commit on a line. Raises: ValueError; NoStoreError for one of a later program, by a member."""
        try:
            return Commit.parse(line)
        except NoStoreError:
            known = log.parse_json(line)
            author = self.members[known["author"]]
            follows = (known["store"], known["seq"], known["prev"]) == (self.store, self.seq + 1, self.hash)
            if not (follows and author.active and author.public.verify(log.COMMIT_LABEL, line, signature)):
                raise ValueError("it is of a later program, and not by a member") from None
            raise

    def admit(self, commit: Commit) -> None:
        """Check that the author has the right to this commit now. Raises: ValueError, NotPermittedError."""
        author = self.members[commit.author]
        if not author.active:
            raise NotPermittedError("its author is no member any more")
        if commit.at < self.at:
            raise ValueError("its time is before that of the commit before it")
        if commit.type in _WITHOUT_FILES and (commit.add or commit.drop):
            raise ValueError(f"a commit of type {commit.type} has no files")
        if commit.type in ("data", "compact"):
            check = self._admit_data if commit.type == "data" else self._admit_compact
            check(author, commit)
        elif commit.type not in _OF_ANYBODY and author.role != ADMIN:
            raise NotPermittedError(f"{role_text(author.role)} may not commit a change of type {commit.type}")
        require_distinct([entry.file_id for entry in commit.add])
        require_distinct(commit.drop)
        for entry in commit.add:
            self._admit_entry(entry)
        if not all(file_id in self.live for file_id in commit.drop):
            raise ValueError("it drops a file that is not there")
        getattr(self, f"_check_{commit.type.replace('-', '_')}", lambda _: None)(commit)

    def _admit_entry(self, entry: FileEntry) -> None:
        book, table = self.books.get(entry.book), TABLES.get(entry.table)
        if book is None or table is None or table.group != entry.group:
            raise ValueError("a file belongs to no table of a book")
        if entry.group not in GROUPS_OF[book.kind] or entry.epoch != book.epoch:
            raise ValueError("a file is under a key that its book does not use now")
        if entry.file_id in self.live or entry.rows == 0:
            raise ValueError("a file is there already, or has no rows")

    def _admit_data(self, author: Member, commit: Commit) -> None:
        if not commit.add or commit.drop or any(entry.kind == "history" for entry in commit.add):
            raise ValueError("a data commit adds, and does nothing else")
        for entry in commit.add:
            if not may_write(author, self.books.get(entry.book), entry.table):
                raise NotPermittedError(f"{role_text(author.role)} may not write {entry.table} into that book")
            if entry.kind != "insert" and author.role != ADMIN and self.books[entry.book].kind == "company":
                raise NotPermittedError(f"{role_text(author.role)} may only add to {entry.table}")

    def _admit_compact(self, author: Member, commit: Commit) -> None:
        places = {(entry.book, entry.table) for entry in commit.add}
        places |= {(old.book, old.table) for old in (self.live[file_id] for file_id in commit.drop)}
        if len(places) != 1 or not commit.drop:
            raise ValueError("a compaction replaces files of one table of one book")
        (book, table), *_ = places
        if author.role != ADMIN and (self.books[book].owner != author.member or table == ADMIN_TABLE):
            raise NotPermittedError(f"{role_text(author.role)} may not compact that book")

    def _check_members(self, commit: Commit) -> None:
        changed = dict(self.members)
        for change in rows_in(commit.body["members"]):
            changed[change["member"]] = self._changed_member(changed, change)
        if not any(m.active and m.role == ADMIN and not m.recovery for m in changed.values()):
            raise ValueError("it leaves no admin")

    def _changed_member(self, members: dict[str, Member], change: dict[str, Any]) -> Member:
        action, name = change["action"], change["member"]
        if action == "add":
            require_fields(change, "action", "member", "role", "keys", "proof")
            member, keys = member_of(change["keys"])
            if name != member or name in members or change["role"] not in ROLES:
                raise ValueError("a new member is malformed or there already")
            if not keys.verify(PROOF_LABEL, proof_message(self.store, name, keys), signature_in(change["proof"])):
                raise ValueError("a new member's proof of possession is wrong")
            return Member(name, change["keys"], change["role"])
        member_now = members[name]
        if action == "role":
            require_fields(change, "action", "member", "role")
            if change["role"] not in ROLES:
                raise ValueError("there is no such role")
            return replace(member_now, role=change["role"])
        if action == "allow":
            require_fields(change, "action", "member", "read", "personal", "dispatcher")
            read, personal = (
                tuple(self.books[book].book for book in texts_in(change[name])) for name in ("read", "personal")
            )
            if type(change["dispatcher"]) is not bool:
                raise TypeError("a member is a dispatcher or not")
            return replace(member_now, read=read, personal=personal, dispatcher=change["dispatcher"])
        if action == "remove":
            require_fields(change, "action", "member")
            return replace(member_now, active=False)
        raise ValueError("there is no such change of a member")

    def _check_keys(self, commit: Commit) -> None:
        require_distinct([change["book"] for change in rows_in(commit.body["books"])])
        before, self.books = self.books, dict(self.books)
        try:
            # One after the other, for the first may be what makes the second wrong.
            for change in commit.body["books"]:
                self.books[change["book"]] = self._changed_book(change)
        finally:
            self.books = before

    def _changed_book(self, change: dict[str, Any]) -> Book:
        require_fields(change, "book", "kind", "owner", "epoch", "keys", "drop")
        name, epoch = change["book"], change["epoch"]
        book = self.books.get(name) or self._new_book(change)
        if (book.kind, book.owner) != (change["kind"], change["owner"]) or not log.is_count(epoch):
            raise ValueError("a book changes what it is")
        if not 1 <= epoch <= book.epoch + 1:
            raise ValueError("a book leaves out an epoch")
        groups = [key["group"] for key in rows_in(change["keys"])]
        require_distinct(groups)
        if epoch == book.epoch + 1 and set(groups) != set(GROUPS_OF[book.kind]):
            raise ValueError("a new epoch lacks a key")
        if epoch == book.epoch + 1 and (PERSONAL in groups) != (change["drop"] is not None):
            raise ValueError("a new epoch lacks a drop key, or has one for nothing")
        wraps, drops = dict(book.wraps), dict(book.drops)
        for key in change["keys"]:
            wraps[f"{key['group']}/{epoch}"] = self._changed_wrap(book, key, epoch)
        if change["drop"] is not None:
            require_drop_key(change["drop"])
            if epoch <= book.epoch and drops.get(str(epoch)) != change["drop"]:
                raise ValueError("a drop key of an epoch changes")
            drops[str(epoch)] = change["drop"]
        return replace(book, epoch=max(epoch, book.epoch), wraps=wraps, drops=drops)

    def _new_book(self, change: dict[str, Any]) -> Book:
        name, kind, owner = change["book"], change["kind"], change["owner"]
        if not log.matches(log.ID, name) or kind not in GROUPS_OF or (kind == "member") != (owner is not None):
            raise ValueError("a new book is malformed")
        if kind == "member" and (owner not in self.members or self.own_book(owner)):
            raise ValueError("a new book's owner is no member or has one")
        if kind != "member" and any(book.kind == kind for book in self.books.values()):
            raise ValueError(f"there is a book of kind {kind} already")
        return Book(name, kind, owner, 0, {}, {})

    def _changed_wrap(self, book: Book, key: dict[str, Any], epoch: int) -> Wrap:
        require_fields(key, "group", "key_id", "wraps")
        group, wraps = key["group"], rows_in(key["wraps"])
        before = book.wrap(group, epoch)
        if group not in GROUPS_OF[book.kind] or not log.matches(log.HEX32, key["key_id"]):
            raise ValueError("a key is malformed")
        if before is not None and before.key_id != key["key_id"]:
            raise ValueError("a key of an epoch changes")
        mine = before.mine if before else None
        holders = list(before.holders if before else ())
        for wrap in wraps:
            require_fields(wrap, "member", "wrap")
            require_length(wrap["wrap"], WRAP_SIZE)
            holder = self.members[wrap["member"]]
            if not holder.active or not entitled(holder, book, group):
                raise ValueError("a key is given to somebody who is not entitled to it")
            holders.append(holder.member)
            mine = wrap["wrap"] if holder.member == self.me else mine
        admins = {m.member for m in self.members.values() if m.active and m.role == ADMIN}
        if before is None and not admins <= set(holders):
            raise ValueError("a key is kept from an admin")
        return Wrap(key["key_id"], tuple(dict.fromkeys(holders)), mine)

    def _check_grant(self, commit: Commit) -> None:
        self._changed_grant(commit.body["grant"])

    def _changed_grant(self, change: dict[str, Any]) -> Grant:
        return changed_grant(change, self.grants, self.members, self.books)

    def _check_grant_use(self, commit: Commit) -> None:
        check_use(commit.body["use"], self.members[commit.author], commit.at, self.grants, self.books)

    def _check_reveal(self, commit: Commit) -> None:
        reveal = commit.body["reveal"]
        require_fields(reveal, "clients")
        if not are_ids(reveal["clients"]) or not reveal["clients"]:
            raise ValueError("a reveal is malformed")

    def _check_transfer(self, commit: Commit) -> None:
        transfer = commit.body["transfer"]
        require_fields(transfer, "from", "to", "clients")
        books = {transfer["from"], transfer["to"]}
        if not books <= set(self.books) or not are_ids(transfer["clients"]):
            raise ValueError("a transfer is malformed")
        if any(entry.book not in books for entry in (*commit.add, *(self.live[name] for name in commit.drop))):
            raise ValueError("a transfer touches another book")

    def _check_erase(self, commit: Commit) -> None:
        erase = commit.body["erase"]
        require_fields(erase, "clients", "files")
        if not are_ids(erase["clients"]) or not all(log.matches(log.HEX32, name) for name in texts_in(erase["files"])):
            raise ValueError("an erasure is malformed")

    def _check_restore(self, commit: Commit) -> None:
        restore = commit.body["restore"]
        require_fields(restore, "seq", "hash")
        if (restore["seq"], restore["hash"]) != (self.seq, self.hash):
            raise ValueError("a restore does not continue the head that it names")

    def _fold(self, commit: Commit) -> None:
        for file_id in commit.drop:
            del self.live[file_id]
        self.live.update((entry.file_id, entry) for entry in commit.add)
        for change in commit.body.get("members", ()):
            self.members[change["member"]] = self._changed_member(self.members, change)
        for change in commit.body.get("books", ()):
            self.books[change["book"]] = self._changed_book(change)
        if commit.type == "grant":
            grant = self._changed_grant(commit.body["grant"])
            self.grants[grant.grant] = grant
        elif commit.type == "grant-use" and commit.body["use"]["grant"]:
            use = commit.body["use"]
            grant = self.grants[use["grant"]]
            self.grants[grant.grant] = replace(grant, used=grant.used + 1)
        elif commit.type == "erase" and commit.body["erase"]["clients"]:
            self.last_erasure = commit.seq
            self.erased.update(commit.body["erase"]["clients"])
        self._fold_requests(commit)

    def _fold_requests(self, commit: Commit) -> None:
        """Note who asks for whom to be erased, until that is done or the grant to ask is revoked."""
        use, revoked = commit.body.get("use", {}), commit.body.get("grant", {})
        if use.get("right") == "erase" and use["grant"]:
            self.requests[use["sha256"]] = (use["books"][0], commit.author, use["grant"])
        elif commit.type == "grant" and revoked["action"] == "revoke":
            self.requests = {asked: row for asked, row in self.requests.items() if row[2] != revoked["grant"]}
        for client in commit.body["erase"]["clients"] if commit.type == "erase" else ():
            self.requests.pop(sha256(client.encode()), None)

    # What follows answers questions about the state, and carries it to the next run.

    def own_book(self, member: str | None) -> str | None:
        """Return the book that a member owns."""
        return next((book.book for book in self.books.values() if book.owner == member and member), None)

    def book_of_kind(self, kind: str) -> str:
        """Return the only book of a kind, company or inbox."""
        return next(book.book for book in self.books.values() if book.kind == kind)

    def entries(self, table: str) -> list[FileEntry]:
        """Return the live files of a table, oldest first."""
        return sorted((e for e in self.live.values() if e.table == table), key=lambda e: (e.seq, e.file_id))

    def to_json(self) -> dict[str, Any]:
        """Return the state as plain values, for this machine's memory."""
        return {
            "seq": self.seq,
            "hash": self.hash,
            "at": self.at,
            "members": [asdict(member) for member in self.members.values()],
            "books": [asdict(book) for book in self.books.values()],
            "live": [_ENTRY_CELLS(entry) for entry in self.live.values()],
            "grants": [asdict(grant) for grant in self.grants.values()],
            "erased": sorted(self.erased),
            "last_erasure": self.last_erasure,
            "requests": self.requests,
            "restores": self.restores,
        }

    def load_json(self, document: dict[str, Any]) -> None:
        """Take up the state that `to_json` of the same program version gave."""
        self.seq, self.hash, self.at = document["seq"], document["hash"], document["at"]
        self.members = {row["member"]: Member(**with_tuples(row)) for row in document["members"]}
        self.books = {
            row["book"]: Book(
                **row | {"wraps": {name: Wrap(**with_tuples(wrap)) for name, wrap in row["wraps"].items()}},
            )
            for row in document["books"]
        }
        self.live = {row[0]: FileEntry(*row) for row in document["live"]}
        self.grants = {row["grant"]: Grant(**with_tuples(row)) for row in document["grants"]}
        self.erased, self.last_erasure = set(document["erased"]), document["last_erasure"]
        self.requests = {asked: (book, who, grant) for asked, (book, who, grant) in document["requests"].items()}
        self.restores = [(seq, head) for seq, head in document["restores"]]
