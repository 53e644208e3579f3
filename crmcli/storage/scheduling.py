"""The company's schedules, which are stored beside its settings, and what is to be seen of them and of deliveries."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING

from crmcli.model.dates import format_moment
from crmcli.model.delivering import FAILED, STALE
from crmcli.model.ids import decode_id
from crmcli.model.records import Document
from crmcli.model.repeating import slot_after
from crmcli.model.schedules import missed
from crmcli.storage import kernels as pc
from crmcli.storage.agenda import instant
from crmcli.storage.channel_file import channel_file, channels_of, read_channels
from crmcli.storage.diagnosis import Finding
from crmcli.storage.members import SERVICE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from crmcli.model.acting import Acting
    from crmcli.model.channels import Channel
    from crmcli.storage.view import Draft, View

_KEY = "schedules"


def stored_schedules(view: View) -> dict[str, str]:
    """Return what the company has set: name -> cron expression, or none."""
    return dict(json.loads(view.newest("settings").text).get(_KEY, {}))


def set_schedule(draft: Draft, acting: Acting, name: str, cron: str) -> None:
    """Put one schedule, unless it is so already. Raises: NotPermittedError, when the draft is finished."""
    draft.depends_on("settings")
    newest = draft.newest("settings")
    plain = json.loads(newest.text)
    after = plain | {_KEY: plain.get(_KEY, {}) | {name: cron}}
    if after != plain:
        text = json.dumps(after, ensure_ascii=False)
        draft.put_document("settings", Document(acting.new_id(), newest.version + 1, text, acting.now, acting.by))


def last_runs(view: View) -> dict[str, str]:
    """Return when each job last succeeded on this machine (ISO)."""
    return view.store.memory.jobs()


def diagnose_reminders(view: View, identity: Path, schedules: Mapping[str, str], now: datetime) -> Iterator[Finding]:
    """Yield what is to be seen of deliveries, channels and, on a machine that runs any, of each schedule."""
    yield _deliveries(view, now)
    path = channel_file(identity)
    if path.exists():
        mode = path.stat().st_mode & 0o777
        advice = ": chmod 600 it" if mode & 0o077 else ""
        yield Finding("channels", not advice, f"mode {mode:04o}{advice}")
    yield from _served(view, read_channels(identity))
    last = last_runs(view)
    if not last.keys() & schedules.keys():
        yield Finding("schedules", ok=True, found="none run on this machine; crmcli schedule install prints how")
        return
    zone = view.settings.zone
    for name, cron in schedules.items():
        ran = last.get(name)
        count = missed(cron, ran, now, zone)
        at = format_moment(datetime.fromisoformat(ran), zone) if ran else "never"
        ahead = format_moment(slot_after(cron, now, zone), zone)
        yield Finding(f"schedule {name}", ran is not None and not count, f"last {at}, next {ahead}, missed {count}")


def _served(view: View, channels: Sequence[Channel]) -> Iterator[Finding]:
    """Say, to a service, whether it can reach all those for whose books it was named."""
    state, me = view.store.state, view.store.member
    if me.role != SERVICE or not me.personal:
        return
    owners = [owner for book in me.personal if (owner := state.books[book].owner) and state.members[owner].active]
    without = sorted(
        view.staff.get(decode_id(owner) or 0, "") for owner in owners if not channels_of(channels, owner, me.member)
    )
    found = (
        f"no channel for {', '.join(without)}: crmcli channel add KIND --for NAME" if without else "all have a channel"
    )
    yield Finding("members served", not without, found)


def _deliveries(view: View, now: datetime) -> Finding:
    """Say whether reminders are on their way that did not arrive."""
    store = view.store
    book = store.state.own_book(store.identity.member)
    rows = view.reader.merged("deliveries", ["outcome", "claimed_at"], books=[book] if book else [])
    failed = pc.count_true(pc.whole(pc.is_true(pc.equal(rows.column("outcome"), FAILED))))
    is_stuck = pc.and_(pc.is_null(rows.column("outcome")), pc.less(rows.column("claimed_at"), instant(now - STALE)))
    stuck = pc.count_true(pc.whole(is_stuck))
    if failed or stuck:
        return Finding(
            "deliveries", ok=False, found=f"{failed} failed, {stuck} interrupted: crmcli remind tries them again"
        )
    return Finding("deliveries", ok=True, found="none waits")
