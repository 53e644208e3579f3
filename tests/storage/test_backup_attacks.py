"""Whoever can write to the place of backups: what they plant is found out, restores nothing, and removes nothing."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from crmcli.storage.backups import lineage
from tests.storage.company import Company
from tests.storage.test_backups import DAY, age, backed_up, grow, objects, ok, rows, tree

Document = dict[str, Any]


def plant(place: Path, document: Document, stamp: str | None = None) -> str:
    """Put a snapshot into a place, named as it has to be."""
    raw = json.dumps(document, separators=(",", ":")).encode() + b"\n"
    at = datetime.fromisoformat(stamp or document["made_at"])
    name = f"{at:%Y%m%dT%H%M%SZ}-{hashlib.sha256(raw).hexdigest()[:12]}"
    (place / "snapshots" / f"{name}.json").write_bytes(raw)
    return name


def newest(place: Path) -> Document:
    path = max((place / "snapshots").iterdir())
    found: Document = json.loads(path.read_bytes())
    return found


def stamped(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S.%fZ}"


@pytest.fixture(scope="module")
def month(founded: Company, tmp_path_factory: pytest.TempPathFactory) -> Company:
    """A company with four weeks of backups, one a day."""
    company = Company(Path(shutil.copytree(founded.folder, tmp_path_factory.mktemp("month") / "company")))
    for days in range(28):
        now = replace(company, now=company.now + days * DAY)
        if days % 3 == 0:
            grow(now)
        backed_up(now)
    age(company.folder / "backups")
    return company


def fake_head(place: Path, at: datetime) -> Document:
    return newest(place) | {"made_at": stamped(at), "head": "0" * 64}


def fake_number(place: Path, at: datetime) -> Document:
    document = newest(place)
    log = [[1, document["seq"] + 9, *document["log"][0][2:]]]
    return document | {"made_at": stamped(at), "seq": document["seq"] + 9, "log": log}


def an_old_state(place: Path, at: datetime) -> Document:
    first: Document = json.loads(min((place / "snapshots").iterdir()).read_bytes())
    return first | {"made_at": stamped(at)}


def the_newest_state(place: Path, at: datetime) -> Document:
    return newest(place) | {"made_at": stamped(at)}


@pytest.mark.parametrize("fake", [fake_head, fake_number, an_old_state, the_newest_state])
@pytest.mark.parametrize("step", [timedelta(minutes=20), 7 * DAY, -7 * DAY], ids=["today", "future", "past"])
def test_52_planted_snapshots_cost_nothing_genuine(
    month: Company, tmp_path: Path, fake: Callable[[Path, datetime], Document], step: timedelta
) -> None:
    company = Company(Path(shutil.copytree(month.folder, tmp_path / "company")))
    place = company.folder / "backups"
    now = replace(company, now=company.now + 27 * DAY + timedelta(hours=20))
    backed_up(now)
    age(place)
    keep = ("--keep-days", "2", "--keep-weekly", "3")
    stay = {row["snapshot"] for row in rows(now, "backup", "forget", *keep) if row["fate"] == "stays"}
    assert 3 < len(stay) < 10
    # The last genuine one but one ends its day, week and month, unless a planted one does.
    start = company.now + 26 * DAY
    planted = {plant(place, fake(place, start + n * step)) for n in range(1, 53)}
    age(place)
    before = tree(place / "objects")
    # A state that was the store's within a day of then is as good as a genuine backup.
    harmless = fake is the_newest_state and step == timedelta(minutes=20)
    assert now.crmcli("backup", "verify", who="nobody").code == (0 if harmless else 6)
    assert now.crmcli("backup", "status", who="nobody").code == 6 or harmless
    fates = rows(now, "backup", "forget", *keep)
    assert {row["snapshot"] for row in fates if row["reason"].startswith("left alone")} <= planted
    result = now.crmcli("backup", "forget", *keep, "--yes", who="nobody")
    assert result.code == 0, result
    left = {row["snapshot"] for row in rows(now, "backup", "list")}
    assert stay <= left
    for name in sorted(stay)[::3]:
        ok(now, "restore", name, "--to", str(company.folder / name), "--exact")
    assert tree(place / "objects").keys() <= before.keys()
    # The next backup is none the worse for it, and what was planted can be removed by name.
    later = replace(now, now=now.now + timedelta(hours=1))
    [made] = backed_up(later)
    ok(later, "restore", made["snapshot"], "--to", str(company.folder / "last"), "--exact")
    strange = planted & left
    assert strange or harmless
    for name in sorted(strange)[:2]:
        ok(later, "backup", "forget", name, "--yes")
        assert name not in {row["snapshot"] for row in rows(later, "backup", "list")}


def test_nothing_is_swept_while_a_snapshot_cannot_be_read(company: Company) -> None:
    place = company.folder / "backups"
    grow(company)
    backed_up(company)
    later = replace(company, now=company.now + DAY)
    grow(later)
    backed_up(later)
    age(place)
    piece = newest(place)["log"][-1][2]
    path = place / "objects" / piece[:2] / piece
    raw = bytearray(path.read_bytes())
    raw[100] ^= 1
    path.write_bytes(raw)
    age(place)
    before = tree(place / "objects")
    result = later.crmcli("backup", "forget", "--yes", who="nobody")
    assert "only erased files go" in result.err
    assert tree(place / "objects") == before
    assert later.crmcli("backup", "verify", "--deep", "--repair", who="nobody").code == 0
    assert rows(later, "backup", "verify", "--deep")[0]["problems"] == 0


def with_path(document: Document, text: str) -> Document:
    return document | {"log": [[1, document["seq"], text, document["log"][0][3]]]}


HOSTILE: dict[str, Callable[[Document], Document]] = {
    "a path upwards": lambda d: with_path(d, "../../../../etc/passwd"),
    "an absolute path": lambda d: with_path(d, "/etc/passwd"),
    "a path in the inbox": lambda d: d | {"inbox": [[0, 0, "../" * 21 + "a", 1]]},
    "a lost file that is a path": lambda d: d | {"lost": ["../" * 21 + "a"]},
    "a piece of a gigabyte": lambda d: d | {"log": [[1, d["seq"], "0" * 64, 1 << 30]]},
    "ten thousand million commits": lambda d: d | {"seq": 10**10, "log": [[1, 10**10, d["log"][0][2], d["log"][0][3]]]},
    "a million drops": lambda d: d | {"inbox": [[0, 0, "0" * 64, 1]] * 50_000},
    "a log with a gap": lambda d: d | {"log": [[2, d["seq"], *d["log"][0][2:]]]},
    "a log backwards": lambda d: d | {"log": [[1, 0, *d["log"][0][2:]], [1, d["seq"], *d["log"][0][2:]]]},
    "a float": lambda d: d | {"files": 1.5},
    "one more field": lambda d: d | {"more": 1},
    "another format": lambda d: d | {"format": "crmcli-backup/2"},
    "another store": lambda d: d | {"genesis": "0" * 64},
    "no time": lambda d: d | {"head_at": "yesterday"},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_snapshot_restores_nothing(company: Company, name: str) -> None:
    place = company.folder / "backups"
    grow(company)
    backed_up(company)
    document = HOSTILE[name](newest(place))
    shutil.rmtree(place / "snapshots")
    (place / "snapshots").mkdir()
    planted = plant(place, document)
    target = company.folder / "target"
    for arguments in (("restore", planted, "--to", str(target), "--exact"), ("restore", "latest", "--to", str(target))):
        result = company.crmcli(*arguments)
        assert result.code in (3, 13), result
        assert result.err.count("\n") <= 2
    for command in ("verify", "drill", "status", "forget", "list", "show"):
        result = company.crmcli("backup", command, who="nobody")
        assert result.code in (0, 3, 6, 13), result
    assert not target.exists()
    assert not list(company.folder.glob(".target*"))


@pytest.mark.parametrize("kind", ["snapshots", "objects", "an object", "genesis.json"])
def test_links_in_a_backup_lead_nowhere(company: Company, kind: str) -> None:
    place = company.folder / "backups"
    grow(company)
    backed_up(company)
    elsewhere = company.folder / "elsewhere"
    path = next((place / "objects").glob("??/*")) if kind == "an object" else place / kind
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    target = company.folder / "target"
    result = company.crmcli("restore", "latest", "--to", str(target))
    assert result.code in (3, 13), result
    assert not target.exists()


def test_a_restore_writes_into_a_new_or_empty_folder_only(company: Company) -> None:
    grow(company)
    backed_up(company)
    target = company.folder / "target"
    target.mkdir()
    (target / "mine").write_text("mine")
    assert company.crmcli("restore", "latest", "--to", str(target)).code == 4
    assert tree(target) == {"mine": b"mine"}
    (target / "mine").unlink()
    link = company.folder / "link"
    link.symlink_to(target)
    assert company.crmcli("restore", "latest", "--to", str(link)).code == 2
    assert list(target.iterdir()) == []
    ok(company, "restore", "latest", "--to", str(target))
    assert company.crmcli("restore", "latest", "--to", str(target)).code == 4
    # What one left that was cut short is no obstacle.
    (company.folder / ".again.restoring" / "files").mkdir(parents=True)
    (company.folder / ".again.restoring" / "files" / "x").write_text("x")
    ok(company, "restore", "latest", "--to", str(company.folder / "again"), "--exact")
    assert "files/x" not in tree(company.folder / "again")
    # What somebody else put there is not removed, and nothing is written among the backups.
    (company.folder / ".third.restoring").mkdir()
    (company.folder / ".third.restoring" / "mine").write_text("mine")
    assert company.crmcli("restore", "latest", "--to", str(company.folder / "third"), "--exact").code == 4
    assert tree(company.folder / ".third.restoring") == {"mine": b"mine"}
    inside = company.folder / "backups" / "objects" / "new"
    assert company.crmcli("restore", "latest", "--to", str(inside), "--exact").code == 2
    assert not inside.exists()


def test_a_log_with_millions_of_files_is_refused(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    grow(company)
    backed_up(company)
    monkeypatch.setattr(lineage, "MOST_FILES", 3)
    target = company.folder / "target"
    result = company.crmcli("restore", "latest", "--to", str(target))
    assert result.code == 13
    assert "more files than a store can have" in result.err
    assert not target.exists()


def test_backups_of_another_store_are_left_alone(company: Company, tmp_path: Path) -> None:
    grow(company)
    backed_up(company)
    other = Company(tmp_path / "other")
    other.home("admin").mkdir(parents=True)
    ok(other, "init", "--company", "Other", "--admin", "Eve", "--no-passphrase")
    before = tree(company.folder / "backups")
    result = other.crmcli("backup", "--to", str(company.folder / "backups"))
    assert result.code == 14
    assert tree(company.folder / "backups") == before
    for command in ("drill", "verify", "status", "forget"):
        result = other.crmcli("backup", command, "--to", str(company.folder / "backups"))
        assert (result.code, "has backups of another store" in result.err) == (14, True), result
    assert tree(company.folder / "backups") == before
    # Where there is no store, they are nobody else's.
    away = replace(other, folder=tmp_path / "away")
    away.home("nobody").mkdir(parents=True)
    assert rows(away, "backup", "drill", "--to", str(company.folder / "backups"))[0]["ok"] is True
    # Nor is a snapshot of another store believed that is put among one's own.
    backed_up(other)
    for folder in ("objects", "snapshots"):
        shutil.copytree(other.folder / "backups" / folder, company.folder / "backups" / folder, dirs_exist_ok=True)
    assert company.crmcli("backup", "verify", who="nobody").code == 6
    assert company.crmcli("backup", who="nobody").code == 0
    # Nor does the drill of a backup of another store that was put in the place of one's own count for it.
    shutil.rmtree(company.folder / "backups")
    shutil.copytree(other.folder / "backups", company.folder / "backups")
    assert company.crmcli("backup", "drill", who="nobody").code == 14


def test_a_planted_list_of_pieces_does_not_spoil_the_next_backup(company: Company) -> None:
    place = company.folder / "backups"
    grow(company)
    backed_up(company)
    document = newest(place)
    wrong = next(path for path in (place / "objects").glob("??/*") if path.name != document["log"][0][2])
    at = stamped(company.now + timedelta(hours=1))
    piece = [1, document["seq"], wrong.name, wrong.stat().st_size]
    plant(place, document | {"made_at": at, "log": [piece]})
    later = replace(company, now=company.now + timedelta(hours=2))
    [made] = backed_up(later)
    ok(later, "restore", made["snapshot"], "--to", str(company.folder / "copy"), "--exact")


def test_clocks_that_are_years_off_cost_nothing(company: Company) -> None:
    place = company.folder / "backups"
    grow(company)
    names = [backed_up(replace(company, now=company.now + n * DAY))[0]["snapshot"] for n in range(12)]
    age(place)
    back, ahead = (replace(company, now=company.now + days * DAY) for days in (-365, 3650))
    for wrong in (back, ahead):
        names.append(backed_up(wrong)[0]["snapshot"])
        age(place)
        ok(wrong, "backup", "forget", "--yes", who="nobody")
        assert {row["snapshot"] for row in rows(company, "backup", "list")} == set(names)
    right = replace(company, now=company.now + 12 * DAY)
    assert right.crmcli("backup", "status", who="nobody").code == 6
    grow(right)
    backed_up(right)
    ok(right, "backup", "forget", "--yes", who="nobody")
    assert set(names) < {row["snapshot"] for row in rows(company, "backup", "list")}
    verified = rows(right, "backup", "verify", "--deep", code=6)
    assert verified[0]["problems"] == 2


def test_a_clock_that_is_years_off_is_told_of(company: Company) -> None:
    back, ahead = (replace(company, now=company.now + days * DAY) for days in (-365, 3650))

    def backup(now: Company, *more: str) -> str:
        result = now.crmcli("backup", *more, who="nobody")
        assert result.code == 0, result
        return result.err

    def status(now: Company) -> str:
        result = now.crmcli("backup", "status", who="nobody")
        assert result.code in (0, 6), result
        return result.err

    other = ("--to", str(company.folder / "other"))
    told = "this clock says 2025-03-02, and there is a {} of 2026-03-02: if the clock is wrong"
    assert told.format("commit") in backup(back, *other)
    assert "dated before its own newest commit" in company.crmcli("backup", "list", *other).out
    assert backup(company) == ""
    rows(company, "backup", "verify", "--deep")
    for _ in range(2):
        # Also the second time, and on a machine whose clock set back the log's writers.
        grow(back)
        assert told.format("snapshot") in backup(back)
        assert "1 snapshots cannot be what they say, 1 of them dated after what this clock says, 2025-03-02" in status(
            back
        )
    shutil.rmtree(company.folder / "backups")
    assert backup(company, "--anew") == ""
    rows(company, "backup", "verify", "--deep")
    assert "nothing was committed or backed up since 2026-03-02: if the clock" in backup(ahead)
    rows(ahead, "backup", "verify", "--deep")
    assert "is dated more than a year after anything before it: was the clock right" in status(ahead)
    assert "1 snapshots cannot be what they say, 1 of them dated after what this clock says, 2026-03-02" in status(
        company
    )


@pytest.fixture
def rolled(company: Company) -> Company:
    """A company with backups of three days, and two planted ones that bear later dates: its first state again."""
    for days in range(3):
        now = replace(company, now=company.now + days * DAY)
        grow(now)
        backed_up(now)
    place = company.folder / "backups"
    for days in (2, 3650):
        plant(place, an_old_state(place, company.now + days * DAY + timedelta(hours=1)))
    return replace(company, now=company.now + 2 * DAY + timedelta(hours=2))


def test_latest_is_the_latest_genuine_one(rolled: Company) -> None:
    listed = rows(rolled, "backup", "list")
    assert [row["state"].split(":")[0] for row in listed] == ["not genuine", "not genuine", "whole", "whole", "whole"]
    latest = listed[2]["snapshot"]
    result = rolled.crmcli("restore", "latest", "--to", str(rolled.folder / "copy"), "--exact", who="nobody")
    assert result.code == 0, result
    assert result.err.count("passed over") == 2
    assert tree(rolled.folder / "copy" / "log") == tree(rolled.log)
    assert rows(rolled, "backup", "drill")[0]["snapshot"] == latest
    assert latest in ok(rolled, "backup", "show", who="nobody")
    assert latest in ok(rolled, "backup", "pin", "latest", who="nobody")
    assert rows(rolled, "backup", "verify", "latest", "--deep", code=6)[0]["verified"] == latest


def test_what_is_not_genuine_is_restored_only_on_purpose(rolled: Company) -> None:
    for row in rows(rolled, "backup", "list")[:2]:
        target = ("--to", str(rolled.folder / row["snapshot"]), "--exact")
        result = rolled.crmcli("restore", row["snapshot"], *target)
        assert result.code == 13
        assert "is not genuine: it is" in result.err
        assert not (rolled.folder / row["snapshot"]).exists()
        ok(rolled, "restore", row["snapshot"], *target, "--anyway")
        assert "no: it is" in ok(rolled, "backup", "show", row["snapshot"])


def test_what_is_not_genuine_puts_no_backup_off(rolled: Company) -> None:
    due = replace(rolled, now=rolled.now + 7 * DAY)
    plant(rolled.folder / "backups", an_old_state(rolled.folder / "backups", due.now - DAY))
    assert len(rows(due, "backup", "--if-due")) == 1


def test_a_whole_snapshot_alone_puts_a_backup_off(company: Company) -> None:
    place = company.folder / "backups"
    grow(company)
    backed_up(company)
    grow(company)
    other = company.folder / "other"
    later = replace(company, now=company.now + 8 * DAY)
    backed_up(later, other)
    # The newest state, but not its files.
    shutil.copytree(other / "snapshots", place / "snapshots", dirs_exist_ok=True)
    log = newest(place)["log"][-1][2]
    (place / "objects" / log[:2]).mkdir(exist_ok=True)
    shutil.copy(other / "objects" / log[:2] / log, place / "objects" / log[:2] / log)
    assert len(rows(later, "backup", "--if-due")) == 1


def test_of_several_places_the_latest_is_taken_and_a_spoilt_one_passed_over(company: Company) -> None:
    first, second = (company.folder / name for name in ("first", "second"))
    both = ("--from", str(first), "--from", str(second))
    grow(company)
    backed_up(company, first, second)
    grow(company)
    later = replace(company, now=company.now + DAY)
    [made] = backed_up(later, second)
    copy = later.folder / "copy"
    assert made["snapshot"] in ok(later, "restore", "latest", "--to", str(copy), "--exact", *both, who="nobody")
    # An old state, whatever its date, is not later than what goes on from it.
    plant(first, newest(first) | {"made_at": stamped(later.now + timedelta(hours=1))})
    shutil.rmtree(copy)
    assert made["snapshot"] in ok(later, "restore", "latest", "--to", str(copy), "--exact", *both, who="nobody")
    shutil.rmtree(copy)
    backed_up(later, first)
    for path in (first / "objects").glob("??/*"):
        path.write_bytes(b"x" * path.stat().st_size)
    result = later.crmcli("restore", "latest", "--to", str(copy), "--exact", *both, who="nobody")
    assert result.code == 0, result
    assert f"{first}: " in result.err
    assert tree(copy / "log") == tree(company.log)


def garbage(document: Document) -> bytes:
    return b"".join(b"garbage %d\nsignature\n" % number for number in range(document["seq"]))


def an_older_log(document: Document, place: Path) -> bytes:
    """Commits that are genuine, but fewer, the last of them again and again."""
    _, _, digest, _ = document["log"][0]
    lines = (place / "objects" / digest[:2] / digest).read_bytes().splitlines(keepends=True)
    return b"".join(lines[:-2] + lines[-4:-2])


@pytest.mark.parametrize("kind", ["garbage", "an older log"])
def test_the_pieces_of_a_log_are_what_their_head_says(company: Company, kind: str) -> None:
    place = company.folder / "backups"
    grow(company, 2)
    [good] = backed_up(company)
    document = newest(place)
    content = garbage(document) if kind == "garbage" else an_older_log(document, place)
    digest = hashlib.sha256(content).hexdigest()
    (place / "objects" / digest[:2]).mkdir(exist_ok=True)
    (place / "objects" / digest[:2] / digest).write_bytes(content)
    at = stamped(company.now + timedelta(hours=1))
    planted = plant(place, document | {"made_at": at, "log": [[1, document["seq"], digest, len(content)]]})
    later = replace(company, now=company.now + timedelta(hours=2))
    for deep in ((), ("--deep",)):
        result = later.crmcli("backup", "verify", *deep, who="nobody")
        assert (result.code, planted in result.err) == (6, True), result
    assert rows(later, "backup", "drill")[0]["snapshot"] == good["snapshot"]
    for more in ((), ("--exact",), ("--anyway",)):
        result = later.crmcli("restore", planted, "--to", str(company.folder / "copy"), *more)
        assert (result.code, result.err.count("\n")) == (13, 2), result
        assert not (company.folder / "copy").exists()
    assert good["snapshot"] in ok(later, "restore", "latest", "--to", str(company.folder / "copy"), "--exact")
    assert tree(company.folder / "copy" / "log") == tree(company.log)
    age(place)
    ok(later, "backup", "forget", "--yes", "--keep-days", "0", who="nobody")
    assert rows(later, "backup", "list")[-1]["snapshot"] == good["snapshot"]
    later = replace(company, now=company.now + timedelta(hours=3))
    [made] = backed_up(later)
    ok(later, "restore", made["snapshot"], "--to", str(company.folder / "last"), "--exact")


def forked(company: Company, name: str) -> Company:
    """A copy of a company, in which somebody goes on alone."""
    return replace(company, folder=Path(shutil.copytree(company.folder, company.folder.parent / name)))


def put_among(place: Path, planted: Path) -> None:
    for folder in ("objects", "snapshots"):
        shutil.copytree(planted / folder, place / folder, dirs_exist_ok=True)


def test_what_a_removed_admin_goes_on_with_is_not_believed(company: Company) -> None:
    place = company.folder / "backups"
    leaver = company.identity("lead").member
    ok(company, "add-client", "Anna", "--note", "likes tea")
    ok(company, "member", "role", leaver, "admin")
    backed_up(company)
    fork = replace(forked(company, "fork"), now=company.now + 3 * DAY)
    ok(company, "member", "remove", leaver)
    later = replace(company, now=company.now + DAY)
    [good] = backed_up(later)
    fork.forget("lead")
    shutil.rmtree(fork.root)
    ok(fork, "restore", "latest", "--to", str(fork.root), who="lead")
    ok(fork, "erase", "Anna", "--yes", who="lead")
    planted = backed_up(fork)[0]["snapshot"]
    put_among(place, fork.folder / "backups")
    last = replace(company, now=company.now + 4 * DAY)
    assert last.crmcli("backup", "verify", who="nobody").code == 6
    for more in ((), ("--exact",)):
        out = ok(last, "restore", "latest", "--to", str(company.folder / "copy"), *more)
        assert good["snapshot"] in out
        assert "erased again    0" in out
        shutil.rmtree(company.folder / "copy")
    before = objects(place)
    for days in (5, 13, 21, 29, 37, 45):
        backed_up(replace(company, now=company.now + days * DAY))
    age(place)
    much = replace(company, now=company.now + 45 * DAY)
    assert ", 0 of them of erased clients" in much.crmcli("backup", "forget", "--yes", who="nobody").err
    assert before.keys() <= objects(place).keys()
    assert f"tells that {planted}" in much.crmcli("backup", "forget", who="nobody").out
    assert rows(much, "backup", "drill")[0]["snapshot"] > planted
    assert company.names() == ["Anna"]


@pytest.mark.parametrize("days", [1, 3], ids=["before the team's next backup", "after it"])
def test_what_a_member_goes_on_with_alone_stops_no_backup(company: Company, days: int) -> None:
    place = company.folder / "backups"
    grow(company)
    backed_up(company)
    fork = replace(forked(company, "fork"), now=company.now + days * DAY)
    ok(fork, "add-client", "Mine", who="manager")
    ok(fork, "add-client", "Mine too", who="manager")
    backed_up(fork)
    grow(company)
    if days == 3:
        backed_up(replace(company, now=company.now + 2 * DAY))
    put_among(place, fork.folder / "backups")
    last = replace(company, now=company.now + 4 * DAY)
    grow(last)
    result = last.crmcli("backup", who="nobody")
    assert result.code == 0, result
    assert "is no part of this store" in result.err
    assert last.crmcli("backup", "verify", who="nobody").code == 6
    assert last.crmcli("backup", "status", who="nobody").code == 6
    ok(last, "restore", "latest", "--to", str(company.folder / "copy"), "--exact")
    assert tree(company.folder / "copy" / "log") == tree(company.log)


def test_who_puts_an_old_copy_back_and_goes_on_alone_is_stopped(company: Company) -> None:
    grow(company)
    old = forked(company, "old")
    ok(company, "add-client", "Of the manager", who="manager")
    grow(company)
    backed_up(company)
    shutil.rmtree(company.root)
    old.root.rename(company.root)
    company.forget("manager")
    company.forget("nobody")
    ok(company, "add-client", "Again", who="manager")
    assert company.crmcli("backup", who="nobody").code == 14


def test_a_snapshot_that_calls_files_lost_counts_for_nothing_before_a_whole_one(company: Company) -> None:
    place = company.folder / "backups"
    grow(company)
    [good] = backed_up(company)
    rows(company, "backup", "verify", "--deep")
    later = replace(company, now=company.now + DAY)
    grow(later)
    # Of what was there before nothing is lost, for the place has it; of what came since all is.
    backed_up(later, company.folder / "other")
    document = newest(company.folder / "other")
    digests = [entry.sha256 for entry in company.open().entries()]
    log = document["log"][-1][2]
    (place / "objects" / log[:2]).mkdir(exist_ok=True)
    shutil.copy(company.folder / "other" / "objects" / log[:2] / log, place / "objects" / log[:2] / log)
    planted = plant(place, document | {"lost": sorted(digests)})
    missing = len(set(digests) - objects(place).keys())
    assert 0 < missing < len(digests)
    assert rows(later, "backup", "list")[0]["state"] == f"lacks {missing} files"
    result = later.crmcli("backup", "verify", "--deep", who="nobody")
    assert (result.code, f"snapshot {planted} lacks {missing} files" in result.err) == (6, True), result
    assert later.crmcli("backup", "drill", who="nobody").code == 13
    status = rows(later, "backup", "status", code=6)[0]
    assert status["verified"] == rows(company, "backup", "list")[1]["made_at"]
    age(place)
    none = ("--keep-days", "0", "--keep-weekly", "0", "--keep-monthly", "1", "--keep-yearly", "0")
    fates = {row["snapshot"]: row["fate"] for row in rows(later, "backup", "forget", *none)}
    assert fates[good["snapshot"]] == "stays"


def test_restoring_an_older_state_names_what_comes_back_with_it(company: Company) -> None:
    grow(company)
    [old] = backed_up(company)
    gone = company.identity("lead").member
    before = company.open().state.seq
    ok(company, "member", "remove", gone)
    lost = company.open().state.seq - before
    later = replace(company, now=company.now + DAY)
    backed_up(later)
    for where in ("in the store", "in a snapshot"):
        result = later.crmcli("restore", old["snapshot"], "--to", str(company.folder / where))
        assert result.code == 0, result
        assert f"crmcli member remove {gone}" in result.err
        assert f"{lost} commits that were made since are not in it" in result.err
        if where == "in the store":
            company.root.rename(company.folder / "away")


def test_erasures_are_known_from_every_place(company: Company) -> None:
    first, second = (company.folder / name for name in ("first", "second"))
    ok(company, "add-client", "Anna", "--note", "likes tea")
    [old] = backed_up(company, first)
    ok(company, "erase", "Anna", "--yes")
    backed_up(company, second)
    shutil.rmtree(company.root)
    both = ("--from", str(first), "--from", str(second))
    result = company.crmcli("restore", old["snapshot"], "--to", str(company.folder / "copy"), *both, "--exact")
    assert result.code == 15
    out = ok(company, "restore", old["snapshot"], "--to", str(company.folder / "copy"), *both)
    assert "erased again    1" in out
