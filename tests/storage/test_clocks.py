"""Clocks that leap, forth or back: time never goes back in the log, and nothing grows old at a stroke."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from crmcli.session import new_op_id
from crmcli.storage import log, upkeep
from tests.storage.company import NOW, Company, by_hand, problems

DAY = timedelta(days=1)
YEARS = 3653 * DAY
HOUR = timedelta(hours=1)
USAGE, RULE, ATTENTION, NOT_PERMITTED = 2, 5, 6, 15


def by_clock(company: Company, now: datetime) -> Company:
    """The same company, whose members' clocks say something else."""
    return replace(company, now=now)


def times(company: Company) -> list[datetime]:
    return [log.time_of(raw) for _, raw in log.read_from(company.log, 1)]


def dropped(company: Company) -> list[Path]:
    return [path for path in (company.root / "files").glob("??/*") if path.stem not in company.open().state.live]


def drop_some(company: Company) -> list[Path]:
    """Compact, so that some files leave the store at the company's time, and return where they lie."""
    for name in ("Anna", "Boris", "Clara"):
        assert company.crmcli("add-client", name).code == 0
    store = company.open()
    assert upkeep.compact(store, store.state.entries("contacts"), new_op_id(), company.now)
    left = dropped(company)
    assert len(left) == 3
    return left


def age(paths: list[Path], days: int) -> None:
    """Let files have been written that long ago."""
    for path in paths:
        os.utime(path, times=(path.stat().st_mtime - days * 86400,) * 2)


def test_time_in_the_log_never_goes_back(company: Company) -> None:
    clocks = [NOW, NOW - DAY, NOW + YEARS, NOW - YEARS, NOW + DAY]
    for n, now in enumerate(clocks):
        there = by_clock(company, now)
        assert there.crmcli("add-client", f"Client {n}").code == 0
        assert there.crmcli("log-call", f"Client {n}", "out", "--said", "hello", who="admin").code == 0
    told = times(company)
    assert told == sorted(told)
    # Once a clock was years ahead, the log stays there; the rows have their writers' times.
    assert set(told[-6:]) == {NOW + YEARS}
    view = company.view()
    assert [call.happened_at for call in sorted(view.records("activities"), key=lambda call: call.happened_at)] == (
        sorted(clocks)
    )
    assert sorted(client.created_at for client in view.records("clients")) == sorted(clocks)
    company.forget("admin")
    assert problems(company) == []


def test_later_change_wins_whatever_the_clocks_said(company: Company) -> None:
    company.crmcli("add-client", "Anna")
    for now, archived in ((NOW + YEARS, True), (NOW - YEARS, False)):
        with by_clock(company, now).session().writing() as draft:
            [client] = draft.records("clients")
            draft.put(replace(client, archived=archived))
    [client] = company.view().records("clients")
    assert client.archived is False
    store = company.open()
    assert upkeep.compact(store, store.state.entries("clients"), new_op_id(), NOW - YEARS)
    assert [client.archived for client in company.view().records("clients")] == [False]
    assert problems(company) == []


def test_doctor_says_by_how_much_a_clock_is_behind_and_whose(company: Company) -> None:
    assert "clock,ok," in company.crmcli("doctor", "--format", "csv").out
    ahead = by_clock(company, NOW + 400 * DAY)
    assert ahead.crmcli("add-client", "Anna", who="manager").code == 0
    assert company.crmcli("add-client", "Boris", who="colleague").code == 0
    result = company.crmcli("doctor", "--format", "csv")
    assert result.code == ATTENTION
    [line] = [line for line in result.out.splitlines() if line.startswith("clock,")]
    manager = company.identity("manager").member
    assert f"400 d 0 h behind commit {len(times(company)) - 1} by {manager} of 2027-04-06 12:00" in line


def test_grant_lasts_as_long_as_it_says_though_the_log_is_ahead(company: Company) -> None:
    manager = company.identity("manager").member
    give = ("grant", "export", "--to", manager, "--expires", "2h")
    export = ("export", "--for", "crm", "--out")
    assert by_clock(company, NOW + 5 * HOUR).crmcli("add-client", "Anna", who="manager").code == 0
    assert "2026-03-02 19:00" in company.crmcli(*give).out
    assert company.crmcli(*export, str(company.folder / "1.csv"), who="manager").code == 0
    late = by_clock(company, NOW + 7 * HOUR).crmcli(*export, str(company.folder / "2.csv"), who="manager")
    assert (late.code, "the grant expired at 2026-03-02 19:00\n" in late.err) == (NOT_PERMITTED, True)


def test_grant_that_would_not_end_is_given_for_one_use_alone(company: Company) -> None:
    """Somebody's clock was years ahead; what is given from then on would last until it is right."""
    manager = company.identity("manager").member
    assert by_clock(company, NOW + YEARS).crmcli("add-client", "Anna", who="manager").code == 0
    for expires in ("2h", "2036-06-01"):
        refused = company.crmcli("grant", "export", "--to", manager, "--expires", expires)
        assert (refused.code, "the log is 3653 days ahead of this clock" in refused.err) == (RULE, True)
    past = company.crmcli("grant", "export", "--to", manager, "--expires", "2026-04-01")
    assert (past.code, "expired already" in past.err) == (USAGE, True)
    assert company.crmcli("grant", "export", "--to", manager, "--expires", "2h", "--once").code == 0
    uses = [
        company.crmcli("export", "--for", "crm", "--out", str(company.folder / name), who="manager").code
        for name in ("1.csv", "2.csv")
    ]
    assert uses == [0, NOT_PERMITTED]


def test_clock_years_ahead_makes_no_file_old(company: Company) -> None:
    """Neither its own leap does, nor one that it brought into the log."""
    today = by_clock(company, datetime.now(UTC))
    left = drop_some(today)
    orphan = company.root / "files/00" / ("0" * 32 + ".parquet")
    half = company.root / "tmp/half"
    for path in (orphan, half):
        path.write_bytes(b"being written")
    # Even if the disk has been told the wrong time too, what the log says of those that left holds.
    age(left, days=4000)
    ahead = by_clock(company, today.now + YEARS)
    assert ahead.crmcli("gc").out.split()[-1] == "0"
    assert ahead.crmcli("add-client", "Dora").code == 0
    assert ahead.crmcli("gc").out.split()[-1] == "0"
    assert ahead.crmcli("gc").out.split()[-1] == "0"
    assert all(path.exists() for path in (*left, orphan, half))
    assert problems(company) == []


def test_files_grow_old_day_by_day(company: Company) -> None:
    start = datetime.now(UTC) - 8 * DAY
    left = drop_some(by_clock(company, start))
    age(left, days=9)
    for day in range(1, 7):
        there = by_clock(company, start + day * DAY)
        assert there.crmcli("add-client", f"Client {day}").code == 0
        assert there.crmcli("gc").out.split()[-1] == "0"
    week = by_clock(company, start + 7 * DAY)
    # A file that the disk knows to be young stays, whatever the log says.
    os.utime(left[0])
    assert week.crmcli("gc").out.split()[-1] == "2"
    assert [path.exists() for path in left] == [True, False, False]
    assert problems(company) == []


def test_clock_behind_the_disk_removes_late_and_nothing_early(company: Company) -> None:
    left = drop_some(by_clock(company, datetime.now(UTC)))
    age(left, days=30)
    assert by_clock(company, NOW - YEARS).crmcli("gc").out.split()[-1] == "0"
    assert all(path.exists() for path in left)


def test_the_end_of_time_in_the_log_stops_no_command(company: Company) -> None:
    state = company.open().state
    late = by_hand(state, company.identity("manager").member, "reveal", at="9999-12-31T23:30:00.000000Z",
                   body={"reveal": {"clients": [company.book("manager")]}})  # fmt: skip
    (company.log / log.loose_name(late.seq)).write_bytes(late.sealed(company.identity("manager").keys))
    company.crmcli("add-client", "Anna")
    manager = company.identity("manager").member
    give = ("grant", "export", "--to", manager, "--expires", "2w")
    assert company.crmcli(*give).code == RULE
    assert company.crmcli(*give, "--once").code == 0
    for command in ("audit", "audit --flags", "history Anna", "trash", "grant list", "list clients"):
        assert company.crmcli(*command.split()).code == 0, command
    assert company.crmcli("doctor").code == ATTENTION
