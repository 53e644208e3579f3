"""Makes the n-th system call that changes the disk fail, in this process; as a program, kills a whole crmcli there."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

CALLS = ("write", "fsync", "link", "rename", "replace", "unlink")


class Fault:
    """Counts the calls that change the disk; at the n-th one, before or after it is done, calls `strike`.

    A lasting fault strikes at all later calls too, so that nothing is cleared away, as after a kill.
    """

    def __init__(self, at: int, strike: Callable[[], NoReturn], *, late: bool = False, lasting: bool = False) -> None:
        self.at = at
        self.count = 0
        self.strike = strike
        self.late = late
        self.lasting = lasting

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            # What goes to the terminal is no change of the disk.
            if call.__name__ == "write" and arguments[0] < 3:
                return call(*arguments, **options)
            self.count += 1
            if self.lasting and 0 < self.at < self.count:
                return self.strike()
            if self.count != self.at:
                return call(*arguments, **options)
            if self.late:
                call(*arguments, **options)
            return self.strike()

        return counted


@contextmanager
def injected(fault: Fault) -> Iterator[Fault]:
    """Put a fault around the calls of `os` for as long as the block lasts."""
    before = {name: getattr(os, name) for name in CALLS}
    for name, call in before.items():
        setattr(os, name, fault.around(call))
    try:
        yield fault
    finally:
        for name, call in before.items():
            setattr(os, name, call)


def failing(error: int) -> Callable[[], NoReturn]:
    """Return what raises an OSError of that number."""

    def strike() -> NoReturn:
        raise OSError(error, os.strerror(error))

    return strike


def interrupt() -> NoReturn:
    raise KeyboardInterrupt


def die() -> NoReturn:
    os._exit(9)


def main() -> None:
    from crmcli import cli

    at, late = int(sys.argv[1]), sys.argv[2] == "late"
    del sys.argv[1:3]
    with injected(Fault(at, die, late=late)):
        cli.main()


if __name__ == "__main__":
    main()
