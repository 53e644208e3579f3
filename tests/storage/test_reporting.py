"""Reports against a plain count of the same records in Python: funnels by period, instant and group; the summary."""

from __future__ import annotations

import json
import re
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest

from crmcli.errors import DamagedError
from crmcli.model import records as r
from crmcli.model.moves import moves
from crmcli.model.process import DEFAULT, Pipeline, Process, Stage
from crmcli.model.reports import funnel
from crmcli.session import new_op_id
from crmcli.storage import query
from crmcli.storage.layout import file_path
from crmcli.storage.reporting import funnel_counts, standing, summary_figures
from crmcli.storage.tables import TABLES
from crmcli.storage.view import Draft, View
from tests.storage.company import NOW, Company

PIPELINE = DEFAULT.pipelines[0]
STAGES = [stage.id for stage in PIPELINE.stages]
START = datetime(2025, 3, 1, tzinfo=UTC)


def put(company: Company, *records: r.Record) -> View:
    store = company.open()
    draft = Draft(store)
    # In which order entries of one instant lie says nothing.
    draft.put(*Random(0).sample(records, len(records)))
    store.commit(draft.finish(), draft.base, new_op_id(), NOW)
    return View(store)


def made_up(seed: int, deals: int) -> list[r.Record]:
    """Return clients, deals and their moves at random, some undated, some reopened."""
    random = Random(seed)
    records: list[r.Record] = []
    for number in range(1, 40):
        segment, source = random.choice(("private", "business", None)), random.choice(("web", "phone", None))
        records.append(r.Client(number, START, 1, 1, source, segment))
        if random.random() < 0.5:
            sold_at = START + timedelta(days=random.randrange(300))
            records.append(r.Sale(10_000 + number, number, sold_at, Decimal(10), 1))
    for number in range(100, 100 + deals):
        client = random.randrange(1, 40)
        at = START + timedelta(hours=random.randrange(6000)) if random.random() < 0.9 else None
        records += history(random, number, client, at)
    return records


def history(random: Random, deal_id: int, client: int, at: datetime | None) -> list[r.Record]:
    """Return a deal and its history, of which a good part happens at once; the entries are in order."""
    way = [(random.choice(STAGES[:2]), at)]
    for _ in range(random.randrange(9) if at is not None else 0):
        before = way[-1][0]
        if before == "won":
            break
        at = at and at + timedelta(hours=random.choice((0, 0, random.randrange(1, 200))))
        target = random.choice([*STAGES, "lost", "won"] if before != "lost" else STAGES)
        if target != before:
            way.append((target, at))
    told = moves(STAGES, [stage for stage, _ in way])
    changes = [
        r.StageChange(deal_id * 100 + step, deal_id, client, "new", before, stage, move, at, 1)
        for step, ((stage, at), (before, move)) in enumerate(zip(way, told, strict=True))
    ]
    last = way[-1][0]
    stage = next(stage for stage, _ in reversed(way) if stage in STAGES)
    status = last if last in ("won", "lost") else "open"
    return [r.Deal(deal_id, client, random.choice((1, 2)), "new", stage, status, way[0][1]), *changes]


def counted(
    records: list[r.Record], period: tuple[datetime, datetime] | None, as_of: datetime, wanted: set[int] | None = None
) -> list[tuple[int, int, int]]:
    """Count reached, lost and open by stage as the definition says, deal by deal."""
    size = len(STAGES) + 1
    reached, lost, still_open = [0] * size, [0] * size, [0] * size
    for deal in (record for record in records if isinstance(record, r.Deal)):
        if deal.opened_at is not None and deal.opened_at > as_of:
            continue
        if period and (deal.opened_at is None or not period[0] <= deal.opened_at < period[1]):
            continue
        if wanted is not None and deal.client_id not in wanted:
            continue
        seen = [
            record
            for record in records
            if isinstance(record, r.StageChange)
            and record.deal_id == deal.deal_id
            and (record.changed_at is None or record.changed_at <= as_of)
        ]
        furthest = max(STAGES.index(move.to_stage) for move in seen if move.to_stage in STAGES)
        last = seen[-1].to_stage
        reach = size - 1 if last == "won" else furthest
        for place in range(reach + 1):
            reached[place] += 1
        lost[reach] += last == "lost"
        still_open[reach] += last not in ("won", "lost")
    still_open[-1] = 0
    return list(zip(reached, lost, still_open, strict=True))


@pytest.mark.parametrize("seed", range(4))
def test_funnel_equals_a_count_deal_by_deal(company: Company, seed: int) -> None:
    records = made_up(seed, 150)
    view = put(company, *records)
    middle = START + timedelta(days=120)
    periods = (None, (START, middle), (middle, NOW), (NOW, NOW + timedelta(days=1)))
    for period in periods:
        for as_of in (NOW, middle):
            counts = funnel_counts(view, PIPELINE, period, as_of)
            found = [(row.reached, row.lost, row.open) for row in counts] or [(0, 0, 0)] * (len(STAGES) + 1)
            assert found == counted(records, period, as_of)
            for row in funnel(PIPELINE, counts)[:-1] if counts else ():
                assert row[2] == row[3] + row[4] + row[5]


def test_funnel_by_segment_source_owner_and_repeat(company: Company) -> None:
    records = made_up(9, 150)
    view = put(company, *records)
    clients = [record for record in records if isinstance(record, r.Client)]
    for by in ("segment", "source"):
        groups = {getattr(client, by) for client in clients}
        counts = funnel_counts(view, PIPELINE, None, NOW, by)
        for group in groups:
            wanted = {client.client_id for client in clients if getattr(client, by) == group}
            found = [(row.reached, row.lost, row.open) for row in counts if row.grouping == group]
            assert found == counted(records, None, NOW, wanted)
    for by, groups in (("owner", {"1", "2"}), ("repeat", {"first", "repeat"})):
        counts = funnel_counts(view, PIPELINE, None, NOW, by)
        assert {row.grouping for row in counts} == groups
        assert sum(row.reached for row in counts if row.position == 1) == 150


@pytest.mark.parametrize("period", [None, (NOW, NOW + timedelta(days=1))], ids=["all", "no deal"])
def test_damage_of_what_is_read_while_the_query_runs_is_named(
    company: Company, period: tuple[datetime, datetime] | None
) -> None:
    put(company, *made_up(1, 50))
    view = View(company.open())
    entry = view.store.state.entries("stage_changes")[0]
    path = company.root / file_path(entry.file_id)
    raw = path.read_bytes()
    path.write_bytes(raw[:-20] + bytes([raw[-20] ^ 1]) + raw[-19:])
    with pytest.raises(DamagedError, match=entry.file_id):
        funnel_counts(view, PIPELINE, period, NOW)


def test_stream_of_a_table_is_the_table(company: Company) -> None:
    records = made_up(2, 40)
    put(company, *records)
    store = company.open()
    draft = Draft(store)
    moved = [replace(deal, stage="closing") for deal in draft.records("deals")[:7]]
    draft.put(*moved)
    store.commit(draft.finish(), draft.base, new_op_id(), NOW)
    for name in ("deals", "stage_changes", "clients", "reminders"):
        columns = TABLES[name].schema.names
        whole = store.reader.merged(name, columns).to_pylist()
        pieces = [row for piece in store.reader.stream(name, columns) for row in piece.to_pylist()]
        key = TABLES[name].key
        assert sorted(pieces, key=lambda row: row[key]) == sorted(whole, key=lambda row: row[key])
        assert len(whole) <= store.reader.most_rows(name)
    assert sum(row["stage"] == "closing" for row in store.reader.merged("deals").to_pylist()) >= len(moved)


def test_engine_plans_with_the_number_of_rows_of_a_stream(company: Company) -> None:
    records = made_up(3, 300)
    reader = put(company, *records).store.reader
    changes = sum(isinstance(record, r.StageChange) for record in records)
    with closing(query.sealed()) as connection:
        stream = query.Stream(reader, "stage_changes", ["change_id"])
        stream.register(connection, "stage_changes")
        plan = connection.execute("EXPLAIN SELECT * FROM stage_changes").fetchall()[0][1]
        assert f"~{changes:,} rows" in plan
        assert connection.execute("SELECT count(*) FROM stage_changes").fetchall() == [(changes,)]
        stream.check()


@pytest.mark.parametrize("path", sorted(query.FOLDER.glob("*.sql")), ids=lambda path: path.stem)
def test_statement_reads_once_what_can_be_read_once(path: Path) -> None:
    statement = path.read_text(encoding="utf-8")
    assert len(re.findall(r"(?<!MACRO )\bstops\(", statement)) == statement.count("steps AS MATERIALIZED") <= 1
    for table in query.READ_ONCE:
        assert len(re.findall(rf"(FROM|JOIN) {table}\b", statement)) == len(re.findall(rf"\b{table}\b", statement)) <= 1


def test_snapshot_counts_where_deals_stand(company: Company) -> None:
    records = made_up(3, 120)
    view = put(company, *records)
    deals = [record for record in records if isinstance(record, r.Deal)]
    found = {(row["position"], row["outcome"]): row["deals"] for row in standing(view, PIPELINE, None, NOW)}
    for place, stage in enumerate(STAGES, 1):
        assert found.get((place, None), 0) == sum(deal.status == "open" and deal.stage == stage for deal in deals)
    for outcome in ("won", "lost"):
        assert found.get((None, outcome), 0) == sum(deal.status == outcome for deal in deals)


def test_time_in_stage_is_over_finished_visits(company: Company) -> None:
    changes: list[r.Record] = []
    for number, days in enumerate((1, 2, 6)):
        at = START + timedelta(days=number)
        changes += [
            r.Deal(50 + number, 1, 1, "new", "discovery", opened_at=at),
            r.StageChange(500 + number, 50 + number, 1, "new", None, "call", "open", at, 1),
            r.StageChange(
                600 + number, 50 + number, 1, "new", "call", "discovery", "forward", at + timedelta(days=days), 1
            ),
        ]
    rows = funnel_counts(put(company, r.Client(1, START, 1, 1), *changes), PIPELINE, None, NOW)
    assert (rows[0].median_days, rows[0].p90_days) == (2.0, 5.2)
    assert (rows[1].median_days, rows[1].p90_days) == (None, None)


def test_a_removed_stage_counts_as_the_one_before(company: Company) -> None:
    changes: list[r.Record] = [
        r.Deal(50, 1, 1, "new", "meeting", "lost", START),
        r.StageChange(500, 50, 1, "new", None, "call", "open", START, 1),
        r.StageChange(501, 50, 1, "new", "call", "meeting", "skip", START + timedelta(days=1), 1),
        r.StageChange(502, 50, 1, "new", "meeting", "lost", "lost", START + timedelta(days=2), 1),
    ]
    put(company, r.Client(1, START, 1, 1), *changes)
    stages = tuple(Stage(name, name) for name in ("call", "discovery", "closing"))
    shorter = Process((Pipeline("new", "New", stages),), (), (), ())
    store = company.open()
    draft = Draft(store)
    text = json.dumps(shorter.to_plain())
    draft.put_document("process", r.Document(2, 2, text, NOW, store.member_number))
    store.commit(draft.finish(), draft.base, new_op_id(), NOW)
    rows = funnel_counts(View(store), shorter.pipelines[0], None, NOW)
    assert [(row.reached, row.lost) for row in rows] == [(1, 0), (1, 1), (0, 0), (0, 0)]


def test_march_and_april(company: Company) -> None:
    """A 1000 in March, refunded in April; B 500 in March; a voided document and one of nothing."""
    march, april = datetime(2025, 3, 10, 12, tzinfo=UTC), datetime(2025, 4, 5, 12, tzinfo=UTC)
    view = put(
        company,
        *(r.Client(number, START, 1, 1) for number in (1, 2, 3)),
        r.Sale(11, 1, march, Decimal(1000), 1),
        r.Sale(12, 2, march, Decimal(500), 1),
        r.Sale(13, 1, april, Decimal(-1000), 1, refund_of=11),
        r.Sale(14, 3, march, Decimal(777), 1, voided=True),
        r.Sale(15, 3, march, Decimal(0), 1),
        # Half past midnight of 1 May in Moscow, still April in UTC.
        r.Sale(16, 2, datetime(2025, 4, 30, 21, 30, tzinfo=UTC), Decimal(50), 1),
        r.Activity(21, 1, "call", march, 1, direction="in", result="answered"),
        r.Activity(22, 1, "call", march, 1, direction="out", result="busy"),
        r.Activity(23, 1, "call", march, 1, direction="out", result="busy", voided=True),
        r.Activity(24, 1, "meeting", march, 1),
    )
    zone = view.settings.zone
    months = {
        f"{month:02}": (
            datetime(2025, month, 1, tzinfo=zone).astimezone(UTC),
            datetime(2025, month + 1, 1, tzinfo=zone).astimezone(UTC),
        )
        for month in (3, 4, 5)
    }
    found = summary_figures(view, {**months, "all": None}, NOW)
    assert (found["03"]["sales"], found["03"]["volume"], found["03"]["average_check"]) == (2, 1500, 750)
    assert (found["03"]["incoming_calls"], found["03"]["outgoing_calls"]) == (1, 1)
    assert (found["04"]["sales"], found["04"]["volume"], found["04"]["average_check"]) == (0, -1000, None)
    assert (found["05"]["sales"], found["05"]["volume"]) == (1, 50)
    # The refund counts against the day of its sale: client 1 has no occasion left, client 2 came in March.
    assert (found["03"]["new_clients"], found["04"]["new_clients"], found["all"]["new_clients"]) == (1, 0, 1)
    assert (found["03"]["clients"], found["all"]["sales"], found["all"]["volume"]) == (2, 3, 550)
    before_refund = summary_figures(view, months, datetime(2025, 3, 31, tzinfo=UTC))
    assert before_refund["03"]["new_clients"] == 2


def test_win_rates_of_closed_and_of_all(company: Company) -> None:
    records = made_up(5, 100)
    view = put(company, *records)
    deals = [record for record in records if isinstance(record, r.Deal)]
    won, lost = (sum(deal.status == status for deal in deals) for status in ("won", "lost"))
    figures = summary_figures(view, {"all": None}, NOW)["all"]
    assert (figures["won"], figures["lost"]) == (won, lost)
    assert figures["win_rate_closed_pct"] == pytest.approx(100 * won / (won + lost), abs=0.05)
    assert figures["win_rate_all_pct"] == pytest.approx(won, abs=0.05)


def test_closings_without_a_date_are_closed_until_reopened(company: Company) -> None:
    deals: list[r.Record] = [r.Client(1, START, 1, 1)]
    for number, opened_at, outcome in ((50, START, "lost"), (51, None, "won"), (52, START, "lost")):
        deals += [
            r.Deal(number, 1, 1, "new", "call", outcome, opened_at),
            r.StageChange(number * 10, number, 1, "new", None, "call", "open", opened_at, 1),
            r.StageChange(number * 10 + 1, number, 1, "new", "call", outcome, outcome, None, 1),
        ]
    deals.append(
        r.StageChange(529, 52, 1, "new", "call", "discovery", "reopen", START + timedelta(days=3), 1),
    )
    view = put(company, *deals)
    rows = funnel_counts(view, PIPELINE, None, NOW)
    assert [(row.reached, row.lost, row.open) for row in rows[:2]] == [(3, 1, 0), (2, 0, 1)]
    assert rows[-1].reached == 1
    assert rows[0].median_days is None
    figures = summary_figures(view, {"all": None, "year": (START, NOW)}, NOW)
    assert [(figures[name]["won"], figures[name]["lost"]) for name in ("all", "year")] == [(1, 1), (0, 0)]
