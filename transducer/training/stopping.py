"""When a phase has learned what it can: no progress on held-out examples for some evaluations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

# Measures of which more is better; of all others less is.
_MORE = ("accuracy", "exact", "f1", "map", "precision", "recall")


class Plateau:
    """Counts evaluations without progress, and keeps the weights of the best one.

    Args:
        patience: evaluations without progress after which it is over; 0 for never, and nothing is kept.
    """

    def __init__(self, patience: int):
        self.patience = patience
        self.best: float | None = None
        self.waited = 0
        self.weights: dict[str, Tensor] = {}

    @property
    def over(self) -> bool:
        return bool(self.patience) and self.waited >= self.patience

    def judge(self, rates: Mapping[str, float]) -> bool:
        """Take an evaluation; whether none was better so far. Of equals the later one knows more."""
        if not self.patience or not rates:
            return False
        found = score(rates)
        gained = self.best is None or found > self.best
        kept = self.best is None or found >= self.best
        self.best, self.waited = (found, 0) if gained else (self.best, self.waited + 1)
        return kept

    def keep(self, weights: Mapping[str, Tensor]) -> None:
        """These weights are the best so far."""
        self.weights = {name: value.clone() for name, value in weights.items()}

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "waited": self.waited, "weights": self.weights}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.best, self.waited, self.weights = state["best"], state["waited"], dict(state["weights"])


def score(rates: Mapping[str, float]) -> float:
    """One number of all measures, of which more is better: their mean, those of errors with a minus."""
    signed = [value if name.lower().startswith(_MORE) else -value for name, value in rates.items()]
    return sum(signed) / len(signed)
