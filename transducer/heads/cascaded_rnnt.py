"""An RNN-T with an encoder of its own, which reads nothing but the posteriors of another head.

The idea is that of cascaded encoders (Narayanan et al. 2021, arXiv:2010.14606): what is said (phones) first, how it
is written after that. Posteriors of phones are a narrow place between the two. What lies behind it never hears a
voice, so that it can learn to write from far more text than there is speech (see docs/speech-en.md).

Legend of axis suffixes: B batch, T frames, V tokens of the head that is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from transducer.cores.conformer import ConformerLayer
from transducer.cores.layers import Pointwise
from transducer.encoders.stacking import Stack
from transducer.heads.ctc import CTC
from transducer.heads.rnnt import RNNT, LSTMPredictor
from transducer.model.config import HeadConfig, ModelConfig, register
from transducer.model.sequence import Serial, State

if TYPE_CHECKING:
    from transducer.search.searching import RNNTSearching

# Seconds without a word that end a segment, where words come when they are over: pauses and the word after them.
LATE_WORDS = 1.4
CONTEXT = 32  # pieces of the segments before that the predictor reads first
_FLOOR = -10.0  # log-probabilities below this say the same


@register("cascaded_rnnt")
@dataclass(frozen=True)
class CascadedRNNTConfig(HeadConfig):
    """An RNN-T behind a CTC head, see `CascadedRNNT`; `source` is that head's name."""

    units: str = "pieces"
    source: str = "phones"
    stack: int = 2
    width: int = 256
    heads: int = 4
    hidden: int = 512
    layers: int = 3
    kernel: int = 9
    chunk: int = 8
    left_context: int = 32
    predictor: int = 384
    delay: int = 3

    def build(self, channels: int, model: ModelConfig) -> CascadedRNNT:
        sizes = {name: value for name, value in vars(self).items() if name not in ("units", "source")}
        if self.source not in model.heads:
            raise ValueError(f"there is no head {self.source[:40]!r} to read, but {', '.join(model.heads)}")
        sources = model.tokens(model.heads[self.source].units)
        head = CascadedRNNT(channels, sources, model.tokens(self.units), **sizes)
        head.config = self
        return head

    @classmethod
    def examples(cls) -> tuple[CascadedRNNTConfig, ...]:
        return (cls("pieces", "ctc", 2, 8, 2, 12, 1, 5, 2, 6, 6, delay=2),)


class Posteriors(nn.Module):
    """Log-probabilities (..., V) -> probabilities and scaled logarithms, (..., 2 V): some see one better, some the
    other."""

    def forward(self, log_probs: Tensor) -> Tensor:
        return torch.cat([log_probs.exp(), log_probs.clamp(min=_FLOOR) * (-2 / _FLOOR) + 1], dim=-1)


class CascadedRNNT(RNNT):
    """(B, T, C) -> (B, ceil(T / stack), predictor): CTC posteriors, Conformer layers, projected for the joint network.

    The last piece of a word comes when the word is over, some `delay` of its own steps later.

    Args:
        channels: of the frames that the head gets.
        sources: tokens of the CTC head that it reads. It has a copy of that head, `source`.
        tokens: of its own.
        stack: frames that its encoder takes at a time.
        width, heads, hidden, layers, kernel, chunk, left_context: see `ConformerLayer`, in steps of the encoder.
        predictor: units of the LSTM that reads what has been written.
        delay: steps from the end of a word to its last piece, in the mean.
    """

    max_symbols = 12  # a whole word at a time

    def __init__(
        self,
        channels: int,
        sources: int,
        tokens: int,
        stack: int = 2,
        width: int = 256,
        heads: int = 4,
        hidden: int = 512,
        layers: int = 3,
        kernel: int = 9,
        chunk: int = 8,
        left_context: int = 32,
        predictor: int = 384,
        delay: int = 3,
    ):
        if delay < 0:
            raise ValueError(f"what is written cannot come {-delay} steps before it is heard")
        super().__init__(width, tokens, "lstm", predictor)
        self.delay = delay
        self.source = CTC(channels, sources)
        self.core = Serial(
            Pointwise(Posteriors()),
            Stack(stack),
            Pointwise(nn.Sequential(nn.Linear(2 * sources * stack, width), nn.LayerNorm(width))),
            *(ConformerLayer(width, heads, hidden, kernel, chunk, left_context) for _ in range(layers)),
        )
        # Small at first: the first steps are not to be spent on unlearning random preferences.
        nn.init.normal_(self.predictor.embedding.weight, std=0.05)
        nn.init.normal_(self.out.weight, std=0.02)

    @property
    def stride(self) -> int:
        return self.core.stride

    @property
    def latency(self) -> int:
        return self.core.latency

    @property
    def block(self) -> int:
        return self.core.block

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return self.project(*self.source(x, mask))

    def project(self, log_probs: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The same from the log-probabilities (B, T, V) that the copied head would give."""
        x, mask = self.core(log_probs, mask)
        return self.frames(x), mask

    def searching(self) -> RNNTSearching:
        """Words, each of which comes when it is over; its beginning is estimated."""
        from transducer.search.searching import RNNTSearching

        return RNNTSearching(self.max_symbols, self.max_symbols, CONTEXT, self.delay, LATE_WORDS)

    def matrices(self) -> Iterator[nn.Parameter]:
        """See `Head`."""
        assert isinstance(self.predictor, LSTMPredictor)
        return (p for part in (self.core, self.predictor.lstm) for p in part.parameters() if p.ndim == 2)

    def init_state(self, batch: int, like: Tensor) -> State:
        return self.core.init_state(batch, like)

    def step(self, x: Tensor, mask: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        log_probs, mask, _ = self.source.step(x, mask, ())
        x, mask, state = self.core.step(log_probs, mask, state)
        return self.frames(x), mask, state
