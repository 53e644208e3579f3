"""Rules of what must be known before a deal moves on from a stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmcli.errors import RuleError
from crmcli.model.ids import encode_id
from crmcli.model.process import DEAL_FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crmcli.model.process import Pipeline, Stage
    from crmcli.model.records import Client, Contact, Deal

# The word in the name of a column that holds several.
_MANY = {"phone": "phones", "email": "emails"}


def stages_left(pipeline: Pipeline, deal: Deal, to: str | None, *, is_won: bool = False) -> tuple[Stage, ...]:
    """Return the stages that a deal leaves behind on its way to the next one, to `to` or, won, to the end.

    Going back leaves none behind. Raises: InputError if the pipeline has no stage `to`.
    """
    known = [stage.id for stage in pipeline.stages]
    here = known.index(deal.stage) if deal.stage in known else 0
    if is_won:
        return pipeline.stages[here:]
    target = here + 1 if to is None else known.index(pipeline.stage(to).id)
    return pipeline.stages[here:target]


def require(stages: Iterable[Stage], client: Client, contact: Contact, deal: Deal, *, is_interest_known: bool) -> None:
    """Raise RuleError that names what the stages require and nobody knows yet, and the commands that fill it in."""
    required = dict.fromkeys(name for stage in stages for name in stage.require)
    missing = [name for name in required if not _is_known(name, client, contact, deal, is_interest_known)]
    if not missing:
        return
    commands = []
    for command, names in (
        (f"edit-client {encode_id(client.client_id)}", [name for name in missing if name not in DEAL_FIELDS]),
        (
            f"edit-deal {encode_id(client.client_id)} --deal {encode_id(deal.deal_id)}",
            [name for name in missing if name in DEAL_FIELDS],
        ),
    ):
        options = (f"--{name.replace('_', '-')} {name.upper()}" for name in names)
        commands += [" ".join((f"crmcli {command}", *options))] if names else []
    raise RuleError(
        f"before the deal moves on this must be known: {', '.join(name.replace('_', ' ') for name in missing)}",
        "; ".join(commands),
    )


def _is_known(name: str, client: Client, contact: Contact, deal: Deal, is_interest_known: bool) -> bool:  # noqa: FBT001
    if name == "interest":
        return is_interest_known
    column = {"product": "product_id"}.get(name, _MANY.get(name, name))
    holder = next(record for record in (contact, client, deal) if hasattr(record, column))
    return getattr(holder, column) not in (None, (), "")
