"""Opens a file somebody else wrote: a plain file of bearable size, in the encoding that all of it is in."""

from __future__ import annotations

import codecs
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from crmcli.errors import InputError, no_such_file

_CHUNK = 1 << 20
# A line is read whole, so its length is a matter of memory.
_LONGEST_LINE_CHUNKS = 8
_JUDGED = 1 << 22
_BLOCKING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_NAME_IT = 'name its encoding in the map file, such as encoding = "cp866"'


class Encoding(NamedTuple):
    """What all of a file decodes with."""

    name: str
    has_nul: bool


def open_source(path: Path, most: int) -> BinaryIO:
    """Open a plain file of at most `most` bytes for reading.

    Raises: InputError for what is absent, may not be read, is no plain file or too large.
    """
    try:
        # A pipe without a writer would block for ever; opened this way it is seen for what it is.
        handle = os.open(path, os.O_RDONLY | _BLOCKING)
    except OSError as err:
        if isinstance(err, FileNotFoundError):
            raise no_such_file(path) from err
        raise InputError(f"{(err.strerror or 'it fails').lower()}: {path}") from err
    except ValueError as err:
        raise InputError("a file name holds a NUL") from err
    found = os.fstat(handle)
    problem = ""
    if not stat.S_ISREG(found.st_mode):
        problem = "not a plain file"
    elif found.st_size > most:
        problem = f"the file is larger than {most:,} bytes"
    if problem:
        os.close(handle)
        raise InputError(f"{problem}: {path}")
    return os.fdopen(handle, "rb")


def encoding_of(file: BinaryIO, asked: str | None = None) -> Encoding:
    """Read all of the file and return the encoding asked for, or else the one that it is in: UTF-8, UTF-16, cp1251.

    UTF-16 is known by its mark, UTF-8 by having no other reading; the rest is cp1251 if it looks like Russian words.
    Leaves the file at its start. Raises: InputError where it does not decode, or a line is too long to hold.
    """
    file.seek(0)
    head = file.read(3)
    if asked is not None:
        found = _checked(file, _known(asked))
    elif head[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
        found = _checked(file, "utf-16")
    else:
        found = _guessed(file)
    file.seek(0)
    return found


def _known(name: str) -> str:
    try:
        known = codecs.lookup(name)
        known.incrementaldecoder().decode(b"")
        # What is no encoding of text, such as base64, gives bytes or has no name as one.
        "".encode(known.name)
    except (LookupError, TypeError, ValueError) as err:
        raise InputError(f"unknown encoding: {name}") from err
    return "utf-8-sig" if known.name == "utf-8" else known.name


def _chunks(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    file.seek(0)
    place = run = 0
    while chunk := file.read(_CHUNK):
        run = 0 if b"\n" in chunk or b"\r" in chunk else run + 1
        if run > _LONGEST_LINE_CHUNKS:
            raise InputError(f"a line is longer than {_LONGEST_LINE_CHUNKS} MiB")
        yield place, chunk
        place += len(chunk)


def _checked(file: BinaryIO, name: str) -> Encoding:
    decoder = codecs.getincrementaldecoder(name)()
    has_nul = False
    near = 0
    try:
        for near, chunk in _chunks(file):  # noqa: B007 - told where it fails
            has_nul |= "\0" in decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeError as err:
        raise InputError(f"the file is not {name}, as seen near byte {near:,}") from err
    return Encoding(name, has_nul)


def _guessed(file: BinaryIO) -> Encoding:
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    wrong_at = place = -1
    for place, chunk in _chunks(file):
        if b"\0" in chunk:
            raise InputError(f"byte {place + chunk.index(0):,} of the file is a NUL: it is no text", _NAME_IT)
        try:
            # Plain ASCII needs no decoding unless a character is still open from the chunk before.
            if wrong_at < 0 and (decoder.getstate()[0] or not chunk.isascii()):
                decoder.decode(chunk)
        except UnicodeDecodeError:
            wrong_at = place
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        wrong_at = place if wrong_at < 0 else wrong_at
    if wrong_at < 0:
        return Encoding("utf-8-sig", has_nul=False)
    file.seek(wrong_at)
    if not _is_cyrillic(file.read(_JUDGED)):
        raise InputError(f"the file is neither UTF-8 nor cp1251, as seen near byte {wrong_at:,}", _NAME_IT)
    return _checked(file, "cp1251")


def _is_cyrillic(sample: bytes) -> bool:
    """Say whether bytes that are not UTF-8 read as Russian words in cp1251.

    Damaged UTF-8 is half letters and half signs there, cp866 mostly signs, KOI8-R words with the capitals at the
    wrong end, and in western encodings the letters stand between Latin ones.
    """
    import re

    def count(pattern: bytes) -> int:
        return sum(1 for _ in re.finditer(pattern, sample))

    letters = count(rb"[\xc0-\xff\xa8\xb8]")
    signs = count(rb"[\x80-\x84\x86-\x8f\x90\x98-\xa7\xaa\xac\xad\xaf\xb2-\xb7\xba\xbc-\xbf]")
    halves = count(rb"[\xd0\xd1][\x80-\xbf]")
    mixed = count(rb"[A-Za-z](?=[\xc0-\xff])|[\xc0-\xff](?=[A-Za-z])")
    started, swapped = count(rb"[\xc0-\xdf][\xe0-\xff]"), count(rb"[\xe0-\xff][\xc0-\xdf]")
    return letters > 2 * signs and letters > 4 * halves and letters >= 2 * mixed and started >= swapped
