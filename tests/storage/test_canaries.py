"""Canaries name the source of a leak whatever the owner of their book does to them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from phonenumbers import country_code_for_region

from crmcli.model.canaries import silent_phone
from crmcli.model.ids import encode_id
from crmcli.model.phones import normalise_phone
from crmcli.model.records import Client
from crmcli.storage.tables import TABLES
from tests.storage.company import NOW, Company, entry, may, number
from tests.team.thief import commits


@pytest.fixture
def planted(company: Company) -> Company:
    """A company in which every book has a canary, and the manager a client."""
    assert company.crmcli("canary", "plant").code == 0
    assert company.crmcli("add-client", "Boris", "--phone", "8 916 123-45-67", who="manager").code == 0
    return company


def canary_of(company: Company, who: str) -> Any:
    """The client row of the canary in a member's book, as the member sees it."""
    view = company.view(who)
    [mark] = view.records("canaries")
    return view.records("clients", "client_id", [mark.client_id])[0]


def source(company: Company, folder: Path, *, who: str = "manager") -> str:
    """Whose book a list that leaked out of a member's came from, as an admin is told."""
    leaked = folder / "leaked.csv"
    leaked.write_text(company.crmcli("list", "clients", "--format", "csv", who=who).out, encoding="utf-8")
    result = company.crmcli("canary", "who", str(leaked), "--format", "csv")
    assert result.code == 0, result
    return result.out.splitlines()[1].split(",")[0]


def change(company: Company, table: str, kind: str, *rows: Any) -> None:
    """Let the manager sign rows of the own book that no command would make."""
    columns = [TABLES[table].key] if kind == "delete" else TABLES[table].schema.names
    made = TABLES[table].to_arrow(rows).select(columns)
    company.append("manager", add=(company.seal("manager", company.book("manager"), table, kind, made),))


def test_a_list_names_the_book_that_it_came_from(planted: Company, tmp_path: Path) -> None:
    assert source(planted, tmp_path) == planted.identity("manager").member
    assert source(planted, tmp_path, who="lead") == planted.identity("lead").member


def test_the_owner_cannot_put_it_on_a_colleague(planted: Company, tmp_path: Path) -> None:
    colleague = number(planted.identity("colleague").member)
    canary = canary_of(planted, "manager")
    change(planted, "clients", "upsert", replace(canary, created_by=colleague, owner_id=colleague))
    assert source(planted, tmp_path) == planted.identity("manager").member


@pytest.mark.parametrize("phones", [("junk",), (), ("+", "+++"), ("1" * 60,)])
def test_what_the_owner_makes_of_its_phone_hides_it_not(
    planted: Company, tmp_path: Path, phones: tuple[str, ...]
) -> None:
    [contact] = planted.view("manager").records("contacts", "client_id", [canary_of(planted, "manager").client_id])
    before = planted.crmcli("list", "clients", "--format", "csv", who="manager").out
    change(planted, "contacts", "upsert", replace(contact, phones=phones))
    (tmp_path / "before.csv").write_text(before, encoding="utf-8")
    assert planted.crmcli("canary", "who", str(tmp_path / "before.csv")).code == 0
    assert source(planted, tmp_path, who="lead") == planted.identity("lead").member


def test_it_is_found_when_the_owner_has_deleted_the_client(planted: Company, tmp_path: Path) -> None:
    leaked = tmp_path / "before.csv"
    leaked.write_text(planted.crmcli("list", "clients", "--format", "csv", who="manager").out, encoding="utf-8")
    canary = canary_of(planted, "manager")
    change(planted, "clients", "delete", canary)
    assert planted.crmcli("canary", "who", str(leaked)).code == 0
    assert planted.crmcli("canary", "list").code == 0


def figures(company: Company, who: str) -> dict[str, Any]:
    """What the program tells a member about how many there are and what became of them."""
    shown = company.crmcli("list", "clients", "--format", "ids", who=who).out.split()
    me = company.identity(who).member
    members = company.crmcli("member", "list", "--format", "csv", who=who).out.splitlines()
    [row] = [line for line in members if me in line]
    funnel = company.crmcli("report", "funnel", "--format", "csv", who=who).out.splitlines()[1].split(",")
    return {"listed": len(shown), "counted": int(row.split(",")[4]), "reached": int(funnel[2])}


def test_no_figure_tells_its_owner_which_one_it_is(planted: Company) -> None:
    assert figures(planted, "manager") == {"listed": 2, "counted": 2, "reached": 1}
    canary = encode_id(canary_of(planted, "manager").client_id)
    assert planted.crmcli("add-deal", canary, who="manager").code == 0
    assert figures(planted, "manager")["reached"] == 2
    # What the company goes by leaves it out all the same.
    for who in ("admin", "analyst"):
        funnel = planted.crmcli("report", "funnel", "--format", "csv", who=who).out.splitlines()[1].split(",")
        assert funnel[2] == "1"


def test_each_book_is_a_commit_of_its_own_and_history_says_that_its_owner_was_it(company: Company) -> None:
    assert replace(company, now=NOW + timedelta(days=9)).crmcli("canary", "plant").code == 0
    planting = [commit["add"] for commit in commits(company.root) if "canaries" in str(commit["add"])]
    assert len(planting) == len({add[0]["book"] for add in planting}) > 3
    assert all(len({entry["book"] for entry in add}) == 1 for add in planting)
    canary = canary_of(company, "manager")
    at = canary.created_at.astimezone(company.view().settings.zone).isoformat(" ", "minutes")[:16]
    for who, start in (("manager", f"{at}  {company.identity('manager').member}"), ("admin", "2026-03-11 12:00  Ada")):
        [_, *rows] = company.crmcli("history", encode_id(canary.client_id), who=who).out.splitlines()
        assert len(rows) == 2
        assert all(row.startswith(start) for row in rows), rows


@pytest.mark.parametrize("who", ["manager", "analyst"])
def test_the_audit_tells_who_is_no_admin_of_a_canary_what_it_tells_of_any_client(company: Company, who: str) -> None:
    assert replace(company, now=NOW + timedelta(days=9)).crmcli("canary", "plant").code == 0
    canary = canary_of(company, "manager")
    number, author = encode_id(canary.client_id), company.identity("manager").member
    [row] = json.loads(company.crmcli("audit", "--client", number, "--format", "json", who=who).out)
    assert (row["what"], row["who"], row["flags"]) == ("clients +1, contacts +1", author, None)
    assert datetime.fromisoformat(row["at"]) == canary.created_at.replace(microsecond=0)
    told = json.loads(company.crmcli("audit", "--type", "data", "--format", "json", who=who).out)
    assert not [row for row in told if "contacts" in row["what"]]
    planted = json.loads(company.crmcli("audit", "--client", number, "--format", "json").out)
    assert [(row["who"], row["at"][:10]) for row in planted] == [("Ada", "2026-03-11")]
    # To others it was done on a day of its own, which may be any before that of the planting, or by chance that day.
    on = row["at"][:10]
    for period in {"2026-03-11", on}:
        told = company.crmcli("audit", "--client", number, "--period", period, "--format", "ids", who=who).out
        assert len(told.split()) == (period == on)
    assert company.crmcli("audit", "--client", number, "--who", "Ada", "--format", "ids", who=who).out == ""


def test_what_its_owner_wants_to_be_reminded_of_comes_as_with_anybody(planted: Company) -> None:
    canary = encode_id(canary_of(planted, "manager").client_id)
    name = planted.view("manager").contact(canary_of(planted, "manager").client_id).name
    later = replace(planted, now=NOW + timedelta(days=200))
    # Nothing is planned for it by the segment's cadence.
    assert name not in later.crmcli("remind", who="manager").out
    assert planted.crmcli("add-reminder", canary, "call", "--due", "today", who="manager").code == 0
    assert planted.crmcli("set-cadence", canary, "1d", who="manager").code == 0
    told = replace(planted, now=NOW + timedelta(days=201)).crmcli("remind", who="manager").out
    assert told.count(name) == 2


def test_it_came_when_others_may_have_come(company: Company) -> None:
    """At the instant of an import, or within days of somebody, in working hours and to the microsecond."""
    view = company.view("manager")
    long_ago = NOW - timedelta(days=400)
    with company.session("manager").writing() as draft:
        me = view.store.member_number
        draft.put(*(Client(client_id, long_ago, me, me) for client_id in (1, 2, 3)))
    later = replace(company, now=NOW + timedelta(days=30))
    assert later.crmcli("add-client", "Boris", who="colleague").code == 0
    assert replace(company, now=NOW + timedelta(days=60)).crmcli("canary", "plant").code == 0
    assert canary_of(company, "manager").created_at == long_ago
    assert abs(canary_of(company, "colleague").created_at - later.now) < timedelta(days=2)
    since = canary_of(company, "lead").created_at
    assert NOW < since < NOW + timedelta(days=60)
    assert since.astimezone(view.settings.zone).hour in range(9, 18)
    assert since.microsecond


@pytest.mark.parametrize("who", ["manager", "lead", "service", "analyst"])
@pytest.mark.parametrize("kind", ["insert", "upsert", "delete"])
def test_only_admins_say_who_is_one(company: Company, who: str, kind: str) -> None:
    state = company.open().state
    book = company.book(who) if who != "analyst" else company.book("manager")
    mark = entry(book, "canaries", kind=kind)
    assert not may(state, company.identity(who).member, add=(mark,))
    assert may(state, company.identity().member, add=(mark,))


def test_only_admins_compact_the_marks(planted: Company) -> None:
    state = planted.open().state
    book = planted.book("manager")
    [mark] = [e for e in state.entries("canaries") if e.book == book]
    for who, is_let in (("manager", False), ("admin", True)):
        change = {"add": (entry(book, "canaries"),), "drop": (mark.file_id,)}
        assert may(state, planted.identity(who).member, "compact", **change) is is_let


@pytest.mark.parametrize("region", ["RU", "GB", "US", "CA", "DE", "FR", "SE", "IE", "AU", "KZ", "BY", "PL", "IT", "IN"])
def test_its_phone_is_one_that_a_client_could_have(region: str) -> None:
    random = Random(region)
    phones = {normalise_phone(silent_phone(random, region), region) for _ in range(30)}
    assert len(phones) > 20
    assert {phone[:2] for phone in phones} == {f"+{str(country_code_for_region(region))[0]}"}
