"""An independent reader of a store, written from docs/reference/store-format.md alone: it shares no code with crmcli.

The tables are read from that page itself. Left out: passphrases, pins and caches, drops.
"""

import base64
import json
import os
import re
import stat
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PrivateKey, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pyarrow.parquet.encryption import create_decryption_properties

Row = dict[str, Any]

PAGE = (Path(__file__).parents[1] / "docs/reference/store-format.md").read_text("utf-8")
GROUPS = {"member": {"facts", "personal"}, "inbox": {"facts", "personal"}, "company": {"company"}}

# What a JSON value may be. An object's fields in their order; `*` is a list, `?` may be null, `'...'` is that text.
COMMIT = (
    "store=hex16 seq=from-1 prev=hash op_id=hex16 author=id at=instant type=type schema=from-1 add=file* drop=hex16*"
)
OWN = {"data": "", "compact": "", "members": "members=change*", "keys": "books=book*", "grant": "grant=grant"}
OWN |= {"grant-use": "use=use", "reveal": "reveal=reveal", "transfer": "transfer=transfer"}
OWN |= {"erase": "erase=erase", "restore": "restore=restore"}
OBJECTS = """
genesis: format=one store=hex16 created_at=instant founder=public recovery=public
public: member=id sign=hash mlkem=1184-bytes x25519=hash
file: file_id=hex16 book=id table=word group=group epoch=from-1 kind=kind rows=from-1 bytes=count sha256=hash \
min=instant? max=instant?
change: action='add' member=id role=role keys=public proof=signature
change: action='role' member=id role=role
change: action='allow' member=id read=id* personal=id* dispatcher=flag
change: action='remove' member=id
book: book=id kind=book-kind owner=id? epoch=from-1 keys=key* drop=drop?
key: group=group key_id=hex16 wraps=wrapped*
wrapped: member=id wrap=1168-bytes
drop: mlkem=1184-bytes x25519=hash sealed=124-bytes
grant: action='give' grant=id to=id right=right books=id*? columns=word*? max_rows=count? expires=instant once=flag
grant: action='revoke' grant=id
reveal: clients=id*
use: grant=id? right=right books=id* rows=count sha256=hash
transfer: from=id to=id clients=id*
erase: clients=id* files=hex16*
restore: seq=count hash=hash
"""
NUMBERS = {"count": range(2**53), "from-1": range(1, 2**53), "one": range(1, 2)}
TEXTS = {
    "id": "(?!0{12})[0-9A-HJKMNP-TV-Z]{12}",
    "hex16": "[0-9a-f]{32}",
    "hash": "[0-9a-f]{64}",
    "signature": "[0-9a-f]{128}",
    "word": "[a-z][a-z_-]{0,31}",
    "instant": r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z",
    "group": "facts|personal|company",
    "kind": "insert|upsert|delete|history",
    "book-kind": "member|company|inbox",
    "role": "admin|manager|lead|analyst|service",
    "right": "export|erase",
    "type": "|".join(OWN),
}
ALL_FORMS = defaultdict[str, list[str]](list)
for name_of_form, fields_of_form in re.findall("(.*): (.*)", OBJECTS):
    ALL_FORMS[name_of_form].append(fields_of_form)


class Refused(Exception):  # noqa: N818 - the page's word
    """What a reader must reject."""


def need(holds: object, what: str) -> None:
    if not holds:
        raise Refused(what)


@contextmanager
def refusing(where: str) -> Iterator[None]:
    """Whatever fails in here is a refusal that says where."""
    try:
        yield
    except (Refused, LookupError, OSError, RecursionError, TypeError, ValueError) as error:
        raise Refused(f"{where}: {error}") from error
    except (InvalidSignature, InvalidTag, pa.ArrowException) as error:
        raise Refused(f"{where}: {error!r}") from error


def fits(value: Any, form: str) -> bool:  # noqa: PLR0911 - one for each sort of form
    if form[-1] == "?":
        return value is None or fits(value, form[:-1])
    if form[-1] == "*":
        return isinstance(value, list) and all(fits(item, form[:-1]) for item in value)
    if form == "flag":
        return isinstance(value, bool)
    if form in NUMBERS:
        return type(value) is int and value in NUMBERS[form]
    if form in ALL_FORMS:
        return any(has_fields(value, fields) for fields in ALL_FORMS[form])
    if not isinstance(value, str):
        return False
    if form.endswith("-bytes"):
        return len(unbase64(value)) == int(form.split("-", maxsplit=1)[0])
    well_formed = re.fullmatch(TEXTS.get(form, form.strip("'")), value)
    return well_formed is not None and (form != "instant" or bool(datetime.fromisoformat(value)))


def has_fields(value: Any, form: str) -> bool:
    fields = dict(part.split("=") for part in form.split())
    in_order = isinstance(value, dict) and list(value) == list(fields)
    return in_order and all(fits(value[name], fields[name]) for name in fields)


def parse(raw: bytes) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> Row:
        need(len(dict(pairs)) == len(pairs), "a key twice in one object")
        return dict(pairs)

    def small(digits: str) -> int:
        need(abs(int(digits)) < 2**53, "a number too large")
        return int(digits)

    def never(text: str) -> None:
        raise Refused(f"no number of a store: {text}")

    text = raw.decode("utf-8")
    return json.loads(text, object_pairs_hook=once, parse_int=small, parse_float=never, parse_constant=never)


def unbase64(text: str) -> bytes:
    raw = base64.b64decode(text, validate=True)
    need(base64.b64encode(raw).decode() == text, "base64 that is not canonical")
    return raw


def read_bytes(path: Path, most: int) -> bytes:
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        status = os.fstat(file.fileno())
        need(stat.S_ISREG(status.st_mode) and status.st_size <= most, f"{path.name}: no regular file of that size")
        return file.read()


P, Y_OF_ORDER_8 = 2**255 - 19, 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
SMALL_ORDER = {
    (y | sign << 255).to_bytes(32, "little").hex()
    for y in (0, 1, P - 1, P, P + 1, Y_OF_ORDER_8, P - Y_OF_ORDER_8)
    for sign in (0, 1)
}


def verify(public: Row, label: str, message: bytes, signature: str) -> None:
    need(public["sign"] not in SMALL_ORDER and fits(signature, "signature"), "a key of small order, or no signature")
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public["sign"]))
    key.verify(bytes.fromhex(signature), label.encode() + b"\n" + message)


class Identity:
    def __init__(self, path: Path) -> None:
        outer = parse(path.read_bytes())
        need(outer["format"] == "crmcli-identity/1" and outer["argon2id"] is None, "no identity without passphrase")
        secret = parse(unbase64(outer["secret"]))
        self.member, self.stores, seed = outer["member"], secret["stores"], unbase64(secret["seed"])
        sign = Ed25519PrivateKey.from_private_bytes(seed[:32])
        kem = MLKEM768PrivateKey.from_seed_bytes(seed[32:96]), X25519PrivateKey.from_private_bytes(seed[96:])
        self.private = MLKEM768X25519PrivateKey(*kem)
        public = [key.public_key().public_bytes_raw() for key in (sign, *kem)]
        encoded = (public[0].hex(), base64.b64encode(public[1]).decode(), public[2].hex())
        self.public = dict(zip(("member", "sign", "mlkem", "x25519"), (self.member, *encoded), strict=True))


@dataclass
class Table:
    group: str
    columns: dict[str, str]  # the Arrow type of each
    key: str
    time: str | None

    @classmethod
    def of_page(cls) -> Iterator[tuple[str, "Table"]]:
        for name, body in re.findall(r"(?ms)^#### (\w+)\n(.*?)(?=^#|^<!-- end)", PAGE):
            rows = re.findall(r"(?m)^\| `(\w+)` \| `([^`]+)` \|.*\| (\w*) ?\|$", body)
            marks = {mark: column for column, _, mark in rows}
            columns = {column: arrow for column, arrow, _ in rows}
            yield name, cls(re.findall("Group `(.*?)`", body)[0], columns, marks["key"], marks.get("time"))


TABLES = dict(Table.of_page())


@dataclass
class Member:
    keys: Row
    role: str = "admin"
    active: bool = True
    allowed: Row = field(default_factory=lambda: {"read": [], "personal": [], "dispatcher": False})


@dataclass
class Book:
    kind: str
    owner: str | None
    epoch: int = 0
    key_ids: dict[tuple[int, str], str] = field(default_factory=dict)  # by epoch and group
    wraps: dict[tuple[int, str, str], str] = field(default_factory=dict)  # by epoch, group and member
    drops: dict[int, Any] = field(default_factory=dict)


class Fold:
    """The state that the log adds up to; `take` checks the next commit and adds it."""

    def __init__(self, raw: bytes) -> None:
        line, *signatures, rest = raw.split(b"\n")
        genesis = parse(line)
        need(fits(genesis, "genesis") and len(signatures) == 2 and not rest, "genesis: its form")
        for name, signature in zip(("founder", "recovery"), signatures, strict=True):
            verify(genesis[name], "crmcli/genesis/v1", line, signature.decode("ascii"))
        self.store, self.fingerprint = genesis["store"], sha256(raw).hexdigest()
        self.seq, self.hash, self.at = 0, self.fingerprint, genesis["created_at"]
        self.recovery = genesis["recovery"]["member"]
        self.members = {genesis[name]["member"]: Member(genesis[name]) for name in ("founder", "recovery")}
        self.books: dict[str, Book] = {}
        self.files: dict[str, Row] = {}
        self.grants: dict[str, Row] = {}

    def take(self, raw: bytes) -> None:
        line, signature, rest = raw.split(b"\n")
        commit = parse(line)
        own = OWN[commit["type"]]
        need(len(raw) <= 2**20 and not rest and has_fields(commit, f"{COMMIT} {own}"), "its form")
        need(commit["schema"] == 1, "a newer program's schema")
        chain = (commit["store"], commit["seq"], commit["prev"])
        need(chain == (self.store, self.seq + 1, self.hash) and commit["at"] >= self.at, "the chain")
        author = self.members[commit["author"]]
        need(author.active, "its author")
        verify(author.keys, "crmcli/commit/v1", line, signature.decode("ascii"))
        self.check_files(commit["type"], commit["add"], commit["drop"])
        self.check_rights(commit, author.role)
        for file_id in commit["drop"]:
            del self.files[file_id]
        self.files |= {file["file_id"]: file | {"seq": commit["seq"]} for file in commit["add"]}
        if commit["type"] in {"members", "keys", "grant", "grant-use", "restore"}:
            getattr(self, "take_" + commit["type"].replace("-", "_"))(commit, commit[own.split("=")[0]])
        self.seq, self.hash, self.at = commit["seq"], sha256(raw).hexdigest(), commit["at"]

    def check_files(self, kind: str, add: list[Row], drop: list[str]) -> None:
        without = {"members", "keys", "grant", "grant-use", "reveal"}
        need(kind not in without or not (add or drop), "files where none belong")
        need(len({file["file_id"] for file in add}) == len(add) and len(set(drop)) == len(drop), "a file twice")
        need(set(drop) <= set(self.files), "a file that is not live leaves")
        for file in add:
            book, group = self.books[file["book"]], TABLES[file["table"]].group
            need(file["group"] == group and group in GROUPS[book.kind], "a file's group")
            need(file["epoch"] == book.epoch and file["file_id"] not in self.files, "a file's epoch or id")

    def check_rights(self, commit: Row, role: str) -> None:
        author, kind = commit["author"], commit["type"]
        places = {(file["book"], file["table"]) for file in [*commit["add"], *map(self.files.get, commit["drop"])]}
        if kind == "data":
            need(not commit["drop"] and all(self.may_add(author, role, file) for file in commit["add"]), "its rights")
        elif kind == "compact":
            need(commit["drop"] and len(places) == 1, "a compaction of more than one table")
            need(role == "admin" or self.books[places.pop()[0]].owner == author, "its rights")
        else:
            need(role == "admin" or kind in {"grant-use", "reveal"}, "its rights")
        need(kind != "reveal" or commit["reveal"]["clients"], "nobody was looked at")
        if kind == "transfer":
            ends = {commit["transfer"]["from"], commit["transfer"]["to"]}
            need(ends <= set(self.books) and {book for book, _ in places} <= ends, "its books")

    def may_add(self, author: str, role: str, file: Row) -> bool:
        book = self.books[file["book"]]
        table, kind = str(file["table"]), str(file["kind"])
        if kind == "history" or role == "analyst":
            return False
        if role == "admin":
            return True
        if book.kind == "company":
            return kind == "insert" and table == ("norms" if role == "service" else "products")
        return author == book.owner and (role != "service" or table == "deliveries")

    def take_members(self, _commit: Row, changes: list[Row]) -> None:
        for change in changes:
            name, action = change["member"], change["action"]
            if action == "add":
                need(name == change["keys"]["member"] and name not in self.members, "a member's id")
                message = "|".join((self.store, *change["keys"].values())).encode()
                verify(change["keys"], "crmcli/member/v1", message, change["proof"])
                self.members[name] = Member(change["keys"], change["role"])
            elif action == "role":
                self.members[name].role = change["role"]
            elif action == "remove":
                self.members[name].active = False
            else:
                need({*change["read"], *change["personal"]} <= set(self.books), "a book")
                self.members[name].allowed = change
        admins = {name for name, member in self.members.items() if member.active and member.role == "admin"}
        need(admins - {self.recovery}, "no admin is left")

    def take_keys(self, _commit: Row, changes: list[Row]) -> None:
        need(len({change["book"] for change in changes}) == len(changes), "a book twice")
        admins = {name for name, member in self.members.items() if member.active and member.role == "admin"}
        for change in changes:
            name, kind, owner, epoch, keys, drop = change.values()
            if name not in self.books:
                same = [book for book in self.books.values() if (book.kind, book.owner) == (kind, owner)]
                need(not same and (owner in self.members if kind == "member" else owner is None), "a new book")
            book = self.books.setdefault(name, Book(kind, owner))
            need((kind, owner) == (book.kind, book.owner) and epoch <= book.epoch + 1, "a book's kind or epoch")
            groups = [key["group"] for key in keys]
            need(len(set(groups)) == len(groups) and set(groups) <= GROUPS[kind], "a book's groups")
            if epoch > book.epoch:
                need(set(groups) == GROUPS[kind] and ("personal" in groups) == (drop is not None), "keys are missing")
                held = [{wrapped["member"] for wrapped in key["wraps"]} for key in keys]
                need(all(admins <= members for members in held), "a key is kept from an admin")
                book.epoch, book.drops[epoch] = epoch, drop
                book.key_ids |= {(epoch, key["group"]): key["key_id"] for key in keys}
            need(drop is None or drop == book.drops[epoch], "another drop key")
            for key in keys:
                need(key["key_id"] == book.key_ids[epoch, key["group"]], "another key")
                for member, wrap in (wrapped.values() for wrapped in key["wraps"]):
                    need(self.entitled(self.members[member], name, key["group"]), "a wrap for somebody not entitled")
                    book.wraps[epoch, key["group"], member] = wrap

    def entitled(self, member: Member, book_id: str, group: str) -> bool:
        book, role, allowed = self.books[book_id], member.role, member.allowed
        if not member.active or role == "admin" or book.kind == "company":
            return member.active
        if role == "analyst":
            return book.kind == "member" and group == "facts"
        if book.kind == "inbox":
            return role == "service" or allowed["dispatcher"]
        named = {"lead": allowed["read"], "service": allowed["personal"]}.get(role, [])
        return book.owner == member.keys["member"] or book_id in named or (role == "service" and group == "facts")

    def take_grant(self, _commit: Row, grant: Row) -> None:
        if grant["action"] == "revoke":
            self.grants[grant["grant"]]["expires"] = ""
        else:
            need(grant["grant"] not in self.grants and grant["to"] in self.members, "a grant's id or member")
            need(set(grant["books"] or []) <= set(self.books), "a grant's books")
            self.grants[grant["grant"]] = grant | {"used": False}

    def take_grant_use(self, commit: Row, use: Row) -> None:
        need(set(use["books"]) <= set(self.books), "a use's books")
        if use["grant"] is None:
            need(self.members[commit["author"]].role == "admin", "a use without a grant")
            return
        grant = self.grants[use["grant"]]
        need((grant["to"], grant["right"]) == (commit["author"], use["right"]), "another's grant")
        need(commit["at"] < grant["expires"] and not (grant["once"] and grant["used"]), "a grant that has ended")
        need(grant["max_rows"] is None or use["rows"] <= grant["max_rows"], "too many rows")
        need(grant["books"] is None or set(use["books"]) <= set(grant["books"]), "other books")
        grant["used"] = True

    def take_restore(self, _commit: Row, restore: Row) -> None:
        need((restore["seq"], restore["hash"]) == (self.seq, self.hash), "another head")


def commits(log: Path) -> Iterator[bytes]:
    """Every commit in order; the list is made anew when it is exhausted, for writers and packers go on meanwhile."""
    seq, tries = 1, 3
    while tries:
        names, before = [path.name for path in log.iterdir()], seq
        numbers = [re.fullmatch("([0-9]{20})(?:-([0-9]{20})[.]jsonl|[.]json)", name) for name in names]
        packed = [(int(found[1]), int(found[2])) for found in numbers if found and found[2]]
        loose = {int(found[1]) for found in numbers if found and not found[2]}
        highest = max(loose.union(last for _, last in packed), default=0)
        while seq <= highest:
            first, last = next(((first, last) for first, last in packed if first <= seq <= last), (seq, seq))
            if (first, last) in packed:
                lines = read_bytes(log / f"{first:020}-{last:020}.jsonl", 2**30).split(b"\n")
                need(len(lines) == 2 * (last - first + 1) + 1 and not lines[-1], f"segment {first}: its length")
                yield from (b"%b\n%b\n" % (*lines[at : at + 2],) for at in range(2 * (seq - first), len(lines) - 1, 2))
            else:
                try:
                    raw = read_bytes(log / f"{seq:020}.json", 2**20)
                except FileNotFoundError:
                    break
                yield raw
            seq = last + 1
        if seq == before and seq > highest:
            return
        tries = 3 if seq > before else tries - 1
    raise Refused(f"commit {seq} is missing")


class Store:
    """A store, checked from its genesis to its head when it is opened."""

    def __init__(self, folder: Path, identity: Path) -> None:
        self.folder = folder
        with refusing("identity"):
            me = Identity(identity)
        with refusing("genesis"):
            self.fold = Fold(read_bytes(folder / "genesis.json", 2**16))
            need(self.fold.fingerprint in me.stores, "not the store of the identity")
        for raw in commits(folder / "log"):
            with refusing(f"commit {self.fold.seq + 1}"):
                self.fold.take(raw)
        with refusing("keys"):
            need(self.fold.members[me.member].keys == me.public, "not the member that the log knows")
            self.keys = dict(self.unwrapped(me))

    def unwrapped(self, me: Identity) -> Iterator[tuple[tuple[str, int, str], bytes]]:
        suite = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
        for name, book in self.fold.books.items():
            for (epoch, group, member), wrap in book.wraps.items():
                if member == me.member:
                    info = "\0".join(("crmcli/wrap/v1", self.fold.store, name, group, str(epoch), member))
                    key = suite.decrypt(unbase64(wrap), me.private, info.encode())
                    key_id = sha256(b"crmcli/key-id/v1" + key).hexdigest()[:32]
                    need(key_id == book.key_ids[epoch, group], "a key's id")
                    yield (name, epoch, group), key

    def rows(self, file: Row) -> list[Row]:
        """The rows of one file, each with its `_seq` and `_deleted`."""
        file_id, table = file["file_id"], TABLES[file["table"]]
        raw = read_bytes(self.folder / "files" / file_id[:2] / f"{file_id}.parquet", file["bytes"])
        need(len(raw) == file["bytes"] and sha256(raw).hexdigest() == file["sha256"], "its bytes")
        secret = self.keys[file["book"], file["epoch"], file["group"]]
        key = HKDF(SHA256(), 32, None, f"crmcli/file/v1{file_id}".encode()).derive(secret)
        place = [self.fold.store, *(str(file[name]) for name in ("book", "table", "group", "epoch", "file_id"))]
        opened = create_decryption_properties(key, aad_prefix="|".join(place).encode())
        content = pq.read_table(pa.BufferReader(raw), decryption_properties=opened)
        extra = {"_seq": "int64", "_deleted": "bool"}
        must = {table.key: table.columns[table.key]} if file["kind"] == "delete" else table.columns
        must = must | extra if file["kind"] == "history" else must
        found = [(column.name, str(column.type).replace("element: ", "")) for column in content.schema]
        need(len(dict(found)) == len(found) and must.items() <= set(found) <= (must | extra).items(), "its columns")
        need(content.num_rows == file["rows"], "its number of rows")
        times = content[table.time].to_pylist() if table.time in dict(found) else [None]
        ends = [None, None] if None in times else [f"{end(times):%Y-%m-%dT%H:%M:%S.%fZ}" for end in (min, max)]
        need(ends == [file["min"], file["max"]], "its times")
        gone = {"_deleted": True} if file["kind"] == "delete" else {}
        return [{"_seq": file["seq"], "_deleted": False} | row | gone for row in content.to_pylist()]

    def records(self, name: str) -> list[Row]:
        """What a table holds: the rows of every book that the identity can open, merged."""
        books = defaultdict[str, list[tuple[str, Row]]](list)
        for file in self.fold.files.values():
            if file["table"] == name and (file["book"], file["epoch"], file["group"]) in self.keys:
                with refusing(f"file {file['file_id']}"):
                    books[file["book"]] += [(file["kind"], row) for row in self.rows(file)]
        key, merged = TABLES[name].key, list[Row]()
        for rows in books.values():
            inserted = {row[key]: row["_seq"] for kind, row in rows if kind == "insert"}
            need(len(inserted) == sum(kind == "insert" for kind, _ in rows), "a key inserted twice")
            newest: dict[int, Row] = {}
            for kind, row in rows:
                if kind in {"upsert", "delete"} and row["_seq"] > newest.get(row[key], {"_seq": 0})["_seq"]:
                    newest[row[key]] = row
            need(all(row["_seq"] > inserted.get(row[key], 0) for row in newest.values()), "a change before its record")
            merged += [row for kind, row in rows if kind == "insert" and row[key] not in newest]
            merged += [row for row in newest.values() if not row["_deleted"]]
        return [{column: row[column] for column in TABLES[name].columns} for row in merged]
