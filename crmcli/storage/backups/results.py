"""Results of checks: kept beside the backups, read again, and what they say of each snapshot."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from crmcli.errors import DamagedError
from crmcli.model import backups
from crmcli.model.backups import Result
from crmcli.storage import log
from crmcli.storage.backups.snapshots import NAME
from crmcli.storage.keys import sha256

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from crmcli.storage.backups.places import Item, Place

MAX_RESULT = 1 << 16


def note(place: Place, results: Iterable[Result]) -> None:
    """Keep the results of checks beside the backups."""
    for result in results:
        raw = json.dumps(asdict(result), separators=(",", ":")).encode() + b"\n"
        stamp = result.at.replace("-", "").replace(":", "")[:15]
        place.put(f"results/{stamp}Z-{sha256(raw)[:12]}.json", raw)
    place.settle()


def named(place: Place) -> dict[str, Result]:
    """Return the results of checks by the names of their files, oldest first; what is none of ours is left out.

    Of two of the same instant, that which the place has for longer is the older one.
    """
    return {file: result for file, _, result in _in_order(place)}


def _in_order(place: Place) -> list[tuple[str, Item, Result]]:
    return sorted(_all(place), key=lambda row: (row[2].at, row[1].at, not row[2].ok))


def _all(place: Place) -> Iterator[tuple[str, Item, Result]]:
    for file, item in place.items("results").items():
        if NAME.fullmatch(file):
            try:
                result = Result(**json.loads(place.read(f"results/{file}", MAX_RESULT)))
                are_texts = all(isinstance(digest, str) for digest in result.damaged)
                if are_texts and log.is_stamp(result.at) and NAME.fullmatch(f"{result.snapshot}.json"):
                    yield file, item, result
            except (ValueError, TypeError, RecursionError, FileNotFoundError, DamagedError):
                continue


def verdicts(place: Place, now: datetime) -> dict[str, Result]:
    """Return what the last check of each snapshot found that failed, or that read all of it."""
    return backups.verdicts(named(place).values(), now)


def damaged(place: Place, now: datetime) -> dict[str, float]:
    """Return the objects that checks found damaged, and when the place was told last, by its clock, in seconds.

    Nothing is said any more of a snapshot that a later check read back whole.
    """
    found: dict[str, dict[str, float]] = {}
    for _, item, result in _in_order(place):
        if backups.is_past(result, now):
            known = found.setdefault(result.snapshot, {})
            if result.reads_all:
                known.clear()
            known |= dict.fromkeys(result.damaged, item.at)
    return {digest: at for known in found.values() for digest, at in known.items()}
