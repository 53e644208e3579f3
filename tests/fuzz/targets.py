"""What is fuzzed: each target takes any bytes, lets nothing out but the errors it may raise, and names its seeds."""

from __future__ import annotations

import atexit
import io
import json
import random
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crmcli.errors import CrmError, DamagedError, InputError, NoKeyError, NoStoreError
from crmcli.formats.delimited import open_sheet
from crmcli.formats.mapping import load_map
from crmcli.formats.toml_text import read_toml, toml_text
from crmcli.model.process import DEFAULT, Process
from crmcli.output import Output
from crmcli.storage import identity, log
from crmcli.storage.genesis import Genesis, b64
from crmcli.storage.keyring import new_epoch
from crmcli.storage.keys import KeyPair
from crmcli.storage.state import State
from tests.storage.attacks import is_civil
from tests.storage.company import NOW, Company, addition, by_hand, entry, make_company

FOLDER = Path(tempfile.mkdtemp(prefix="crmcli-fuzz-"))
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
COMPANY: Company = make_company(FOLDER / "company")
INPUT = FOLDER / "input"
SIGNED = b"\n" + b"0" * 128 + b"\n"


@dataclass(frozen=True)
class Target:
    """A parser, what it is begun with, and the errors that say no."""

    parse: Callable[[bytes], object]
    seeds: list[bytes]
    refusals: tuple[type[Exception], ...]

    def __call__(self, data: bytes) -> None:
        """Parse; whatever is no refusal gets out and is a finding."""
        try:
            self.parse(data)
        except self.refusals as error:
            refusal = error
        else:
            return
        if isinstance(refusal, CrmError):
            told = io.StringIO()
            Output(io.StringIO(), told, io.StringIO()).error(refusal)
            assert is_civil(told.getvalue())


def from_file(load: Callable[[Path], object]) -> Callable[[bytes], object]:
    def parse(data: bytes) -> object:
        INPUT.write_bytes(data)
        return load(INPUT)

    return parse


# The log, behind the signature: whatever line there is, an admin or a manager has signed it.


class Signer:
    """Folds any line into the state of a real log, as a commit by one of its members."""

    def __init__(self) -> None:
        self.state = COMPANY.open().state
        self.before = json.dumps(self.state.to_json())
        self.signers = [COMPANY.identity(who) for who in ("admin", "manager")]

    def seeds(self) -> list[bytes]:
        """Return an honest commit of every type."""
        state, [admin, manager] = self.state, self.signers
        book, other = COMPANY.book("manager"), COMPANY.book("colleague")
        grant = {"grant": "0123456789AB", "to": manager.member, "right": "export", "books": [book], "columns": ["name"]}
        more = {"max_rows": 9, "expires": "2027-01-01T00:00:00.000000Z", "once": True}
        admins = [member for member in state.members.values() if member.role == "admin"]
        bodies: dict[str, Any] = {
            "data": {},
            "members": {
                "members": [addition(state, identity.Identity.new("x"), "lead"), *changes(manager.member, book)]
            },
            "keys": {"books": [new_epoch(state, state.books[book], admins)]},
            "grant": {"grant": {"action": "give"} | grant | more},
            "grant-use": {"use": {"grant": None, "right": "export", "books": [book], "rows": 1, "sha256": "0" * 64}},
            "transfer": {"transfer": {"from": book, "to": other, "clients": ["0123456789AB"]}},
            "erase": {"erase": {"clients": ["0123456789AB"], "files": ["0" * 32]}},
            "restore": {"restore": {"seq": state.seq, "hash": state.hash}},
        }
        adds = {
            "data": (entry(book, "clients", low="2026-01-01T00:00:00.000000Z"), entry(book, "notes", file_id="1" * 32))
        }
        commits = [
            by_hand(state, admin.member, kind, body=body, add=adds.get(kind, ())) for kind, body in bodies.items()
        ]
        [dropped, *_] = state.live
        commits.append(by_hand(state, admin.member, "compact", drop=(dropped,)))
        commits.append(by_hand(state, manager.member, add=adds["data"]))
        return [commit.sealed(admin.keys).split(b"\n")[0] for commit in commits]

    def fold(self, line: bytes) -> None:
        """Fold a line in; a refusal leaves the state as it was, and what was taken in is undone."""
        keys = self.signers[b'"%s"' % self.signers[1].member.encode() in line[:280]].keys
        try:
            self.state.apply(line + b"\n" + keys.sign(log.COMMIT_LABEL, line).hex().encode() + b"\n")
        except CrmError:
            assert json.dumps(self.state.to_json()) == self.before
            raise
        taken = self.state.to_json()
        again = State(COMPANY.open().genesis, self.state.me)
        again.load_json(json.loads(json.dumps(taken)))
        assert json.dumps(again.to_json()) == json.dumps(taken)
        self.state.load_json(json.loads(self.before))


def with_another_cell(line: bytes, seed: int) -> bytes:
    """Return a line of JSON in which one value, however deep, became another one; other bytes as they are."""
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return line
    chosen, place = random.Random(seed), document
    while isinstance(place, (dict, list)) and place:
        keys = list(place) if isinstance(place, dict) else range(len(place))
        key = chosen.choice(keys)
        inner = place[key]
        if chosen.random() < 0.3 or not isinstance(inner, (dict, list)) or not inner:
            others = (*CELLS, line.decode("utf-8", "replace")[:9], inner, [inner], {"x": inner}, [inner, inner])
            place[key] = chosen.choice(others)
            break
        place = inner
    return json.dumps(document, separators=(",", ":")).encode()


CELLS: tuple[Any, ...] = (
    None,
    True,
    0,
    1,
    2,
    -1,
    2**53 - 1,
    2**53,
    1.5,
    "",
    "admin",
    "facts",
    "00",
    "0" * 12,
    "0" * 32,
    "\ud800",
    [],
    {},
)


def changes(member: str, book: str) -> list[dict[str, Any]]:
    return [
        {"action": "role", "member": member, "role": "lead"},
        {"action": "allow", "member": member, "read": [book], "personal": [], "dispatcher": True},
        {"action": "remove", "member": member},
    ]


# The genesis, behind its signatures too: the founder and the recovery admin sign whatever the line says.

GENESIS = (COMPANY.root / "genesis.json").read_bytes()
FOUNDERS = (KeyPair(bytes(range(128))), KeyPair(bytes(range(1, 129))))


def signed_genesis(line: bytes) -> Genesis:
    signatures = [keys.sign(log.GENESIS_LABEL, line).hex().encode() for keys in FOUNDERS]
    return Genesis.parse(b"\n".join((line, *signatures, b"")))


def genesis_line() -> bytes:
    from crmcli.storage.genesis import found
    from crmcli.storage.tables import stamp

    founder, recovery = (("0123456789AB", keys) for keys in FOUNDERS)
    return found("0" * 32, stamp(NOW), founder, recovery).split(b"\n")[0]


# The identity file, outside and inside of its secret part.


def load_identity(path: Path) -> identity.Identity:
    """Load it, with a bound on the cost of the passphrase that keeps the fuzzer fast."""
    identity._MOST.update(memory_kib=64, passes=2, lanes=2)
    return identity.load_identity(path, lambda: "correct horse")


def secret_identity(secret: bytes) -> bytes:
    document = {"format": identity.FORMAT, "member": "0123456789AB", "argon2id": None, "secret": b64(secret)}
    return json.dumps(document).encode()


def sealed_identity() -> bytes:
    identity._ARGON.update(memory_kib=32, passes=1, lanes=1)
    path = FOLDER / "sealed.json"
    identity.save_identity(path, COMPANY.identity(), "correct horse")
    return path.read_bytes()


IDENTITY = (COMPANY.home("admin") / "identity.json").read_bytes()
SECRET = json.dumps({"name": "Ada", "seed": b64(bytes(128)), "stores": ["0" * 64]}).encode()


def open_secret(data: bytes) -> identity.Identity:
    return from_file(load_identity)(secret_identity(data))  # type: ignore[return-value]


# Files that people write.

MAP = b"""delimiter = ";"
encoding = "cp1251"
date_format = "%d.%m.%Y"
decimal = ","
namespace = "crm"
[columns]
name = "Name"
phone = "Phone"
[constants]
source = "web"
[values.segment]
"B2B" = "business"
[unknown]
phone = "0"
"""
SHEETS = [
    b'name;phone\r\n"Anna ""A"" K";+7 900\r\n\r\nBoris\r\n',
    'Имя,Город\nАнна,"Моск\nва"\n'.encode("cp1251"),
    "name\tphone\nАнна\t1\n".encode("utf-16"),
    b"\xef\xbb\xbfid name\n1 Anna\n",
]


def read_sheet(path: Path) -> None:
    for delimiter in (None, "whitespace"):
        with open_sheet(path, delimiter=delimiter) as sheet:
            for line in sheet.rows:
                assert line.problem or len(line.cells) == len(sheet.header)


def read_process(path: Path) -> Process:
    process = Process.from_plain(read_toml(path))
    assert Process.from_plain(process.to_plain()) == process
    return process


SIGNER = Signer()
LINES = SIGNER.seeds()
TARGETS = {
    "json": Target(log.parse_json, LINES, (ValueError,)),
    "lines": Target(lambda data: log.split_lines(data, 1), [line + SIGNED for line in LINES[:2]], (ValueError,)),
    "commit": Target(log.Commit.parse, LINES, (ValueError, NoStoreError)),
    "fold": Target(SIGNER.fold, LINES, (DamagedError, NoStoreError)),
    "genesis": Target(Genesis.parse, [GENESIS], (DamagedError, NoStoreError)),
    "signed genesis": Target(signed_genesis, [genesis_line()], (DamagedError, NoStoreError)),
    "identity": Target(
        from_file(load_identity),
        [IDENTITY, sealed_identity()],
        (DamagedError, NoKeyError),
    ),
    "secret": Target(open_secret, [SECRET], (DamagedError, NoKeyError)),
    "map": Target(from_file(load_map), [MAP], (InputError,)),
    "process": Target(from_file(read_process), [toml_text(DEFAULT.to_plain()).encode()], (InputError,)),
    "sheet": Target(from_file(read_sheet), SHEETS, (InputError,)),
}
