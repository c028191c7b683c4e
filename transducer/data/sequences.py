"""Pairs (x, y) in memory, as a source of examples."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transducer.data.pairs import Pair, Target
from transducer.errors import UsageError


class Sequences:
    """A `PairSource` of what is there already; batches are planned by length.

    Args:
        x: (T, C) each, uint8 or float32, as a medium's `check` gives them.
        y: what is to be said of each, see `Pair`.
        ids: for messages; their numbers if None.
        title: for the report, such as "held-out sentences".
        described: for the model's card, see `Described`.

    Raises:
        UsageError: there are other many y than x.
    """

    def __init__(
        self,
        x: Sequence[NDArray[Any]],
        y: Sequence[Target | Mapping[str, Target]],
        ids: Sequence[str] | None = None,
        title: str = "held-out examples",
        described: Sequence[dict[str, Any]] = (),
    ):
        if len(x) != len(y) or (ids is not None and len(ids) != len(x)):
            raise UsageError(f"{len(x)} x need as many y and ids, got {len(y)} y")
        self.x, self.y, self.title = x, y, title
        self.ids = ids if ids is not None else [str(number) for number in range(len(x))]
        self.lengths = np.array([len(steps) for steps in x], dtype=np.int64)
        self._described = list(described)
        self.fingerprint = self._fingerprint()

    def __len__(self) -> int:
        return len(self.x)

    def pair(self, index: int, rng: np.random.Generator) -> Pair:
        """See `PairSource`."""
        return Pair(self.x[index], self.y[index], self.ids[index])

    def describe(self) -> list[dict[str, Any]]:
        """See `Described`."""
        return self._described

    def _fingerprint(self) -> str:
        found = hashlib.sha256()
        for steps, target in zip(self.x, self.y, strict=True):
            found.update(np.ascontiguousarray(steps).tobytes())
            found.update(repr(target.tolist() if isinstance(target, np.ndarray) else target).encode())
        return found.hexdigest()[:16]
