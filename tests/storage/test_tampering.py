"""Whatever is changed on the disk is found, named, and never waited for; what is shown is right or is not shown."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crmcli.errors import CrmError
from crmcli.storage import log
from crmcli.storage.identity import Identity
from crmcli.storage.layout import file_path
from crmcli.storage.tables import TABLES
from tests.storage.company import Company, problems

DAMAGED, ROLLED_BACK, NO_KEY, NO_STORE = 13, 14, 12, 10
SAMPLES = 10


@pytest.fixture
def used(company: Company) -> Company:
    """A company with a few clients, packed commits, and a machine that knows it all."""
    for name in ("Anna", "Boris", "Vera"):
        assert company.crmcli("add-client", name, "--note", f"about {name}").code == 0
    log_constants = log.LOOSE, log.SEGMENT
    try:
        log.LOOSE, log.SEGMENT = 4, 5
        log.pack(company.log, 0o600)
    finally:
        log.LOOSE, log.SEGMENT = log_constants
    assert problems(company) == []
    return company


def file_of(company: Company, table: str) -> Path:
    entry = company.open().state.entries(table)[0]
    return company.root / file_path(entry.file_id)


def mutations(raw: bytes, seed: int) -> list[bytes]:
    """The file with one byte flipped at sampled places, and cut at some."""
    chosen = random.Random(seed)
    places = {0, len(raw) - 1, *(chosen.randrange(len(raw)) for _ in range(SAMPLES))}
    flipped = [raw[:at] + bytes([raw[at] ^ (1 << chosen.randrange(8))]) + raw[at + 1 :] for at in sorted(places)]
    cut = [raw[:at] for at in (0, 1, len(raw) // 2, len(raw) - 1)]
    return [*flipped, *cut, raw + b"\n", b"\0" * len(raw)]


def each_mutation(path: Path, seed: int = 1) -> Iterator[bytes]:
    """Leave the file changed in one way after the other."""
    for changed in mutations(path.read_bytes(), seed):
        path.write_bytes(changed)
        yield changed


def seen(company: Company) -> list[str] | int:
    """The names of the clients, or the exit code of who wanted to see them."""
    try:
        return company.names()
    except CrmError as error:
        return error.exit_code


RIGHT = ["Anna", "Boris", "Vera"]


@pytest.mark.parametrize("table", ["contacts", "clients", "notes", "settings"])
def test_changed_parquet_file_is_named(used: Company, table: str) -> None:
    path = file_of(used, table)
    name = str(path.relative_to(used.root))
    for _ in each_mutation(path):
        found = problems(used)
        assert len(found) == 1
        assert name in found[0]
        if table == "contacts":
            assert seen(used) == DAMAGED
    result = used.crmcli("verify")
    assert result.code == DAMAGED
    assert name in result.err


@pytest.mark.parametrize("is_known", [True, False], ids=["seen before", "new machine"])
def test_changed_commit_is_named(used: Company, is_known: bool) -> None:
    head = used.open().state.seq
    path = used.log / log.loose_name(head)
    raw = path.read_bytes()
    for changed in mutations(raw, 2):
        path.write_bytes(changed)
        if not is_known:
            used.forget("admin")
        assert seen(used) in (DAMAGED, ROLLED_BACK)
        result = used.crmcli("verify")
        assert result.code in (DAMAGED, ROLLED_BACK)
        assert str(head) in result.err
    path.write_bytes(raw)
    assert seen(used) == RIGHT


def test_changed_segment_is_found_by_verify_and_by_a_new_machine(used: Company) -> None:
    path = min(used.log.glob("*.jsonl"))
    for _ in each_mutation(path, 3):
        # Who has verified these commits before does not read them again, and sees the right rows.
        assert seen(used) in (RIGHT, DAMAGED)
        found = problems(used)
        assert len(found) == 1
        assert "commit" in found[0]
    used.forget("admin")
    assert seen(used) == DAMAGED


def test_changed_genesis_is_damage(used: Company) -> None:
    for _ in each_mutation(used.root / "genesis.json", 4):
        assert seen(used) == DAMAGED
        assert used.crmcli("verify").code == DAMAGED


def test_changed_identity_signs_and_shows_nothing(used: Company) -> None:
    path = used.home("admin") / "identity.json"
    head = used.open().state.seq
    for _ in each_mutation(path, 5):
        assert seen(used) in (RIGHT, NO_KEY, DAMAGED, ROLLED_BACK)
    # Whatever part of the keys changed, none of it reaches the log, on a new machine either.
    identity = used.identity("manager")
    for place in (0, 31, 32, 63, 97, 127):
        seed = bytearray(identity.keys.seed)
        seed[place] ^= 4
        from dataclasses import replace

        from crmcli.storage.identity import save_identity
        from crmcli.storage.keys import KeyPair

        changed = replace(identity, keys=KeyPair(bytes(seed)))
        save_identity(used.home("manager") / "identity.json", changed, None, replacing=True)
        for _ in range(2):
            assert used.crmcli("add-client", "Nobody", who="manager").code == NO_KEY
            used.forget("manager")
    shutil.rmtree(used.home("admin"))
    used.forget("colleague")
    state = used.open("colleague").state
    assert state.seq == head


def test_damaged_cache_is_ignored(used: Company) -> None:
    used.open().close()
    [path] = (used.home("admin") / "cache/crmcli").iterdir()
    for _ in each_mutation(path, 6):
        assert seen(used) == RIGHT
    path.unlink()
    path.mkdir()
    assert seen(used) == RIGHT


def test_damaged_pin_is_damage(used: Company) -> None:
    [path] = (used.home("admin") / "state/crmcli").iterdir()
    for _ in each_mutation(path, 7):
        assert seen(used) == DAMAGED
    path.unlink()
    assert seen(used) == RIGHT


def test_other_file_in_a_file_s_place_is_damage(used: Company) -> None:
    paths = [used.root / file_path(entry.file_id) for entry in used.open().state.entries("contacts")]
    first, second = (path.read_bytes() for path in paths[:2])
    paths[0].write_bytes(second)
    paths[1].write_bytes(first)
    assert seen(used) == DAMAGED
    found = problems(used)
    assert [path.name in problem for path, problem in zip(sorted(paths[:2]), sorted(found), strict=True)] == [True] * 2


@pytest.mark.parametrize("table", ["contacts", "clients"])
def test_file_of_another_book_or_table_does_not_open(used: Company, table: str) -> None:
    """A member's own commit that names the bytes of another place is well signed, but the key and place differ."""
    assert used.crmcli("add-client", "Gleb", who="manager").code == 0
    content = file_of(used, "contacts").read_bytes()
    made = used.place(content, used.book("manager"), table)
    used.append("manager", add=(made,))
    for who in ("admin", "manager"):
        with pytest.raises(CrmError) as caught:
            used.view(who).records(table)
        assert caught.value.exit_code == DAMAGED
        assert made.file_id in caught.value.message
    assert made.file_id in problems(used)[0]


def plain(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink)
    return bytes(sink.getvalue())


def test_plaintext_file_is_not_read(used: Company) -> None:
    table = TABLES["contacts"]
    rows = table.to_arrow([table.record(1, "Mallory")])
    made = used.place(plain(rows), used.book("manager"), "contacts")
    used.append("manager", add=(made,))
    assert seen(used) == DAMAGED
    assert made.file_id in problems(used)[0]
    assert used.crmcli("verify").code == DAMAGED


@pytest.mark.parametrize("columns", [["client_id"], ["name"], ["client_id", "name", "nonsense"]])
def test_file_of_other_columns_is_damage_not_a_crash(used: Company, columns: list[str]) -> None:
    """A manager can encrypt anything into the own book; who else opens the book must be told which file it is."""
    table = TABLES["contacts"]
    rows = table.to_arrow([table.record(1, "Mallory")])
    rows = pa.table({name: rows.column(name) if name in rows.column_names else pa.array([1]) for name in columns})
    made = used.seal("manager", used.book("manager"), "contacts", "insert", rows)
    used.append("manager", add=(made,))
    result = used.crmcli("find", "Anna")
    assert result.code == DAMAGED
    assert made.file_id in result.err
    assert made.file_id in problems(used)[0]


def test_file_without_the_rows_that_were_signed_is_damage(used: Company) -> None:
    from dataclasses import replace

    table = TABLES["contacts"]
    made = used.seal("manager", used.book("manager"), "contacts", "insert", table.to_arrow([table.record(1, "M")]))
    used.append("manager", add=(replace(made, rows=2),))
    assert made.file_id in problems(used)[0]


def test_old_copy_put_back_is_a_rollback(used: Company) -> None:
    old = used.folder / "old"
    shutil.copytree(used.root, old)
    assert used.crmcli("add-client", "Gleb").code == 0
    shutil.rmtree(used.root)
    shutil.copytree(old, used.root)
    for command in (["verify"], ["find", "Anna"], ["add-client", "Dina"]):
        result = used.crmcli(*command)
        assert result.code == ROLLED_BACK, result
    # A fork that has grown past the pinned commit is one too.
    for name in ("one", "two", "three"):
        assert used.crmcli("add-client", name, who="manager").code == 0
    assert used.crmcli("find", "Anna").code == ROLLED_BACK
    # Also without the cache.
    shutil.rmtree(used.home("admin") / "cache")
    assert used.crmcli("find", "Anna").code == ROLLED_BACK


def test_edited_or_foreign_commit_is_refused(used: Company) -> None:
    head = used.open().state.seq
    path = used.log / log.loose_name(head)
    raw = path.read_bytes()
    line = raw.split(b"\n")[0]
    document = json.loads(line)
    stranger = Identity.new("stranger")
    edited = log.signed_lines(document | {"add": []}, (stranger.keys,), log.COMMIT_LABEL)
    same = log.signed_lines(document, (stranger.keys,), log.COMMIT_LABEL)
    other_label = log.signed_lines(document, (used.identity().keys,), log.GENESIS_LABEL)
    for forged in (edited, same, other_label, edited.split(b"\n")[0] + b"\n" + raw.split(b"\n")[1] + b"\n"):
        path.write_bytes(forged)
        used.forget("manager")
        for who in ("admin", "manager"):
            result = used.crmcli("verify", who=who)
            assert result.code in (DAMAGED, ROLLED_BACK), (who, result)
        assert f"commit {head} cannot be trusted" in used.crmcli("find", "x", who="manager").err


def test_stranger_s_store_is_not_opened(used: Company, tmp_path: Path) -> None:
    from tests.storage.company import make_company

    other = make_company(tmp_path / "other")
    shutil.rmtree(used.root)
    shutil.copytree(other.root, used.root)
    assert seen(used) == ROLLED_BACK


def obstacles(path: Path, kind: str) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "link":
            path.symlink_to("/dev/zero")
        case "loop":
            path.symlink_to(path)
        case "nothing":
            pass


@pytest.mark.parametrize("kind", ["pipe", "folder", "link", "loop", "nothing"])
@pytest.mark.parametrize("what", ["commit", "segment", "parquet", "genesis"])
def test_what_is_no_file_is_damage_and_not_waited_for(used: Company, what: str, kind: str) -> None:
    head = used.open().state.seq
    path = {
        "commit": used.log / log.loose_name(head),
        "segment": next(used.log.glob("*.jsonl")),
        "parquet": file_of(used, "contacts"),
        "genesis": used.root / "genesis.json",
    }[what]
    obstacles(path, kind)
    expected = {DAMAGED}
    if kind == "nothing":
        expected = {"commit": {ROLLED_BACK}, "genesis": {NO_STORE}}.get(what, expected)
    # A process of its own where there is something to wait for.
    run = used.run if kind in ("pipe", "link") else used.crmcli
    result = run("verify")
    assert result.code in expected, result
    if what != "segment":
        result = run("find", "Anna")
        assert result.code in expected, result


@pytest.mark.parametrize("what", ["log", "files", "files/ab", "lock", "tmp"])
def test_folder_that_is_a_file_is_told_in_two_lines(used: Company, what: str) -> None:
    path = used.root / what
    obstacles(path, "nothing")
    path.symlink_to("/dev/zero")
    for command in (["verify"], ["add-client", "Gleb"]):
        result = used.run(*command)
        assert "unforeseen" not in result.err, result
        assert result.err.count("crmcli: ") <= 2


def test_what_a_run_told_is_remembered_though_it_was_killed_then(company: Company, tmp_path: Path) -> None:
    shutil.copytree(company.root, tmp_path / "old")
    with company.start("add-client", "Told", stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        assert run.stdout.readline()
        run.kill()
    shutil.rmtree(company.root)
    shutil.copytree(tmp_path / "old", company.root)
    assert company.crmcli("list", "clients").code == 14
