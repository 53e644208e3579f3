"""Three members as three Unix users on one folder: everybody writes, anybody tidies up, nobody locks the others out."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from itertools import count, cycle, islice
from pathlib import Path

import pytest

from crmcli.storage import log
from tests.team.office import CROWDED, GROUP, USERS, Office, opened

MEMBERS = ("ada", "boris", "clara")


@pytest.fixture(scope="module")
def office() -> Iterator[Office]:
    with opened() as office:
        yield office


@pytest.fixture
def book(office: Office) -> dict[str, set[str]]:
    """Whose clients there are, by the name of their owner."""
    return {who: office.clients(who) for who in ("boris", "clara")} | {"ada": set()}


_numbers = count(1)


def add(office: Office, who: str, program: tuple[str, ...] = ("-m", "crmcli")) -> str:
    name = f"Client {next(_numbers)} of {who}"
    office.done("add-client", name, "--note", "tea", who=who, program=program)
    return name


def check_modes(office: Office) -> dict[int, int]:
    """Check that every file and folder is the group's alone to read and write; count the files by their owner."""
    owners: dict[int, int] = defaultdict(int)
    for path in (office.root, *office.root.rglob("*")):
        status = path.lstat()
        assert status.st_gid == GROUP.gr_gid, path
        assert stat.S_IMODE(status.st_mode) == (0o2770 if path.is_dir() else 0o660), path
        owners[status.st_uid] += path.is_file()
    return owners


def test_everybody_writes_and_everything_is_the_groups(office: Office, book: dict[str, set[str]]) -> None:
    for who in MEMBERS:
        before = check_modes(office)[USERS[who]]
        name = add(office, who)
        office.done("log-call", name, "out", "--said", "wants tea", who=who)
        office.done("advance-stage", name, who=who)
        assert check_modes(office)[USERS[who]] > before
        book[who].add(name)
    for who in ("boris", "clara"):
        assert office.clients(who) == book[who]
    assert office.clients("ada") >= set().union(*book.values())


@pytest.mark.parametrize("tidy", MEMBERS)
def test_after_anybody_tidied_up_the_others_read_and_write(
    office: Office, book: dict[str, set[str]], tidy: str
) -> None:
    for who in islice(cycle(("boris", "clara")), 4):
        book[who].add(add(office, who))
    loose, live = {path.name for path in office.log.glob("*.json")}, files(office)
    for _ in range(4):
        # Enough for a compaction, for a segment, and for the removal of what the compaction replaced.
        name = add(office, tidy, CROWDED)
        book[tidy].add(name)
        office.done("gc", who=tidy, program=CROWDED)
    assert live - files(office), "nothing was compacted and removed"
    assert loose - {path.name for path in office.log.glob("*.json")}, "nothing was packed"
    assert any(path.stat().st_uid == USERS[tidy] for path in office.log.glob("*.jsonl"))
    check_modes(office)
    for who in MEMBERS:
        book[who].add(name := add(office, who))
        office.done("log-call", name, "in", who=who)
        office.done("show", name, who=who)
        assert office.run("report", "funnel", who=who).code == 0
    for who in ("boris", "clara"):
        assert office.clients(who) == book[who]
    assert "problems                0" in office.done("verify")


def files(office: Office) -> set[str]:
    return {path.name for path in office.root.rglob("*.parquet")}


def test_lock_holds_between_users(office: Office, book: dict[str, set[str]]) -> None:
    before = commits(office)
    with office.process("flock", str(office.root / "lock"), "sh", "-c", "echo held; sleep 2", who="clara") as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with office.start("add-client", "Patient", who="boris") as waiting:
            with pytest.raises(subprocess.TimeoutExpired):
                waiting.wait(0.8)
            assert commits(office) == before
            waiting.communicate(timeout=20)
            assert waiting.returncode == 0
    assert office.clients("boris") == book["boris"] | {"Patient"}


def test_all_at_once_lose_nothing(office: Office, book: dict[str, set[str]]) -> None:
    started = [
        (who, f"At once {who} {n}", office.start("add-client", f"At once {who} {n}", who=who, program=CROWDED))
        for n in range(3)
        for who in MEMBERS
    ]
    for who, name, process in started:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, (name, err)
        book[who].add(name)
    for who in ("boris", "clara"):
        assert office.clients(who) == book[who]
    assert office.clients("ada") >= book["ada"]
    check_modes(office)
    assert "problems                0" in office.done("verify")


def can_read(office: Office, path: Path, who: str) -> bool:
    """Say whether a user may read a file."""
    with office.process("cat", str(path), who=who) as process:
        process.communicate(timeout=10)
    return process.returncode == 0


def commits(office: Office) -> int:
    return max(seq for seq, _ in log.read_from(office.log, 1))


def test_one_user_sees_nothing_of_another(office: Office) -> None:
    office.done("add-client", "Zqx Marker", "--phone", "+79167773142", "--email", "zqx@example.com", who="boris")
    [client] = json.loads(office.done("find", "zqx", "--format", "json", who="boris"))
    for guess in ("Zqx Marker", client["client_id"], client["client_id"][:6], "8 916 777-31-42", "zqx@example.com"):
        for command in (("show", guess), ("find", guess), ("history", guess), ("log-call", guess, "in")):
            result = office.run(*command, who="clara")
            assert (result.code, result.out) == (3, ""), (command, result)
    identity = office.home("boris") / "identity.json"
    assert not can_read(office, identity, "clara")


def test_a_user_outside_the_group_reads_nothing(office: Office) -> None:
    # The ways are open, so that it is the modes of the store itself that are tried.
    office.root.parent.chmod(0o755)
    assert not can_read(office, office.home("ada") / "identity.json", "stranger")
    for path in (office.root / "genesis.json", *islice(office.root.rglob("*.parquet"), 3), *office.log.iterdir()):
        assert not can_read(office, path, "stranger")
    for command in (("list", "clients"), ("verify",), ("identity", "card"), ("add-client", "Eve")):
        result = office.run(*command, who="stranger")
        assert result.code != 0
        assert result.out == ""
        assert result.err.startswith("crmcli: error: ")
        assert result.err.count("\n") <= 2
        assert "unforeseen" not in result.err


def test_a_store_without_a_group_is_one_users_alone(office: Office) -> None:
    store = office.home("clara") / "own"
    own = ("--store", str(store), "--identity", f"{store}.json", "init", "--company", "Own", "--no-passphrase")
    nameless = office.run(*own, who="clara")
    assert (nameless.code, nameless.err.split("\n")[0]) == (2, "crmcli: error: your account here has no name")
    assert not store.exists()
    office.done(*own, "--admin", "Clara", who="clara")
    for path in (store, *store.rglob("*")):
        assert stat.S_IMODE(path.lstat().st_mode) == (0o700 if path.is_dir() else 0o600), path
        assert path.lstat().st_uid == USERS["clara"]


def test_a_group_that_is_not_there_is_told(office: Office) -> None:
    place = str(office.home("ada") / "more")
    options = ("--store", place, "--identity", f"{place}.json", "--admin", "Ada", "--no-passphrase", "--group", "zqx")
    result = office.run("init", "--company", "More", *options)
    assert (result.code, result.err.split("\n")[0]) == (2, "crmcli: error: there is no Unix group zqx")
    assert not os.path.lexists(place)
    assert not os.path.lexists(f"{place}.json")
