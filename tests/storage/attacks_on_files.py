"""Attacks by who can write to the folder, or to a machine's memory of it, and has no key."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
from collections.abc import Callable
from pathlib import Path

from crmcli.storage import log
from tests.storage.attacks import (
    EVERY,
    NOBODY,
    ONLY_VERIFY,
    READERS,
    ROLLED_BACK,
    Attack,
    Machine,
    files_of,
    head_of,
)
from tests.storage.company import Company, change_keys

GIB = 1 << 30


def swap(first: Path, second: Path) -> None:
    """Exchange the contents of two files."""
    contents = first.read_bytes(), second.read_bytes()
    second.write_bytes(contents[0])
    first.write_bytes(contents[1])


def swap_files(table: str, first: int, second: int, other: str = "") -> Callable[[Company], None]:
    def harm(company: Company) -> None:
        swap(files_of(company, table)[first], files_of(company, other or table)[second])

    return harm


def swap_epochs(company: Company) -> None:
    store = company.open()
    from crmcli.storage.keyring import new_epoch

    change_keys(store, new_epoch(store.state, store.state.books[company.book("manager")], store.state.members.values()))
    assert company.crmcli("add-client", "Zoe", who="manager").code == 0
    old, new = [path for path, book in books_of(company, "contacts") if book == company.book("manager")]
    swap(old, new)


def books_of(company: Company, table: str) -> list[tuple[Path, str]]:
    entries = company.open().state.entries(table)
    return list(zip(files_of(company, table), (entry.book for entry in entries), strict=True))


def put_back(*names: str) -> Callable[[Company], None]:
    """Put parts of the old copy of the store back, or all of it."""

    def harm(company: Company) -> None:
        for name in names or (".",):
            shutil.rmtree(company.root / name)
            shutil.copytree(company.folder / "old" / name, company.root / name)

    return harm


def fork(*later: str) -> Callable[[Company], None]:
    """Let the same admin, at a machine that saw only the old copy, go on from there."""

    def harm(company: Company) -> None:
        memory, aside = company.home("admin"), company.folder / "aside"
        shutil.copytree(memory, aside)
        put_back()(company)
        company.forget("admin")
        for name in later:
            assert company.crmcli("add-client", name).code == 0
        shutil.rmtree(memory)
        aside.rename(memory)

    return harm


def loose(company: Company, back: int) -> Path:
    """The loose commit so many before the head."""
    return sorted(company.log.glob("*.json"))[-1 - back]


def remove(choose: Callable[[Company], Path]) -> Callable[[Company], None]:
    return lambda company: choose(company).unlink()


def segment(company: Company) -> Path:
    return sorted(company.log.glob("*.jsonl"))[1]


ON_OLD_MACHINES: tuple[Machine, ...] = ("seen", "pinned")
MACHINES: tuple[Machine, ...] = (*ON_OLD_MACHINES, "new")
ON_CONTENT = [
    Attack("two contacts exchanged", swap_files("contacts", 0, 2), READERS["contacts"]),
    Attack("contacts of two books exchanged", swap_files("contacts", 0, 1), READERS["contacts"]),
    Attack(
        "clients and contacts exchanged",
        swap_files("contacts", 0, 0, "clients"),
        READERS["contacts"] | READERS["clients"],
    ),
    Attack("files of two epochs exchanged", swap_epochs, READERS["contacts"], honest=False),
    Attack("an older deal in place of the newer", swap_files("deals", 0, -1), READERS["deals"] - {"add-client"}),
    *(
        Attack(name, harm, code=ROLLED_BACK, machine=machine, is_nasty=machine == "pinned")
        for name, harm in (
            ("old log put back", put_back("log")),
            ("old log and files put back", put_back("log", "files")),
            ("old store put back", put_back()),
            ("fork of equal length", fork("Dan")),
            ("fork that is longer", fork("Dan", "Eve", "Fay")),
            ("head removed", remove(head_of)),
        )
        for machine in ON_OLD_MACHINES
    ),
    # Nothing on a machine without a pin can tell an old copy from the newest one.
    Attack("old store put back", put_back(), NOBODY, machine="new", honest=False),
    *(
        Attack(f"{name} removed", remove(choose), machine=machine)
        for name, choose in (("middle commit", lambda company: loose(company, 2)), ("middle segment", segment))
        for machine in MACHINES
    ),
    # Who has checked a commit before does not read it again, and shows what is right.
    Attack("two commits exchanged", lambda company: swap(loose(company, 1), loose(company, 2)), ONLY_VERIFY),
    Attack("two commits exchanged", lambda company: swap(loose(company, 1), loose(company, 2)), machine="new"),
    Attack("head and another exchanged", lambda company: swap(loose(company, 0), loose(company, 2)), code=ROLLED_BACK),
    Attack("head and another exchanged", lambda company: swap(loose(company, 0), loose(company, 2)), machine="new"),
]


# What is there and is no file, or no folder.


def obstruct(path: Path, kind: str, aside: Path) -> None:
    """Put something of another kind in the place of a file or folder, and the real one aside."""
    path.rename(aside)
    match kind:
        case "link":
            path.symlink_to(aside)
        case "dangling link":
            path.symlink_to(aside / "nothing")
        case "endless link":
            path.symlink_to("/dev/zero")
        case "pipe":
            os.mkfifo(path)
        case "socket":
            with socket.socket(socket.AF_UNIX) as server:
                # Its address may be 107 bytes long, which a path need not keep to.
                here = os.open(path.parent, os.O_RDONLY)
                server.bind(f"/proc/self/fd/{here}/{path.name}")
                os.close(here)
        case "device":
            os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))
        case "folder":
            path.mkdir()
        case "file":
            path.write_bytes(b"x")


def instead(place: str, kind: str) -> Callable[[Company], None]:
    return lambda company: obstruct(PLACES[place](company), kind, company.folder / "real")


PLACES: dict[str, Callable[[Company], Path]] = {
    "log": lambda company: company.log,
    "files": lambda company: company.root / "files",
    "shard": lambda company: files_of(company, "contacts")[0].parent,
    "tmp": lambda company: company.root / "tmp",
    "inbox": lambda company: company.root / "inbox",
    "lock": lambda company: company.root / "lock",
    "genesis": lambda company: company.root / "genesis.json",
    "head": head_of,
    "segment": segment,
    "parquet": lambda company: files_of(company, "contacts")[0],
}
FOLDERS = ("log", "files", "shard", "tmp", "inbox")
KINDS = ("link", "dangling link", "endless link", "pipe", "socket", "device")
ENDLESS = ("endless link", "pipe", "device")
SHARD = READERS["contacts"] | READERS["deals"] | READERS["notes"] | {"gc"}
FOUND_BY = {"shard": SHARD, "segment": ONLY_VERIFY, "parquet": READERS["contacts"]}

ON_PLACES = [
    Attack(
        f"{kind} for {place}",
        instead(place, kind),
        FOUND_BY.get(place, EVERY),
        is_nasty=kind in ENDLESS and place not in (*FOLDERS, "inbox"),
    )
    for place in PLACES
    for kind in (*KINDS, "file" if place in FOLDERS else "folder")
    # A file in the place of the lock is a lock.
] + [Attack(f"{kind} for segment", instead("segment", kind), machine="new") for kind in (*KINDS, "folder")]


# Names that are nobody's.

NAMES = (b"junk", b".DS_Store", b"two\nlines", b"\x1b[2J\x1b]0;pwned\x07", b"\xff\xfe", b"x" * 255, "имя".encode())
LIKE_COMMITS = (b"%020d.json.bak" % 3, b"%020d.JSON" % 99, b"%019d.json" % 99, b"x%020d.json" % 99, b"%020d" % 99)


def junk(company: Company) -> None:
    shard = files_of(company, "contacts")[0].parent
    for folder in (
        company.root,
        company.log,
        company.root / "files",
        shard,
        company.root / "tmp",
        company.root / "inbox",
    ):
        for name in NAMES:
            Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(b"junk")
        (folder / "sub").mkdir()
        (folder / "away").symlink_to("/")
    for name in LIKE_COMMITS:
        (company.log / os.fsdecode(name)).write_bytes(b"junk")


def crowd(company: Company) -> None:
    for number in range(20_000):
        (company.log / f"junk {number}").touch()


def put(name: str, content: bytes) -> Callable[[Company], object]:
    return lambda company: (company.log / name).write_bytes(content)


def grown(place: str, size: int) -> Callable[[Company], None]:
    def harm(company: Company) -> None:
        os.truncate(PLACES[place](company), size)

    return harm


ON_NAMES = [
    Attack("junk in every folder", junk, NOBODY, is_nasty=True),
    Attack("20,000 names in the log", crowd, NOBODY, is_nasty=True),
    Attack("commit far beyond the head", put(log.loose_name(99), b"{}\n")),
    Attack("commit of the greatest number", put(f"{10**20 - 1}.json", b"{}\n")),
    Attack("segment over all commits", put(log.segment_name(1, 99), b"{}\n" * 198)),
    Attack("segment over all commits", put(log.segment_name(1, 99), b"{}\n" * 198), machine="new"),
    Attack("segment of the greatest numbers", put(log.segment_name(1, 10**20 - 1), b"{}\n" * 9)),
    # A range that runs backwards holds nothing.
    Attack("segment backwards", put(log.segment_name(9, 1), b""), NOBODY),
    Attack("commit zero", put(log.loose_name(0), b"{}\n"), NOBODY),
    Attack("genesis of a gibibyte", grown("genesis", GIB), is_nasty=True),
    Attack("head of a gibibyte", grown("head", GIB), is_nasty=True),
    Attack("segment of a gibibyte", grown("segment", GIB), ONLY_VERIFY, is_nasty=True),
    Attack("file of a gibibyte", grown("parquet", GIB), READERS["contacts"], is_nasty=True),
]


# What the machine remembers.


def memory_of(company: Company, kind: str, who: str = "admin", root: str = "store") -> Path:
    """The cache or the pin of a member for a store in the company's folder."""
    raw = (company.folder / root / "genesis.json").read_bytes()
    name = f"{log.digest(raw)[:32]}-{company.identity(who).member}"
    home = company.home(who)
    return home / "cache/crmcli" / f"{name}.json" if kind == "cache" else home / "state/crmcli" / f"{name}.pin"


def memory_from(kind: str, who: str, root: str) -> Callable[[Company], object]:
    """Put what another member, or another store of the same one, remembers in the place of the admin's."""
    return lambda company: shutil.copy(memory_of(company, kind, who, root), memory_of(company, kind))


def poisoned(company: Company) -> None:
    """Leave a cache that says that there is nothing in the store, tagged by somebody who has no key."""
    path = memory_of(company, "cache")
    document = json.loads(path.read_bytes().partition(b"\n")[2])
    document["state"]["live"] = []
    path.write_bytes(path.read_bytes()[:65] + json.dumps(document, separators=(",", ":")).encode())


def as_something(kind: str, what: str) -> Callable[[Company], None]:
    def harm(company: Company) -> None:
        path = memory_of(company, kind)
        if what in SIZES:
            os.truncate(path, SIZES[what])
        else:
            obstruct(path, what, company.folder / "real")

    return harm


SIZES = {"gibibyte": GIB, "64 MiB": GIB >> 4, "nothing": 0}
SHAPES = (*KINDS, "folder", *SIZES)
ON_MEMORY = [
    Attack("cache of another member", memory_from("cache", "manager", "store"), NOBODY),
    Attack("cache of another store", memory_from("cache", "admin", "other"), NOBODY, is_nasty=True),
    Attack("cache tagged without the key", poisoned, NOBODY, is_nasty=True),
    Attack("pin of another member", memory_from("pin", "manager", "store")),
    Attack("pin of another store", memory_from("pin", "admin", "other"), is_nasty=True),
    *(
        Attack(f"{shape} for the cache", as_something("cache", shape), NOBODY, is_nasty=shape in ("64 MiB", *ENDLESS))
        for shape in SHAPES
    ),
    *(
        Attack(f"{shape} for the pin", as_something("pin", shape), is_nasty=shape in ("64 MiB", *ENDLESS))
        for shape in SHAPES
    ),
]

ATTACKS = [*ON_CONTENT, *ON_PLACES, *ON_NAMES, *ON_MEMORY]
