"""The demo company's year, by a seed: its records, made through the rules as if its staff had typed them."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from crmcli.model import demo_words as words
from crmcli.model.acting import Acting
from crmcli.model.capture import Introduction, interest, introduce
from crmcli.model.closing import lose_until, move, win_with_sale
from crmcli.model.dates import day_start, local_day
from crmcli.model.entering import start, steps_taken
from crmcli.model.periods import Period, parse_period
from crmcli.model.records import CALL, DONE, Activity, Client, Deal, Product, Record, Reminder, Sale, Staff
from crmcli.model.reminding import remind
from crmcli.model.selling import Item, refund, sell, void
from crmcli.model.touching import Touch, log_touch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

    from crmcli.model.process import Pipeline

DAYS = 365
_OPENS, _CLOSES = 9, 18
_SATURDAY = 5
_PHONE_RANGE = 10**6
_PHONE_STEP = 618_033
_NO_DAY = (None, None)
_CENT = Decimal("0.01")
_T = TypeVar("_T")


def founder_id(seed: int) -> int:
    """Return the id of the founder, who is also the store's admin."""
    return random.Random(f"crmcli/demo/founder/{seed}").getrandbits(60) or 1  # noqa: S311 - an id, no key


def year(now: datetime, seed: int, clients: int) -> list[Record]:
    """Return the records of the 365 days before `now` (aware, UTC), each in its last version; same in, same out.

    `clients` is how many showed interest. The founder is no record, for the store has one of the founder already.
    """
    company = _Company(now, seed)
    company.hire()
    first = now - timedelta(days=DAYS)
    # A few more come each month than in the month before.
    arrivals = sorted(DAYS * company.chance.random() ** 0.85 for _ in range(clients))
    for days in arrivals:
        company.meet(company.later(first, (days, days)))
    return list(company.made.values())


def counted(records: Iterable[Record]) -> list[tuple[str, int]]:
    """Return how many records there are of each kind, the most telling first."""
    kinds = {
        "clients": Client,
        "deals": Deal,
        "activities": Activity,
        "sales": Sale,
        "reminders": Reminder,
        "products": Product,
    }
    listed = list(records)
    counts = [(name, sum(type(record) is kind for record in listed)) for name, kind in kinds.items()]
    return [*counts, ("records in all", len(listed))]


def last_month(now: datetime) -> Period:
    """Return the last month that is over, in the demo company's time zone."""
    today = local_day(now, words.SETTINGS.zone)
    return parse_period(f"{today:%Y-%m}", now=now, zone=words.SETTINGS.zone).previous()


class _Company:
    """The company as its year goes by: `made` holds the newest version of every record by its type and id.

    `met` counts the clients, `reminders` are those of the client whose story is being told.
    """

    def __init__(self, now: datetime, seed: int) -> None:
        self.now = now
        self.chance = random.Random(f"crmcli/demo/{seed}")  # noqa: S311 - a story, no key
        self.zone = words.SETTINGS.zone
        self.made: dict[tuple[type[Any], int], Any] = {}
        self.products: list[Product] = []
        self.team: dict[int, int] = {founder_id(seed): words.FOUNDER_SHARE}
        self.met = 0
        self.reminders: dict[int, Reminder] = {}

    # What everything below is made with.

    def new_id(self) -> int:
        return self.chance.getrandbits(60) or 1

    def keep(self, *records: Record) -> None:
        for record in records:
            # The first field of every record is its id.
            number = getattr(record, type(record).__slots__[0])
            self.made[type(record), number] = record
            if isinstance(record, Reminder):
                self.reminders[number] = record

    def acting(self, by: int, at: datetime) -> Acting:
        return Acting(by, at, at, self.new_id, zone=self.zone)

    def happens(self, pct: float) -> bool:
        return self.chance.random() * 100 < pct

    def pick(self, weights: Mapping[_T, float]) -> _T:
        return self.chance.choices(list(weights), list(weights.values()))[0]

    def later(self, at: datetime, days: tuple[float, float]) -> datetime:
        """Return a working hour that many days after `at`; never the same one, never an earlier one."""
        local = (at + timedelta(days=self.chance.uniform(*days))).astimezone(self.zone)
        if local.hour >= _CLOSES:
            local = local.replace(hour=0) + timedelta(days=1)
        while local.weekday() >= _SATURDAY:
            local = local.replace(hour=0) + timedelta(days=1)
        if local.hour < _OPENS:
            local = local.replace(hour=_OPENS + int(self.chance.triangular(0, _CLOSES - _OPENS - 1, 2)))
        return local.replace(second=0, microsecond=0).astimezone(UTC) + timedelta(minutes=1)

    def day(self, at: datetime) -> tuple[date, datetime]:
        """Return the local day of an instant and the instant at which it begins."""
        day = local_day(at, self.zone)
        return day, day_start(day, self.zone)

    @cached_property
    def pipeline(self) -> Pipeline:
        return words.PROCESS.pipeline()

    # The company.

    def hire(self) -> None:
        for name, share in words.TEAM:
            person = Staff(self.new_id(), name)
            self.team[person.staff_id] = share
            self.keep(person)
        for listed in words.PROCESS.products:
            price = Decimal(listed.price or 0)
            self.products.append(Product(self.new_id(), listed.name, listed.category, price, listed.use_up_days))
        self.keep(*self.products)

    # The story of one client.

    def meet(self, at: datetime) -> None:
        """Record somebody who shows interest at an instant, and all that becomes of it."""
        if at >= self.now:
            at = self.now - timedelta(minutes=self.chance.randint(5, 300))
        self.met += 1
        self.reminders = {}
        acting = self.acting(self.pick(self.team), at)
        source = self.pick({source: share for source, (share, _, _) in words.SOURCES.items()})
        segment = self.pick({"business": 70.0, "private": 30.0})
        buy_by, remind_at = self.day(at + timedelta(days=self.chance.randint(20, 90))) if self.happens(10) else _NO_DAY
        person = self.person(source, segment)
        client, contact = introduce(acting, words.PROCESS, person, words.SETTINGS.region, buy_by)
        client = replace(client, do_not_contact=self.happens(0.7))
        wants = self.chance.choice(words.WANTS) if self.happens(80) else None
        note = self.chance.choice(words.NOTES) if self.happens(12) else None
        made = interest(acting, words.PROCESS, client, wants=wants, note=note, remind_at=remind_at)
        self.keep(client, contact, *made)
        self.touch(client, at, words.SOURCES[source][2], "in")
        deal = next(record for record in made if isinstance(record, Deal))
        won_at = self.pursue(client, deal, at, words.SOURCES[source][1])
        if won_at is not None:
            self.come_again(client, won_at)
        self.settle()

    def person(self, source: str | None, segment: str) -> Introduction:
        chance = self.chance
        is_woman = chance.random() < 0.5  # noqa: PLR2004 - a coin
        given = chance.choice(words.WOMEN if is_woman else words.MEN).split()
        family = chance.choice(words.FAMILIES).split()
        script = 1 if self.happens(22) else 0
        family = [name + ending for name, ending in zip(family, "аa" if is_woman else ("", ""), strict=True)]
        name = f"{given[script]} {family[script]}"
        # The step shares no factor with the range, so that no number comes twice.
        figures = f"{self.met * _PHONE_STEP % _PHONE_RANGE:06}"
        code, first, last = figures[:2], figures[2:4], figures[4:]
        forms = (f"+7 9{code} 000-{first}-{last}", f"8 (9{code}) 000 {first} {last}", f"89{code}000{first}{last}")
        is_business = segment == "business"
        with_email = source in ("web", "email") or self.happens(40)
        return Introduction(
            name,
            [chance.choices(forms, (5, 2, 1))[0]],
            [f"{family[1].lower()}.{self.met}@example.com"] if with_email else [],
            f"{chance.choice(words.PLACES)} «{chance.choice(words.TITLES)}»" if is_business else None,
            # No tax office has the number 00.
            f"00{chance.randrange(10**8):08}" if is_business and self.happens(60) else None,
            f"{chance.choice(words.TOWNS)}, {chance.choice(words.STREETS)}, {chance.randint(1, 90)}"
            if self.happens(35)
            else None,
            source,
            segment,
        )

    def touch(
        self, client: Client, at: datetime, kind: str, direction: str | None = None, deal: Deal | None = None
    ) -> None:
        """Record a touch; a call that nobody answered is tried again, and a promise is kept, most of the time."""
        if at >= self.now:
            return
        chance = self.chance
        deal_id = deal.deal_id if deal else None
        direction = direction or self.pick({"out": 4.0, "in": 1.0})
        acting = self.acting(client.owner_id, at)
        if kind == CALL and self.happens(24 if direction == "out" else 9):
            touch = Touch(CALL, direction, self.unanswered(direction))
            self.keep(*log_touch(acting, client.client_id, touch, deal_id, self.reminders.values()))
            if self.happens(75):
                self.touch(client, self.later(at, (0.02, 0.9)), CALL, "out", deal)
            return
        minutes = Decimal(round(chance.lognormvariate(1.2, 0.7), 1)).quantize(Decimal("0.1")) if kind == CALL else None
        if kind in ("meeting", "visit"):
            minutes = Decimal(chance.randrange(20, 95, 5))
        said = chance.choice(words.SAID) if self.happens(32) else None
        due_at = self.later(at, (1, 6))
        promise = chance.choice(words.PROMISED) if self.happens(9) and direction == "out" else None
        result = "answered" if kind == CALL else None
        due = (due_at, self.happens(50)) if promise else None
        touch = Touch(kind, direction, result, minutes, said, promise, due)
        made = log_touch(acting, client.client_id, touch, deal_id, self.reminders.values())
        if self.happens(0.4):
            made[0] = void(made[0])  # type: ignore[arg-type]
        self.keep(*made)

    def unanswered(self, direction: str) -> str:
        return "no-answer" if direction == "in" else self.pick({"no-answer": 6.0, "busy": 3.0, "wrong": 0.3})

    def pursue(self, client: Client, deal: Deal, at: datetime, odds: float) -> datetime | None:
        """Take a deal from stage to stage; return when it was won, or None if it is lost or still open."""
        while True:
            refusals, days, kind = words.STAGES[deal.stage]
            ends_at = self.later(at, days)
            if ends_at >= self.now:
                self.plan(client, deal, ends_at)
                return None
            self.work(client, deal, at, ends_at, kind)
            # Some deals are forgotten where they stand: nobody called again, and nobody was reminded.
            if self.happens(1.6):
                return None
            acting = self.acting(client.owner_id, ends_at)
            if self.happens(refusals * odds):
                reopened = self.lose(acting, client, deal)
                if reopened is None:
                    return None
                deal, at = reopened
                continue
            if self.pipeline.position(deal.stage) == len(self.pipeline.stages):
                total, items = self.basket(client, self.chance.sample(self.products, k=3))
                self.keep(*win_with_sale(acting, deal, total, items, self.products, self.reminders.values()))
                return ends_at
            deal, at = self.advance(acting, client, deal), ends_at

    def plan(self, client: Client, deal: Deal, due_at: datetime) -> None:
        """Leave a reminder of the next step of a deal that is under way, mostly."""
        entered_at = deal.entered_at or self.now
        acting = self.acting(client.owner_id, entered_at)
        if self.happens(30):
            self.touch(client, self.later(entered_at, (0, 2)), CALL, None, deal)
        step = next(r for r in self.reminders.values() if r.deal_id == deal.deal_id and r.created_at == entered_at)
        if self.happens(78):
            self.keep(replace(step, due_at=self.day(due_at)[1]))
        else:
            self.keep(*steps_taken(acting, deal, [step]))

    def work(self, client: Client, deal: Deal, at: datetime, ends_at: datetime, kind: str) -> None:
        """Record the touches of a finished visit to a stage."""
        direction = None if kind == CALL else "out"
        self.touch(client, self.later(at, (0, (ends_at - at).days * 0.6)), kind, direction, deal)
        if self.happens(25):
            self.touch(client, ends_at - timedelta(minutes=self.chance.randint(1, 40)), CALL, None, deal)

    def advance(self, acting: Acting, client: Client, deal: Deal) -> Deal:
        to = None
        if deal.stage == "proposal" and self.happens(18):
            to = "revision"
        elif deal.stage == "revision" and self.happens(7):
            to = "proposal"
        moved = move(acting, words.PROCESS, deal, to, self.reminders.values())
        expected = next(record for record in moved if isinstance(record, Deal))
        if expected.stage == "proposal" and expected.amount is None:
            total, items = self.basket(client, self.chance.sample(self.products, k=3))
            main = next(product for product in self.products if product.name == items[0].name)
            expected = replace(expected, amount=total, product_id=main.product_id)
        self.keep(*moved, expected)
        return expected

    def lose(self, acting: Acting, client: Client, deal: Deal) -> tuple[Deal, datetime] | None:
        """Lose a deal; return it, and when, if the client came round after all."""
        reason = self.pick(words.REASONS[deal.stage])
        back: tuple[date | None, datetime | None] = _NO_DAY
        if reason in words.PASSING and self.happens(55):
            back = self.day(self.later(acting.at, (30, 150)))
        lost = lose_until(acting, words.PROCESS, deal, reason, back, self.reminders.values())
        self.keep(*lost)
        again_at = self.later(back[1], (0, 3)) if back[1] else self.later(acting.at, (10, 45))
        if again_at >= self.now or not self.happens(14 if back[1] else 3):
            return None
        again = self.acting(client.owner_id, again_at)
        known = self.reminders.values()
        reopened = move(again, words.PROCESS, self.made[Deal, deal.deal_id], deal.stage, known)
        self.keep(*reopened)
        return self.made[Deal, deal.deal_id], again_at

    # What follows a first purchase.

    def come_again(self, client: Client, at: datetime) -> None:
        """Record the purchases after the first one, at the client's own rhythm, until they stop or it is now."""
        chance = self.chance
        rhythm = min(max(chance.lognormvariate(3.5, 0.45), 9), 130)
        favourites = chance.sample(self.products, k=chance.randint(2, 4))
        while not self.happens(9):
            next_at = self.later(at, (rhythm * 0.78, rhythm * 1.25))
            if next_at >= self.now:
                if self.happens(60):
                    acting = self.acting(client.owner_id, at)
                    due_at = self.day(next_at - timedelta(days=7))[1]
                    self.keep(*remind(acting, client.client_id, "next_purchase", max(due_at, at)))
                return
            at = next_at
            if self.happens(70):
                self.touch(client, self.later(at - timedelta(days=4), (0, 2)), CALL)
            if self.happens(11):
                won_at = self.pursue(client, self.deal_again(client, at), at, 0.45)
                if won_at is None:
                    return
                at = won_at
                continue
            acting = self.acting(client.owner_id, at)
            total, items = self.basket(client, favourites)
            sold = sell(acting, client.client_id, total, items, self.products)
            self.keep(*sold)
            self.regret(acting, next(record for record in sold if isinstance(record, Sale)))

    def deal_again(self, client: Client, at: datetime) -> Deal:
        deal, opened = start(self.acting(client.owner_id, at), words.PROCESS, client)
        self.keep(*opened)
        return deal

    def basket(self, client: Client, products: Sequence[Product]) -> tuple[Decimal, list[Item]]:
        """Return the sum of a purchase and its lines."""
        most = 12 if client.segment == "business" else 3
        chosen = self.chance.sample(list(products), k=self.chance.randint(1, len(products)))
        items = [
            Item(product.name, Decimal(self.chance.randint(1, most)), product.price or Decimal(1)) for product in chosen
        ]
        return sum((item.quantity * item.price for item in items), Decimal(0)).quantize(_CENT), items

    def regret(self, acting: Acting, sale: Sale) -> None:
        """Take back a few sales: as a mistake, or because something came back."""
        if self.happens(0.8):
            self.keep(void(sale))
        elif self.happens(2):
            back_at = self.later(acting.at, (1, 8))
            part = (sale.amount * self.chance.choice((Decimal(1), Decimal("0.5"), Decimal("0.25")))).quantize(_CENT)
            if back_at < self.now:
                self.keep(refund(self.acting(acting.by, back_at), sale, part))

    # What is still to do.

    def settle(self) -> None:
        """Mark as done the reminders of the past, but for a few of the last days that are overdue."""
        for reminder in list(self.reminders.values()):
            is_recent = reminder.due_at > self.now - timedelta(days=12)
            if reminder.due_at >= self.now or (is_recent and self.happens(45)):
                continue
            done_at = min(self.later(reminder.due_at, (0, 0.5)), self.now)
            self.keep(replace(reminder, status=DONE, done_at=done_at))
