"""The whole of it with a real cron: installed by the program, it delivers what becomes due, once, to a mail server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.mailing import PROGRAM, Office

# A cron of its own: nothing of the machine's crontabs is seen or changed.
CRON = """
set -e
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /etc/cron.d
mount --bind "$1" /etc/crontab
mount -t tmpfs -o mode=1730 tmpfs /var/spool/cron/crontabs
shift
"$@"
crontab -l
exec cron -f
"""
NAME = "Анна «Чайная» Петрова"


def has_namespaces() -> bool:
    return os.geteuid() == 0 and subprocess.run(["unshare", "--mount", "true"], check=False).returncode == 0


pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("cron") is None, reason="no cron on this machine"),
    pytest.mark.skipif(not has_namespaces(), reason="only root can give a cron crontabs of its own"),
]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with Office(tmp_path, has_real_clock=True).receiving() as office:
        yield office


def wait(seconds: float, is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)


def last_run(office: Office) -> str | None:
    rows = json.loads(office.run("schedule", "show", "--format", "json"))
    found: str | None = next(row["last_at"] for row in rows if row["schedule"] == "remind")
    return found


def test_cron_delivers_what_becomes_due_once(office: Office) -> None:
    office.run("settings", "set", "send_personal", "on")
    office.run("schedule", "set", "remind", "* * * * *")
    office.run("add-client", NAME, "--phone", "8 916 123-45-67", "--no-deal")
    office.add_channel()
    table = office.folder / "crontab"
    table.touch()
    install = [*PROGRAM, "schedule", "install", "--write"]
    command = ["unshare", "--mount", "sh", "-c", CRON, "sh", str(table), *install]
    with (office.folder / "cron.out").open("wb") as out:
        cron = subprocess.Popen(command, env=office.environ(), stdout=out, stderr=out)
    try:
        office.run("add-reminder", "Анна", "спросить про весну", "--due", "in 1 minute")
        assert office.mailbox.mails == []
        wait(150, lambda: bool(office.mailbox.mails))
        before = last_run(office)
        wait(90, lambda: last_run(office) != before)
    finally:
        cron.terminate()
        cron.wait()
    (mail,) = office.mailbox.mails
    assert mail["Subject"] == f"crmcli: {NAME}: спросить про весну"
    assert NAME in mail.get_content()
    assert mail.get_content_charset() == "utf-8"
    installed = (office.folder / "cron.out").read_text()
    assert "schedule run" in installed
    assert str(office.folder / "store") in installed
    office.run("verify")
