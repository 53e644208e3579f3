"""Reading: a table is the union of its live files in the books at hand, the newest version of every row."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

import pyarrow as pa

from crmcli.errors import CrmError, DamagedError, OvertakenError
from crmcli.model.ids import decode_id
from crmcli.storage import files, log, parquet, upgrade
from crmcli.storage import kernels as pc
from crmcli.storage.keys import sha256
from crmcli.storage.layout import file_path
from crmcli.storage.tables import DELETED, PERSONAL, SEQ, TABLES, Table
from crmcli.storage.together import at_once

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from pyarrow._parquet import ParquetReader

    from crmcli.storage.keyring import Keyring
    from crmcli.storage.log import FileEntry
    from crmcli.storage.memory import Memory
    from crmcli.storage.state import State

SMALL = 1 << 20
# Rows of a whole table are kept for the rest of a run up to this many bytes.
KEPT = 1 << 26
# So many files stay open for the rest of a run, for a command often reads one again.
OPENED = 8
# The keys of files of up to this many rows are remembered from one run to the next.
FEW_ROWS = 16
# (column, ids): the rows wanted.
Where: TypeAlias = "tuple[str, Sequence[int]]"


class Reader:
    """Reads tables of a store folder in a given state with the keys at hand."""

    def __init__(self, root: Path, state: State, keyring: Keyring, memory: Memory) -> None:
        self._root = root
        self._state = state
        self.keyring = keyring
        self._memory = memory
        self._folders: set[Path] = set()
        # What was opened last, and checked: what the log says of a file -> its reader.
        self._opened: dict[FileEntry, ParquetReader] = {}
        # Book, table and kind -> the files of few rows that were read, and all their rows.
        self._small: dict[tuple[str, str, str], tuple[list[str], pa.Table]] = {}
        # Table -> its files, how many clients were erased, and the columns of all its rows that were read last: what
        # follows often asks for fewer.
        self._whole: dict[str, tuple[list[str], int, pa.Table]] = {}

    def path(self, file_id: str) -> Path:
        """Return where a file lies."""
        return self._root / file_path(file_id)

    def parts(self, table: Table) -> dict[str, list[FileEntry]]:
        """Return the live files of a table that the keys at hand open, by book; history is not among them."""
        parts = defaultdict(list)
        for entry in self._state.entries(table.name):
            if entry.kind != "history" and self.keyring.opens(entry):
                parts[entry.book].append(entry)
        return parts

    def open(self, entry: FileEntry) -> ParquetReader:
        """Return a file, opened, whose hash is, or was before it was last touched, the one in the log.

        The listed texts of a large one are read as places in its dictionary.

        Raises: DamagedError if it, or what it says of its own size and columns, is not what was signed.
        """
        file = self._opened.pop(entry, None) or self._open(entry)
        self._opened[entry] = file
        if len(self._opened) > OPENED:
            self._opened.pop(list(self._opened)[0], None)  # noqa: RUF015 - other threads open files too
        return file

    def _open(self, entry: FileEntry) -> ParquetReader:
        name = file_path(entry.file_id)
        path = self._root / name
        source: Path | bytes = path
        try:
            self._require_folder(path.parent)
            status = path.lstat()
            known = self._memory.is_checked(entry.file_id, status)
            if status.st_size != entry.bytes:
                raise parquet.changed(name)
            if entry.bytes <= SMALL:
                source, status = files.read_regular(path, entry.bytes)
                found = entry.sha256 if known else sha256(source)
            else:
                found, status = (entry.sha256, status) if known else files.hash_regular(path)
            if found != entry.sha256:
                raise parquet.changed(name)
            if not known:
                self._memory.mark_checked(entry.file_id, status)
        except FileNotFoundError as error:
            raise self.missing(name) from error
        except OSError as error:
            raise CrmError(f"{name} cannot be read: {(error.strerror or '').lower()}") from error
        key, aad = self.keyring.file_keys(entry)
        table = TABLES[entry.table]
        # What says that records are gone has nothing but their keys.
        dictionaries = table.values if entry.rows >= parquet.BULK and entry.kind != "delete" else ()
        try:
            file = parquet.open_file(source, key, aad, name=name, dictionaries=dictionaries)
        except DamagedError as error:
            raise error if path.exists() else self.missing(name) from error
        parquet.check_size(file, table, entry.rows, entry.bytes, name=name)
        if entry.schema == upgrade.SCHEMA:
            parquet.check_columns(table, entry.kind, file.schema_arrow, name=name)
        return file

    def missing(self, name: str) -> CrmError:
        """Return the error for a file that is not there: one that was erased meanwhile is no damage."""
        if log.holds(self._root / "log", self._state.seq + 1):
            return OvertakenError(f"{name} was removed meanwhile")
        return DamagedError(f"{name} is missing", "restore it from a backup")

    def _require_folder(self, folder: Path) -> None:
        """Raise DamagedError for a link in a folder's place, looked for once a run."""
        if folder not in self._folders:
            files.require_folder(folder)
            self._folders.add(folder)

    def read(
        self,
        entry: FileEntry,
        columns: Sequence[str] | None = None,
        where: Where | None = None,
        *,
        coded: bool = False,
    ) -> pa.Table:
        """Return columns of one file; all if None, and with them `_seq`, the commit that each row came with.

        `coded`: the rows come as the engine takes them: columns of few distinct values as dictionaries, as they lie in
        the file.
        """
        table, name = TABLES[entry.table], file_path(entry.file_id)
        file = self.open(entry)
        wanted = file.schema_arrow.names
        is_older = entry.schema != upgrade.SCHEMA
        if not is_older and columns is not None:
            wanted = [column for column in wanted if column in columns]
        rows = parquet.read(file, wanted, name=name, where=where)
        unsound = self._memory.unsound(entry.file_id, rows.column_names)
        if unsound:
            parquet.check_words(rows.select(unsound), entry.bytes, name=name)
        if is_older and entry.kind != "delete":
            rows = upgrade.upgrade(table, rows, entry.schema)
            parquet.check_columns(table, entry.kind, rows.schema, name=name)
        try:
            rows = pc.cast(rows, _schema(table, rows.column_names, coded=coded))
        except (pa.ArrowException, ValueError, KeyError) as error:
            raise parquet.unreadable(name) from error
        self._check_values(table, entry, rows, name)
        if SEQ in rows.column_names:
            _check_versions(rows.column(SEQ), entry, name)
        elif columns is None or SEQ in columns:
            rows = rows.append_column(SEQ, pa.repeat(pa.scalar(entry.seq, pa.int64()), rows.num_rows))
        return _filter(rows, where)

    def pieces(
        self,
        entries: Iterable[FileEntry],
        columns: Sequence[str],
        where: Where | None = None,
        *,
        coded: bool = False,
    ) -> list[pa.Table]:
        """Return columns of files of one table and kind: a piece for each large file, one for all the others."""
        return at_once(lambda group: self._piece(group, columns, where, coded=coded), _grouped(entries))

    def _piece(
        self, entries: Sequence[FileEntry], columns: Sequence[str], where: Where | None, *, coded: bool
    ) -> pa.Table:
        """Return columns of one large file, or of small ones together."""
        if not _is_small(entries[0]):
            return self.read(entries[0], columns, where, coded=coded)
        rows = self._together(entries)
        return _filter(rows.select([name for name in rows.column_names if name in columns]), where)

    def _together(self, entries: Sequence[FileEntry]) -> pa.Table:
        """Return all rows of small files of one table and kind, read once a run."""
        place = (entries[0].book, entries[0].table, entries[0].kind)
        ids = [entry.file_id for entry in entries]
        known_ids, known = self._small.get(place, ([], None))
        if known_ids != ids:
            # What was read before stays at the front: files leave a table only when it is compacted.
            is_longer = known is not None and ids[: len(known_ids)] == known_ids
            rows = [known] if is_longer else []
            rows += [self.read(entry) for entry in entries[len(known_ids) if is_longer else 0 :]]
            names = [name for name in rows[0].column_names if all(name in piece.column_names for piece in rows)]
            known = pa.concat_tables([piece.select(names) for piece in rows]).combine_chunks()
            self._small[place] = ids, known
        return known

    def _check_values(self, table: Table, entry: FileEntry, rows: pa.Table, name: str) -> None:
        """Raise DamagedError for values that cannot be there, looked for once in each column of a file."""
        unsound = self._memory.unsound(entry.file_id, rows.column_names)
        if unsound:
            parquet.check_values(table, entry.kind, rows.select(unsound), name=name)
            if rows.num_rows == entry.rows:
                self._memory.mark_sound(entry.file_id, unsound)

    def merged(
        self,
        name: str,
        columns: Sequence[str] | None = None,
        where: Where | None = None,
        books: Iterable[str] | None = None,
        *,
        coded: bool = False,
    ) -> pa.Table:
        """Return the columns of a table over the books at hand, or over `books`.

        `where` is (column, ids), a column that never changes after a row is first written. `coded`: columns of few
        distinct values come as dictionaries, which differ from chunk to chunk.
        """
        table = TABLES[name]
        columns = list(columns) if columns is not None else table.schema.names
        if books is not None or coded:
            return self._merged(table, columns, where, books, coded=coded)
        needed = list(dict.fromkeys((*columns, *(where or ())[:1])))
        ids = [entry.file_id for entries in self.parts(table).values() for entry in entries]
        erased = len(self._state.erased)
        known = self._whole.get(name)
        if known is not None and known[:2] == (ids, erased) and set(needed) <= set(known[2].column_names):
            return _filter(known[2].select(needed), where).select(columns)
        rows = self._merged(table, columns, where, None)
        if where is None and rows.nbytes <= KEPT:
            self._whole[name] = ids, erased, rows
        return rows

    def _merged(
        self, table: Table, columns: list[str], where: Where | None, books: Iterable[str] | None, *, coded: bool = False
    ) -> pa.Table:
        pieces = []
        # What a member signs about somebody who was erased is hidden, until an admin takes it out.
        erased = self.erased if table.group == PERSONAL and self._state.erased else None
        for book, entries in self.parts(table).items():
            if books is None or book in books:
                # The key tells what newer versions hide; where there are none, it need not be read.
                key = [table.key] if any(entry.kind != "insert" for entry in entries) else []
                key += [] if erased is None else ["client_id"]
                needed = list(dict.fromkeys((*columns, *(where or ())[:1], *key)))
                base, overlay = self.layers(table, entries, needed, where, coded=coded)
                shown = (_without(piece, "client_id", erased) for piece in (*base, overlay))
                pieces += [piece.select(columns) for piece in shown if piece.num_rows]
        schema = _schema(table, columns, coded=coded)
        return pa.concat_tables([schema.empty_table(), *(pc.cast(piece, schema) for piece in pieces)])

    @property
    def erased(self) -> pa.Array:
        """The ids of the clients who were erased."""
        return pa.array([decode_id(name) for name in sorted(self._state.erased)], pa.int64())

    def layers(
        self,
        table: Table,
        entries: list[FileEntry],
        columns: Sequence[str],
        where: Where | None,
        *,
        coded: bool = False,
    ) -> tuple[list[pa.Table], pa.Table]:
        """Return the rows of insert files that nothing hides, and the newest versions of all other rows."""
        base = self.pieces((entry for entry in entries if entry.kind == "insert"), columns, where, coded=coded)
        newest, hidden = self._overlay(table, entries, columns, where)
        return [_without(rows, table.key, hidden) for rows in base], newest

    def _overlay(
        self, table: Table, entries: Iterable[FileEntry], columns: Sequence[str], where: Where | None
    ) -> tuple[pa.Table, pa.Array | None]:
        """Return the newest versions of the rows that were changed, and their keys with those of deleted ones."""
        changes = self.changes(table, [entry for entry in entries if entry.kind != "insert"], columns, where)
        newest = newest_versions(table.key, changes)
        hidden = changes.column(table.key).combine_chunks() if changes.num_rows else None
        return pc.filtered(newest, pc.invert(newest.column(DELETED))).select(columns), hidden

    def keys(self, name: str) -> pa.ChunkedArray:
        """Return the keys in all live files of a table, of rows that newer ones hide too; most are remembered."""
        table = TABLES[name]
        pieces: list[pa.Array] = []
        few: list[int] = []
        for entry in (entry for entries in self.parts(table).values() for entry in entries):
            keys = self._memory.keys.get(entry.file_id)
            if keys is None:
                column = self.read(entry, [table.key]).column(table.key)
                if entry.rows > FEW_ROWS:
                    pieces += column.chunks
                    continue
                keys = self._memory.keys[entry.file_id] = column.to_pylist()
                self._memory.changed = True
            few += keys
        return pa.chunked_array([*pieces, pa.array(few, pa.int64())])

    def most_rows(self, name: str) -> int:
        """Return a number that a table over the books at hand has no more rows than."""
        return sum(entry.rows for entries in self.parts(TABLES[name]).values() for entry in entries)

    def stream(self, name: str, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Yield the columns of a table piece by piece, each read when it is asked for; few texts are coded."""
        table = TABLES[name]
        schema = parquet.engine_schema(table, columns)
        for entries in self.parts(table).values():
            needed = [*columns] if all(entry.kind == "insert" for entry in entries) else _with_key(columns, table)
            newest, hidden = self._overlay(table, entries, needed, None)
            yield pc.cast(newest.select(columns), schema)
            for group in _grouped(entry for entry in entries if entry.kind == "insert"):
                rows = _without(self._piece(group, needed, None, coded=True), table.key, hidden)
                yield pc.cast(rows.select(columns), schema)

    def changes(
        self,
        table: Table,
        entries: Iterable[FileEntry],
        columns: Sequence[str],
        where: Where | None = None,
    ) -> pa.Table:
        """Return every version in upsert and delete files, with `_seq` and `_deleted`."""
        names = [*columns, SEQ, DELETED]
        schema = pa.schema(
            [*(table.schema.field(column) for column in columns), (SEQ, pa.int64()), (DELETED, pa.bool_())]
        )
        pieces = [schema.empty_table()]
        entries = list(entries)
        for kind in ("upsert", "delete", "history"):
            # A deletion names the row by its key alone, so a filter on another column must not lose it.
            usable = where if kind != "delete" or (where and where[0] == table.key) else None
            for rows in self.pieces((entry for entry in entries if entry.kind == kind), names, usable):
                whole = rows
                if DELETED not in whole.column_names:
                    whole = whole.append_column(DELETED, pc.same(kind == "delete", whole.num_rows, pa.bool_()))
                for field in schema:
                    if field.name not in whole.column_names:
                        whole = whole.append_column(field, pa.nulls(whole.num_rows, field.type))
                pieces.append(whole.select(names))
        return pa.concat_tables(pieces)


def _schema(table: Table, columns: Sequence[str], *, coded: bool) -> pa.Schema:
    return _known_schema(table.name, tuple(columns), coded)


@cache
def _known_schema(name: str, columns: tuple[str, ...], coded: bool) -> pa.Schema:  # noqa: FBT001 - part of the key
    return parquet.engine_schema(TABLES[name], columns) if coded else parquet.schema_of(TABLES[name], columns)


def _is_small(entry: FileEntry) -> bool:
    return entry.rows < parquet.BULK and entry.bytes <= SMALL


def _grouped(entries: Iterable[FileEntry]) -> list[list[FileEntry]]:
    """Return each large file alone, and all the others together."""
    listed = list(entries)
    small = [entry for entry in listed if _is_small(entry)]
    return [[entry] for entry in listed if not _is_small(entry)] + ([small] if small else [])


def _without(rows: pa.Table, key: str, hidden: pa.Array | None) -> pa.Table:
    """Return the rows whose key is not among the hidden ones."""
    return rows if hidden is None else pc.filtered(rows, pc.invert(pc.is_in(rows.column(key), hidden)))


def _with_key(columns: Sequence[str], table: Table) -> list[str]:
    return list(dict.fromkeys((*columns, table.key)))


def newest_versions(key: str, changes: pa.Table) -> pa.Table:
    """Return, of rows that share a key, the one of the highest `_seq`."""
    if changes.num_rows == 0:
        return changes
    ordered = pc.sorted_by(changes, key, SEQ).combine_chunks()
    keys = ordered.column(key)
    is_last = pc.not_equal(keys.slice(0, len(keys) - 1), keys.slice(1))
    return pc.filtered(ordered, pa.chunked_array([*is_last.chunks, pa.array([True], pa.bool_())]))


def _check_versions(versions: pa.ChunkedArray, entry: FileEntry, name: str) -> None:
    """Raise DamagedError if a row claims to have come with a later commit than its file, or with none."""
    ends = pc.min_max(versions).as_py()
    if versions.null_count or (len(versions) and not 0 < ends["min"] <= ends["max"] <= entry.seq):
        raise parquet.unreadable(name)


def _filter(rows: pa.Table, where: Where | None) -> pa.Table:
    if where is None:
        return rows
    column, ids = where
    return pc.filtered(rows, pc.is_in(rows.column(column), pa.array(ids, pa.int64())))
