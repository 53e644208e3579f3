"""The lock: file systems without one, holders that died or hang, and lock files that were taken away."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest

from crmcli.errors import LockedError
from crmcli.storage import files, log, writing
from tests.storage.company import Company, Result, problems

ERROR, KNOWN, ATTENTION, LOCKED, DAMAGED = 1, 4, 6, 11, 13
# A crmcli that stops itself, holding the lock, one call before its commit.
HALTING = """
import os, signal
from crmcli import cli
link = os.link
def halting(*arguments):
    os.link = link
    os.kill(os.getpid(), signal.SIGSTOP)
    link(*arguments)
os.link = halting
cli.main()
"""
NO_FLOCK = """
#include <errno.h>
int flock(int handle, int operation) { errno = ENOLCK; return -1; }
"""


@contextmanager
def halted(company: Company, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Give a command that hangs in the midst of its commit."""
    with company.start("-c", HALTING, *arguments, program=()) as process:
        try:
            _, status = os.waitpid(process.pid, os.WUNTRACED)
            assert os.WIFSTOPPED(status)
            yield process
        finally:
            process.kill()


def resumed(process: subprocess.Popen[str]) -> Result:
    process.send_signal(signal.SIGCONT)
    out, err = process.communicate(timeout=10)
    return Result(process.returncode, out, err)


def at_the_link(monkeypatch: pytest.MonkeyPatch, event: Callable[[], None]) -> None:
    """Let something happen once, right before a commit is linked."""
    link = os.link

    def linked(*arguments: Any) -> None:
        monkeypatch.setattr(os, "link", link)
        event()
        link(*arguments)

    monkeypatch.setattr(os, "link", linked)


def replace_lock(company: Company) -> None:
    (company.root / "lock").unlink()
    (company.root / "lock").write_bytes(b"")


def leftovers(company: Company) -> list[Path]:
    live = company.open().state.live
    orphans = [path for path in (company.root / "files").glob("??/*") if path.stem not in live]
    return [*orphans, *(company.root / "tmp").iterdir()]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EIO])
def test_without_flock_nobody_writes_and_everybody_reads(
    company: Company, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    assert company.crmcli("add-client", "Anna").code == 0

    def refused(*_: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refused)
    result = company.crmcli("add-client", "Boris")
    assert (result.code, result.out) == (ERROR, "")
    assert result.err.splitlines() == [
        f"crmcli: error: cannot lock the store: {os.strerror(number).lower()}",
        "crmcli: hint: keep the store on a local disk or a file system with flock",
    ]
    assert leftovers(company) == []
    assert "Anna" in company.crmcli("list", "clients").out
    doctor = company.crmcli("doctor", "--format", "csv")
    assert doctor.code == ATTENTION
    assert "\nlock,attention,cannot lock the store" in doctor.out
    assert company.names() == ["Anna"]


def test_program_says_so_on_a_file_system_without_flock(
    company: Company, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler to take flock away from a process")
    (tmp_path / "shim.c").write_text(NO_FLOCK)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", tmp_path / "shim.so", tmp_path / "shim.c"], check=True)
    monkeypatch.setenv("LD_PRELOAD", str(tmp_path / "shim.so"))
    result = company.run("add-client", "Anna")
    assert result.code == ERROR, result
    assert "cannot lock the store: no locks available" in result.err
    assert company.run("list", "clients").code == 0
    assert company.names() == []
    assert leftovers(company) == []


def test_lock_of_a_process_that_was_killed_is_free(company: Company) -> None:
    with halted(company, "add-client", "Killed") as holder:
        holder.kill()
        holder.wait()
        assert company.run("add-client", "Anna").code == 0
    assert company.names() == ["Anna"]
    assert problems(company) == []


def test_lock_of_a_process_that_hangs_is_waited_for_and_named(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "LOCK_TIMEOUT", 0.3)
    with halted(company, "add-client", "Slow") as holder:
        result = company.crmcli("add-client", "Anna")
        assert (result.code, result.out) == (LOCKED, "")
        error, hint = result.err.splitlines()
        assert error.startswith("crmcli: error: the store has been locked for")
        assert f"fuser -v {company.root / 'lock'}" in hint
        # Who only reads waits for nobody, and doctor tells of the lock among the rest.
        assert company.names() == []
        assert company.crmcli("doctor").code == ATTENTION
        assert resumed(holder).code == 0
    assert company.crmcli("add-client", "Anna").code == 0
    assert company.names() == ["Anna", "Slow"]
    assert leftovers(company) == []
    assert problems(company) == []


@pytest.mark.soak
def test_program_gives_up_after_half_a_minute(company: Company) -> None:
    with halted(company, "add-client", "Slow"):
        start = time.monotonic()
        process = company.start("add-client", "Anna")
        _, err = process.communicate(timeout=60)
        assert process.returncode == LOCKED
        assert "locked for 30 s" in err
        assert 30 <= time.monotonic() - start < 40


def test_interrupt_while_waiting_for_the_lock_saves_nothing(company: Company) -> None:
    with halted(company, "add-client", "Slow"):
        waiting = company.start("add-client", "Anna")
        # Its files are there, so it waits for the lock, or is about to.
        mine = {path.stem for path in leftovers(company)}
        while len({path.stem for path in leftovers(company)} - mine) < 4:
            time.sleep(0.01)
        waiting.send_signal(signal.SIGINT)
        _, err = waiting.communicate(timeout=10)
        assert waiting.returncode == 130
        assert "nothing was saved" in err
        assert {path.stem for path in leftovers(company)} == mine
    assert company.names() == []


@pytest.mark.parametrize(
    ("who", "faster", "code"), [("admin", "admin", KNOWN), ("admin", "manager", KNOWN), ("manager", "admin", 0)]
)
def test_two_who_both_hold_a_lock_do_not_make_one_commit(
    company: Company, monkeypatch: pytest.MonkeyPatch, who: str, faster: str, code: int
) -> None:
    """The lock file was replaced under its holder, so that the next one holds another: the link decides.

    The slower one runs again, and so learns of the other's client if its keys open it.
    """
    done: list[Result] = []

    def overtake() -> None:
        replace_lock(company)
        done.append(company.crmcli("add-client", "Fast", "--phone", "+79160000001", who=faster))

    at_the_link(monkeypatch, overtake)
    slow = company.crmcli("add-client", "Slow", "--phone", "+79160000001", who=who)
    assert (done[0].code, slow.code) == (0, code)
    assert company.names() == (["Fast"] if code else ["Fast", "Slow"])
    assert company.crmcli("add-client", "Next").code == 0
    assert problems(company) == []


def test_process_whose_lock_was_taken_away_comes_second(company: Company) -> None:
    with halted(company, "add-client", "Slow") as holder:
        replace_lock(company)
        assert company.run("add-client", "Fast").code == 0
        head = company.open().state.seq
        assert resumed(holder).code == 0
    assert company.open().state.seq == head + 1
    assert company.names() == ["Fast", "Slow"]
    assert problems(company) == []


def test_without_a_lock_file_nobody_writes_but_its_holder(company: Company) -> None:
    with halted(company, "add-client", "Slow") as holder:
        (company.root / "lock").unlink()
        result = company.crmcli("add-client", "Fast")
        assert result.code == DAMAGED
        assert str(company.root / "lock") in result.err
        assert resumed(holder).code == 0
    (company.root / "lock").touch()
    assert company.crmcli("add-client", "Anna").code == 0
    assert company.names() == ["Anna", "Slow"]


def test_who_waits_for_a_lock_file_that_is_replaced_gets_the_new_one(company: Company) -> None:
    """Else the one who waited and the one who came later would hold a lock each."""
    lock = company.root / "lock"
    entered = threading.Event()
    failures: list[BaseException] = []

    def wait() -> None:
        try:
            with files.locked(lock, 5):
                entered.set()
        except BaseException as error:  # noqa: BLE001 - told to the test
            failures.append(error)

    waiter = threading.Thread(target=wait)
    with files.locked(lock, 1):
        waiter.start()
        time.sleep(0.05)
        lock.unlink()
        lock.write_bytes(b"")
        late = files.locked(lock, 1)
        late.__enter__()
    # The old lock is free now, and nobody must take it.
    assert not entered.wait(0.2)
    late.__exit__(None, None, None)
    assert entered.wait(5)
    waiter.join()
    assert failures == []


def test_lock_file_replaced_while_it_is_being_locked_does_not_count(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock = fcntl.flock

    def too_late(*arguments: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        replace_lock(company)
        flock(*arguments)

    monkeypatch.setattr(fcntl, "flock", too_late)
    lock = company.root / "lock"
    with files.locked(lock, 1), pytest.raises(LockedError), files.locked(lock, 0.01):
        pass


def test_commit_of_a_sleeper_does_not_hide_among_packed_ones(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who lost the lock and slept while others committed and packed finds the number free, and must not take it."""
    monkeypatch.setattr(log, "LOOSE", 2)
    monkeypatch.setattr(log, "SEGMENT", 3)
    number = company.open().state.seq + 1

    def overtake() -> None:
        replace_lock(company)
        for n in range(8):
            assert company.crmcli("add-client", f"Fast {n}").code == 0
        assert log.is_packed(company.log, number)
        assert not (company.log / log.loose_name(number)).exists()

    at_the_link(monkeypatch, overtake)
    assert company.crmcli("add-client", "Slow").code == 0
    assert company.crmcli("gc").code == 0
    company.forget("admin")
    assert company.names() == [*(f"Fast {n}" for n in range(8)), "Slow"]
    assert problems(company) == []


def test_two_who_pack_at_once_leave_a_whole_log(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "LOOSE", 2)
    monkeypatch.setattr(log, "SEGMENT", 3)
    before = list(log.read_from(company.log, 1))
    rename = os.rename

    def killed(path: Path, content: bytes, _: int) -> NoReturn:
        path.write_bytes(content[:100])
        raise KeyboardInterrupt

    def renamed(*arguments: Any) -> None:
        """Before a whole segment gets its name, another process begins to write the same one, and is killed."""
        monkeypatch.setattr(os, "rename", rename)
        with monkeypatch.context() as other, pytest.raises(KeyboardInterrupt):
            other.setattr(files, "write_new", killed)
            log.pack(company.log, 0o600)
        rename(*arguments)

    monkeypatch.setattr(os, "rename", renamed)
    assert log.pack(company.log, 0o600) > 3
    assert list(log.read_from(company.log, 1)) == before
