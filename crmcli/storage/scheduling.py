"""The company's schedules, which are stored beside its settings, and what is to be seen of them and of deliveries."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING

from crmcli.errors import CrmError
from crmcli.model.dates import format_moment, local_day
from crmcli.model.delivering import FAILED, STALE
from crmcli.model.ids import decode_id, encode_id
from crmcli.model.records import OPEN, Document
from crmcli.model.repeating import slot_after
from crmcli.model.schedules import failing_since, missed
from crmcli.storage import kernels as pc
from crmcli.storage.channel_file import channel_file, channels_of, read_channels
from crmcli.storage.delivering import DIGEST, unreachable
from crmcli.storage.diagnosis import Finding
from crmcli.storage.members import SERVICE
from crmcli.storage.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from crmcli.model.acting import Acting
    from crmcli.model.channels import Channel
    from crmcli.model.records import Delivery
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
    yield from _channels(view, identity, now)
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
        failure = failing_since(name, last, now)
        found = f"last {at}, next {ahead}, missed {count}"
        if failure is not None:
            found += f", failed {format_moment(datetime.fromisoformat(failure), zone)}"
        yield Finding(f"schedule {name}", ran is not None and not count and failure is None, found)


def _channels(view: View, identity: Path, now: datetime) -> Iterator[Finding]:
    """Say whether the file of channels is in order and, if so, what is to be seen of deliveries by them."""
    try:
        channels = read_channels(identity)
    except CrmError as error:
        yield Finding("channels", ok=False, found=f"{error.message}: {error.hint}")
        return
    yield _deliveries(view, channels, now)
    if channel_file(identity).exists():
        yield Finding("channels", ok=True, found=f"{len(channels)}, for you alone to read")
    yield from _served(view, channels)


def _served(view: View, channels: Sequence[Channel]) -> Iterator[Finding]:
    """Say, to a service, whether it can reach all those for whose books it was named, and only those."""
    state, me = view.store.state, view.store.member
    if me.role != SERVICE:
        return
    far = unreachable(view, channels)
    if far is not None:
        yield Finding("channels to others", ok=False, found=far)
    if not me.personal:
        return
    owners = [owner for book in me.personal if (owner := state.books[book].owner) and state.members[owner].active]
    without = sorted(
        view.staff.get(decode_id(owner) or 0, "") for owner in owners if not channels_of(channels, owner, me.member)
    )
    found = (
        f"no channel for {', '.join(without)}: crmcli channel add KIND --for NAME" if without else "all have a channel"
    )
    yield Finding("members served", not without, found)


def _deliveries(view: View, channels: Sequence[Channel], now: datetime) -> Finding:
    """Say whether reminders are on their way that did not arrive: open ones, by a channel that there still is."""
    waiting = [delivery for delivery in _unsent(view) if _is_awaited(view, delivery, channels, now)]
    failed = sum(delivery.outcome == FAILED for delivery in waiting)
    stuck = sum(delivery.outcome is None and delivery.claimed_at < now - STALE for delivery in waiting)
    if failed or stuck:
        return Finding(
            "deliveries", ok=False, found=f"{failed} failed, {stuck} interrupted: crmcli remind tries them again"
        )
    return Finding("deliveries", ok=True, found="none waits")


def _unsent(view: View) -> list[Delivery]:
    """Return what was claimed in the own book and did not go out: of digests, and of reminders that are still open."""
    store = view.store
    book = store.state.own_book(store.identity.member)
    rows = view.reader.merged("deliveries", None, books=[book] if book else [])
    outcome = rows.column("outcome")
    rows = pc.filtered(rows, pc.or_(pc.is_null(outcome), pc.is_true(pc.equal(outcome, FAILED))))
    if not rows.num_rows:
        return []
    reminders = view.reader.merged("reminders", ["reminder_id", "status"])
    is_open = pc.equal(reminders.column("status"), OPEN)
    known = pc.whole(pc.filtered(reminders, is_open).column("reminder_id"))
    is_digest = pc.equal(rows.column("reminder_id"), DIGEST)
    rows = pc.filtered(rows, pc.or_(is_digest, pc.is_in(rows.column("reminder_id"), known)))
    return TABLES["deliveries"].to_records(rows)


def _is_awaited(view: View, delivery: Delivery, channels: Sequence[Channel], now: datetime) -> bool:
    """Say whether there is the channel still by which something was to go, and of a digest the day."""
    if delivery.reminder_id == DIGEST:
        zone = view.settings.zone
        if local_day(delivery.claimed_at, zone) != local_day(now, zone):
            return False
    theirs = channels_of(channels, encode_id(delivery.member_id), view.store.member.member)
    return any(channel.name == delivery.channel for channel in theirs)
