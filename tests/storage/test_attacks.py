"""What a folder writer without a key, or a member with one, may try: links, huge files, rows in others' names."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from crmcli.model import records as r
from crmcli.session import new_op_id
from crmcli.storage import parquet
from crmcli.storage.tables import TABLES
from crmcli.storage.view import Draft
from tests.storage.company import NOW, Company, problems

DAMAGED = 13


def put(company: Company, who: str, *records: r.Record) -> None:
    """Commit records as a member does, whatever they say."""
    store = company.open(who)
    draft = Draft(store)
    draft._books = dict.fromkeys((record.client_id for record in records), store.own_book)  # type: ignore[union-attr]
    draft.put(*records)
    store.commit(draft.finish(), draft.base, new_op_id(), NOW)
    store.close()


@pytest.mark.parametrize("place", ["tmp", "files/ab"])
def test_gc_removes_nothing_through_a_link(company: Company, tmp_path: Path, place: str) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    for name in ("letter.txt", "ab" + "0" * 30 + ".parquet"):
        (victim / name).write_text("precious")
        os.utime(victim / name, (0, 0))
    folder = company.root / place
    for path in folder.iterdir():
        path.rename(company.root / "inbox" / path.name)
    folder.rmdir()
    folder.symlink_to(victim)
    assert company.run("gc").code == DAMAGED
    assert len(list(victim.iterdir())) == 2


def test_gc_follows_no_name_that_is_none_of_the_store_s(company: Company, tmp_path: Path) -> None:
    letter = tmp_path / ("ab" + "0" * 30 + ".parquet")
    letter.write_text("precious")
    os.utime(letter, (0, 0))
    (company.root / "files/zz").symlink_to(tmp_path)
    assert company.run("gc").code == 0
    assert letter.exists()


def test_client_that_somebody_put_into_two_books_is_not_written_to(company: Company) -> None:
    assert company.crmcli("add-client", "Boris", who="colleague").code == 0
    [client] = company.view("colleague").records("clients")
    put(company, "manager", r.Client(client.client_id, NOW, 1, 1))
    assert company.run("log-call", "Boris", "out", "--said", "secret").code == DAMAGED
    assert any("in two books" in problem for problem in problems(company))


def test_rows_about_anothers_client_are_found(company: Company) -> None:
    assert company.crmcli("add-client", "Boris", who="colleague").code == 0
    [client] = company.view("colleague").records("clients")
    put(company, "manager", r.Sale(5, client.client_id, NOW, Decimal(-1000), 1))
    assert any("not in that book" in problem for problem in problems(company))


@pytest.mark.parametrize(
    ("table", "column", "cells"),
    [
        ("clients", "created_at", pa.array([datetime(9999, 12, 31, 23)], pa.timestamp("us"))),  # noqa: DTZ001
        ("clients", "buy_by", pa.array([2**31 - 1], pa.int32()).view(pa.date32())),
        ("clients", "created_at", pa.array([None], pa.timestamp("us"))),
        ("clients", "source", pa.array([b"\xff\xfe"], pa.binary()).view(pa.string())),
        ("clients", "owner_id", pa.array(["one"], pa.string())),
        ("clients", "client_id", pa.array([None], pa.int64())),
    ],
)
def test_rows_that_no_calendar_or_text_has_are_damage(
    company: Company, table: str, column: str, cells: pa.Array
) -> None:
    rows = TABLES[table].to_arrow([r.Client(7, NOW, 1, 1)])
    rows = rows.set_column(rows.column_names.index(column), column, cells)
    book = company.book("manager")
    company.append("manager", add=(company.seal("manager", book, table, "insert", rows),))
    for arguments in (("list", table), ("verify",)):
        result = company.run(*arguments)
        assert (result.code, "Traceback" in result.err) == (DAMAGED, False), result


def test_small_file_that_unpacks_hugely_is_refused(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = TABLES["contacts"].to_arrow(r.Contact(number, "x" * 100_000) for number in range(1, 2001))
    monkeypatch.setattr(parquet, "UNPACKED", 1 << 40)
    sealed = company.seal("manager", company.book("manager"), "contacts", "insert", rows)
    assert sealed.bytes < 1 << 20
    company.append("manager", add=(sealed,))
    assert company.run("find", "x").code == DAMAGED


def test_what_a_writer_packs_a_reader_takes(company: Company) -> None:
    contacts = [r.Contact(number, "x" * 100_000) for number in range(1, 1201)]
    put(company, "manager", *(r.Client(contact.client_id, NOW, 1, 1) for contact in contacts), *contacts)
    assert company.open("manager").reader.merged("contacts", ["name"]).num_rows == 1200
    assert problems(company) == []


@pytest.mark.parametrize("what", ["parquet", "segment"])
def test_huge_file_is_refused_at_once(company: Company, what: str) -> None:
    assert company.crmcli("add-client", "Anna").code == 0
    path = company.log / f"{1:020}-{1000:020}.jsonl"
    if what == "parquet":
        path = max((company.root / "files").rglob("*.parquet"), key=lambda file: file.stat().st_mtime)
    with path.open("ab") as file:
        file.truncate(3 << 30)
    # A small process in between, for a child is charged with the memory of who started it.
    measure = "import resource, subprocess, sys; code = subprocess.run(sys.argv[1:]).returncode; "
    measure += "print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    start = time.monotonic()
    result = subprocess.run(
        [sys.executable, "-c", measure, sys.executable, "-m", "crmcli", "verify"],
        env=os.environ | company.environment("admin"),
        capture_output=True,
        text=True,
        check=True,
    )
    code, most_kib = map(int, result.stdout.split()[-2:])
    assert (code, result.stderr.count("\n")) == (DAMAGED, 2)
    assert time.monotonic() - start < 10
    assert most_kib < 300 * 1024


def test_operation_of_a_forged_commit_is_not_believed(company: Company) -> None:
    assert company.crmcli("add-client", "Anna").code == 0
    forged = company.log / f"{2:020}.json"
    raw = forged.read_bytes()
    at = raw.index(b'"op_id":"') + 9
    forged.write_bytes(raw[:at] + b"a" * 32 + raw[at + 32 :])
    assert company.run("--op-id", "a" * 32, "add-client", "Boris").code == DAMAGED


def test_missing_commit_is_noticed_although_it_was_seen_before(company: Company) -> None:
    assert company.crmcli("add-client", "Anna").code == 0
    (company.log / f"{5:020}.json").unlink()
    assert company.run("list", "clients").code == DAMAGED
    assert company.run("add-client", "Boris").code == DAMAGED


@pytest.mark.parametrize("name", ["log", "files", "lock"])
def test_store_without_its_parts_is_damaged(company: Company, name: str) -> None:
    (company.root / name).rename(company.folder / name)
    assert company.run("list", "clients").code == DAMAGED
    (company.root / name).symlink_to(company.folder / name)
    assert company.run("list", "clients").code == DAMAGED


def test_later_program_of_a_stranger_is_damage(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    from crmcli.storage import upgrade

    with monkeypatch.context() as future:
        future.setattr(upgrade, "SCHEMA", 2)
        company.append("leaver", schema=2, at=datetime(2027, 1, 1, tzinfo=UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    assert company.run("list", "clients").code == DAMAGED
