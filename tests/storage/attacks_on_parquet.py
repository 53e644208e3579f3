"""Attacks by files that a member encrypts rightly into the own book: bombs, strange shapes and plain garbage."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.parquet.encryption import create_encryption_properties

from crmcli.model import records as r
from crmcli.storage.keys import random_bytes
from crmcli.storage.layout import file_path
from crmcli.storage.log import FileEntry
from crmcli.storage.tables import TABLES
from tests.storage.attacks import READERS, Attack
from tests.storage.company import NOW, Company

MIB = 1 << 20
# Makes the bytes of a file, given what encrypts it, and says how many rows it has.
Maker = Callable[[Any], tuple[bytes, int]]


def smuggled(make: Maker, table: str = "contacts", kind: str = "insert") -> Callable[[Company], None]:
    """Put a file under the manager's own key into the store, and name it in his commit as what it is."""

    def harm(company: Company) -> None:
        store, book, group = company.open("manager"), company.book("manager"), TABLES[table].group
        file_id = random_bytes(16).hex()
        address = store.keyring.address(book, table, group, 1, file_id)
        key = address.key(store.keyring.book_key(book, group, 1))
        content, rows = make(create_encryption_properties(key, aad_prefix=address.aad(), store_aad_prefix=False))
        (company.root / file_path(file_id)).write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        made = FileEntry(file_id, book, table, group, 1, kind, rows, len(content), sha256, None, None)
        company.append("manager", add=(made,))

    return harm


def written(batches: Iterable[pa.Table], encryption: Any, note: str = "", **options: Any) -> tuple[bytes, int]:
    """Return a file with a row group for each batch, and its number of rows."""
    sink, writer, rows = pa.BufferOutputStream(), None, 0
    for batch in batches:
        if writer is None:
            writer = pq.ParquetWriter(
                sink, batch.schema, store_schema=False, encryption_properties=encryption, **options
            )
        writer.write_table(batch, row_group_size=max(batch.num_rows, 1))
        rows += batch.num_rows
    assert writer is not None
    writer.add_key_value_metadata({"note": note})
    writer.close()
    return sink.getvalue().to_pybytes(), rows


def contacts(count: int = 1, **columns: pa.Array) -> pa.Table:
    rows = TABLES["contacts"].to_arrow(r.Contact(number, "x") for number in range(1, count + 1))
    for name, cells in columns.items():
        rows = rows.set_column(rows.column_names.index(name), name, cells)
    return rows


def repeated(text: str, count: int) -> pa.Array:
    """One text so many times, held once."""
    return pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), pa.array([text]))


def zstd_bomb(encryption: Any) -> tuple[bytes, int]:
    batch = contacts(100, name=pa.array(["x" * MIB] * 100))
    return written([batch] * 10, encryption, compression="zstd", use_dictionary=False)


def dictionary_bomb(encryption: Any) -> tuple[bytes, int]:
    return written([contacts(50_000, name=repeated("x" * MIB, 50_000))], encryption, compression="zstd")


def listed_bomb(encryption: Any, count: int = 1_800) -> tuple[bytes, int]:
    """The same in a column that may well have a dictionary, and just short of what Arrow itself refuses."""
    rows = TABLES["clients"].to_arrow(r.Client(number, NOW, 1, 1) for number in range(1, count + 1))
    rows = rows.set_column(rows.column_names.index("source"), "source", repeated("x" * MIB, count))
    return written([rows], encryption, compression="zstd")


def delta_bomb(encryption: Any) -> tuple[bytes, int]:
    """Texts that share all but their end, which is all that lies in the file."""
    batch = contacts(100, name=pa.array(["x" * MIB] * 100))
    return written([batch] * 5, encryption, use_dictionary=False, column_encoding={"name": "DELTA_BYTE_ARRAY"})


def null_bomb(encryption: Any) -> tuple[bytes, int]:
    """Millions of rows of nothing, which take no room in a file."""
    schema = TABLES["clients"].schema
    batch = pa.table([pa.nulls(1_000_000, field.type) for field in schema], schema=schema)
    return written([batch], encryption, compression="zstd")


def run_bomb(encryption: Any) -> tuple[bytes, int]:
    """Millions of deletions of one client."""
    batch = pa.table({"client_id": pa.array([7], pa.int64()).take(pa.array([0] * 2_000_000, pa.int32()))})
    return written([batch] * 5, encryption, compression="zstd", use_dictionary=True)


def list_bomb(encryption: Any) -> tuple[bytes, int]:
    """One client with millions of phones that are nothing."""
    count = 5_000_000
    phones = pa.ListArray.from_arrays(pa.array([0, count], pa.int32()), pa.nulls(count, pa.string()))
    return written([contacts(1, phones=phones)] * 12, encryption, compression="zstd")


def many_groups(encryption: Any) -> tuple[bytes, int]:
    batch = pa.table({"client_id": pa.array([7], pa.int64())})
    return written([batch] * 30_000, encryption)


def many_columns(encryption: Any) -> tuple[bytes, int]:
    names = [f"{number:04}{'x' * 1000}" for number in range(5_000)]
    return written([pa.table({name: pa.array([1]) for name in names})], encryption)


def long_footer(encryption: Any) -> tuple[bytes, int]:
    return written([contacts()], encryption, note="x" * (100 * MIB))


def deep(encryption: Any) -> tuple[bytes, int]:
    cells: pa.Array = pa.array([1])
    for _ in range(500):
        cells = pa.StructArray.from_arrays([cells], ["x"])
    return written([contacts().append_column("deep", cells)], encryption)


def plain(_: Any) -> tuple[bytes, int]:
    return written([contacts()], None)


def empty_rows(encryption: Any) -> tuple[bytes, int]:
    return written([contacts(1).slice(0, 0)], encryption)[0], 1


def other_types(encryption: Any) -> tuple[bytes, int]:
    rows = TABLES["contacts"].schema.names
    return written([pa.table({name: pa.array([1.5]) for name in rows})], encryption)


def huge_text(encryption: Any) -> tuple[bytes, int]:
    return written([contacts(1, name=pa.array(["x" * (100 * MIB)]))], encryption, compression="zstd")


def raw(content: bytes) -> Maker:
    return lambda _: (content, 1)


SHAPES: dict[str, Maker] = {
    "plain Parquet": plain,
    "no rows": empty_rows,
    "other types": other_types,
    "no bytes": raw(b""),
    "one byte": raw(b"P"),
    "magic alone": raw(b"PARE"),
    "magic twice": raw(b"PAREPARE"),
    "a footer of minus one": raw(b"PARE" + b"\xff" * 4 + b"PARE"),
    "a footer longer than the file": raw(b"PARE" + b"\0" * 90 + b"\xff\xff\xff\x7fPARE"),
    "zeros": raw(b"\0" * 10_000),
    "a megabyte of noise": raw(b"PARE" + bytes(range(256)) * 4096 + b"PARE"),
    "an archive": raw(b"PK\x03\x04" + b"\0" * 100),
}
BOMBS: dict[str, Maker] = {
    "zstd": zstd_bomb,
    "dictionary": dictionary_bomb,
    "delta": delta_bomb,
    "list": list_bomb,
    "one text": huge_text,
    "many columns": many_columns,
    "long footer": long_footer,
    "deep": deep,
}

ATTACKS = [
    *(Attack(f"file of {name}", smuggled(make), READERS["contacts"]) for name, make in SHAPES.items()),
    *(Attack(f"bomb of {name}", smuggled(make), READERS["contacts"], is_nasty=True) for name, make in BOMBS.items()),
    Attack(
        "bomb of listed", smuggled(listed_bomb, "clients"), READERS["clients"] - {"add-client", "import"}, is_nasty=True
    ),
    Attack(
        "bomb of few listed",
        smuggled(lambda encryption: listed_bomb(encryption, 900), "clients"),
        READERS["clients"],
        is_nasty=True,
    ),
    Attack("bomb of nulls", smuggled(null_bomb, "clients"), READERS["clients"], is_nasty=True),
    Attack("bomb of runs", smuggled(run_bomb, "contacts", "delete"), READERS["contacts"], is_nasty=True),
    Attack("bomb of row groups", smuggled(many_groups, "contacts", "delete"), READERS["contacts"], is_nasty=True),
]
