"""The shapes that the parts of a commit must have: fields in their order, lists of documents, texts and ids."""

from __future__ import annotations

from typing import Any

from crmcli.storage import log
from crmcli.storage.genesis import unb64
from crmcli.storage.keys import MLKEM_PUBLIC, SEALED_DROP_SIZE, SIGNATURE_SIZE


def require_fields(document: dict[str, Any], *names: str) -> None:
    """Raise ValueError unless a document has these fields in this order."""
    if tuple(document) != names:
        raise ValueError(f"it has other fields than {', '.join(names)}")


def rows_in(document: Any) -> list[dict[str, Any]]:
    """Return a list of documents. Raises: TypeError for anything else."""
    if not isinstance(document, list) or not all(isinstance(row, dict) for row in document):
        raise TypeError("it has no list where one must be")
    return document


def texts_in(document: Any) -> list[str]:
    """Return a list of texts. Raises: TypeError for anything else."""
    if not isinstance(document, list) or not all(isinstance(text, str) for text in document):
        raise TypeError("it has no list of names where one must be")
    return document


def are_ids(document: Any) -> bool:
    """Say whether a document is a list of ids."""
    return isinstance(document, list) and all(log.matches(log.ID, name) for name in document)


def require_distinct(names: list[Any] | tuple[Any, ...]) -> None:
    """Raise ValueError for a list that names something twice."""
    if len(set(names)) != len(names):
        raise ValueError("it names something twice")


def with_tuples(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with its lists as tuples, as frozen dataclasses hold them."""
    return {name: tuple(cell) if isinstance(cell, list) else cell for name, cell in row.items()}


def signature_in(document: Any) -> bytes:
    """Return the signature in 128 hex digits. Raises: ValueError, TypeError."""
    if (
        not isinstance(document, str)
        or len(document) != 2 * SIGNATURE_SIZE
        or bytes.fromhex(document).hex() != document
    ):
        raise ValueError("a signature is not in its one form")
    return bytes.fromhex(document)


def require_drop_key(document: dict[str, Any]) -> None:
    """Raise ValueError or TypeError unless a document is a drop key: public halves, and the private one sealed."""
    require_fields(document, "mlkem", "x25519", "sealed")
    if not log.matches(log.HEX64, document["x25519"]):
        raise ValueError("a drop key is malformed")
    require_length(document["mlkem"], MLKEM_PUBLIC)
    require_length(document["sealed"], SEALED_DROP_SIZE)


def require_length(document: Any, size: int) -> None:
    """Raise ValueError or TypeError unless a document is that many bytes in base64."""
    if len(unb64(document)) != size:
        raise ValueError("a key is of another length")
