"""Clients as vCard 3.0 (RFC 2426), which phones, mail programs and Outlook alike take in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_LONGEST_LINE = 75
_CONTROLS = re.compile(r"[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_FIELDS = {
    "phone": "TEL;TYPE=VOICE",
    "phone2": "TEL;TYPE=VOICE",
    "other_phones": "TEL;TYPE=VOICE",
    "email": "EMAIL;TYPE=INTERNET",
    "email2": "EMAIL;TYPE=INTERNET",
    "other_emails": "EMAIL;TYPE=INTERNET",
}
BETWEEN = "; "


def vcards(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Return a card for each row of clients: name, company, phones, e-mails, address, note and id; UTF-8, CRLF."""
    lines = (line for row in rows for line in _card(dict(zip(columns, row, strict=True))))
    return "".join(f"{folded(line)}\r\n" for line in lines).encode()


def _card(client: Mapping[str, Any]) -> Iterator[str]:
    name = client.get("name") or client.get("company") or client.get("client_id") or "?"
    yield "BEGIN:VCARD"
    yield "VERSION:3.0"
    # Which part of a name is the family's is not known, so all of it stands in the place that has to be filled.
    yield f"N:{escaped(name)};;;;"
    yield f"FN:{escaped(name)}"
    if client.get("company"):
        yield f"ORG:{escaped(client['company'])}"
    for column, field in _FIELDS.items():
        for text in (client.get(column) or "").split(BETWEEN):
            if text:
                yield f"{field}:{escaped(text)}"
    if client.get("address"):
        yield f"ADR:;;{escaped(client['address'])};;;;"
    if client.get("note"):
        yield f"NOTE:{escaped(client['note'])}"
    if client.get("client_id"):
        yield f"UID:{escaped(client['client_id'])}"
    yield "END:VCARD"


def escaped(text: str) -> str:
    r"""Return a text as a value: `\`, `;`, `,` and ends of lines escaped, other controls left out."""
    text = re.sub(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]", "\n", text)
    text = re.sub(r"[\\;,]", lambda match: "\\" + match[0], _CONTROLS.sub("", text))
    return text.replace("\n", "\\n")


def folded(line: str) -> str:
    """Return a line of at most 75 bytes, or one that goes on after a line break and a blank, no character cut."""
    pieces, size = [""], 0
    for char in line:
        width = len(char.encode())
        if size + width > _LONGEST_LINE:
            pieces.append("")
            # The blank that a line goes on with counts too.
            size = 1
        pieces[-1] += char
        size += width
    return "\r\n ".join(pieces)
