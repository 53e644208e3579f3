"""The log: a parser that trusts nothing, segments, and readers that race with packing."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from crmcli.errors import CrmError, DamagedError, NoKeyError, NoStoreError, RolledBackError
from crmcli.storage import files, log
from crmcli.storage.genesis import Genesis
from crmcli.storage.identity import Identity, load_identity
from crmcli.storage.log import Commit, parse_json, read_from, split_lines
from tests.storage.company import Company, problems

ENTRY = {
    "file_id": "0" * 32,
    "book": "0123456789AB",
    "table": "clients",
    "group": "facts",
    "epoch": 1,
    "kind": "insert",
    "rows": 1,
    "bytes": 10,
    "sha256": "0" * 64,
    "min": None,
    "max": "2026-03-02T09:00:00.000000Z",
}
COMMIT = {
    "store": "0" * 32,
    "seq": 1,
    "prev": "0" * 64,
    "op_id": "0" * 32,
    "author": "0123456789AB",
    "at": "2026-03-02T09:00:00.000000Z",
    "type": "data",
    "schema": 1,
    "add": [ENTRY],
    "drop": ["1" * 32],
}


def line(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def commit_with(**changes: Any) -> bytes:
    return line(COMMIT | changes)


def entry_with(**changes: Any) -> bytes:
    return commit_with(add=[ENTRY | changes])


def is_refused(parse: Callable[[bytes], object], raw: bytes) -> bool:
    try:
        parse(raw)
    except ValueError:
        return True
    return False


def test_commit_is_parsed_and_sealed_alike() -> None:
    commit = Commit.parse(line(COMMIT))
    keys = Identity.new("x").keys
    written, signatures = split_lines(commit.sealed(keys), 1)
    assert written == line(COMMIT)
    assert keys.public.verify(log.COMMIT_LABEL, written, signatures[0])
    assert not keys.public.verify(log.GENESIS_LABEL, written, signatures[0])


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{}",
        b"1",
        b"null",
        b"\xff" + line(COMMIT),
        b"\xef\xbb\xbf" + line(COMMIT),
        line(COMMIT) + b"{}",
        line(COMMIT)[:-1],
        line(COMMIT).replace(b'"seq":1', b'"seq":1,"seq":1'),
        line(COMMIT).replace(b'"rows":1', b'"rows":1,"rows":2'),
        line(COMMIT | {"extra": 1}),
        line({name: cell for name, cell in COMMIT.items() if name != "drop"}),
        line(dict(reversed(COMMIT.items()))),
        line(COMMIT | {"type": "members"}),
        line(COMMIT | {"members": []}),
        commit_with(seq=1.0),
        commit_with(seq=True),
        commit_with(seq=0),
        commit_with(seq=-1),
        commit_with(seq=2**53),
        commit_with(seq=2**60),
        commit_with(seq=10**4000),
        commit_with(seq="1"),
        commit_with(seq=None),
        line(COMMIT).replace(b'"seq":1', b'"seq":1e0'),
        line(COMMIT).replace(b'"seq":1', b'"seq":NaN'),
        line(COMMIT).replace(b'"seq":1', b'"seq":Infinity'),
        line(COMMIT).replace(b'"seq":1', b'"seq":-Infinity'),
        commit_with(schema=0),
        commit_with(type="unknown"),
        commit_with(type=["data"]),
        commit_with(at="2026-03-02T09:00:00Z"),
        commit_with(at="2026-03-02T09:00:00.000000Z\n"),
        commit_with(at="２０２６-03-02T09:00:00.000000Z"),
        commit_with(at="2026-13-02T09:00:00.000000Z"),
        commit_with(at="2026-02-30T09:00:00.000000Z"),
        commit_with(at="2026-03-02T24:00:00.000000Z"),
        commit_with(at="0000-03-02T09:00:00.000000Z"),
        commit_with(author="0123456789A"),
        commit_with(author="0123456789AI"),
        commit_with(op_id="A" * 32),
        commit_with(store="0" * 31),
        commit_with(prev="0" * 65),
        commit_with(drop="0" * 32),
        commit_with(drop=[1]),
        commit_with(drop=["../../../../etc/passwd"]),
        commit_with(add={}),
        commit_with(add=[[]]),
        commit_with(add=[ENTRY | {"more": 1}]),
        commit_with(add=[dict(reversed(ENTRY.items()))]),
        entry_with(file_id="../" + "0" * 29),
        entry_with(file_id="0" * 32 + "\n"),
        entry_with(group="secret"),
        entry_with(group=[]),
        entry_with(kind="replace"),
        entry_with(table="Clients"),
        entry_with(table="x" * 33),
        entry_with(rows=-1),
        entry_with(rows=False),
        entry_with(epoch=0),
        entry_with(bytes=2**53),
        entry_with(sha256=""),
        entry_with(min="yesterday"),
        entry_with(max=0),
    ],
)
def test_malformed_commit_is_refused(raw: bytes) -> None:
    assert is_refused(Commit.parse, raw)


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_deep_nesting_is_refused(opening: bytes) -> None:
    assert is_refused(parse_json, opening * 200_000)


def test_largest_integer_is_below_2_to_53() -> None:
    assert parse_json(b"[%d,-%d]" % (2**53 - 1, 2**53 - 1)) == [2**53 - 1, 1 - 2**53]


def test_newer_schema_is_not_called_damage() -> None:
    with pytest.raises(NoStoreError, match="newer"):
        Commit.parse(commit_with(schema=2))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"{}\n",
        b"{}\n\n",
        b"{}\n" + b"0" * 128,
        b"{}\n" + b"0" * 127 + b"\n",
        b"{}\n" + b"G" * 128 + b"\n",
        b"{}\n" + b"A" * 128 + b"\n",
        b"{}\n" + b"0" * 128 + b"\n" + b"0" * 128 + b"\n",
        b"{}\n" + b"0" * 128 + b"\n{}",
        b"{}\n" + b"0" * 128 + b"\n\n",
        b"{}\r\n" + b"0" * 128 + b"\r\n",
    ],
)
def test_signature_line_is_exact(raw: bytes) -> None:
    assert is_refused(lambda raw: split_lines(raw, 1), raw)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["give", "0" * 32]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@given(st.binary(max_size=300) | json_values.map(line) | st.text().map(str.encode))
def test_any_bytes_are_parsed_or_refused(raw: bytes) -> None:
    for parse in (parse_json, Commit.parse, lambda raw: split_lines(raw, 1)):
        try:
            parse(raw)
        except (ValueError, NoStoreError):
            continue
    with pytest.raises(DamagedError):
        Genesis.parse(raw)


@given(st.sampled_from(sorted(COMMIT)), json_values)
def test_any_field_of_a_commit_is_parsed_or_refused(name: str, cell: Any) -> None:
    try:
        Commit.parse(commit_with(**{name: cell}))
    except (ValueError, NoStoreError):
        return


@given(st.sampled_from(sorted(ENTRY)), json_values)
def test_any_field_of_an_entry_is_parsed_or_refused(name: str, cell: Any) -> None:
    try:
        Commit.parse(entry_with(**{name: cell}))
    except ValueError:
        return


@given(st.data())
def test_changed_genesis_is_refused(founded: Company, data: st.DataObject) -> None:
    raw = (founded.root / "genesis.json").read_bytes()
    assert Genesis.parse(raw).hash == log.digest(raw)
    place = data.draw(st.integers(0, len(raw) - 1))
    changed = bytes([raw[place] ^ data.draw(st.integers(1, 255))])
    with pytest.raises(DamagedError):
        Genesis.parse(raw[:place] + changed + raw[place + 1 :])
    with pytest.raises(DamagedError):
        Genesis.parse(raw[:place])
    document = json.loads(raw.split(b"\n")[0])
    name = data.draw(st.sampled_from(sorted(document)))
    if isinstance(document[name], dict) and data.draw(st.booleans()):
        document[name][data.draw(st.sampled_from(sorted(document[name])))] = data.draw(json_values)
    else:
        document[name] = data.draw(json_values)
    mutant = line(document) + raw[raw.index(b"\n") :]
    assume(mutant != raw)
    # One of a later format is refused before its signatures, whose form nobody knows yet.
    with pytest.raises((DamagedError, NoStoreError)):
        Genesis.parse(mutant)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_identity_file_is_read_or_refused(founded: Company, tmp_path: Path, data: st.DataObject) -> None:
    raw = (founded.home("admin") / "identity.json").read_bytes()
    document = json.loads(raw)
    name = data.draw(st.sampled_from(sorted(document)))
    mutant = data.draw(
        st.binary(max_size=100)
        | json_values.map(line)
        | json_values.map(lambda cell: line(document | {name: cell}))
        | json_values.map(lambda cell: line(document | {"argon2id": {"salt": cell, "memory_kib": 8, "passes": cell}}))
        | st.integers(0, len(raw)).map(lambda end: raw[:end])
    )
    path = tmp_path / "identity.json"
    path.write_bytes(mutant)
    try:
        load_identity(path, lambda: "wrong")
    except (DamagedError, NoKeyError):
        return


def test_commit_over_a_mebibyte_is_refused(company: Company) -> None:
    seq = company.open().state.seq + 1
    (company.log / log.loose_name(seq)).write_bytes(b" " * (log.MAX_COMMIT + 1))
    result = company.crmcli("add-client", "Anna")
    assert result.code == 13, result


# Segments.


def pack(company: Company, monkeypatch: pytest.MonkeyPatch, keep: int = 2, size: int = 3) -> int:
    monkeypatch.setattr(log, "LOOSE", keep)
    monkeypatch.setattr(log, "SEGMENT", size)
    store = company.open()
    with store.lock():
        return log.pack(company.log, 0o600)


def test_packed_log_reads_as_the_loose_one(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    before = list(read_from(company.log, 1))
    packed = pack(company, monkeypatch)
    loose, segments = log.listing(company.log)
    assert packed == 3 * len(segments) > 3
    assert 2 <= len(loose) < 2 + 3
    for first in range(1, len(before) + 2):
        assert list(read_from(company.log, first)) == before[first - 1 :]
    assert company.crmcli("add-client", "Anna").code == 0
    company.forget("admin")
    assert company.names() == ["Anna"]
    assert problems(company) == []


def test_packing_resumes_where_it_was_cut_off(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    before = list(read_from(company.log, 1))
    first = {seq: (company.log / log.loose_name(seq)).read_bytes() for seq in (1, 2, 3)}
    pack(company, monkeypatch)
    # The segment was written, but its loose files were still there; another was being written.
    for seq, raw in first.items():
        (company.log / log.loose_name(seq)).write_bytes(raw)
    (company.root / "tmp" / log.segment_name(4, 6)).write_bytes(b"half")
    assert list(read_from(company.log, 1)) == before
    pack(company, monkeypatch, keep=0)
    assert list(read_from(company.log, 1)) == before
    assert not (company.log / log.loose_name(1)).exists()


def test_gap_is_not_packed(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    store = company.open()
    (company.log / log.loose_name(2)).unlink()
    monkeypatch.setattr(log, "LOOSE", 2)
    monkeypatch.setattr(log, "SEGMENT", 3)
    left = sorted(company.log.iterdir())
    with store.lock(), pytest.raises(DamagedError):
        log.pack(company.log, 0o600)
    assert sorted(company.log.iterdir()) == left


def test_reader_that_races_with_packing_sees_every_commit(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = company.folder / "log"
    folder.mkdir()
    (company.folder / "tmp").mkdir(exist_ok=True)
    raws = [b"%d\n%s\n" % (seq, b"0" * 128) for seq in range(1, 601)]
    for seq, raw in enumerate(raws, 1):
        (folder / log.loose_name(seq)).write_bytes(raw)
    monkeypatch.setattr(log, "LOOSE", 50)
    done = threading.Event()
    failures: list[BaseException] = []

    def read() -> None:
        while not done.is_set():
            try:
                assert [raw for _, raw in read_from(folder, 1)] == raws
            except BaseException as error:  # noqa: BLE001 - told to the test
                failures.append(error)
                return

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for kept in range(600, 50, -25):
        monkeypatch.setattr(log, "LOOSE", kept)
        monkeypatch.setattr(log, "SEGMENT", 25)
        log.pack(folder, 0o600)
    done.set()
    for reader in readers:
        reader.join()
    assert failures == []
    assert [raw for _, raw in read_from(folder, 1)] == raws
    assert len(log.listing(folder)[1]) > 10


def test_reader_looks_again_for_a_commit_that_was_packed_meanwhile(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = list(read_from(company.log, 1))
    reading = read_from(company.log, 1)
    got = [next(reading)]
    # The reader has listed all commits as loose files by now.
    pack(company, monkeypatch)
    assert [*got, *reading] == expected


# What is missing.


def test_missing_commit_in_the_middle_is_damage(company: Company) -> None:
    (company.log / log.loose_name(3)).unlink()
    company.forget("manager")
    with pytest.raises(DamagedError, match="commit 3 is missing"):
        company.open("manager")
    assert company.crmcli("verify").code == 13


def test_missing_head_is_a_rollback_for_who_has_seen_it(company: Company) -> None:
    company.open().close()
    company.open("manager").close()
    head = company.open().state.seq
    (company.log / log.loose_name(head)).unlink()
    for who in ("admin", "manager"):
        with pytest.raises(RolledBackError):
            company.open(who)
    # Without the cache the pin alone tells.
    for path in (company.home("manager") / "cache/crmcli").iterdir():
        path.unlink()
    with pytest.raises(RolledBackError):
        company.open("manager")
    company.forget("manager")
    assert company.open("manager").state.seq == head - 1


def test_file_of_another_kind_in_the_log_is_not_waited_for(company: Company) -> None:
    head = company.open().state.seq
    (company.log / "README").write_text("not a commit")
    assert company.open().state.seq == head
    (company.log / log.loose_name(head + 5)).write_bytes(b"")
    with pytest.raises(DamagedError, match=f"commit {head + 1} is missing"):
        company.open()


def test_lock_is_free_again_when_its_holder_is_gone(company: Company) -> None:
    lock = company.root / "lock"
    with files.locked(lock, 1), pytest.raises(CrmError) as caught, files.locked(lock, 0.01):
        pass
    assert caught.value.exit_code == 11
    with files.locked(company.root / "lock", 0):
        pass
