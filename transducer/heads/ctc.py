"""Heads for connectionist temporal classification (Graves et al. 2006): frames -> token log-probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from transducer.cores.layers import Pointwise
from transducer.encoders.stacking import Stack
from transducer.heads.head import Head, Loss, Target
from transducer.heads.metrics import TokenErrors
from transducer.model.config import HeadConfig, ModelConfig, PartConfig, register
from transducer.model.sequence import Aux, Streaming

if TYPE_CHECKING:
    from transducer.search.context import SearchContext
    from transducer.search.result_search import ResultSearch
    from transducer.search.searching import CTCSearching

CONDITIONING = "conditioning"  # the name of an intermediate head's logits among the auxiliary outputs
BLANK = 0  # the blank's index, in every head and every search


@register("ctc")
@dataclass(frozen=True)
class CTCConfig(HeadConfig):
    """A CTC head over the units of this name, on so many frames at a time, side by side."""

    units: str = "characters"
    stack: int = 1

    def build(self, channels: int, model: ModelConfig) -> CTC:
        head = CTC(channels, model.tokens(self.units), self.stack)
        head.config = self
        return head

    @classmethod
    def examples(cls) -> tuple[CTCConfig, ...]:
        return cls(), cls(stack=2)


class CTC(Pointwise, Head):
    """(B, T, C) -> (B, ceil(T / stack), V) log-probabilities of the tokens; token 0 is the blank."""

    target = Target.TOKENS

    def __init__(self, channels: int, tokens: int, stack: int = 1):
        super().__init__(nn.Sequential(nn.Linear(stack * channels, tokens), nn.LogSoftmax(dim=-1)))
        self.size = self.tokens = tokens
        self.stack = Stack(stack)
        self.stride = self.block = stack

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return super().forward(*self.stack(x, mask))

    def step(self, x: Tensor, mask: Tensor, state: tuple[()]) -> tuple[Tensor, Tensor, tuple[()]]:
        x, mask = self.stack(x, mask)
        return super().step(x, mask, state)

    def loss(
        self, outputs: Tensor, mask: Tensor, targets: Sequence[Sequence[int]], weights: Tensor | None = None
    ) -> Loss:
        self.refuse_weights(weights)
        return sequence_loss(ctc_nll(outputs, mask.sum(dim=1), targets), targets)

    def search(self, context: SearchContext) -> ResultSearch[Any, Any]:
        """Words, greedy or by a beam, of a lexicon where the model has one."""
        return self.searching().build(context)

    def searching(self) -> CTCSearching:
        """See `Head`."""
        from transducer.search.searching import CTCSearching

        return CTCSearching()

    def metric(self) -> TokenErrors:
        from transducer.search.tokens.ctc import CTCGreedySearch

        return TokenErrors(CTCGreedySearch())


def ctc_nll(log_probs: Tensor, lengths: Tensor, targets: Sequence[Sequence[int]]) -> Tensor:
    """Negative log-likelihood (B,) of the targets, summed over alignments; 0 where a target cannot fit.

    Args:
        log_probs: (B, T, V). lengths: (B,) frames. targets: B token lists without blanks.
    """
    flat = torch.tensor([token for target in targets for token in target], dtype=torch.long, device=log_probs.device)
    sizes = torch.tensor([len(target) for target in targets], device=log_probs.device)
    return nn.functional.ctc_loss(
        log_probs.float().transpose(0, 1), flat, lengths, sizes, BLANK, reduction="none", zero_infinity=True
    )


def sequence_loss(nll: Tensor, targets: Sequence[Sequence[int]]) -> Loss:
    """The sum over the rows of nll (B,), and over how many tokens; nothing is learned from rows that have none."""
    sizes = [len(target) for target in targets]
    known = torch.tensor(sizes, device=nll.device) > 0
    return Loss(torch.where(known, nll, 0.0).sum(), sum(sizes))


@register("self_conditioning")
@dataclass(frozen=True)
class SelfConditioningConfig(PartConfig):
    """An intermediate head after layer `after` of the core (1 = after the first), its posteriors fed back."""

    after: int
    units: str

    def build(self, channels: int, model: ModelConfig) -> SelfConditioning:
        return SelfConditioning(channels, model.tokens(self.units))

    @classmethod
    def examples(cls) -> tuple[SelfConditioningConfig, ...]:
        return (cls(1, "characters"),)


class SelfConditioning(Streaming):
    """An intermediate head whose posteriors are fed back: x + W softmax(head(x)).

    Self-conditioned CTC (Nozaki & Komatsu 2021, arXiv:2104.02724): later layers see what the earlier ones
    think that they heard. The logits (B, T, V), not normalised, are an auxiliary output.
    """

    def __init__(self, channels: int, tokens: int, name: str = CONDITIONING):
        super().__init__()
        self.aux_outputs = (name,)
        self.norm = nn.LayerNorm(channels)
        self.head = nn.Linear(channels, tokens)
        self.back = nn.Linear(tokens, channels)

    def forward(self, x: Tensor, mask: Tensor, aux: Aux | None = None) -> tuple[Tensor, Tensor]:
        logits = self.head(self.norm(x))
        if aux is not None:
            aux[self.aux_outputs[0]] = logits, mask
        return x + self.back(logits.softmax(dim=-1)), mask

    def init_state(self, batch: int, like: Tensor) -> tuple[()]:
        return ()

    def step(
        self, x: Tensor, mask: Tensor, state: tuple[()], aux: Aux | None = None
    ) -> tuple[Tensor, Tensor, tuple[()]]:
        return *self(x, mask, aux), state
