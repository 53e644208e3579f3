"""The prescribed process in the store: its versions, and the products that it lists."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from crmcli.errors import InputError, RuleError
from crmcli.model.records import OPEN, Document, Product
from crmcli.storage.tables import TABLES
from crmcli.storage.team import require_admin

if TYPE_CHECKING:
    from crmcli.model.acting import Acting
    from crmcli.model.process import ListedProduct, Process
    from crmcli.storage.view import Draft, View

_CENT = Decimal("0.01")
_MOST = Decimal(10) ** 16


def apply_process(draft: Draft, acting: Acting, process: Process) -> int:
    """Put a process as the newest version, with its products, unless it is the present one; return its version.

    Raises: NotPermittedError for who is no admin; what `check_process` raises.
    """
    require_admin(draft.store, "the process")
    draft.depends_on("process", "products", "deals")
    check_process(draft, process)
    newest, is_same = draft.newest("process"), process == present_process(draft)
    _put_products(draft, acting, process)
    if is_same:
        return newest.version
    text = json.dumps(process.to_plain(), ensure_ascii=False)
    version = newest.version + 1
    draft.put_document("process", Document(acting.new_id(), version, text, acting.now, acting.by))
    return version


def present_process(view: View) -> Process:
    """Return the process with the products that it lists as they are by now: they may have been set since."""
    known = {product.name.casefold(): product for product in view.products}
    listed = (_present(one, known.get(one.name.casefold())) for one in view.process.products)
    return replace(view.process, products=tuple(listed))


def _present(listed: ListedProduct, product: Product | None) -> ListedProduct:
    if product is None:
        return listed
    # What costs the same stays as it was written.
    is_same = _price(listed.name, listed.price) == product.price
    price = listed.price if is_same else None if product.price is None else f"{product.price.normalize():f}"
    return replace(listed, category=product.category, price=price, use_up_days=product.use_up_days)


def check_process(view: View, process: Process) -> None:
    """Raise InputError for a price that is none, RuleError if open deals stand at a stage that a process has not."""
    for listed in process.products:
        _price(listed.name, listed.price)
    _check_stages(view, process)


def _check_stages(view: View, process: Process) -> None:
    """Raise RuleError, with what to do, if open deals stand at a stage that a process has not."""
    known = {(pipeline.id, stage.id) for pipeline in process.pipelines for stage in pipeline.stages}
    columns = ["status", "pipeline", "stage"]
    rows = view.reader.merged("deals", columns)
    standing = Counter(zip(*(rows.column(name).to_pylist() for name in columns), strict=True))
    left = {
        (pipeline, stage): count
        for (status, pipeline, stage), count in standing.items()
        if status == OPEN and (pipeline, stage) not in known
    }
    if left:
        (pipeline, stage), count = max(left.items(), key=lambda item: item[1])
        others = f", and {sum(left.values()) - count} at others" if len(left) > 1 else ""
        raise RuleError(
            f"open deals stand at stage {stage!r} of pipeline {pipeline!r}, which the file has not: {count}{others}",
            f"keep the stage, or move them first: crmcli list deals --stage {stage}",
        )


def _put_products(draft: Draft, acting: Acting, process: Process) -> None:
    """Put the products that a process lists: known ones, by name, are changed, new ones added."""
    known = {product.name.casefold(): product for product in draft.products}
    for listed in process.products:
        before = known.get(listed.name.casefold())
        number = before.product_id if before else acting.new_id()
        product = Product(number, listed.name, listed.category, _price(listed.name, listed.price), listed.use_up_days)
        if product != before:
            draft.put_into(TABLES["products"], [product])


def _price(name: str, text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        price = Decimal(text)
        if 0 <= price < _MOST and price == price.quantize(_CENT):
            return price.quantize(_CENT)
    except ArithmeticError:
        pass
    raise InputError(f"product {name!r}: price must be a number from 0 on with at most two places")
