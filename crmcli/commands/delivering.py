"""How reminders are delivered: claimed, then shown or sent, then recorded, one batch for each member and channel."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from crmcli.commands.listing import show_rows
from crmcli.errors import CrmError, NoSpaceError, UndeliveredError
from crmcli.model.channels import LOCAL, STDOUT, Channel, Message
from crmcli.model.delivering import bounds, message_text
from crmcli.model.ids import encode_id
from crmcli.model.masking import masked
from crmcli.storage.agenda import COLUMNS, SHOWN, Lines
from crmcli.storage.channel_file import channels_of, read_channels
from crmcli.storage.daily import PLANNING, UNREACHED, is_done_today, mark_done
from crmcli.storage.delivering import Batch, Dispatch, unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crmcli.commands.params import Format
    from crmcli.model.records import Record
    from crmcli.session import Session
    from crmcli.storage.view import View


def plan(crm: Session) -> None:
    """Make reminders of the touches that are due, once a day."""
    with crm.reading() as view:
        if is_done_today(view, PLANNING, crm.now):
            return
    from crmcli.model.cadence import MOST_OPEN
    from crmcli.storage.planning import plan_touches

    with crm.writing() as draft:
        touches, waiting = plan_touches(draft, crm.acting(draft))
        draft.put(*touches)
    if waiting:
        crm.say(f"touches that are due and wait: {waiting}, for {MOST_OPEN} at most are open at a time")
    mark_done(view, PLANNING, crm.now)


def deliver(crm: Session, dispatch: Dispatch, form: Format) -> None:
    """Deliver all that is due, and say what was done; what fails is recorded, and tried again by a later run.

    Raises: UndeliveredError, or NoSpaceError, if anything did not get out.
    """
    # Cron, which may run this every minute, is told once a day.
    unreached = _unreached(crm, dispatch)
    if unreached and not is_done_today(dispatch.view, UNREACHED, crm.now):
        for line in unreached:
            crm.say(line)
        mark_done(dispatch.view, UNREACHED, crm.now)
    unheard, failed = None, 0
    for channel, member_id in _ways(crm, dispatch):
        bounded = bounds(channel.kind, dispatch.view.settings)
        batches, left = dispatch.batches(member_id, channel.name, bounded)
        tally = _Tally()
        while batches:
            batch = batches.pop(0)
            if not dispatch.claim(batch):
                batches, left = dispatch.batches(member_id, channel.name, bounded)
                continue
            crm.saved = True
            error = _undelivered(crm, dispatch, channel, batch, form)
            tally.count(batch, error)
            dispatch.record(batch, was_sent=error is None)
            failed += error is not None
            if error is not None and channel.kind == STDOUT:
                unheard = error
                break
        else:
            _say_left(crm, channel, left)
        if channel.kind != STDOUT:
            tally.say(crm, channel, dispatch.view.staff.get(member_id))
    if failed:
        # It is the repetition that delivers.
        crm.saved = False
        raise unheard or UndeliveredError(
            f"messages not delivered: {failed}", "a later run tries again; crmcli channel test NAME shows what is wrong"
        )


def foretell(crm: Session, dispatch: Dispatch, form: Format) -> None:
    """Show what would be delivered, and deliver nothing."""
    for line in _unreached(crm, dispatch):
        crm.say(line)
    if not is_done_today(dispatch.view, PLANNING, crm.now):
        dispatch.expect(_touches_to_come(crm))
    rows = []
    for channel, member_id in _ways(crm, dispatch):
        batches, left = dispatch.batches(member_id, channel.name, bounds(channel.kind, dispatch.view.settings))
        rows += [(channel.name, dispatch.view.staff.get(member_id), len(batch.reminders)) for batch in batches]
        _say_left(crm, channel, left)
    crm.output.rows(("channel", "to", "reminders"), rows, form=form, limit=0)


def _touches_to_come(crm: Session) -> list[Record]:
    """Return the touches that a run would plan first."""
    from crmcli.storage.planning import plan_touches
    from crmcli.storage.view import Draft

    draft = Draft(crm.store())
    return plan_touches(draft, crm.acting(draft))[0]


def _say_left(crm: Session, channel: Channel, left: int) -> None:
    if left:
        crm.say(f"{channel.name}: reminders that wait for the next run, for they are too many for one: {left}")


def _ways(crm: Session, dispatch: Dispatch) -> Iterator[tuple[Channel, int]]:
    """Yield each channel to each recipient; a service keeps from others what it has no channel to them for."""
    known = read_channels(crm.identity_path)
    for member_id in dispatch.recipients():
        for channel in channels_of(known, encode_id(member_id), dispatch.sender):
            yield channel, member_id


def _unreached(crm: Session, dispatch: Dispatch) -> list[str]:
    """Return lines about those to whom a service brings nothing: of what is due for want of a channel, or of a book."""
    known, view = read_channels(crm.identity_path), dispatch.view
    names = [
        view.staff.get(number, "")
        for number in dispatch.recipients()
        if not channels_of(known, encode_id(number), dispatch.sender) and dispatch.awaits(number)
    ]
    lines = [f"without a channel here, and not told: {', '.join(sorted(names))}; crmcli channel add KIND --for NAME"]
    return [*(lines if names else []), *filter(None, [unreachable(view, known)])]


def _undelivered(crm: Session, dispatch: Dispatch, channel: Channel, batch: Batch, form: Format) -> CrmError | None:
    """Show or send a batch; return why it did not go out, if so."""
    if not batch.reminders:
        return None
    if channel.kind == STDOUT:
        return _unshown(crm, dispatch.view, batch, form)
    try:
        from crmcli.channels import send

        send(channel, _message(crm, dispatch, channel, batch))
    except CrmError as error:
        return error
    return None


class _Tally:
    """What became of the messages that went one way in a run: how many reminders were in each, by why it failed."""

    def __init__(self) -> None:
        self._counts: dict[str | None, list[int]] = {}

    def count(self, batch: Batch, error: CrmError | None) -> None:
        """Count a message that went out, or did not."""
        if batch.reminders:
            self._counts.setdefault(None if error is None else error.message, []).append(len(batch.reminders))

    def say(self, crm: Session, channel: Channel, name: str | None) -> None:
        """Say on stderr what became of all of them."""
        for reason, counts in self._counts.items():
            messages = f" in {len(counts)} messages" if len(counts) > 1 else ""
            outcome = f"sent to {name}" if reason is None else f"not sent, to be tried again: {reason}"
            crm.say(f"{channel.name}: {_reminders(sum(counts))}{messages} {outcome}")


def _reminders(count: int) -> str:
    return f"{count} {'reminder' if count == 1 else 'reminders'}"


def _unshown(crm: Session, view: View, batch: Batch, form: Format) -> CrmError | None:
    """Show a batch; return why not all of it was taken, if so: what counts as delivered has to be out."""
    what, hint = _reminders(len(batch.reminders)), "the next run shows them again"
    if not crm.output.is_heard:
        return UndeliveredError(f"{what} not shown: there is no stdout", hint)
    try:
        _show(crm, view, batch, form)
        crm.output.stdout.flush()
    except OSError as error:
        crm.output.silence()
        reason = (error.strerror or type(error).__name__).lower()
        told = NoSpaceError if error.errno == errno.ENOSPC else UndeliveredError
        return told(f"{what} not shown: {reason}", hint)
    return None


def _show(crm: Session, view: View, batch: Batch, form: Format) -> None:
    told = batch.reminders[: bounds(STDOUT, view.settings).message]
    lines = Lines(view, told, crm.now)
    columns = SHOWN if form == "table" else COLUMNS
    rows = lines.rows(told, columns)
    show_rows(crm, view, columns, rows, form, 0, mark=lines.marks(told), id_column="reminder_id")
    if len(told) < len(batch.reminders):
        crm.say(f"to do today besides: {len(batch.reminders) - len(told)}; crmcli agenda shows them")


def _message(crm: Session, dispatch: Dispatch, channel: Channel, batch: Batch) -> Message:
    view = dispatch.view
    told = batch.reminders[: bounds(channel.kind, view.settings).message]
    columns = (*SHOWN, "overdue", "instead_of")
    shorts = view.short("reminders", told)
    rows, _ = masked(columns, Lines(view, told, crm.now).rows(told, columns), view.settings.reveal_rows)
    lines = [dict(zip(columns, row, strict=True)) for row in rows]
    for line in lines:
        line["reminder_id"] = shorts[line["reminder_id"]]
    is_personal = channel.kind in LOCAL or view.settings.send_personal
    subject, body = message_text(lines, len(batch.reminders), is_personal=is_personal, is_digest=dispatch.is_digest)
    number = f"{encode_id(batch.message)}.{view.store.state.store}".lower()
    return Message(number, subject, body, crm.now)
