"""The flags of many deals by the query against the rule, over made-up histories, calendars and zones."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crmcli.model import records as r
from crmcli.model.flags import FLAGS, Flags, flags
from crmcli.model.process import DEFAULT, Pipeline, Process, Stage
from crmcli.model.worktime import Calendar, add_days
from crmcli.session import new_op_id
from crmcli.storage.flagging import flagged, flags_of, open_deals, with_flags
from crmcli.storage.view import Draft, View
from tests.storage.company import MEMORY, NOW, Company

AS_OF = datetime(2026, 10, 30, 12, tzinfo=UTC)
ZONES = ("Europe/Moscow", "Europe/Berlin", "Asia/Beirut", "Atlantic/Azores", "America/Havana")
terms = st.none() | st.integers(0, 12).map("{}d".format) | st.integers(1, 9).map("{}bd".format)
calendars = st.builds(
    Calendar,
    st.lists(st.integers(0, 6), min_size=1, unique=True).map(tuple),
    holidays=st.lists(st.integers(1, 31).map("10-{:02}".format), max_size=5).map(tuple),
)
CLIENTS = 60


def instant(random: Random, zone: str) -> datetime:
    """Some time around the change of the clocks in autumn, mostly at the very end or beginning of a local day."""
    if random.random() < 0.3:
        return AS_OF + timedelta(hours=random.randrange(-24 * 20, 24 * 4))
    day = datetime(2026, 10, random.randrange(18, 32), tzinfo=ZoneInfo(zone)).astimezone(UTC)
    return day + timedelta(microseconds=random.choice((-1, 0, 0, 1)))


def histories(random: Random, zone: str, as_of: datetime) -> list[r.Record]:
    """Clients with a deal or two each, and what was done and is to be done about one of them, another or neither."""

    def at() -> datetime:
        return as_of if random.random() < 0.1 else instant(random, zone)

    records: list[r.Record] = []
    for client in range(1, CLIENTS + 1):
        records.append(r.Client(client, AS_OF, 7, 7))
        deals = [
            r.Deal(
                number,
                client,
                7,
                random.choice("pppg"),
                random.choice("abcg"),
                random.choice(("open", "open", "open", "lost")),
                at() if random.random() < 0.8 else None,
                at() if random.random() < 0.9 else None,
            )
            for number in range(10 * client, 10 * client + random.randint(1, 2))
        ]
        about = [deal.deal_id for deal in deals] + [None]
        records += deals
        records += [
            r.Activity(
                1000 * client + number, client, "call", at(), 7, random.choice(about), voided=random.random() < 0.2
            )
            for number in range(random.randint(0, 2))
        ]
        for number in range(random.randint(0, 2)):
            done = at() if random.random() < 0.4 else None
            made = r.Reminder(
                1000 * client + number, client, "manual", at(), random.random() < 0.5, 7, at(), 7, random.choice(about)
            )
            records.append(replace(made, status="done" if done else "open", done_at=done))
    return records


@st.composite
def processes(draw: st.DrawFn) -> Process:
    stages = tuple(Stage(name, name, draw(terms), None, draw(terms)) for name in "abc")
    return Process((Pipeline("p", "P", stages),), (), (), (), calendar=draw(calendars))


def put(company: Company, process: Process, zone: str, records: list[Any]) -> View:
    store = company.open()
    draft = Draft(store)
    draft.put(*records)
    draft.put_document("process", r.Document(1, 2, json.dumps(process.to_plain()), NOW, 7))
    plain = replace(draft.settings, timezone=zone).to_plain()
    draft.put_document("settings", r.Document(2, 2, json.dumps(plain), NOW, 7))
    store.commit(draft.finish(), draft.base, new_op_id(), NOW)
    return View(store)


def of(kind: type[Any], records: list[Any]) -> list[Any]:
    return [record for record in records if isinstance(record, kind)]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), process=processes(), zone=st.sampled_from(ZONES))
def test_the_query_says_what_the_rule_says(founded: Company, seed: int, process: Process, zone: str) -> None:
    random = Random(seed)
    as_of = instant(random, zone)
    records = histories(random, zone, as_of)
    activities, reminders = of(r.Activity, records), of(r.Reminder, records)
    expected = {
        deal.deal_id: flags(process, ZoneInfo(zone), deal, activities, reminders, as_of) for deal in of(r.Deal, records)
    }
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        company = Company(Path(shutil.copytree(founded.folder, Path(folder) / "company")))
        view = put(company, process, zone, records)
        found = {row["deal_id"]: Flags(*(row[flag] for flag in FLAGS)) for row in rows(view, as_of)}
        assert found == {deal.deal_id: expected[deal.deal_id] for deal in of(r.Deal, records) if deal.status == "open"}
        assert flags_of(view, list(expected), as_of) == expected
        for flag in FLAGS[1:]:
            assert with_flags(view, [flag], as_of) == [number for number in expected if getattr(expected[number], flag)]
        view.store.close()


def rows(view: View, as_of: datetime) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = flagged(view, open_deals(view), as_of).to_pylist()
    return found


def test_many_deals_are_asked_for_at_once(founded: Company, tmp_path: Path) -> None:
    company = Company(Path(shutil.copytree(founded.folder, tmp_path / "company")))
    deals = [
        r.Deal(number, number, 7, "new", "meeting", "won" if number % 7 == 0 else "open", AS_OF, AS_OF)
        for number in range(1, 400)
    ]
    late, idle = (add_days(DEFAULT.calendar, ZoneInfo("Europe/Moscow"), AS_OF, term) for term in ("10bd", "5bd"))
    steps = [
        r.Reminder(number, number, "manual", due, True, 7, AS_OF, 7)
        for number, due in ((1, late), (2, late - timedelta(microseconds=1)))
    ]
    people = [r.Client(deal.deal_id, NOW, 7, 7) for deal in deals]
    view = put(company, DEFAULT, "Europe/Moscow", [*people, *deals, *steps])
    for as_of in (late, late - timedelta(microseconds=1)):
        many, few = (flags_of(view, ids, as_of) for ids in (range(1, 400), range(1, 100)))
        assert few == {number: many[number] for number in range(1, 100)}
        assert {many[number].overdue for number in range(1, 400) if number % 7} == {as_of == late}
        assert many[7] == Flags()
    # Due with the deadline is too late, a moment before is not.
    assert [flags_of(view, range(1, 400), idle)[number].idle for number in (1, 2, 3)] == [True, False, True]


@pytest.mark.parametrize("deals", [0, 1])
def test_a_base_without_history_has_no_late_deals(founded: Company, tmp_path: Path, deals: int) -> None:
    company = Company(Path(shutil.copytree(founded.folder, tmp_path / "company")))
    known = [r.Client(1, NOW, 7, 7), r.Deal(1, 1, 7, "new", "call")]
    view = put(company, DEFAULT, "Europe/Moscow", known[: 2 * deals])
    assert rows(view, NOW) == [{"deal_id": 1, **dict.fromkeys(FLAGS), "no_next_step": True}][:deals]
