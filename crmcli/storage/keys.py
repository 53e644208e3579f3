"""Keys: from a member's key pair to the key of one file, as docs/reference/store-format.md lays down."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from crmcli.errors import DamagedError, NoKeyError
from crmcli.model.frozen import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

KEY_SIZE = 32
SEED_SIZE = KEY_SIZE + 64 + 32
MLKEM_PUBLIC = 1184
SIGNATURE_SIZE = 64
# What HPKE makes of a book key: 1,088 bytes of ML-KEM-768, 32 of X25519, the key, and a tag of 16.
WRAP_SIZE = 1088 + 32 + KEY_SIZE + 16
# The private half of a drop key, 96 bytes, between a nonce of 12 and a tag of 16.
SEALED_DROP_SIZE = 12 + 96 + 16

WRAP_LABEL = "crmcli/wrap/v1"

# The points of small order on Ed25519 in every encoding (RFC 8032, section 5.1.3): a signature by one of them verifies
# for almost any message.
_SMALL_ORDER = {
    bytes.fromhex(text)
    for text in (
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    )
}


def _suite() -> Suite:
    return Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def derive(secret: bytes, label: str, context: str = "", size: int = KEY_SIZE) -> bytes:
    """Return `size` bytes of HKDF-SHA256 from `secret`, without salt, for one use named by label and context."""
    return HKDF(SHA256(), size, salt=None, info=f"{label}{context}".encode()).derive(secret)


def sha256(content: bytes | memoryview) -> str:
    """Return the SHA-256 of bytes, 64 hex digits."""
    return sha256_of((content,))


def sha256_of(pieces: Iterable[bytes | memoryview]) -> str:
    """Return the SHA-256, 64 hex digits, of pieces one after the other.

    By the library that encrypts too: `hashlib` would load a second copy of OpenSSL at every start.
    """
    running = Hash(SHA256())
    for piece in pieces:
        running.update(piece)
    return running.finalize().hex()


def authentication(key: bytes, content: bytes) -> str:
    """Return the HMAC-SHA256 of bytes under a key, 64 hex digits."""
    return _hmac(key, content).finalize().hex()


def _hmac(key: bytes, content: bytes) -> HMAC:
    running = HMAC(key, SHA256())
    running.update(content)
    return running


def is_authentic(key: bytes, content: bytes, tag: bytes) -> bool:
    """Say whether `tag`, in small hex digits, is the HMAC-SHA256 of bytes under a key."""
    try:
        found = bytes.fromhex(tag.decode())
        _hmac(key, content).verify(found)
    except (InvalidSignature, ValueError):
        return False
    return found.hex().encode() == tag


def random_bytes(size: int) -> bytes:
    """Return `size` bytes from the operating system's generator, the only source of keys."""
    return os.urandom(size)


def key_id(key: bytes) -> str:
    """Return the public name of a key, 32 hex digits, by which a wrong key is told from damage."""
    return sha256(b"crmcli/key-id/v1" + key)[:32]


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """The public half of a member: Ed25519 (32 bytes), ML-KEM-768 (1,184 bytes) and X25519 (32 bytes)."""

    sign: bytes
    mlkem: bytes
    x25519: bytes

    def check(self) -> None:
        """Raise DamagedError for keys of a wrong size or of small order."""
        sizes = (len(self.sign), len(self.mlkem), len(self.x25519))
        if sizes != (KEY_SIZE, MLKEM_PUBLIC, KEY_SIZE) or self.sign in _SMALL_ORDER:
            raise DamagedError("a public key is malformed")

    def verify(self, label: str, message: bytes, signature: bytes) -> bool:
        """Say whether `signature` over the labelled message is by this member."""
        try:
            Ed25519PublicKey.from_public_bytes(self.sign).verify(signature, label.encode() + b"\n" + message)
        except (InvalidSignature, ValueError):
            return False
        return True

    def seal(self, content: bytes, *context: str, label: str = WRAP_LABEL) -> bytes:
        """Return `content` encrypted to this member (HPKE base mode) and bound to its use and the context."""
        public = MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(self.mlkem), X25519PublicKey.from_public_bytes(self.x25519)
        )
        return _suite().encrypt(content, public, info=_info(label, context))


@dataclass(frozen=True)
class KeyPair:
    """The private half of a member as one seed of 128 bytes: Ed25519 32, ML-KEM-768 64, X25519 32."""

    seed: bytes

    @classmethod
    def generate(cls) -> KeyPair:
        """Return a new key pair."""
        return cls(random_bytes(SEED_SIZE))

    @classmethod
    def recover(cls, recovery_seed: bytes) -> KeyPair:
        """Return the key pair of the recovery admin from the 32 bytes on paper."""
        return cls(derive(recovery_seed, "crmcli/recovery/v1", size=SEED_SIZE))

    @cached_property
    def _sign(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed[:32])

    @cached_property
    def _mlkem(self) -> MLKEM768PrivateKey:
        return MLKEM768PrivateKey.from_seed_bytes(self.seed[32:96])

    @cached_property
    def _x25519(self) -> X25519PrivateKey:
        return X25519PrivateKey.from_private_bytes(self.seed[96:])

    @cached_property
    def public(self) -> PublicKeys:
        """The public half."""
        return PublicKeys(
            self._sign.public_key().public_bytes_raw(),
            self._mlkem.public_key().public_bytes_raw(),
            self._x25519.public_key().public_bytes_raw(),
        )

    def sign(self, label: str, message: bytes) -> bytes:
        """Return the 64-byte Ed25519 signature over the label, a newline and the message."""
        return self._sign.sign(label.encode() + b"\n" + message)

    def open(self, sealed: bytes, *context: str, label: str = WRAP_LABEL) -> bytes:
        """Return what was sealed to this member for that use and in that context.

        Raises: NoKeyError if it was sealed to somebody else or for something else.
        """
        try:
            private = MLKEM768X25519PrivateKey(self._mlkem, self._x25519)
            return _suite().decrypt(sealed, private, info=_info(label, context))
        except (InvalidTag, ValueError) as error:
            raise NoKeyError("this identity does not open a key that is meant for it") from error

    def memory_key(self) -> bytes:
        """Return the key under which this machine's cache and pin are authenticated."""
        return derive(self.seed, "crmcli/memory/v1")


def _info(label: str, context: tuple[str, ...]) -> bytes:
    return "\0".join((label, *context)).encode()


@dataclass(frozen=True, slots=True)
class FileAddress:
    """Where a file belongs; its key and its additional data are both derived from this."""

    store: str
    book: str
    table: str
    group: str
    epoch: int
    file_id: str

    def key(self, book_key: bytes) -> bytes:
        """Return the key of this one file."""
        return derive(book_key, "crmcli/file/v1", self.file_id)

    def aad(self) -> bytes:
        """Return the additional authenticated data that ties the bytes to this place."""
        return "|".join((self.store, self.book, self.table, self.group, str(self.epoch), self.file_id)).encode()


def seal_under(key: bytes, label: str, context: str, content: bytes) -> bytes:
    """Return nonce (12) + AES-256-GCM of `content` under a key derived for this label and context."""
    nonce = random_bytes(12)
    return nonce + AESGCM(derive(key, label, context)).encrypt(nonce, content, f"{label}{context}".encode())


def open_under(key: bytes, label: str, context: str, sealed: bytes) -> bytes:
    """Return what `seal_under` sealed. Raises: NoKeyError if the key is not the one or the bytes were changed."""
    try:
        return AESGCM(derive(key, label, context)).decrypt(sealed[:12], sealed[12:], f"{label}{context}".encode())
    except (InvalidTag, ValueError) as error:
        raise NoKeyError("the key does not open what was sealed") from error
