"""Attacks by a member, or by who has a member's key: commits that are well signed and none the less untrue."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow as pa

from crmcli.model import records as r
from crmcli.storage import log
from crmcli.storage.genesis import Genesis
from crmcli.storage.identity import Identity
from crmcli.storage.members import PROOF_LABEL, proof_message
from crmcli.storage.tables import TABLES
from tests.storage.attacks import (
    NOBODY,
    ONLY_VERIFY,
    READERS,
    ROLLED_BACK,
    Attack,
    head_of,
    next_line,
    put_line,
    put_raw,
)
from tests.storage.company import NOW, Company, addition, entry, number

FAR = "9999-12-31T23:59:59.999999Z"
CLIENTS = TABLES["clients"]


def client(company: Company, **changes: Any) -> log.FileEntry:
    """The entry of a file with one more client, in the manager's own book and by his key."""
    person = number(company.identity("manager").member)
    rows = CLIENTS.to_arrow([r.Client(7, NOW, person, person)])
    sealed = company.seal("manager", company.book("manager"), "clients", "insert", rows)
    return replace(sealed, **changes)


def honest_line(company: Company) -> bytes:
    """A commit that would be taken."""
    return next_line(company, "manager", add=(client(company),))


# Commits that their author had no right to.


def by(who: str, owner: str, table: str = "clients") -> Callable[[Company], None]:
    def harm(company: Company) -> None:
        put_line(company, who, next_line(company, who, add=(entry(company.book(owner), table),)))

    return harm


def compaction_of_another(company: Company) -> None:
    [theirs, *_] = [e for e in company.open().state.entries("clients") if e.book == company.book("admin")]
    company.append("manager", "compact", drop=(theirs.file_id,))


RIGHTS = [
    Attack("manager into another's book", by("manager", "colleague"), is_nasty=True),
    Attack("manager into the admin's book", by("manager", "admin")),
    Attack("member who was removed", by("leaver", "leaver")),
    Attack("analyst", by("analyst", "manager")),
    Attack("service writes clients", by("service", "service")),
    Attack("lead into a book he may read", by("lead", "manager")),
    Attack("manager compacts another's book", compaction_of_another),
    Attack("manager removes the admin", lambda company: company.append("manager", "members", body=removal(company))),
]


def removal(company: Company) -> dict[str, Any]:
    return {"members": [{"action": "remove", "member": company.identity().member}]}


# The bytes of the line.


def signed(change: Callable[[bytes], bytes]) -> Callable[[Company], None]:
    """Sign, as the manager, a commit that would be taken but for one change of its bytes."""

    def harm(company: Company) -> None:
        before = honest_line(company)
        after = change(before)
        assert after != before
        put_line(company, "manager", after)

    return harm


def swapped(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    return lambda line: line.replace(old, new, 1)


def with_cell(name: str, cell: bytes) -> Callable[[bytes], bytes]:
    """Give a field of the commit or of its file another value, as raw JSON."""

    def change(line: bytes) -> bytes:
        start = line.index(b'"%s":' % name.encode()) + len(name) + 3
        end = min(place for mark in (b",", b"}", b"]") if (place := line.find(mark, start)) > 0)
        return line[:start] + cell + line[end:]

    return change


LINES: dict[str, Callable[[bytes], bytes]] = {
    "a key twice": swapped(b'"seq":', b'"seq":1,"seq":'),
    "a key twice, once escaped": swapped(b'"seq":', b'"\\u0073eq":1,"seq":'),
    "a key of a file twice": swapped(b'"rows":', b'"rows":2,"rows":'),
    "a float": with_cell("rows", b"1.0"),
    "an exponent": with_cell("rows", b"1e0"),
    "not a number": with_cell("rows", b"NaN"),
    "infinity": with_cell("bytes", b"-Infinity"),
    "2 to the 60": with_cell("rows", str(2**60).encode()),
    "a number of a million digits": with_cell("rows", b"9" * 1_000_000),
    "a negative count": with_cell("rows", b"-1"),
    "a negative seq": with_cell("seq", b"-1"),
    "a seq that leaves one out": with_cell("seq", b"99"),
    "another commit before it": with_cell("prev", b'"%s"' % (b"0" * 64)),
    "another store": with_cell("store", b'"%s"' % (b"0" * 32)),
    "true for a count": with_cell("rows", b"true"),
    "100,000 brackets": lambda _: b"[" * 100_000,
    "100,000 closed brackets": with_cell("drop", b"[" * 100_000 + b"]" * 100_000),
    "100,000 braces": lambda _: b'{"a":' * 100_000,
    "a huge string": with_cell("op_id", b'"%s"' % (b"a" * 1_000_000)),
    "a huge key": swapped(b'"seq":', b'"%s":1,"seq":' % (b"s" * 1_000_000)),
    "50 MB": lambda line: line + b" " * 50_000_000,
    "just over a mebibyte": lambda line: line + b" " * ((1 << 20) - len(line) - 129),
    "no UTF-8": with_cell("table", b'"\xff\xfe"'),
    "overlong UTF-8": with_cell("table", b'"\xc0\xaf"'),
    "a surrogate in UTF-8": with_cell("table", b'"\xed\xa0\x80"'),
    "a lone surrogate": with_cell("table", b'"\\ud800"'),
    "a byte order mark": lambda line: b"\xef\xbb\xbf" + line,
    "UTF-16": lambda line: line.decode().encode("utf-16").replace(b"\n", b""),
    "a NUL": lambda line: line + b"\0",
    "two documents": lambda line: line + line,
    "another order": lambda line: json.dumps(dict(reversed(json.loads(line).items()))).encode(),
    "one more field": lambda line: line[:-1] + b',"note":""}',
    "a list": lambda line: b"[" + line + b"]",
    "nothing": lambda _: b"",
    "escapes for a table": with_cell("table", b'"\\u001b[2J\\u0007"'),
    "a path for a file": with_cell("file_id", b'"../../../../../../etc/passwd"'),
    "a later program's schema with no right": with_cell("author", b'"0000000000ZZ"'),
    **{
        f"at {text!r}": with_cell("at", json.dumps(text).encode())
        for text in (
            "",
            "now",
            "2026-03-02",
            "2026-03-02T09:00:00Z",
            "2026-02-30T09:00:00.000000Z",
            "2026-03-02T24:00:00.000000Z",
            "0000-01-01T00:00:00.000000Z",
            "+2026-03-02T09:00:00.000000Z",
            "2026-03-02T09:00:00.000000+03:00",
            "1970-01-01T00:00:00.000000Z",
            "２０２６-03-02T09:00:00.000000Z",
        )
    },
    "at a number": with_cell("at", b"1772442000"),
}
NASTY_LINES = {"100,000 brackets", "100,000 closed brackets", "50 MB", "a huge string", "escapes for a table"}

ON_LINES = [
    Attack(f"line with {name}", signed(change), is_nasty=name in NASTY_LINES) for name, change in LINES.items()
] + [
    # What is no error: JSON that is written in another way, and a clock that runs ahead.
    Attack("line with a key in escapes", signed(swapped(b'"seq":', b'"\\u0073eq":')), NOBODY, honest=False),
    Attack("line with a carriage return", signed(lambda line: line + b"\r"), NOBODY, honest=False),
    Attack("line with blanks", signed(swapped(b'"seq":', b' "seq" : ')), NOBODY, honest=False),
    Attack("line from the year 9999", signed(with_cell("at", f'"{FAR}"'.encode())), NOBODY, honest=False),
]


def use(**changes: Any) -> Callable[[Company], object]:
    """A use of a grant, which any member may commit, with texts of his own in it."""
    body = {"grant": None, "right": "export", "books": [], "rows": 1, "sha256": "0" * 64} | changes
    return lambda company: put_line(company, "manager", next_line(company, "manager", "grant-use", body={"use": body}))


ON_BODIES = [
    Attack("grant of a huge name", use(grant="x" * 900_000), is_nasty=True),
    Attack("grant that moves the cursor", use(grant="\x1b[2J\x1b]0;pwned\x07\u202e"), is_nasty=True),
    Attack("grant of a lone surrogate", use(grant="\ud800")),
    Attack("grant that is a list", use(grant=[])),
    Attack("grant that is an object", use(grant={})),
    Attack("use of a book of a huge name", use(books=["x" * 900_000])),
    Attack("use of a right of a huge name", use(right="x" * 900_000)),
    Attack("use without a grant", use()),
    Attack("use that is a text", lambda company: company.append("manager", "grant-use", body={"use": "x" * 99})),
]


# A file that is not what its commit says.


def lying(**changes: Any) -> Callable[[Company], object]:
    return lambda company: company.append("manager", add=(client(company, **changes),))


def elsewhere(owner: str) -> Callable[[Company], object]:
    return lambda company: company.append("manager", add=(client(company, book=company.book(owner)),))


def twice(company: Company) -> None:
    made = client(company)
    company.append("manager", add=(made, made))


def again(company: Company) -> None:
    [mine] = [e for e in company.open().state.entries("clients") if e.book == company.book("manager")]
    company.append("manager", add=(mine,))


CALLS = frozenset({"show", "verify", "log-call"})
ON_ENTRIES = [
    *(
        Attack(f"lie about {name}", lying(**{name: cell}), READERS["clients"], is_nasty=name == "rows")
        for name, cell in (
            ("rows", 2**52),
            ("bytes", 2**52),
            ("sha256", "0" * 64),
            ("kind", "delete"),
            ("file_id", "0" * 32),
        )
    ),
    Attack("lie about fewer bytes", lying(bytes=0), READERS["clients"]),
    Attack("lie about the table", lying(table="activities"), CALLS),
    *(
        Attack(f"lie about the {name} {cell}", lying(**{name: cell}))
        for name, cell in (("kind", "history"), ("epoch", 2), ("group", "personal"), ("table", "contacts"), ("rows", 0))
    ),
    Attack("lie about the book", elsewhere("colleague")),
    # Nothing is left out by these times, so only their truth is at stake.
    Attack("lie about the times", lying(low=FAR, high=FAR), ONLY_VERIFY, honest=False),
    Attack("lie about the order of times", lying(low=FAR), ONLY_VERIFY, honest=False),
    Attack("lie about having times", lying(low=None, high=None), ONLY_VERIFY, honest=False),
    Attack("one file twice", twice),
    Attack("a file that is there already", again),
]


# Compactions.


def compaction(change: Callable[[pa.Table], pa.Table], kind: str = "insert") -> Callable[[Company], None]:
    """Let a manager compact his own clients into something else than they were."""

    def harm(company: Company) -> None:
        book = company.book("manager")
        company.append("manager", add=(client(company),))
        store = company.open("manager")
        old = [e for e in store.state.entries("clients") if e.book == book]
        rows = pa.concat_tables([store.reader.read(e) for e in old])
        made = company.seal("manager", book, "clients", kind, change(rows))
        company.append("manager", "compact", add=(made,), drop=tuple(e.file_id for e in old))

    return harm


def newer(rows: pa.Table) -> pa.Table:
    place = rows.column_names.index("_seq")
    return rows.set_column(place, "_seq", pa.array([10_000] * rows.num_rows, pa.int64()))


def valued(rows: pa.Table) -> pa.Table:
    place = rows.column_names.index("source")
    return rows.set_column(place, "source", pa.array(["bought"] * rows.num_rows, pa.string()))


def without(company: Company) -> None:
    """Drop everything and put nothing in its place."""
    mine = [e.file_id for e in company.open().state.entries("clients") if e.book == company.book("manager")]
    company.append("manager", "compact", drop=tuple(mine))


COMPACTIONS = [
    Attack("compaction that drops rows", compaction(lambda rows: rows.slice(1)), ONLY_VERIFY, honest=False),
    Attack("compaction that drops all", without, ONLY_VERIFY, honest=False),
    Attack("compaction that changes a value", compaction(valued), ONLY_VERIFY, honest=False, is_nasty=True),
    Attack(
        "compaction that adds rows",
        compaction(lambda rows: pa.concat_tables([rows, rows.slice(0, 1).set_column(0, "client_id", pa.array([9]))])),
        ONLY_VERIFY,
        honest=False,
    ),
    Attack(
        "compaction that doubles rows",
        compaction(lambda rows: pa.concat_tables([rows, rows])),
        ONLY_VERIFY,
        honest=False,
    ),
    Attack("compaction from the future", compaction(newer), READERS["clients"] - {"add-client"}, honest=False),
]


# Signatures in another's place.


def relabelled(label: str) -> Callable[[Company], None]:
    return lambda company: put_line(company, "manager", honest_line(company), label)


def genesis_signature(company: Company) -> None:
    borrowed = (company.root / "genesis.json").read_bytes().split(b"\n")[1].decode()
    put_line(company, "admin", next_line(company, "admin", add=(client(company),)), signature=borrowed)


def genesis_as_commit(company: Company) -> None:
    line = (company.root / "genesis.json").read_bytes().split(b"\n")[0]
    keys = company.identity().keys
    raw = log.signed_lines(json.loads(line), (keys, keys), log.COMMIT_LABEL)
    (company.root / "genesis.json").write_bytes(raw)


def foreign_proof(company: Company) -> None:
    """Add a member by the proof of possession that he gave to another store."""
    state, newcomer = company.open().state, Identity.new("new")
    other = Genesis.parse((company.folder / "other/genesis.json").read_bytes()).store
    proof = newcomer.keys.sign(PROOF_LABEL, proof_message(other, newcomer.member, newcomer.keys.public))
    change = addition(state, newcomer, "manager") | {"proof": proof.hex()}
    company.append("admin", "members", body={"members": [change]})


def proof_as_commit(company: Company) -> None:
    """Sign a commit by a label and text that a member signs when he joins."""
    line = honest_line(company)
    keys = company.identity("manager").keys
    put_line(company, "manager", line, signature=keys.sign(PROOF_LABEL, line).hex())


def foreign_commit(company: Company) -> None:
    """Put the other store's commit by the same admin into this one, under this one's number."""
    put_raw(company, (company.folder / "other/log" / log.loose_name(2)).read_bytes())


def foreign_log(company: Company) -> None:
    for path in company.log.iterdir():
        path.unlink()
    for path in (company.folder / "other/log").iterdir():
        (company.log / path.name).write_bytes(path.read_bytes())


def signature_line(change: Callable[[bytes], bytes]) -> Callable[[Company], None]:
    def harm(company: Company) -> None:
        line = honest_line(company)
        signature = company.identity("manager").keys.sign(log.COMMIT_LABEL, line).hex().encode()
        put_raw(company, line + b"\n" + change(signature) + b"\n")

    return harm


def stranger(company: Company) -> None:
    put_line(company, "manager", honest_line(company), signature=Identity.new("x").keys.sign("", b"").hex())


SIGNATURES = [
    *(
        Attack(f"commit signed as {label}", relabelled(label))
        for label in (log.GENESIS_LABEL, PROOF_LABEL, "", "crmcli/commit/v2")
    ),
    Attack("commit with the signature of the genesis", genesis_signature),
    Attack("commit with a proof for its signature", proof_as_commit),
    Attack("genesis signed as a commit", genesis_as_commit),
    Attack("proof that was given to another store", foreign_proof),
    Attack("commit of another store of the same admin", foreign_commit, is_nasty=True),
    Attack("log of another store of the same admin", foreign_log, code=ROLLED_BACK),
    Attack("log of another store of the same admin", foreign_log, machine="new"),
    Attack("head once more", lambda company: put_raw(company, head_of(company).read_bytes())),
    Attack("an older commit once more", lambda company: put_raw(company, min(company.log.glob("*.json")).read_bytes())),
    Attack("signature of a stranger", stranger),
    Attack("signature in capitals", signature_line(bytes.upper)),
    Attack("signature cut", signature_line(lambda text: text[:-2])),
    Attack("signature twice", signature_line(lambda text: text + b"\n" + text)),
    Attack("signature of zeros", signature_line(lambda _: b"0" * 128)),
]

ATTACKS = [*RIGHTS, *ON_LINES, *ON_BODIES, *ON_ENTRIES, *COMPACTIONS, *SIGNATURES]
