"""The flags of many deals by the query against the rule, over made-up histories, calendars and zones."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
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
# Around the change of the clocks in autumn, often at the very end or beginning of a local day.
hours = st.integers(-24 * 40, 24 * 8).map(lambda hours: AS_OF + timedelta(hours=hours))
edges = st.builds(
    lambda day, zone, off: datetime(2026, 10, day, tzinfo=ZoneInfo(zone)).astimezone(UTC) + timedelta(microseconds=off),
    st.integers(1, 31),
    st.sampled_from(ZONES),
    st.integers(-1, 1),
)
instants = hours | edges
clients = st.integers(1, 4)
deal_ids = st.none() | st.integers(100, 111)


@st.composite
def histories(draw: st.DrawFn) -> list[r.Record]:
    deals = [
        r.Deal(
            number,
            draw(clients),
            7,
            draw(st.sampled_from(("p", "p", "gone"))),
            draw(st.sampled_from(("a", "b", "c", "gone"))),
            draw(st.sampled_from(("open", "open", "open", "lost"))),
            draw(st.none() | instants),
            draw(st.none() | instants),
        )
        for number in range(100, draw(st.integers(101, 112)))
    ]
    touches = draw(st.lists(st.tuples(clients, instants, deal_ids, st.booleans()), max_size=12))
    activities = [
        r.Activity(200 + number, client, "call", at, 7, deal_id, voided=voided)
        for number, (client, at, deal_id, voided) in enumerate(touches)
    ]
    dues = draw(st.lists(st.tuples(clients, instants, deal_ids, instants, st.none() | instants), max_size=12))
    reminders = [
        r.Reminder(
            300 + number, client, "manual", due, False, 7, made, 7, deal_id, False, "done" if done else "open", done
        )
        for number, (client, due, deal_id, made, done) in enumerate(dues)
    ]
    people = [r.Client(client, AS_OF, 7, 7) for client in range(1, 5)]
    return [*people, *deals, *activities, *reminders]


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


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=histories(), process=processes(), zone=st.sampled_from(ZONES), as_of=instants)
def test_the_query_says_what_the_rule_says(
    founded: Company, records: list[r.Record], process: Process, zone: str, as_of: datetime
) -> None:
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
        r.Deal(number, number, 7, "new", "call", "won" if number % 7 == 0 else "open", AS_OF, AS_OF)
        for number in range(1, 400)
    ]
    view = put(company, DEFAULT, "Europe/Moscow", [r.Client(deal.deal_id, NOW, 7, 7) for deal in deals] + deals)
    late = add_days(DEFAULT.calendar, view.settings.zone, AS_OF, "2bd")
    for as_of in (late, late - timedelta(microseconds=1)):
        many, few = (flags_of(view, ids, as_of) for ids in (range(1, 400), range(1, 100)))
        assert few == {number: many[number] for number in range(1, 100)}
        assert {many[number].overdue for number in range(1, 400) if number % 7} == {as_of == late}
        assert many[7] == Flags()


@pytest.mark.parametrize("deals", [0, 1])
def test_a_base_without_history_has_no_late_deals(founded: Company, tmp_path: Path, deals: int) -> None:
    company = Company(Path(shutil.copytree(founded.folder, tmp_path / "company")))
    known = [r.Client(1, NOW, 7, 7), r.Deal(1, 1, 7, "new", "call")]
    view = put(company, DEFAULT, "Europe/Moscow", known[: 2 * deals])
    assert rows(view, NOW) == [{"deal_id": 1, **dict.fromkeys(FLAGS), "no_next_step": True}][:deals]
