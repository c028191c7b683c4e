"""A label for every step, each an event of its own: tags of words, states of a series."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from transducer.search.events.rules import EventRules, Found


class StepSearch:
    """The most probable label of each step, the background left out; certain at once. Its state counts the steps.

    Args:
        labels: names, the background first.
        rules: of the kind "steps". A step whose best label has less than its threshold has none.
    """

    def __init__(self, labels: tuple[str, ...], rules: EventRules):
        self.labels = labels
        self._highs = [rules.high_of(label) for label in labels]

    def init(self) -> int:
        return 0

    def step(self, state: int, outputs: NDArray[np.float32]) -> tuple[int, list[Found]]:
        """Log-probabilities (T, V) of T more steps -> the new state, and an event for each that has a label. Pure."""
        probabilities = np.exp(outputs[:, 1:].astype(np.float64))
        found = []
        for number, row in enumerate(probabilities, start=state):
            label = int(row.argmax()) + 1
            score = float(row[label - 1])
            if score >= self._highs[label]:
                found.append(Found(self.labels[label], number, number, score))
        return state + len(outputs), found

    def finish(self, state: int) -> list[Found]:
        """See `EventSearch`: nothing waits."""
        return []

    def restart(self, state: int) -> int:
        """See `EventSearch`."""
        return state

    def needed(self, state: int) -> set[int]:
        """See `EventSearch`."""
        return set()
