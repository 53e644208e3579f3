"""Canaries name the source of a leak whatever the owner of their book does to them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from crmcli.storage.tables import TABLES
from tests.storage.company import Company, entry, may, number


@pytest.fixture
def planted(company: Company) -> Company:
    """A company in which every book has a canary, and the manager a client."""
    assert company.crmcli("canary", "plant").code == 0
    assert company.crmcli("add-client", "Boris", "--phone", "8 916 123-45-67", who="manager").code == 0
    return company


def canary_of(company: Company, who: str) -> Any:
    """The client row of the canary in a member's book, as the member sees it."""
    view = company.view(who)
    [mark] = view.records("canaries")
    return view.records("clients", "client_id", [mark.client_id])[0]


def source(company: Company, folder: Path, *, who: str = "manager") -> str:
    """Whose book a list that leaked out of a member's came from, as an admin is told."""
    leaked = folder / "leaked.csv"
    leaked.write_text(company.crmcli("list", "clients", "--format", "csv", who=who).out, encoding="utf-8")
    result = company.crmcli("canary", "who", str(leaked), "--format", "csv")
    assert result.code == 0, result
    return result.out.splitlines()[1].split(",")[0]


def change(company: Company, table: str, kind: str, *rows: Any) -> None:
    """Let the manager sign rows of the own book that no command would make."""
    columns = [TABLES[table].key] if kind == "delete" else TABLES[table].schema.names
    made = TABLES[table].to_arrow(rows).select(columns)
    company.append("manager", add=(company.seal("manager", company.book("manager"), table, kind, made),))


def test_a_list_names_the_book_that_it_came_from(planted: Company, tmp_path: Path) -> None:
    assert source(planted, tmp_path) == planted.identity("manager").member
    assert source(planted, tmp_path, who="lead") == planted.identity("lead").member


def test_the_owner_cannot_put_it_on_a_colleague(planted: Company, tmp_path: Path) -> None:
    colleague = number(planted.identity("colleague").member)
    canary = canary_of(planted, "manager")
    change(planted, "clients", "upsert", replace(canary, created_by=colleague, owner_id=colleague))
    assert source(planted, tmp_path) == planted.identity("manager").member


@pytest.mark.parametrize("phones", [("junk",), (), ("+", "+++"), ("1" * 60,)])
def test_what_the_owner_makes_of_its_phone_hides_it_not(
    planted: Company, tmp_path: Path, phones: tuple[str, ...]
) -> None:
    [contact] = planted.view("manager").records("contacts", "client_id", [canary_of(planted, "manager").client_id])
    before = planted.crmcli("list", "clients", "--format", "csv", who="manager").out
    change(planted, "contacts", "upsert", replace(contact, phones=phones))
    (tmp_path / "before.csv").write_text(before, encoding="utf-8")
    assert planted.crmcli("canary", "who", str(tmp_path / "before.csv")).code == 0
    assert source(planted, tmp_path, who="lead") == planted.identity("lead").member


def test_it_is_found_when_the_owner_has_deleted_the_client(planted: Company, tmp_path: Path) -> None:
    leaked = tmp_path / "before.csv"
    leaked.write_text(planted.crmcli("list", "clients", "--format", "csv", who="manager").out, encoding="utf-8")
    canary = canary_of(planted, "manager")
    change(planted, "clients", "delete", canary)
    assert planted.crmcli("canary", "who", str(leaked)).code == 0
    assert planted.crmcli("canary", "list").code == 0


@pytest.mark.parametrize("who", ["manager", "lead", "service", "analyst"])
@pytest.mark.parametrize("kind", ["insert", "upsert", "delete"])
def test_only_admins_say_who_is_one(company: Company, who: str, kind: str) -> None:
    state = company.open().state
    book = company.book(who) if who != "analyst" else company.book("manager")
    mark = entry(book, "canaries", kind=kind)
    assert not may(state, company.identity(who).member, add=(mark,))
    assert may(state, company.identity().member, add=(mark,))


def test_only_admins_compact_the_marks(planted: Company) -> None:
    state = planted.open().state
    book = planted.book("manager")
    [mark] = [e for e in state.entries("canaries") if e.book == book]
    for who, is_let in (("manager", False), ("admin", True)):
        change = {"add": (entry(book, "canaries"),), "drop": (mark.file_id,)}
        assert may(state, planted.identity(who).member, "compact", **change) is is_let
