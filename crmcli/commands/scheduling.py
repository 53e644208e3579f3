"""How schedules are shown, run and installed: the jobs are command lines of this program, in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crmcli.commands import COMMANDS
from crmcli.errors import CrmError
from crmcli.model.schedules import JOBS, failed, failing_since, is_due, missed, require_no_secret, schedules, waits

if TYPE_CHECKING:
    from datetime import tzinfo

    from crmcli.session import Session
    from crmcli.storage.view import View

COLUMNS = ("schedule", "cron", "runs", "last_at", "next_at", "missed", "failed_at")
# What a timer has to give the program where this run has it.
_HANDED_ON = (
    "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "CRMCLI_PASSPHRASE_FILE", "CRMCLI_PASSPHRASE_COMMAND",
    "CRMCLI_BACKUPS",
)  # fmt: skip


def in_force(store: View) -> dict[str, str]:
    """Return the schedules that run for the member: name -> cron expression."""
    from crmcli.storage.scheduling import stored_schedules

    return schedules(stored_schedules(store), COMMANDS, store.store.member.role)


def rows_of(store: View, now: datetime) -> list[tuple[Any, ...]]:
    """Return a row of `COLUMNS` for each schedule; times are the company's."""
    from crmcli.model.repeating import slot_after
    from crmcli.storage.scheduling import last_runs

    zone, last = store.settings.zone, last_runs(store)
    return [
        (
            name,
            cron,
            " ".join(["crmcli", *JOBS[name].arguments]),
            _local(last.get(name), zone),
            slot_after(cron, now, zone).astimezone(zone),
            missed(cron, last.get(name), now, zone),
            _local(failing_since(name, last, now), zone),
        )
        for name, cron in in_force(store).items()
    ]


def _local(at: str | None, zone: tzinfo) -> datetime | None:
    return None if at is None else datetime.fromisoformat(at).astimezone(zone)


def run_due(crm: Session) -> None:
    """Run each job whose slot has come since it last succeeded here. Raises: CrmError naming those that failed.

    A job that another run is at is left to that one, so that a long one holds up no other.
    """
    from crmcli.storage.files import alone_in, ensure_private

    with crm.reading() as store:
        memory, zone, times = store.store.memory, store.settings.zone, in_force(store)
    failures = []
    for name, cron in times.items():
        folder = memory.jobs_folder / name
        ensure_private(folder)
        with alone_in(folder) as is_alone:
            runs = memory.jobs()
            if not is_alone or waits(name, times, runs):
                continue
            if not is_due(cron, runs.get(name), crm.now, zone, runs.get(failed(name))):
                continue
            code = _run(crm, JOBS[name].arguments)
            memory.set_job(failed(name) if code else name, crm.now.isoformat())
            if code:
                failures.append(f"{name} (exit code {code})")
    if failures:
        raise CrmError(f"of the schedules failed: {', '.join(failures)}", "it is tried again in ten minutes")


def _run(crm: Session, arguments: list[str]) -> int:
    crm.output.flush()
    places = ["--store", str(crm.store_path), "--identity", str(crm.identity_path)]
    # Jobs ask nothing, and what they print is printed here.
    return subprocess.run([*program(), *places, *arguments], stdin=subprocess.DEVNULL, check=False).returncode  # noqa: S603


def program() -> list[str]:
    """Return the command line of this program, with an absolute path."""
    script = Path(sys.executable).with_name("crmcli")
    return [str(script)] if script.exists() else [sys.executable, "-P", "-m", "crmcli"]


def _timer(crm: Session) -> tuple[list[str], dict[str, str], list[str]]:
    """Return what a timer is to run, with which environment, and what to say of it."""
    from crmcli.storage.identity import has_passphrase

    identity = crm.identity_path.absolute()
    command = [*program(), "--store", str(crm.store_path.absolute()), "--identity", str(identity), "schedule", "run"]
    environ = {name: _handed_on(name, crm.environ[name]) for name in _HANDED_ON if crm.environ.get(name)}
    notes = ["Runs what crmcli schedule show lists, each at its time in the company's time zone."]
    if not has_passphrase(identity):
        notes.append("The identity has no passphrase: whoever reads its file opens what it opens.")
    elif any(name.startswith("CRMCLI_PASSPHRASE") for name in environ):
        notes.append("The passphrase of the identity comes from where the line says; keep that to yourself.")
    else:
        notes.append("The identity has a passphrase, and nobody can type it here:")
        notes.append("set CRMCLI_PASSPHRASE_FILE or CRMCLI_PASSPHRASE_COMMAND, and install again.")
    return command, environ, notes


def _handed_on(name: str, value: str) -> str:
    """Return the value of a variable, its paths made absolute. Raises: RuleError if it looks like a secret."""
    require_no_secret(name, value)
    if name.endswith("_FILE"):
        return str(Path(value).absolute())
    if name == "CRMCLI_BACKUPS":
        places = (place.strip() for place in value.split(","))
        return ",".join(place if "://" in place else str(Path(place).absolute()) for place in places if place)
    return value


def install_cron(crm: Session, name: str, *, write: bool) -> None:
    """Print the lines of a crontab under a name, or put them into that of this account. Raises: CrmError."""
    from crmcli.formats.timers import crontab, replaced

    lines = crontab(*_timer(crm), name)
    if not write:
        _print(crm, lines)
        return
    try:
        before = subprocess.run(["crontab", "-l"], capture_output=True, text=True, check=False)  # noqa: S607
        after = replaced(before.stdout if before.returncode == 0 else "", lines, name)
        done = subprocess.run(["crontab", "-"], input=after, capture_output=True, text=True, check=False)  # noqa: S607
    except FileNotFoundError as error:
        raise CrmError("there is no crontab on this machine", "--systemd makes units for systemd") from error
    if done.returncode:
        raise CrmError("the crontab was not taken", "without --write the lines are printed")
    crm.output.line("written to the crontab of this account; crontab -l shows it")


def install_systemd(crm: Session, _name: str, *, write: bool) -> None:
    """Print the units of a user's systemd, or write them where it reads them. Raises: CrmError."""
    from crmcli.formats.timers import systemd
    from crmcli.storage.files import mapped

    units = systemd(*_timer(crm))
    if not write:
        for name, text in units.items():
            crm.output.heading(f"# {name}")
            _print(crm, text)
        return
    folder = Path(crm.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "systemd" / "user"
    with mapped("write the units"):
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in units.items():
            (folder / name).write_text(text, encoding="utf-8")
    crm.output.line(f"written to {folder}; begin with: systemctl --user enable --now crmcli.timer")


def _print(crm: Session, text: str) -> None:
    for line in text.splitlines():
        crm.output.line(line)
