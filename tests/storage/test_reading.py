"""Reading: whatever was put, changed, deleted, compacted, packed and collected, a table reads as a dict would."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from crmcli.model.ids import encode_id
from crmcli.model.records import Client, Contact
from crmcli.session import new_op_id
from crmcli.storage import log, lookup, upkeep, writing
from crmcli.storage.log import FileEntry
from crmcli.storage.reading import Reader
from crmcli.storage.store import Store
from crmcli.storage.tables import DELETED, SEQ, TABLES, Table
from tests.storage.company import NOW, Company, commit, problems

TABLE = TABLES["clients"]
COLUMNS = ["client_id", "cadence_days", "archived"]
# After every file of a test was written, by the machine's own clock.
LATER = datetime.now(UTC) + timedelta(days=1)


def client(client_id: int, days: int, archived: bool = False) -> Client:
    return Client(client_id, NOW, 1, 1, cadence_days=days, archived=archived)


def put(store: Store, book: str, kind: str, rows: pa.Table) -> int:
    pending = writing.Pending()
    pending.rows[book, "clients", kind].append(rows)
    return commit(store, pending).seq


def versions(reader: Reader, entries: Iterable[FileEntry]) -> list[tuple[int, int, bool, int | None]]:
    """Every version of every row that the files hold: key, seq, whether it is a deletion, and a value."""
    found = []
    for entry in entries:
        rows = reader.read(entry)
        names = rows.column_names
        deleted = rows.column(DELETED).to_pylist() if DELETED in names else [entry.kind == "delete"] * rows.num_rows
        values = rows.column("cadence_days").to_pylist() if "cadence_days" in names else [None] * rows.num_rows
        keys, seqs = (rows.column(name).to_pylist() for name in ("client_id", SEQ))
        found += list(zip(keys, seqs, deleted, values, strict=True))
    return sorted(found, key=str)


class Shelf(RuleBasedStateMachine):
    """The clients of the admin's book beside a dict, with everything upkeep may do in between."""

    founded: Company
    company: Company

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.company = Company(Path(shutil.copytree(self.founded.folder, Path(self.folder.name) / "company")))
        self.store = self.company.open()
        self.book = self.store.own_book
        self.model: dict[int, tuple[int, bool]] = {}
        self.history: list[tuple[int, int, bool, int | None]] = []
        self.used: set[int] = set()
        self.next = 1

    def write(self, kind: str, rows: dict[int, tuple[int, bool]]) -> None:
        records = [client(key, days, archived) for key, (days, archived) in rows.items()]
        seq = put(self.store, self.book, kind, TABLE.to_arrow(records))
        self.model |= rows
        self.history += [(key, seq, False, days) for key, (days, _) in rows.items()]

    @rule(values=st.lists(st.integers(0, 99), min_size=1, max_size=4))
    def insert(self, values: list[int]) -> None:
        self.write("insert", {self.next + at: (value, False) for at, value in enumerate(values)})
        self.next += len(values)

    @precondition(lambda self: self.next > 1)
    @rule(data=st.data(), value=st.integers(100, 199), archived=st.booleans())
    def change(self, data: st.DataObject, value: int, archived: bool) -> None:
        """Rows that are there, or that were deleted before, get a newer version."""
        keys = data.draw(st.sets(st.integers(1, self.next - 1), min_size=1, max_size=3))
        self.write("upsert", dict.fromkeys(keys, (value, archived)))

    @precondition(lambda self: bool(self.model))
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        keys = sorted(data.draw(st.sets(st.sampled_from(sorted(self.model)), min_size=1, max_size=3)))
        seq = put(self.store, self.book, "delete", pa.table({"client_id": pa.array(keys, pa.int64())}))
        for key in keys:
            del self.model[key]
        self.history += [(key, seq, True, None) for key in keys]

    def files(self, history: bool = False) -> list[FileEntry]:
        found = (entry for entry in self.store.state.entries("clients") if entry.book == self.book)
        return [entry for entry in found if (entry.kind == "history") == history]

    @rule(data=st.data())
    def compact(self, data: st.DataObject) -> None:
        """Any selection of files may be compacted, not only those that upkeep would choose."""
        history = data.draw(st.booleans())
        files = self.files(history)
        if files:
            chosen = data.draw(st.sets(st.sampled_from(range(len(files))), min_size=1))
            upkeep.compact(self.store, [files[at] for at in sorted(chosen)], new_op_id(), NOW)

    @rule()
    def compact_all(self) -> None:
        if self.files():
            upkeep.compact(self.store, self.files(), new_op_id(), NOW)
            assert {entry.kind for entry in self.files()} <= {"insert"}

    @rule()
    def keep_up(self) -> None:
        upkeep.run(self.store, new_op_id, NOW)
        assert len(self.files()) <= upkeep.MANY + 2

    @rule()
    def collect(self) -> None:
        upkeep.collect(self.store, LATER, timedelta(0))
        stored = {path.stem for path in (self.company.root / "files").glob("??/*")}
        assert stored == set(self.store.state.live)

    @rule(keep_cache=st.booleans())
    def reopen(self, keep_cache: bool) -> None:
        self.store.close()
        if not keep_cache:
            self.company.forget("admin")
        self.store = self.company.open()

    def check(self) -> None:
        rows = self.store.reader.merged("clients", COLUMNS)
        found = sorted(zip(*(rows.column(name).to_pylist() for name in COLUMNS), strict=True))
        assert found == sorted((key, days, archived) for key, (days, archived) in self.model.items())
        for key in list(self.model)[:2]:
            one = self.store.reader.merged("clients", COLUMNS, ("client_id", [key]))
            assert one.column("cadence_days").to_pylist() == [self.model[key][0]]

    def teardown(self) -> None:
        if not hasattr(self, "folder"):
            return
        try:
            self.check()
            kept = versions(self.store.reader, [*self.files(), *self.files(history=True)])
            assert kept == sorted(self.history, key=str)
            assert problems(self.company) == []
        finally:
            self.folder.cleanup()


@pytest.mark.parametrize("examples", [12, pytest.param(150, marks=pytest.mark.soak)])
def test_table_reads_as_a_dict_would(founded: Company, monkeypatch: pytest.MonkeyPatch, examples: int) -> None:
    monkeypatch.setattr(upkeep, "MANY", 4)
    monkeypatch.setattr(upkeep, "SMALL_ROWS", 2)
    monkeypatch.setattr(log, "LOOSE", 3)
    monkeypatch.setattr(log, "SEGMENT", 4)
    monkeypatch.setattr(Shelf, "founded", founded, raising=False)
    run_state_machine_as_test(
        Shelf,
        settings=settings(
            max_examples=examples,
            stateful_step_count=20,
            deadline=None,
            # Shrinking would take minutes; twenty steps are short enough to read.
            phases=[Phase.generate],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(1, 10_000), min_size=2, max_size=80))
def test_tier_takes_small_files_and_at_least_two(sizes: list[int]) -> None:
    entries = [
        FileEntry(f"{at:032}", "B", "clients", "facts", 1, "insert", rows, 1, "0", None, None, at)
        for at, rows in enumerate(sizes)
    ]
    chosen = upkeep.tier(entries)
    left = [entry for entry in entries if entry not in chosen]
    assert len(chosen) >= 2
    assert not left or max(entry.rows for entry in chosen) <= min(entry.rows for entry in left)


def test_every_row_is_rewritten_a_logarithmic_number_of_times() -> None:
    files: list[int] = []
    rewritten = 0
    for _ in range(20_000):
        files.append(1)
        if len(files) > upkeep.MANY:
            entries = [
                FileEntry(f"{at:032}", "B", "clients", "facts", 1, "insert", rows, 1, "0", None, None, at)
                for at, rows in enumerate(files)
            ]
            chosen = {int(entry.file_id) for entry in upkeep.tier(entries)}
            total = sum(files[at] for at in chosen)
            rewritten += total
            files = [rows for at, rows in enumerate(files) if at not in chosen] + [total]
    assert rewritten / 20_000 < 20


@pytest.mark.parametrize("count", [9, 21, 23, 24, 25])
def test_full_files_are_not_merged_again(company: Company, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Merged, they would be as many full files as before, and due for a compaction after every command."""
    for module in (writing, upkeep):
        monkeypatch.setattr(module, "FILE_ROWS", 8)
    monkeypatch.setattr(upkeep, "MANY", 1)
    store = company.open()
    put(store, store.own_book, "insert", TABLE.to_arrow(client(number, 1) for number in range(1, count + 1)))
    files = store.state.entries("clients")
    full = {entry.file_id for entry in files if entry.rows >= 4}
    assert len(full) == len(files) == -(-count // 8)
    for number in range(30, 36):
        put(store, store.own_book, "insert", TABLE.to_arrow([client(number, 1)]))
        upkeep.run(store, new_op_id, NOW)
    assert full < set(store.state.live)
    seq = store.state.seq
    upkeep.run(store, new_op_id, NOW)
    assert store.state.seq == seq
    assert store.reader.merged("clients", ["client_id"]).num_rows == count + 6
    assert problems(company) == []


def test_keys_of_small_files_are_read_once_on_a_machine(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    store, book = made_up(company)
    put(store, book, "insert", TABLE.to_arrow(client(number, 1) for number in range(10, 40)))
    known = [1, 2, 3, *range(10, 40)]
    assert sorted(set(store.reader.keys("clients").to_pylist())) == known
    store.close()
    opened: list[FileEntry] = []
    read = Reader.read

    def noted(self: Reader, entry: FileEntry, columns: list[str]) -> pa.Table:
        opened.append(entry)
        return read(self, entry, columns)

    monkeypatch.setattr(Reader, "read", noted)
    again = company.open()
    assert sorted(set(again.reader.keys("clients").to_pylist())) == known
    assert [entry.rows for entry in opened] == [30]
    assert lookup.short_ids(again.reader, "clients", [3])[3] == encode_id(3)


def test_a_whole_table_is_read_again_only_if_it_changed(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    store = company.open()
    reads: list[str] = []
    merged = Reader._merged

    def noted(self: Reader, table: Table, *arguments: Any, **more: Any) -> pa.Table:
        reads.append(table.name)
        return merged(self, table, *arguments, **more)

    monkeypatch.setattr(Reader, "_merged", noted)

    def days() -> list[int]:
        return sorted(store.reader.merged("clients", COLUMNS).column("cadence_days").to_pylist())

    put(store, store.own_book, "insert", TABLE.to_arrow([client(5, 50)]))
    assert days() == days() == [50]
    pending = writing.Pending()
    pending.rows[store.own_book, "contacts", "insert"].append(TABLES["contacts"].to_arrow([Contact(5, "Anna")]))
    commit(store, pending)
    assert (days(), reads.count("clients")) == ([50], 1)
    put(store, store.own_book, "upsert", TABLE.to_arrow([client(5, 60)]))
    assert (days(), reads.count("clients")) == ([60], 2)


def made_up(company: Company) -> tuple[Store, str]:
    """A store with a client in three versions, one deleted and one untouched."""
    store = company.open()
    book = store.own_book
    put(store, book, "insert", TABLE.to_arrow([client(1, 1), client(2, 1), client(3, 1)]))
    put(store, book, "upsert", TABLE.to_arrow([client(1, 2), client(2, 2)]))
    put(store, book, "upsert", TABLE.to_arrow([client(1, 3)]))
    put(store, book, "delete", pa.table({"client_id": pa.array([2], pa.int64())}))
    return store, book


def test_compaction_that_loses_a_row_is_found(company: Company) -> None:
    store, book = made_up(company)
    files = store.state.entries("clients")
    merged = upkeep.merge(store.reader, TABLE, files, whole=True)
    assert merged["insert"].column("client_id").to_pylist() == [3, 1]
    pending = writing.Pending("compact", drop=[entry.file_id for entry in files])
    pending.rows[book, "clients", "insert"].append(merged["insert"].slice(0, 1))
    pending.rows[book, "clients", "history"].append(merged["history"])
    made = commit(store, pending)
    [problem] = problems(company)
    assert f"commit {made.seq} lost or changed rows" in problem


@pytest.mark.parametrize("kind", ["insert", "history"])
def test_compaction_that_changes_or_adds_a_row_is_found(company: Company, kind: str) -> None:
    store, book = made_up(company)
    files = store.state.entries("clients")
    pending = writing.Pending("compact", drop=[entry.file_id for entry in files])
    for made, rows in upkeep.merge(store.reader, TABLE, files, whole=True).items():
        changed = pa.concat_tables([rows, rows.slice(0, 1)]) if made == kind == "history" else rows
        if made == kind == "insert":
            days = pa.array([7] * rows.num_rows, pa.int64())
            changed = rows.set_column(rows.column_names.index("cadence_days"), "cadence_days", days)
        pending.rows[book, "clients", made].append(changed)
    commit(store, pending)
    assert "lost or changed rows" in problems(company)[0]


def test_partial_compaction_that_forgets_what_it_hides_is_found(company: Company) -> None:
    """Without the first file in it, a compaction must go on hiding the rows that the first file holds."""
    store, book = made_up(company)
    files = store.state.entries("clients")[1:]
    assert upkeep.merge(store.reader, TABLE, files, whole=False)["upsert"].num_rows == 1
    pending = writing.Pending("compact", drop=[entry.file_id for entry in files])
    for kind, rows in upkeep.merge(store.reader, TABLE, files, whole=True).items():
        if rows.num_rows:
            pending.rows[book, "clients", kind].append(rows)
    commit(store, pending)
    # Client 1 is there twice now, and client 2 is back.
    assert sorted(store.reader.merged("clients", ["client_id"]).column(0).to_pylist()) == [1, 1, 2, 3]
    found = "\n".join(problems(company))
    assert "lost or changed rows" in found
    assert "has a row twice" in found


def test_compaction_in_two_steps_keeps_every_version(company: Company) -> None:
    store, _ = made_up(company)
    before = versions(store.reader, store.state.entries("clients"))
    for start in (1, 0):
        files = [entry for entry in store.state.entries("clients") if entry.kind != "history"]
        upkeep.compact(store, files[start:], new_op_id(), NOW)
        rows = store.reader.merged("clients", COLUMNS)
        assert sorted(zip(*(rows.column(n).to_pylist() for n in COLUMNS[:2]), strict=True)) == [(1, 3), (3, 1)]
    assert versions(store.reader, store.state.entries("clients")) == before
    assert problems(company) == []


def test_compaction_gives_way_to_who_was_faster(company: Company) -> None:
    slow, _ = made_up(company)
    fast = company.open()
    assert upkeep.compact(fast, fast.state.entries("clients"), new_op_id(), NOW)
    head = fast.state.seq
    assert upkeep.compact(slow, slow.state.entries("clients")[:3], new_op_id(), NOW) is None
    assert company.open().state.seq == head
    assert problems(company) == []


def test_rows_added_during_a_compaction_stay(company: Company) -> None:
    slow, book = made_up(company)
    other = company.open()
    put(other, book, "insert", TABLE.to_arrow([client(9, 1)]))
    assert upkeep.compact(slow, slow.state.entries("clients"), new_op_id(), NOW)
    rows = company.open().reader.merged("clients", COLUMNS)
    assert sorted(zip(*(rows.column(n).to_pylist() for n in COLUMNS[:2]), strict=True)) == [(1, 3), (3, 1), (9, 1)]
    assert problems(company) == []


def test_collection_spares_what_is_young(company: Company) -> None:
    store, _ = made_up(company)
    orphan = company.root / "files/00" / ("0" * 32 + ".parquet")
    orphan.write_bytes(b"orphan")
    upkeep.compact(store, store.state.entries("clients"), new_op_id(), NOW)
    count = len(list((company.root / "files").glob("??/*")))
    assert upkeep.collect(store, NOW) == 0
    assert len(list((company.root / "files").glob("??/*"))) == count
    # An hour on the machine's own clock is enough for none of them, whatever the log says.
    now = datetime.now(UTC)
    assert upkeep.collect(store, now, timedelta(hours=1)) == 0
    os.utime(orphan, (0, 0))
    assert upkeep.collect(store, now, timedelta(hours=1)) == 1
    assert not orphan.exists()
    assert problems(company) == []


def test_records_survive_the_disk_in_bulk(company: Company) -> None:
    """Above a thousand rows a file is sorted, compressed and has dictionaries; ids find their row groups."""
    store = company.open()
    records = [replace(client(key, key % 97), source="web" if key % 2 else None) for key in range(1, 70_001)]
    put(store, store.own_book, "insert", TABLE.to_arrow(reversed(records)))
    found = company.view().records("clients")
    assert found == records
    assert company.view().records("clients", "client_id", [5, 69_999]) == [records[4], records[69_998]]
    assert problems(company) == []
