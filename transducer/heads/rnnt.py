"""Recurrent neural network transducer (Graves 2012, arXiv:1211.3711): predictor, joint network and loss.

Legend of axis suffixes: B batch, T frames, U tokens of the target, V vocabulary, N hypotheses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from transducer.heads.ctc import BLANK, sequence_loss
from transducer.heads.head import Head, Loss, Target
from transducer.heads.metrics import TokenErrors
from transducer.model.config import HeadConfig, ModelConfig, register
from transducer.model.packing import PackedGates, is_packed
from transducer.model.sequence import State
from transducer.model.torchaudio import torchaudio_functional

if TYPE_CHECKING:
    from transducer.search.context import SearchContext
    from transducer.search.result_search import ResultSearch
    from transducer.search.searching import RNNTSearching


class StatelessPredictor(nn.Module):
    """The last `context` tokens, embedded and mixed (Ghodsi et al. 2020): a bigram-like predictor.

    Its state is (N, context) int64, the newest token last.
    """

    def __init__(self, tokens: int, channels: int, context: int = 2):
        super().__init__()
        self.context = context
        self.embedding = nn.Embedding(tokens, channels)
        self.mix = nn.Linear(context * channels, channels)

    def start(self) -> Tensor:
        """State of one hypothesis before it has read anything; the first token that it reads is the blank."""
        return torch.full((1, self.context), BLANK, device=self.embedding.weight.device)

    def extend(self, tokens: Sequence[int], state: Tensor) -> tuple[Tensor, Tensor]:
        """Read one token in each of N rows -> output (N, C), new state."""
        state = torch.cat([state[:, 1:], torch.as_tensor(tokens, device=state.device)[:, None]], dim=1)
        return self._mix(self.embedding(state)), state

    def forward(self, targets: Tensor) -> Tensor:
        """Targets (B, U) -> (B, U + 1, C): the output before each token and after the last."""
        padded = nn.functional.pad(targets, (self.context, 0), value=BLANK)
        return self._mix(self.embedding(padded.unfold(1, self.context, 1)))

    def _mix(self, embedded: Tensor) -> Tensor:
        return torch.relu(self.mix(embedded.flatten(-2)))


class LSTMPredictor(nn.Module):
    """An LSTM over the tokens, as in the original. Its state is (hidden, cell), (N, C) each."""

    steps_by_gates = True  # `extend` works without the LSTM's own kernel: see `transducer.model.packing`

    def __init__(self, tokens: int, channels: int):
        super().__init__()
        self.channels = channels
        self.embedding = nn.Embedding(tokens, channels)
        self.lstm = nn.LSTM(channels, channels, batch_first=True)

    def start(self) -> State:
        """State of one hypothesis before it has read anything; the first token that it reads is the blank."""
        zero = self.embedding.weight.new_zeros(1, self.channels)
        return (zero, zero)

    def extend(self, tokens: Sequence[int], state: State) -> tuple[Tensor, State]:
        """Read one token in each of N rows -> output (N, C), new state."""
        # By hand: torch.lstm packs its weights at every call, which takes five times as long as one step.
        hidden, cell = state
        lstm: Any = self.lstm
        x = self.embedding(torch.as_tensor(tokens, device=hidden.device))
        if isinstance(lstm, PackedGates):
            gates = lstm(x, hidden)
        else:
            gates = nn.functional.linear(x, lstm.weight_ih_l0, lstm.bias_ih_l0)
            gates = gates + nn.functional.linear(hidden, lstm.weight_hh_l0, lstm.bias_hh_l0)
        into, forget, new, out = gates.chunk(4, dim=-1)
        cell = forget.sigmoid() * cell + into.sigmoid() * new.tanh()
        hidden = out.sigmoid() * cell.tanh()
        return hidden, (hidden, cell)

    def forward(self, targets: Tensor) -> Tensor:
        """Targets (B, U) -> (B, U + 1, C): the output before each token and after the last."""
        y, _ = self.lstm(self.embedding(nn.functional.pad(targets, (1, 0), value=BLANK)))
        return y


@register("rnnt")
@dataclass(frozen=True)
class RNNTConfig(HeadConfig):
    """A recurrent neural network transducer; `predictor` is "stateless" or "lstm"."""

    units: str = "characters"
    predictor: str = "stateless"
    channels: int = 256
    context: int = 2

    def build(self, channels: int, model: ModelConfig) -> RNNT:
        head = RNNT(channels, model.tokens(self.units), self.predictor, self.channels, self.context)
        head.config = self
        return head

    @classmethod
    def examples(cls) -> tuple[RNNTConfig, ...]:
        return (
            cls(predictor="stateless", channels=6),
            cls(predictor="lstm", channels=6),
        )


class RNNT(Head):
    """The head of an RNN-T: as a stage it projects frames for the joint network; search does the rest.

    (B, T, C) -> (B, T, channels). `joint` adds a predictor's output and gives token log-probabilities.

    Attributes:
        max_symbols: that greedy search takes from one frame, at most.
    """

    target = Target.TOKENS
    max_symbols = 3

    def __init__(self, channels: int, tokens: int, predictor: str = "stateless", hidden: int = 256, context: int = 2):
        super().__init__()
        if predictor not in ("stateless", "lstm"):
            raise ValueError(f"unknown predictor {predictor!r}: there are stateless, lstm")
        if context < 1:
            raise ValueError(f"a predictor reads at least 1 token, got {context}")
        self.size = self.tokens = tokens
        self.frames = nn.Linear(channels, hidden)
        if predictor == "stateless":
            self.predictor: StatelessPredictor | LSTMPredictor = StatelessPredictor(tokens, hidden, context)
        else:
            self.predictor = LSTMPredictor(tokens, hidden)
        self.out = nn.Linear(hidden, tokens)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return self.frames(x), mask

    def init_state(self, batch: int, like: Tensor) -> tuple[()]:
        return ()

    def step(self, x: Tensor, mask: Tensor, state: tuple[()]) -> tuple[Tensor, Tensor, tuple[()]]:
        return self.frames(x), mask, state

    def joint_logits(self, frames: Tensor, predicted: Tensor) -> Tensor:
        """Projected frames and predictor outputs, broadcast against each other on (..., hidden) -> (..., V)."""
        return self.out(torch.tanh(frames + predicted))

    def joint(self, frame: Tensor, predicted: Tensor) -> Tensor:
        """Projected frames (N, hidden) or (hidden,), predictor outputs (N, hidden) -> log-probabilities (N, V)."""
        return self.joint_logits(frame, predicted).log_softmax(dim=-1)

    def internal_logits(self, predicted: Tensor) -> Tensor:
        """Predictor outputs (..., hidden) -> (..., V) of the next token where nothing is heard, never the blank.

        It is what the head knows of the language by itself (Variani et al. 2020, arXiv:2003.07705).
        """
        logits = self.joint_logits(torch.zeros_like(predicted), predicted)
        return logits.index_fill(-1, torch.tensor([BLANK], device=logits.device), -torch.inf)

    def internal_lm(self, predicted: Tensor) -> Tensor:
        """The same as log-probabilities."""
        return self.internal_logits(predicted).log_softmax(dim=-1)

    def loss(
        self, outputs: Tensor, mask: Tensor, targets: Sequence[Sequence[int]], weights: Tensor | None = None
    ) -> Loss:
        self.refuse_weights(weights)
        return sequence_loss(self.nll(outputs, mask.sum(dim=1), targets), targets)

    @property
    def tile(self) -> int | None:
        """See `transducer.search.tokens.rows.Rows`: packed layers compute a row alone as among others."""
        from transducer.search.tokens.rows import TILE

        return None if is_packed(self.predictor) and is_packed(self.out) else TILE

    def search(self, context: SearchContext) -> ResultSearch[Any, Any]:
        """Words, greedy or by a beam."""
        return self.searching().build(context, self.predictor, self.joint, self.tile)

    def searching(self) -> RNNTSearching:
        """See `Head`."""
        from transducer.search.searching import RNNTSearching

        # A search step by step compares hypotheses fairly if each step is one symbol.
        return RNNTSearching(self.max_symbols, 1)

    def metric(self) -> TokenErrors:
        from transducer.search.tokens.rnnt_greedy import RNNTGreedySearch

        return TokenErrors(RNNTGreedySearch(self.predictor, self.joint, self.max_symbols))

    def nll(self, frames: Tensor, lengths: Tensor, targets: Sequence[Sequence[int]]) -> Tensor:
        """Negative log-likelihood (B,) of the targets, summed over alignments, by torchaudio.

        Args:
            frames: (B, T, hidden), projected. lengths: (B,) frames. targets: B token lists.
        """
        rnnt_loss = torchaudio_functional().rnnt_loss

        sizes = torch.tensor([len(target) for target in targets], dtype=torch.int32, device=frames.device)
        longest = max(map(len, targets))
        rows = [[*target, *[BLANK] * (longest - len(target))] for target in targets]
        padded = torch.tensor(rows, dtype=torch.int32, device=frames.device)
        predicted = self.predictor(padded.long())
        logits_BTUV = self.joint_logits(frames[:, : int(lengths.max()), None], predicted[:, None])
        return rnnt_loss(
            logits_BTUV.float(), padded, lengths.int(), sizes, blank=BLANK, reduction="none", fused_log_softmax=True
        )
