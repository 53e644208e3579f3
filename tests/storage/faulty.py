"""Makes the n-th system call that matters fail, in this process; as a program, kills a whole crmcli there."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NoReturn

CALLS = ("open", "write", "fsync", "link", "rename", "replace", "unlink", "mkdir")
# What the operating system may refuse for want of space; opening counts where it creates.
SPACE = ("create", "write", "fsync", "link", "rename", "replace", "mkdir")
KINDS = ("create", *CALLS)
OUTPUT = 3

Call = Callable[..., Any]


class Fault:
    """Counts calls of some kinds, by listing them in `seen`; at the n-th, before or after it is done, calls `strike`.

    From then on it strikes at every call of the kinds in `lasting`.
    """

    def __init__(
        self,
        at: int,
        strike: Callable[[], NoReturn],
        *,
        late: bool = False,
        calls: Sequence[str] = KINDS,
        lasting: Sequence[str] = (),
    ) -> None:
        self.at = at
        self.seen: list[str] = []
        self.strike = strike
        self.late = late
        self.calls = calls
        self.lasting = lasting

    @property
    def has_struck(self) -> bool:
        """Whether the n-th call has come."""
        return len(self.seen) >= self.at > 0

    def around(self, name: str, call: Call) -> Call:
        def counted(*arguments: Any, **options: Any) -> Any:
            # What goes to the terminal is no change of the disk.
            if name == "write" and arguments[0] < OUTPUT:
                return call(*arguments, **options)
            kind = "create" if name == "open" and arguments[1] & os.O_CREAT else name
            if self.has_struck and kind in self.lasting:
                return self.strike()
            if kind in self.calls:
                self.seen.append(kind)
            if kind not in self.calls or len(self.seen) != self.at:
                return call(*arguments, **options)
            if self.late:
                done = call(*arguments, **options)
                if name == "open":
                    os.close(done)
            return self.strike()

        return counted


@contextmanager
def wrapped(names: Sequence[str], around: Callable[[str, Call], Call]) -> Iterator[None]:
    """Put something around functions of `os` for as long as the block lasts."""
    before = {name: getattr(os, name) for name in names}
    for name, call in before.items():
        setattr(os, name, around(name, call))
    try:
        yield
    finally:
        for name, call in before.items():
            setattr(os, name, call)


@contextmanager
def injected(fault: Fault) -> Iterator[Fault]:
    """Put a fault around the calls of `os` for as long as the block lasts."""
    with wrapped(CALLS, fault.around):
        yield fault


def failing(error: int) -> Callable[[], NoReturn]:
    """Return what raises an OSError of that number."""

    def strike() -> NoReturn:
        raise OSError(error, os.strerror(error))

    return strike


def interrupt() -> NoReturn:
    raise KeyboardInterrupt


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def crowd() -> None:
    """Let compaction, packing and the removal of what was dropped be due at every turn."""
    from crmcli.storage import log, upkeep

    upkeep.MANY, log.LOOSE, log.SEGMENT, upkeep.KEEP = 2, 3, 7, timedelta(0)


def main() -> None:
    from crmcli import cli

    crowd()
    at, late = int(sys.argv[1]), sys.argv[2] == "late"
    del sys.argv[1:3]
    with injected(Fault(at, die, late=late)):
        cli.main()


if __name__ == "__main__":
    main()
