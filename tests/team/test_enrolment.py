"""Nobody is enrolled by a card whose keys are weak, malformed, or not its maker's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crmcli.storage import cards
from crmcli.storage.genesis import b64, member_json
from crmcli.storage.identity import Identity, new_member_id
from crmcli.storage.keys import _SMALL_ORDER, PublicKeys
from crmcli.storage.members import PROOF_LABEL, proof_message
from tests.storage.company import Company, Result, may

# R the neutral element and S zero: a signature of every message by whoever has a key of order 1, and of every second,
# fourth or eighth message by who has one of order 2, 4 or 8.
FORGED = bytes([1]) + bytes(63)
NEUTRAL = bytes([1]) + bytes(31)
# Points of small order on Curve25519 (RFC 7748, section 6.1; the list is that of https://cr.yp.to/ecdh.html).
X25519_SMALL = (
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
)
USELESS = "crmcli: error: the keys on the card are of no use\ncrmcli: hint: enrol nobody by it: ask for a new one\n"

OTHER_KEYS = "crmcli: error: the keys on the card are not those of the member it names"


def card_of(company: Company) -> dict[str, Any]:
    """A card as somebody new makes it."""
    document: dict[str, Any] = json.loads(cards.card_json(company.open().state.store, Identity.new("new")))
    return document


def enrol(company: Company, document: Any) -> Result:
    path = company.folder / "new.card"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    before = sorted(company.log.iterdir())
    result = company.crmcli("member", "add", "New", "--card", str(path), "--role", "admin")
    if result.code:
        assert sorted(company.log.iterdir()) == before
    return result


def test_a_good_card_enrols(company: Company) -> None:
    assert enrol(company, card_of(company)).code == 0


@pytest.mark.parametrize("sign", sorted(_SMALL_ORDER), ids=bytes.hex)
def test_signing_key_of_small_order_is_refused_though_its_proof_holds(company: Company, sign: bytes) -> None:
    state = company.open().state
    public = Identity.new("new").keys.public
    weak = PublicKeys(sign, public.mlkem, public.x25519)
    names = (new_member_id() for _ in range(200))
    fitting = [n for n in names if weak.verify(PROOF_LABEL, proof_message(state.store, n, weak), FORGED)]
    # This library takes every encoding but those that are not canonical.
    assert fitting or sign != NEUTRAL
    name = fitting[0] if fitting else new_member_id()
    keys = member_json(name, weak)
    result = enrol(company, {"format": cards.FORMAT, "store": state.store, "keys": keys, "proof": FORGED.hex()})
    assert (result.code, result.err) == (13, USELESS)
    change = {"action": "add", "member": name, "role": "admin", "keys": keys, "proof": FORGED.hex()}
    assert not may(state, company.identity().member, "members", body={"members": [change]})


@pytest.mark.parametrize("x25519", X25519_SMALL)
def test_opening_key_of_small_order_is_refused_though_it_is_proven(company: Company, x25519: str) -> None:
    assert enrol(company, proven(company, x25519=x25519)).err == USELESS


@pytest.mark.parametrize("mlkem", [b"\xff" * 1184, b"", b"\0" * 1183, b"\0" * 1185], ids=len)
def test_opening_key_that_is_none_is_refused_though_it_is_proven(company: Company, mlkem: bytes) -> None:
    assert enrol(company, proven(company, mlkem=b64(mlkem))).err == USELESS


def proven(company: Company, **changes: str) -> dict[str, Any]:
    """A card with other keys that its maker did sign."""
    identity = Identity.new("new")
    state = company.open().state
    keys = member_json(identity.member, identity.keys.public) | changes
    message = "|".join((state.store, *keys.values())).encode()
    proof = identity.keys.sign(PROOF_LABEL, message).hex()
    return {"format": cards.FORMAT, "store": state.store, "keys": keys, "proof": proof}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"proof": "00" * 64}, 13),
        ({"proof": "00" * 63}, 2),
        ({"proof": None}, 2),
        ({"format": "crmcli-card/2"}, 2),
        ({"store": "0" * 32}, 14),
        ({"store": 5}, 2),
        ({"keys": {}}, 2),
        ({"keys": []}, 2),
        ({"more": 1}, 2),
        ({"sign": "zz" * 32}, 2),
        ({"sign": "00" * 31}, 13),
        ({"sign": "AB" * 32}, 2),
        ({"mlkem": "=not base64="}, 2),
        ({"x25519": "ab" * 31}, 13),
        ({"member": "short"}, 2),
        ({"member": "000000000000"}, 2),
        ({"member": "ABCDEFGHJKMN"}, 13),
    ],
)
def test_malformed_card_is_refused(company: Company, changes: dict[str, Any], code: int) -> None:
    document = card_of(company)
    for name, value in changes.items():
        (document["keys"] if name in document["keys"] else document)[name] = value
    result = enrol(company, document)
    assert (result.code, result.out) == (code, ""), result
    assert result.err.count("\n") == 2


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "5", '{"format": "crmcli-card/1"}', "\0" * 100, "x" * 100_000])
def test_what_is_no_card_is_refused(company: Company, text: str) -> None:
    assert enrol(company, text).code == 2


def test_card_under_another_members_name_is_refused(company: Company) -> None:
    """Somebody makes new keys for the id of a member, of one who left, or of the recovery key."""
    state = company.open().state
    for name in (company.identity("manager").member, company.identity("leaver").member, *state.members):
        identity = Identity(name, "twin", Identity.new("twin").keys)
        result = enrol(company, cards.card_json(state.store, identity))
        assert (result.code, result.err.split("\n")[0]) == (12, OTHER_KEYS)
