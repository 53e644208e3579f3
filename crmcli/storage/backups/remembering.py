"""What this machine remembers of backups: the places they lie in, and the newest that was verified in each.

It tells a place that has vanished from a new one, and an admin in passing when all is not well.
"""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from crmcli.errors import CrmError, DamagedError, NotFoundError
from crmcli.model.backups import failed, overdue
from crmcli.storage import files
from crmcli.storage.backups import results, snapshots
from crmcli.storage.backups.places import Folder
from crmcli.storage.members import ADMIN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crmcli.storage.backups.places import Place
    from crmcli.storage.genesis import Genesis
    from crmcli.storage.store import Store

_MAX_MEMORY = 1 << 16
_MARK = "://"
_REMEDY = "crmcli backup, then crmcli backup verify --deep"


def remember(pins: Path, genesis: Genesis, place: Place, verified: str | None = None) -> None:
    """Note on this machine that backups lie in a place, and which is the newest verified one: "" if it is spoilt.

    A disk that refuses only makes a reminder come too early.
    """
    path = memory_of(pins, genesis.hash)
    with suppress(OSError):
        before = known_in(path)
        name = _name(place)
        after = before | {name: before.get(name, "") if verified is None else verified}
        if after != before:
            files.ensure_private(pins)
            files.replace_atomically(path, json.dumps(after).encode(), durable=False)


def _name(place: Place) -> str:
    return str(place.root.resolve()) if isinstance(place, Folder) else place.text


def memory_of(pins: Path, genesis: str) -> Path:
    """Return the file with what this machine remembers of the backups of a store."""
    return pins / f"{genesis[:32]}-backups.json"


def known_in(path: Path) -> dict[str, str]:
    """Return the places in such a file, with the newest verified snapshot of each, or ""."""
    try:
        document = json.loads(files.read_regular(path, _MAX_MEMORY)[0])
    except (OSError, ValueError, DamagedError):
        return {}
    return {str(place): str(name) for place, name in document.items()} if isinstance(document, dict) else {}


def has_vanished(pins: Path, genesis: Genesis, place: Place) -> bool:
    """Say whether there is nothing in a place of which this machine knows that backups of a store lay in it."""
    return _name(place) in known_in(memory_of(pins, genesis.hash)) and _is_bare(place)


def _is_bare(place: Place) -> bool:
    """Say whether nobody has begun to make backups in a place; of one that cannot be asked, that is not so."""
    try:
        snapshots.genesis_of(place)
    except NotFoundError:
        with suppress(OSError, CrmError):
            return not place.items("snapshots")
    except (OSError, CrmError):
        pass
    return False


def vanished(place: Place) -> NotFoundError:
    """Return the error about a place that has vanished."""
    return NotFoundError(
        f"there were backups in {place.text}, and now there are none",
        f"is it mounted? crmcli backup --anew --to {place.text} begins anew",
    )


def begun(pins: Path, genesis: Genesis, place: Place, *, if_due: bool) -> Place:
    """Return a place. Raises: NotFoundError if it has vanished or, where a backup is made by itself, is not begun."""
    if has_vanished(pins, genesis, place):
        raise vanished(place)
    if if_due and _is_bare(place):
        raise NotFoundError(f"no backups in {place.text}", f"crmcli backup --to {place.text} makes the first one")
    return place


def reminder(store: Store, places: Iterable[str], pins: Path, now: datetime) -> str | None:
    """Return what to tell an admin of backups in passing, or None when all is well and for who is no admin.

    Nothing is asked over a network: of such places, this machine tells what it knows.
    """
    if store.member.role != ADMIN:
        return None
    from crmcli.storage.view import View

    known = known_in(memory_of(pins, store.genesis.hash))
    named = [_name(Folder(Path(text))) for text in places if _MARK not in text]
    times: list[datetime] = []
    for text in dict.fromkeys([*named, *known]):
        place = Folder(Path(text))
        if _MARK in text or not place.root.parent.is_dir():
            verified = [known[text]] if known.get(text) else []
        else:
            with suppress(OSError, CrmError):
                there = place.items("snapshots")
                last = {name: one for name, one in results.verdicts(place, now).items() if f"{name}.json" in there}
                if bad := [one for one in last.values() if not one.ok]:
                    return f"{failed(bad)}: crmcli backup status --to {text}"
                verified = list(last)
        for name in verified:
            with suppress(ValueError):
                times.append(snapshots.time_in(name))
    founded = datetime.fromisoformat(store.genesis.created_at)
    told = overdue(max(times, default=None), founded, now, View(store).settings.backup_days)
    if told and not times and not known and not any(Path(text).is_dir() for text in named):
        return f"no verified backup is known here: {_REMEDY}, or CRMCLI_BACKUPS says where they lie"
    return f"{told}: {_REMEDY}" if told else None
