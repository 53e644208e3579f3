"""A store written by an older program opens with a newer one: renamed, retyped and added columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import make_dataclass

import pyarrow as pa
import pytest

from crmcli.errors import DamagedError, NoStoreError
from crmcli.storage import tables, upgrade
from crmcli.storage.store import Store
from crmcli.storage.tables import FACTS, Table
from tests.storage.company import Company


def newer(monkeypatch: pytest.MonkeyPatch, steps: dict[int, Callable[[str, pa.Table], pa.Table]]) -> None:
    """Be a program whose deals call the amount `expected`, keep the stage's number, and know a `score`."""
    record = make_dataclass(
        "Deal", [("deal_id", "int"), ("client_id", "int"), ("expected", "Decimal | None"), ("score", "int | None")]
    )
    monkeypatch.setitem(tables.TABLES, "deals", Table("deals", record, FACTS, "deal_id"))
    monkeypatch.setattr(upgrade, "SCHEMA", 2)
    monkeypatch.setattr(upgrade, "STEPS", steps)


def renamed(table: str, rows: pa.Table) -> pa.Table:
    if table != "deals":
        return rows
    return rows.select(["deal_id", "client_id", "amount"]).rename_columns(["deal_id", "client_id", "expected"])


def reopened(company: Company) -> Store:
    return company.open()


def test_an_older_store_reads_as_todays(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    assert company.crmcli("add-client", "Anna").code == 0
    assert company.crmcli("advance-stage", "Anna", "--won", "150").code == 0
    newer(monkeypatch, {1: renamed})
    rows = reopened(company).reader.merged("deals").to_pylist()
    assert [(str(row["expected"]), row["score"]) for row in rows] == [("150.00", None)]


def test_new_rows_are_of_the_new_schema_and_mix_with_old_ones(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert company.crmcli("add-client", "Anna").code == 0
    newer(monkeypatch, {1: renamed})
    store = reopened(company)
    from crmcli.session import new_op_id
    from crmcli.storage.writing import Pending

    pending = Pending()
    row = {"deal_id": [5], "client_id": [6], "expected": [None], "score": [7]}
    pending.rows[store.own_book, "deals", "insert"].append(pa.table(row, schema=tables.TABLES["deals"].schema))
    made = store.commit(pending, store.state.seq, new_op_id(), company.session().now)
    assert made.schema == 2
    assert sorted(str(score) for score in store.reader.merged("deals").column("score").to_pylist()) == ["7", "None"]


def test_without_the_step_an_unknown_column_is_damage(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    assert company.crmcli("add-client", "Anna").code == 0
    newer(monkeypatch, {})
    with pytest.raises(DamagedError):
        reopened(company).reader.merged("deals")


def test_an_older_program_refuses_a_newer_store(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as future:
        future.setattr(upgrade, "SCHEMA", 2)
        assert company.crmcli("add-client", "Anna").code == 0
    result = company.crmcli("list", "clients")
    assert (result.code, result.err.splitlines()[0]) == (
        NoStoreError.exit_code,
        "crmcli: error: the store was written by a newer crmcli",
    )
