"""Sentences for a cascaded head: recordings, and texts spliced from what the network says of them.

The head, and nothing else of the network, is trained on these, see `aligned` and `posteriors`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pipelines.speech_en.aligned import aligned_loss, predictor_loss, spell
from pipelines.speech_en.posteriors import PosteriorBank, Row, hear
from pipelines.speech_en.targets import Targets
from transducer.data.augment.features import AugmentConfig
from transducer.data.loader import Share, in_background
from transducer.data.ranks import Ranks
from transducer.errors import UsageError
from transducer.heads.cascaded_rnnt import CascadedRNNTConfig
from transducer.heads.head import Loss
from transducer.model.config import ModelConfig
from transducer.model.network import Network
from transducer.text.tokenizers.tokenizer import Tokenizer
from transducer.training.context import Context
from transducer.training.encoded import Encoded
from transducer.training.objectives import Objective

_ROWS = 17  # keeps this random stream apart from those of the data
_CUT = 0.2  # of the spliced sentences break off
_FEWEST_FRAMES = 40  # of a sentence that does
_SHORTEST, _LONGEST = 8, 40  # words
_READ, _READ_WORDS = 128, 48  # stretches of text alone in a batch, and words of each
_SWAPPED = 0.15  # of the words of a spliced sentence: others come in their place, see `Vocabulary`
_FREQUENT = 1000  # words that are frequent
_MOST_FAILURES = 1000  # sentences in a batch that cannot be made


@dataclass(frozen=True)
class AlignedBatch:
    """Rows of about the same length in each part, and stretches of text alone, as pieces.

    `seed` is for what is random in the loss.
    """

    parts: tuple[list[Row], ...]
    texts: list[list[int]]
    seed: tuple[int, ...]
    step: int
    epoch: int = 0

    @property
    def following(self) -> tuple[int]:
        """The position of the next batch."""
        return (self.step + 1,)

    @property
    def amount(self) -> int:
        """Frames of posteriors."""
        return sum(len(row.log_probs) for part in self.parts for row in part)

    @property
    def shards(self) -> Mapping[int, AlignedBatch]:
        """Of a batch that is not cut: itself."""
        return {0: self}

    def to(self, device: torch.device) -> AlignedBatch:
        """The same: the losses bring it where they need it."""
        return self


class Vocabulary:
    """Words to be learned one by one: rare ones need to be met more often than texts have them.

    Args:
        texts: whose words these are, but those met once. known: whether a word can be spliced.
    """

    def __init__(self, texts: Iterable[str], known: Callable[[str], bool]):
        counts = Counter(word for text in texts for word in text.split())
        self.words = [word for word, count in counts.most_common() if count > 1 and known(word)]

    def draw(self, rng: np.random.Generator) -> str:
        """A word with a probability that falls as 1 / (rank + _FREQUENT): slowly, where Zipf's law has 1 / rank."""
        return self.words[int(_FREQUENT * (1 + len(self.words) / _FREQUENT) ** rng.random() - _FREQUENT)]


class AlignedBatches:
    """Batches of recordings and spliced sentences: a function of the seed and the number asked for.

    Args:
        build: makes the bank, when the first batch is asked for.
        texts: sentences; they are put together, and taken apart, to stretches of 8 to 40 words.
        targets: has their pronunciations.
        units: of the phones. tokenizer: for the pieces.
        seed: of all that is random.
        recorded, spliced: frames of the network in the two parts of a batch.
        ranks: the processes that share each batch, and how many shards it has.
        prefetch: batches that are made ahead, in a thread.
    """

    def __init__(
        self,
        build: Callable[[], PosteriorBank],
        texts: Sequence[str],
        targets: Targets,
        units: str,
        tokenizer: Tokenizer,
        seed: int,
        recorded: int,
        spliced: int,
        ranks: Ranks = Ranks(),  # noqa: B008 (frozen)
        prefetch: int = 2,
    ):
        self.texts, self.targets, self.units, self.tokenizer, self.seed = texts, targets, units, tokenizer, seed
        self.frames, self.ranks, self.prefetch = (recorded, spliced), ranks, prefetch
        self._build, self._bank = build, None
        self._vocabulary = Vocabulary(texts, lambda word: bool(targets.tokens(word, units)))

    def stream(self, step: int = 0) -> Iterator[AlignedBatch | Share]:
        """Batches without end, from this step on."""
        self._bank = self._bank or self._build()
        return in_background(self._batches(step), self.prefetch)

    def _batches(self, step: int) -> Iterator[AlignedBatch | Share]:
        while True:
            key = (_ROWS, step)
            rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))
            parts = (self._bank.recorded(rng, self.frames[0]), self._spliced(rng) if self.texts else [])
            texts = [self._stretch(_READ_WORDS, rng) for _ in range(_READ if self.texts else 0)]
            read = [[piece for word in text for piece in spell(word, self.tokenizer)] for text in texts]
            count = self.ranks.shards
            shards = {
                shard: AlignedBatch(
                    tuple(filter(None, (part[shard::count] for part in parts))),
                    read[shard::count],
                    (self.seed, *key, *([shard] if shard else [])),
                    step,
                )
                for shard in self.ranks.own
            }
            yield shards[0] if count == 1 else Share(shards, 0, (step + 1,))
            step += 1

    def _spliced(self, rng: np.random.Generator) -> list[Row]:
        rows: list[Row] = []
        count, failed, length = 0, 0, int(rng.integers(_SHORTEST, _LONGEST + 1))
        while count < self.frames[1]:
            words = self._stretch(length, rng)
            for place in np.flatnonzero(rng.random(len(words)) < _SWAPPED) if self._vocabulary.words else ():
                words[place] = self._vocabulary.draw(rng)
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


@dataclass(frozen=True)
class Sentences:
    """`Phase.batches` for a cascaded head; the recipe's `train` is a `Speech`.

    Attributes:
        head: which is trained.
        passes: how the recordings are augmented, each time that the network hears them all.
        recorded, spliced: frames of the encoder in the two parts of a batch.
    """

    head: str
    passes: tuple[AugmentConfig, ...]
    recorded: int
    spliced: int

    def __call__(self, context: Context) -> AlignedBatches:
        network, speech, bf16 = context.network, context.recipe.train, context.phase.bf16
        part = network.config.heads[self.head]
        # It starts with what it reads as that is now.
        network.heads[self.head].source.load_state_dict(network.heads[part.source].state_dict())
        units = network.config.heads[part.source].units

        def build() -> PosteriorBank:
            heard = [
                item
                for index, augment in enumerate(self.passes)
                for item in hear(network, part.source, speech, augment, context.seed + index, bf16)
            ]
            if not heard:
                raise UsageError(
                    f"phase {context.phase.name}: no pass over the recordings, or none with known pronunciations"
                )
            words = {word for item in heard for word in item.words}
            return PosteriorBank(heard, {word: speech.spoken.tokens(word, units) for word in words})

        tokenizer = context.recipe.units[part.units]
        return AlignedBatches(
            build, speech.texts, speech.spoken, units, tokenizer, context.seed, self.recorded, self.spliced,
            context.ranks,
        )  # fmt: skip


@dataclass(frozen=True)
class _CascadedLoss(Objective):
    """Of a cascaded head, on batches of `Sentences`."""

    head: str
    weight: float = 1.0
    tokenizer: Tokenizer | None = None

    @property
    def heads(self) -> tuple[str, ...]:  # type: ignore[override]
        return (self.head,)

    def check(self, model: ModelConfig) -> None:
        if not isinstance(model.heads.get(self.head), CascadedRNNTConfig):
            raise UsageError(f"{self.name}: the model has no cascaded RNN-T {self.head!r}")

    def start(self, context: Context) -> _CascadedLoss:
        if not isinstance(context.phase.batches, Sentences) or context.phase.batches.head != self.head:
            raise UsageError(f"{self.name}: the phase's batches must be Sentences for this head")
        units = context.network.config.heads[self.head].units
        return type(self)(self.head, self.weight, context.recipe.units[units])


class AlignedLoss(_CascadedLoss):
    """Its likelihood of the words, within their alignment, see `aligned`."""

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"aligned:{self.head}"

    def loss(self, network: Network, batch: Encoded) -> Loss | None:
        rng, head = np.random.default_rng(batch.batch.seed), network.heads[self.head]
        parts = [aligned_loss(head, rows, self.tokenizer, rng, batch.bf16) for rows in batch.batch.parts]
        return Loss(sum(loss.total for loss in parts), sum(loss.count for loss in parts)) if parts else None


class PredictorLoss(_CascadedLoss):
    """Its predictor as a language model of texts alone, see `aligned.predictor_loss`."""

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"lm:{self.head}"

    def loss(self, network: Network, batch: Encoded) -> Loss | None:
        texts = batch.batch.texts
        return predictor_loss(network.heads[self.head], texts, batch.bf16) if texts else None
