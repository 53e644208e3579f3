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
    """A deal as it really went: its stops, and when it came to each; `tells_times` says how its days are exported."""

    name: str
    tells_times: bool
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
        (stage, at), form = self.stops[-1], "%Y-%m-%d %H:%M" if self.tells_times else "%Y-%m-%d"
        closed_at = f"{at + ZONE:{form}}" if stage in ("won", "lost") else ""
        return f"{self.name},Anna,{stage},{self.stops[0][1] + ZONE:{form}},{closed_at}"

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


@pytest.mark.parametrize("in_pieces", [False, True])
@pytest.mark.parametrize("in_columns", [False, True])
def test_every_night_both_files(
    office: Company, monkeypatch: pytest.MonkeyPatch, *, in_columns: bool, in_pieces: bool
) -> None:
    monkeypatch.setattr(plain_sheet, "_FEWEST_BYTES", 0 if in_columns else 1 << 40)
    chance = random.Random(f"{in_columns}{in_pieces}")
    ways = [Way(f"{in_columns}-{in_pieces}-{n}", n % 2 == 0) for n in range(DEALS)]
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
