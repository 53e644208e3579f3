"""Many processes at once: nothing lost, nothing doubled, no reader disturbed."""

from __future__ import annotations

import subprocess
import threading
import time
from dataclasses import replace

import pytest

from crmcli.errors import OvertakenError
from crmcli.model.records import Client, Contact
from crmcli.storage import log, upkeep
from crmcli.storage.finding import refuse_known
from crmcli.storage.memory import Memory
from tests.storage.company import NOW, Company, problems

WRITERS = 8
SAME_PHONE = "+79160000000"
# One process after another by each writer, as a shell would start them.
PROGRAM = """
import subprocess, sys
for arguments in sys.argv[1:]:
    done = subprocess.run([sys.executable, "-m", "crmcli", *arguments.split("|")], capture_output=True, text=True)
    print(done.returncode, arguments.split("|")[1], done.stderr.replace("\\n", " "), sep="\\t")
"""


def outcomes(process: subprocess.Popen[str]) -> list[tuple[int, str, str]]:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    lines = [line.split("\t") for line in out.splitlines()]
    return [(int(code), name, talk) for code, name, talk in lines]


@pytest.mark.parametrize("each", [4, pytest.param(12, marks=pytest.mark.soak)])
def test_writers_at_once_lose_and_double_nothing(company: Company, each: int) -> None:
    writers = []
    for n in range(WRITERS):
        commands = [f"add-client|Client {n}-{i}|--phone|+7916{n:03}{i:04}" for i in range(1, each)]
        commands.insert(each // 2, f"add-client|Same {n}|--phone|{SAME_PHONE}")
        writers.append(company.start("-c", PROGRAM, *commands, program=()))
    done = threading.Event()
    read: list[list[str]] = []
    failures: list[BaseException] = []

    def look() -> None:
        while not done.wait(0.05):
            try:
                read.append(company.names())
            except BaseException as error:  # noqa: BLE001 - told to the test
                failures.append(error)
                return

    reader = threading.Thread(target=look)
    reader.start()
    try:
        results = [outcome for writer in writers for outcome in outcomes(writer)]
    finally:
        done.set()
        reader.join()
    assert failures == []
    same = [(code, name) for code, name, _ in results if name.startswith("Same")]
    assert sorted(code for code, _ in same) == [0] + [4] * (WRITERS - 1), results
    assert {code for code, name, _ in results if name.startswith("Client")} == {0}, results
    saved = sorted(name for code, name, _ in results if code == 0)
    assert company.names() == saved
    # Whoever read saw only what was there, and never less than before.
    assert all(set(earlier) <= set(later) for earlier, later in zip(read, [*read[1:], saved], strict=True))
    assert problems(company) == []


def test_writers_of_different_books_go_on_while_the_log_is_packed(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "LOOSE", 3)
    monkeypatch.setattr(log, "SEGMENT", 4)
    members = ("admin", "manager", "colleague", "lead")
    writers = [
        company.start("-c", PROGRAM, *(f"add-client|{who} {i}" for i in range(5)), program=(), who=who)
        for who in members
    ]
    while any(writer.poll() is None for writer in writers):
        store = company.open("service")
        with store.lock():
            log.pack(company.log, store.file_mode)
    assert [code for writer in writers for code, _, _ in outcomes(writer)] == [0] * 20
    assert len(log.listing(company.log)[1]) > 4
    assert company.names() == sorted(f"{who} {i}" for who in members for i in range(5))
    company.forget("admin")
    assert problems(company) == []


def test_two_who_read_the_same_record_do_not_overwrite_one_another(company: Company) -> None:
    company.crmcli("add-client", "Anna")
    first, second = company.session(), company.session()
    with pytest.raises(OvertakenError), first.writing() as mine:
        [client] = mine.records("clients")
        with second.writing() as theirs:
            theirs.put(replace(theirs.records("clients")[0], archived=True))
        mine.put(replace(client, do_not_contact=True))
    [client] = company.view().records("clients")
    assert (client.archived, client.do_not_contact) == (True, False)


@pytest.mark.parametrize("options", [(), ("--to", "discovery"), ("--won", "100"), ("--lost", "price")])
def test_deal_that_is_moved_at_once_by_several_moves_once(company: Company, options: tuple[str, ...]) -> None:
    def files() -> int:
        return len(list((company.root / "files").rglob("*.parquet")))

    for name in ("Anna", "Boris"):
        assert company.crmcli("add-client", name).code == 0
    before = files()
    assert company.crmcli("advance-stage", "Boris", *options).code == 0
    start, each = files(), files() - before
    with company.open().lock():
        moving = [company.start("advance-stage", "Anna", *options) for _ in range(3)]
        # Each has read the deal when its files are there.
        while files() - start < 3 * each:
            assert all(process.poll() is None for process in moving)
            time.sleep(0.05)
    ended = [(process.communicate(timeout=30)[1], process.returncode) for process in moving]
    assert sorted(code for _, code in ended) == [0, 4, 4]
    assert sum("somebody moved the deal meanwhile: it is" in err for err, _ in ended) == 2
    changes = company.view().records("stage_changes")
    # Of both deals, the opening and the move.
    assert len(changes) == 4
    assert len(company.view().records("sales")) == 2 * (options[:1] == ("--won",))


def test_pin_never_goes_back(company: Company) -> None:
    behind = company.open()
    company.crmcli("add-client", "Anna")
    ahead = company.open()
    assert behind.state.seq < ahead.state.seq
    behind.memory.set_pin(behind.state.seq, behind.state.hash)
    assert ahead.memory.pin() == (ahead.state.seq, ahead.state.hash)


def test_pin_never_goes_back_however_many_put_it_forward(company: Company) -> None:
    """One who is behind may have looked before, and write after, one who is ahead."""
    start = company.open().state.seq
    failures: list[BaseException] = []

    def put_forward(memory: Memory, first: int, seen: list[int]) -> None:
        try:
            for seq in range(start + first, start + 120, 4):
                memory.set_pin(seq, f"{seq:064}")
                pin = memory.pin()
                assert pin is not None
                assert pin[0] >= seq
                seen.append(pin[0])
        except BaseException as error:  # noqa: BLE001 - told to the test
            failures.append(error)

    memories = [company.open().memory for _ in range(4)]
    seen: list[list[int]] = [[] for _ in memories]
    writers = [
        threading.Thread(target=put_forward, args=(memory, at, seen[at - 1])) for at, memory in enumerate(memories, 1)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert failures == []
    assert [len(one) for one in seen] == [30, 30, 30, 29]
    assert all(one == sorted(one) for one in seen)
    assert memories[0].pin() == (start + 119, f"{start + 119:064}")


def test_answer_that_somebody_else_made_wrong_is_not_saved(company: Company) -> None:
    """Both find the phone free before either saves: the second to save must look again."""
    first, second = company.session(), company.session()
    with pytest.raises(OvertakenError), first.writing() as mine:
        refuse_known(mine, Contact(1, "Anna", phones=(SAME_PHONE,)))
        with second.writing() as theirs:
            refuse_known(theirs, Contact(2, "Boris", phones=(SAME_PHONE,)))
            theirs.put(Client(2, NOW, 1, 1), Contact(2, "Boris", phones=(SAME_PHONE,)))
        mine.put(Contact(1, "Anna", phones=(SAME_PHONE,)))
    assert company.names() == ["Boris"]
    assert problems(company) == []


def test_gc_is_not_disturbed_by_files_that_come_and_go(company: Company) -> None:
    """Writers need no lock to write their files, move them into place, or remove them again."""
    places = [company.root / "tmp/fresh", company.root / "files/00" / ("0" * 32 + ".parquet")]
    done = threading.Event()

    def come_and_go() -> None:
        while not done.is_set():
            for path in places:
                path.write_bytes(b"being written")
            for path in places:
                path.unlink()

    writer = threading.Thread(target=come_and_go)
    writer.start()
    store = company.open()
    try:
        assert [upkeep.collect(store, NOW) for _ in range(100)] == [0] * 100
    finally:
        done.set()
        writer.join()
