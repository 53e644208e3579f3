"""The page on the store's format: a reader written from it alone reads what crmcli reads, and refuses what it must."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from crmcli import cli
from crmcli.session import Session
from crmcli.storage.view import View
from tests import spec_reader
from tests.spec_reader import Refused
from tests.storage.company import environment, make_company, quiet_output

CRMCLI = Path(sys.executable).parent / "crmcli"
MOVES = 19  # more than 16 files of a table are compacted


@dataclass(frozen=True)
class Shop:
    """A store and the identity that opens it."""

    root: Path
    identity: Path

    def environment(self) -> dict[str, str]:
        home = str(self.root.parent)
        folders = {f"XDG_{kind}_HOME": f"{home}/{kind}" for kind in ("CACHE", "STATE", "CONFIG", "DATA")}
        return {"HOME": home, "CRMCLI_STORE": str(self.root), "CRMCLI_IDENTITY": str(self.identity), **folders}

    def run(self, *arguments: str) -> str:
        """Run the program in a process of its own."""
        environ = os.environ | self.environment()
        done = subprocess.run(
            [CRMCLI, "--store", str(self.root), *arguments],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def read(self) -> spec_reader.Store:
        return spec_reader.Store(self.root, self.identity)

    def copy(self, folder: Path) -> Shop:
        return Shop(Path(shutil.copytree(self.root, folder / "copy")), self.identity)

    def commit(self, seq: int) -> Path:
        return self.root / f"log/{seq:020}.json"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A year of history, then some twenty-five commands: so many deals that a compaction leaves most of them alone."""
    folder = tmp_path_factory.mktemp("shop")
    shop = Shop(folder / "data", folder / "data.identity.json")
    shop.run("demo", "--clients", "1000")
    for name in ("Zadig", "Zelda"):
        shop.run("add-client", name, "--note", f"a note about {name}")
    with environment(shop.environment()):
        for move in range(MOVES):
            stage = ("discovery", "proposal")[move // 2 % 2]
            assert cli.run(["advance-stage", ("Zadig", "Zelda")[move % 2], "--to", stage], quiet_output()) == 0
    shop.run("log-call", "Zadig", "out", "--said", "Чай — да", "--promise", "samples", "--due", "tomorrow 10:00")
    shop.run("advance-stage", "Zelda", "--won", "990.50")
    sale = shop.run("log-sale", "Zadig", "1234.50", "--item", "Tea:2.5:493.80", "--unlisted").split()[4]
    shop.run("void", sale)
    shop.run("gc")
    return shop


def same_as_crmcli(shop: Shop, machine: Path) -> spec_reader.Store:
    """Compare every table with what crmcli reads, on a machine that knows nothing yet."""
    store = shop.read()
    session = Session(shop.root, shop.identity, machine / "cache", machine / "state", datetime.now(UTC), quiet_output())
    view = View(session.store())
    assert (store.fold.seq, store.fold.hash) == (view.store.state.seq, view.store.state.hash)
    assert set(store.fold.files) == set(view.store.state.live)
    for name, table in spec_reader.TABLES.items():
        found = sorted(store.records(name), key=lambda row: row[table.key])
        assert found == sorted(view.reader.merged(name).to_pylist(), key=lambda row: row[table.key]), name
    session.close(succeeded=False)
    return store


def test_a_store_with_compactions_and_history_reads_the_same(shop: Shop, tmp_path: Path) -> None:
    store = same_as_crmcli(shop, tmp_path)
    assert store.fold.seq > MOVES
    kinds = Counter((file["table"], file["kind"]) for file in store.fold.files.values())
    assert kinds["deals", "history"] == 1
    assert kinds["deals", "insert"] >= 1
    assert kinds["deals", "upsert"] >= 1
    types = Counter('"type":"compact"' in shop.commit(seq).read_text() for seq in range(1, store.fold.seq + 1))
    assert types[True] >= 2


def test_every_member_sees_the_same(tmp_path: Path) -> None:
    company = make_company(tmp_path)
    company.crmcli("add-client", "Anna", "--note", "tea", who="manager")
    company.crmcli("add-client", "Boris", who="colleague")
    found = {}
    for who in ("admin", "manager", "colleague", "lead", "analyst", "service"):
        store = same_as_crmcli(Shop(company.root, company.home(who) / "identity.json"), tmp_path / who)
        found[who] = (len(store.records("clients")), len(store.records("contacts")), len(store.records("notes")))
    assert found == {
        "admin": (2, 2, 3),
        "manager": (1, 1, 2),
        "colleague": (1, 1, 1),
        "lead": (0, 0, 0),
        "analyst": (2, 0, 0),
        "service": (2, 0, 0),
    }


def test_commits_in_a_segment_read_the_same(shop: Shop, tmp_path: Path) -> None:
    copy = shop.copy(tmp_path)
    loose = [copy.commit(seq) for seq in range(1, 21)]
    segment = copy.root / f"log/{1:020}-{20:020}.jsonl"
    segment.write_bytes(b"".join(path.read_bytes() for path in loose))
    for path in loose[:-2]:
        path.unlink()
    same_as_crmcli(copy, tmp_path)
    segment.write_bytes(segment.read_bytes()[:-1])
    with pytest.raises(Refused, match="segment 1"):
        copy.read()


def changed(path: Path, change: Callable[[bytes], bytes]) -> None:
    before = path.read_bytes()
    path.write_bytes(change(before))
    assert path.read_bytes() != before


def flipped(at: int) -> Callable[[bytes], bytes]:
    return lambda raw: raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


def test_a_changed_byte_in_a_commit_is_refused(shop: Shop, tmp_path: Path) -> None:
    copy = shop.copy(tmp_path)
    raw = copy.commit(7).read_bytes()
    changed(copy.commit(7), flipped(raw.index(b'"op_id":"') + 9))
    with pytest.raises(Refused, match="commit 7: "):
        copy.read()


def test_a_swapped_signature_is_refused(shop: Shop, tmp_path: Path) -> None:
    copy = shop.copy(tmp_path)
    other = copy.commit(8).read_bytes().split(b"\n")[1]
    changed(copy.commit(7), lambda raw: raw.split(b"\n")[0] + b"\n" + other + b"\n")
    with pytest.raises(Refused, match="commit 7: InvalidSignature"):
        copy.read()


def test_swapped_signatures_of_the_genesis_are_refused(shop: Shop, tmp_path: Path) -> None:
    copy = shop.copy(tmp_path)

    def swap(raw: bytes) -> bytes:
        line, first, second, _ = raw.split(b"\n")
        return b"\n".join((line, second, first, b""))

    changed(copy.root / "genesis.json", swap)
    with pytest.raises(Refused, match="genesis: InvalidSignature"):
        copy.read()


def test_a_missing_commit_is_refused(shop: Shop, tmp_path: Path) -> None:
    copy = shop.copy(tmp_path)
    copy.commit(7).unlink()
    with pytest.raises(Refused, match="commit 7 is missing"):
        copy.read()


def test_a_changed_byte_of_a_file_is_refused(shop: Shop, tmp_path: Path) -> None:
    copy = shop.copy(tmp_path)
    files = [file for file in copy.read().fold.files.values() if file["table"] == "contacts"]
    path = copy.root / "files" / files[0]["file_id"][:2] / f"{files[0]['file_id']}.parquet"
    changed(path, flipped(files[0]["bytes"] // 2))
    with pytest.raises(Refused, match=f"file {files[0]['file_id']}: its bytes"):
        copy.read().records("contacts")


ELSEWHERE = {"book": "ZZZZZZZZZZZZ", "table": "notes", "group": "facts", "epoch": 2, "file_id": "0" * 32}


@pytest.mark.parametrize("field", ELSEWHERE)
def test_a_file_opens_only_where_it_belongs(shop: Shop, tmp_path: Path, field: str) -> None:
    store = shop.copy(tmp_path).read()
    file = next(file for file in store.fold.files.values() if file["table"] == "contacts")
    moved = file | {field: ELSEWHERE[field]}
    paths = [store.folder / "files" / each["file_id"][:2] / f"{each['file_id']}.parquet" for each in (file, moved)]
    if field == "file_id":
        shutil.copy(*paths)
    places = [(each["book"], each["epoch"], each["group"]) for each in (file, moved)]
    store.keys[places[1]] = store.keys[places[0]]
    assert store.rows(file)
    with pytest.raises(OSError, match="decrypt"):
        store.rows(moved)
