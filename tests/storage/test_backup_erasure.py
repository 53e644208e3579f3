"""Erasure and backups: copies go after 30 days, and what is restored before that is erased again before it is read."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.storage.company import Company, problems
from tests.storage.test_backups import DAY, age, backed_up, objects, ok, rows, tree


@pytest.fixture
def erased(company: Company) -> Company:
    """A company that was backed up, then had Anna erased, and was backed up again the day after."""
    for name in ("Anna", "Boris"):
        ok(company, "add-client", name, "--note", f"{name} likes tea")
        ok(company, "log-call", name, "out", "--said", f"{name} wants coffee")
    backed_up(company)
    ok(company, "erase", "Anna", "--yes")
    later = replace(company, now=company.now + DAY)
    backed_up(later)
    return later


def names(company: Company, root: Path) -> list[str]:
    """Whom an admin sees in a folder, on a machine that never saw the store."""
    company.forget("admin")
    if company.root.exists():
        company.root.rename(company.folder / f"before {root.name}")
    root.rename(company.root)
    assert problems(company) == []
    return company.names()


def test_an_older_snapshot_is_restored_without_who_was_erased_since(erased: Company) -> None:
    target = erased.folder / "target"
    first = rows(erased, "backup", "list")[-1]["snapshot"]
    before = objects(erased.folder / "backups")
    restored = erased.crmcli("restore", first, "--to", str(target))
    assert restored.code == 0, restored
    assert "erased again    1" in restored.out
    # Not one byte of a file of before is left in it, though the backup still has them.
    gone = {digest for digest, path in before.items() if path.read_bytes() in tree(target).values()}
    personal = [entry.sha256 for entry in erased.open().entries() if entry.group == "personal"]
    assert gone
    assert not any(digest in gone for digest in set(before) - set(personal) - _facts(erased))
    assert names(erased, target) == ["Boris"]
    assert erased.crmcli("show", "Boris").out.count("Boris likes tea") == 1


def _facts(company: Company) -> set[str]:
    """The objects that are no personal files."""
    personal = set()
    for path in sorted(company.log.iterdir()):
        commit = json.loads(path.read_bytes().split(b"\n")[0])
        personal |= {entry["sha256"] for entry in commit["add"] if entry["group"] == "personal"}
    return set(objects(company.folder / "backups")) - personal


@pytest.mark.parametrize("ledger", ["in the store", "in a snapshot"])
def test_who_is_no_admin_restores_no_erased_client(erased: Company, ledger: str) -> None:
    first = rows(erased, "backup", "list")[-1]["snapshot"]
    if ledger == "in the store":
        last = rows(erased, "backup", "list")[0]["snapshot"]
        (erased.folder / "backups" / "snapshots" / f"{last}.json").unlink()
    else:
        shutil.rmtree(erased.root)
    for who, more in (("manager", ()), ("nobody", ()), ("admin", ("--exact",))):
        target = erased.folder / "target"
        result = erased.crmcli("restore", first, "--to", str(target), *more, who=who)
        assert result.code == 15, result
        assert not target.exists()
    restored = erased.crmcli("restore", first, "--to", str(erased.folder / "target"))
    assert restored.code == 0, restored
    assert "erased again    1" in restored.out


def test_copies_of_erased_clients_go_after_30_days(erased: Company) -> None:
    place = erased.folder / "backups"
    before = objects(place)
    for days in (9, 17, 25):
        backed_up(replace(erased, now=erased.now + days * DAY))
    age(place)
    early = replace(erased, now=erased.now + 28 * DAY)
    ok(early, "backup", "forget", "--yes")
    assert set(before) <= set(objects(place))
    late = replace(erased, now=erased.now + 30 * DAY)
    assert "of erased clients" in late.crmcli("backup", "forget", who="nobody").err
    assert set(before) <= set(objects(place))
    result = late.crmcli("backup", "forget", "--yes", who="nobody")
    assert result.code == 0, result
    gone = set(before) - set(objects(place))
    assert gone
    assert not gone & _facts(late)
    # That is no damage: older snapshots keep the facts, and say so.
    found = rows(late, "backup", "verify", "--deep")[0]
    assert (found["problems"], found["erased"]) == (0, len(gone))
    first = rows(late, "backup", "list")[-1]["snapshot"]
    assert late.crmcli("restore", first, "--to", str(late.folder / "target"), "--exact").code == 15
    restored = late.crmcli("restore", first, "--to", str(late.folder / "target"))
    assert restored.code == 0, restored
    assert "facts remain" in restored.err
    # Boris is in files of his own, which nobody was erased from.
    assert names(late, late.folder / "target") == ["Boris"]
    assert len(late.view().records("activities")) == 2


def test_a_drop_in_which_an_erased_client_may_be_is_not_restored(company: Company) -> None:
    drops = {hashlib.sha256(content).hexdigest(): content for content in (b"taken in", b"waiting")}
    taken, waiting = drops
    for name, content in drops.items():
        (company.root / "inbox" / f"{name}.drop").write_bytes(content)
    ok(company, "add-client", "Anna")
    first = backed_up(company)[0]["snapshot"]
    (company.root / "inbox" / f"{taken}.drop").unlink()
    later = replace(company, now=company.now + DAY)
    backed_up(later)
    ok(company, "restore", first, "--to", str(company.folder / "before"))
    assert set(tree(company.folder / "before" / "inbox")) == {f"{name}.drop" for name in drops}
    ok(company, "erase", "Anna", "--yes")
    for target in ("the store knows", "a snapshot knows"):
        restored = later.crmcli("restore", first, "--to", str(company.folder / target))
        assert restored.code == 0, restored
        assert "1 drops were left out" in restored.err
        assert set(tree(company.folder / target / "inbox")) == {f"{waiting}.drop"}
        if target == "the store knows":
            backed_up(replace(company, now=company.now + 2 * DAY))
            shutil.rmtree(company.root)
    age(company.folder / "backups")
    ok(later, "backup", "forget", "--yes", who="nobody")
    assert taken not in objects(company.folder / "backups")
    assert waiting in objects(company.folder / "backups")
    assert rows(later, "backup", "verify", "--deep")[0]["problems"] == 0


def test_a_newer_snapshot_is_restored_whole(erased: Company) -> None:
    target = erased.folder / "target"
    ok(erased, "restore", "latest", "--to", str(target), "--exact", who="nobody")
    assert names(erased, target) == ["Boris"]


@pytest.mark.parametrize("days", [3650, -365])
def test_a_clock_that_is_years_off_removes_no_erased_file_before_its_time(erased: Company, days: int) -> None:
    place = erased.folder / "backups"
    wrong = replace(erased, now=erased.now + days * DAY)
    before = objects(place)
    for made in (False, True):
        if made:
            backed_up(wrong)
        age(place)
        ok(wrong, "backup", "forget", "--yes", who="nobody")
        assert before.keys() <= objects(place).keys()
    right = replace(erased, now=erased.now + 2 * DAY)
    backed_up(right)
    for snapshot in rows(right, "backup", "list")[1:]:
        if snapshot["state"] == "whole":
            target = erased.folder / snapshot["snapshot"]
            assert right.crmcli("restore", snapshot["snapshot"], "--to", str(target)).code == 0
