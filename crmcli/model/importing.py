"""What an import takes in: the fields of each kind of row, and their cells as typed values, checked.

Inside an import an instant is an int, microseconds since 1970 in UTC, as the columns of the store hold it.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, NamedTuple

from crmcli.errors import InputError
from crmcli.model.acting import clean_name, clean_text
from crmcli.model.dates import local_day, parse_stamp
from crmcli.model.emails import plain_email
from crmcli.model.inferred import is_day_of
from crmcli.model.phones import normalise_phone
from crmcli.model.records import CALL_RESULTS, DIRECTIONS, LOST, OPEN, WON
from crmcli.model.remembered import Remembered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from crmcli.model.process import Process
    from crmcli.model.settings import Settings

Kind = Literal["clients", "deals", "stages", "calls", "sales"]

FIELDS: dict[str, tuple[str, ...]] = {
    "clients": (
        "name", "phone", "phone2", "email", "email2", "company", "tax_id", "address", "source", "segment", "owner",
        "created_at", "interest", "note", "buy_by", "external_id", "do_not_contact",
    ),
    "deals": (
        "client", "stage", "pipeline", "external_id", "owner", "opened_at", "closed_at", "amount", "product",
        "lost_reason", "title", "closed_from",
    ),
    "stages": ("deal", "stage", "changed_at", "by"),
    "calls": ("client", "direction", "result", "called_at", "minutes", "seconds", "by", "said", "external_id"),
    "sales": ("client", "sold_at", "amount", "by", "item", "quantity", "deal", "external_id"),
}  # fmt: skip
REQUIRED: dict[str, tuple[str, ...]] = {
    "clients": ("name",),
    "deals": ("client", "stage"),
    "stages": ("deal", "stage", "changed_at"),
    "calls": ("client", "direction", "called_at"),
    "sales": ("client", "sold_at", "amount"),
}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MOST_SECONDS = 24 * 60 * 60
_MOST_QUANTITY = 10**9
_THOUSANDTH = Decimal("0.001")
_YES_OR_NO = {"yes": True, "true": True, "1": True, "да": True, "no": False, "false": False, "0": False, "нет": False}


class ClientRow(NamedTuple):
    """A row of clients; `phones` are pairs (E.164, as it was typed)."""

    name: str
    phones: tuple[tuple[str, str], ...]
    emails: tuple[str, ...]
    company: str | None
    tax_id: str | None
    address: str | None
    source: str | None
    segment: str | None
    owner: str
    created_at: int | None
    interest: str | None
    note: str | None
    buy_by: date | None
    external_id: str | None
    do_not_contact: bool | None


class DealRow(NamedTuple):
    """A row of deals; `stage` is None for one that is closed, unless the row says which stage it was closed from."""

    client: str
    pipeline: str
    stage: str | None
    status: str
    opened_at: int | None
    closed_at: int | None
    amount: Decimal | None
    product_id: int | None
    lost_reason: str | None
    title: str | None
    owner: str
    external_id: str | None


class StageRow(NamedTuple):
    """A row of stages; `stage` is as it was written, for the pipeline is the deal's."""

    deal: str
    stage: str
    changed_at: int
    by: str


class CallRow(NamedTuple):
    """A row of calls."""

    client: str
    direction: str
    result: str | None
    called_at: int
    seconds: int | None
    by: str
    said: str | None
    external_id: str | None


class SaleRow(NamedTuple):
    """A row of sales; `item` is a product's name or free text."""

    client: str
    sold_at: int
    amount: Decimal
    by: str
    item: str | None
    quantity: Decimal | None
    deal: str
    external_id: str | None


class Cells:
    """Reads rows, field -> stripped text, of one file; what is wrong with one is an InputError without its text.

    `products`: name, casefolded -> id; `money` reads an amount; `form`: a strptime format of dates.
    """

    def __init__(
        self,
        settings: Settings,
        process: Process,
        products: Mapping[str, int],
        now: datetime,
        money: Callable[[str], Decimal],
        form: str | None = None,
    ) -> None:
        self._settings = settings
        self.zone = settings.zone
        self._process = process
        self._products = products
        self.latest = microseconds(now + timedelta(days=1))
        self.form = form
        self.instants: Remembered[int | None] = Remembered(self._instant)
        self.days: Remembered[date | None] = Remembered(self._day)
        self.money: Remembered[Decimal | None] = Remembered(money)
        self.quantities: Remembered[Decimal | None] = Remembered(_quantity)
        self.answers: Remembered[bool | None] = Remembered(_yes_or_no)
        self.seconds: Remembered[int | None] = Remembered(_seconds)
        self.minutes: Remembered[int | None] = Remembered(_minutes)
        self.directions: Remembered[str] = Remembered(lambda text: _one_of("direction", text, DIRECTIONS))
        self.results: Remembered[str | None] = Remembered(lambda text: _one_of("result", text, CALL_RESULTS))
        self.sources: Remembered[str | None] = Remembered(process.source)
        self.segments: Remembered[str | None] = Remembered(process.segment)
        self.reasons: Remembered[str | None] = Remembered(process.lost_reason)
        self.products: Remembered[int | None] = Remembered(self._product)
        self._pipelines: Remembered[str] = Remembered(lambda text: process.pipeline(text).id)
        self._pipelines[""] = process.pipelines[0].id
        self._stages: dict[str, Remembered[tuple[str | None, str]]] = {
            pipeline.id: Remembered(self._stage_reader(pipeline.id)) for pipeline in process.pipelines
        }

    def client(self, row: Mapping[str, str]) -> ClientRow:
        """Read a row of clients."""
        get = row.get
        phones = [(normalise_phone(raw, self._settings.region), raw) for raw in (get("phone"), get("phone2")) if raw]
        emails = [plain_email(raw) for raw in (get("email"), get("email2")) if raw]
        name = clean_name(get("name"), "the name")
        if name is None:
            raise InputError("a client needs a name")
        return ClientRow(
            name,
            tuple(phones) if len(phones) < 2 else tuple({number: (number, raw) for number, raw in phones}.values()),  # noqa: PLR2004
            tuple(emails) if len(emails) < 2 else tuple(dict.fromkeys(emails)),  # noqa: PLR2004
            clean_name(get("company"), "the company"),
            tax_number(clean_name(get("tax_id"), "the tax id")),
            clean_name(get("address"), "the address"),
            self.sources[get("source", "")],
            self.segments[get("segment", "")],
            get("owner", ""),
            self.instants[get("created_at", "")],
            clean_text(get("interest")),
            clean_text(get("note")),
            self.days[get("buy_by", "")],
            clean_name(get("external_id"), "the external id"),
            self.answers[get("do_not_contact", "")],
        )

    def deal(self, row: Mapping[str, str]) -> DealRow:
        """Read a row of deals."""
        get = row.get
        pipeline = self._pipelines[get("pipeline", "")]
        stage, status = self.stage(pipeline, row["stage"])
        closed_from = get("closed_from")
        if status != OPEN and closed_from:
            stage, still = self.stage(pipeline, closed_from)
            if still != OPEN:
                raise InputError("closed_from has to be a stage")
        opened_at = self.instants[get("opened_at", "")]
        closed_at = self.instants[get("closed_at", "")] if status != OPEN else None
        if (
            opened_at is not None
            and closed_at is not None
            and closed_at < opened_at
            and not self.is_day_of(closed_at, opened_at)
        ):
            raise InputError("the deal is closed before it is opened")
        amount = self.money[get("amount", "")]
        if amount is not None and amount < 0:
            raise InputError("the amount of a deal is below 0")
        reason = self.reasons[get("lost_reason", "")]
        return DealRow(
            _filled(row, "client"),
            pipeline,
            stage,
            status,
            opened_at,
            closed_at,
            # Programs write 0 for a sum that nobody knows any more.
            None if status == LOST and not amount else amount,
            self.products[get("product", "")],
            reason if status == LOST else None,
            clean_text(get("title")),
            get("owner", ""),
            clean_name(get("external_id"), "the external id"),
        )

    def is_day_of(self, day: int, at: int) -> bool:
        """Say whether an instant is the beginning of the day of another one."""
        return is_day_of(instant(day), instant(at), self.zone)

    def stage(self, pipeline: str, text: str) -> tuple[str | None, str]:
        """Return the stage of a pipeline and the status that a text means: (stage, open), (None, won) or (None, lost).

        A pipeline that the process has no more has no stages. Raises: InputError.
        """
        known = self._stages.get(pipeline)
        if known is None:
            raise InputError("the process has no such pipeline any more")
        if not text:
            raise InputError("the stage is empty")
        return known[text]

    def moved(self, row: Mapping[str, str]) -> StageRow:
        """Read a row of stages."""
        changed_at = self.instants[_filled(row, "changed_at")]
        return StageRow(_filled(row, "deal"), _filled(row, "stage"), changed_at or 0, row.get("by", ""))

    def call(self, row: Mapping[str, str]) -> CallRow:
        """Read a row of calls."""
        get = row.get
        seconds, minutes = self.seconds[get("seconds", "")], self.minutes[get("minutes", "")]
        if seconds is not None and minutes is not None:
            raise InputError("a call has minutes or seconds, not both")
        called_at = self.instants[_filled(row, "called_at")]
        return CallRow(
            _filled(row, "client"),
            self.directions[_filled(row, "direction")],
            self.results[get("result", "")],
            called_at or 0,
            minutes if seconds is None else seconds,
            get("by", ""),
            clean_text(get("said")),
            clean_name(get("external_id"), "the external id"),
        )

    def sale(self, row: Mapping[str, str]) -> SaleRow:
        """Read a row of sales."""
        get = row.get
        sold_at, amount = self.instants[_filled(row, "sold_at")], self.money[_filled(row, "amount")]
        item, external_id = get("item"), get("external_id")
        return SaleRow(
            _filled(row, "client"),
            sold_at or 0,
            amount or Decimal(0),
            get("by", ""),
            clean_name(item, "the item") if item else None,
            self.quantities[get("quantity", "")],
            get("deal", ""),
            clean_name(external_id, "the external id") if external_id else None,
        )

    def _instant(self, text: str) -> int:
        at = microseconds(parse_stamp(text, self.form, self.zone)[0])
        if at > self.latest:
            raise InputError("a date in the future")
        return at

    def _day(self, text: str) -> date:
        return local_day(parse_stamp(text, self.form, self.zone)[0], self.zone)

    def _product(self, text: str) -> int:
        known = self._products.get(text.casefold())
        if known is None:
            listed = [product.name for product in self._process.products]
            raise InputError("the process has no such product", near(text, listed))
        return known

    def _stage_reader(self, pipeline: str) -> Callable[[str], tuple[str | None, str]]:
        def read(text: str) -> tuple[str | None, str]:
            folded = text.casefold()
            if folded in {WON, LOST}:
                return None, folded
            return self._process.pipeline(pipeline).stage(text).id, OPEN

        return read


def external_key(namespace: str | None, text: str) -> str:
    """Return an external id as the store keeps it."""
    return f"{namespace}:{text}" if namespace else text


def tax_number(text: str | None) -> str | None:
    """Return a tax id in one form."""
    return "".join(text.split()).upper() if text else None


def microseconds(at: datetime) -> int:
    """Return an aware instant as microseconds since 1970 in UTC."""
    return (at - _EPOCH) // _MICROSECOND


def instant(at: int) -> datetime:
    """Return the aware instant of microseconds since 1970."""
    return _EPOCH + at * _MICROSECOND


def near(text: str, known: Sequence[str]) -> str | None:
    """Return a hint that names what is nearest in a list of the company, or None for an empty list."""
    from difflib import get_close_matches

    found = get_close_matches(text, known, n=3, cutoff=0.5) or list(known[:12])
    return f"there is {', '.join(found)}" if found else None


def _filled(row: Mapping[str, str], field: str) -> str:
    text = row[field]
    if not text:
        raise InputError(f"{field} is empty")
    return text


def _one_of(what: str, text: str, known: Sequence[str]) -> str:
    folded = text.casefold()
    if folded not in known:
        raise InputError(f"the {what} must be one of {', '.join(known)}")
    return folded


def _yes_or_no(text: str) -> bool:
    if text.casefold() not in _YES_OR_NO:
        raise InputError("do_not_contact is neither yes nor no")
    return _YES_OR_NO[text.casefold()]


def _number(text: str) -> Decimal:
    try:
        number = Decimal(text.replace(",", "."))
    except ArithmeticError:
        number = Decimal("NaN")
    if not number.is_finite():
        raise InputError("not a number")
    return number


def _quantity(text: str) -> Decimal:
    number = _number(text)
    if abs(number) >= _MOST_QUANTITY or number != number.quantize(_THOUSANDTH):
        raise InputError("a quantity has at most nine digits and three places")
    return number.quantize(_THOUSANDTH)


def _seconds(text: str) -> int:
    number = _number(text)
    if not 0 <= number <= _MOST_SECONDS:
        raise InputError("a call lasts between 0 and a day")
    return int(number)


def _minutes(text: str) -> int:
    number = _number(text)
    if not 0 <= number <= _MOST_SECONDS // 60:
        raise InputError("a call lasts between 0 and a day")
    return int(number * 60)
