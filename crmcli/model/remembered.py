"""Remembered: what the texts of a column mean, each read once, for the cells of a column repeat themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST = 1 << 16
_V = TypeVar("_V")


class Remembered(dict[str, _V]):
    """What texts mean; an empty one means None."""

    def __init__(self, read: Callable[[str], _V]) -> None:
        super().__init__({"": None})  # type: ignore[dict-item]
        self._read = read

    def __missing__(self, text: str) -> _V:
        """Read a text that is new. Raises what reading it does."""
        if len(self) > _MOST:
            self.clear()
            self[""] = None  # type: ignore[assignment]
        value = self[text] = self._read(text)
        return value
