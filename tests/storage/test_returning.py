"""Repeat sales in bulk against the rules for one client, on made-up histories, degenerate bases and real purchases."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from random import Random
from statistics import fmean, quantiles

import pytest

from crmcli.model import records as r
from crmcli.model.ids import encode_id
from crmcli.model.reactivating import Wanted
from crmcli.model.returning import likelihood, occasions, own_period
from crmcli.session import new_op_id
from crmcli.storage.reactivating import due
from crmcli.storage.returning import counted_norms, periods
from crmcli.storage.view import Draft, View
from tests.replay import SAMPLE_DATA
from tests.storage.company import NOW, Company

ROOT = Path(__file__).parents[2]
START = datetime(2025, 3, 1, tzinfo=UTC)
SEGMENTS = ("private", "business", None)


def put(company: Company, *records: r.Record) -> View:
    store = company.open()
    draft = Draft(store)
    draft.put(*records)
    store.commit(draft.finish(), draft.base, new_op_id(), NOW)
    return View(store)


def histories(seed: int, clients: int = 60) -> list[r.Record]:
    """Return clients and their documents at random: several a day, refunds, voided ones, some in the future."""
    random = Random(seed)
    records: list[r.Record] = []
    for number in range(1, clients + 1):
        records.append(r.Client(number, START, 1, 1, segment=random.choice(SEGMENTS), archived=random.random() < 0.1))
        for place in range(random.choice((0, 1, 1, 2, 3, 8))):
            sale_id = number * 100 + place * 10
            sold_at = START + timedelta(hours=random.randrange(9000) if random.random() < 0.8 else 24 * place)
            amount = Decimal(random.randrange(0, 500)) / 4
            sale = r.Sale(sale_id, number, sold_at, amount, 1, voided=random.random() < 0.1)
            records.append(sale)
            if random.random() < 0.3 and not sale.voided:
                back = sold_at + timedelta(hours=random.randrange(2000))
                known = sale_id if random.random() < 0.8 else None
                share = random.choice((Decimal(1), Decimal("0.5"), Decimal(2)))
                voided = random.random() < 0.2
                records.append(r.Sale(sale_id + 1, number, back, -amount * share, 1, refund_of=known, voided=voided))
    return records


def by_client(records: list[r.Record], view: View, as_of: datetime) -> dict[int, list[date]]:
    """Return the occasions of every client who bought, by the rule."""
    sales = defaultdict(list)
    for record in records:
        if isinstance(record, r.Sale):
            sales[record.client_id].append(record)
    days = {number: occasions(found, view.settings.zone, as_of) for number, found in sales.items()}
    return {number: found for number, found in days.items() if found}


@pytest.mark.parametrize("seed", range(3))
def test_periods_in_bulk_are_those_of_the_rules(company: Company, seed: int) -> None:
    records = histories(seed)
    view = put(company, *records)
    segments = {record.client_id: record.segment for record in records if isinstance(record, r.Client)}
    for as_of in (NOW, START + timedelta(days=100), START - timedelta(days=1)):
        days = by_client(records, view, as_of)
        rows = {(row["is_whole"], row["segment"]): row for row in periods(view, as_of)}
        norms = counted_norms(view, as_of)
        assert len(rows) == len({segments[number] for number in days}) + 1
        for (is_whole, segment), row in rows.items():
            mine = [found for number, found in days.items() if is_whole or segments[number] == segment]
            own = [period for found in mine if (period := own_period(found)) is not None]
            gaps = [(b - a).days for found in mine for a, b in pairwise(found)]
            assert (row["buyers"], row["clients"]) == (len(mine), len(own))
            if not own:
                assert row["period_days"] is row["interval_mean"] is None
                continue
            assert row["period_days"] == pytest.approx(fmean(own))
            assert row["interval_mean"] == pytest.approx(fmean(gaps))
            found = tuple(row[f"period_{name}"] for name in ("low", "median", "high"))
            assert found == pytest.approx(_quartiles(own))
            norm = norms.whole if is_whole else norms.segments[segment] if segment else None
            if norm is not None:
                assert (norm.gap_low, norm.gap_median, norm.gap_high) == pytest.approx(_quartiles(gaps), abs=1e-4)
                assert norm.clients == len(own)
                assert norm.period_days == pytest.approx(fmean(own), abs=1e-4)


def _quartiles(values: list[float] | list[int]) -> tuple[float, ...]:
    return tuple(quantiles(values, method="inclusive")) if len(values) > 1 else (values[0],) * 3


def test_managers_work_by_what_was_published(company: Company) -> None:
    add = company.crmcli("add-client", "Mine", "--format", "ids", who="manager")
    assert add.code == 0
    assert "of your own clients" in company.crmcli("client", "period", "Mine", who="manager").err
    put(company, *histories(1))
    assert company.crmcli("norms", who="manager").code == 15
    assert company.crmcli("norms", who="analyst").code == 15
    assert company.crmcli("norms", who="service").code == 0
    assert "nothing changed" in company.crmcli("norms").err
    shown = company.crmcli("client", "period", "Mine", "--format", "json", who="manager")
    assert "published as of 2026-03-02" in shown.err
    whole = counted_norms(company.view(), NOW).whole
    assert whole is not None
    assert f'"segment_days": {round(whole.period_days, 1)}' in shown.out
    # The report goes by the same norms; the manager's one client has bought nothing.
    told = company.crmcli("report", "periods", "--format", "json", who="manager")
    assert "published as of 2026-03-02" in told.err
    assert "beside period_days is of your own clients" in told.err
    (row,) = json.loads(told.out)
    assert (row["period_days"], row["basis"], row["buyers"]) == (round(whole.period_days, 1), "base", 0)
    assert "published" not in company.crmcli("report", "periods").err


def test_a_set_period_is_kept_and_taken_back(company: Company) -> None:
    put(company, r.Client(7, START, 1, 1), r.Sale(70, 7, START, Decimal(5), 1))
    who = encode_id(7)
    assert '"period_days": 45.0' in company.crmcli("client", "period", who, "--set", "45d", "--format", "json").out
    assert '"period_days": 90.0' in company.crmcli("client", "period", who, "--set", "none", "--format", "json").out
    assert company.crmcli("client", "period", who, "--set", "soon").code == 2


def test_the_state_of_a_day_has_nothing_of_the_next(company: Company) -> None:
    sold_at = datetime(2025, 3, 9, 21, tzinfo=UTC)  # the first instant of 10 March in Moscow
    put(company, r.Client(7, START, 1, 1), r.Sale(70, 7, sold_at, Decimal(5), 1))
    for day, buyers in (("2025-03-09", 0), ("2025-03-10", 1)):
        shown = company.crmcli("report", "periods", "--as-of", day, "--format", "json")
        assert f'"buyers": {buyers}' in shown.out


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, founded: Company) -> Company:
    """A company with all purchases of a real music shop."""
    import shutil

    source = SAMPLE_DATA / "cdnow" / "CDNOW_master.txt"
    if not source.exists():
        pytest.skip("no sample data")
    company = Company(Path(shutil.copytree(founded.folder, tmp_path_factory.mktemp("shop") / "company")))
    taken = company.crmcli("import", "sales", str(source), "--map", str(ROOT / "docs" / "howto" / "cdnow.toml"))
    assert taken.code == 0, taken.err
    return company


def test_periods_of_a_real_shop(shop: Company) -> None:
    shown = shop.crmcli("report", "periods", "--as-of", "1997-09-30", "--format", "csv")
    assert shown.out.splitlines()[-1] == "all,65.1,48.5,103.0,9449,23500,59.8,46.4,base"


def auc(scores: dict[int, float], came: set[int]) -> float:
    """Return how often one who came ranks above one who did not, ties counting half."""
    ordered = sorted(scores.values())
    places = {score: (bisect_left(ordered, score) + bisect_right(ordered, score) + 1) / 2 for score in set(ordered)}
    ranks = sum(places[scores[number]] for number in came)
    others = len(scores) - len(came)
    return (ranks - len(came) * (len(came) + 1) / 2) / (len(came) * others)


def quintiles(values: dict[int, float]) -> dict[int, int]:
    """Return for each client in which fifth of all the value is, from 1 to 5."""
    ordered = sorted(values.values())
    return {number: 1 + min(4, 5 * bisect_left(ordered, value) // len(ordered)) for number, value in values.items()}


def test_the_order_tells_who_comes_back_better_than_rfm(shop: Company) -> None:
    view = shop.view()
    zone = view.settings.zone
    as_of = datetime(1997, 10, 1, tzinfo=zone) - timedelta(microseconds=1)
    records = view.records("sales")
    days, later = (by_client(records, view, until) for until in (as_of, as_of + timedelta(days=90)))
    came = {number for number, found in days.items() if len(later[number]) > len(found)}
    norm = counted_norms(view, as_of).of(None).period_days
    today = date(1997, 9, 30)
    ours = {number: likelihood(len(found), (today - found[-1]).days, norm) for number, found in days.items()}
    spent: dict[int, float] = defaultdict(float)
    for sale in records:
        if sale.sold_at <= as_of:
            spent[sale.client_id] += float(sale.amount)
    recency = quintiles({number: -(today - found[-1]).days for number, found in days.items()})
    frequency = quintiles({number: len(found) for number, found in days.items()})
    money = quintiles({number: spent[number] for number in days})
    rfm = {number: float(recency[number] + frequency[number] + money[number]) for number in days}
    assert len(days) == 23_500
    assert auc(ours, came) >= 0.74
    assert auc(ours, came) >= auc(rfm, came)
    # What is printed is in the order of the same figure times the average check.
    rows, _, _ = due(view, as_of, Wanted())
    assert [row["priority"] for row in rows] == sorted((row["priority"] for row in rows), reverse=True)
    for row in rows[:200]:
        assert row["priority"] == pytest.approx(
            float(row["average_check"]) * ours[row["client_id"]], rel=1e-3, abs=0.01
        )
