"""A commit names files that are there, and an operation is done once."""

from __future__ import annotations

import pytest

from tests.storage.company import Company, problems


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
        for entry in entries:
            store.reader.path(entry.file_id).unlink()
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
