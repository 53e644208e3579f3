"""The prescribed sales process: pipelines, their stages in order, and the lists that values come from."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any

from crmcli.errors import InputError, RuleError
from crmcli.model.frozen import dataclass
from crmcli.model.records import LOST, WON
from crmcli.model.worktime import Calendar, parse_calendar, parse_term, split

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crmcli.model.records import Deal

_MOST_LETTERS = 64
_MOST_DAYS = 9999
_MOST_OF_TEXT = 200
# Fields that a stage may ask for: of the contact, of the client, of the deal.
CONTACT_FIELDS = ("phone", "email", "company", "tax_id", "address")
CLIENT_FIELDS = ("source", "segment", "buy_by")
DEAL_FIELDS = ("amount", "product", "interest")
FIELDS = (*CONTACT_FIELDS, *CLIENT_FIELDS, *DEAL_FIELDS)
# The key of `cadence` that holds for segments without one of their own.
OTHERS = "default"


@dataclass(frozen=True, slots=True)
class Stage:
    """A step of a pipeline; `id` is what records hold and never changes, `name` is what people read.

    `norm`, `gap` and `idle` are terms such as `2d` or `3bd`: how long a deal may stand there, when the next step is due
    after the entry, and how long without an activity is idle. `require` are fields that must be known before the deal
    moves on; `next_action` is the text of the reminder made on entry.
    """

    id: str
    name: str
    norm: str | None = None
    gap: str | None = None
    idle: str | None = None
    require: tuple[str, ...] = ()
    next_action: str | None = None

    @property
    def next_step(self) -> str | None:
        """The term after which the next step is due, if entering the stage makes a reminder of one."""
        return (self.gap or self.norm) if self.gap or self.next_action else None


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Stages in the order in which a deal goes through them."""

    id: str
    name: str
    stages: tuple[Stage, ...]

    def position(self, stage: str) -> int:
        """Return the place of a stage, from 1. Raises: RuleError if the pipeline has no such stage."""
        for place, known in enumerate(self.stages, 1):
            if known.id == stage:
                return place
        raise RuleError(f"the process has no stage {stage!r} any more")

    def stage(self, text: str) -> Stage:
        """Return the stage of that id or name, in any letter case. Raises: InputError naming the near ones."""
        for known in self.stages:
            if text.casefold() in (known.id.casefold(), known.name.casefold()):
                return known
        raise _unknown("stage", text, [stage.id for stage in self.stages])


@dataclass(frozen=True, slots=True)
class ListedProduct:
    """A product as the process file lists it; `price` is decimal text."""

    name: str
    category: str | None = None
    price: str | None = None
    use_up_days: int | None = None


_USUAL = Calendar()


@dataclass(frozen=True, slots=True)
class Process:
    """What all managers of the company share: pipelines, lists, products, working days, cadence by segment in days."""

    pipelines: tuple[Pipeline, ...]
    lost_reasons: tuple[str, ...]
    sources: tuple[str, ...]
    segments: tuple[str, ...]
    products: tuple[ListedProduct, ...] = ()
    calendar: Calendar = _USUAL
    cadence: Mapping[str, int] = field(default_factory=dict)

    def pipeline(self, name: str | None = None) -> Pipeline:
        """Return the pipeline of that id or name; the first one is the default. Raises: InputError."""
        if name is None:
            return self.pipelines[0]
        for pipeline in self.pipelines:
            if name.casefold() in (pipeline.id.casefold(), pipeline.name.casefold()):
                return pipeline
        raise _unknown("pipeline", name, [pipeline.id for pipeline in self.pipelines])

    def stage_of(self, deal: Deal) -> Stage | None:
        """Return the stage at which a deal stands, or None for one that the process has no more."""
        stages = (stage for pipeline in self.pipelines if pipeline.id == deal.pipeline for stage in pipeline.stages)
        return next((stage for stage in stages if stage.id == deal.stage), None)

    def source(self, text: str) -> str:
        """Return the source as the list writes it. Raises: InputError."""
        return _listed("source", text, self.sources)

    def segment(self, text: str) -> str:
        """Return the segment as the list writes it. Raises: InputError."""
        return _listed("segment", text, self.segments)

    def lost_reason(self, text: str) -> str:
        """Return the reason as the list writes it. Raises: InputError."""
        return _listed("lost reason", text, self.lost_reasons)

    def to_plain(self) -> dict[str, Any]:
        """Return the process as the plain values that `from_plain` and a process file hold."""
        return {
            "calendar": self.calendar.to_plain(),
            "cadence": {segment: f"{days}d" for segment, days in self.cadence.items()},
            "pipelines": [
                {
                    "id": pipeline.id,
                    "name": pipeline.name,
                    "stages": [_stage_cells(stage) for stage in pipeline.stages],
                }
                for pipeline in self.pipelines
            ],
            "lost_reasons": list(self.lost_reasons),
            "sources": list(self.sources),
            "segments": list(self.segments),
            "products": [
                {name: value for name, value in product_cells(product).items() if value is not None}
                for product in self.products
            ],
        }

    @classmethod
    def from_plain(cls, document: dict[str, Any]) -> Process:
        """Return the process in plain values, as TOML or JSON give them. Raises: InputError naming the key."""
        known = {"pipelines", "calendar", "cadence", "lost_reasons", "sources", "segments", "products"}
        _only(document, "the process", known)
        pipelines = document.get("pipelines")
        if not isinstance(pipelines, list) or not pipelines:
            raise InputError("the process has no [[pipelines]]")
        parsed = tuple(_pipeline(pipeline) for pipeline in pipelines)
        _distinct("pipeline", [pipeline.id for pipeline in parsed])
        products = document.get("products", [])
        if not isinstance(products, list):
            raise InputError("products: must be a list of tables")
        listed = tuple(_product(product) for product in products)
        _distinct("product", [product.name for product in listed])
        segments = _texts(document, "segments")
        calendar = _table(document, "calendar")
        _only(calendar, "calendar", {"working_days", "hours", "holidays"})
        return cls(
            parsed,
            _texts(document, "lost_reasons"),
            _texts(document, "sources"),
            segments,
            listed,
            parse_calendar(calendar),
            _cadence(_table(document, "cadence"), segments),
        )


def product_cells(product: ListedProduct) -> dict[str, Any]:
    """Return the cells of a listed product by name."""
    return {name: getattr(product, name) for name in ListedProduct.__slots__}


def _pipeline(document: Any) -> Pipeline:
    if not isinstance(document, dict):
        raise InputError("pipelines: must be a list of tables")
    _only(document, "a pipeline", {"id", "name", "stages"})
    name = _name(document.get("id"), "the id of a pipeline")
    stages = document.get("stages")
    if not isinstance(stages, list) or not stages:
        raise InputError(f"pipeline {name!r} has no stages")
    parsed = []
    for stage in stages:
        cells = {"id": stage} if isinstance(stage, str) else stage
        if not isinstance(cells, dict):
            raise InputError(f"pipeline {name!r}: a stage is a name or a table")
        parsed.append(_stage(name, cells))
    _distinct("stage", [stage.id for stage in parsed])
    return Pipeline(name, _name(document.get("name", name), "the name of a pipeline"), tuple(parsed))


def _stage(pipeline: str, cells: dict[str, Any]) -> Stage:
    _only(cells, "a stage", set(Stage.__slots__))
    stage_id = _name(cells.get("id"), "the id of a stage")
    if stage_id.casefold() in (WON, LOST):
        raise InputError(f"pipeline {pipeline!r}: {stage_id!r} is how a deal ends, not a stage")
    require = _texts(cells, "require")
    unknown = next((name for name in require if name not in FIELDS), None)
    if unknown is not None:
        raise InputError(f"stage {stage_id!r}: {unknown!r} cannot be required", _near(unknown, list(FIELDS)))
    action = cells.get("next_action")
    stage = Stage(
        stage_id,
        _name(cells.get("name", stage_id), "the name of a stage"),
        _term(cells, stage_id, "norm"),
        _term(cells, stage_id, "gap"),
        _term(cells, stage_id, "idle"),
        require,
        None if action is None else _name(action, f"stage {stage_id!r}: next_action", _MOST_OF_TEXT),
    )
    if stage.next_action and stage.next_step is None:
        raise InputError(
            f"stage {stage_id!r}: next_action has no day", "add when it is due after the entry: gap or norm"
        )
    return stage


def _term(cells: dict[str, Any], stage: str, key: str) -> str | None:
    return parse_term(cells[key], f"stage {stage!r}: {key}") if key in cells else None


def _stage_cells(stage: Stage) -> dict[str, Any]:
    cells = {name: getattr(stage, name) for name in Stage.__slots__ if getattr(stage, name)}
    return cells | ({"require": list(stage.require)} if stage.require else {})


def _table(document: dict[str, Any], key: str) -> dict[str, Any]:
    table = document.get(key, {})
    if not isinstance(table, dict):
        raise InputError(f"{key}: must be a table")
    return table


def _cadence(table: dict[str, Any], segments: tuple[str, ...]) -> dict[str, int]:
    for segment in table:
        if segment not in (OTHERS, *segments):
            raise InputError(f"cadence: there is no segment {segment!r}", _near(segment, [OTHERS, *segments]))
    days = {segment: split(parse_term(term, f"cadence of {segment!r}")) for segment, term in table.items()}
    for segment, (count, in_working_days) in days.items():
        if in_working_days or not count:
            raise InputError(f"cadence of {segment!r} must be calendar days", 'such as "30d"')
    return {segment: count for segment, (count, _) in days.items()}


def _product(document: Any) -> ListedProduct:
    if not isinstance(document, dict):
        raise InputError("products: must be a list of tables")
    _only(document, "a product", set(ListedProduct.__slots__))
    name = _name(document.get("name"), "the name of a product")
    category = document.get("category")
    price, days = document.get("price"), document.get("use_up_days")
    if price is not None and (isinstance(price, bool) or not isinstance(price, (int, str, float))):
        raise InputError(f"product {name!r}: price must be a number")
    if days is not None and (type(days) is not int or not 1 <= days <= _MOST_DAYS):
        raise InputError(f"product {name!r}: use_up_days must be a whole number from 1 to {_MOST_DAYS}")
    return ListedProduct(
        name,
        None if category is None else _name(category, "the category of a product"),
        None if price is None else str(price),
        days,
    )


def _texts(document: dict[str, Any], key: str) -> tuple[str, ...]:
    values = document.get(key, [])
    if not isinstance(values, list):
        raise InputError(f"{key}: must be a list of texts")
    texts = tuple(_name(value, key) for value in values)
    _distinct(key, list(texts))
    return texts


def _name(value: Any, what: str, most: int = _MOST_LETTERS) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{what} must be a text")
    text = value.strip()
    if len(text) > most or not text.isprintable():
        raise InputError(f"{what} must be printable and at most {most} letters long")
    return text


def _only(document: dict[str, Any], what: str, known: set[str]) -> None:
    for key in document:
        if key not in known:
            raise InputError(f"{what} has no key {key!r}", _near(key, sorted(known)))


def _distinct(what: str, names: list[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name.casefold() in seen:
            raise InputError(f"{what} {name!r} is there twice")
        seen.add(name.casefold())


def _listed(what: str, text: str, known: tuple[str, ...]) -> str:
    for value in known:
        if value.casefold() == text.strip().casefold():
            return value
    raise _unknown(what, text, list(known))


def _unknown(what: str, text: str, known: list[str]) -> InputError:
    shown = text if len(text) <= _MOST_LETTERS else text[:_MOST_LETTERS] + "…"
    return InputError(f"the process has no {what} {shown!r}", _near(text, known))


def _near(text: str, known: list[str]) -> str | None:
    from difflib import get_close_matches

    near = get_close_matches(text.casefold(), [value.casefold() for value in known], n=3, cutoff=0.5)
    shown = [value for value in known if value.casefold() in near] or known
    return f"there is {', '.join(shown[:12])}" if shown else "the list is empty: crmcli process apply fills it"


DEFAULT = Process(
    pipelines=(
        Pipeline(
            "new",
            "New clients",
            (
                Stage("call", "Call", "2bd", "1bd", "3bd", (), "Call: who decides, and by when do they buy?"),
                Stage("discovery", "Discovery", "5bd", "2bd", "5bd", (), "Find out the need and the budget"),
                Stage("proposal", "Proposal", "5bd", "2bd", "5bd", (), "Call: have they read the proposal?"),
                Stage("meeting", "Meeting", "10bd", "2bd", "5bd", (), "Agree on the day of the meeting"),
                Stage("revision", "Revision", "5bd", "2bd", "5bd", (), "Send the revised proposal"),
                Stage("closing", "Closing", "5bd", "1bd", "3bd", (), "Call: what is missing to sign?"),
            ),
        ),
        Pipeline(
            "repeat",
            "Repeat sales",
            (
                Stage("offer", "Offer", "3bd", "1bd", "5bd", (), "Call: offer what they are about to run out of"),
                Stage("agreement", "Agreement", "5bd", "2bd", "5bd", (), "Call: is the order agreed?"),
                Stage("payment", "Payment", "5bd", "2bd", "5bd", (), "Check the payment"),
            ),
        ),
    ),
    lost_reasons=("price", "competitor", "no need", "no budget", "timing", "no answer", "other"),
    sources=("web", "phone", "email", "referral", "walk-in", "advertising", "exhibition", "social", "partner", "other"),
    segments=("private", "business"),
    cadence={OTHERS: 90, "business": 30},
)
