"""Numbers for where a deal may stand, and the moves between them, for the import of stages in columns."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pyarrow as pa

from crmcli.model.moves import moves
from crmcli.model.records import LOST, WON
from crmcli.storage import kernels as pc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CLOSED = (WON, LOST)


class Stops:
    """Numbers for the stages of each pipeline and for how its deals end."""

    def __init__(self, stages: Mapping[str, Sequence[str]]) -> None:
        self._stages = stages
        self._numbers: dict[tuple[str, str], int] = {}

    def __len__(self) -> int:
        """Return how many are numbered."""
        return len(self._numbers)

    @property
    def numbers(self) -> pa.Array:
        """All numbers, in order."""
        return pa.array(range(len(self)), pa.int32())

    def number(self, pipeline: str, word: str) -> int:
        """Return the number of a stage, won or lost."""
        return self._numbers.setdefault((pipeline, word), len(self._numbers))

    def words(self, numbers: pa.Array) -> pa.DictionaryArray:
        """Return what is numbered, as places in a dictionary, null for null."""
        words = pc.coded(pa.array([word for _, word in self._numbers], pa.string()))
        return pa.DictionaryArray.from_arrays(pc.taken(words.indices, numbers), words.dictionary)

    def are_closings(self, numbers: pa.Array) -> pa.Array:
        """Say of each number whether it is how a deal ends."""
        return pc.taken(pa.array([word in _CLOSED for _, word in self._numbers], pa.bool_()), numbers)

    def moves(self, stage: pa.Array, is_closed: pa.Array, to: pa.Array) -> pa.DictionaryArray:
        """Return the move to each stop of deals that are in a stage, or in none, and closed or not."""
        stops = list(self._numbers)
        told = []
        for before, is_over, (pipeline, word) in product([None, *stops], (False, True), stops):
            way = [*([before[1]] if before else []), *([LOST] if is_over else []), word]
            # A deal does not leave its pipeline.
            is_way = before is None or before[0] == pipeline
            told.append(moves(self._stages.get(pipeline, ()), way)[-1][1] if is_way else None)
        known = pc.coded(pa.array(told, pa.string()))
        state = pc.add(pc.multiply(pc.add(pc.coalesce(stage, -1), 1), 2), pc.cast_to(is_closed, pa.int64()))
        codes = pc.taken(known.indices, pc.add(pc.multiply(state, len(stops)), to))
        return pa.DictionaryArray.from_arrays(codes, known.dictionary)
