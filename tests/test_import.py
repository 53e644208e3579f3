"""Imports: real files into a real store, what comes out again, and what a file that is not right does."""

from __future__ import annotations

import csv
import io
import random
import shutil
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmcli.errors import InputError, NotPermittedError, OvertakenError
from crmcli.formats.numbers import parse_amount
from crmcli.model.emails import normalise_email, plain_email
from crmcli.model.importing import Cells
from crmcli.model.moves import moves
from crmcli.storage.importing import Terms, arrow, import_of
from crmcli.storage.tables import TABLES
from tests.storage.company import NOW, Company, Result, make_company, problems

ROOT = Path(__file__).parents[1]
SAMPLE_DATA = ROOT.parent / "shared" / "data"
HOWTO = ROOT / "docs" / "howto"

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Company:
    return make_company(tmp_path_factory.mktemp("founded") / "company")


@pytest.fixture
def company(founded: Company, tmp_path: Path) -> Company:
    return Company(Path(shutil.copytree(founded.folder, tmp_path / "company")))


def put(company: Company, kind: str, text: str | bytes, *options: str, who: str = "admin") -> Result:
    """Import a file that holds the text."""
    path = company.folder / "file.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return company.crmcli("import", kind, str(path), *options, who=who)


def done(result: Result) -> dict[str, str]:
    """Return what a successful import said."""
    assert (result.code, result.err) == (0, "")
    return said(result)


def said(result: Result) -> dict[str, str]:
    lines = (line.rsplit("  ", 1) for line in result.out.splitlines())
    return {name.strip(): value.strip() for name, value in lines}


def counts(result: Result) -> tuple[int, int, int]:
    """Return how many rows were new, changed, unchanged."""
    figures = done(result)
    return int(figures["new"]), int(figures["changed"]), int(figures["unchanged"])


def table(company: Company, name: str, who: str = "admin") -> Rows:
    rows: Rows = company.open(who).reader.merged(name).to_pylist()
    return rows


def names(company: Company) -> dict[int, str]:
    return {row["client_id"]: row["name"] for row in table(company, "contacts")}


def notes(company: Company, field: str) -> list[str]:
    return sorted(row["text"] for row in table(company, "notes") if row["field"] == field)


def map_file(company: Company, text: str) -> tuple[str, str]:
    path = company.folder / "map.toml"
    path.write_text(text, encoding="utf-8")
    return "--map", str(path)


def csv_text(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows([header, *rows])
    return out.getvalue()


def some_sales(count: int, clients: int = 200) -> str:
    """A file of sales as shops have them: some of 0, some refunds, several a day, and some quite equal."""
    chance = random.Random(7)
    rows = []
    for _ in range(count):
        day = f"2025-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"
        cents = chance.choice([0, -500, *(chance.randint(1, 99_999) for _ in range(8))])
        row = (f"c{chance.randint(1, clients)}", day, Decimal(cents).scaleb(-2))
        rows += [row] * chance.choice([1, 1, 1, 2])
    return csv_text(("client", "sold_at", "amount"), rows[:count])


# Sales.


def test_totals_are_those_of_a_plain_query_over_the_file(company: Company) -> None:
    figures = done(put(company, "sales", some_sales(3000)))
    source = duckdb.read_csv(str(company.folder / "file.csv"))
    wanted = source.aggregate("count(*), sum(amount::DECIMAL(18,2)), count(DISTINCT client), min(sold_at)").fetchall()[
        0
    ]
    sales = table(company, "sales")
    assert (figures["rows read"], figures["new"], figures["new clients"]) == ("3000", "3000", str(wanted[2]))
    assert len(sales) == wanted[0]
    assert sum(sale["amount"] for sale in sales) == wanted[1]
    # Midnight in Moscow.
    assert f"{min(sale['sold_at'] for sale in sales)}".endswith("21:00:00")
    known = names(company)
    by_client = Counter(known[sale["client_id"]] for sale in sales)
    assert dict(by_client) == dict(source.aggregate("client, count(*)").fetchall())
    assert problems(company) == []


def test_importing_a_file_again_changes_and_commits_nothing(company: Company) -> None:
    done(put(company, "sales", some_sales(500)))
    before = company.open().state.seq
    result = put(company, "sales", some_sales(500))
    assert counts(result) == (0, 0, 500)
    assert said(result)["commit"] == "none, nothing changed"
    assert company.open().state.seq == before


def test_equal_rows_are_as_many_sales(company: Company) -> None:
    row = "a,2025-01-01,5\n"
    assert counts(put(company, "sales", "client,sold_at,amount\n" + row * 2)) == (2, 0, 0)
    assert counts(put(company, "sales", "client,sold_at,amount\n" + row * 3)) == (1, 0, 2)
    assert counts(put(company, "sales", "client,sold_at,amount\n" + row)) == (0, 0, 1)
    assert len(table(company, "sales")) == 3


def test_a_sale_with_an_external_id_is_corrected(company: Company) -> None:
    header = "client,sold_at,amount,external_id,by,item,quantity\n"
    assert counts(put(company, "sales", header + "a,2025-01-01,5,d1,Vera,tea,2\n")) == (1, 0, 0)
    assert counts(put(company, "sales", header + "a,2025-01-02,7.50,d1,,tea,3\n")) == (0, 1, 0)
    assert counts(put(company, "sales", header + "a,2025-01-02,7.50,d1,,tea,3\n")) == (0, 0, 1)
    (sale,), (line,) = table(company, "sales"), table(company, "sale_lines")
    assert sale["amount"] == line["amount"] == Decimal("7.50")
    assert line["quantity"] == 3
    assert company.view().staff[sale["by_id"]] == "Vera"
    assert notes(company, "item") == ["tea"]
    result = put(company, "sales", header + "b,2025-01-02,7.50,d1,,tea,3\n")
    assert result.code == 2
    assert "line 2: the external id belongs to another client's record\n" in result.err


def test_items_tell_sales_apart(company: Company) -> None:
    header = "client,sold_at,amount,item,quantity\n"
    text = header + "a,2025-01-01,5,tea,1\na,2025-01-01,5,Coffee,1\na,2025-01-01,5,,\n"
    assert counts(put(company, "sales", text)) == (3, 0, 0)
    assert counts(put(company, "sales", header + "a,2025-01-01,5,coffee,1\na,2025-01-01,5,milk,1\n")) == (1, 0, 1)


def test_an_item_on_the_list_is_that_product(company: Company) -> None:
    path = company.folder / "process.toml"
    path.write_text(company.crmcli("process", "show").out + '[[products]]\nname = "Tea"\n', encoding="utf-8")
    assert company.crmcli("process", "apply", str(path)).code == 0
    text = "client,sold_at,amount,item\na,2025-01-01,5,TEA\n"
    assert counts(put(company, "sales", text)) == (1, 0, 0)
    (line,), (product,) = table(company, "sale_lines"), company.view().products
    assert line["product_id"] == product.product_id
    assert notes(company, "item") == []
    assert counts(put(company, "sales", text)) == (0, 0, 1)


def test_a_sale_belongs_to_the_deal_it_names(company: Company) -> None:
    done(put(company, "deals", "client,stage,external_id\na,won,d1\nb,won,d2\n"))
    header = "client,sold_at,amount,deal\n"
    assert counts(put(company, "sales", header + "a,2025-01-01,5,d1\n")) == (1, 0, 0)
    (sale,) = table(company, "sales")
    assert sale["deal_id"] in {deal["deal_id"] for deal in table(company, "deals")}
    result = put(company, "sales", header + "a,2025-01-01,5,d2\na,2025-01-01,5,d3\n")
    assert "line 2: the deal is another client's\nline 3: no such deal among yours\n" in result.err


# Whom a client's cell means.


def test_a_cell_means_a_client_by_any_of_their_marks(company: Company) -> None:
    header = "name,phone,email,company,tax_id,external_id\n"
    options = map_file(company, 'namespace = "shop"\n')
    assert (
        done(
            put(company, "clients", header + "Анна,8 916 123-45-67,anna@example.com,Ромашка,7701 234567,17\n", *options)
        )["new"]
        == "1"
    )
    cells = ["17", "+7 (916) 123-45-67", "ANNA@example.com", "7701234567", "АННА", "ромашка"]
    rows = [(cell, f"2025-01-{day:02}", 5) for day, cell in enumerate(cells, 1)]
    figures = done(put(company, "sales", csv_text(("client", "sold_at", "amount"), rows), *options))
    assert figures["new"] == "6"
    assert "new clients" not in figures
    assert {names(company)[sale["client_id"]] for sale in table(company, "sales")} == {"Анна"}


def test_an_unknown_client_is_made_once_however_they_are_written(company: Company) -> None:
    rows = [("8 916 123-45-67", "2025-01-01", 5), ("+79161234567", "2025-01-02", 5)]
    rows += [("x@y.ru", "2025-01-03", 1), ("X@Y.RU", "2025-01-04", 1)]
    text = csv_text(("client", "sold_at", "amount"), rows)
    assert done(put(company, "sales", text))["new clients"] == "2"
    assert sorted(row["phones"] + row["emails"] for row in table(company, "contacts")) == [["+79161234567"], ["x@y.ru"]]
    # They are known since they first bought.
    assert sorted(f"{row['created_at']:%m-%d}" for row in table(company, "clients")) == ["01-02", "12-31"]


def test_a_name_that_two_clients_have_is_no_answer(company: Company) -> None:
    done(put(company, "clients", "name,phone\nИван Петров,8 916 000-00-01\nИван Петров,8 916 000-00-02\n"))
    assert len(table(company, "contacts")) == 2
    result = put(company, "sales", "client,sold_at,amount\nИван Петров,2025-01-01,5\n")
    assert result.code == 2
    assert "line 2: several clients fit\n" in result.err


def test_an_empty_client_is_rejected_unless_the_map_names_one(company: Company) -> None:
    text = "who,sold_at,amount\n,2025-01-01,5\nb,2025-01-01,5\n,2025-01-02,5\n"
    columns = '[columns]\nclient = "who"\nsold_at = "sold_at"\namount = "amount"\n'
    assert "line 2: client is empty\n" in put(company, "sales", text, *map_file(company, columns)).err
    options = map_file(company, f'namespace = "x"\n{columns}[unknown]\nclient = "Nobody yet"\n')
    figures = done(put(company, "sales", text, *options))
    assert (figures["under unknown"], figures["new clients"]) == ("2", "2")
    contacts = {row["name"]: row for row in table(company, "contacts")}
    assert contacts["Nobody yet"]["external_ids"] == []
    assert contacts["b"]["external_ids"] == ["x:b"]
    assert counts(put(company, "sales", text, *options)) == (0, 0, 3)


# Clients.


def test_clients_are_updated_and_nothing_is_erased(company: Company) -> None:
    header = "name,phone,email,company,source,interest,note,owner\n"
    first = header + "Anna,8 916 123-45-67,,Acme,web,tea,met at the fair,Vera\n"
    assert counts(put(company, "clients", first)) == (1, 0, 0)
    assert counts(put(company, "clients", first)) == (0, 0, 1)
    assert counts(put(company, "clients", header + "Anna P.,+79161234567,anna@example.com,,,coffee,,\n")) == (0, 1, 0)
    assert counts(put(company, "clients", header + "Anna P.,,anna@example.com,,,,,\n")) == (0, 0, 1)
    (contact,), (client,) = table(company, "contacts"), table(company, "clients")
    assert (contact["name"], contact["company"], contact["phones"], contact["emails"]) == (
        "Anna P.",
        "Acme",
        ["+79161234567"],
        ["anna@example.com"],
    )
    assert contact["raw_phones"] == ["8 916 123-45-67"]
    assert client["source"] == "web"
    assert company.view().staff[client["owner_id"]] == "Vera"
    assert notes(company, "interest") == ["coffee", "tea"]


@pytest.mark.parametrize(
    ("rows", "people"),
    [
        ("Ivan,,,,\nIvan,,,,\n", 1),
        ("Ivan,89160000001,,,\nIvan,89160000002,,,\n", 2),
        ("Ivan,89160000001,,,\nIvan,,,,\n", 1),
        ("Ivan,89160000001,,,\nIvan,,i@x.ru,,\n", 1),
        ("Ivan,,i@x.ru,,\nIvan,,j@x.ru,,\n", 2),
        ("Ivan,,,Acme,\nIvan,,,Beta,\n", 2),
        ("Ivan,,,,1\nIvan,,,,2\n", 2),
        ("Ivan,89160000001,,,1\nPetr,89160000001,,,1\n", 1),
        ("Ivan,89160000001,,,1\nPetr,89160000001,,,2\n", 2),
        ("Ivan,89160000001,,,\nIvan P,89160000001,,,2\n", 1),
        ("Ivan,89160000001,,,\nPetr,89160000001,,,\n", 1),
        ("ИВАН,,,Ёж,\nиван,,,ёж,\n", 1),
    ],
)
def test_who_is_the_same_person(company: Company, rows: str, people: int) -> None:
    text = "name,phone,email,company,external_id\n" + rows
    options = map_file(company, 'namespace = "x"\n')
    figures = done(put(company, "clients", text, *options))
    assert int(figures["new"]) == people == len(table(company, "contacts"))
    assert int(figures.get("repeated in the file", 0)) == 2 - people
    again = done(put(company, "clients", text, *options))
    assert (again["new"], again["changed"]) == ("0", "0")


def test_a_family_of_three_shares_a_phone(company: Company) -> None:
    options = map_file(company, 'namespace = "x"\n')
    text = "name,phone,external_id\n" + "".join(f"{name},89160000001,{name}\n" for name in "ABC")
    assert counts(put(company, "clients", text, *options)) == (3, 0, 0)
    assert counts(put(company, "clients", text, *options)) == (0, 0, 3)
    result = put(company, "clients", "name,phone\nD,89160000001\n")
    assert "line 2: several clients fit\n" in result.err


def test_a_phone_known_before_and_new_in_the_file_is_two_clients(company: Company) -> None:
    options = map_file(company, 'namespace = "x"\n')
    header = "name,phone,external_id\n"
    assert counts(put(company, "clients", header + "A,89160000001,1\n", *options)) == (1, 0, 0)
    result = put(company, "clients", header + "B,89160000001,2\nC,89160000001,\n", *options)
    assert "line 3: several clients fit\n" in result.err


@given(st.emails() | st.text(st.sampled_from("aB.@-+é é,"), max_size=12))
def test_a_plain_address_reads_as_any_other(text: str) -> None:
    try:
        wanted = normalise_email(text)
    except InputError:
        with pytest.raises(InputError):
            plain_email(text)
    else:
        assert plain_email(text) == wanted


def test_two_people_at_once_are_nobody(company: Company) -> None:
    header = "name,phone,email\n"
    done(put(company, "clients", header + "A,89160000001,\nB,,b@x.ru\n"))
    result = put(company, "clients", header + "C,89160000001,b@x.ru\n")
    assert result.code == 2
    assert "line 2: several clients fit\n" in result.err


def test_a_day_to_buy_by_reminds_once(company: Company) -> None:
    header = "name,buy_by\n"
    assert counts(put(company, "clients", header + "Anna,2026-05-01\nBoris,2020-01-01\n")) == (2, 0, 0)
    assert counts(put(company, "clients", header + "Anna,2026-05-01\nBoris,2020-01-01\n")) == (0, 0, 2)
    assert counts(put(company, "clients", header + "Anna,2026-06-01\n")) == (0, 1, 0)
    (reminder,) = table(company, "reminders")
    assert f"{reminder['due_at']:%m-%d %H}" == "05-31 21"
    # A day that has begun is no past one.
    assert counts(put(company, "clients", header + "Vera,2026-03-02\nGleb,2026-03-01\n")) == (2, 0, 0)
    assert sorted(f"{row['due_at']:%m-%d %H}" for row in table(company, "reminders")) == ["03-01 21", "05-31 21"]


def test_who_asked_to_be_left_alone_is_so_until_a_row_says_otherwise(company: Company) -> None:
    header = "name,do_not_contact\n"

    def alone() -> set[str]:
        asked = {client["client_id"] for client in table(company, "clients") if client["do_not_contact"]}
        return {contact["name"] for contact in table(company, "contacts") if contact["client_id"] in asked}

    def put_in(rows: str) -> tuple[int, ...]:
        return counts(put(company, "clients", header + rows))

    assert put_in("Anna,да\nBoris,\nVera,no\n") == (3, 0, 0)
    assert alone() == {"Anna"}
    assert company.crmcli("log-sale", "Vera", "10", "--next", "2026-06-01").code == 0
    assert company.crmcli("add-reminder", "Vera", "papers", "--due", "2026-06-01").code == 0
    assert put_in("Anna,\nBoris,\nVera,Yes\n") == (0, 1, 2)
    assert alone() == {"Anna", "Vera"}
    assert {row["cause"]: row["status"] for row in table(company, "reminders")} == {
        "next_purchase": "done",
        "manual": "open",
    }
    assert put_in("Anna,0\n") == (0, 1, 0)
    assert alone() == {"Vera"}
    assert "neither yes nor no" in put(company, "clients", header + "Anna,maybe\n").err


# Calls.


def test_calls_come_in_once(company: Company) -> None:
    header = "client,direction,result,called_at,seconds,by,said\n"
    rows = "a,in,answered,2025-01-01 10:00,60,Vera,hello\n" + "a,OUT,no-answer,2025-01-01 11:00,0,Vera,\n" * 2
    assert counts(put(company, "calls", header + rows)) == (3, 0, 0)
    assert counts(put(company, "calls", header + rows)) == (0, 0, 3)
    assert counts(put(company, "calls", header + "a,out,busy,2025-01-01 11:00,0,Boris,\n")) == (0, 1, 0)
    assert counts(put(company, "calls", header + "a,in,answered,2025-01-01 10:00,60,Vera,good bye\n")) == (0, 1, 0)
    calls = table(company, "activities")
    assert Counter(call["result"] for call in calls) == {"answered": 1, "no-answer": 1, "busy": 1}
    assert f"{min(call['happened_at'] for call in calls)}" == "2025-01-01 07:00:00"


def test_a_call_has_minutes_or_seconds(company: Company) -> None:
    header = "client,direction,called_at,minutes,seconds\n"
    result = put(
        company, "calls", header + "a,in,2025-01-01,1.5,\na,in,2025-01-02,1,60\na,up,2025-01-02,,\n", "--skip-errors"
    )
    assert result.code == 0
    assert [call["seconds"] for call in table(company, "activities")] == [90]
    assert result.err == (
        "line 3: a call has minutes or seconds, not both\nline 4: the direction must be one of in, out\n"
    )


# Deals and stages.


def history(company: Company) -> list[tuple[str | None, str, str]]:
    changes = sorted(
        table(company, "stage_changes"), key=lambda row: (row["changed_at"], row["to_stage"] in {"won", "lost"})
    )
    return [(change["from_stage"], change["to_stage"], change["move"]) for change in changes]


def test_a_deal_and_its_history_tell_the_same(company: Company) -> None:
    header = "client,stage,opened_at,closed_at,amount,lost_reason,closed_from,external_id,title\n"
    assert counts(put(company, "deals", header + "a,discovery,2025-01-01,,100,,,d1,tea\n")) == (1, 0, 0)
    assert history(company) == [(None, "discovery", "open")]
    assert counts(put(company, "deals", header + "a,won,2025-01-01,2025-02-01,,,,d1,\n")) == (0, 1, 0)
    assert history(company) == [(None, "discovery", "open"), ("discovery", "won", "won")]
    (deal,) = table(company, "deals")
    assert (deal["status"], deal["stage"], deal["amount"]) == ("won", "discovery", 100)
    # It was lost, as it turns out.
    assert counts(put(company, "deals", header + "a,lost,2025-01-01,2025-02-02,0,price,meeting,d1,\n")) == (0, 1, 0)
    assert history(company) == [(None, "meeting", "open"), ("meeting", "lost", "lost")]
    assert counts(put(company, "deals", header + "a,proposal,2025-01-01,,,,,d1,tea\n")) == (0, 1, 0)
    assert history(company)[2] == ("meeting", "proposal", "reopen")
    (deal,) = table(company, "deals")
    assert (deal["status"], deal["closed_at"], deal["lost_reason"], deal["amount"]) == ("open", None, None, 100)
    assert counts(put(company, "deals", header + "a,proposal,2025-01-01,,,,,d1,tea\n")) == (0, 0, 1)
    assert notes(company, "title") == ["tea"]
    assert problems(company) == []


def test_deals_without_an_external_id_are_told_apart(company: Company) -> None:
    row = "a,call,2025-01-01,5\n"
    text = "client,stage,opened_at,amount\n" + row * 2 + "a,call,,\nb,lost,2025-01-01,0\n"
    assert counts(put(company, "deals", text)) == (4, 0, 0)
    assert counts(put(company, "deals", text)) == (0, 0, 4)
    assert counts(put(company, "deals", text.replace("a,call,2025", "a,meeting,2025", 1))) == (0, 1, 3)
    assert {deal["amount"] for deal in table(company, "deals")} == {5, None}


def test_stages_are_the_way_a_deal_went(company: Company) -> None:
    done(
        put(
            company,
            "deals",
            "client,stage,opened_at,closed_at,external_id\na,won,2025-01-01,2025-03-01,d1\nb,meeting,2025-01-01,,d2\n",
        )
    )
    text = "deal,stage,changed_at,by\n" + "".join(
        f"{line}\n"
        for line in (
            "d1,call,2025-01-01,Vera",
            "d1,proposal,2025-01-20,Vera",
            "d1,discovery,2025-01-10,Vera",
            "d1,won,2025-03-01,",
            "d2,call,2025-01-02,Vera",
            "d2,meeting,2025-01-03,Boris",
            "d2,lost,2025-01-05,Boris",
        )
    )
    assert counts(put(company, "stages", text)) == (4, 3, 0)
    assert counts(put(company, "stages", text)) == (0, 0, 7)
    ids = {row["text"]: row["about_id"] for row in table(company, "notes")}
    changes = sorted(table(company, "stage_changes"), key=lambda row: row["changed_at"])
    ways = {
        name: [(change["to_stage"], change["move"]) for change in changes if change["deal_id"] == ids[name]]
        for name in ("d1", "d2")
    }
    assert ways == {
        "d1": [("call", "open"), ("discovery", "forward"), ("proposal", "forward"), ("won", "won")],
        "d2": [("call", "open"), ("meeting", "skip"), ("lost", "lost")],
    }
    deals = {deal["deal_id"]: deal for deal in table(company, "deals")}
    assert (deals[ids["d1"]]["stage"], deals[ids["d1"]]["status"]) == ("proposal", "won")
    assert (deals[ids["d2"]]["stage"], deals[ids["d2"]]["status"]) == ("meeting", "lost")
    assert f"{deals[ids['d2']]['closed_at']}" == "2025-01-04 21:00:00"
    result = put(company, "stages", "deal,stage,changed_at\nd3,call,2025-01-01\nd1,nowhere,2025-01-01\n")
    assert result.err.startswith("line 2: no such deal among yours\nline 3: the process has no stage 'nowhere'")


@given(st.lists(st.sampled_from(["a", "b", "c", "won", "lost"]), max_size=8))
def test_every_way_through_a_pipeline_has_its_moves(visited: list[str]) -> None:
    told = moves(["a", "b", "c"], visited)
    at, closed = None, False
    for to, (before, move) in zip(visited, told, strict=True):
        assert before == at
        assert (move == to) == (to in {"won", "lost"})
        assert (move == "reopen") == (closed and to in {"a", "b", "c"})
        closed = to in {"won", "lost"}
        at = at if closed else to


def test_with_sales_a_won_deal_is_sold_once(company: Company) -> None:
    header = "client,stage,opened_at,closed_at,amount,external_id,owner\n"
    text = header + "a,won,2025-01-01,2025-02-01,50,1,Vera\na,won,2025-01-01,2025-02-01,0,2,Vera\na,call,,,9,3,\n"
    assert done(put(company, "deals", text, "--with-sales"))["sales of won deals"] == "1"
    assert counts(put(company, "deals", text, "--with-sales")) == (0, 0, 3)
    assert counts(put(company, "deals", text.replace("50", "60"), "--with-sales")) == (0, 1, 2)
    (sale,) = table(company, "sales")
    assert (sale["amount"], f"{sale['sold_at']}") == (60, "2025-01-31 21:00:00")
    assert company.view().staff[sale["by_id"]] == "Vera"
    assert "--with-sales goes with deals" in put(company, "sales", "client,sold_at,amount\n", "--with-sales").err


def test_the_sale_of_a_won_deal_is_of_the_product_that_it_names(company: Company) -> None:
    for name in ("Tea", "Cup"):
        assert company.crmcli("products", "set", name, "--new").code == 0
    numbers = {product.name: product.product_id for product in company.view().products}

    def lines() -> list[tuple[Any, ...]]:
        return [
            (line["product_id"], line["quantity"], line["amount"])
            for line in sorted(table(company, "sale_lines"), key=lambda line: line["amount"])
        ]

    text = "client,stage,opened_at,closed_at,amount,product,external_id\na,won,2025-01-01,2025-02-01,50,Tea,1\n"
    unnamed = "b,won,2025-01-01,2025-02-01,70,,2\n"
    done(put(company, "deals", text + unnamed, "--with-sales"))
    assert lines() == [(numbers["Tea"], 1, 50)]
    done(put(company, "deals", text + unnamed, "--with-sales"))
    assert lines() == [(numbers["Tea"], 1, 50)]
    changed = text.replace("50,Tea", "60,Cup") + unnamed.replace("70,,", "70,Tea,")
    assert counts(put(company, "deals", changed, "--with-sales")) == (0, 2, 0)
    assert lines() == [(numbers["Cup"], 1, 60), (numbers["Tea"], 1, 70)]
    assert problems(company) == []


def test_the_maps_are_those_of_the_page() -> None:
    page = (HOWTO / "import.md").read_text(encoding="utf-8")
    for name in ("cdnow.toml", "maven.toml", "maven-process.toml"):
        assert f"```toml file={name}\n{(HOWTO / name).read_text(encoding='utf-8')}```\n" in page


# What is wrong with a file.


def test_one_bad_row_and_nothing_is_saved(company: Company) -> None:
    before = company.open().state.seq
    text = "name,phone,source\nСекретов,12,\nAnna,,nowhere\nBoris,,web\n"
    result = put(company, "clients", text)
    assert (result.code, result.out) == (2, "")
    lines = result.err.splitlines()
    assert lines[0].startswith("line 2: not a phone number (")
    assert lines[1].startswith("line 3: the process has no source 'nowhere' (there is ")
    assert lines[2:] == [
        "crmcli: error: 2 of 3 rows rejected; nothing was saved",
        "crmcli: hint: --skip-errors imports the others",
    ]
    assert "Секретов" not in result.err
    assert company.open().state.seq == before
    result = put(company, "clients", text, "--skip-errors")
    assert (result.code, said(result)["new"], said(result)["rejected"]) == (0, "1", "2")
    assert list(names(company).values()) == ["Boris"]


def test_a_file_full_of_errors_is_reported_briefly(company: Company) -> None:
    text = "client,sold_at,amount\n" + "".join(f"c,2025-01-01,many {number}\n" for number in range(50))
    result = put(company, "sales", text)
    assert len(result.err.splitlines()) == 23
    assert "line 21: an amount is not a number\nand 30 more\n" in result.err


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("a,2025-02-30,5", "not a date such as 2026-03-15 or 15.03.2026"),
        ("a,1899-12-31,5", "a date not between the years 1900 and 2200"),
        ("a,2026-03-05,5", "a date in the future"),
        ("a,2025-01-01,1e5", "an amount is not a number"),
        ("a,2025-01-01,", "amount is empty"),
        ("a,,5", "sold_at is empty"),
        (",2025-01-01,5", "client is empty"),
        ("a,2025-01-01,5,6", "4 cells where the header has 3"),
        ("a\0,2025-01-01,5", "a cell holds a NUL"),
        (f"{'a' * 201},2025-01-01,5", "the client is longer than 200 characters"),
    ],
)
def test_a_bad_row_is_named_by_its_line(company: Company, row: str, problem: str) -> None:
    options = map_file(company, 'encoding = "utf-8"\n')
    result = put(company, "sales", f"client,sold_at,amount\nb,2025-01-01,5\n{row}\n", *options)
    assert result.code == 2
    assert result.err.startswith(f"line 3: {problem}")
    assert table(company, "sales") == table(company, "clients") == []


def test_a_dry_run_saves_nothing_and_says_the_same(company: Company) -> None:
    text = some_sales(100)
    before = company.open().state.seq
    tried = done(put(company, "sales", text, "--dry-run"))
    assert tried.pop("commit") == "none, this was a dry run"
    assert company.open().state.seq == before
    real = done(put(company, "sales", text))
    assert real.pop("commit") == str(before + 1)
    assert tried == real
    assert put(company, "sales", "client,sold_at,amount\na,b,c\n", "--dry-run").code == 2


def test_columns_that_nobody_knows_are_left_out(company: Company) -> None:
    others = [f"column {number}" for number in range(16)]
    text = csv_text(("Name", *others), [("Anna", *("x" * 16))])
    assert done(put(company, "clients", text))["new"] == "1"
    result = put(company, "sales", "name,when,how much\na,2025-01-01,5\n")
    assert result.code == 2
    assert "no column for client, sold_at, amount" in result.err


@pytest.mark.parametrize("encoding", ["cp1251", "utf-8", "utf-8-sig", "utf-16"])
def test_a_spreadsheet_of_a_russian_office(company: Company, encoding: str) -> None:
    text = 'ФИО;Телефон;Дата;Кто\r\n"Пётр ""Петя""; Иванов";8 (916) 123-45-67;15.03.25;Вера\r\n'
    text += "Ольга Сергеевна Кузнецова;8 (495) 123-45-67;16.03.25;Вера\r\n"
    options = map_file(company, '[columns]\nname = "ФИО"\nphone = "Телефон"\ncreated_at = "Дата"\nowner = "Кто"\n')
    assert counts(put(company, "clients", text.encode(encoding), *options)) == (2, 0, 0)
    assert sorted(names(company).values()) == ["Ольга Сергеевна Кузнецова", 'Пётр "Петя"; Иванов']
    assert min(f"{row['created_at']}" for row in table(company, "clients")) == "2025-03-14 21:00:00"


def test_hostile_names_come_in_as_they_are_and_show_no_harm(company: Company) -> None:
    hostile = ["=cmd|'/c calc'!A1", "\x1b[31mred", "a\u202eb", "'); DROP TABLE clients; --", "line\nbreak", "Ў" * 200]
    done(put(company, "clients", csv_text(["name"], [[name] for name in hostile])))
    assert sorted(names(company).values()) == sorted(hostile)
    listed = company.crmcli("list", "clients").out
    assert "\x1b" not in listed
    assert "\u202e" not in listed
    text = csv_text(("client", "sold_at", "amount"), [[name, "2025-01-01", 5] for name in hostile])
    assert "new clients" not in done(put(company, "sales", text))


# Who imports, and two at a time.


def test_a_manager_imports_into_the_own_book(company: Company) -> None:
    done(put(company, "sales", "client,sold_at,amount\nadmins,2025-01-01,5\n"))
    text = "client,sold_at,amount,by\na,2025-01-01,5,Ada\nb,2025-01-01,5,Nobody\n"
    result = put(company, "sales", text, who="manager")
    assert result.code == 2
    assert "line 3: nobody on the staff has that name (an admin's import adds them)\n" in result.err
    assert put(company, "sales", text, "--skip-errors", who="manager").code == 0
    assert company.names("manager") == ["a"]
    assert company.names("colleague") == []
    # An admin who imports the same rows means the manager's client, in the manager's book.
    theirs = "client,sold_at,amount,by\na,2025-01-01,5,Ada\na,2025-02-01,5,Somebody\n"
    assert counts(put(company, "sales", theirs)) == (1, 0, 1)
    assert len(table(company, "sales", "manager")) == 2
    assert put(company, "sales", text, who="analyst").code == 15
    assert company.names("manager") == ["a"]


def test_two_imports_at_once_double_nothing(company: Company) -> None:
    path = company.folder / "file.csv"
    path.write_text(some_sales(20_000), encoding="utf-8")
    both = [company.start("import", "sales", str(path)) for _ in range(2)]
    ends = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], ends
    assert len(table(company, "sales")) == 20_000
    assert len(table(company, "clients")) == len(set(names(company).values()))


def test_an_import_that_another_overtook_is_not_saved(company: Company) -> None:
    session = company.session()
    row = {"client": "a", "sold_at": "2025-01-01", "amount": "5"}
    with pytest.raises(OvertakenError), session.writing() as draft:
        cells = Cells(draft.settings, draft.process, {}, NOW, parse_amount)
        taking = import_of("sales")(draft, session.acting(draft), cells, Terms(tuple(row)))
        assert taking.run([(2, row, None)]).rows["new"] == 1
        taking.put()
        assert counts(put(company, "sales", "client,sold_at,amount\na,2025-01-01,5\n")) == (1, 0, 0)
    assert len(table(company, "sales")) == len(table(company, "clients")) == 1


def test_nobody_puts_rows_where_they_may_not(company: Company) -> None:
    session = company.session("manager")
    with session.writing() as draft, pytest.raises(NotPermittedError):
        draft.put_rows(company.company_book(), TABLES["staff"], "insert", arrow("staff", [(1, "Eve")]))


# How large and how true to real files.


def size_ratio(company: Company) -> float:
    """Return the size of the store's files over that of their tables as plain zstd Parquet."""
    store = company.open()
    plain = 0
    for name in {entry.table for entry in store.entries()}:
        sink = pa.BufferOutputStream()
        pq.write_table(store.reader.merged(name), sink, compression="zstd")
        plain += sink.getvalue().size
    return sum(entry.bytes for entry in store.entries()) / plain


def test_the_store_is_hardly_larger_than_plain_files(company: Company) -> None:
    done(put(company, "sales", some_sales(20_000, 5000)))
    assert size_ratio(company) <= 1.5


def sample(name: str) -> Path:
    path = SAMPLE_DATA / name
    if not path.exists():
        pytest.skip("no sample data")
    return path


def test_cdnow_comes_in_whole(company: Company) -> None:
    source = sample("cdnow/CDNOW_master.txt")
    arguments = ("import", "sales", str(source), "--map", str(HOWTO / "cdnow.toml"))
    figures = done(company.crmcli(*arguments))
    assert (figures["rows read"], figures["new"], figures["new clients"]) == ("69659", "69659", "23570")
    sales = pa.Table.from_pylist(table(company, "sales"))
    connection = duckdb.connect()
    connection.register("sales", sales)
    mine = connection.execute(
        "SELECT count(*), sum(amount), count(*) FILTER (amount > 0), count(DISTINCT client_id) FILTER (amount > 0)"
        " FROM sales"
    ).fetchone()
    lines = [line.split() for line in source.read_text().splitlines()[1:]]
    plain = (
        len(lines),
        sum(Decimal(line[3]) for line in lines),
        sum(Decimal(line[3]) > 0 for line in lines),
        len({line[0] for line in lines if Decimal(line[3]) > 0}),
    )
    assert mine == plain == (69_659, Decimal("2500315.63"), 69_579, 23_502)
    months: dict[str, list[Decimal]] = {}
    for line in lines:
        if Decimal(line[3]) > 0:
            months.setdefault(f"{line[1][:4]}-{line[1][4:6]}", []).append(Decimal(line[3]))
    told = company.crmcli("report", "sales", "--by", "month", "--format", "csv").out.splitlines()[1:]
    assert [line.split(",")[:5] for line in told] == [
        [month, str(len(sums)), str(sum(sums)), "0.00", str(sum(sums))] for month, sums in sorted(months.items())
    ]
    assert size_ratio(company) <= 1.5
    assert counts(company.crmcli(*arguments)) == (0, 0, 69_659)


def test_maven_comes_in_whole(company: Company) -> None:
    source = sample("maven_crm/sales_pipeline.csv")
    assert company.crmcli("process", "apply", str(HOWTO / "maven-process.toml")).code == 0
    arguments = ("import", "deals", str(source), "--map", str(HOWTO / "maven.toml"), "--with-sales")
    figures = done(company.crmcli(*arguments))
    assert figures["under unknown"] == "1425"
    assert figures["new staff"] == "30"
    deals = table(company, "deals")
    plain = duckdb.read_csv(str(source))
    status = {"Won": "won", "Lost": "lost", "Engaging": "Engaging", "Prospecting": "Prospecting"}
    wanted = {status[stage]: count for stage, count in plain.aggregate("deal_stage, count(*)").fetchall()}
    assert Counter(deal["stage"] if deal["status"] == "open" else deal["status"] for deal in deals) == wanted
    assert wanted == {"won": 4238, "lost": 2473, "Engaging": 1589, "Prospecting": 500}
    assert round(100 * wanted["won"] / (wanted["won"] + wanted["lost"]), 1) == 63.2
    assert round(100 * wanted["won"] / len(deals), 1) == 48.2
    assert sum(deal["opened_at"] is None for deal in deals) == 500
    assert {deal["amount"] for deal in deals if deal["status"] == "lost"} == {None}
    total = plain.aggregate("sum(close_value)").fetchall()[0][0]
    assert sum(sale["amount"] for sale in table(company, "sales")) == total
    lines = table(company, "sale_lines")
    assert (sum(line["amount"] for line in lines), len({line["product_id"] for line in lines})) == (total, 7)
    assert len({deal["product_id"] for deal in deals}) == 7
    moves_made = Counter(change["move"] for change in table(company, "stage_changes"))
    assert moves_made == {"open": 8800, "won": 4238, "lost": 2473}
    assert counts(company.crmcli(*arguments)) == (0, 0, 8800)
    assert problems(company) == []
