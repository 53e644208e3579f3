"""Who may commit what: a reader judges every commit by the rights its author had at that point of the log."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from crmcli.errors import DamagedError, NotPermittedError
from crmcli.session import new_op_id
from crmcli.storage import log, writing
from crmcli.storage.identity import Identity, new_member_id
from crmcli.storage.keyring import new_epoch
from crmcli.storage.tables import TABLES
from tests.storage.company import (
    NOW,
    Company,
    addition,
    by_hand,
    change_members,
    commit,
    entry,
    may,
    problems,
)

EVERYBODY = ("admin", "manager", "lead", "analyst", "service")


def apply(company: Company, who: str, kind: str = "data", **parts: Any) -> None:
    """Sign a commit as a member and let a fresh state of the whole log judge it."""
    state = company.open().state
    made = by_hand(state, company.identity(who).member, kind, **parts)
    state.apply(made.sealed(company.identity(who).keys))


# Rows.


@pytest.mark.parametrize(
    ("who", "writes"),
    [
        ("admin", {"own", "deliveries", "other", "products", "norms", "staff", "settings", "process", "inbox"}),
        ("manager", {"own", "deliveries", "products"}),
        ("lead", {"own", "deliveries", "products"}),
        ("analyst", set()),
        ("service", {"deliveries", "norms"}),
        ("leaver", set()),
    ],
)
def test_rows_are_written_where_the_role_allows(company: Company, who: str, writes: set[str]) -> None:
    state = company.open().state
    company_book = company.company_book()
    own = company.book(who) if who != "analyst" else new_member_id()
    places = {
        "own": (own, "contacts"),
        "deliveries": (own, "deliveries"),
        "other": (company.book("colleague"), "contacts"),
        "inbox": (state.book_of_kind("inbox"), "clients"),
    } | {table: (company_book, table) for table in ("products", "norms", "staff", "settings", "process")}
    author = company.identity(who).member
    assert {name for name, place in places.items() if may(state, author, add=(entry(*place),))} == writes


@pytest.mark.parametrize("kind", ["upsert", "delete"])
def test_member_adds_products_but_changes_none(company: Company, kind: str) -> None:
    state = company.open().state
    change = entry(company.company_book(), "products", kind=kind)
    assert may(state, company.identity("admin").member, add=(change,))
    assert not may(state, company.identity("manager").member, add=(change,))
    assert may(state, company.identity("manager").member, add=(entry(change.book, "products"),))


@pytest.mark.parametrize("kind", ["members", "keys", "grant", "transfer", "erase", "restore"])
@pytest.mark.parametrize("who", EVERYBODY)
def test_only_admins_change_what_is_not_rows(company: Company, who: str, kind: str) -> None:
    state = company.open().state
    member = company.identity("manager").member
    given_grant: dict[str, Any] = {}
    given_grant |= {"action": "give", "grant": new_member_id(), "to": member, "right": "export", "books": None}
    given_grant |= {"columns": None, "max_rows": None, "expires": "2027-01-01T00:00:00.000000Z", "once": False}
    bodies = {
        "members": {"members": [{"action": "remove", "member": member}]},
        "keys": {"books": [new_epoch(state, state.books[company.company_book()], state.members.values())]},
        "grant": {"grant": given_grant},
        "transfer": {"transfer": {"from": company.book("manager"), "to": company.book("colleague"), "clients": []}},
        "erase": {"erase": {"clients": [new_member_id()], "files": []}},
        "restore": {"restore": {"seq": state.seq, "hash": state.hash}},
    }
    assert may(state, company.identity(who).member, kind, body=bodies[kind]) == (who == "admin")


def test_compaction_is_for_the_owner_and_admins_and_stays_in_its_table(company: Company) -> None:
    company.crmcli("add-client", "Mine", who="manager")
    state = company.open().state
    book = company.book("manager")
    [old] = [e for e in state.entries("clients") if e.book == book]
    new = entry(book, "clients")
    found = {
        who: may(state, company.identity(who).member, "compact", add=(new,), drop=(old.file_id,)) for who in EVERYBODY
    }
    assert found == dict.fromkeys(EVERYBODY, False) | {"admin": True, "manager": True}
    me = company.identity("manager").member
    assert not may(state, me, "compact", add=(entry(book, "contacts"),), drop=(old.file_id,))
    assert not may(state, me, "compact", add=(entry(company.book("colleague"), "clients"),), drop=(old.file_id,))
    assert not may(state, me, "compact", add=(new,))
    assert not may(state, me, "compact", add=(new,), drop=("f" * 32,))
    assert not may(state, me, "compact", add=(new,), drop=(old.file_id, old.file_id))
    # A commit of rows replaces nothing, and writes no history.
    assert not may(state, me, add=(new,), drop=(old.file_id,))
    assert not may(state, me, add=(replace(new, kind="history"),))


@pytest.mark.parametrize("kind", ["members", "keys", "grant", "grant-use"])
def test_commit_about_rights_drops_no_files(company: Company, kind: str) -> None:
    company.crmcli("add-client", "Anna")
    state = company.open().state
    body = {
        "members": {"members": []},
        "keys": {"books": []},
        "grant": {"grant": {"action": "revoke", "grant": "x"}},
        "grant-use": {"use": {"grant": None, "right": "export", "books": [], "rows": 1, "sha256": "0" * 64}},
    }[kind]
    admin = company.identity().member
    [file_id] = [e.file_id for e in state.entries("clients")]
    if kind != "grant":
        assert may(state, admin, kind, body=body)
    assert not may(state, admin, kind, body=body, drop=(file_id,))


@pytest.mark.parametrize(
    "changes",
    [
        {"table": "nothing"},
        {"group": "personal"},
        {"book": "0123456789AB"},
        {"rows": 0},
        {"epoch": 2},
    ],
)
def test_file_belongs_to_a_table_of_a_book_under_its_key(company: Company, changes: dict[str, Any]) -> None:
    state = company.open().state
    me = company.identity("manager").member
    good = entry(company.book("manager"), "clients")
    assert may(state, me, add=(good,))
    assert not may(state, me, add=(replace(good, **changes),))
    assert not may(state, me, add=(good, good))
    assert not may(state, me, add=(replace(good, book=state.book_of_kind("company")),))


def test_time_does_not_run_backwards(company: Company) -> None:
    state = company.open().state
    add = (entry(company.book("admin"), "clients"),)
    assert may(state, company.identity().member, at=state.at, add=add)
    assert not may(state, company.identity().member, at="2001-01-01T00:00:00.000000Z", add=add)


def test_data_commit_of_nothing_is_refused(company: Company) -> None:
    """One who may write nothing could else move the log's clock."""
    state = company.open().state
    for who in ("analyst", "manager", "admin"):
        assert not may(state, company.identity(who).member, at="9999-12-31T00:00:00.000000Z")


# What is written by hand into the log.


@pytest.mark.parametrize(
    ("who", "owner", "table"),
    [
        ("manager", "colleague", "clients"),
        ("lead", "manager", "notes"),
        ("analyst", "manager", "clients"),
        ("service", "manager", "deliveries"),
        ("leaver", "leaver", "clients"),
    ],
)
def test_reader_refuses_what_the_author_had_no_right_to(company: Company, who: str, owner: str, table: str) -> None:
    made = company.append(who, add=(company.place(b"rows", company.book(owner), table),))
    for reader in ("admin", "manager", "analyst"):
        result = company.crmcli("verify", who=reader)
        assert result.code == 13, result
        assert f"commit {made.seq} " in result.err
    # Nothing was pinned or remembered of it.
    (company.log / log.loose_name(made.seq)).unlink()
    assert problems(company) == []


def test_program_refuses_it_before_it_is_written(company: Company) -> None:
    store = company.open("manager")
    pending = writing.Pending("members", body={"members": []})
    with pytest.raises(NotPermittedError):
        store.commit(pending, store.state.seq, new_op_id(), NOW)
    session = company.session("manager")
    with pytest.raises(NotPermittedError), session.writing() as draft:
        draft.put_into(TABLES["staff"], [TABLES["staff"].record(1, "Bob")])
    assert problems(company) == []
    assert list((company.root / "tmp").iterdir()) == []
    stored = {path.stem for path in (company.root / "files").glob("??/*")}
    assert stored == set(company.open().state.live)


def test_commit_by_nobody_or_with_a_stranger_s_signature_is_refused(company: Company) -> None:
    state = company.open().state
    stranger = Identity.new("stranger")
    for author, keys in (
        (stranger.member, stranger.keys),
        (company.identity().member, stranger.keys),
        (company.identity("manager").member, company.identity("colleague").keys),
    ):
        with pytest.raises(DamagedError, match=f"commit {state.seq + 1} cannot be trusted"):
            state.apply(by_hand(state, author).sealed(keys))
    assert state.to_json() == company.open().state.to_json()


@pytest.mark.parametrize(
    "parts", [{"seq": 1}, {"seq": 1000}, {"prev": "0" * 64}, {"store": "0" * 32}, {"at": "2001-01-01T00:00:00.000000Z"}]
)
def test_commit_continues_the_chain(company: Company, parts: dict[str, Any]) -> None:
    with pytest.raises(DamagedError, match="cannot be trusted"):
        apply(company, "admin", **parts)


# Members.


def test_new_member_proves_possession_of_all_keys(company: Company) -> None:
    state = company.open().state
    admin = company.identity().member
    good = addition(state, Identity.new("new"), "manager")
    other = addition(state, Identity.new("other"), "manager")
    assert may(state, admin, "members", body={"members": [good]})
    for name in ("sign", "mlkem", "x25519"):
        swapped = good | {"keys": good["keys"] | {name: other["keys"][name]}}
        assert not may(state, admin, "members", body={"members": [swapped]}), name
    for changes in (
        {"role": "owner"},
        {"proof": other["proof"]},
        {"member": other["member"]},
        {"keys": good["keys"] | {"sign": good["keys"]["sign"].upper() + " "}},
        {"keys": dict(reversed(good["keys"].items()))},
    ):
        assert not may(state, admin, "members", body={"members": [good | changes]}), changes
    assert not may(state, admin, "members", body={"members": [good, good]})
    assert not may(state, admin, "members", body={"members": [addition(state, company.identity("leaver"), "admin")]})


def test_key_of_small_order_is_refused_naming_the_commit(company: Company) -> None:
    state = company.open().state
    change = addition(state, Identity.new("new"), "admin")
    change["keys"]["sign"] = "01" + "00" * 31
    with pytest.raises(DamagedError, match=f"commit {state.seq + 1} cannot be trusted"):
        apply(company, "admin", "members", body={"members": [change]})


def test_last_admin_stays(company: Company) -> None:
    state = company.open().state
    admin, manager = company.identity().member, company.identity("manager").member
    removal = {"action": "remove", "member": admin}
    promotion = {"action": "role", "member": manager, "role": "admin"}
    assert not may(state, admin, "members", body={"members": [removal]})
    assert not may(state, admin, "members", body={"members": [{"action": "role", "member": admin, "role": "manager"}]})
    assert may(state, admin, "members", body={"members": [promotion, removal]})


def test_removed_member_is_shown_the_door(company: Company) -> None:
    assert company.crmcli("add-client", "Anna", who="leaver").code == 15
    store = company.open()
    still_in = company.open("manager")
    change_members(store, {"action": "remove", "member": company.identity("manager").member})
    # One who was at work meanwhile cannot save.
    with pytest.raises(NotPermittedError):
        commit(still_in, writing.Pending("compact", drop=[]))
    assert company.crmcli("add-client", "Anna", who="manager").code == 15
