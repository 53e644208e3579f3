"""Schedules: which jobs run by themselves and when; slots are those of a cron expression in the company's time zone."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from crmcli.errors import InputError, RuleError
from crmcli.model.frozen import dataclass
from crmcli.model.repeating import count_slots, parse_cron, slot_before

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import tzinfo

NEVER = "none"
# A password in an address, and what is called one; a command that prints what stands in its own line.
_SECRET = re.compile(r"://[^/@\s]*:[^/@\s]*@|(?:pass(?:word|phrase|wd)?|secret|token|access_key)\w*=", re.IGNORECASE)
_SPOKEN = re.compile(r"(?:^|[\s/;&|('\"])(?:echo|printf)\s|<<<")
# A job that fails is not run again every minute.
_PAUSE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Job:
    """What a schedule runs: a command, the rest of its line, when, unless the company says otherwise, and for whom.

    `roles` are those whose members run it; all, if there are none. `after` is another job that it is nothing without.
    """

    command: str
    options: tuple[str, ...] = ()
    usual: str | None = None
    roles: tuple[str, ...] = ()
    after: str | None = None

    @property
    def arguments(self) -> list[str]:
        """The command line after the program's name."""
        return [*self.command.split(), *self.options]


# Who opens all facts, and keeps what the company has.
_KEEPERS = ("admin", "service")
JOBS = {
    "remind": Job("remind", usual="*/5 * * * *"),
    "digest": Job("remind", ("--digest",)),
    "intake": Job("intake", usual="*/10 * * * *"),
    "backup": Job("backup make", usual="0 1 * * *", roles=_KEEPERS),
    "drill": Job("backup drill", usual="0 3 * * sun", roles=_KEEPERS, after="backup"),
    "gc": Job("gc", usual="30 2 * * *", roles=_KEEPERS),
    "reactivate": Job("reactivate plan", ("--assign",), roles=("admin", "manager", "lead")),
    "norms": Job("norms", usual="0 2 * * *", roles=_KEEPERS),
}


def known_jobs(commands: Collection[str]) -> dict[str, Job]:
    """Return the jobs whose command there is."""
    return {name: job for name, job in JOBS.items() if job.command in commands}


def schedules(stored: Mapping[str, str], commands: Collection[str], role: str) -> dict[str, str]:
    """Return name -> cron expression of the jobs that run for a role, as the company says or else usually."""
    theirs = {name: job for name, job in known_jobs(commands).items() if not job.roles or role in job.roles}
    times = {name: stored.get(name, job.usual) for name, job in theirs.items()}
    return {name: cron for name, cron in times.items() if cron is not None and cron != NEVER}


def parse_schedule(name: str, text: str, commands: Collection[str]) -> str:
    """Return what to store for a job: a cron expression, or none. Raises: InputError, RuleError for no such command."""
    if name not in JOBS:
        raise InputError(f"there is no schedule {name[:40]!r}", f"there is {', '.join(JOBS)}")
    if name not in known_jobs(commands):
        raise RuleError(f"this crmcli has no command {JOBS[name].command} yet", "upgrade it first")
    return NEVER if text.strip().lower() == NEVER else parse_cron(text)


def require_no_secret(name: str, value: str) -> None:
    """Raise RuleError for a variable whose value looks like a secret itself, not like where one is kept."""
    if _SECRET.search(value) or (name.endswith("_COMMAND") and _SPOKEN.search(value)):
        raise RuleError(
            f"{name} looks as if a secret stood in it, and others may read what cron and systemd keep",
            "keep it where you alone can read it: CRMCLI_PASSPHRASE_FILE names a file, a bucket's keys are in ~/.aws",
        )


def failed(name: str) -> str:
    """Return under which name a machine remembers when a job failed last."""
    return f"{name} failed"


def failing_since(name: str, runs: Mapping[str, str], now: datetime) -> str | None:
    """Return when a job failed last on this machine (ISO), unless it has succeeded since or the time lies ahead."""
    known = map(runs.get, (failed(name), name))
    failure, success = (None if at is None else datetime.fromisoformat(at) for at in known)
    if failure is None or failure > now or (success is not None and failure <= success <= now):
        return None
    return failure.isoformat()


def is_due(cron: str, last: str | None, now: datetime, zone: tzinfo, failed: str | None = None) -> bool:
    """Say whether a slot has come since the last success (ISO), or the job never ran on this machine.

    Of several slots that were missed it is one. What failed (ISO) within ten minutes waits. A time that lies ahead was
    under a clock that was wrong.
    """
    if failed is not None and datetime.fromisoformat(failed) <= now < datetime.fromisoformat(failed) + _PAUSE:
        return False
    if last is None or datetime.fromisoformat(last) > now:
        return True
    return datetime.fromisoformat(last) < slot_before(cron, now, zone)


def waits(name: str, scheduled: Collection[str], last: Mapping[str, str]) -> bool:
    """Say whether a job waits until another one that is scheduled, too, has succeeded here once."""
    before = JOBS[name].after
    return before is not None and before in scheduled and before not in last


def missed(cron: str, last: str | None, now: datetime, zone: tzinfo) -> int:
    """Return how many slots have passed since the last success (ISO); the newest one may be running now."""
    return 0 if last is None else max(count_slots(cron, datetime.fromisoformat(last), now, zone) - 1, 0)
