"""A signed file that nobody can read or believe is taken out by an admin, and by nobody else; other files stay."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from crmcli.model import records as r
from crmcli.storage.layout import file_path
from crmcli.storage.tables import TABLES
from tests.storage.attacks_on_parquet import dictionary_bomb, other_types, raw, smuggled
from tests.storage.company import NOW, Company, number, problems


@pytest.fixture
def spoilt(company: Company) -> Company:
    """A company in whose contacts a manager has put garbage."""
    assert company.crmcli("add-client", "Anna", "--note", "likes tea").code == 0
    smuggled(raw(b"garbage"))(company)
    return company


def named(company: Company) -> str:
    """The file that an error names."""
    result = company.crmcli("find", "Anna")
    assert result.code == 13
    assert "doctor --quarantine files/" in result.err
    return result.err.split("--quarantine ")[1].strip()


def test_store_opens_again_for_all(spoilt: Company) -> None:
    path = named(spoilt)
    assert spoilt.crmcli("doctor", "--quarantine", path).code == 0
    assert spoilt.names() == ["Anna"]
    assert spoilt.names("manager") == []
    assert problems(spoilt) == []
    assert problems(spoilt, "manager") == []
    assert (spoilt.root / path).exists()
    assert spoilt.crmcli("add-client", "Gleb", who="manager").code == 0


@pytest.mark.parametrize("make", [dictionary_bomb, other_types])
def test_file_of_any_kind_of_garbage_goes(company: Company, make: object) -> None:
    smuggled(make)(company)  # type: ignore[arg-type]
    assert company.crmcli("doctor", "--quarantine", named(company)).code == 0
    assert problems(company) == []


@pytest.mark.parametrize(("size", "is_taken"), [(1 << 20, True), ((1 << 20) + 1, False)])
def test_text_longer_than_anybody_types_is_garbage(company: Company, size: int, *, is_taken: bool) -> None:
    assert company.crmcli("add-client", "Anna", who="manager").code == 0
    [client] = company.view("manager").records("clients")
    note = r.Note(7, client.client_id, client.client_id, "said", "x" * size, NOW, 7)
    book = company.book("manager")
    company.append("manager", add=(company.seal("manager", book, "notes", "insert", TABLES["notes"].to_arrow([note])),))
    assert (company.crmcli("find", "xxx", "--format", "ids", who="manager").code == 0) is is_taken
    if not is_taken:
        told = company.crmcli("verify")
        assert (told.code, "crmcli doctor --quarantine files/" in told.err) == (13, True)
        assert company.crmcli("doctor", "--quarantine", named(company)).code == 0
    assert problems(company) == []


@pytest.mark.parametrize("who", ["manager", "lead", "analyst", "service"])
def test_nobody_but_an_admin_takes_it_out(spoilt: Company, who: str) -> None:
    path = named(spoilt)
    assert spoilt.crmcli("doctor", "--quarantine", path, who=who).code == 15
    assert named(spoilt) == path


def test_file_that_can_be_read_stays(company: Company) -> None:
    assert company.crmcli("add-client", "Anna").code == 0
    for entry in company.open().entries():
        assert company.crmcli("doctor", "--quarantine", entry.file_id).code == 5
    assert company.names() == ["Anna"]


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_bytes(b"changed")])
def test_file_that_a_backup_may_have_stays(company: Company, harm: object) -> None:
    assert company.crmcli("add-client", "Anna").code == 0
    path = file_path(company.open().state.entries("contacts")[0].file_id)
    harm(company.root / path)  # type: ignore[operator]
    result = company.crmcli("doctor", "--quarantine", path)
    assert result.code == 13
    assert "backup" in result.err


def test_name_of_no_file_is_not_found(company: Company) -> None:
    for name in ("", "x", "files/00/" + "0" * 32 + ".parquet", "../../etc/passwd"):
        assert company.crmcli("doctor", "--quarantine", name).code == 3


def test_repeated_operation_changes_nothing(spoilt: Company) -> None:
    path = named(spoilt)
    head = spoilt.open().state.seq
    for _ in range(2):
        assert spoilt.crmcli("--op-id", "a" * 32, "doctor", "--quarantine", path).code == 0
    assert spoilt.open().state.seq == head + 1


def forged(company: Company, table: str, record: r.Record, kind: str = "insert") -> str:
    """Let a manager sign a row about the admin's client into the own book; return the file that verify names."""
    book = company.book("manager")
    company.append("manager", add=(company.seal("manager", book, table, kind, TABLES[table].to_arrow([record])),))
    result = company.crmcli("verify")
    assert result.code == 13
    found = re.findall(r"files/../[0-9a-f]{32}\.parquet(?= of \w+: 1 of 1 rows cannot be true)", result.err)
    assert len(found) == 1, result
    return str(found[0])


@pytest.mark.parametrize("kind", ["insert", "upsert"])
@pytest.mark.parametrize("what", ["contact", "client", "sale", "sale of nobody's"])
def test_rows_that_cannot_be_true_go(company: Company, what: str, kind: str) -> None:
    assert company.crmcli("add-client", "Anna").code == 0
    assert company.crmcli("log-sale", "Anna", "1000").code == 0
    assert company.crmcli("add-client", "Boris", who="manager").code == 0
    [anna] = [c for c in company.view().records("contacts") if c.name == "Anna"]
    [boris] = company.view("manager").records("contacts")
    [sale] = company.view().records("sales")
    before = company.crmcli("list", "sales", "--format", "csv").out, company.names()
    table, record = {
        "contact": ("contacts", replace(anna, name="Mallory")),
        "client": ("clients", r.Client(anna.client_id, NOW, 1, 1)),
        "sale": ("sales", replace(sale, client_id=boris.client_id, amount=Decimal(9))),
        "sale of nobody's": ("sales", r.Sale(5, 12345, NOW, Decimal(9), 1)),
    }[what]
    path = forged(company, table, record, kind)
    assert company.crmcli("doctor", "--quarantine", path).code == 0
    assert (company.crmcli("list", "sales", "--format", "csv").out, company.names()) == before
    assert problems(company) == []


@pytest.mark.parametrize("kind", ["insert", "upsert", "delete"])
@pytest.mark.parametrize("wrong", [0, -5, 1 << 60, 1 << 62])
def test_ids_that_no_record_has_go(company: Company, wrong: int, kind: str) -> None:
    assert company.crmcli("add-client", "Boris", who="manager").code == 0
    rows = TABLES["clients"].to_arrow([r.Client(wrong, NOW, 1, 1)])
    rows = rows.select(["client_id"]) if kind == "delete" else rows
    entry = company.seal("manager", company.book("manager"), "clients", kind, rows)
    company.append("manager", add=(entry,))
    assert company.crmcli("list", "clients").code == 13
    assert company.crmcli("doctor", "--quarantine", entry.file_id).code == 0
    manager, colleague = (company.identity(who).member for who in ("manager", "colleague"))
    assert company.crmcli("member", "remove", manager, "--to", colleague).code == 0
    assert company.names("colleague") == ["Boris"]


def test_card_of_another_books_client_is_not_handed_over(company: Company) -> None:
    assert company.crmcli("add-client", "Anna", who="colleague").code == 0
    [anna] = company.view("colleague").records("clients")
    path = forged(company, "clients", replace(anna, owner_id=number(company.identity("manager").member)), "upsert")
    shown = company.crmcli("show", "Anna")
    assert (shown.code, "in two books" in shown.err) == (13, True)
    manager, colleague = (company.identity(who).member for who in ("manager", "colleague"))
    assert company.crmcli("transfer", "--from", manager, "--to", colleague).code == 13
    assert company.crmcli("doctor", "--quarantine", path).code == 0
    assert company.crmcli("show", "Anna").code == 0
    assert problems(company) == []


def test_file_in_which_something_may_be_true_stays(company: Company) -> None:
    assert company.crmcli("add-client", "Boris", who="manager").code == 0
    [boris] = company.view("manager").records("contacts")
    rows = [r.Sale(7, boris.client_id, NOW, Decimal(5), 1), r.Sale(8, 12345, NOW, Decimal(5), 1)]
    entry = company.seal("manager", company.book("manager"), "sales", "insert", TABLES["sales"].to_arrow(rows))
    company.append("manager", add=(entry,))
    result = company.crmcli("doctor", "--quarantine", entry.file_id)
    assert (result.code, "1 of the file's 2 rows may be true" in result.err) == (5, True)
