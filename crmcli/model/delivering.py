"""Rules of deliveries: what is due to be delivered, when a failed one is tried again, and what a message says."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from crmcli.model.channels import LOCAL, STDOUT
from crmcli.model.dates import day_start, local_day
from crmcli.model.frozen import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, time, tzinfo

    from crmcli.model.records import Delivery
    from crmcli.model.settings import Settings

SENT, FAILED, DROPPED = "sent", "failed", "dropped"
# A claim without an outcome is that of a run which ended in between, once it is older than any sending takes.
STALE = timedelta(minutes=15)
_FIRST_WAIT, _LONGEST_WAIT = timedelta(minutes=5), timedelta(days=1)
# The lines of a message, of which a run sends one after the other; of a longer digest it gives the number.
MOST_LINES = 50
# So many messages go one way in a run.
MOST_MESSAGES = 10
_MOST_LETTERS = 200


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many reminders go into one message at most, and one way in a run; what is left waits for the next run."""

    message: int
    run: int

    def going(self, messages: Sequence[Sequence[Any]]) -> int:
        """Return how many of the first messages, as what each is about, go out in a run."""
        total = 0
        for count, about in enumerate(messages[:MOST_MESSAGES]):
            total += len(about)
            if total > self.run:
                return count
        return min(len(messages), MOST_MESSAGES)


def bounds(kind: str, settings: Settings) -> Bounds:
    """Return the bounds of a kind of channel: what says whom it is about goes out for as many rows as a listing shows.

    Beyond those a name would be masked, and who was told of it told nothing. Where no row may show a name, none does.
    """
    says_whom = kind in LOCAL or settings.send_personal
    run = (settings.reveal_rows if says_whom else 0) or MOST_LINES * MOST_MESSAGES
    return Bounds(run if kind == STDOUT else min(run, MOST_LINES), run)


def cutoffs(now: datetime, opening: time, zone: tzinfo) -> tuple[datetime, datetime]:
    """Return until when (included) reminders are to be delivered: those with a time of day, and those of whole days.

    One of a whole day is delivered when the working day begins.
    """
    local = now.astimezone(zone)
    today = day_start(local.date(), zone)
    return now, today if local.time() >= opening else today - timedelta(microseconds=1)


def escalates_before(now: datetime, days: int, zone: tzinfo) -> datetime | None:
    """Return the instant before which a reminder was due that also goes to who leads; None if none does."""
    return day_start(local_day(now, zone) - timedelta(days=days), zone) if days else None


def is_due_again(delivery: Delivery, now: datetime) -> bool:
    """Say whether a delivery that was not sent is to be tried again; each failure makes the wait four times as long.

    What could not be printed is tried by the next run. A clock that was put back makes a time lie ahead, and nobody
    waits for it.
    """
    if delivery.outcome not in {None, FAILED}:
        return False
    if delivery.outcome == FAILED and delivery.channel == STDOUT:
        return True
    if delivery.ended_at is None:
        since, wait = delivery.claimed_at, STALE
    else:
        since, wait = delivery.ended_at, min(_FIRST_WAIT * 4 ** min(delivery.attempt - 1, 9), _LONGEST_WAIT)
    return not since <= now < since + wait


def message_text(
    lines: Sequence[Mapping[str, Any]], total: int, *, is_personal: bool, is_digest: bool
) -> tuple[str, str]:
    """Return subject and body of a message about reminders, cells by column; `total` is how many there are in all.

    One that is not personal has ids and times alone.
    """
    what = f"{total} to do today" if is_digest else "1 reminder is due" if total == 1 else f"{total} reminders are due"
    if is_personal and total == 1 and not is_digest:
        what = ": ".join(part for part in (_plain(lines[0]["whom"]), _said(lines[0])) if part)
    body = [_line(line, is_personal=is_personal) for line in lines]
    body += [f"… and {total - len(lines)} more"] if total > len(lines) else []
    body += ["", "crmcli agenda shows them; crmcli done ID closes one, crmcli snooze ID DATE puts one off."]
    return f"crmcli: {what}", "\n".join(body) + "\n"


def _line(line: Mapping[str, Any], *, is_personal: bool) -> str:
    parts = [line["due"], "overdue" if line["overdue"] else ""]
    if is_personal:
        stage = f"[{_plain(line['stage'])}]" if line["stage"] else ""
        who = " instead of ".join(_plain(line[name]) for name in ("who", "instead_of") if line[name])
        parts += [_plain(line["whom"]), _plain(line["phone"]), _said(line), stage, f"({who})"]
    return "  ".join(part for part in (*parts, line["reminder_id"]) if part)


def _said(line: Mapping[str, Any]) -> str:
    promised, about = _plain(line["promised"]), _plain(line["about"])
    return "; ".join(part for part in (promised and f"promised: {promised}", about) if part)


def _plain(text: str | None) -> str:
    """Return a text on one line, without what a screen would not show, and not too long."""
    seen = "".join(letter if letter.isprintable() else " " for letter in text or "")
    words = " ".join(seen.split())
    return words if len(words) <= _MOST_LETTERS else words[: _MOST_LETTERS - 1] + "…"
