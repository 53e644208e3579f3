"""Work on several things at once: what decodes or compares columns leaves Python's lock, so that threads help."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Item = TypeVar("Item")
Result = TypeVar("Result")


def at_once(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Return what `work` makes of each item, in order; as many at once as there are processors.

    Raises: what it raises of the first item of which it raises anything.
    """
    waiting = list(enumerate(items))[::-1]
    results: dict[int, Result] = {}
    failures: dict[int, BaseException] = {}

    def loop() -> None:
        while waiting and not failures:
            try:
                place, item = waiting.pop()
            except IndexError:
                return
            try:
                results[place] = work(item)
            except BaseException as error:  # noqa: BLE001 - raised again where the work was asked for
                failures[place] = error

    others = [threading.Thread(target=loop) for _ in range(min(len(waiting), os.cpu_count() or 1) - 1)]
    for other in others:
        other.start()
    loop()
    for other in others:
        other.join()
    if failures:
        raise failures[min(failures)]
    return [results[place] for place in sorted(results)]
