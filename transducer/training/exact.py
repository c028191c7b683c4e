"""How many sequences are right to the last token."""

from __future__ import annotations

from dataclasses import dataclass

from transducer.data.pairs import PairSource
from transducer.heads.metrics import TokenErrors
from transducer.model.network import Network
from transducer.training.evaluation import measure, rates


@dataclass(frozen=True)
class ExactSequences:
    """A recipe's `evaluate` for heads of tokens: `exact:HEAD` beside `error:HEAD`, the edits a token.

    Attributes:
        head: its name in the model.
    """

    head: str

    def __call__(self, network: Network, source: PairSource) -> dict[str, float]:
        metrics = measure(network, source, [self.head])
        found = metrics.get(self.head)
        if not isinstance(found, TokenErrors):
            return {}
        return {f"exact:{self.head}": found.right / found.sequences, **rates(metrics)}
