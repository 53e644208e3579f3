"""Reminders printed for nobody: into a pipe without a reader, onto a full disk, without a stdout. They are not lost."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from crmcli.model.reminding import Task, add_reminder
from tests.mailing import PROGRAM, Office

FULL = Path("/dev/full")


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.run("add-client", "Анна", "--no-deal")
    office.run("add-reminder", "Анна", "call", "--due", "today 11:30")
    return office


def remind(office: Office, *more: str, stdout: int) -> tuple[int, list[str]]:
    done = subprocess.run(
        [*PROGRAM, "remind", *more],
        env=office.environ(),
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr.splitlines()


def into_a_pipe_without_reader(office: Office, *more: str) -> tuple[int, list[str]]:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        return remind(office, *more, stdout=writer)
    finally:
        os.close(writer)


def onto_a_full_disk(office: Office, *more: str) -> tuple[int, list[str]]:
    with FULL.open("wb") as full:
        return remind(office, *more, stdout=full.fileno())


def without_stdout(office: Office, *more: str) -> tuple[int, list[str]]:
    command = ["sh", "-c", 'exec "$@" >&-', "sh", *PROGRAM, "remind", *more]
    done = subprocess.run(command, env=office.environ(), stderr=subprocess.PIPE, text=True, check=False)
    return done.returncode, done.stderr.splitlines()


WAYS = [
    (into_a_pipe_without_reader, 16, "broken pipe"),
    (onto_a_full_disk, 17, "no space left on device"),
    (without_stdout, 16, "there is no stdout"),
]


@pytest.mark.skipif(not FULL.exists(), reason="the system has no full device")
@pytest.mark.parametrize("options", [(), ("--digest",), ("--format", "jsonl")])
def test_what_nobody_took_is_shown_by_the_next_run(office: Office, options: tuple[str, ...]) -> None:
    for way, code, reason in WAYS:
        assert way(office, *options) == (
            code,
            [f"crmcli: error: 1 reminder not shown: {reason}", "crmcli: hint: the next run shows them again"],
        )
    assert '"1 failed' in office.run("doctor", "--format", "csv", code=6)
    assert "call" in office.run("remind", *options)
    assert office.run("remind", *options) == ""
    office.run("verify")


def test_much_that_nobody_took_is_shown_again_too(office: Office) -> None:
    """More than a run holds back is written before it is through."""
    crm = office.session()
    with crm.writing() as draft:
        acting, client = crm.acting(draft), draft.client("Анна")
        for _ in range(999):
            draft.put(*add_reminder(acting, client.client_id, Task("x" * 1000, (office.now, True))))
    crm.close(succeeded=True)
    office.run("settings", "set", "reveal_rows", "1000")
    code, told = into_a_pipe_without_reader(office, "--format", "jsonl")
    assert (code, told[-2]) == (16, "crmcli: error: 1000 reminders not shown: broken pipe")
    out = office.run("remind", "--format", "jsonl")
    assert len(out) > 1 << 20
    assert len(out.splitlines()) == 1000


def test_nothing_to_show_needs_nobody(office: Office) -> None:
    office.run("remind")
    for way in (into_a_pipe_without_reader, without_stdout):
        assert way(office) == (0, [])


def test_what_is_mailed_goes_out_though_nobody_sees_what_is_printed(tmp_path: Path) -> None:
    with Office(tmp_path).receiving() as office:
        office.run("add-client", "Анна", "--no-deal")
        office.run("channel", "add", "stdout")
        office.add_channel()
        office.run("add-reminder", "Анна", "call", "--due", "today 11:30")
        code, _ = into_a_pipe_without_reader(office)
        assert (code, len(office.mailbox.mails)) == (16, 1)
        assert "call" in office.run("remind")
        assert len(office.mailbox.mails) == 1
