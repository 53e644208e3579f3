"""Grants: what an admin may write into one, and what a use of it has to meet, a reason for each refusal."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any

from crmcli.errors import NotPermittedError
from crmcli.model.dates import format_moment
from crmcli.storage import log
from crmcli.storage.members import ADMIN, RIGHTS, Grant
from crmcli.storage.shapes import require_fields, texts_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crmcli.storage.members import Book, Member


def changed_grant(
    change: dict[str, Any], grants: Mapping[str, Grant], members: Mapping[str, Member], books: Mapping[str, Book]
) -> Grant:
    """Return the grant that a `grant` commit gives or revokes. Raises: ValueError, TypeError, KeyError."""
    if change["action"] == "revoke":
        require_fields(change, "action", "grant")
        return replace(grants[change["grant"]], revoked=True)
    require_fields(change, "action", "grant", "to", "right", "books", "columns", "max_rows", "expires", "once")
    named, columns, rows = (change[name] for name in ("books", "columns", "max_rows"))
    for names in (named, columns):
        texts_in([] if names is None else names)
    well_formed = (
        change["action"] == "give"
        and log.matches(log.ID, change["grant"])
        and change["grant"] not in grants
        and change["to"] in members
        and change["right"] in RIGHTS
        and type(change["once"]) is bool
        and all(log.matches(log.WORD, column) for column in columns or ())
        and (rows is None or log.is_count(rows))
        and log.is_stamp(change["expires"])
    )
    if not well_formed:
        raise ValueError("a grant is malformed")
    return Grant(
        change["grant"],
        change["to"],
        change["right"],
        None if named is None else tuple(books[book].book for book in named),
        None if columns is None else tuple(columns),
        rows,
        change["expires"],
        change["once"],
    )


def check_use(
    use: dict[str, Any], author: Member, at: str, grants: Mapping[str, Grant], books: Mapping[str, Book]
) -> None:
    """Check a use of a grant, or of none, by a member at an instant.

    Raises: ValueError, TypeError for what is malformed, NotPermittedError saying why the grant does not cover it.
    """
    require_fields(use, "grant", "right", "books", "rows", "sha256")
    if not log.is_count(use["rows"]) or not log.matches(log.HEX64, use["sha256"]) or use["right"] not in RIGHTS:
        raise ValueError("the use of a grant is malformed")
    if not all(book in books for book in texts_in(use["books"])):
        raise ValueError("the use of a grant is malformed")
    if use["grant"] is None:
        if author.role != ADMIN:
            raise NotPermittedError("only an admin acts without a grant")
        return
    grant = grants.get(use["grant"])
    if grant is None:
        raise NotPermittedError("there is no such grant in this store")
    refusal = refused(grant, author.member, use["right"], at, use["rows"], use["books"])
    if refusal is not None:
        raise NotPermittedError(refusal)
    if use["right"] == "erase":
        _check_request(use, author, grant, books)


def _check_request(use: dict[str, Any], author: Member, grant: Grant, books: Mapping[str, Book]) -> None:
    """Check that a client is asked to be erased out of one book: the member's own, or one that the grant names."""
    if len(use["books"]) != 1 or use["rows"] != 1:
        raise ValueError("the use of a grant is malformed")
    if grant.books is None and books[use["books"][0]].owner != author.member:
        raise NotPermittedError("the grant is for clients of the own book")


def refused(
    grant: Grant,
    member: str,
    right: str,
    at: str,
    rows: int = 0,
    books: list[str] | None = None,
    *,
    zone: tzinfo = UTC,
) -> str | None:
    """Return why a grant does not cover a use of `rows` rows of `books` by a member at an instant; None if it does.

    What is said has the time in `zone`.
    """
    ended = format_moment(datetime.fromisoformat(grant.expires), zone)
    reasons = (
        (grant.to != member, "the grant was given to somebody else"),
        (grant.right != right, f"the grant is for {grant.right}, not for {right}"),
        (grant.revoked, "the grant was revoked"),
        (at >= grant.expires, f"the grant expired at {ended}{' UTC' * (zone is UTC)}"),
        (grant.once and grant.used > 0, "the grant has been used, and was for once"),
        (grant.max_rows is not None and rows > grant.max_rows, f"the grant is for {grant.max_rows} rows, not {rows}"),
        (
            grant.books is not None and not set(books or ()) <= set(grant.books),
            "the grant does not cover all these books",
        ),
    )
    return next((reason for applies, reason in reasons if applies), None)
