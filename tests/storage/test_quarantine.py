"""A file that a member signed and nobody can read is taken out by an admin, and by nobody else; other files stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from crmcli.storage.reading import file_path
from tests.storage.attacks_on_parquet import dictionary_bomb, other_types, raw, smuggled
from tests.storage.company import Company, problems


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
