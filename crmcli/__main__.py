"""Where `crmcli` and `python -m crmcli` start: what would cost every run, and serves few, is put off first."""

import gc
import os
import sys
from importlib import import_module
from types import ModuleType
from typing import Any

# A run is short and its process about to go: collecting costs more than it frees.
gc.disable()
# Of the thousands of functions that a library names a run calls few: each is looked up when it is called.
sys.setdlopenflags(os.RTLD_LAZY)

# Modules of the standard library that libraries import at their start and seldom use.
SELDOM_USED = ("socket", "subprocess", "tokenize")


def _put_off(name: str) -> None:
    """Let a module be imported at once, and loaded when something in it is first used."""
    stand_in = ModuleType(name)

    def attribute(wanted: str) -> Any:
        if sys.modules.get(name) is stand_in:
            del sys.modules[name]
        return getattr(import_module(name), wanted)

    stand_in.__getattr__ = attribute  # type: ignore[method-assign]
    sys.modules.setdefault(name, stand_in)


for _name in SELDOM_USED:
    _put_off(_name)

try:
    from crmcli.cli import main
except KeyboardInterrupt:
    os._exit(130)

if __name__ == "__main__":
    main()
