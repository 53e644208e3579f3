"""A store that version 1 of the format left behind opens for ever: every kind of commit and file is in it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from crmcli.storage import log
from crmcli.storage.log import KINDS, Commit
from crmcli.storage.tables import TABLES
from tests.storage.company import Company, problems

FROZEN = Path(__file__).parents[1] / "stores" / "v1"


@pytest.fixture
def frozen(tmp_path: Path) -> Company:
    """The frozen store and its members, copied, each member at a machine that never saw it."""
    company = Company(tmp_path)
    shutil.copytree(FROZEN / "store", company.root)
    company.root.chmod(0o700)
    for identity in (FROZEN / "identities").iterdir():
        company.home(identity.stem).mkdir(parents=True)
        shutil.copy(identity, company.home(identity.stem) / "identity.json")
    return company


@pytest.mark.parametrize("who", ["admin", "manager", "analyst"])
def test_every_row_reads_as_it_did(frozen: Company, who: str) -> None:
    expected = json.loads((FROZEN / "expected.json").read_text(encoding="utf-8"))[who]
    reader = frozen.open(who).reader
    for name, table in TABLES.items():
        rows = [plain(row) for row in reader.merged(name).to_pylist()]
        assert sorted(rows, key=lambda row: str(row[table.key])) == expected.get(name, [])


def plain(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: cell if cell is None or isinstance(cell, (int, str, bool, list)) else str(cell)
        for name, cell in row.items()
    }


def test_it_holds_every_kind_of_commit_and_file(frozen: Company) -> None:
    commits = [Commit.parse(raw.partition(b"\n")[0]) for _, raw in log.read_from(frozen.log, 1)]
    # Looking at a client is recorded since the version after.
    assert {commit.type for commit in commits} == set(log.BODIES) - {"reveal"}
    assert {entry.kind for entry in frozen.open().state.live.values()} == set(KINDS)
    assert log.listing(frozen.log)[1]


def test_it_verifies_and_goes_on(frozen: Company) -> None:
    assert problems(frozen) == []
    assert frozen.crmcli("log-call", "Анна", "out", "--said", "again").code == 0
    assert frozen.crmcli("add-client", "New", who="manager").code == 0
    assert frozen.crmcli("list", "clients", who="leaver").code == 15
    assert problems(frozen) == []
