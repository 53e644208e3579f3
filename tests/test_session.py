"""One run as a process: passphrases from everywhere, stores found, repeated operations, interrupts, full pipes."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = [sys.executable, "-m", "crmcli"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of one's own; the current folder is in it."""
    for name in [name for name in os.environ if name.startswith(("CRMCLI_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *arguments],
        env=os.environ | environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def on_terminal(*arguments: str, answers: tuple[str, ...] = ()) -> tuple[int, str]:
    """Run the program on a terminal, answering each question that ends in a colon; return exit code and screen."""
    child, terminal = pty.fork()
    if child == 0:
        os.execv(PROGRAM[0], [*PROGRAM, *arguments])  # noqa: S606 - the program itself, on this terminal
    screen, left, answered = "", list(answers), 0
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                chunk = os.read(terminal, 4096).decode()
            except OSError:
                break
            if not chunk:
                break
            screen += chunk
        if left and screen[answered:].endswith(": "):
            os.write(terminal, (left.pop(0) + "\n").encode())
            answered = len(screen)
    else:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), screen


def init(*options: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return run("init", "--company", "Acme", *options, **environ)


def test_passphrase_from_a_file_or_a_command(home: Path) -> None:
    file = home / "passphrase"
    file.write_text("correct horse\nsecond line\n")
    assert init(CRMCLI_PASSPHRASE_FILE=str(file)).returncode == 0
    assert run("add-client", "Anna", CRMCLI_PASSPHRASE_FILE=str(file)).returncode == 0
    command = f"head -n 1 '{file}'"
    assert "Anna" in run("list", "clients", CRMCLI_PASSPHRASE_COMMAND=command).stdout
    file.write_text("wrong\n")
    for environ in (
        {"CRMCLI_PASSPHRASE_FILE": str(file)},
        {"CRMCLI_PASSPHRASE_FILE": str(home / "nothing")},
        {"CRMCLI_PASSPHRASE_COMMAND": "false"},
        {"CRMCLI_PASSPHRASE_COMMAND": "no-such-program-anywhere"},
        {"CRMCLI_PASSPHRASE_COMMAND": "printf ''"},
        {},
    ):
        result = run("list", "clients", **environ)
        assert (result.returncode, result.stdout) == (12, "")
        assert len(result.stderr.splitlines()) <= 2


def test_passphrase_is_asked_for_only_when_the_store_opens(home: Path) -> None:
    assert home.exists()
    code, screen = on_terminal("init", "--company", "Acme", answers=("secret", "secret"))
    assert (code, "secret" in screen) == (0, False)
    assert "passphrase again:" in screen
    for arguments in (("--help",), ("list", "--help"), ("list", "nonsense"), ("no-such-command",), ("--version",)):
        assert "passphrase" not in on_terminal(*arguments)[1]
    code, screen = on_terminal("list", "clients", answers=("secret",))
    assert (code, screen.count("passphrase:")) == (0, 1)
    code, screen = on_terminal("list", "clients", answers=("other",))
    assert (code, "the passphrase is wrong" in screen) == (12, True)


def test_differing_or_empty_passphrases_make_nothing(home: Path) -> None:
    for answers in (("one", "two"), ("", "")):
        code, _ = on_terminal("init", "--company", "Acme", answers=answers)
        assert code == 2
        assert not (home / "work/data").exists()
    assert init().returncode == 12
    assert not list(home.rglob("identity.json"))


def test_a_second_store_keeps_the_identity_and_its_passphrase(home: Path) -> None:
    file = home / "passphrase"
    file.write_text("secret")
    assert init(CRMCLI_PASSPHRASE_FILE=str(file)).returncode == 0
    assert init("--store", "second", "--no-passphrase", CRMCLI_PASSPHRASE_FILE=str(file)).returncode == 0
    assert run("--store", "second", "list", "clients").returncode == 12
    for store in ("data", "second"):
        assert run("--store", store, "list", "clients", CRMCLI_PASSPHRASE_FILE=str(file)).returncode == 0
    (identity,) = home.rglob("identity.json")
    assert json.loads(identity.read_text())["argon2id"]["memory_kib"] == 65536
    assert identity.stat().st_mode & 0o777 == 0o600


def test_a_stranger_opens_nothing(home: Path) -> None:
    assert init("--no-passphrase").returncode == 0
    assert init("--no-passphrase", "--store", "other", "--identity", str(home / "other.json")).returncode == 0
    assert run("list", "clients", "--identity", str(home / "other.json")).returncode == 14
    assert run("list", "clients", "--identity", str(home / "none.json")).returncode == 12
    assert run("list", "clients", "--store", str(home)).returncode == 10


def test_the_same_operation_is_done_once(home: Path) -> None:
    assert home.exists()
    assert init("--no-passphrase").returncode == 0
    op_id = "0123456789abcdef" * 2
    first, second = (run("add-client", "Anna", "--op-id", op_id) for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 0)
    assert "nothing to do: it was saved before, in commit 3" in second.stderr
    assert len(run("list", "clients", "--format", "ids").stdout.splitlines()) == 1


def test_a_seed_gives_distinct_ids_even_to_commands_at_once(home: Path) -> None:
    assert home.exists()
    assert init("--no-passphrase").returncode == 0
    environ = os.environ | {"CRMCLI_SEED": "7"}
    writers = [
        subprocess.Popen([*PROGRAM, "add-client", f"Client {number}"], env=environ, stdout=subprocess.DEVNULL)
        for number in range(4)
    ]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    assert len(set(run("list", "clients", "--format", "ids").stdout.split())) == 4
    assert run("verify").returncode == 0


def test_an_interrupt_before_the_commit_saves_nothing(home: Path) -> None:
    assert init("--no-passphrase").returncode == 0
    lock = home / "work/data/lock"
    holder = subprocess.Popen(["flock", str(lock), "sleep", "60"])
    try:
        time.sleep(0.3)
        for which in (signal.SIGINT, signal.SIGTERM):
            writer = subprocess.Popen([*PROGRAM, "add-client", "Anna"], stderr=subprocess.PIPE, text=True)
            time.sleep(2)
            writer.send_signal(which)
            _, said = writer.communicate(timeout=30)
            assert (writer.returncode, said) == (130, "crmcli: error: interrupted; nothing was saved\n")
    finally:
        subprocess.run(["pkill", "-P", str(holder.pid)], check=False)
        holder.kill()
        holder.wait()
    assert run("list", "clients", "--format", "ids").stdout == ""
    assert not [
        path for path in (home / "work/data/files").rglob("*.parquet") if path.stat().st_mtime > time.time() - 1
    ]


def test_a_closed_pipe_is_no_failure_and_a_full_disk_is(home: Path) -> None:
    assert home.exists()
    assert init("--no-passphrase").returncode == 0
    shell = f"{sys.executable} -m crmcli list clients --format csv"
    assert subprocess.run(["bash", "-c", f"set -o pipefail; {shell} | true"], check=False).returncode == 0
    full = subprocess.run(["bash", "-c", f"{shell} >/dev/full"], capture_output=True, text=True, check=False)
    assert (full.returncode, full.stderr) == (17, "crmcli: error: cannot write: no space left on device\n")


def test_environment_that_makes_no_sense(home: Path) -> None:
    assert home.exists()
    assert init("--no-passphrase").returncode == 0
    assert run("list", "clients", CRMCLI_NOW="soon").returncode == 2
    assert run("list", "clients", "--op-id", "x").returncode == 2
    assert run("list", "clients", CRMCLI_STORE="/dev/null").returncode == 10
    assert run("init", "--company", "Acme", "--no-passphrase").returncode == 4
    for options in (["--timezone", "Mars/Base"], ["--currency", "roubles"], ["--region", "Russia"]):
        assert init("--no-passphrase", "--store", "fresh", *options).returncode == 2
    assert not (home / "work/fresh").exists()
