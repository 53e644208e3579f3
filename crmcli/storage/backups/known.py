"""What is known when a place is judged, apart from what lies in it: the time, what this machine saw, other places."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from crmcli.errors import CrmError, DamagedError
from crmcli.model.frozen import dataclass
from crmcli.storage import log
from crmcli.storage.backups.remembering import known_in, memory_of
from crmcli.storage.layout import read_genesis
from crmcli.storage.memory import Memory

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from crmcli.storage.backups.places import Place
    from crmcli.storage.identity import Identity

# Who backs up needs no key, so what is remembered is guarded by the folder it lies in.
_OPEN_KEY = b"crmcli/backup"


@dataclass(frozen=True, slots=True)
class Known:
    """What this machine can ask: its clock, the `live` store, its `pins` and whose they are, and `others`, more places.

    None of it can be changed by who can write to the place that is judged.
    """

    now: datetime
    live: Path | None = None
    pins: Path | None = None
    identity: Identity | None = None
    others: Sequence[Place] = ()

    def seen(self, genesis: str) -> Iterator[tuple[int, str]]:
        """Yield number and hash of the newest commit that this machine saw, as a member and when it made a backup."""
        if self.pins is None:
            return
        memories = [backup_memory(self.pins, self.pins, genesis)]
        if self.identity is not None:
            key = self.identity.keys.memory_key()
            memories.insert(0, Memory(self.pins, self.pins, genesis, self.identity.member, key))
        for memory in memories:
            with suppress(DamagedError, OSError):
                if pin := memory.pin():
                    yield pin

    def verified(self, genesis: str) -> set[str]:
        """Return the names of the snapshots that were verified on this machine."""
        return set(known_in(memory_of(self.pins, genesis)).values()) if self.pins is not None else set()

    def live_log(self, genesis: str, first: int = 1) -> Iterator[bytes]:
        """Yield the commits of the live store from one on, if it is there and of that genesis."""
        with suppress(CrmError):
            if self.live is not None and read_genesis(self.live).hash == genesis:
                yield from (raw for _, raw in log.read_from(self.live / "log", first))


def backup_memory(cache: Path, pins: Path, genesis: str) -> Memory:
    """Return what this machine remembers of a store for making backups of it, without a key."""
    return Memory(cache, pins, genesis, "backup", _OPEN_KEY)
