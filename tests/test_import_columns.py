"""A file taken in columns comes to what the same file comes to row by row, whatever is in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from crmcli.formats.delimited import open_sheet
from crmcli.formats.mapping import Binding, ImportMap
from crmcli.formats.numbers import parse_amount
from crmcli.model.ids import encode_id
from crmcli.model.importing import FIELDS, Cells
from crmcli.session import Session
from crmcli.storage import plain_sheet
from crmcli.storage.importing import Import, Outcome, Terms, arrow, import_of
from crmcli.storage.plain_sheet import read_plain
from tests.storage.company import NOW, Company, make_company

KNOWN = """name,phone,email,external_id,tax_id
Anna,+79161234567,anna@example.com,7,
Boris,,,8,7707083893
Same,,,,1
Same,,,,2
Петрова Алёна,8 916 765-43-21,,9,
"""
SALES = "client,sold_at,amount\nAnna,2025-01-01,5\nAnna,2025-01-01,5\nBoris,2025-02-01 10:00,7.50\n"
CALLS = "client,direction,called_at,seconds\nAnna,in,2025-01-01 12:00,60\n"
PROCESS = """lost_reasons = ["price"]
sources = ["web"]
segments = []
[[pipelines]]
id = "new"
name = "New"
stages = ["call", "discovery", "meeting"{gone}]
[[pipelines]]
id = "again"
name = "Again"
stages = ["meeting", "call"]
"""
DEALS = """external_id,client,stage,pipeline,opened_at,closed_at,lost_reason,closed_from
1,Anna,call,,2025-01-01,,,
2,Boris,won,,2025-01-01,2025-03-15 10:11:12,,meeting
3,Anna,lost,,,,price,
4,Same Again,discovery,,2025-01-01,,,
5,Anna,meeting,again,2025-02-01,,,
6,Boris,won,,2025-01-01,2025-02-01,,gone
7,Petr,call,,2025-01-01,,,
8,Петрова Алёна,call,,,,,
"""
OTHER_DEALS = "external_id,client,stage,opened_at\n7,Boris,call,2025-01-01\n9,Anna,call,2025-01-01\n"
STAGES = """deal,stage,changed_at,by
4,call,2025-01-01,
4,won,2025-02-01 10:00,Ada
4,discovery,2025-03-15,
4,lost,2025-03-15 10:11:12,
7,discovery,2025-01-01 12:00,
"""

CLIENTS = st.sampled_from(
    ["Anna", "anna", " Anna ", "+7 (916) 123-45-67", "89161234567", "ANNA@example.com", "7", "8", "Same", "7707083893",
     "Петрова Алёна", "Петрова Алёна", "New", "NEW", "новый", "Новый\u00a0", "+79990000001", "8 999 000-00-01",
     "new@example.com", "", "unknown", "x" * 201, 'q"q', "ß", "SS"],
)  # fmt: skip
STAMPS = st.sampled_from(
    ["2025-01-01", "2025-02-01 10:00", "01.01.2025", "2025-03-15 10:11:12", "2025-03-15T10:11", "2030-01-01", "",
     "soon", "2025-13-01", "2025-01-01 12:00", "2010-10-31 02:30", "1969-01-01"],
)  # fmt: skip
AMOUNTS = st.sampled_from(
    ["5", "7.50", "-3", "0", "-0", "1 234,56", "1,234", "", "ten", "1e3", "12345678901234567", "5.001"]
)
PEOPLE = st.sampled_from(["", "Ada", "ada", "Somebody New", " Ada"])
NAMES = st.sampled_from(["Anna", "anna", "Zoe", "Zoe ", "Мария", "Gleb", "", "x" * 201, "Same", "Ян"])
COLUMNS = {
    "clients": {
        "name": NAMES, "phone": st.sampled_from(["", "", "+79161234567", "8 916 123-45-67", "+79995550001", "12"]),
        "phone2": st.sampled_from(["", "+79995550001", "8 (999) 555-00-01", "+79995550002"]),
        "email": st.sampled_from(["", "", "z@example.com", "Z@Example.com", "anna@example.com", "no"]),
        "company": st.sampled_from(["", "Acme", "ACME"]), "tax_id": st.sampled_from(["", "", "1", "77", "77 "]),
        "source": st.sampled_from(["", "web", "Web", "moon"]), "owner": PEOPLE, "created_at": STAMPS,
        "interest": st.sampled_from(["", "tea"]), "external_id": st.sampled_from(["", "", "7", "70", "71"]),
        "buy_by": st.sampled_from(["", "", "2026-03-01", "2026-03-02", "03.03.2026", "2026-05-01 10:00", "2026-13-01"]),
        "do_not_contact": st.sampled_from(["", "yes", "нет", "TRUE", "maybe"]),
    },
    "sales": {"client": CLIENTS, "sold_at": STAMPS, "amount": AMOUNTS, "by": PEOPLE},
    "calls": {
        "client": CLIENTS, "direction": st.sampled_from(["in", "out", "IN", "up", ""]),
        "result": st.sampled_from(["", "answered", "Busy", "what"]), "called_at": STAMPS,
        "seconds": st.sampled_from(["", "60", "0", "-1", "1.5", "many"]), "by": PEOPLE,
    },
    "stages": {
        "deal": st.sampled_from(["1", "2", "3", "4", "5", "6", "7", "8", "9", "shop:7", "nobody's", ""]),
        "stage": st.sampled_from(["call", "Call", "discovery", "meeting", "won", "LOST", "gone", "moon", ""]),
        "changed_at": STAMPS, "by": PEOPLE,
    },
}  # fmt: skip
GOOD = {
    "buy_by": ["", "2026-03-01", "2026-03-02", "03.03.2026", "2026-05-01 10:00"],
    "do_not_contact": ["", "yes", "нет", "TRUE"],
    "client": ["Anna", "+7 (916) 123-45-67", "New", "NEW", "Новый", "8 999 000-00-01", "7", "8", "anna@example.com"],
    "sold_at": ["2025-01-01", "2025-03-15 10:11:12", "2025-04-01T09:30", "2024-12-31", "2010-10-31 12:00"],
    "amount": ["5", "7.50", "-3", "0", "1234.56"],
    "by": ["", "Ada", "Somebody New"],
    "direction": ["in", "OUT"],
    "result": ["", "answered"],
    "called_at": ["2025-01-01", "2025-03-15 10:11:12", "2025-04-01T09:30", "2010-10-31 12:00", "2010-10-31 01:59"],
    "deal": ["1", "2", "3", "4", "5", "7", "8"],
    "stage": ["call", "meeting", "Meeting", "call", "won", "lost"],
    "changed_at": ["2025-01-01", "2025-02-01 10:00", "2025-03-15 10:11:12", "2025-03-15", "2025-04-01T09:30"],
    "seconds": ["", "60"],
    "name": ["Anna", "Zoe", "Мария", "Gleb", "Ян", "Igor", "Olga", "Lev"],
    "phone": ["", "", "+79995550001", "8 999 555-00-02", "+79995550003", "+79995550004"],
    "phone2": ["", "", "", "+79995550001", "8 (999) 555-00-03"],
    "email": ["", "", "z@example.com", "Y@Example.com", "x@example.com"],
    "company": ["", "Acme"],
    "tax_id": ["", "", "77", "78"],
    "source": ["", "web"],
    "owner": ["", "Ada", "Somebody New"],
    "created_at": ["", "2025-01-01", "2025-03-15 10:11:12"],
    "interest": ["", "tea", "coffee"],
    "external_id": ["", "", "70", "71", "72"],
}


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Company:
    company = make_company(tmp_path_factory.mktemp("columns") / "company")
    put(company, KNOWN, "import", "clients")
    put(company, "name\nPetr\n", "import", "clients", who="manager")
    put(company, SALES, "import", "sales")
    put(company, CALLS, "import", "calls")
    put(company, PROCESS.format(gone=', "gone"'), "process", "apply")
    put(company, DEALS, "import", "deals")
    put(company, PROCESS.format(gone=""), "process", "apply")
    put(company, 'namespace = "shop"\n', "import", "deals", put(company, OTHER_DEALS), "--map")
    put(company, STAGES, "import", "stages")
    return company


def put(company: Company, text: str, *command: str, who: str = "admin") -> str:
    """Write a file, and run a command on it."""
    path = company.folder / f"file-{len(list(company.folder.iterdir()))}"
    path.write_text(text, encoding="utf-8")
    if command:
        result = company.crmcli(*command, str(path), who=who)
        assert result.code == 0, result
    return str(path)


@pytest.fixture(scope="module", autouse=True)
def _small_files_too() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain_sheet, "_FEWEST_BYTES", 0)
        patch.setattr(plain_sheet, "_SAMPLE", 4)
        patch.setattr(plain_sheet, "_FEW", 2)
        yield


_PEOPLE = ("assignee_id", "client_id", "about_id", "by_id", "owner_id", "created_by")


@contextmanager
def opened(company: Company, path: Path, kind: str, chosen: ImportMap) -> Iterator[tuple[Import, Any, Binding]]:
    """An import of a file that is never put into the store."""
    session: Session = company.session()
    with open_sheet(path) as sheet, session.reading():
        from crmcli.storage.view import Draft

        draft = Draft(session.store())
        binding = chosen.bind(sheet.header, FIELDS[kind])
        cells = Cells(draft.settings, draft.process, {}, NOW, parse_amount, chosen.date_format)
        terms = Terms(binding.fields, chosen.namespace, chosen.unknown.get("client"))
        yield import_of(kind)(draft, session.acting(draft), cells, terms), sheet, binding


def gathered(taking: Import, company: Company) -> dict[tuple[str, str, str], list[str]]:
    """What an import would put by table, book and kind, with names in the place of ids."""
    names = {row["client_id"]: row["name"] for row in company.open().reader.merged("contacts").to_pylist()}
    names |= {row["staff_id"]: row["name"] for row in company.open().reader.merged("staff").to_pylist()}
    rows = [(part[:3], row) for part in taking.columns for row in part[3].to_pylist()]
    rows += [
        (part, row)
        for part, cells in taking._batches.items()
        if cells
        for row in arrow(part[0], cells, part[2]).to_pylist()
    ]
    for _, row in rows:
        for key in ("client_id", "staff_id"):
            if "name" in row and key in row:
                names[row[key]] = row["name"]
    known = set(company.open().reader.merged("stage_changes").column("change_id").to_pylist())
    told: dict[tuple[str, str, str], list[str]] = {}
    for part, row in rows:
        shown = {
            key: names.get(cell, cell) if key in _PEOPLE else cell
            for key, cell in row.items()
            if key not in ("sale_id", "activity_id", "staff_id", "note_id", "reminder_id")
            and (key != "change_id" or cell in known)
        }
        told.setdefault(part, []).append(repr(shown))
    return {part: sorted(lines) for part, lines in told.items()}


def told(outcome: Outcome) -> tuple[object, ...]:
    counts = +outcome.rows
    return outcome.read, counts, outcome.rejected, outcome.new_clients, outcome.new_staff, outcome.under_unknown


def both_ways(company: Company, kind: str, text: str, chosen: ImportMap) -> bool:
    """Take a file in by columns, if it can be, and row by row, and compare; say whether it could."""
    path = company.folder / "file.csv"
    path.write_text(text, encoding="utf-8", newline="")
    with opened(company, path, kind, chosen) as (taking, sheet, binding):
        columns = read_plain(
            path.read_bytes(), sheet.encoding, sheet.delimiter, sheet.header, binding.places, binding.constants,
            every_line=taking.tells_lines,
        )  # fmt: skip
        outcome = None if columns is None else taking.run_columns(columns)
        if outcome is None:
            assert taking.columns == []
            assert not any(taking._batches.values())
            # What was looked at on the way must not have changed what the rows mean.
            again = taking.run((n, binding.row(cells) if not wrong else {}, wrong) for n, cells, wrong in sheet.rows)
            by_columns = told(again), gathered(taking, company)
        else:
            by_columns = told(outcome), gathered(taking, company)
    with opened(company, path, kind, chosen) as (taking, sheet, binding):
        rows = taking.run((n, binding.row(cells) if not wrong else {}, wrong) for n, cells, wrong in sheet.rows)
        assert by_columns == (told(rows), gathered(taking, company))
    return outcome is not None


@pytest.mark.parametrize("kind", ["clients", "sales", "calls", "stages"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_what_comes_of_a_file_is_the_same(company: Company, kind: str, data: st.DataObject) -> None:
    good = data.draw(st.booleans())
    fields = list(COLUMNS[kind])
    rows = data.draw(
        st.lists(
            st.tuples(*(st.sampled_from(GOOD[name]) if good else COLUMNS[kind][name] for name in fields)),
            min_size=1,
            max_size=12,
        )
    )
    end = data.draw(st.sampled_from(["\n", "\r\n"]))
    delimiter = data.draw(st.sampled_from([";", "\t"]))
    text = end.join(delimiter.join(row) for row in [fields, *rows]) + data.draw(st.sampled_from(["", end]))
    chosen = ImportMap(
        namespace=data.draw(st.sampled_from([None, "shop"])),
        unknown={"client": "unknown"} if "client" in fields and data.draw(st.booleans()) else {},
        columns={name: name for name in fields},
    )
    in_columns = both_ways(company, kind, text, chosen)
    event(f"{'good' if good else 'any'}: {'in columns' if in_columns else 'row by row'}")


def test_good_files_are_taken_in_columns(company: Company) -> None:
    """So that the comparison above compares something."""
    for kind, header in (
        ("sales", ["client", "sold_at", "amount", "by"]),
        ("calls", ["client", "direction", "called_at"]),
        ("stages", ["deal", "stage", "changed_at", "by"]),
    ):
        lines = [";".join(GOOD[name][-1 - place % 2] for name in header) for place in range(6)]
        assert both_ways(company, kind, "\n".join([";".join(header), *lines]), ImportMap())


@pytest.mark.parametrize(
    "text",
    [
        SALES,  # all of it is in the store already
        "client,sold_at,amount\nAnna,2025-05-01,5,6\n",
        'client,sold_at,amount\n"Anna",2025-05-01,5\n',
        "client,sold_at,amount\nAnna,2025-05-01,5\r6\n",
        "client,sold_at,amount\n   \nAnna,2025-05-01,5\n",
    ],
)
def test_file_that_is_not_plain_goes_row_by_row(company: Company, text: str) -> None:
    assert not both_ways(company, "sales", text, ImportMap())


def test_blank_lines_are_no_rows(company: Company) -> None:
    assert both_ways(
        company, "sales", "client,sold_at,amount\n\nAnna,2025-05-01,5\n\n\nZoe,2025-05-01,5\n", ImportMap()
    )
    # The last two are taken by rows, which name their lines.
    assert not both_ways(company, "clients", "name,tax_id\nZoe,\n\nSame,\nSame,\n", ImportMap())


def test_cp1251_is_read_in_columns_too() -> None:
    raw = "client;sold_at;amount\n" + "Иванов;2025-05-01;5\n" * 3
    header = ("client", "sold_at", "amount")
    places = tuple((name, place, None, "") for place, name in enumerate(header))
    rows = read_plain(raw.encode("cp1251"), "cp1251", ";", header, places, {"by": "Ada"})
    assert rows is not None
    assert rows.to_pydict() == {
        "client": ["Иванов"] * 3, "sold_at": ["2025-05-01"] * 3, "amount": ["5"] * 3, "by": ["Ada"] * 3,
    }  # fmt: skip


def test_bad_row_fails_the_whole_file(company: Company) -> None:
    path = company.folder / "bad.csv"
    path.write_text("client,sold_at,amount\n" + "Zoe,2025-01-01,5\n" * 5 + "Zoe,never,5\n", encoding="utf-8")
    result = company.crmcli("import", "sales", str(path))
    assert (result.code, "line 7" in result.err) == (2, True), result


def test_deals_are_known_by_their_ids_and_rows_that_differ_in_who_it_was_are_weighed(company: Company) -> None:
    ids = [encode_id(number) for number in company.open().reader.merged("deals").column("deal_id").to_pylist()]
    rows = [f"{name.lower()},call,2025-06-0{day},{who}" for name in ids for day in (1, 2) for who in ("", "Ada")]
    for count in (1, 2, len(rows)):
        assert both_ways(company, "stages", "\n".join(["deal,stage,changed_at,by", *rows[:count]]), ImportMap())


def test_first_row_of_a_deal_that_comes_twice_counts_once(company: Company) -> None:
    assert both_ways(company, "stages", "deal,stage,changed_at\n" + "1,meeting,2025-06-01\n" * 2, ImportMap())
    again = put(company, "deal,stage,changed_at\n" + "1,meeting,2025-06-01\n" * 2)
    result = company.crmcli("import", "stages", again, "--dry-run")
    assert [line.split() for line in result.out.splitlines()][1:4] == [
        ["new", "0"],
        ["changed", "1"],
        ["unchanged", "1"],
    ]


def test_many_rows_are_taken_in_columns_by_two_threads(company: Company) -> None:
    """Rows by the tens of thousands, of more clients than are counted in one step, in no order."""
    people, rows = 6_000, 70_000
    put(company, "name,external_id\n" + "".join(f"Many {n},M-{n}\n" for n in range(people)), "import", "clients")
    cells = [(n * 7919 % people, n * 31 % 700, 100 + n * 17 % 90_000) for n in range(rows)]
    day = [(date(2023, 1, 1) + timedelta(n)).isoformat() for n in range(700)]
    lines = "".join(f"M-{who},{day[when]},{cents / 100:.2f}\n" for who, when, cents in cells)
    put(company, "client,sold_at,amount\n" + lines, "import", "sales")
    reader = company.open().reader
    names = {row["client_id"]: row["name"] for row in reader.merged("contacts").to_pylist()}
    sales = Counter(
        (names[row["client_id"]], row["sold_at"], row["amount"])
        for row in reader.merged("sales").to_pylist()
        if names[row["client_id"]].startswith("Many")
    )
    zone = timedelta(hours=3)
    expected = Counter(
        (f"Many {who}", datetime.fromisoformat(day[when]) - zone, Decimal(cents) / 100) for who, when, cents in cells
    )
    assert sales == expected
    assert len(set(reader.merged("sales").column("sale_id").to_pylist())) == reader.merged("sales").num_rows


def test_many_stages_are_laid_on_histories_by_two_threads(company: Company) -> None:
    deals, stages = 14_000, ["call", "discovery", "meeting", "call", "won"]
    opened = "".join(f"MD-{n},Anna,call,2023-01-01\n" for n in range(deals))
    put(company, "external_id,client,stage,opened_at\n" + opened, "import", "deals")
    lines = [
        f"MD-{n * 5_003 % deals},{stage},2023-01-{1 + place * 3:02} 10:00\n"
        for place, stage in enumerate(stages)
        for n in range(deals)
    ]
    known = Counter(company.open().reader.merged("stage_changes").column("move").to_pylist())
    put(company, "deal,stage,changed_at\n" + "".join(lines), "import", "stages")
    reader = company.open().reader
    moves = Counter(reader.merged("stage_changes").column("move").to_pylist()) - known
    assert moves == Counter(forward=2 * deals, back=deals, won=deals)
    won = [row for row in reader.merged("deals").to_pylist() if str(row["closed_at"]) == "2023-01-13 07:00:00"]
    assert {(row["status"], row["stage"]) for row in won} == {("won", "call")}
    assert len(won) == deals


@pytest.mark.parametrize("opened_at", ["2025-01-01 10:00", "2025-01-05", ""])
@pytest.mark.parametrize("stage", ["discovery", "call"])
def test_files_one_after_the_other_come_to_what_one_file_does(company: Company, opened_at: str, stage: str) -> None:
    name = f"F-{stage}-{opened_at}"
    put(company, f"external_id,client,stage,opened_at\n{name},Anna,{stage},{opened_at}\n", "import", "deals")
    stages = {"discovery": 5, "meeting": 10, "call": 15}
    files = [put(company, f"deal,stage,changed_at\n{name},{stage},2025-01-{day:02}\n") for stage, day in stages.items()]
    counted = [counts(company, "stages", file) for file in [*files, files[0]]]
    assert counted == [(0, 1, 0), (1, 0, 0), (1, 0, 0), (0, 0, 1)]
    assert way(company, name) == [(to, f"2025-01-{day:02} 00:00") for to, day in stages.items()]


def test_first_row_takes_no_place_of_a_stage_that_somebody_recorded(company: Company) -> None:
    before = {row["deal_id"] for row in company.open().reader.merged("deals").to_pylist()}
    assert company.crmcli("add-deal", "Boris", "--when", "2025-01-05").code == 0
    [deal] = {row["deal_id"] for row in company.open().reader.merged("deals").to_pylist()} - before
    name = encode_id(deal)
    assert counts(company, "stages", put(company, f"deal,stage,changed_at\n{name},meeting,2025-01-10\n")) == (1, 0, 0)
    assert [stage for stage, _ in way(company, deal)] == ["call", "meeting"]


def test_deals_and_their_stages_are_imported_every_night(company: Company) -> None:
    """What deals lets one think gives way to what stages tells, and a day to its time: nothing is told twice."""
    nights = [
        ("call,2025-01-01,", "call,2025-01-01 10:00"),
        ("meeting,2025-01-01,", "discovery,2025-01-02 11:00", "meeting,2025-01-03 12:00"),
        ("won,2025-01-01,2025-01-05", "won,2025-01-05 15:30"),
        ("won,2025-01-01,2025-01-05",),
    ]
    rows: list[str] = []
    for deal, *more in nights:
        rows += more
        deals = put(company, f"external_id,client,stage,opened_at,closed_at\nN1,Anna,{deal}\n")
        stages = put(company, "deal,stage,changed_at\n" + "".join(f"N1,{row}\n" for row in rows))
        counts(company, "deals", deals)
        counts(company, "stages", stages)
        assert way(company, "N1") == [tuple(row.split(",")) for row in rows]
        assert (counts(company, "deals", deals), counts(company, "stages", stages)) == ((0, 0, 1), (0, 0, len(rows)))


def test_rows_that_name_different_people_change_nothing_when_they_come_again(company: Company) -> None:
    put(company, "external_id,client,stage\nB1,Anna,call\n", "import", "deals")
    rows = "deal,stage,changed_at,by\nB1,call,2025-01-01,Ada\nB1,call,2025-01-01,Somebody Else\n"
    assert counts(company, "stages", put(company, rows)) == (0, 1, 1)
    assert counts(company, "stages", put(company, rows)) == (0, 0, 2)


def counts(company: Company, kind: str, file: str) -> tuple[int, ...]:
    """Import a file, and return how many rows are new, changed and unchanged."""
    result = company.crmcli("import", kind, file)
    assert result.code == 0, result
    said = dict(line.rsplit(maxsplit=1) for line in result.out.splitlines()[:4])
    return tuple(int(said[name]) for name in ("new", "changed", "unchanged"))


def way(company: Company, deal: str | int) -> list[tuple[str, str]]:
    """Return the stops of a deal, and when it came to them."""
    reader = company.open().reader
    if isinstance(deal, str):
        [deal] = [row["about_id"] for row in reader.merged("notes").to_pylist() if row["text"] == deal]
    rows = [row for row in reader.merged("stage_changes").to_pylist() if row["deal_id"] == deal]
    zone = timedelta(hours=3)
    return [
        (row["to_stage"], f"{row['changed_at'] + zone:%Y-%m-%d %H:%M}")
        for row in sorted(rows, key=lambda row: row["changed_at"])
    ]
