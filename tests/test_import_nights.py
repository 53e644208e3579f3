"""Deals and stages imported night after night, as another program exports them, come to the way that deals went."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crmcli.storage import plain_sheet
from tests.storage.company import Company, make_company

STAGES = ("call", "discovery", "proposal", "meeting")
START = datetime(2026, 3, 2, 6, tzinfo=UTC)
# Local time of the company.
ZONE = timedelta(hours=3)
NIGHTS, DEALS = 5, 40


@dataclass
class Way:
    """A deal as it really went: its stops, and when it came to each.

    `off` is how much later the file of deals says that it was opened and closed; without it, the file tells the days.
    """

    name: str
    off: timedelta | None
    stops: list[tuple[str, datetime]] = field(default_factory=list)

    def go_on(self, chance: random.Random, day: datetime) -> None:
        """Live through one more day."""
        at = day + timedelta(minutes=chance.randrange(60))
        for _ in range(chance.randrange(4)):
            last = self.stops[-1][0] if self.stops else None
            if last == "won":
                return
            choice = [stage for stage in STAGES if stage != last] + (["won", "lost"] if last in STAGES else [])
            self.stops.append((chance.choice(choice), at))
            at += timedelta(minutes=chance.randrange(1, 200))

    def deal(self) -> str:
        """Return its row in a file of deals."""
        form = "%Y-%m-%d" if self.off is None else "%Y-%m-%d %H:%M:%S"
        stage, _ = self.stops[-1]
        opened, last = (f"{at + ZONE + (self.off or timedelta()):{form}}" for _, at in (self.stops[0], self.stops[-1]))
        return f"{self.name},Anna,{stage},{opened},{last if stage in ('won', 'lost') else ''}"

    def rows(self, since: int = 0) -> list[str]:
        """Return its rows in a file of stages, from a stop on."""
        return [f"{self.name},{stop},{at + ZONE:%Y-%m-%d %H:%M}" for stop, at in self.stops[since:]]


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Company:
    company = make_company(tmp_path_factory.mktemp("nights") / "company")
    process = "\n".join(
        ["lost_reasons = []", 'sources = ["web"]', "segments = []", "[[pipelines]]", 'id = "p"', 'name = "P"',
         f"stages = [{', '.join(f'{stage!r}' for stage in STAGES)}]"]
    )  # fmt: skip
    take(company, process, "process", "apply")
    take(company, "name\nAnna\n", "import", "clients")
    return company


def take(company: Company, text: str, *command: str) -> tuple[int, ...]:
    """Run a command on a file; return what it counts as new and changed."""
    path = company.folder / "file"
    path.write_text(text + "\n", encoding="utf-8")
    result = company.crmcli(*command, str(path))
    assert result.code == 0, result
    said = dict(line.rsplit(maxsplit=1) for line in result.out.splitlines())
    return tuple(int(said.get(name, 0)) for name in ("new", "changed"))


@pytest.fixture(params=[True, False], ids=["in columns", "row by row"])
def in_columns(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether small files are taken in columns, as large ones are."""
    in_columns: bool = request.param
    monkeypatch.setattr(plain_sheet, "_FEWEST_BYTES", 0 if in_columns else 1 << 40)
    monkeypatch.setattr(plain_sheet, "_SAMPLE", 4)
    monkeypatch.setattr(plain_sheet, "_FEW", 2)
    return in_columns


@pytest.mark.parametrize("in_pieces", [False, True])
def test_every_night_both_files(office: Company, *, in_columns: bool, in_pieces: bool) -> None:
    chance = random.Random(f"{in_columns}{in_pieces}")
    offs = (None, timedelta(), timedelta(seconds=7))
    ways = [Way(f"{in_columns}-{in_pieces}-{n}", offs[n % 3]) for n in range(DEALS)]
    for night in range(NIGHTS):
        told = [len(way.stops) for way in ways]
        for way in ways:
            way.go_on(chance, START + timedelta(days=night))
        at_night = replace(office, now=START + timedelta(days=night, hours=14))
        deals = [way.deal() for way in ways if way.stops]
        stages = [row for way, since in zip(ways, told, strict=True) for row in way.rows(since if in_pieces else 0)]
        files = {
            "deals": "\n".join(["external_id,client,stage,opened_at,closed_at", *deals]),
            "stages": "\n".join(["deal,stage,changed_at", *stages]),
        }
        for kind, text in files.items():
            take(at_night, text, "import", kind)
        for kind, text in files.items():
            assert take(at_night, text, "import", kind) == (0, 0), (night, kind)
    found = recorded(office)
    assert [found.get(way.name, []) for way in ways] == [way.stops for way in ways]


def recorded(company: Company) -> dict[str, list[tuple[str, datetime]]]:
    """Return the way of each deal by its external id, as the store has it."""
    reader = company.open().reader
    names = {
        row["about_id"]: row["text"] for row in reader.merged("notes").to_pylist() if row["field"] == "external_id"
    }
    found: dict[str, list[tuple[str, datetime]]] = {}
    rows: list[dict[str, Any]] = reader.merged("stage_changes").to_pylist()
    for row in sorted(rows, key=lambda row: row["changed_at"]):
        found.setdefault(names[row["deal_id"]], []).append((row["to_stage"], row["changed_at"].replace(tzinfo=UTC)))
    return found


@pytest.mark.parametrize("closed_at", ["2026-03-02", ""])
def test_a_closing_that_stages_do_not_tell_is_the_last_of_its_day(
    office: Company, closed_at: str, *, in_columns: bool
) -> None:
    name = f"C-{in_columns}-{closed_at}"
    deals = f"external_id,client,stage,opened_at,closed_at\n{name},Anna,lost,2026-03-01,{closed_at}"
    stages = f"deal,stage,changed_at\n{name},call,2026-03-01 10:00\n{name},discovery,2026-03-02 11:00"
    for again in (False, True):
        counted = [take(office, deals, "import", "deals"), take(office, stages, "import", "stages")]
        assert not again or counted == [(0, 0), (0, 0)]
    [deal] = [row for row in office.open().reader.merged("deals").to_pylist() if row["deal_id"] in names(office, name)]
    assert (deal["status"], deal["stage"]) == ("lost", "discovery")


def test_stages_of_one_day_stay_in_their_order(office: Company, *, in_columns: bool) -> None:
    name = f"T-{in_columns}"
    take(office, f"external_id,client,stage,opened_at\n{name},Anna,call,2026-03-01", "import", "deals")
    for by in ("", "Boris", "Boris"):
        who = [by if stage == "discovery" else "" for stage in STAGES]
        rows = [f"{name},{stage},2026-03-01,{by}" for stage, by in zip(STAGES, who, strict=True)]
        counted = take(office, "\n".join(["deal,stage,changed_at,by", *rows]), "import", "stages")
        [deal] = [
            row for row in office.open().reader.merged("deals").to_pylist() if row["deal_id"] in names(office, name)
        ]
        assert deal["stage"] == STAGES[-1]
    assert counted == (0, 0)


def test_the_sale_of_a_won_deal_follows_it_though_stages_told_the_time(office: Company) -> None:
    deals = "external_id,client,stage,opened_at,closed_at,amount\nS,Anna,won,2026-03-01 10:30,2026-03-01,{}"
    take(office, deals.format(100), "import", "deals", "--with-sales")
    take(office, "deal,stage,changed_at\nS,call,2026-03-01 10:30\nS,won,2026-03-01 15:00", "import", "stages")
    assert take(office, deals.format(150), "import", "deals", "--with-sales") == (0, 1)
    [sale] = [row for row in office.open().reader.merged("sales").to_pylist() if row["deal_id"] in names(office, "S")]
    assert (f"{sale['amount']}", f"{sale['sold_at']:%Y-%m-%d}") == ("150.00", "2026-03-01")


def test_a_sale_that_somebody_recorded_stays_when_its_deal_is_won(office: Company) -> None:
    deals = "external_id,client,stage,opened_at,closed_at,amount\nH,Anna,{},2026-03-01,{},70"
    take(office, deals.format("call", ""), "import", "deals", "--with-sales")
    take(office, "client,sold_at,amount,deal\nAnna,2026-03-01,70,H", "import", "sales")
    assert take(office, deals.format("won", "2026-03-02"), "import", "deals", "--with-sales") == (0, 1)
    sales = [row for row in office.open().reader.merged("sales").to_pylist() if row["deal_id"] in names(office, "H")]
    assert [f"{row['amount']} {row['sold_at'] + ZONE:%Y-%m-%d}" for row in sales] == ["70.00 2026-03-01"]


def names(company: Company, name: str) -> list[int]:
    """Return the records of an external id."""
    notes = company.open().reader.merged("notes").to_pylist()
    return [row["about_id"] for row in notes if row["text"] == name]
