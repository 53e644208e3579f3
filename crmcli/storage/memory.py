"""What this machine remembers of a store: the verified state and files (cache), and the newest head seen (pin).

Both are authenticated under a key derived from the identity, for this store alone, so that a forged one, or one of
another store, is as good as none.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from crmcli import __version__
from crmcli.errors import DamagedError
from crmcli.storage import files, upgrade
from crmcli.storage.keys import authentication, is_authentic

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from crmcli.model.numbering import Numbers

_LIMITS = {"cache": 1 << 26, "pin": 1 << 16, "agenda": 1 << 22, "jobs": 1 << 14}
# What the cache holds, and how: counted up whenever that changes between two versions of the program.
_LAYOUT = 7
# Seconds to wait for another process that is writing its pin; nobody waits for one that hangs.
_PATIENCE = 1.0


class Memory:
    """The cache and the pin of one store for one member.

    The cache may be deleted at any time; the pin is what tells an older copy of the store from the store.
    """

    def __init__(self, cache: Path, pins: Path, genesis: str, member: str, key: bytes) -> None:
        name = f"{genesis[:32]}-{member}"
        self._cache = cache / f"{name}.json"
        self._pin = pins / f"{name}.pin"
        self._agenda = cache / f"{name}.agenda"
        self._jobs = pins / f"{name}.jobs"
        self._genesis = genesis
        self._key = key
        self.checked: dict[str, list[int]] = {}
        self.sound: dict[str, list[str]] = {}
        # File -> the keys of its rows, where those are few.
        self.keys: dict[str, list[int]] = {}
        # The erasure up to which erased files were seen to be gone.
        self.cleared = 0
        self.changed = False

    def load(self) -> dict[str, Any] | None:
        """Return the state saved last, if it is genuine, and take up what was checked of which files."""
        try:
            document = self._read(self._cache, "cache")
        except OSError:
            return None
        if document is None or document.get("program") != _program():
            return None
        self.checked, self.sound, self.keys = document["checked"], document["sound"], document["keys"]
        self.cleared = document["cleared"]
        state: dict[str, Any] = document["state"]
        return state

    def save(self, state: dict[str, Any]) -> None:
        """Keep a state that was verified, and which files were."""
        live = {row[0] for row in state["live"]}
        self.checked = {file_id: seen for file_id, seen in self.checked.items() if file_id in live}
        self.sound = {file_id: columns for file_id, columns in self.sound.items() if file_id in self.checked}
        self.keys = {file_id: keys for file_id, keys in self.keys.items() if file_id in self.checked}
        known: dict[str, Any] = {"sound": self.sound, "keys": self.keys, "cleared": self.cleared}
        document = {"program": _program(), "state": state, "checked": self.checked, **known}
        # A cache that a power cut spoils is not genuine any more, and made anew.
        self._write(self._cache, "cache", document, durable=False)
        self.changed = False

    def pin(self) -> tuple[int, str] | None:
        """Return (seq, hash) of the newest head seen. Raises: DamagedError if the pin is not genuine, OSError."""
        if not os.path.lexists(self._pin):
            return None
        document = self._read(self._pin, "pin")
        if document is None:
            raise DamagedError(
                "the pin of this store on this machine is damaged",
                f"if you trust the store as it is, remove {self._pin}",
            )
        return document["seq"], document["hash"]

    def pinned_restores(self) -> list[tuple[int, str]]:
        """Return the restores that are part of the newest head seen: number and hash of each."""
        document = self._read(self._pin, "pin") if os.path.lexists(self._pin) else None
        return [(seq, head) for seq, head in (document or {}).get("restores", [])]

    def set_pin(self, seq: int, head: str, restores: Iterable[tuple[int, str]] = (), *, accepted: bool = False) -> None:
        """Remember a head that is durable and passed every check, unless another process was further already.

        `accepted`: it comes from a restore that its reader accepted, and takes the place of whatever was seen before.
        """
        files.ensure_private(self._pin.parent)
        # So that no other process puts back what this one puts forward.
        with files.alone_in(self._pin.parent, _PATIENCE):
            known = self.pin()
            if known is not None and known[0] > seq and not accepted:
                return
            seen = [list(restore) for restore in restores]
            if accepted:
                # So that no state from before it is ever accepted by the same word again.
                seen += [list(restore) for restore in self.pinned_restores() if list(restore) not in seen]
            self._write(self._pin, "pin", {"seq": seq, "hash": head, "restores": seen})

    def numbers(self) -> Numbers:
        """Return the numbers of the reminders that were shown last; none if that is not known any more."""
        from crmcli.model.numbering import Numbers

        try:
            document = self._read(self._agenda, "agenda") or {}
        except OSError:
            document = {}
        return Numbers(document.get("day", ""), {int(key): number for key, number in document.get("ids", {}).items()})

    def set_numbers(self, numbers: Numbers) -> None:
        """Remember the numbers of the reminders that are shown; a disk that refuses leaves those before."""
        with suppress(OSError):
            self._write(self._agenda, "agenda", {"day": numbers.day, "ids": dict(numbers.by_id)}, durable=False)

    def jobs(self) -> dict[str, str]:
        """Return when each job of this machine last succeeded: its name -> an ISO instant."""
        try:
            return self._read(self._jobs, "jobs") or {}
        except OSError:
            return {}

    def set_job(self, name: str, at: str) -> None:
        """Remember that a job of this machine succeeded."""
        files.ensure_private(self._jobs.parent)
        with files.alone_in(self._jobs.parent, _PATIENCE):
            self._write(self._jobs, "jobs", self.jobs() | {name: at})

    @property
    def jobs_folder(self) -> Path:
        """The folder of the folders that whoever runs a job locks."""
        return self._jobs.with_suffix(".running")

    def is_checked(self, file_id: str, status: os.stat_result) -> bool:
        """Say whether the file's hash was checked here and the file has not been touched since."""
        return self.checked.get(file_id) == _fingerprint(status)

    def mark_checked(self, file_id: str, status: os.stat_result) -> None:
        """Remember that the file's hash is right."""
        self.checked[file_id] = _fingerprint(status)
        self.sound.pop(file_id, None)
        self.changed = True

    def unsound(self, file_id: str, columns: Iterable[str]) -> list[str]:
        """Return those columns of a checked file whose values were not looked at here since its hash was."""
        sound = self.sound.get(file_id, ())
        return [column for column in columns if column not in sound]

    def mark_sound(self, file_id: str, columns: Iterable[str]) -> None:
        """Remember that every value in these columns is one that may be there."""
        self.sound.setdefault(file_id, []).extend(columns)
        self.changed = True

    def _read(self, path: Path, kind: str) -> dict[str, Any] | None:
        try:
            raw, _ = files.read_regular(path, _LIMITS[kind])
        except DamagedError:
            return None
        tag, _, content = raw.partition(b"\n")
        if not is_authentic(self._key, self._message(kind, content), tag):
            return None
        document: dict[str, Any] = json.loads(content)
        return document

    def _write(self, path: Path, kind: str, document: dict[str, Any], *, durable: bool = True) -> None:
        content = json.dumps(document, separators=(",", ":")).encode()
        files.ensure_private(path.parent)
        tag = authentication(self._key, self._message(kind, content)).encode()
        files.replace_atomically(path, tag + b"\n" + content, durable=durable)

    def _message(self, kind: str, content: bytes) -> bytes:
        return f"{kind}\n{self._genesis}\n".encode() + content


def _program() -> list[str | int]:
    """Return which program remembers: another version, schema or layout checks everything anew."""
    return [__version__, upgrade.SCHEMA, _LAYOUT]


def _fingerprint(status: os.stat_result) -> list[int]:
    return [status.st_ino, status.st_size, status.st_ctime_ns]
