"""Numbers instead of labels: those of every step, and those of the whole."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from transducer.search.events.rules import EventRules, Found
from transducer.search.events.steps import StepSearch

DIGITS = 6  # that count, of the hardly more than seven of float32


def found_numbers(start: int, end: int, row: NDArray[np.float32]) -> Found:
    """What was found from one step to another: (V,) numbers, and the same as text with spaces between them."""
    texts = [f"{float(value):.{DIGITS}g}" for value in row]
    return Found(" ".join(texts), start, end, 1.0, tuple(map(float, texts)))


class NumberSearch(StepSearch):
    """The numbers of each step, each step an event of its own; certain at once. Its state counts the steps.

    Args:
        labels: "" and what the numbers are called. rules: of the kind "numbers".
    """

    def __init__(self, labels: tuple[str, ...], rules: EventRules):
        self.labels = labels

    def step(self, state: int, outputs: NDArray[np.float32]) -> tuple[int, list[Found]]:
        """T more steps, (T, V) -> the new state, and an event for each. Pure."""
        found = [found_numbers(number, number, row) for number, row in enumerate(outputs, start=state)]
        return state + len(outputs), found


class WholeNumberState(NamedTuple):
    """Steps seen, the numbers (V,) of the last one, and the first step."""

    frame: int = 0
    last: NDArray[np.float32] | None = None
    first: int = 0


class WholeNumberSearch:
    """The numbers of the last step, which a head that judges by all steps so far says of the whole.

    Args:
        labels: "" and what the numbers are called. rules: of the kind "whole_numbers".
    """

    def __init__(self, labels: tuple[str, ...], rules: EventRules):
        self.labels = labels

    def init(self) -> WholeNumberState:
        return WholeNumberState()

    def step(self, state: WholeNumberState, outputs: NDArray[np.float32]) -> tuple[WholeNumberState, list[Found]]:
        """T more steps, (T, V) -> the new state, and no event. Pure."""
        last = outputs[-1].copy() if len(outputs) else state.last
        return WholeNumberState(state.frame + len(outputs), last, state.first), []

    def finish(self, state: WholeNumberState) -> list[Found]:
        """The numbers, from the first step to the last."""
        return [] if state.last is None else [found_numbers(state.first, state.frame - 1, state.last)]

    def restart(self, state: WholeNumberState) -> WholeNumberState:
        """See `EventSearch`. What follows is another whole."""
        return WholeNumberState(state.frame, None, state.frame)

    def needed(self, state: WholeNumberState) -> set[int]:
        """See `EventSearch`."""
        return {state.first}
