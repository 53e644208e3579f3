"""The identity file: a member's key pair and the stores it belongs to, behind a passphrase or not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from crmcli.errors import ConflictError, DamagedError, InputError, NoKeyError
from crmcli.model.frozen import dataclass
from crmcli.model.ids import ALPHABET, BITS, encode_id
from crmcli.storage import files, log
from crmcli.storage.genesis import b64, unb64
from crmcli.storage.keys import KEY_SIZE, SEED_SIZE, KeyPair, derive, open_under, random_bytes, seal_under, sha256

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from crmcli.storage.genesis import Genesis

FORMAT = "crmcli-identity/1"
LABEL = "crmcli/identity/v1"
_LIMIT = 1 << 20
_LETTERS = 56
# RFC 9106, section 4, second recommended option: 64 MiB, 3 passes, 4 lanes.
_ARGON = {"memory_kib": 1 << 16, "passes": 3, "lanes": 4}
_KIB_PER_LANE = 8
_SALT_SIZE = 16
_MOST = {"memory_kib": 1 << 20, "passes": 16, "lanes": 16}


@dataclass(frozen=True)
class Identity:
    """A member's id, name and key pair, and the hashes of the geneses that it belongs to."""

    member: str
    name: str
    keys: KeyPair
    stores: tuple[str, ...] = ()

    @classmethod
    def new(cls, name: str) -> Identity:
        """Return a new identity with a random id."""
        return cls(new_member_id(), name, KeyPair.generate())

    @classmethod
    def recover(cls, seed: bytes) -> Identity:
        """Return the identity of the recovery admin from the 32 bytes on paper."""
        keys = KeyPair.recover(seed)
        number = int.from_bytes(derive(seed, "crmcli/recovery-id/v1")[:8], "big") >> 64 - BITS
        return cls(encode_id(number), "recovery", keys)

    def belonging_to(self, genesis: str) -> Identity:
        """Return the identity with one more store."""
        return replace(self, stores=tuple(dict.fromkeys((*self.stores, genesis))))


def new_member_id() -> str:
    """Return a random id for a member or a book, never zero."""
    return encode_id((int.from_bytes(random_bytes(8), "big") >> 64 - BITS) or 1)


def save_identity(path: Path, identity: Identity, passphrase: str | None, *, replacing: bool = False) -> None:
    """Write an identity file, 0600, that no power cut takes back.

    Raises: ConflictError if there is one and it is not to be replaced.
    """
    secret = json.dumps({"name": identity.name, "seed": b64(identity.keys.seed), "stores": identity.stores}).encode()
    document: dict[str, Any] = {"format": FORMAT, "member": identity.member, "argon2id": None, "secret": b64(secret)}
    if passphrase is not None:
        salt = random_bytes(_SALT_SIZE)
        document["argon2id"] = {"salt": b64(salt), **_ARGON}
        document["secret"] = b64(seal_under(_stretch(passphrase, salt, **_ARGON), LABEL, identity.member, secret))
    content = (json.dumps(document, indent=1) + "\n").encode()
    files.ensure_private(path.parent)
    if replacing:
        files.replace_atomically(path, content)
    else:
        try:
            files.add_atomically(path, content)
        except FileExistsError as error:
            raise ConflictError(f"there is an identity in {path} already") from error
    files.sync_folder(path.parent)


def require_absent(path: Path) -> None:
    """Raise ConflictError if there is an identity in the file already."""
    if path.exists():
        raise ConflictError(
            f"there is an identity in {path} already", "name another file with --identity or CRMCLI_IDENTITY"
        )


def has_passphrase(path: Path) -> bool:
    """Say whether an identity file is sealed with a passphrase, so that opening it took one."""
    return b'"argon2id": null' not in path.read_bytes()


def load_identity(path: Path, ask_passphrase: Callable[[], str]) -> Identity:
    """Read an identity file, asking for the passphrase only if it has one.

    Raises: NoKeyError if there is none or the passphrase is wrong; DamagedError if it is no identity file.
    """
    try:
        raw, _ = files.read_regular(path, _LIMIT)
    except FileNotFoundError as error:
        raise NoKeyError(
            f"no identity in {path}", "crmcli init makes one, crmcli identity recover takes one from the key on paper"
        ) from error
    except OSError as error:
        raise NoKeyError(f"the identity in {path} cannot be read: {error.strerror}") from error
    try:
        member, secret, argon = _outer(log.parse_json(raw))
    except (ValueError, TypeError, KeyError) as error:
        raise DamagedError(f"{path.name} is no identity file") from error
    if argon is not None:
        salt, cost = argon
        key = _stretch(ask_passphrase(), salt, **cost)
        try:
            secret = open_under(key, LABEL, member, secret)
        except NoKeyError as error:
            raise NoKeyError("the passphrase is wrong", "or the identity file was changed") from error
    try:
        inner = log.parse_json(secret)
        seed = unb64(inner["seed"])
        if len(seed) != SEED_SIZE:
            raise ValueError("a seed of another size")
        return Identity(member, str(inner["name"]), KeyPair(seed), tuple(map(str, inner["stores"])))
    except (ValueError, TypeError, KeyError) as error:
        raise DamagedError(f"{path.name} is no identity file") from error


def _outer(document: Any) -> tuple[str, bytes, tuple[bytes, dict[str, int]] | None]:
    """Return member, secret, and (salt, cost) if the secret is sealed. Raises: ValueError, TypeError, KeyError."""
    if document["format"] != FORMAT or not log.matches(log.ID, document["member"]):
        raise ValueError("not an identity")
    argon = document["argon2id"]
    if argon is None:
        return document["member"], unb64(document["secret"]), None
    cost = {name: argon[name] for name in _ARGON}
    if not all(log.is_count(cost[name]) and 0 < cost[name] <= most for name, most in _MOST.items()):
        raise ValueError("an unreasonable cost")
    if cost["memory_kib"] < _KIB_PER_LANE * cost["lanes"]:
        raise ValueError("an impossible cost")
    salt = unb64(argon["salt"])
    if len(salt) != _SALT_SIZE:
        raise ValueError("a salt of another size")
    return document["member"], unb64(document["secret"]), (salt, cost)


def _stretch(passphrase: str, salt: bytes, memory_kib: int, passes: int, lanes: int) -> bytes:
    """Return the key that Argon2id makes of a passphrase: 64 MiB and 3 passes for those written now."""
    return Argon2id(salt=salt, length=KEY_SIZE, iterations=passes, lanes=lanes, memory_cost=memory_kib).derive(
        passphrase.encode()
    )


def recovery_text(seed: bytes) -> str:
    """Return the 32 bytes of a recovery key for paper: 14 groups of 4 letters, the last ones a check."""
    number = int.from_bytes(seed + _check(seed), "big")
    letters = "".join(ALPHABET[number >> shift & 31] for shift in range(275, -1, -5))
    return "-".join(letters[at : at + 4] for at in range(0, _LETTERS, 4))


def recovered(seed: bytes, genesis: Genesis) -> Identity:
    """Return the identity behind a recovery key, tied to the store it is of. Raises: NoKeyError for another store's."""
    identity = Identity.recover(seed)
    if genesis.recovery_keys != identity.keys.public:
        raise NoKeyError("this recovery key belongs to another store")
    return identity.belonging_to(genesis.hash)


def recovery_seed(text: str) -> bytes:
    """Return the 32 bytes behind `recovery_text`, in any case and spacing.

    Raises: InputError if a letter was misread.
    """
    letters = text.upper().replace("-", "").replace(" ", "").replace("O", "0").replace("I", "1").replace("L", "1")
    if len(letters) != _LETTERS or not set(letters) <= set(ALPHABET):
        raise InputError("a recovery key has 14 groups of 4 letters and digits")
    number = 0
    for letter in letters:
        number = number << 5 | ALPHABET.index(letter)
    content = number.to_bytes(35, "big")
    seed, check = content[:KEY_SIZE], content[KEY_SIZE:]
    if check != _check(seed):
        raise InputError("the recovery key has a misread letter", "compare it with the paper, group by group")
    return seed


def spelled(fingerprint: str) -> str:
    """Return the fingerprint of a store for people: 8 groups of 8 hex digits."""
    return "-".join(fingerprint[at : at + 8] for at in range(0, len(fingerprint), 8))


def fingerprint_in(text: str) -> str:
    """Return the fingerprint, 64 hex digits, that was typed in any case and grouping. Raises: InputError."""
    digits = "".join(letter for letter in text.lower() if letter not in " -:\t\n")
    if not log.matches(log.HEX64, digits):
        raise InputError("a fingerprint has 64 hex digits", "an admin sees it with crmcli identity show")
    return digits


def _check(seed: bytes) -> bytes:
    return bytes.fromhex(sha256(b"crmcli/recovery-check/v1" + seed)[:6])
