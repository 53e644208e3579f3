"""A backup that is not what it should be raises an alarm, and one that is raises none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from crmcli.storage import upkeep
from tests.storage.company import Company, Result
from tests.storage.test_backups import DAY, age, backed_up, flip, grow, objects, ok, rows, some_file


@pytest.fixture
def place(company: Company) -> Path:
    grow(company)
    return company.folder / "backups"


def status(company: Company, *arguments: str) -> Result:
    company.home("nobody").mkdir(exist_ok=True)
    return company.crmcli("backup", "status", *arguments, who="nobody")


@pytest.mark.parametrize("check", ["verify --deep", "drill", "verify", "verify --subset 1/1"])
def test_what_failed_its_last_check_is_not_verified_any_more(company: Company, place: Path, check: str) -> None:
    [made] = backed_up(company)
    rows(company, "backup", "verify", "--deep")
    assert status(company).code == 0
    path = objects(place)[some_file(company)[1]]
    good = path.read_bytes()
    if check == "verify":
        path.unlink()
    else:
        flip(path)
    later = replace(company, now=company.now + DAY)
    assert later.crmcli("backup", *check.split(), who="nobody").code == 13
    [row] = rows(later, "backup", "status", code=6)
    assert (row["verified"], row["state"]) == (None, "attention")
    assert row["found"] == f"snapshot {made['snapshot']} failed its last check, on 2026-03-03"
    [listed] = rows(later, "backup", "list")
    assert (listed["state"], listed["verified_at"]) == ("failed", None)
    hint = status(later).err.splitlines()[1].removeprefix("crmcli: hint: crmcli ")
    path.unlink(missing_ok=True)
    path.write_bytes(good)
    # Only a check that reads every byte takes that back.
    rows(later, "backup", "verify")
    assert status(later).code == 6
    ok(later, *hint.split(), who="nobody")
    assert status(later).code == 0
    assert rows(later, "backup", "list")[0]["state"] == "whole"


def test_an_older_snapshot_that_fails_its_check_is_named_until_it_goes(
    company: Company, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [first] = backed_up(company)
    then = {entry.sha256 for entry in company.open().entries()}
    monkeypatch.setattr(upkeep, "MANY", 1)
    later = replace(company, now=company.now + DAY)
    grow(later, 2)
    [newest] = backed_up(later)
    only_old = then - {entry.sha256 for entry in later.open().entries()}
    flip(objects(place)[min(only_old)])
    assert later.crmcli("backup", "verify", "--deep", who="nobody").code == 13
    assert status(later).code == 6
    assert f"snapshot {first['snapshot']} failed its last check" in status(later).err
    states = {row["snapshot"]: (row["state"], row["verified_at"]) for row in rows(later, "backup", "list")}
    assert states[first["snapshot"]] == ("failed", None)
    assert states[newest["snapshot"]][0] == "whole"
    assert states[newest["snapshot"]][1]
    age(place)
    flip(objects(place)[min(only_old)])
    ok(later, "backup", "verify", "--deep", who="nobody")
    assert status(later).code == 0
