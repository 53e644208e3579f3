"""A commit names files that are there, and an operation is done once."""

from __future__ import annotations

import pytest

from crmcli.errors import ConflictError
from crmcli.model.records import Product
from crmcli.storage import log, writing
from crmcli.storage.tables import TABLES
from tests.storage.company import NOW, Company, entry, problems


def test_an_op_id_of_somebody_else_is_no_repetition(company: Company) -> None:
    name = "0123456789abcdef" * 2
    assert company.crmcli("--op-id", name, "add-client", "Anna", who="manager").code == 0
    before = company.open().state.seq
    result = company.crmcli("--op-id", name, "add-client", "Boris", who="colleague")
    assert (result.code, f"commit {before}, by somebody else, has that op_id" in result.err) == (4, True)
    assert company.crmcli("--op-id", name, "add-client", "Anna", who="manager").code == 0
    assert (company.open().state.seq, company.names()) == (before, ["Anna"])


def test_an_op_id_that_somebody_else_used_meanwhile_is_no_repetition(company: Company) -> None:
    name = "0123456789abcdef" * 2
    store = company.open("colleague")
    assert company.crmcli("--op-id", name, "add-client", "Anna", who="manager").code == 0
    pending = writing.Pending("reveal", body={"reveal": {"clients": ["0123456789AB"]}})
    with pytest.raises(ConflictError):
        store.commit(pending, store.state.seq, name, NOW)


def test_a_commit_that_cannot_be_trusted_is_named_with_its_file_and_its_signer(company: Company) -> None:
    made = company.append("analyst", add=(entry(company.book("manager"), "clients"),))
    result = company.crmcli("list", "clients")
    assert (result.code, f"commit {made.seq} cannot be trusted" in result.err) == (13, True)
    assert f"it is log/{log.loose_name(made.seq)}, signed by {company.identity('analyst').member}" in result.err
    (company.log / log.loose_name(made.seq)).write_bytes(made.sealed(company.identity("lead").keys))
    assert "signed by no member" in company.crmcli("list", "clients").err


def test_a_product_that_is_there_twice_is_not_in_two_books(company: Company) -> None:
    for _ in range(2):
        rows = TABLES["products"].to_arrow([Product(7, "Tea")])
        company.append("manager", add=(company.seal("manager", company.company_book(), "products", "insert", rows),))
    first, *others = problems(company)
    assert first.startswith("products of book")
    assert "has a row twice" in first
    assert "two books" not in str(others)


def test_operation_repeated_by_its_id_is_done_once(company: Company) -> None:
    op_id = "0123456789abcdef" * 2
    first = company.crmcli("add-client", "Anna", "--op-id", op_id)
    again = company.crmcli("add-client", "Anna", "--op-id", op_id)
    assert (first.code, again.code) == (0, 0)
    assert "nothing to do" in again.err
    assert again.out == ""
    assert company.names() == ["Anna"]


def test_files_that_vanish_before_the_commit_do_not_get_into_it(company: Company) -> None:
    """A collection of orphans by a wrong clock may come between the files and the commit that names them."""
    from crmcli.errors import OvertakenError
    from crmcli.storage import writing

    store = company.open()
    real = writing._write_files

    def robbed(*arguments: object) -> object:
        entries = real(*arguments)  # type: ignore[arg-type]
        for made in entries:
            store.reader.path(made.file_id).unlink()
        return entries

    session = company.session()
    writing._write_files = robbed  # type: ignore[assignment]
    try:
        with pytest.raises(OvertakenError), session.writing() as draft:
            from crmcli.model.records import Staff

            draft.put(Staff(1, "Bob"))
    finally:
        writing._write_files = real
    assert problems(company) == []
