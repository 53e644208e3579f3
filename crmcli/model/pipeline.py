"""Rules of deals: opening one, moving it through the stages of its pipeline, winning, losing and reopening it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from crmcli.errors import RuleError
from crmcli.model.records import LOST, OPEN, WON, Client, Deal, StageChange

if TYPE_CHECKING:
    from datetime import date
    from decimal import Decimal

    from crmcli.model.acting import Acting
    from crmcli.model.process import Pipeline


def open_deal(
    acting: Acting, pipeline: Pipeline, client: Client, amount: Decimal | None = None
) -> tuple[Deal, StageChange]:
    """Return a new deal at the first stage, with the sum expected, and its first entry in the history."""
    first = pipeline.stages[0].id
    deal = Deal(
        acting.new_id(),
        client.client_id,
        acting.by,
        pipeline.id,
        first,
        opened_at=acting.at,
        entered_at=acting.at,
        amount=amount,
    )
    return deal, _change(acting, deal, None, first, "open")


def advance(acting: Acting, pipeline: Pipeline, deal: Deal, to: str | None) -> tuple[Deal, StageChange]:
    """Return the deal at its next stage, or at the stage `to`: further on, back, or reopened if it was lost.

    Raises: RuleError if it is won, is there already, or stands at the last stage.
    """
    _check_order(acting, deal)
    if deal.status == WON:
        raise RuleError("the deal is won", "a new purchase is a new deal")
    if to is None:
        if deal.status == LOST:
            raise RuleError("the deal is lost", "reopen it with --to STAGE")
        here = pipeline.position(deal.stage)
        if here == len(pipeline.stages):
            raise RuleError("the deal is at the last stage", "close it with --won AMOUNT or --lost REASON")
        target = pipeline.stages[here].id
    else:
        target = pipeline.stage(to).id
    move = _move(pipeline, deal, target)
    moved = replace(
        deal,
        stage=target,
        status=OPEN,
        entered_at=acting.at,
        opened_at=deal.opened_at or acting.at,
        closed_at=None,
        lost_reason=None,
        return_on=None,
    )
    return moved, _change(acting, deal, deal.stage, target, move)


def _move(pipeline: Pipeline, deal: Deal, target: str) -> str:
    if deal.status == LOST:
        return "reopen"
    if target == deal.stage:
        raise RuleError(f"the deal is at stage {target} already")
    known = [stage.id for stage in pipeline.stages]
    steps = known.index(target) - (known.index(deal.stage) if deal.stage in known else -1)
    if steps < 0:
        return "back"
    return "forward" if steps == 1 else "skip"


def win(acting: Acting, deal: Deal, amount: Decimal) -> tuple[Deal, StageChange]:
    """Return the deal won for a sum. Raises: RuleError if it is closed."""
    _check_open(deal)
    _check_order(acting, deal)
    won = replace(deal, status=WON, closed_at=acting.at, amount=amount)
    return won, _change(acting, deal, deal.stage, WON, WON)


def lose(acting: Acting, deal: Deal, reason: str, return_on: date | None = None) -> tuple[Deal, StageChange]:
    """Return the deal lost for a reason from the list. Raises: RuleError if it is closed."""
    _check_open(deal)
    _check_order(acting, deal)
    lost = replace(deal, status=LOST, closed_at=acting.at, lost_reason=reason, return_on=return_on)
    return lost, _change(acting, deal, deal.stage, LOST, LOST)


def _check_open(deal: Deal) -> None:
    if deal.status != OPEN:
        raise RuleError(f"the deal is {deal.status} already", "reopen a lost one with --to STAGE")


def _check_order(acting: Acting, deal: Deal) -> None:
    latest = max((at for at in (deal.entered_at, deal.closed_at) if at is not None), default=None)
    if latest is not None and acting.at < latest:
        if acting.at == acting.now:
            raise RuleError(
                "the clock is behind the deal's last change", "set this machine's clock right: crmcli doctor checks it"
            )
        raise RuleError("--when is before the deal's last change")


def _change(acting: Acting, deal: Deal, before: str | None, after: str, move: str) -> StageChange:
    return StageChange(
        acting.new_id(), deal.deal_id, deal.client_id, deal.pipeline, before, after, move, acting.at, acting.by
    )
