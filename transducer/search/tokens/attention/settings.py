"""How a label-synchronous decoder is searched, and what it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from transducer.errors import UsageError

KINDS = ("greedy", "beam", "sample")


@dataclass(frozen=True)
class Settings:
    """How to search.

    Attributes:
        kind: "greedy", "beam" or "sample".
        beam: hypotheses that a beam search keeps.
        length_penalty, coverage_penalty: alpha and beta of Wu et al. 2016 (arXiv:1609.08144, equation 14): a finished
            hypothesis Y, its end counted, has the score log P(Y) / ((5 + |Y|) / 6)^alpha + beta * sum over the steps
            of log(min(attention that the step got, 1)).
        temperature: of sampling; less makes the probable more probable.
        top_k: sample from so many most probable tokens; None for all.
        top_p: sample from the fewest most probable tokens that have so much probability together (Holtzman et al.
            2020, arXiv:1904.09751).
        seed: of sampling: with the same one the same is drawn.
        scorer_weight: of a language model's log-probabilities in a beam search (shallow fusion).
        nbest: hypotheses to give.
        align: whether to tell when each token was said.

    Raises:
        UsageError: a number that makes no sense.
    """

    kind: str = "greedy"
    beam: int = 8
    length_penalty: float = 0.6
    coverage_penalty: float = 0.0
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    seed: int = 0
    scorer_weight: float = 0.3
    nbest: int = 1
    align: bool = True

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"unknown search {self.kind!r}: there are {', '.join(KINDS)}")
        if self.beam < 1 or (self.top_k is not None and self.top_k < 1) or self.nbest < 1:
            raise UsageError("a beam, top_k and the number of alternatives are at least 1")
        if min(self.length_penalty, self.coverage_penalty, self.scorer_weight, self.seed) < 0:
            raise UsageError("penalties, the weight of a language model and a seed are at least 0")
        if not self.temperature > 0 or not 0 < self.top_p <= 1:
            raise UsageError("a temperature is more than 0, and top_p more than 0 and at most 1")

    def normalised(self, log_prob: float, length: int) -> float:
        """The score of a hypothesis of so many tokens, its end counted, without coverage."""
        return float(log_prob / ((5 + length) / 6) ** self.length_penalty)


class Decodes(Protocol):
    """A decoder as the search sees it, see `transducer.heads.decoders.decoder.Decoder`.

    It takes and gives tensors on its device, or where that is None arrays of NumPy.
    """

    @property
    def exact(self) -> bool: ...
    @property
    def device(self) -> Any: ...
    def attend_to(self, memory: Any, mask: Any) -> Any: ...
    def __call__(self, tokens: Any, memory: Any) -> tuple[Any, Any]: ...
    def start(self, memory: Any) -> Any: ...
    def step(self, tokens: Any, memory: Any, state: Any) -> tuple[Any, Any, Any]: ...


class TokenScorer(Protocol):
    """A language model over the same tokens, of which number 0 is the end."""

    def log_probs(self, texts: Sequence[tuple[int, ...]]) -> NDArray[np.float32]:
        """(N, V): of the token after each of N texts."""
        ...


Limit = Callable[[int], int]  # steps of a memory -> tokens, at most
