"""Schedules: what runs, when it is due, and what was missed, also where clocks are changed or wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from crmcli.commands import COMMANDS
from crmcli.errors import InputError, RuleError
from crmcli.model.schedules import (
    JOBS,
    failing_since,
    is_due,
    known_jobs,
    missed,
    parse_schedule,
    require_no_secret,
    schedules,
    waits,
)

ZONE = ZoneInfo("Europe/Berlin")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE).astimezone(UTC)


def runs(cron: str, start: datetime, end: datetime, step: timedelta, last: str | None) -> list[str]:
    """Return the local times at which a job runs whose runner looks every so often."""
    found = []
    while start < end:
        if is_due(cron, last, start, ZONE):
            last = start.isoformat()
            found.append(f"{start.astimezone(ZONE):%m-%d %H:%M}")
        start += step
    return found


def test_a_schedule_is_of_a_command_that_there_is() -> None:
    assert set(known_jobs(COMMANDS)) == {name for name, job in JOBS.items() if job.command in COMMANDS}
    assert parse_schedule("remind", " 0  9 * * MON ", ["remind"]) == "0 9 * * mon"
    assert parse_schedule("remind", "None", ["remind"]) == "none"
    with pytest.raises(RuleError):
        parse_schedule("backup", "0 9 * * *", ["remind"])
    with pytest.raises(InputError):
        parse_schedule("lunch", "0 9 * * *", ["remind"])


def test_what_is_stored_goes_before_what_is_usual() -> None:
    assert schedules({}, ["remind"], "manager") == {"remind": "*/5 * * * *"}
    assert schedules({"remind": "none", "digest": "0 9 * * *"}, ["remind"], "manager") == {"digest": "0 9 * * *"}
    assert schedules({"backup": "0 9 * * *"}, ["remind"], "manager") == {"remind": "*/5 * * * *"}
    assert schedules({}, ["remind", "norms"], "manager").keys() == {"remind"}
    assert schedules({}, ["remind", "norms"], "service").keys() == {"remind", "norms"}


def test_each_slot_runs_once_and_missed_ones_are_made_up_for_once() -> None:
    minute = timedelta(minutes=1)
    day = [f"03-02 {hour:02}:00" for hour in range(8, 12)]
    assert runs("0 * * * *", at("2026-03-02 08:00"), at("2026-03-02 12:00"), minute, None) == day
    last = at("2026-02-20 08:00").isoformat()
    assert runs("0 9 * * *", at("2026-03-02 10:00"), at("2026-03-03 12:00"), minute, last) == [
        "03-02 10:00",
        "03-03 09:00",
    ]


@pytest.mark.parametrize(
    ("cron", "day", "expected"),
    [
        ("30 2 * * *", "2026-03-29", ["03-29 03:30"]),
        ("30 2 * * *", "2026-10-25", ["10-25 02:30"]),
        ("0 9 * * *", "2026-03-29", ["03-29 09:00"]),
        ("0 9 29 2 *", "2026-02-28", []),
        ("0 9 29 2 *", "2028-02-29", ["02-29 09:00"]),
    ],
)
def test_days_on_which_the_clocks_change_and_leap_days(cron: str, day: str, expected: list[str]) -> None:
    start = at(f"{day} 00:00")
    end = at(f"{day} 23:59")
    assert runs(cron, start, end, timedelta(minutes=5), start.isoformat()) == expected


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)])
def test_an_hourly_job_runs_in_every_hour_of_such_a_day(day: str, hours: int) -> None:
    start, end = at(f"{day} 00:00"), at(f"{day} 23:59") + timedelta(minutes=1)
    assert len(runs("0 * * * *", start, end, timedelta(minutes=5), None)) == hours


def test_a_clock_that_was_a_day_ahead_holds_nothing_up() -> None:
    ahead = at("2026-03-03 09:00").isoformat()
    minute = timedelta(minutes=1)
    found = runs("0 9 * * *", at("2026-03-02 08:30"), at("2026-03-03 10:00"), minute, ahead)
    # Once at once, for what is remembered cannot be true, and then at its times.
    assert found == ["03-02 08:30", "03-02 09:00", "03-03 09:00"]


def test_what_failed_waits_ten_minutes() -> None:
    last, failed = (at(f"2026-03-02 {text}").isoformat() for text in ("08:00", "09:00"))
    found = [
        is_due("0 * * * *", last, at(f"2026-03-02 {text}"), ZONE, failed)
        for text in ("08:59", "09:00", "09:09", "09:10")
    ]
    assert found == [False, False, False, True]
    # A failure that lies ahead was under a clock that was wrong.
    assert is_due("0 * * * *", None, at("2026-03-02 08:59"), ZONE, failed)


def test_missed_slots_are_counted() -> None:
    last = at("2026-03-02 09:00").isoformat()
    found = [missed("0 * * * *", last, at(f"2026-03-02 {text}"), ZONE) for text in ("09:30", "10:00", "11:00", "14:30")]
    assert found == [0, 0, 1, 4]
    assert missed("* * * * *", last, at("2026-03-05 09:00"), ZONE) == 3 * 24 * 60 - 1
    assert missed("*/5 * * * *", last, at("2028-03-02 09:00"), ZONE) == (365 + 366) * 24 * 12 - 1
    assert missed("* * * * *", None, at("2026-03-05 09:00"), ZONE) == 0


@pytest.mark.parametrize(
    ("value", "is_one"),
    [
        ("pass show crm", False),
        ("/usr/bin/cat /etc/crm/passphrase", False),
        ("gpg --decrypt --passphrase-file=/etc/key x.gpg", False),
        ("secret-tool lookup service crm", False),
        ("/opt/echo-server/get --name crm", False),
        ("/mnt/backup/crm,s3://company-crm/backup?region=eu-central-1", False),
        ("echo correct horse", True),
        ("/bin/echo x", True),
        ("sh -c 'printf %s x'", True),
        ('sh -c "cat <<<x"', True),
        ("get --password=x", True),
        ("sh -c 'PASSPHRASE=x; env'", True),
        ("s3://key:hunter2@host/bucket", True),
        ("/mnt/b,s3://bucket/x?secret_access_key=y", True),
    ],
)
def test_what_looks_like_a_secret_is_installed_nowhere(value: str, is_one: bool) -> None:
    if is_one:
        with pytest.raises(RuleError):
            require_no_secret("CRMCLI_PASSPHRASE_COMMAND", value)
    else:
        require_no_secret("CRMCLI_PASSPHRASE_COMMAND", value)


def test_a_job_runs_for_those_who_may_run_it() -> None:
    jobs = ["remind", "norms", "reactivate plan"]
    stored = {"reactivate": "0 7 * * *"}
    found = {role: set(schedules(stored, jobs, role)) for role in ("admin", "manager", "analyst", "service")}
    assert found == {
        "admin": {"remind", "norms", "reactivate"},
        "manager": {"remind", "reactivate"},
        "analyst": {"remind"},
        "service": {"remind", "norms"},
    }


def test_the_first_drill_waits_for_the_first_backup() -> None:
    assert waits("drill", {"backup", "drill"}, {})
    assert waits("drill", {"backup", "drill"}, {"backup failed": "2026-03-02T09:00:00+00:00"})
    assert not waits("drill", {"backup", "drill"}, {"backup": "2026-03-02T09:00:00+00:00"})
    # Where another machine makes the backups, it waits for nothing.
    assert not waits("drill", {"drill"}, {})
    assert not waits("backup", {"backup", "drill"}, {})


def test_a_job_fails_until_it_succeeds() -> None:
    first = at("2026-03-02 12:00")
    second = first + timedelta(hours=1)
    told = [(first + timedelta(hours=hours)).isoformat() for hours in range(3)]
    assert failing_since("remind", {}, first) is None
    assert failing_since("remind", {"remind failed": told[0]}, first) == told[0]
    assert failing_since("remind", {"remind failed": told[1], "remind": told[0]}, second) == told[1]
    assert failing_since("remind", {"remind failed": told[0], "remind": told[1]}, second) is None
    # What lies ahead was under a clock that was wrong.
    assert failing_since("remind", {"remind failed": told[2], "remind": told[0]}, second) is None
    assert failing_since("remind", {"remind failed": told[0], "remind": told[2]}, second) == told[0]
