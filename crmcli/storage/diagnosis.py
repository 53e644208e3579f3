"""Diagnosis: what a person should look at on this machine and in this store, a finding a line."""

from __future__ import annotations

import stat
from datetime import datetime
from typing import TYPE_CHECKING

from crmcli.errors import CrmError
from crmcli.model.dates import format_moment
from crmcli.model.frozen import dataclass
from crmcli.storage import log
from crmcli.storage.auditing import staff_name
from crmcli.storage.erasure import remaining
from crmcli.storage.identity import has_passphrase, spelled
from crmcli.storage.log import Commit
from crmcli.storage.members import ADMIN, GROUPS_OF
from crmcli.storage.tables import stamp
from crmcli.storage.upkeep import left_behind
from crmcli.storage.view import View

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crmcli.storage.store import Store

_WAYS_IN = 2
_MANY_OLD_FILES = 5000


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: its name, whether all is well, and what was found."""

    check: str
    ok: bool
    found: str


def diagnose(store: Store, identity_path: Path, now: datetime) -> Iterator[Finding]:
    """Yield the findings of every check on the identity, the folder, the clock and the keys."""
    yield _private(identity_path)
    sealed = has_passphrase(identity_path)
    yield Finding("identity passphrase", sealed, "set" if sealed else "none: who copies the file opens your clients")
    yield Finding("fingerprint", ok=True, found=spelled(store.genesis.hash))
    yield _folder(store.root)
    yield _lock(store)
    yield _rollback(store)
    yield _clock(store, now)
    alone = _nearly_closed(store)
    ways = f"{len(alone)} books have fewer than two" if alone else "two or more to every book"
    yield Finding("ways in", not alone, ways)
    admins = sum(m.active and m.role == ADMIN and not m.recovery for m in store.state.members.values())
    yield Finding("admins", admins > 0, f"{admins}, and the recovery key")
    loose, segments = log.listing(store.root / "log")
    packed = len(loose) < log.LOOSE + 2 * log.SEGMENT
    yield Finding(
        "log", packed, f"{len(loose)} loose commits, {len(segments)} segments" + ("" if packed else ": run gc")
    )
    erased = len(remaining(store))
    left = f"{erased} are still there: run gc" if erased else "none left"
    yield Finding("erased files", not erased, left)
    old, late = left_behind(store, now)
    advice = f", {late} of them for more than a week: let gc run daily, by crmcli schedule install" if late else ""
    yield Finding("old files", not late and old < _MANY_OLD_FILES, f"{old} wait for gc{advice}")


def _private(path: Path) -> Finding:
    mode = stat.S_IMODE(path.stat().st_mode)
    advice = ": chmod 600 it" if mode & 0o077 else ""
    return Finding("identity file", not advice, f"mode {mode:04o}{advice}")


def _folder(root: Path) -> Finding:
    mode = stat.S_IMODE(root.stat().st_mode)
    advice = ": others can read it" if mode & 0o007 else ""
    return Finding("store folder", not advice, f"mode {mode:04o}{advice}")


def _lock(store: Store) -> Finding:
    try:
        with store.lock(1.0):
            return Finding("lock", ok=True, found="works on this file system")
    except CrmError as error:
        return Finding("lock", ok=False, found=f"{error.message}: {error.hint}")
    except OSError as error:
        return Finding("lock", ok=False, found=f"cannot be taken: {(error.strerror or '').lower()}")


def _rollback(store: Store) -> Finding:
    """Say whether this machine remembers the head, without which an old copy looks like the store."""
    try:
        pin = store.memory.pin()
    except (CrmError, OSError):
        pin = None
    if pin == (store.state.seq, store.state.hash):
        return Finding("rollback", ok=True, found=f"this machine remembers commit {pin[0]}")
    return Finding(
        "rollback", ok=False, found="the newest commit is not remembered: look at this machine's state folder"
    )


def _clock(store: Store, now: datetime) -> Finding:
    if store.state.at <= stamp(now):
        return Finding("clock", ok=True, found="runs after the newest commit")
    # Who comes after a leap has its time too, so the first one is whose clock it was.
    raw = next(raw for _, raw in log.read_from(store.root / "log", 1) if log.time_of(raw) > now)
    leap = Commit.parse(raw.partition(b"\n")[0])
    at = datetime.fromisoformat(leap.at)
    view = View(store)
    by, then = staff_name(view, leap.author), format_moment(at, view.settings.zone)
    return Finding(
        "clock",
        ok=False,
        found=f"{(at - now).days} d {(at - now).seconds // 3600} h behind commit {leap.seq} by {by} of {then}: "
        "set it, or have theirs set",
    )


def _nearly_closed(store: Store) -> set[str]:
    """Return the books of which fewer than two active members hold a key: the present one, or one of files."""
    books = store.state.books
    used = {(entry.book, entry.group, entry.epoch) for entry in store.state.live.values()}
    used |= {(book.book, group, book.epoch) for book in books.values() for group in GROUPS_OF[book.kind]}
    wraps = ((book, books[book].wrap(group, epoch)) for book, group, epoch in used)
    members = store.state.members
    return {book for book, wrap in wraps if wrap and sum(members[m].active for m in wrap.holders) < _WAYS_IN}
