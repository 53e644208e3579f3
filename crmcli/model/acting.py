"""Who acts, when, and where new ids come from: what every rule that makes a record is given."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING

from crmcli.errors import InputError
from crmcli.model.frozen import dataclass
from crmcli.model.records import Note

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, tzinfo

MAX_TEXT = 100_000
MAX_NAME = 200


@dataclass(frozen=True, slots=True)
class Acting:
    """The member of staff `by` acting at the instant `at`, recorded at `now`; `new_id` gives fresh 60-bit ids.

    `is_seeded`: the ids follow from a seed, so that each has to be asked for. `zone` is the company's.
    """

    by: int
    at: datetime
    now: datetime
    new_id: Callable[[], int]
    is_seeded: bool = False
    zone: tzinfo = UTC

    def when(self, at: datetime | None) -> Acting:
        """Return the same at another instant, which must not lie in the future."""
        if at is None:
            return self
        if at > self.now:
            raise InputError(
                "--when is in the future",
                "what is still to come is a reminder, made by --due, --buy-by, --next or --return",
            )
        return replace(self, at=at)

    def note(self, client_id: int, about_id: int, field: str, text: str | None) -> list[Note]:
        """Return the note that holds a text, or nothing for no text."""
        cleaned = clean_text(text)
        if not cleaned:
            return []
        return [Note(self.new_id(), client_id, about_id, field, cleaned, self.at, self.by)]


def clean_text(text: str | None) -> str | None:
    """Return free text as it is stored: composed (NFC), stripped; None for nothing.

    Raises: InputError for a NUL, a lone surrogate or more than 100,000 characters.
    """
    if text is None:
        return None
    if "\0" in text:
        raise InputError("a text has a NUL in it")
    if len(text) > MAX_TEXT:
        raise InputError(f"a text is longer than {MAX_TEXT} characters")
    if not text.isascii():
        from unicodedata import normalize

        text = normalize("NFC", text)
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InputError("a text is not valid Unicode") from error
    return text.strip() or None


def clean_name(text: str | None, what: str) -> str | None:
    """Return a short one-line text as it is stored. Raises: InputError over 200 characters."""
    cleaned = clean_text(text)
    if cleaned is not None and len(cleaned) > MAX_NAME:
        raise InputError(f"{what} is longer than {MAX_NAME} characters")
    return cleaned
