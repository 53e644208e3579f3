"""Who may commit what: a reader judges every commit by the rights its author had at that point of the log."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crmcli.errors import CrmError, DamagedError, NoKeyError, NotPermittedError
from crmcli.model.ids import encode_id
from crmcli.model.records import Client, Contact, Product
from crmcli.session import new_op_id
from crmcli.storage import log, writing
from crmcli.storage.identity import Identity, new_member_id
from crmcli.storage.keyring import new_epoch
from crmcli.storage.log import Commit, FileEntry
from crmcli.storage.members import Book
from crmcli.storage.state import State
from crmcli.storage.tables import FACTS, PERSONAL, TABLES
from tests.storage.company import (
    NOW,
    Company,
    addition,
    by_hand,
    change_keys,
    change_members,
    commit,
    number,
    problems,
    shared,
    wrapped,
)

EVERYBODY = ("admin", "manager", "lead", "analyst", "service")
ENTRY = FileEntry("0" * 32, "", "clients", "facts", 1, "insert", 1, 1, "0" * 64, None, None)


def entry(book: str, table: str, **changes: Any) -> FileEntry:
    return replace(ENTRY, book=book, table=table, group=TABLES[table].group, **changes)


def may(state: State, author: str, kind: str = "data", **parts: Any) -> bool:
    """Whether the state takes the commit: all rights and shapes, without signature and chain."""
    try:
        state.admit(Commit.parse(line(by_hand(state, author, kind, **parts))))
    except (CrmError, ValueError, KeyError, TypeError):
        return False
    return True


def line(made: Commit) -> bytes:
    return made.sealed(Identity.new("x").keys).split(b"\n")[0]


def apply(company: Company, who: str, kind: str = "data", **parts: Any) -> None:
    """Sign a commit as a member and let a fresh state of the whole log judge it."""
    state = company.open().state
    made = by_hand(state, company.identity(who).member, kind, **parts)
    state.apply(made.sealed(company.identity(who).keys))


# Rows.


@pytest.mark.parametrize(
    ("who", "own", "other", "products", "norms", "staff", "inbox"),
    [
        ("admin", True, True, True, True, True, True),
        ("manager", True, False, True, False, False, False),
        ("lead", True, False, True, False, False, False),
        ("analyst", False, False, False, False, False, False),
        ("service", True, False, False, True, False, False),
        ("leaver", False, False, False, False, False, False),
    ],
)
def test_rows_are_written_where_the_role_allows(
    company: Company, who: str, own: bool, other: bool, products: bool, norms: bool, staff: bool, inbox: bool
) -> None:
    state = company.open().state
    me = company.identity(who).member
    mine = company.book(who) if who != "analyst" else new_member_id()
    places = [
        (mine, "clients", own),
        (mine, "contacts", own),
        (company.book("colleague"), "clients", other),
        (company.book("colleague"), "notes", other),
        (company.company_book(), "products", products),
        (company.company_book(), "norms", norms),
        (company.company_book(), "staff", staff),
        (company.company_book(), "settings", staff),
        (company.company_book(), "process", staff),
        (state.book_of_kind("inbox"), "clients", inbox),
    ]
    found = {(book, table): may(state, me, add=(entry(book, table),)) for book, table, _ in places}
    assert found == {(book, table): allowed for book, table, allowed in places}


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
    given_grant = {"action": "give", "grant": new_member_id(), "to": member, "right": "export", "books": None}
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
    assert may(state, company.identity().member, at=state.at)
    assert not may(state, company.identity().member, at="2001-01-01T00:00:00.000000Z")


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


# Keys.


def test_key_is_wrapped_only_to_who_is_entitled(company: Company) -> None:
    store = company.open()
    state = store.state
    admin = company.identity().member
    book = state.books[company.book("manager")]
    for who, group, entitled in (
        ("colleague", FACTS, False),
        ("colleague", PERSONAL, False),
        ("lead", FACTS, False),
        ("analyst", FACTS, True),
        ("analyst", PERSONAL, False),
        ("service", FACTS, True),
        ("service", PERSONAL, False),
        ("manager", PERSONAL, True),
        ("leaver", FACTS, False),
    ):
        wrap = book.wrap(group, 1)
        assert wrap is not None
        name = company.identity(who).member
        keys = [{"group": group, "key_id": wrap.key_id, "wraps": [wrapped(store, book, group, name)]}]
        change = {"book": book.book, "kind": "member", "owner": book.owner, "epoch": 1, "keys": keys, "drop": None}
        assert may(state, admin, "keys", body={"books": [change]}) == entitled, (who, group)
    lead = company.identity("lead").member
    change_members(store, {"action": "allow", "member": lead, "read": [book.book], "personal": [], "dispatcher": False})
    assert may(state, admin, "keys", body={"books": [shared(store, book, lead)]})


def test_epochs_follow_one_another_and_keep_their_keys(company: Company) -> None:
    store = company.open()
    state, admin = store.state, company.identity().member
    book = state.books[company.book("manager")]

    def takes(**changes: Any) -> bool:
        change = new_epoch(state, book, state.members.values()) | changes
        return may(state, admin, "keys", body={"books": [change]})

    assert takes()
    assert not takes(epoch=3)
    assert not takes(epoch=0)
    assert not takes(epoch=1)  # other keys than those it has
    assert not takes(epoch=True)
    assert not takes(owner=admin)
    assert not takes(kind="inbox")
    assert not takes(keys=[])
    assert not takes(keys=new_epoch(state, book, [])["keys"][:1])
    assert not takes(drop=None)
    assert not takes(drop={"mlkem": "free text", "x25519": "", "sealed": ""})
    change = new_epoch(state, book, state.members.values())
    assert not may(state, admin, "keys", body={"books": [change, change]})
    change_keys(store, change)
    # The drop key of an epoch does not change either, nor does anything go into the old epoch now.
    other = new_epoch(state, book, [])["drop"]
    assert not may(state, admin, "keys", body={"books": [change | {"keys": [], "drop": other}]})
    assert may(state, admin, "keys", body={"books": [change | {"keys": [], "drop": None}]})
    assert not may(state, admin, add=(entry(book.book, "clients", epoch=1),))
    assert may(state, admin, add=(entry(book.book, "clients", epoch=2),))


def test_two_new_books_of_one_owner_are_refused_whole(company: Company) -> None:
    state = company.open().state
    owner = company.identity("analyst").member
    books = [Book(new_member_id(), "member", owner, 0, {}, {}) for _ in range(2)]
    changes = [new_epoch(state, book, state.members.values()) for book in books]
    before = state.to_json()
    assert may(state, company.identity().member, "keys", body={"books": changes[:1]})
    assert not may(state, company.identity().member, "keys", body={"books": changes})
    assert state.to_json() == before


def test_rows_written_under_the_old_key_are_written_again(company: Company) -> None:
    writer, admin = company.session("manager"), company.open()
    with pytest.raises(CrmError) as caught, writer.writing() as draft:
        draft.put(Client(1, NOW, 1, 1), Contact(1, "Anna"))
        book = admin.state.books[company.book("manager")]
        change_keys(admin, new_epoch(admin.state, book, admin.state.members.values()))
    assert type(caught.value).__name__ == "OvertakenError"
    assert company.crmcli("add-client", "Anna", who="manager").code == 0
    state = company.open().state
    assert {e.epoch for e in state.entries("contacts")} == {2}
    assert company.names("manager") == ["Anna"]
    assert problems(company) == []


# Grants.


def test_grant_covers_what_it_says_and_nothing_else(company: Company) -> None:
    store = company.open()
    manager, colleague = (company.identity(who).member for who in ("manager", "colleague"))
    mine, other = company.book("manager"), company.book("colleague")

    def grant(**changes: Any) -> str:
        name = new_member_id()
        body = {"action": "give", "grant": name, "to": manager, "right": "export", "books": [mine], "columns": ["name"]}
        body |= {"max_rows": 10, "expires": "2026-12-31T00:00:00.000000Z", "once": True}
        commit(store, writing.Pending("grant", body={"grant": body | changes}))
        return name

    def covers(name: str | None, author: str = manager, at: str | None = None, **changes: Any) -> bool:
        use = {"grant": name, "right": "export", "books": [mine], "rows": 10, "sha256": "0" * 64} | changes
        return may(store.state, author, "grant-use", body={"use": use}, at=at or store.state.at)

    name = grant()
    assert covers(name)
    assert not covers(name, author=colleague)
    assert not covers(name, author=company.identity().member)
    assert not covers(name, right="erase")
    assert not covers(name, rows=11)
    assert not covers(name, books=[mine, other])
    assert not covers(name, books="")
    assert not covers(name, at="2026-12-31T00:00:00.000000Z")
    assert not covers(new_member_id())
    assert not covers(None)
    assert covers(None, author=company.identity().member)
    assert covers(grant(books=None), books=[mine, other])
    assert covers(grant(max_rows=None), rows=2**52)

    user = company.open("manager")
    use = {"grant": name, "right": "export", "books": [mine], "rows": 1, "sha256": "0" * 64}
    commit(user, writing.Pending("grant-use", body={"use": use}))
    store.refresh()
    assert not covers(name)
    many = grant(once=False)
    commit(store, writing.Pending("grant", body={"grant": {"action": "revoke", "grant": many}}))
    assert not covers(many)


@pytest.mark.parametrize(
    "changes",
    [
        {"to": "0123456789AB"},
        {"right": "everything"},
        {"books": ["0123456789AB"]},
        {"books": ""},
        {"columns": "name"},
        {"columns": ["Name of Anna"]},
        {"max_rows": -1},
        {"max_rows": "10"},
        {"expires": "never"},
        {"once": 1},
        {"grant": "free text"},
        {"action": "take"},
    ],
)
def test_malformed_grant_is_refused(company: Company, changes: dict[str, Any]) -> None:
    state = company.open().state
    body = {"action": "give", "grant": new_member_id(), "to": company.identity("manager").member, "right": "export"}
    body |= {"books": None, "columns": None, "max_rows": None, "expires": "2026-12-31T00:00:00.000000Z", "once": True}
    admin = company.identity().member
    assert may(state, admin, "grant", body={"grant": body})
    assert not may(state, admin, "grant", body={"grant": body | changes})


# Transfers, erasures, restores.


def test_transfer_touches_its_two_books_only(company: Company) -> None:
    state, admin = company.open().state, company.identity().member
    books = {"from": company.book("manager"), "to": company.book("colleague")}
    body = {"transfer": books | {"clients": [new_member_id()]}}
    assert may(state, admin, "transfer", body=body, add=(entry(books["to"], "clients"),))
    assert not may(state, admin, "transfer", body=body, add=(entry(company.book("lead"), "clients"),))
    assert not may(state, admin, "transfer", body={"transfer": books | {"clients": ["Anna"]}})
    assert not may(state, admin, "transfer", body={"transfer": books | {"to": "0123456789AB", "clients": []}})


def test_erasure_names_ids_only(company: Company) -> None:
    state, admin = company.open().state, company.identity().member
    client = new_member_id()
    assert may(state, admin, "erase", body={"erase": {"clients": [client], "files": ["0" * 32]}})
    for clients, names in (("Anna", []), (["Anna"], []), ([client], ["x"]), ([client], ""), ([client], {})):
        assert not may(state, admin, "erase", body={"erase": {"clients": clients, "files": names}})


def test_restore_continues_the_head_that_it_names(company: Company) -> None:
    state, admin = company.open().state, company.identity().member
    assert may(state, admin, "restore", body={"restore": {"seq": state.seq, "hash": state.hash}})
    assert not may(state, admin, "restore", body={"restore": {"seq": state.seq - 1, "hash": state.hash}})
    assert not may(state, admin, "restore", body={"restore": {"seq": state.seq, "hash": "0" * 64}})


cells = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 3)
    | st.sampled_from(["", "give", "add", "role", "allow", "remove", "admin", "facts", "member", "0" * 12, "00", "=="]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["action", "member", "role", "keys", "book", "epoch", "drop", "grant", "group", "clients"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=10,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_body_of_any_shape_is_folded_or_refused(founded: Company, data: st.DataObject) -> None:
    state = founded.open().state
    admin = founded.identity()
    member, book = founded.identity("manager").member, founded.open().state.own_book(founded.identity("lead").member)
    shapes: dict[str, dict[str, Any]] = {
        "members": addition(state, Identity.new("x"), "manager"),
        "books": new_epoch(state, state.books[book or ""], []),
        "grant": {"action": "revoke", "grant": member},
        "use": {"grant": None, "right": "export", "books": [book], "rows": 1, "sha256": "0" * 64},
        "transfer": {"from": book, "to": book, "clients": []},
        "erase": {"clients": [], "files": []},
        "restore": {"seq": state.seq, "hash": state.hash},
    }
    kind = data.draw(st.sampled_from([kind for kind, names in log.BODIES.items() if names]))
    [name] = log.BODIES[kind]
    shape = shapes[name] | {data.draw(st.sampled_from(sorted(shapes[name]))): data.draw(cells)}
    body = {name: data.draw(st.sampled_from([shape, [shape], [shape, shape]]) | cells)}
    made = by_hand(state, admin.member, kind, body=body)
    before = state.to_json()
    try:
        state.apply(made.sealed(admin.keys))
    except DamagedError as error:
        assert f"commit {made.seq} cannot be trusted" in error.message
        assert state.to_json() == before


# What a key opens.


def test_key_opens_the_own_book_and_nothing_else(company: Company) -> None:
    for who in ("admin", "manager", "colleague", "lead"):
        assert company.crmcli("add-client", f"Of {who}", "--note", "said", who=who).code == 0
    everything = sorted(f"Of {who}" for who in ("admin", "manager", "colleague", "lead"))
    expected = {
        "admin": everything,
        "manager": ["Of manager"],
        "colleague": ["Of colleague"],
        "lead": ["Of lead"],
        "analyst": [],
        "service": [],
    }
    for who, names in expected.items():
        view = company.view(who)
        assert sorted(contact.name for contact in view.records("contacts")) == names
        assert len(view.records("notes")) == len(names)
        facts = 4 if who in ("analyst", "service") else len(names)
        for table in ("clients", "deals", "stage_changes"):
            assert len(view.records(table)) == facts, (who, table)
        assert view.settings.company == "Acme"
        for stored in view.store.entries():
            if not view.reader.keyring.opens(stored):
                with pytest.raises(NoKeyError):
                    view.reader.read(stored)


def test_lead_reads_the_books_an_admin_names(company: Company) -> None:
    company.crmcli("add-client", "Anna", who="manager")
    lead, store, book = company.identity("lead").member, company.open(), company.book("manager")
    change_members(store, {"action": "allow", "member": lead, "read": [book], "personal": [], "dispatcher": False})
    change_keys(store, shared(store, store.state.books[book], lead))
    assert company.names("lead") == ["Anna"]
    client = company.view("lead").records("clients")[0]
    session = company.session("lead")
    with pytest.raises(NotPermittedError), session.writing() as draft:
        draft.put(*draft.records("clients"))
    assert company.crmcli("log-call", encode_id(client.client_id), "out", who="lead").code == 15


def test_wrap_is_bound_to_its_place(company: Company) -> None:
    """An admin's commit that hands a member the wrap of another book or group opens nothing."""
    store = company.open()
    analyst = company.identity("analyst").member
    book = store.state.books[company.book("manager")]
    facts = book.wrap(FACTS, 1)
    assert facts is not None
    stolen = wrapped(store, book, PERSONAL, analyst)
    keys = [{"group": FACTS, "key_id": facts.key_id, "wraps": [stolen]}]
    change_keys(
        store, {"book": book.book, "kind": "member", "owner": book.owner, "epoch": 1, "keys": keys, "drop": None}
    )
    keyring = company.open("analyst").keyring
    with pytest.raises(NoKeyError):
        keyring.book_key(book.book, FACTS, 1)


def test_member_adds_a_product(company: Company) -> None:
    session = company.session("manager")
    with session.writing() as draft:
        draft.put(Product(number(new_member_id()), "tea"))
    assert [product.name for product in company.view("analyst").products] == ["tea"]
