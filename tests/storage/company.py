"""A company for tests: a real store with a member of every role, each at a machine of their own."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from crmcli import cli
from crmcli.errors import CrmError
from crmcli.model.ids import decode_id
from crmcli.model.process import DEFAULT
from crmcli.model.settings import Settings
from crmcli.output import Output
from crmcli.session import Session, new_op_id
from crmcli.storage import log, view, writing
from crmcli.storage.genesis import b64, member_json
from crmcli.storage.identity import Identity, load_identity, new_member_id, save_identity
from crmcli.storage.keyring import new_epoch, wrap_context
from crmcli.storage.keys import SEED_SIZE, KeyPair, random_bytes
from crmcli.storage.layout import file_path
from crmcli.storage.log import Commit, FileEntry
from crmcli.storage.members import GROUPS_OF, PROOF_LABEL, Book, entitled, proof_message
from crmcli.storage.state import State
from crmcli.storage.store import Store
from crmcli.storage.tables import TABLES
from crmcli.storage.upgrade import SCHEMA

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
# Where thousands of commits take seconds, if there is such a place; what a disk makes of a sync is tried elsewhere.
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - a folder in it gets a random name
ROLES = {
    "manager": "manager",
    "colleague": "manager",
    "lead": "lead",
    "analyst": "analyst",
    "service": "service",
    "leaver": "manager",
}


@dataclass(frozen=True)
class Result:
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Company:
    """A store and the homes of its members, in one folder, and what their clocks say."""

    folder: Path
    now: datetime = NOW

    @property
    def root(self) -> Path:
        return self.folder / "store"

    @property
    def log(self) -> Path:
        return self.root / "log"

    def home(self, who: str) -> Path:
        return self.folder / "homes" / who

    def environment(self, who: str) -> dict[str, str]:
        home = self.home(who)
        folders = {f"XDG_{kind.upper()}_HOME": str(home / kind) for kind in ("cache", "state", "config", "data")}
        return folders | {
            "HOME": str(home),
            "CRMCLI_STORE": str(self.root),
            "CRMCLI_IDENTITY": str(home / "identity.json"),
            "CRMCLI_NOW": self.now.isoformat(),
        }

    def session(self, who: str = "admin", **changes: Any) -> Session:
        home = self.home(who)
        session = Session(
            self.root, home / "identity.json", home / "cache/crmcli", home / "state/crmcli", self.now, quiet_output()
        )
        return replace(session, **changes)

    def identity(self, who: str = "admin") -> Identity:
        return load_identity(self.home(who) / "identity.json", str)

    def open(self, who: str = "admin") -> Store:
        return self.session(who).store()

    def view(self, who: str = "admin") -> view.View:
        return view.View(self.open(who))

    def names(self, who: str = "admin") -> list[str]:
        """The names of all clients that a member sees, sorted; the machine remembers what it saw."""
        store = self.open(who)
        names: list[str] = store.reader.merged("contacts", ["name"]).column("name").to_pylist()
        with suppress(OSError):
            store.close()
        return sorted(names)

    def crmcli(self, *arguments: str, who: str = "admin") -> Result:
        """Run the program in this process."""
        return Result(*run_here(arguments, os.environ | self.environment(who)))

    def start(
        self, *arguments: str, who: str = "admin", program: Sequence[str] = ("-m", "crmcli"), **options: Any
    ) -> subprocess.Popen[str]:
        """Start the program in a process of its own."""
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(
            [sys.executable, *program, *arguments],
            env=os.environ | self.environment(who),
            text=True,
            **(pipes | options),
        )

    def run(self, *arguments: str, who: str = "admin", program: Sequence[str] = ("-m", "crmcli")) -> Result:
        """Run the program in a process of its own; it has 10 seconds."""
        process = self.start(*arguments, who=who, program=program)
        try:
            out, err = process.communicate(timeout=10)
        finally:
            process.kill()
            process.wait()
        return Result(process.returncode, out, err)

    def book(self, who: str) -> str:
        """The book that a member owns."""
        book = self.open().state.own_book(self.identity(who).member)
        assert book is not None
        return book

    def company_book(self) -> str:
        return self.open().state.book_of_kind("company")

    def forget(self, who: str) -> None:
        """Take a member's machine back to before it saw the store."""
        shutil.rmtree(self.home(who) / "cache", ignore_errors=True)
        shutil.rmtree(self.home(who) / "state", ignore_errors=True)

    def append(self, who: str, kind: str = "data", **parts: Any) -> Commit:
        """Put the next commit into the log by hand, signed by a member, whatever the member's rights."""
        state = self.open().state
        commit = by_hand(state, self.identity(who).member, kind, **parts)
        (self.log / log.loose_name(commit.seq)).write_bytes(commit.sealed(self.identity(who).keys))
        return commit

    def place(self, content: bytes, book: str, table: str = "clients", **fields: Any) -> FileEntry:
        """Put a file into the store by hand and return its entry."""
        file_id = random_bytes(16).hex()
        (self.root / file_path(file_id)).write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        entry = FileEntry(
            file_id, book, table, TABLES[table].group, 1, "insert", 1, len(content), sha256, None, None, SCHEMA, SCHEMA
        )
        return replace(entry, **fields)

    def seal(self, who: str, book: str, table: str, kind: str, rows: pa.Table) -> FileEntry:
        """Put a file encrypted by a member's keys into the store and return its entry."""
        store = self.open(who)
        entry, content = writing.seal(store, book, TABLES[table], kind, rows, random_bytes(16).hex())
        (self.root / file_path(entry.file_id)).write_bytes(content)
        return entry


def quiet_output() -> Output:
    return Output(io.StringIO(), io.StringIO(), io.StringIO())


def run_here(arguments: Sequence[str], variables: Mapping[str, str]) -> tuple[int, str, str]:
    """Run the program in this process with these variables alone: its exit code, and what it wrote to either."""
    out, err = io.StringIO(), io.StringIO()
    with environment(variables):
        code = cli.run(arguments, Output(out, err, io.StringIO()))
    return code, out.getvalue(), err.getvalue()


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Have these environment variables and no others for a while."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def by_hand(state: State, author: str, kind: str = "data", **parts: Any) -> Commit:
    """Return the next commit with any of its parts changed."""
    whole: dict[str, Any] = {
        "store": state.store,
        "seq": state.seq + 1,
        "prev": state.hash,
        "op_id": new_op_id(),
        "author": author,
        "at": state.at,
        "type": kind,
        "schema": SCHEMA,
    }
    return Commit(**(whole | parts))


def make_company(folder: Path) -> Company:
    """Found a store and enrol a member of every role; the leaver has left again."""
    company = Company(folder)
    company.home("admin").mkdir(parents=True)
    session = company.session()
    session.found(Settings("Acme"), DEFAULT, "Ada", None, with_passphrase=False)
    store = company.open()
    for who, role in ROLES.items():
        enrol(company, store, who, role)
    change_members(store, {"action": "remove", "member": company.identity("leaver").member})
    store.close()
    return company


def enrol(company: Company, store: Store, who: str, role: str) -> None:
    """Add a member as an admin does: a `members` commit with a proof, then their keys and their book."""
    identity = Identity.new(who).belonging_to(store.genesis.hash)
    save_identity(company.home(who) / "identity.json", identity, None)
    change_members(store, addition(store.state, identity, role))
    owner = identity.member
    changes = [shared(store, book, owner) for book in store.state.books.values()]
    if role != "analyst":
        book = Book(new_member_id(), "member", owner, 0, {}, {})
        changes.append(new_epoch(store.state, book, store.state.members.values()))
    change_keys(store, *(change for change in changes if change["keys"]))


def addition(state: State, identity: Identity, role: str) -> dict[str, Any]:
    """Return the change that adds a member."""
    public = identity.keys.public
    proof = identity.keys.sign(PROOF_LABEL, proof_message(state.store, identity.member, public))
    keys = member_json(identity.member, public)
    return {"action": "add", "member": identity.member, "role": role, "keys": keys, "proof": proof.hex()}


def shared(store: Store, book: Book, name: str) -> dict[str, Any]:
    """Return the change that gives a member the keys of a book that the role entitles to."""
    member = store.state.members[name]
    keys = [
        {"group": group, "key_id": wrap.key_id, "wraps": [wrapped(store, book, group, name)]}
        for group in GROUPS_OF[book.kind]
        if (wrap := book.wrap(group, book.epoch)) and entitled(member, book, group)
    ]
    return {
        "book": book.book,
        "kind": book.kind,
        "owner": book.owner,
        "epoch": book.epoch,
        "keys": keys,
        "drop": None,
    }


def wrapped(store: Store, book: Book, group: str, name: str) -> dict[str, str]:
    """Return the key of a group of a book, sealed to a member."""
    key = store.keyring.book_key(book.book, group, book.epoch)
    context = wrap_context(store.state.store, book.book, group, book.epoch, name)
    return {"member": name, "wrap": b64(store.state.members[name].public.seal(key, *context))}


def change_members(store: Store, *changes: dict[str, Any]) -> None:
    commit(store, writing.Pending("members", body={"members": list(changes)}))


def change_keys(store: Store, *changes: dict[str, Any]) -> None:
    commit(store, writing.Pending("keys", body={"books": list(changes)}))


def commit(store: Store, pending: writing.Pending) -> Commit:
    return store.commit(pending, store.state.seq, new_op_id(), NOW)


def number(text: str) -> int:
    """Return the number behind an id."""
    found = decode_id(text)
    assert found is not None
    return found


def problems(company: Company, who: str = "admin") -> list[str]:
    """Return what a verification finds wrong, from the first byte."""
    from crmcli.storage.verification import Findings, verify

    findings = Findings()
    try:
        for _ in verify(company.open(who), findings):
            pass
    except CrmError as error:
        return [error.message]
    return findings.problems


ENTRY = FileEntry("0" * 32, "", "clients", "facts", 1, "insert", 1, 1, "0" * 64, None, None)


def entry(book: str, table: str, **changes: Any) -> FileEntry:
    """Return the entry of a file that need not exist."""
    return replace(ENTRY, book=book, table=table, group=TABLES[table].group, **changes)


def may(state: State, author: str, kind: str = "data", **parts: Any) -> bool:
    """Say whether the state takes the commit: all rights and shapes, without signature and chain."""
    line = by_hand(state, author, kind, **parts).sealed(KeyPair(bytes(SEED_SIZE))).split(b"\n")[0]
    try:
        state.admit(Commit.parse(line))
    except (CrmError, ValueError, KeyError, TypeError):
        return False
    return True
