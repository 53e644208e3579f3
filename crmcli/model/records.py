"""The records of the sales process: frozen dataclasses, one table each.

Field types say where a value may live. `Value` is text from a company list or a closed vocabulary and may stand in
facts; `str` is what people typed and stands in personal tables only. `*_at` is a UTC instant, `*_on` a date, `*_id`
and `*_by` a 60-bit id. Money is Decimal with two places, quantities have three.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import TypeAlias

from crmcli.model.frozen import dataclass

Value: TypeAlias = str
Quantity: TypeAlias = Decimal

OPEN, WON, LOST = "open", "won", "lost"
DONE = "done"
# The status of a reminder that reminds nobody: its client was due for reactivation, and is left alone for the quarter.
HELD = "held"
CALL, WEB_REQUEST = "call", "web_request"
ACTIVITY_KINDS = (CALL, "meeting", "email", "message", "visit", WEB_REQUEST)
ANSWERED = "answered"
CALL_RESULTS = (ANSWERED, "no-answer", "busy", "callback", "wrong")
IN = "in"
DIRECTIONS = (IN, "out")


@dataclass(frozen=True, slots=True)
class Client:
    """Somebody who showed interest; a lead is a client who has not bought yet."""

    client_id: int
    created_at: datetime
    created_by: int
    owner_id: int
    source: Value | None = None
    segment: Value | None = None
    buy_by: date | None = None
    archived: bool = False
    do_not_contact: bool = False
    cadence_days: int | None = None
    period_days: int | None = None


@dataclass(frozen=True, slots=True)
class Contact:
    """Who the client is and how to reach them; phones are E.164, `raw_phones` as they were typed."""

    client_id: int
    name: str
    company: str | None = None
    phones: tuple[str, ...] = ()
    raw_phones: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    tax_id: str | None = None
    address: str | None = None
    external_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Note:
    """A free text that hangs on the record `about_id` of a client; `field` says which text it is."""

    note_id: int
    client_id: int
    about_id: int
    field: Value
    text: str
    noted_at: datetime
    by_id: int


@dataclass(frozen=True, slots=True)
class Deal:
    """One purchase in the making, at a stage of a pipeline; `amount` is the sum expected or won."""

    deal_id: int
    client_id: int
    owner_id: int
    pipeline: Value
    stage: Value
    status: Value = OPEN
    opened_at: datetime | None = None
    entered_at: datetime | None = None
    closed_at: datetime | None = None
    amount: Decimal | None = None
    product_id: int | None = None
    lost_reason: Value | None = None
    return_on: date | None = None


@dataclass(frozen=True, slots=True)
class StageChange:
    """A deal entering a stage, or `won` or `lost`; `move` is open, forward, skip, back, reopen, won or lost.

    Of one that an import of deals inferred, the id differs from that of the deal in its last five bits alone.
    """

    change_id: int
    deal_id: int
    client_id: int
    pipeline: Value
    from_stage: Value | None
    to_stage: Value
    move: Value
    changed_at: datetime | None
    by_id: int


@dataclass(frozen=True, slots=True)
class Activity:
    """A touch that took place: a call, meeting, e-mail, message, visit or web request."""

    activity_id: int
    client_id: int
    kind: Value
    happened_at: datetime
    by_id: int
    deal_id: int | None = None
    direction: Value | None = None
    result: Value | None = None
    seconds: int | None = None
    source: Value | None = None
    voided: bool = False


@dataclass(frozen=True, slots=True)
class Sale:
    """A sales document; a refund has a negative amount and, where known, the document it refunds."""

    sale_id: int
    client_id: int
    sold_at: datetime
    amount: Decimal
    by_id: int
    deal_id: int | None = None
    refund_of: int | None = None
    voided: bool = False


@dataclass(frozen=True, slots=True)
class SaleLine:
    """One line of a sale; an item that is no listed product has its name in a note about the line."""

    line_id: int
    sale_id: int
    client_id: int
    product_id: int | None
    quantity: Quantity
    price: Decimal | None
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Reminder:
    """Something to do about a client at a time; its text is a note about it."""

    reminder_id: int
    client_id: int
    cause: Value
    due_at: datetime
    has_time: bool
    assignee_id: int
    created_at: datetime
    created_by: int
    deal_id: int | None = None
    is_promise: bool = False
    status: Value = OPEN
    done_at: datetime | None = None
    repeat: Value | None = None
    repeat_from: Value | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A reminder brought to a member through a channel, claimed before it leaves; `attempt` counts from 1.

    It is in the book of the member who sends it. Without an outcome it is on its way, or was when its sender ended. A
    reminder and a client of 0 are the digest of a day.
    """

    delivery_id: int
    reminder_id: int
    client_id: int
    member_id: int
    channel: Value
    claimed_at: datetime
    attempt: int
    ended_at: datetime | None = None
    outcome: Value | None = None


@dataclass(frozen=True, slots=True)
class Canary:
    """A client who does not exist, planted in a book so that a leaked list names its source; no report counts it."""

    client_id: int
    planted_at: datetime
    by_id: int


@dataclass(frozen=True, slots=True)
class Staff:
    """Anybody who ever acted, a member of the store or not."""

    staff_id: int
    name: str


@dataclass(frozen=True, slots=True)
class Product:
    """What the company sells; `use_up_days` is how long one lasts."""

    product_id: int
    name: str
    category: str | None = None
    price: Decimal | None = None
    use_up_days: int | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A numbered version of the process, the settings or the norms, as JSON text."""

    document_id: int
    version: int
    text: str
    published_at: datetime
    by_id: int


Record: TypeAlias = (
    Client
    | Contact
    | Note
    | Deal
    | StageChange
    | Activity
    | Sale
    | SaleLine
    | Reminder
    | Delivery
    | Canary
    | Staff
    | Product
    | Document
)
