"""The store as a backup sees it: the signed log and the bytes of the files, without a key."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from crmcli.errors import CrmError, DamagedError, RolledBackError
from crmcli.storage import bulk, files, log
from crmcli.storage.backups.known import backup_memory
from crmcli.storage.keys import sha256
from crmcli.storage.layout import check_folders, file_path, read_genesis
from crmcli.storage.state import State

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from crmcli.storage.log import FileEntry

MAX_DROP = 1 << 25
# Data files have at most half a million rows.
MAX_FILE = 1 << 30


class Source:
    """A store's log, checked from the genesis as far as `state` says, and its files."""

    def __init__(self, root: Path, cache: Path, pins: Path) -> None:
        self.root = root
        self.genesis = read_genesis(root)
        check_folders(root)
        self.memory = backup_memory(cache, pins, self.genesis.hash)
        self.state = State(self.genesis, None)
        remembered = self.memory.load()
        if remembered is not None:
            self.state.load_json(remembered)
            if self.hash_at(self.state.seq) != self.state.hash:
                self.state = State(self.genesis, None)
        self.refresh()

    def refresh(self) -> None:
        """Check and take in the commits made since, once they are sure to stay."""
        before = self.state.seq
        with files.mapped("read the log"):
            for _, raw in log.read_from(self.root / "log", self.state.seq + 1):
                self.state.apply(raw)
            if self.state.seq > before:
                files.sync_folder(self.root / "log")
                self.memory.changed = True

    def close(self) -> None:
        """Remember what was checked, and that a backup has it; a full or read-only disk only makes the next slower."""
        with suppress(OSError, CrmError):
            self.memory.set_pin(self.state.seq, self.state.hash, self.state.restores, accepted=True)
        if self.memory.changed:
            with suppress(OSError):
                self.memory.save(self.state.to_json())

    def require_current(self) -> None:
        """Raise RolledBackError if an earlier backup made here had commits that are gone, and no restore tells why."""
        if (outdated := self.outdated()) is not None:
            raise outdated

    def outdated(self) -> RolledBackError | None:
        """Return what `require_current` would raise."""
        with suppress(DamagedError, OSError):
            pin, known = self.memory.pin(), self.memory.pinned_restores()
            if pin is not None and self.hash_at(pin[0]) != pin[1] and set(self.state.restores) <= set(known):
                return RolledBackError(
                    f"the store is older than, or differs from, what was backed up here, up to commit {pin[0]}",
                    "somebody put an old copy back; crmcli restore brings a snapshot back as the store, "
                    "crmcli backup --anew --to PLACE, a new place, takes it as it is",
                )
        return None

    def hash_at(self, seq: int) -> str | None:
        """Return the hash of the commit of that number, or None if there is none."""
        if seq == 0:
            return self.genesis.hash
        raw = self._raw_at(seq)
        return log.digest(raw) if raw is not None else None

    def time_at(self, seq: int) -> datetime | None:
        """Return when the commit of that number was made, or None if there is none."""
        raw = self._raw_at(seq)
        return log.time_of(raw) if raw is not None else None

    def _raw_at(self, seq: int) -> bytes | None:
        with files.mapped("read the log"):
            number, raw = next(log.read_from(self.root / "log", seq), (0, b""))
        return raw if number == seq else None

    def commits(self) -> Iterator[tuple[int, bytes]]:
        """Yield all commits, which are those that were checked. Raises: DamagedError."""
        prev = self.genesis.hash
        for seq, raw in log.read_from(self.root / "log", 1):
            if seq > self.state.seq:
                break
            if f'"prev":"{prev}"'.encode() not in raw[:256]:
                raise _changed(f"commit {seq - 1} or {seq}")
            prev = log.digest(raw)
            yield seq, raw
        if prev != self.state.hash:
            raise _changed(f"commit {self.state.seq}")

    def drops(self) -> Iterator[tuple[str, bytes]]:
        """Yield the sealed drops that wait in the inbox: hash and bytes; one that is no such thing is left out."""
        for path in sorted((self.root / "inbox").glob("*.drop")):
            if not log.HEX64.fullmatch(path.stem):
                continue
            try:
                content, _ = files.read_regular(path, MAX_DROP)
            except (OSError, DamagedError):
                continue
            if sha256(content) == path.stem:
                yield path.stem, content

    def borrow(self, entry: FileEntry) -> memoryview | CrmError:
        """Return the bytes of a file, which are those that were signed, or why they cannot be had.

        They are in memory that the next call by this thread takes again.
        """
        name = file_path(entry.file_id)
        try:
            content = bulk.borrow(f"{self.root}/{name}", min(entry.bytes, MAX_FILE))
        except FileNotFoundError:
            return DamagedError(f"{name} is missing")
        except DamagedError:
            return DamagedError(f"{name} is damaged")
        except OSError as error:
            return CrmError(f"{name} cannot be read: {(error.strerror or '').lower()}")
        if len(content) != entry.bytes or sha256(content) != entry.sha256:
            return DamagedError(f"{name} is damaged")
        return content


def _changed(where: str) -> DamagedError:
    return DamagedError(f"the log is damaged at {where}: it is not what was checked before", "crmcli verify says more")
