"""The store: a folder of signed commits and encrypted Parquet files. `Store` is its whole public face."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crmcli.storage.store import Store

__all__ = ["Store"]

# Arrow's own allocator asks for huge pages, and clearing those takes longer than decoding into them. The environment
# says which to use instead; Arrow looks there once, when it is loaded.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")


def __getattr__(name: str) -> Any:
    """Import the engines only for who opens a store, not for who asks for help."""
    if name != "Store":
        raise AttributeError(name)
    from crmcli.storage.store import Store

    return Store
