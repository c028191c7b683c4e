"""Whether an exported model says what its checkpoint says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from transducer.engine.engine import Engine
from transducer.engine.model import Model
from transducer.errors import UsageError
from transducer.search.options import NO_SECOND_PASS

NOISE = 8  # blocks of noise where there is no recording
MOST = 64  # blocks of a recording whose numbers are compared; its results are compared as a whole
CLOSE = 1e-2  # of outputs, which are log-probabilities


class Check(NamedTuple):
    """What was compared.

    Attributes:
        difference: the largest one between outputs.
        compared: results; equal: how many of them are the same.
    """

    difference: float
    compared: int
    equal: int


def check(model: Model, exported: Model, recordings: Sequence[str | Path], exact: bool) -> Check:
    """Compare numbers of every head, and the results of recordings.

    Args:
        exact: whether results must be the same, and numbers close.

    Raises:
        UsageError: they must, and are not. MediaError: a recording cannot be read.
    """
    largest, compared, equal = 0.0, 0, 0
    for head in model.config.heads:
        sources: list[Any] = list(recordings) or [None]
        for source in sources:
            ours, theirs = (one.engine(head=head, search=_search(one, head)) for one in (model, exported))
            largest = max(largest, _difference(ours, theirs, list(_blocks(model, theirs, source))))
    for source in recordings:
        compared += 1
        equal += _results(model, source) == _results(exported, source)
    if exact and (largest > CLOSE or equal < compared):
        raise UsageError(
            f"the exported model is not the same as {model.name}: outputs differ by {largest:.2g}, and "
            f"{compared - equal} of {compared} results differ"
        )
    return Check(largest, compared, equal)


def _search(model: Model, head: str) -> str | None:
    """Greedy where the head writes words: its search needs nothing more."""
    return None if model.engine(head=head).kind == "events" else "greedy"


def _blocks(model: Model, engine: Engine, source: Any) -> Iterator[NDArray[Any]]:
    """Steps of the medium, as many as the exported network takes at a time."""
    size, medium = engine.network.block, model.medium
    if source is None:
        rng = np.random.default_rng(0)
        for _ in range(NOISE):
            noise = (
                rng.normal(0, 0.1, (size, medium.channels))
                if medium.name == "samples"
                else rng.integers(0, 2 if medium.dtype != np.uint8 else 256, (size, medium.channels))
            )
            yield noise.astype(medium.dtype)
        return
    with medium.open(source) as reader:
        waiting = np.zeros((0, medium.channels), medium.dtype)
        count = 0
        for block in reader:
            waiting = np.concatenate([waiting, block.inputs])
            while len(waiting) >= size and count < MOST:
                yield waiting[:size]
                waiting, count = waiting[size:], count + 1


def _difference(ours: Engine, theirs: Engine, blocks: Sequence[NDArray[Any]]) -> float:
    one, two = ours.init_state(1), theirs.init_state(1)
    largest = 0.0
    for block in blocks:
        (a,), one = ours.encode([block], len(block), one)
        (b,), two = theirs.encode([block], len(block), two)
        if a.shape != b.shape:
            return float("inf")
        largest = max(
            largest,
            float(np.abs(np.exp(a) - np.exp(b)).max(initial=0.0))
            if (a <= 1e-3).all()
            else float(np.abs(a - b).max(initial=0.0)),
        )
    return largest


def _results(model: Model, source: Any) -> Any:
    found = model.predict(source, second_pass=NO_SECOND_PASS)
    text = getattr(found, "text", None)
    return text if text is not None else [(event.label, event.start_frame, event.end_frame) for event in found.events]
