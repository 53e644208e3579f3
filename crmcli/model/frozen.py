"""Frozen dataclasses as the standard library defines them, with one function compiled for each in use instead of six.

Compiling those was a tenth of every command. What does not differ from class to class stands here once.
"""

from __future__ import annotations

import dataclasses
from dataclasses import MISSING, FrozenInstanceError, fields
from typing import TYPE_CHECKING, Any, NoReturn

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass
else:

    def dataclass(*, frozen: bool, slots: bool = False) -> Callable[[type[Any]], type[Any]]:
        """Return the decorator that `dataclasses.dataclass(frozen=True, slots=slots)` is; it takes nothing else."""
        if not frozen:
            raise TypeError("dataclasses.dataclass defines those that are not frozen")
        plain = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots)
        return lambda cls: _frozen(plain(cls))


def _frozen(cls: type[Any]) -> type[Any]:
    for method in (_initialiser(cls), _repr, _eq, _hash, _setattr, _delattr, _reduce):
        setattr(cls, f"__{method.__name__.strip('_')}__", method)
    return cls


def _initialiser(cls: type[Any]) -> Any:
    """Return an `__init__` that gives way to the real one at the first record, for most runs make none of most."""

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - as it becomes a method
        cls.__init__ = _compiled(cls)
        self.__init__(*args, **kwargs)

    return __init__


def _compiled(cls: type[Any]) -> Any:
    """Return the `__init__` of a class: its fields in order, with their defaults."""
    known: dict[str, Any] = {"_set": object.__setattr__, "_made": object()}
    parameters, lines = ["self"], []
    for field in fields(cls):
        name, value = field.name, field.name
        if field.default_factory is not MISSING:
            known[f"_new_{name}"] = field.default_factory
            parameters.append(f"{name}=_made")
            value = f"_new_{name}() if {name} is _made else {name}"
        elif field.default is not MISSING:
            known[f"_default_{name}"] = field.default
            parameters.append(f"{name}=_default_{name}")
        else:
            parameters.append(name)
        lines.append(f" _set(self, {name!r}, {value})")
    # The names are those of our own fields; nothing that anybody typed is in this text.
    exec(f"def __init__({', '.join(parameters)}):\n" + "\n".join(lines), known)  # noqa: S102
    return known["__init__"]


def _values(record: Any) -> tuple[Any, ...]:
    return tuple(getattr(record, name) for name in type(record).__dataclass_fields__)


def _repr(self: Any) -> str:
    cells = (f"{name}={getattr(self, name)!r}" for name in type(self).__dataclass_fields__)
    return f"{type(self).__qualname__}({', '.join(cells)})"


def _eq(self: Any, other: object) -> bool:
    return _values(self) == _values(other) if type(other) is type(self) else NotImplemented


def _hash(self: Any) -> int:
    return hash(_values(self))


def _setattr(self: Any, name: str, value: object) -> NoReturn:  # noqa: ARG001 - as Python calls it
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _delattr(self: Any, name: str) -> NoReturn:  # noqa: ARG001 - as Python calls it
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _reduce(self: Any) -> tuple[Any, ...]:
    return type(self), _values(self)
