"""Verification: every signature, link, hash, right and row of a store, from its first byte, trusting no memory."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa

from crmcli.errors import CrmError, DamagedError, OvertakenError
from crmcli.storage import files, log, parquet, upkeep
from crmcli.storage import kernels as pc
from crmcli.storage.keyring import Keyring
from crmcli.storage.layout import file_path
from crmcli.storage.memory import Memory
from crmcli.storage.reading import Reader, newest_versions
from crmcli.storage.state import State
from crmcli.storage.tables import FACTS, PERSONAL, SEQ, TABLES, Table
from crmcli.storage.untruth import untrue
from crmcli.storage.writing import bounds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crmcli.storage.log import Commit, FileEntry
    from crmcli.storage.store import Store


@dataclass
class Findings:
    """What a verification counted and what it found wrong, a line each.

    `head` is the hash of the last commit that counted; `hint` says what helps against the first problem.
    """

    commits: int = 0
    head: str = ""
    files: int = 0
    opened: int = 0
    rows: int = 0
    compactions: int = 0
    problems: list[str] = field(default_factory=list)
    hint: str | None = None


class _NothingKnown(Memory):
    """A memory that remembers nothing, so that every hash is computed anew."""

    def __init__(self) -> None:
        self.checked = {}
        self.sound = {}
        self.changed = False


def verify(store: Store, findings: Findings) -> Iterator[None]:
    """Check the whole store, filling `findings` and yielding after each step for a progress display.

    A damaged log ends it; damaged files are all named.
    """
    state = State(store.genesis, store.identity.member)
    known: dict[str, FileEntry] = {}
    compactions: list[tuple[Commit, list[FileEntry], bool]] = []
    with files.mapped("read the log"):
        for _, raw in log.read_from(store.root / "log", 1):
            try:
                commit = state.apply(raw)
            except DamagedError as error:
                findings.problems.append(error.message)
                return
            known.update((entry.file_id, entry) for entry in commit.add)
            if commit.type == "compact":
                inputs = [known[file_id] for file_id in commit.drop]
                compactions.append((commit, inputs, _was_whole(state, commit, inputs)))
            findings.commits, findings.head = findings.commits + 1, state.hash
    yield
    reader = Reader(store.root, state, Keyring(store.identity, state), _NothingKnown())
    for entry in state.live.values():
        with _noted(findings, file_path(entry.file_id)):
            _check_file(reader, entry, findings)
        yield
    for table in TABLES.values():
        before = len(findings.problems)
        for book, entries in reader.parts(table).items():
            with _noted(findings, f"{table.name} of book {book}"):
                _check_versions(reader, table, book, entries, findings)
            yield
        with _noted(findings, table.name):
            _check_across_books(reader, table, findings)
            if len(findings.problems) > before:
                _name_untrue(reader, state, table, findings)
    for commit, inputs, whole in compactions:
        with _noted(findings, f"the compaction of commit {commit.seq}"):
            _check_compaction(reader, commit, inputs, findings, whole=whole)
        yield


@contextmanager
def _noted(findings: Findings, what: str) -> Iterator[None]:
    """Note what goes wrong inside the block as one more problem."""
    try:
        yield
    except OvertakenError:
        raise
    except CrmError as error:
        if not findings.problems and parquet.QUARANTINE in (error.hint or ""):
            findings.hint = error.hint
        if error.message not in findings.problems:
            findings.problems.append(error.message)
    except (ValueError, TypeError, KeyError, OverflowError, pa.ArrowException):
        findings.problems.append(f"{what} is malformed")


def _check_file(reader: Reader, entry: FileEntry, findings: Findings) -> None:
    findings.files += 1
    if not reader.keyring.opens(entry):
        try:
            sha256, _ = files.hash_regular(reader.path(entry.file_id))
        except FileNotFoundError as error:
            raise reader.missing(file_path(entry.file_id)) from error
        if sha256 != entry.sha256:
            raise parquet.changed(file_path(entry.file_id))
        return
    rows = reader.read(entry)
    key = rows.column(TABLES[entry.table].key)
    findings.opened += 1
    findings.rows += rows.num_rows
    if bounds(TABLES[entry.table], rows) != (entry.low, entry.high):
        raise DamagedError(f"{file_path(entry.file_id)} holds other times than its commit says")
    if key.null_count or (entry.kind in ("insert", "upsert") and pc.count_distinct(key) != rows.num_rows):
        raise DamagedError(f"{file_path(entry.file_id)} holds a row twice or without a key")


def _check_versions(reader: Reader, table: Table, book: str, entries: list[FileEntry], findings: Findings) -> None:
    """Check that every row was inserted once, that what changes it came later, and that its client is in the book."""
    key = table.key
    inserted = pa.concat_tables(
        [
            pa.schema([table.schema.field(key), (SEQ, pa.int64())]).empty_table(),
            *(reader.read(entry, [key, SEQ]).select([key, SEQ]) for entry in entries if entry.kind == "insert"),
        ]
    )
    changes = reader.changes(table, [entry for entry in entries if entry.kind != "insert"], [key])
    newest = newest_versions(key, changes)
    places = pc.index_in(inserted.column(key), newest.column(key).combine_chunks())
    late = pc.is_true(pc.less_equal(pc.taken(newest.column(SEQ), places), inserted.column(SEQ)))
    nameless = pc.filtered(inserted, pc.equal(inserted.column(key), 0)).num_rows
    if nameless or pc.count_distinct(inserted.column(key)) != inserted.num_rows or pc.filtered(inserted, late).num_rows:
        findings.problems.append(
            f"{table.name} of book {book} has a row twice, one without a number, or one added after it was changed"
        )
    if table.group == PERSONAL and len(reader.erased):
        where = ("client_id", reader.erased.to_pylist())
        if any(reader.read(entry, ["client_id"], where).num_rows for entry in entries if entry.kind != "delete"):
            findings.problems.append(f"{table.name} of book {book} has rows of a client who was erased")
    if table.is_about_clients and reader.keyring.holds(book, FACTS):
        clients = reader.merged("clients", ["client_id"], books=[book]).column("client_id").combine_chunks()
        owners = reader.merged(table.name, ["client_id"], books=[book]).column("client_id")
        if pc.filtered(owners, pc.invert(pc.is_in(owners, clients))).to_pylist():
            findings.problems.append(f"{table.name} of book {book} has rows of clients that are not in that book")


def _name_untrue(reader: Reader, state: State, table: Table, findings: Findings) -> None:
    """Name the files with rows that cannot be true, for an admin to take out."""
    for entry in state.entries(table.name):
        if reader.keyring.opens(entry) and entry.kind != "history" and (count := sum(untrue(reader, state, entry))):
            findings.problems.append(
                f"{file_path(entry.file_id)} of {table.name}: {count} of {entry.rows} rows cannot be true, "
                "by doctor --quarantine an admin takes it out"
            )


def _check_across_books(reader: Reader, table: Table, findings: Findings) -> None:
    """Check that no record is in two books; what is twice in one has been told."""
    books = [reader.merged(table.name, [table.key], books=[book]).column(table.key) for book in reader.parts(table)]
    keys = pa.chunked_array([chunk for each in books for chunk in each.chunks], pa.int64())
    if pc.count_distinct(keys) != sum(pc.count_distinct(each) for each in books):
        findings.problems.append(f"{table.name} has a record in two books")


def _was_whole(state: State, commit: Commit, inputs: list[FileEntry]) -> bool:
    """Say whether a compaction left no file with older rows beside it, so that nothing need be hidden any more."""
    newest = max(entry.seq for entry in inputs)
    made = {entry.file_id for entry in commit.add}
    older = (
        entry.file_id
        for entry in state.entries(inputs[0].table)
        if entry.book == inputs[0].book and entry.kind != "history" and entry.seq <= newest
    )
    return made.issuperset(older) and not any(entry.kind in ("upsert", "delete") for entry in commit.add)


def _check_compaction(
    reader: Reader, commit: Commit, inputs: list[FileEntry], findings: Findings, *, whole: bool
) -> None:
    """Recompute a compaction while its inputs and outputs still lie there and can be opened."""
    everything = [*inputs, *commit.add]
    if not all(reader.keyring.opens(e) and reader.path(e.file_id).exists() for e in everything):
        return
    table = TABLES[inputs[0].table]
    findings.compactions += 1
    expected = upkeep.merge(reader, table, inputs, whole=whole)
    for kind, rows in expected.items():
        order = (table.key, SEQ)
        made = [reader.read(entry) for entry in commit.add if entry.kind == kind]
        found = pa.concat_tables(made).select(rows.column_names) if made else rows.slice(0, 0)
        if not pc.sorted_by(rows, *order).equals(pc.sorted_by(found, *order)):
            raise DamagedError(f"commit {commit.seq} lost or changed rows of {table.name} in a compaction")
