"""Training a cascaded RNN-T within an alignment: the pieces of a word come within some steps of its end.

The loss of an RNN-T (Graves 2012) sums over all alignments, which takes T times U outputs of the joint network. Where
each word ends is known here, from the alignment of the head that is read; and alignments that have the pieces
of a word come in a short time around that are enough to sum over (alignment-restricted RNN-T, Mahadeokar et al. 2021,
arXiv:2011.03072). That leaves a few outputs for each step, affords thousands of pieces, and bounds how late words come.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipelines.speech_en.posteriors import Row
from transducer.heads.cascaded_rnnt import CascadedRNNT
from transducer.heads.ctc import BLANK
from transducer.heads.head import Loss
from transducer.model.sequence import lengths_to_mask
from transducer.model.torchaudio import torchaudio_functional
from transducer.text.tokenizers.tokenizer import Tokenizer
from transducer.training.encoded import autocast

_CORRUPTED = 0.1  # of the pieces that the predictor reads: in use it will read its own mistakes
_EARLIEST, _LATEST = 0, 5  # steps of the head after the end of a word that its last piece comes in
_SPREAD = 2  # steps by which each piece before it may come earlier than the next: rare words are spelled as they go
_BLOCK = 256  # rows of logits that are worked on at a time
_NEVER = -40.0  # log-probability of what an alignment must not do: small enough, and finite for the gradient


class Lattice(NamedTuple):
    """The places that the restricted alignments of a row go through, N of them.

    Attributes:
        time, written: (N,) the step, and how many pieces have been written.
        emits, waits: (N,) bool, whether the next piece may come there, and whether the next step may.
        pieces: of the whole row.
    """

    time: NDArray[np.int64]
    written: NDArray[np.int64]
    emits: NDArray[np.bool_]
    waits: NDArray[np.bool_]
    pieces: list[int]


def lattice(
    words: Sequence[Sequence[int]],
    ends: Sequence[int] | NDArray[np.int64],
    steps: int,
    earliest: int = _EARLIEST,
    latest: int = _LATEST,
    spread: int = _SPREAD,
) -> Lattice:
    """The alignments that have the last piece of each word between so many steps after its end, or on the last step.

    The pieces before it may each come so many steps earlier than the next.

    Args:
        words: the pieces of each. ends: the step on which each is over, never falling. steps: of the sequence.
    """
    counts = [len(word) for word in words]
    over = np.asarray(ends, dtype=np.int64)
    following = np.concatenate([np.zeros(0, int), *(np.arange(count)[::-1] for count in counts)])  # of its word
    first = np.repeat(np.minimum(over + earliest, steps - 1), counts) - spread * following  # of each piece
    first = np.maximum.accumulate(np.maximum(first, 0))
    last = np.repeat(np.clip(over + latest, 0, steps - 1), counts)
    # With u pieces written: from when the u-th may have come, to when the next one has to.
    begins, stops = np.append(0, first), np.append(last, steps - 1)
    sizes = stops - begins + 1
    written = np.repeat(np.arange(len(sizes)), sizes)
    time = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes) + begins[written]
    done = written == len(first)
    emits = ~done & (time >= np.append(first, steps)[written])
    return Lattice(time, written, emits, done | (time < stops[written]), [piece for word in words for piece in word])


def pad(rows: Sequence[Row]) -> tuple[Tensor, Tensor]:
    """The log-probabilities of the rows in one tensor (B, T, V), with zeros at their ends, and their lengths (B,)."""
    lengths = torch.tensor([len(row.log_probs) for row in rows])
    log_probs = torch.zeros(len(rows), int(lengths.max()), rows[0].log_probs.shape[1])
    for target, row in zip(log_probs, rows, strict=True):
        target[: len(row.log_probs)] = torch.from_numpy(row.log_probs)
    return log_probs, lengths


def aligned_loss(
    head: CascadedRNNT,
    rows: Sequence[Row],
    tokenizer: Tokenizer,
    rng: np.random.Generator | None = None,
    bf16: bool = True,
    earliest: int = _EARLIEST,
    latest: int = _LATEST,
    spread: int = _SPREAD,
) -> Loss:
    """Negative log-likelihood of the rows' words, over all alignments of their lattices, per piece.

    Args:
        rng: puts wrong pieces into what the predictor reads; none without it.
    """
    rnnt_loss = torchaudio_functional().rnnt_loss

    device = next(head.parameters()).device
    log_probs, lengths = (part.to(device) for part in pad(rows))
    steps = -(-lengths // head.stride)
    lattices = []
    for row, count in zip(rows, steps.tolist(), strict=True):
        words = [spell(word, tokenizer) for word in row.words]
        lattices.append(lattice(words, row.ends // head.stride, count, earliest, latest, spread))
    sizes = torch.tensor([len(part.pieces) for part in lattices])
    pieces = torch.zeros(len(rows), int(sizes.max()) + 1, dtype=torch.long)  # a blank follows the last
    for target, part in zip(pieces, lattices, strict=True):
        target[: len(part.pieces)] = torch.tensor(part.pieces, dtype=torch.long)
    read = (pieces[:, :-1] if rng is None else _corrupt(pieces[:, :-1], rng)).to(device)
    pieces, sizes = pieces.to(device), sizes.to(device)
    places = np.repeat(np.arange(len(rows)), [len(part.time) for part in lattices])
    row_index = torch.from_numpy(places).to(device)
    time, written, emits, waits = (
        torch.from_numpy(np.concatenate([part[column] for part in lattices])).to(device) for column in range(4)
    )
    with autocast(device, bf16):
        frames, _ = head.project(log_probs, lengths_to_mask(lengths, log_probs.shape[1]))
        logits = head.joint_logits(frames[row_index, time], head.predictor(read)[row_index, written])
    # All that counts at a place are the blank and the next piece: to torchaudio, a vocabulary of two.
    log_probs = _BlankAndPiece.apply(logits, pieces[row_index, written])
    blank = torch.where(waits, log_probs[:, 0], _NEVER)
    piece = torch.where(emits, log_probs[:, 1], _NEVER)
    table = torch.full((len(rows), int(steps.max()), pieces.shape[1], 2), _NEVER, device=device)
    table[row_index, time, written] = torch.stack([blank, piece], dim=-1)
    ones = torch.ones(len(rows), pieces.shape[1] - 1, dtype=torch.int32, device=device)
    losses = rnnt_loss(table, ones, steps.int(), sizes.int(), blank=0, reduction="sum", fused_log_softmax=False)
    return Loss(losses, max(int(sizes.sum()), 1))


class _BlankAndPiece(torch.autograd.Function):
    """Logits (N, V), pieces (N,) -> float32 log-probabilities (N, 2) of the blank, and of one piece in each row.

    What log_softmax and gather give, a few rows at a time, so that it stays in the processor's cache: tables of N
    times V numbers in float32, and there and back again, were a quarter of a training step.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, pieces: Tensor) -> Tensor:
        result = logits.new_empty(len(logits), 2, dtype=torch.float32)
        probs = torch.empty_like(logits)
        for rows, wanted, out, kept in _blocks(logits, pieces, result, probs):
            log_probs = rows.float().log_softmax(dim=-1)
            out[:, 0] = log_probs[:, BLANK]
            out[:, 1] = log_probs.gather(1, wanted[:, None])[:, 0]
            kept.copy_(log_probs.exp_())
        ctx.save_for_backward(probs, pieces)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        probs, pieces = ctx.saved_tensors
        result, total = torch.empty_like(probs), -gradient.sum(dim=1, keepdim=True)
        for kept, wanted, given, share, out in _blocks(probs, pieces, gradient, total, result):
            torch.mul(kept, share.to(kept.dtype), out=out)
            out[:, BLANK] += given[:, 0]
            out.scatter_add_(1, wanted[:, None], given[:, 1:].to(out.dtype))
        return result, None


def _blocks(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    return zip(*(tensor.split(_BLOCK) for tensor in tensors), strict=True)


def predictor_loss(head: CascadedRNNT, texts: Sequence[Sequence[int]], bf16: bool = True) -> Loss:
    """-log p(next piece) where nothing is heard, blanks apart: the head as a language model.

    Text costs a tenth of the posteriors spliced from it, so that the predictor can read far more of it (internal
    language model training, Variani et al. 2020, arXiv:2003.07705, and Meng et al. 2021, arXiv:2102.01380).
    """
    pieces = torch.zeros(len(texts), max(map(len, texts)), dtype=torch.long)
    for target, text in zip(pieces, texts, strict=True):
        target[: len(text)] = torch.tensor(text, dtype=torch.long)
    device = next(head.parameters()).device
    pieces = pieces.to(device)
    there = pieces > 0
    with autocast(device, bf16):
        predicted = head.predictor(pieces[:, :-1])[there]
        logits = head.internal_logits(predicted)
    total = -_BlankAndPiece.apply(logits, pieces[there])[:, 1].sum()
    return Loss(total, int(there.sum()))


def spell(word: str, tokenizer: Tokenizer) -> list[int]:
    """The pieces of a word; where they do not say that it begins a word, with the space after it."""
    pieces = tokenizer.encode(word)
    return pieces if tokenizer.starts_word(pieces[0]) else tokenizer.encode(word + " ")


def _corrupt(history: Tensor, rng: np.random.Generator) -> Tensor:
    """Put pieces from elsewhere in the place of some, in some rows more than in others."""
    rates = 2 * _CORRUPTED * rng.random((len(history), 1))
    chosen = torch.from_numpy(rng.random(history.shape) < rates)
    others: Any = history.flatten()[torch.from_numpy(rng.integers(0, history.numel(), history.shape))]
    return torch.where(chosen, others, history)
