"""Our frozen dataclasses are those of the standard library in all that a caller can see."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import pytest

from crmcli.model import frozen


class _Plain:
    first: int
    second: str = "two"
    third: list[int] = dataclasses.field(default_factory=list)


def made(decorator: Any, **options: bool) -> Any:
    namespace = {name: value for name, value in vars(_Plain).items() if name not in ("__dict__", "__weakref__")}
    return decorator(frozen=True, **options)(type("Shape", (), namespace))


OURS, THEIRS = (made(decorator, slots=True) for decorator in (frozen.dataclass, dataclasses.dataclass))
globals()["Shape"] = OURS


@pytest.mark.parametrize("values", [(1,), (1, "x"), (1, "x", [3])])
def test_what_is_built_shown_and_compared_is_the_same(values: tuple[Any, ...]) -> None:
    ours, theirs = OURS(*values), THEIRS(*values)
    assert repr(ours) == repr(theirs)
    assert dataclasses.asdict(ours) == dataclasses.asdict(theirs)
    assert dataclasses.replace(ours, first=9) == OURS(9, *values[1:])
    assert (ours == OURS(*values), ours == OURS(2), ours == theirs) == (True, False, False)
    assert OURS.__match_args__ == THEIRS.__match_args__
    assert OURS.__slots__ == THEIRS.__slots__
    assert copy.deepcopy(ours) == pickle.loads(pickle.dumps(ours)) == ours  # noqa: S301 - written a moment ago


def test_hash_follows_the_values() -> None:
    assert hash(OURS(1, "x", ())) == hash(OURS(1, "x", ())) != hash(OURS(2, "x", ()))
    with pytest.raises(TypeError):
        hash(OURS(1))


def test_defaults_that_are_made_are_made_each_time() -> None:
    assert OURS(1).third is not OURS(1).third


@pytest.mark.parametrize("shape", [OURS, THEIRS])
@pytest.mark.parametrize("values", [(), (1, "x", [], 4)])
def test_wrong_number_of_values_is_refused(shape: Any, values: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError):
        shape(*values)


def test_nothing_can_be_changed() -> None:
    shape = OURS(1)
    for name in ("first", "other"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(shape, name, 2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        del shape.first
    assert shape.first == 1


def test_only_frozen_ones_are_made_here() -> None:
    with pytest.raises(TypeError):
        frozen.dataclass(frozen=False)
