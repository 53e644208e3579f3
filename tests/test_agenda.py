"""The agenda of another time: what was open then, and not what is open now."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.mailing import Office

DAY = timedelta(days=1)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.run("add-client", "Anna", "--no-deal")
    return office


def agenda(office: Office, as_of: str | None = None, *, days: int = 4) -> list[str]:
    options = ("--as-of", as_of) if as_of else ()
    rows = office.run("agenda", "--format", "csv", *options, at=days * DAY).splitlines()[1:]
    return [row.split(",")[5] for row in rows]


def test_a_day_that_is_past_is_shown_as_it_was(office: Office) -> None:
    office.run("add-reminder", "Anna", "first", "--due", "today")
    office.run("add-reminder", "Anna", "second", "--due", "tomorrow")
    first, second = office.run("agenda", "--week", "--format", "ids").split()
    office.run("done", first, at=2 * DAY)
    office.run("add-reminder", "Anna", "late", "--due", "2026-03-02", at=3 * DAY)
    assert agenda(office) == ["late", "second"]
    # It was closed later and is shown; what was made later is not, though it is due before.
    assert agenda(office, "2026-03-02") == ["first"]
    assert agenda(office, "2026-03-03") == ["first", "second"]
    assert agenda(office, "2026-03-04") == ["second"]
    assert agenda(office, "2026-03-05") == ["late", "second"]
    assert agenda(office, "2026-03-01") == []
    assert agenda(office, "2026-03-10") == ["late", "second"]
    # Put off, it is where it is due now.
    office.run("snooze", second, "2026-03-20", at=3 * DAY)
    assert agenda(office, "2026-03-03") == ["first"]
    assert agenda(office, "2026-03-20") == ["late", "second"]


def test_a_date_that_is_past_or_far_ahead_is_said_wherever_it_makes_a_reminder(office: Office) -> None:
    office.run("add-client", "Boris")
    past, far = "that is past: it is due at once", "that is more than a year away"
    for said, date in ((past, "2026-02-01"), (far, "2199-07-01")):
        for command in (
            ("add-reminder", "Anna", "call", "--due", date),
            ("log-call", "Anna", "out", "--promise", "a sample", "--due", date),
            ("advance-stage", "Boris", "--lost", "price", "--return", date),
            ("advance-stage", "Boris", "--to", "call"),
        ):
            process = office.start(*command)
            _, err = process.communicate()
            assert process.returncode == 0
            assert err.splitlines()[1:] == ([said] if date in command else [])
