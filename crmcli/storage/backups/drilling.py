"""The drill: a restore for practice, whose result and time are kept beside the backup."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from crmcli.errors import CrmError, DamagedError
from crmcli.model.backups import Result
from crmcli.storage import files
from crmcli.storage.backups import judging, restoring, results, snapshots, stale
from crmcli.storage.backups.places import DamagedObjectError
from crmcli.storage.backups.scratch import scratch_folder
from crmcli.storage.tables import stamp

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from crmcli.storage.backups.known import Known
    from crmcli.storage.backups.places import Place
    from crmcli.storage.backups.source import Source
    from crmcli.storage.identity import Identity


def drill(
    place: Place,
    source: Source | None,
    scratch: Path | None,
    identity: Identity | None,
    known: Known,
    advance: Callable[[int], None],
) -> Result:
    """Restore the newest genuine snapshot into a scratch folder, check it, and keep what came of it beside the backup.

    Raises: DamagedError, after that was kept, if it cannot be restored or read.
    """
    with files.mapped(f"practise a restore from {place.text}"):
        shelf, found = stale.judged(place, known, source)
        newest = judging.find(shelf, found, snapshots.LATEST)
        counts = newest in found.whole()
        start = time.monotonic()
        rows, failure = None, None
        try:
            with scratch_folder(scratch) as folder:
                # Who was erased since is still in a backup, and what is read back here goes at once.
                plan = restoring.plan(place, newest.name, replace(known, live=None), anyway=True)
                root = folder / "store"
                root.mkdir(mode=restoring.MODES[1])
                restoring.write(plan, root, with_erased=False, advance=advance)
                rows = _rows(root, identity, folder) if identity is not None else None
        except DamagedError as error:
            failure = error
        if failure is None and not counts:
            failure = DamagedError(
                f"snapshot {newest.name} lacks {len(found.lacked(newest))} files that the store had lost",
                "an older one is whole: crmcli backup list",
            )
        took = round(time.monotonic() - start, 3)
        damaged = [failure.digest] if isinstance(failure, DamagedObjectError) else []
        read = (newest.files, newest.bytes, rows, damaged)
        result = Result("drill", stamp(known.now), newest.name, failure is None, took, *read)
    with files.mapped(f"keep what came of the restore beside the backup in {place.text}"):
        results.note(place, [result])
    if failure is not None:
        raise failure
    return result


def _rows(root: Path, identity: Identity, scratch: Path) -> int | None:
    """Return how many rows a member's keys open, each of them read; None for who is no member."""
    from crmcli.storage.store import Store
    from crmcli.storage.verification import Findings, verify

    try:
        store = Store.open(root, identity, scratch / "cache", scratch / "pins")
    except DamagedError:
        raise
    except CrmError:
        return None
    findings = Findings()
    for _ in verify(store, findings):
        pass
    if findings.problems:
        raise DamagedError(f"what was restored is damaged: {findings.problems[0]}")
    return findings.rows
