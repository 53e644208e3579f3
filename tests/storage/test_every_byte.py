"""One bit of every byte of every kind of file is flipped, and each is cut and added to at every joint.

`make test` takes a sample of the bytes, `make soak` every one. For each kind of file it is said here which changes are
found, as what, and which bytes are harmless and why.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from crmcli.errors import CrmError, DamagedError, NoKeyError, NoStoreError, NotPermittedError, RolledBackError
from crmcli.storage import identity as identity_module
from crmcli.storage import log
from crmcli.storage.genesis import Genesis
from crmcli.storage.identity import load_identity, save_identity
from crmcli.storage.memory import Memory
from crmcli.storage.reading import Reader
from crmcli.storage.state import State
from crmcli.storage.store import Store
from crmcli.storage.verification import _NothingKnown
from tests.storage.attacks import copied, head_of, make_scene
from tests.storage.attacks_on_files import memory_of, segment
from tests.storage.company import Company

SAMPLE = 48
ALL = pytest.param(None, marks=pytest.mark.soak, id="every byte")
HOW_MANY = pytest.mark.parametrize("count", [pytest.param(SAMPLE, id="sample"), ALL])


@pytest.fixture(scope="module")
def scene(founded: Company, tmp_path_factory: pytest.TempPathFactory) -> Company:
    """A company whose files are read, and never changed where they lie."""
    return make_scene(founded, tmp_path_factory.mktemp("bytes") / "company")


@pytest.fixture
def used(scene: Company, tmp_path: Path) -> Company:
    """A copy, whose files are changed."""
    return copied(scene, tmp_path / "company")


def flips(raw: bytes, count: int | None) -> Iterator[tuple[int, bytes]]:
    """Yield (place, the bytes with one bit of that place flipped) for `count` places, or for all."""
    chosen = random.Random(len(raw))
    places = range(len(raw)) if count is None else sorted({0, len(raw) - 1, *chosen.choices(range(len(raw)), k=count)})
    for place in places:
        yield place, raw[:place] + bytes([raw[place] ^ 1 << chosen.randrange(8)]) + raw[place + 1 :]


def cuts(raw: bytes, joints: bytes = rb'[\n{}\[\],:"]') -> Iterator[bytes]:
    """Yield the bytes cut before, after and at the joints of their structure, and with something behind them."""
    ends = {end for match in re.finditer(joints, raw) for end in (match.start(), match.end())}
    chosen = sorted(ends | {0, 1, len(raw) - 1} - {len(raw)})
    yield from (raw[:end] for end in chosen if end < len(raw))
    yield from (raw + more for more in (b"\n", b"\0", b" ", b"{}", raw))


def outcome(act: Callable[[], object]) -> type[CrmError] | None:
    """What kind of error an act ends with; anything that is none of ours gets out."""
    try:
        act()
    except CrmError as error:
        return type(error)
    return None


# The log. Every byte counts: the line is signed, the signature is the line's, and `prev` and the pin name both.


@HOW_MANY
def test_no_changed_commit_is_folded(scene: Company, count: int | None) -> None:
    state = State(Genesis.parse((scene.root / "genesis.json").read_bytes()), None)
    for seq, raw in log.read_from(scene.log, 1):
        before = state.to_json()
        for changed in [*(changed for _, changed in flips(raw, count and count // 6)), *cuts(raw, rb"\n|}\]|,\"")]:
            with pytest.raises(DamagedError, match=f"commit {seq} cannot be trusted"):
                state.apply(changed)
        assert state.to_json() == before
        state.apply(raw)


@HOW_MANY
def test_changed_head_is_damage_or_a_fork(used: Company, count: int | None) -> None:
    path = head_of(used)
    raw = path.read_bytes()
    for _, changed in flips(raw, count):
        path.write_bytes(changed)
        assert outcome(used.open) is RolledBackError
    for changed in cuts(raw, rb"\n"):
        path.write_bytes(changed)
        assert outcome(used.open) in (RolledBackError, DamagedError)


@HOW_MANY
def test_changed_segment_is_damage_to_who_reads_it(used: Company, count: int | None) -> None:
    path = segment(used)
    raw = path.read_bytes()
    used.forget("admin")
    for changed in [*(changed for _, changed in flips(raw, count and count // 2)), *cuts(raw, rb"\n")]:
        path.write_bytes(changed)
        assert outcome(used.open) is DamagedError


# The genesis. Every byte counts, for two signatures cover its line. One digit says whose format it is, which is asked
# first, since a later format may be signed in another way: nothing is shown either way.


@HOW_MANY
def test_changed_genesis_is_damage(scene: Company, count: int | None) -> None:
    raw = (scene.root / "genesis.json").read_bytes()
    version = raw.index(b'"format":') + len(b'"format":')
    for place, changed in flips(raw, count):
        found = outcome(lambda changed=changed: Genesis.parse(changed))  # type: ignore[misc]
        assert found is DamagedError or (place == version and found is NoStoreError), place
    for changed in cuts(raw):
        assert outcome(lambda changed=changed: Genesis.parse(changed)) is DamagedError  # type: ignore[misc]


# Parquet. Every byte counts, for the commit has the hash of the file.


@HOW_MANY
@pytest.mark.parametrize("table", ["contacts", "clients", "notes", "deals", "settings"])
def test_changed_parquet_is_damage(used: Company, table: str, count: int | None) -> None:
    reader, entry = reader_of(used.open()), used.open().state.entries(table)[-1]
    path = reader.path(entry.file_id)
    raw = path.read_bytes()
    for _, changed in flips(raw, count):
        path.write_bytes(changed)
        assert outcome(lambda: reader.read(entry)) is DamagedError
    for changed in parquet_cuts(raw):
        path.write_bytes(changed)
        assert outcome(lambda: reader.read(entry)) is DamagedError


# A member may sign the hash of a file that he broke. What AES-GCM covers is damage still. Harmless, for the rows are
# the same: the magic at the start and a flag before the footer, at which no reader looks, and bytes between the parts.


@HOW_MANY
@pytest.mark.parametrize("table", ["contacts", "clients", "deals", "settings"])
def test_broken_parquet_under_a_right_hash_is_damage(used: Company, table: str, count: int | None) -> None:
    reader, entry = reader_of(used.open()), used.open().state.entries(table)[-1]
    path = reader.path(entry.file_id)
    raw = path.read_bytes()
    right = reader.read(entry)
    harmless = []
    for changed in [*(changed for _, changed in flips(raw, count)), *parquet_cuts(raw)]:
        path.write_bytes(changed)
        signed = replace(entry, bytes=len(changed), sha256=hashlib.sha256(changed).hexdigest())
        if outcome(lambda signed=signed: reader.read(signed)) is not DamagedError:  # type: ignore[misc]
            assert reader.read(signed).equals(right)
            harmless.append(changed)
    assert len(harmless) <= 8


def reader_of(store: Store) -> Reader:
    """A reader that takes nothing for checked."""
    return Reader(store.root, store.state, store.keyring, _NothingKnown())


def parquet_cuts(raw: bytes) -> list[bytes]:
    """The file without magic, footer length, footer, pages; and with bytes behind, before and between."""
    footer = len(raw) - 8 - int.from_bytes(raw[-8:-4], "little")
    ends = {0, 1, 4, 8, 16, 32, footer - 1, footer, footer + 1, len(raw) - 8, len(raw) - 4, len(raw) - 1}
    added = [raw + b"\0", raw + b"PARE", raw + raw, raw[:4] + b"\0" + raw[4:], raw[:footer] + b"\0" + raw[footer:]]
    return [*(raw[:end] for end in ends), *added, raw[4:], raw[footer:]]


# The identity. Without a passphrase nothing guards the name, which is shown nowhere but where the member is enrolled;
# all else is the member (15), the keys, which must be those in the log (12), the stores (14), or the file's form (13).


@HOW_MANY
def test_changed_identity_is_no_other_member(used: Company, count: int | None) -> None:
    path = used.home("admin") / "identity.json"
    raw = path.read_bytes()
    right = used.identity()
    harmless = 0
    for changed in [*(changed for _, changed in flips(raw, count and count * 2)), *cuts(raw)]:
        path.write_bytes(changed)
        if outcome(used.open) not in (DamagedError, NoKeyError, RolledBackError, NotPermittedError):
            found = used.identity()
            assert replace(found, name=right.name, stores=right.stores) == right
            # A store that is gone from the list or became another was not this one.
            assert set(found.stores) & set(right.stores)
            harmless += 1
    assert harmless < len(raw) // 4


@HOW_MANY
def test_changed_sealed_identity_does_not_open(
    used: Company, count: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity_module, "_ARGON", {"memory_kib": 32, "passes": 1, "lanes": 1})
    path = used.home("admin") / "identity.json"
    save_identity(path, used.identity(), "correct horse", replacing=True)
    raw = path.read_bytes()
    assert outcome(lambda: load_identity(path, lambda: "correct horse")) is None
    for changed in [*(changed for _, changed in flips(raw, count and count * 2)), *cuts(raw)]:
        path.write_bytes(changed)
        if changed.strip() != raw.strip():
            assert outcome(lambda: load_identity(path, lambda: "correct horse")) in (DamagedError, NoKeyError)


# The cache and the pin. A cache that is not genuine is dropped and made anew: harmless. A pin that is not is damage,
# for without it an old copy of the store would be as good as the newest.


@HOW_MANY
def test_changed_cache_is_dropped(used: Company, count: int | None) -> None:
    path, memory = memory_of(used, "cache"), memory_at(used)
    raw = path.read_bytes()
    assert memory.load() is not None
    for changed in [*(changed for _, changed in flips(raw, count)), *cuts(raw, rb"\n|}\]|,\"")]:
        path.write_bytes(changed)
        assert memory.load() is None


@HOW_MANY
def test_changed_pin_is_damage(used: Company, count: int | None) -> None:
    path, memory = memory_of(used, "pin"), memory_at(used)
    raw = path.read_bytes()
    assert memory.pin() is not None
    for changed in [*(changed for _, changed in flips(raw, count)), *cuts(raw)]:
        path.write_bytes(changed)
        assert outcome(memory.pin) is DamagedError


def memory_at(company: Company) -> Memory:
    """What the admin's machine remembers, as it lies on the disk."""
    session, who = company.session(), company.identity()
    genesis = log.digest((company.root / "genesis.json").read_bytes())
    return Memory(session.cache, session.pins, genesis, who.member, who.keys.memory_key())
