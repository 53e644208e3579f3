"""Work on several things at once: what decodes or compares columns leaves Python's lock, so that threads help."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

Item = TypeVar("Item")
Result = TypeVar("Result")


# To wake somebody for each of thousands of items takes as long as a short work.
_GROUP = 16


def streamed(work: Callable[[Item], Result], items: Sequence[Item], threads: int) -> Iterator[Result]:
    """Yield what `work` makes of each item, in order, while others are at work; after a failure no more is begun.

    Raises: what it raises of the first item of which it raises anything.
    """
    if not items:
        return
    from concurrent.futures import ThreadPoolExecutor

    groups = [items[start : start + _GROUP] for start in range(0, len(items), _GROUP)]
    with ThreadPoolExecutor(threads) as pool:
        try:
            for results in pool.map(lambda group: [work(item) for item in group], groups):
                yield from results
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


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


def side_by_side(*tasks: Callable[[], Any]) -> list[Any]:
    """Return what each task comes to, all of them at work at once. Raises: what the first of them that fails does."""
    return at_once(lambda task: task(), tasks)
