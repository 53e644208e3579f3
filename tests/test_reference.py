"""The reference pages: what is generated is up to date, and the store's format can be read from its page alone."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import shutil
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from docs.generate import CODES, ROOT, pages
from tests.replay import parse, run

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.name)
def test_page_is_what_the_program_says(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == pages()[path], "run python -m docs.generate"


def test_special_exit_codes_are_documented_ones() -> None:
    page = (ROOT / "docs" / "reference" / "exit-codes.md").read_text(encoding="utf-8")
    known = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    assert {code for codes in CODES.values() for code in codes} <= known


def test_links_between_pages_lead_somewhere() -> None:
    for page in (ROOT / "docs").rglob("*.md"):
        for link in re.findall(r"\]\(([^)#:]+\.md)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


# What follows is another program: it knows the page docs/reference/store-format.md and nothing of ours.


def hkdf(secret: bytes, info: bytes, size: int = 32, salt: bytes = b"\0" * 32) -> bytes:
    key, out, block = hmac.digest(salt, secret, "sha256"), b"", b""
    while len(out) < size:
        block = hmac.digest(key, block + info + bytes([len(out) // 32 + 1]), "sha256")
        out += block
    return out[:size]


def expand(key: bytes, info: bytes, size: int) -> bytes:
    return hmac.digest(key, info + b"\x01", "sha256")[:size]


def hpke_open(mlkem: MLKEM768PrivateKey, x25519: X25519PrivateKey, sealed: bytes, info: bytes) -> bytes:
    suite = b"HPKE" + bytes.fromhex("647a00010002")
    post, classic, ciphertext = sealed[:1088], sealed[1088:1120], sealed[1120:]
    ours = x25519.public_key().public_bytes_raw()
    shared = hashlib.sha3_256(
        mlkem.decapsulate(post)
        + x25519.exchange(X25519PublicKey.from_public_bytes(classic))
        + classic
        + ours
        + bytes.fromhex("5c2e2f2f5e5c")
    ).digest()

    def extract(salt: bytes, label: bytes, secret: bytes) -> bytes:
        return hmac.digest(salt or b"\0" * 32, b"HPKE-v1" + suite + label + secret, "sha256")

    schedule = b"\0" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", info)
    secret = extract(shared, b"secret", b"")
    key, nonce = (
        expand(secret, size.to_bytes(2, "big") + b"HPKE-v1" + suite + label + schedule, size)
        for label, size in ((b"key", 32), (b"base_nonce", 12))
    )
    return AESGCM(key).decrypt(nonce, ciphertext, b"")


def recovery_bytes(text: str) -> bytes:
    number = 0
    for letter in text.replace("-", ""):
        number = number << 5 | ALPHABET.index(letter)
    content = number.to_bytes(35, "big")
    assert hashlib.sha256(b"crmcli/recovery-check/v1" + content[:32]).digest()[:3] == content[32:]
    return content[:32]


def commits(root: Path) -> Iterator[dict[str, object]]:
    raw = (root / "genesis.json").read_bytes()
    line, founder_signature, recovery_signature, end = raw.split(b"\n")
    genesis = json.loads(line)
    keys = {genesis[role]["member"]: genesis[role]["sign"] for role in ("founder", "recovery")}
    signed = b"crmcli/genesis/v1\n" + line
    for sign, signature in zip(keys.values(), (founder_signature, recovery_signature), strict=True):
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(sign)).verify(bytes.fromhex(signature.decode()), signed)
    assert end == b""
    for seq, path in enumerate(sorted((root / "log").iterdir()), 1):
        previous = hashlib.sha256(raw).hexdigest()
        raw = path.read_bytes()
        line, signature, end = raw.split(b"\n")
        commit = json.loads(line)
        author = Ed25519PublicKey.from_public_bytes(bytes.fromhex(keys[commit["author"]]))
        author.verify(bytes.fromhex(signature.decode()), b"crmcli/commit/v1\n" + line)
        assert path.name == f"{seq:020}.json"
        assert (commit["store"], commit["seq"], commit["prev"]) == (genesis["store"], seq, previous)
        yield commit


def test_another_program_reads_a_store_with_the_recovery_key(tmp_path: Path) -> None:
    transcript = """```console
$ crmcli init --company "Tea House" --no-passphrase
$ crmcli add-client "Анна Петрова" --phone "8 916 123-45-67"
$ crmcli advance-stage Анна
```"""
    results = run(parse(transcript), tmp_path)
    words = re.search(r"recovery key +(\S+)", results[0].output)
    assert words
    root = tmp_path / "here" / "data"
    secret = recovery_bytes(words[1])
    seed = hkdf(secret, b"crmcli/recovery/v1", 128)
    mlkem, x25519 = MLKEM768PrivateKey.from_seed_bytes(seed[32:96]), X25519PrivateKey.from_private_bytes(seed[96:])
    number = int.from_bytes(hkdf(secret, b"crmcli/recovery-id/v1")[:8], "big") >> 4
    me = "".join(ALPHABET[number >> shift & 31] for shift in range(55, -1, -5))

    book_keys: dict[tuple[str, str, int], bytes] = {}
    rows: dict[str, list[dict[str, object]]] = {}
    for commit in json.loads(json.dumps(list(commits(root)))):
        store = commit["store"]
        for book in commit.get("books", []):
            for key in book["keys"]:
                wrap = next(base64.b64decode(wrap["wrap"]) for wrap in key["wraps"] if wrap["member"] == me)
                place = (store, book["book"], key["group"], str(book["epoch"]), me)
                opened = hpke_open(mlkem, x25519, wrap, "\0".join(("crmcli/wrap/v1", *place)).encode())
                assert hashlib.sha256(b"crmcli/key-id/v1" + opened).hexdigest()[:32] == key["key_id"]
                book_keys[book["book"], key["group"], book["epoch"]] = opened
            if book["drop"]:
                personal = book_keys[book["book"], "personal", book["epoch"]]
                label = f"crmcli/drop-key/v1{store}|{book['book']}|{book['epoch']}".encode()
                sealed = base64.b64decode(book["drop"]["sealed"])
                private = AESGCM(hkdf(personal, label)).decrypt(sealed[:12], sealed[12:], label)
                public = X25519PrivateKey.from_private_bytes(private[64:]).public_key().public_bytes_raw()
                assert public.hex() == book["drop"]["x25519"]
        for entry in commit["add"]:
            raw = (root / "files" / entry["file_id"][:2] / f"{entry['file_id']}.parquet").read_bytes()
            assert (len(raw), hashlib.sha256(raw).hexdigest()) == (entry["bytes"], entry["sha256"])
            key = book_keys[entry["book"], entry["group"], entry["epoch"]]
            aad = "|".join((store, *(str(entry[n]) for n in ("book", "table", "group", "epoch", "file_id"))))
            properties = pe.create_decryption_properties(
                hkdf(key, f"crmcli/file/v1{entry['file_id']}".encode()), aad_prefix=aad.encode()
            )
            found = pq.ParquetFile(BytesIO(raw), decryption_properties=properties).read().to_pylist()
            assert len(found) == entry["rows"]
            rows.setdefault(entry["table"], []).extend(found)
    assert [(row["name"], row["phones"]) for row in rows["contacts"]] == [("Анна Петрова", ["+79161234567"])]
    assert [row["stage"] for row in rows["deals"]] == ["call", "discovery"]
    assert json.loads(str(rows["settings"][0]["text"]))["company"] == "Tea House"
    shutil.rmtree(root)
