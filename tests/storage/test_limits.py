"""What a file may become in memory: each bound takes what is just within it and refuses what is just beyond."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from crmcli.storage import limits
from crmcli.storage.parquet import open_file
from tests.storage.attacks_on_parquet import repeated, written

KEY, AAD = bytes(32), b"place"


def metadata_of(rows: pa.Table, **options: Any) -> Any:
    from pyarrow.parquet.encryption import create_encryption_properties

    encryption = create_encryption_properties(KEY, aad_prefix=AAD, store_aad_prefix=False)
    content, _ = written([rows], encryption, compression="zstd", **options)
    return open_file(content, KEY, AAD, name="x").metadata


def fits(metadata: Any, most: int, rows: int | None = None) -> bool:
    wanted = metadata.num_rows if rows is None else rows
    return limits.fits(metadata, wanted, most, ["listed"], has_lists=True)


def test_cells_of_nothing_count() -> None:
    metadata = metadata_of(pa.table({"a": pa.nulls(1000, pa.int64()), "b": pa.nulls(1000, pa.int64())}))
    assert fits(metadata, 1000 * 2 * limits.CELL)
    assert not fits(metadata, 1000 * 2 * limits.CELL - 1)


def test_rows_are_those_that_were_signed_and_not_too_many() -> None:
    metadata = metadata_of(pa.table({"a": pa.nulls(1000, pa.int64())}))
    assert not fits(metadata, 1 << 30, rows=999)
    many = metadata_of(pa.table({"a": pa.nulls(limits.ROWS + 1, pa.int8())}))
    assert not fits(many, 1 << 40)


def test_elements_of_lists_count() -> None:
    lists = pa.ListArray.from_arrays(pa.array([0, 1000], pa.int32()), pa.nulls(1000, pa.string()))
    metadata = metadata_of(pa.table({"lists": lists}), use_dictionary=False)
    assert fits(metadata, 1000 * limits.CELL)
    assert not fits(metadata, 1000 * limits.CELL - 1)


def test_texts_unpacked_count() -> None:
    metadata = metadata_of(pa.table({"a": ["x" * 100_000]}), use_dictionary=False)
    assert fits(metadata, 101_000)
    assert not fits(metadata, 99_000)


@pytest.mark.parametrize(("column", "taken"), [("listed", True), ("other", False)])
def test_only_listed_columns_have_dictionaries_that_matter(column: str, taken: bool) -> None:
    rows = pa.table({column: repeated("x" * 1000, 100)})
    metadata = metadata_of(rows)
    assert fits(metadata, 50_000) == taken
    # One that cannot come to much is let be.
    assert fits(metadata, 1 << 20)


def test_no_list_has_a_dictionary_that_matters() -> None:
    lists = pa.ListArray.from_arrays(pa.array([0, 1000], pa.int32()), pa.array(["x" * 1000] * 1000))
    metadata = metadata_of(pa.table({"lists": lists}))
    assert not fits(metadata, 200_000)
    assert fits(metadata, 1 << 22)


def test_words_of_a_dictionary_count_as_often_as_they_stand() -> None:
    rows = pa.table({"listed": repeated("x" * 1000, 100)})
    assert limits.words_fit(rows, 100_000)
    assert not limits.words_fit(rows, 99_999)


def test_footer_is_of_bearable_length() -> None:
    def ended(length: int) -> bytes:
        return b"PARE" + length.to_bytes(4, "little") + b"PARE"

    assert limits.footer_fits(ended(limits.FOOTER))
    assert not limits.footer_fits(ended(limits.FOOTER + 1))
