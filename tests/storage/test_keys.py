"""Who holds which key and which grant, what they open, and which commits about them a reader takes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crmcli.errors import CrmError, DamagedError, NoKeyError, NotPermittedError
from crmcli.model.ids import encode_id
from crmcli.model.records import Client, Contact, Product
from crmcli.storage import log, writing
from crmcli.storage.identity import Identity, new_member_id
from crmcli.storage.keyring import new_epoch
from crmcli.storage.members import Book
from crmcli.storage.tables import FACTS, PERSONAL
from tests.storage.company import (
    NOW,
    Company,
    addition,
    by_hand,
    change_keys,
    change_members,
    commit,
    entry,
    may,
    number,
    problems,
    shared,
    wrapped,
)


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
        body: dict[str, Any] = {}
        body |= {
            "action": "give",
            "grant": name,
            "to": manager,
            "right": "export",
            "books": [mine],
            "columns": ["name"],
        }
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
    body: dict[str, Any] = {}
    body |= {"action": "give", "grant": new_member_id(), "to": company.identity("manager").member, "right": "export"}
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
        "reveal": {"clients": [member]},
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
        refusal = error.message
    else:
        return
    assert f"commit {made.seq} cannot be trusted" in refusal
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
        assert len({note.client_id for note in view.records("notes")}) == len(names)
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
