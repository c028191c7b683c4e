"""CTC against all that the language could have said: a conditional random field over CTC's alignments.

CTC takes the tokens of a sequence for independent of each other, given the sound: where one is unclear, its share goes
to others that no language would put there. A search with a language model knows better; here training knows it, too.
The likelihood of the target is divided by that of all token sequences, each weighted by an n-gram model of tokens
(CTC-CRF, Xiang & Ou 2019, arXiv:1908.09433; lattice-free MMI, Povey et al. 2016, does the same with HMMs). So a head
that was trained like this is for searches with a language model; by itself it says things that are no language.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from transducer.errors import UsageError
from transducer.heads.ctc import BLANK, CTCConfig, ctc_nll
from transducer.heads.head import Loss
from transducer.model.config import ModelConfig
from transducer.model.network import Network
from transducer.training.context import Context
from transducer.training.encoded import Encoded
from transducer.training.objectives import Objective, is_known

_MOST_TOKENS = 100  # whose trigrams fit a table that can be summed over at every frame
_DISCOUNT = 0.7  # of every count, for what has not been seen


@dataclass(frozen=True)
class CRFLoss(Objective):
    """CTC-CRF of a CTC head, with trigrams of the tokens of all that is trained on.

    The recipe's `train` is a `Speech`.
    """

    head: str
    weight: float = 1.0
    model: Tensor | None = None

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"crf:{self.head}"

    @property
    def heads(self) -> tuple[str, ...]:  # type: ignore[override]
        return (self.head,)

    def check(self, model: ModelConfig) -> None:
        if not isinstance(model.heads.get(self.head), CTCConfig):
            raise UsageError(f"{self.name}: the model has no CTC head {self.head!r}")

    def start(self, context: Context) -> CRFLoss:
        speech, units = context.recipe.train, context.network.config.heads[self.head].units
        known = (speech.spoken.tokens(item.text, units) for item in speech.store.utterances)
        model = trigrams(filter(None, known), len(context.recipe.units[units]))
        return replace(self, model=model.to(context.device))

    def loss(self, network: Network, batch: Encoded) -> Loss | None:
        rows = [row for row, pair in enumerate(batch.batch.pairs) if is_known(pair.target(self.head))]
        if not rows:
            return None
        tokens = [list(batch.batch.pairs[row].target(self.head)) for row in rows]
        outputs, mask = batch.outputs(self.head, rows)
        losses = crf_loss(outputs, mask.sum(dim=1), tokens, self.model)
        return Loss(losses.sum(), sum(map(len, tokens)))


def trigrams(sequences: Iterable[Sequence[int]], tokens: int) -> Tensor:
    """(V, V, V + 1) probabilities of a token after two others, and in the last place of the end.

    Absolute discounting, interpolated with what follows one token, and that with what follows any (Ney et al. 1994).
    `BLANK` stands for what comes before a sequence; it follows nothing, and its own probability is zero.

    Args:
        sequences: of token ids, without blanks. tokens: that there are, V, with the blank.

    Raises:
        UsageError: too many tokens.
    """
    if tokens > _MOST_TOKENS:
        raise UsageError(f"a crf loss is for units of at most {_MOST_TOKENS} tokens, phones or characters: {tokens}")
    counts = torch.zeros(tokens, tokens, tokens + 1)
    for sequence in sequences:
        counts.index_put_(_places(sequence, tokens), torch.ones(len(sequence) + 1), accumulate=True)
    result = torch.full((tokens + 1,), 1 / tokens)
    result[BLANK] = 0.0
    for seen in (counts.sum(dim=(0, 1)), counts.sum(dim=0), counts):
        total = seen.sum(dim=-1, keepdim=True)
        left = (seen.clamp(max=_DISCOUNT)).sum(dim=-1, keepdim=True) / total.clamp(min=1)
        discounted = (seen - _DISCOUNT).clamp(min=0) / total.clamp(min=1) + left * result
        result = torch.where(total > 0, discounted, result)
    return result


def crf_loss(log_probs: Tensor, lengths: Tensor, targets: list[list[int]], model: Tensor) -> Tensor:
    """-log p(target), where the probabilities of all token sequences add up to one: (B,); 0 where it cannot fit.

    Args:
        log_probs: (B, T, V). lengths: (B,) frames. targets: B token lists without blanks. model: see `trigrams`.
    """
    alone = ctc_nll(log_probs, lengths, targets)
    expected = torch.stack([model[_places(target, len(model))].log().sum() for target in targets])
    rest = log_denominator(log_probs.float(), lengths, model) - expected
    return torch.where(alone > 0, alone + rest, 0.0)


def _places(sequence: Sequence[int], tokens: int) -> tuple[Tensor, Tensor, Tensor]:
    """Where a table of trigrams has the tokens of a sequence, and its end."""
    read = torch.tensor([BLANK, BLANK, *sequence, tokens])
    return read[:-2], read[1:-1], read[2:]


def log_denominator(log_probs: Tensor, lengths: Tensor, model: Tensor) -> Tensor:
    """log of the sum over all alignments of all token sequences, each times its sequence's probability: (B,).

    Args:
        log_probs: (B, T, V) float32. lengths: (B,) frames. model: see `trigrams`.
    """
    return _LogDenominator.apply(log_probs, lengths, model)


class _LogDenominator(torch.autograd.Function):
    """The forward-backward algorithm, written out: two passes without an autograd graph of thousands of small nodes.

    A state is the last two tokens, and whether the last frame was a blank ("waiting") or the last token, which may go
    on ("saying"). Axes of tables: the last token but one, B, the last token.
    """

    @staticmethod
    def forward(ctx: Any, log_probs: Tensor, lengths: Tensor, model: Tensor) -> Tensor:
        batch, steps, size = log_probs.shape
        follows, same = _next_and_same(model)
        probs = log_probs.exp().transpose(0, 1).contiguous()
        # All that there is before the first frame: nothing has been said.
        waiting, saying = probs.new_zeros(steps + 1, size, batch, size), probs.new_zeros(steps + 1, size, batch, size)
        waiting[0, BLANK, :, BLANK] = 1.0
        scales = probs.new_ones(steps, batch)
        there = torch.arange(steps)[:, None] < lengths
        for step, y in enumerate(probs):
            both = waiting[step] + saying[step]
            said = torch.bmm(both.permute(2, 1, 0), follows)
            # The same token again needs a blank between.
            said.diagonal(dim1=0, dim2=2).sub_((saying[step] * same).sum(dim=0))
            said.add_(saying[step]).mul_(y)
            both.mul_(y[:, BLANK, None])
            scale = said.sum(dim=(0, 2)) + both.sum(dim=(0, 2))
            scales[step] = torch.where(there[step], scale, 1.0)
            torch.div(said, scale[:, None], out=saying[step + 1])
            torch.div(both, scale[:, None], out=waiting[step + 1])
        ends = model[:, None, :, -1]
        last = torch.stack([waiting[n, :, row] + saying[n, :, row] for row, n in enumerate(lengths.tolist())], dim=1)
        total = (last * ends).sum(dim=(0, 2))
        ctx.save_for_backward(probs, lengths, model, waiting, saying, scales, total)
        return scales.log().sum(dim=0) + total.log()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        probs, lengths, model, waiting, saying, scales, total = ctx.saved_tensors
        steps, batch, size = probs.shape
        follows, same = _next_and_same(model)
        before = follows.transpose(1, 2).contiguous()
        ends = (model[:, None, :, -1] / total[:, None]).expand(size, batch, size)
        rest, ongoing = torch.zeros_like(waiting[0]), torch.zeros_like(waiting[0])  # of what waits, and what is said
        result = torch.zeros_like(probs)
        for step in range(steps - 1, -1, -1):
            final = (lengths == step + 1)[:, None]
            rest, ongoing = torch.where(final, ends, rest), torch.where(final, ends, ongoing)
            result[step] = (saying[step + 1] * ongoing).sum(dim=0)
            result[step, :, BLANK] += (waiting[step + 1] * rest).sum(dim=(0, 2))
            y = probs[step] / scales[step, :, None]
            ongoing = ongoing * y
            again = ongoing.diagonal(dim1=0, dim2=2)
            rest = rest * y[:, BLANK, None] + torch.bmm(ongoing, before).permute(2, 1, 0)
            ongoing = ongoing + rest - same * again
        return (result * gradient[:, None]).transpose(0, 1), None, None


def _next_and_same(model: Tensor) -> tuple[Tensor, Tensor]:
    """(V, V, V) of last token, last but one, next; and (V, 1, V), of last but one and last, the last once more."""
    follows = model[:, :, :-1].transpose(0, 1).contiguous()
    return follows, follows.diagonal(dim1=0, dim2=2)[:, None].contiguous()
