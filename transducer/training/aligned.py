"""Training a cascaded RNN-T on one alignment: all pieces of a word come so many steps after its end.

The loss of an RNN-T sums over all alignments, T times U outputs of the joint network. Where each word ends is known
here, from the alignment of the head that is read. Cross-entropy along the one path that follows from it takes T plus
U outputs, which makes thousands of pieces affordable, and tells the head not to wait longer. (Alignment-restricted
RNN-T, Mahadeokar et al. 2021, arXiv:2011.03072, with no freedom left.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from transducer.data.loader import in_background
from transducer.decoders.cascade import CascadedRNNT
from transducer.decoders.ctc import BLANK
from transducer.errors import UsageError
from transducer.sequence import lengths_to_mask
from transducer.text.tokenizer import Tokenizer
from transducer.training.loop import PhaseTrainer
from transducer.training.losses import Loss
from transducer.training.posteriors import PosteriorBank, Row
from transducer.training.targets import Targets

_ROWS = 17  # keeps this random stream apart from those of the data
_CORRUPTED = 0.1  # of the pieces that the predictor reads: in use it will read its own mistakes
_IN_TIME = (0.7, 0.9)  # of the words in training that come in time, and at most a step late; the rest come two late
_CUT = 0.2  # of the spliced sentences break off
_FEWEST_FRAMES = 40  # of a sentence that does
_SHORTEST, _LONGEST = 8, 40  # words
_MOST_FAILURES = 1000  # sentences in a batch that cannot be made


@dataclass(frozen=True)
class AlignedBatch:
    """Rows of about the same length in each part; `seed` is for what is random in the loss."""

    parts: tuple[list[Row], ...]
    seed: tuple[int, ...]
    epoch: int
    step: int


def aligned_path(
    words: Sequence[Sequence[int]],
    ends: Sequence[int] | NDArray[np.int64],
    steps: int,
    delay: int,
    rng: np.random.Generator | None = None,
) -> tuple[list[int], list[int], list[int], list[int]]:
    """Along the path: steps, how many pieces have been written, and what comes next (blank at the end of each step);
    and all pieces.

    Args:
        words: the pieces of each. ends: the step on which each is over, never falling. steps: of the sequence.
        rng: makes some words come a step or two late, so that the head learns to make up for what it has missed:
            otherwise it would know only of words that come at once or not at all.
    """
    times, written, wanted, pieces = [], [], [], []
    late = np.zeros(len(words), int) if rng is None else np.searchsorted(_IN_TIME, rng.random(len(words)), "right")
    due = np.minimum(np.maximum.accumulate(np.asarray(ends, dtype=int) + delay + late), steps - 1)
    word = 0
    for step in range(steps):
        while word < len(words) and due[word] == step:
            for piece in words[word]:
                times.append(step)
                written.append(len(pieces))
                wanted.append(piece)
                pieces.append(piece)
            word += 1
        times.append(step)
        written.append(len(pieces))
        wanted.append(BLANK)
    return times, written, wanted, pieces


def aligned_loss(
    head: CascadedRNNT,
    rows: Sequence[Row],
    tokenizer: Tokenizer,
    rng: np.random.Generator,
    bf16: bool = True,
    late: bool = True,
) -> Loss:
    """Cross-entropy along the paths of the rows, over all outputs on them; with `late` some words come late."""
    lengths = torch.tensor([len(row.log_probs) for row in rows])
    log_probs = torch.zeros(len(rows), int(lengths.max()), rows[0].log_probs.shape[1])
    columns: list[list[int]] = [[], [], [], []]
    written = []
    for number, row in enumerate(rows):
        log_probs[number, : len(row.log_probs)] = torch.from_numpy(row.log_probs)
        words = [spell(word, tokenizer) for word in row.words]
        steps = -(-len(row.log_probs) // head.stride)
        *path, pieces = aligned_path(words, row.ends // head.stride, steps, head.delay, rng if late else None)
        for column, values in zip(columns, ([number] * len(path[0]), *path), strict=True):
            column += values
        written.append(pieces)
    history = torch.zeros(len(rows), max(map(len, written)) + 1, dtype=torch.long)
    for target, pieces in zip(history, written, strict=True):
        target[1 : len(pieces) + 1] = torch.tensor(pieces, dtype=torch.long)
    history = _corrupt(history, rng)
    row_index, time, count, wanted = (torch.tensor(column) for column in columns)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        frames, _ = head.project(log_probs, lengths_to_mask(lengths, log_probs.shape[1]))
        predicted = head.predictor(history[:, 1:])
        logits = head.joint_logits(frames[row_index, time], predicted[row_index, count])
    return Loss(nn.functional.cross_entropy(logits.float(), wanted, reduction="sum"), len(wanted))


def spell(word: str, tokenizer: Tokenizer) -> list[int]:
    """The pieces of a word; where they do not say that it begins a word, with the space after it."""
    pieces = tokenizer.encode(word)
    return pieces if tokenizer.starts_word(pieces[0]) else tokenizer.encode(word + " ")


class AlignedBatches:
    """Batches of recordings and spliced sentences: a function of the seed and the number asked for.

    Args:
        build: makes the bank, when the first batch is asked for.
        texts: sentences; they are put together, and taken apart, to stretches of 8 to 40 words.
        targets: has their pronunciations.
        tokenizer: has to spell them.
        seed: of all that is random. world, rank: see `transducer.training.ranks`.
        recorded, spliced: frames of the network in the two parts of a batch.
        prefetch: batches that are made ahead, in a thread.
    """

    def __init__(
        self,
        build: Callable[[], PosteriorBank],
        texts: Sequence[str],
        targets: Targets,
        units: str,
        seed: int,
        recorded: int,
        spliced: int,
        world: int = 1,
        rank: int = 0,
        prefetch: int = 2,
    ):
        self.texts, self.targets, self.units, self.seed = texts, targets, units, seed
        self.frames, self.world, self.rank, self.prefetch = (recorded, spliced), world, rank, prefetch
        self._build, self._bank = build, None

    def stream(self, epoch: int = 0, step: int = 0) -> Iterator[AlignedBatch]:
        """Batches without end, from this step on; the epoch is always the first."""
        self._bank = self._bank or self._build()
        return in_background(self._batches(step), self.prefetch)

    def _batches(self, step: int) -> Iterator[AlignedBatch]:
        while True:
            key = (_ROWS, step * self.world + self.rank)
            rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))
            parts = (self._bank.recorded(rng, self.frames[0]), self._spliced(rng) if self.texts else [])
            yield AlignedBatch(tuple(filter(None, parts)), (self.seed, *key), 0, step)
            step += 1

    def _spliced(self, rng: np.random.Generator) -> list[Row]:
        rows: list[Row] = []
        count, failed, length = 0, 0, int(rng.integers(_SHORTEST, _LONGEST + 1))
        while count < self.frames[1]:
            words = self._stretch(length, rng)
            phones = [self.targets.tokens(word, self.units) for word in words]
            row = self._bank.splice(words, phones, rng) if all(phones) else None
            if row is None:
                failed += 1
                if failed > _MOST_FAILURES:
                    raise UsageError("nearly all sentences of the texts have unknown words, or phones never recorded")
                continue
            if rng.random() < _CUT and len(row.log_probs) > _FEWEST_FRAMES:
                end = int(rng.integers(_FEWEST_FRAMES, len(row.log_probs)))
                heard = int((row.ends < end - 2).sum())
                row = Row(row.log_probs[:end], row.words[:heard], row.ends[:heard])
            rows.append(row)
            count += len(row.log_probs)
        return rows

    def _stretch(self, length: int, rng: np.random.Generator) -> list[str]:
        index = int(rng.integers(len(self.texts)))
        words = self.texts[index].split()
        words = words[int(rng.integers(len(words))) :]
        while len(words) < length:
            index = (index + 1) % len(self.texts)
            words = words + self.texts[index].split()
        return words[:length]


class AlignedTrainer(PhaseTrainer):
    """Trains one cascaded head, and nothing else of the network, on batches of `AlignedBatches`."""

    def _gradients(self, batch: AlignedBatch) -> dict[str, float]:
        (name,) = self.phase.losses
        head = self.network.decoders[name.partition(":")[2]]
        tokenizer = self.targets.units[self.network.config.decoders[name.partition(":")[2]].units]
        rng = np.random.default_rng(batch.seed)
        losses = [aligned_loss(head, rows, tokenizer, rng, self.phase.bf16) for rows in batch.parts]
        loss = Loss(sum((loss.total for loss in losses), torch.zeros(())), sum(loss.count for loss in losses))
        return self._backward([name], {name: loss})

    def _amount(self, batch: AlignedBatch) -> float:
        frames = sum(len(row.log_probs) for part in batch.parts for row in part)
        return frames * self.network.hop / self.network.frontend.rate


def _corrupt(history: Tensor, rng: np.random.Generator) -> Tensor:
    """Put pieces from elsewhere in the place of some, in some rows more than in others."""
    rates = 2 * _CORRUPTED * rng.random((len(history), 1))
    chosen = torch.from_numpy(rng.random(history.shape) < rates)
    chosen[:, 0] = False
    others: Any = history.flatten()[torch.from_numpy(rng.integers(0, history.numel(), history.shape))]
    return torch.where(chosen, others, history)
