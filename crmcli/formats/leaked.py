"""Reads the text in a file of any program that got out: plain text in any usual encoding, or packed as xlsx, docx, ods.

Nothing of it is trusted: sizes are capped before anything is unpacked, and what is broken is read as far as it goes.
"""

from __future__ import annotations

import codecs
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

from crmcli.errors import InputError
from crmcli.formats.source import open_source

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterator

MOST = 64 << 20
# What all that is packed in a file may come to, how many parts it may have, and how deep archives may lie.
MOST_UNPACKED = 256 << 20
MOST_PARTS = 10_000
_DEEPEST = 2
_CHUNK = 1 << 20
_ZIP = b"PK\x03\x04"
_TAG = re.compile(r"<[^<>]{0,4096}>")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_QUOTED = re.compile(r"(?:=[0-9A-F]{2}){2,}")
_FOLD = re.compile(r"=?\r?\n[ \t]|=\r?\n")


class _Room:
    """How much may still be unpacked."""

    def __init__(self) -> None:
        self.bytes = MOST_UNPACKED
        self.parts = MOST_PARTS

    def take(self, size: int) -> None:
        self.bytes -= size
        if self.bytes < 0:
            raise InputError(f"the file unpacks to more than {MOST_UNPACKED >> 20} MiB", "look into it by other means")

    def take_part(self) -> None:
        self.parts -= 1
        if self.parts < 0:
            raise InputError(f"the file packs more than {MOST_PARTS:,} parts", "look into it by other means")


def texts_in(path: Path) -> Iterator[str]:
    """Yield the texts in a file, some of them in two readings. Raises: InputError for what is absent or too large."""
    with open_source(path, MOST) as file:
        content = file.read(MOST + 1)
    if len(content) > MOST:
        raise InputError(f"the file is larger than {MOST:,} bytes")
    yield from _texts(content, _Room(), 0)


def _texts(content: bytes, room: _Room, depth: int) -> Iterator[str]:
    if not content.startswith(_ZIP):
        for text in _decoded(content):
            yield from _readings(text)
    elif depth >= _DEEPEST:
        raise InputError("the file packs archives within archives", "unpack it, and look into its parts")
    else:
        for part in _parts(content, room):
            yield from _texts(part, room, depth + 1)


def _parts(content: bytes, room: _Room) -> Iterator[bytes]:
    """Yield what is packed in an archive. Raises: InputError for one that is broken, locked or too large."""
    import zipfile
    import zlib

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for part in archive.infolist():
                room.take_part()
                if part.flag_bits & 1:
                    raise InputError("the file is locked with a password", "save it without one")
                if not part.is_dir():
                    yield _unpacked(archive, part, room)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        raise InputError("the file is a broken archive", "open it with its program, and save it as csv") from error


def _unpacked(archive: zipfile.ZipFile, part: zipfile.ZipInfo, room: _Room) -> bytes:
    chunks = []
    with archive.open(part) as source:
        while chunk := source.read(_CHUNK):
            # What the archive says of its sizes may be untrue, so what comes out is counted.
            room.take(len(chunk))
            chunks.append(chunk)
    return b"".join(chunks)


def _decoded(content: bytes) -> Iterator[str]:
    """Yield the bytes as text in every encoding that they may be in."""
    if content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        yield content.decode("utf-16", "replace")
        return
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        yield content.decode("cp1251", "replace")
        text = content.decode("utf-8", "ignore")
    yield text
    if b"\0" in content:
        # Old office files hold their texts so, at even and at odd places.
        for start in (0, 1):
            yield content[start:].decode("utf-16-le", "ignore")
        yield content.decode("utf-16-be", "ignore")


def _readings(text: str) -> Iterator[str]:
    """Yield a text as it stands and, where it is markup or escaped, as it is meant."""
    yield text
    if "<" in text and ">" in text:
        from html import unescape

        # A cell ends with a tag, but within a word of a document a tag may only change the letters' look.
        for between in ("\n", ""):
            yield unescape(_TAG.sub(between, text))
    if "\\u" in text:
        yield _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
    if _FOLD.search(text) or _QUOTED.search(text):
        unfolded = _FOLD.sub("", text)
        yield _QUOTED.sub(lambda found: bytes.fromhex(found[0].replace("=", "")).decode("utf-8", "replace"), unfolded)
