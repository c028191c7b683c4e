"""Text as training data: features of new sentences, spliced from the features of recorded phones.

A head that spells needs to see far more words than a few hours of speech have. Frame labels say which of the
network's inner features belong to which phone; a sentence of any text, looked up in the pronouncing dictionary,
becomes a sequence of such stretches, each taken from some recording where it stood between the same neighbours.
The layers above are trained on it as on speech. The idea is that of unit selection (Hunt & Black 1996), in the
feature space of the network: there is no vocoder, and the units sound as real as the recordings are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipelines.speech_en.speech import ALIGNMENT, Part, Speech
from pipelines.speech_en.targets import PHONES, Targets
from transducer.data.augment.features import AugmentConfig
from transducer.data.loader import PairLoader
from transducer.data.workers import PairMaker
from transducer.errors import UsageError
from transducer.heads.ctc import SelfConditioning
from transducer.heads.head import Loss
from transducer.model.network import Network
from transducer.model.sequence import lengths_to_mask, set_chunk
from transducer.training.context import Context
from transducer.training.encoded import Encoded, autocast, features
from transducer.training.objectives import Objective

BASE = 64  # more than there are phones; triphones are numbers with these digits
_BANK, _TEXT = 11, 12  # keep these random streams apart from those of the data
_FRAMES = 20_000  # features in a batch that a bank is made of
_MOST_FAILURES = 10_000  # sentences in a batch that cannot be made


class SpliceBank:
    """Recorded stretches of inner features, by the phone that they are and the ones around it.

    Args:
        features: (N, C) float16, frames of all recordings one after the other.
        labels: (N,) the phone of each frame, 0 for silence, negative where it is unknown.
        breaks: (N,) bool, True on the first frame of each recording.
    """

    def __init__(self, features: NDArray[np.float16], labels: NDArray[np.int64], breaks: NDArray[np.bool_]):
        self.features = features
        first = np.flatnonzero(breaks | (np.diff(labels, prepend=-2) != 0))
        phone = labels[first]
        before = np.where(breaks[first], 0, np.roll(phone, 1))
        after = np.roll(phone, -1)
        after[np.flatnonzero(breaks[first]) - 1] = 0
        known = (phone >= 0) & (before >= 0) & (after >= 0)
        self.first, self.end = first[known], np.append(first[1:], len(labels))[known]
        phone, before, after = phone[known], before[known], after[known]
        self._orders, self._keys = sort_units(before, phone, after)

    @classmethod
    def build(cls, network: Network, speech: Speech, augment: AugmentConfig | None, seed: int) -> SpliceBank:
        """Run all aligned recordings once through the layers below the intermediate head.

        Each goes through at a random speed and chunk.
        """
        source = Part(speech, augment, aligned=True)
        loader = PairLoader(source, PairMaker([source]), _FRAMES, seed, prefetch=1)
        lower = lower_stages(network)
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_BANK,)))
        found, labels, breaks = [], [], []
        network.eval()
        device = next(network.parameters()).device
        for batch in loader.epoch(0):
            set_chunk(network.encoder, int(rng.choice(network.config.chunks)))
            with torch.inference_mode(), autocast(device, True):
                x, mask = features(network, batch.to(device))
                for stage in network.encoder.stages[:lower]:
                    x, mask = stage(x, mask)
            for row, length in enumerate(mask.sum(1).tolist()):
                found.append(x[row, :length].to(torch.float16).cpu().numpy())
                labels.append(batch.pairs[row].target(ALIGNMENT)[:length])
                breaks.append(np.arange(length) == 0)
        return cls(np.concatenate(found), np.concatenate(labels), np.concatenate(breaks))

    def draw(self, phones: Sequence[int], rng: np.random.Generator) -> NDArray[np.float32] | None:
        """Features (T, C) of a phone sequence, 0 for silence; None where a phone was never recorded."""
        chosen = choose_units(np.asarray(phones, dtype=np.int64), self._orders, self._keys, rng)
        if (chosen < 0).any():
            return None
        frames = np.concatenate([np.arange(self.first[unit], self.end[unit]) for unit in chosen])
        return self.features[frames].astype(np.float32)


Sorted = list[NDArray[np.int64]]


def sort_units(before: NDArray[np.int64], phone: NDArray[np.int64], after: NDArray[np.int64]) -> tuple[Sorted, Sorted]:
    """An index of recorded phones by their neighbours, from the most alike to the least: orders and sorted keys."""
    keys = _keys(before, phone, after)
    orders = [np.argsort(key, kind="stable") for key in keys]
    return orders, [key[order] for key, order in zip(keys, orders, strict=True)]


def choose_units(
    phones: NDArray[np.int64], orders: Sorted, known: Sorted, rng: np.random.Generator
) -> NDArray[np.int64]:
    """For each of a sequence of phones a recorded one, as alike as there is; -1 where there is none."""
    padded = np.concatenate([[0], phones, [0]])
    chosen = np.full(len(phones), -1)
    for key, sorted_keys, order in zip(_keys(padded[:-2], phones, padded[2:]), known, orders, strict=True):
        low, high = np.searchsorted(sorted_keys, key, "left"), np.searchsorted(sorted_keys, key, "right")
        found = (chosen < 0) & (high > low)
        pick = low + (rng.random(len(phones)) * (high - low)).astype(np.int64)
        chosen[found] = order[pick[found]]
    return chosen


def _keys(before: NDArray[np.int64], phone: NDArray[np.int64], after: NDArray[np.int64]) -> Sorted:
    """Both neighbours, the one before, the one after, none."""
    return [(before * BASE + phone) * BASE + after, before * BASE + phone, phone * BASE + after, phone]


def lower_stages(network: Network) -> int:
    """How many stages of the encoder lie below the intermediate head."""
    return next(i for i, stage in enumerate(network.encoder.stages) if isinstance(stage, SelfConditioning))


class SplicedTexts:
    """Batches of spliced sentences: a function of the seed, the number asked for, and the weights of the last `renew`.

    Args:
        build: weights, seed -> the bank to draw from.
        texts: what to draw sentences from; those with words that have no pronunciation are passed over.
        frames: encoder frames in a batch, about.
        renewal: steps from one bank to the next, which follows the network.
        pause: probability of silence between two words.
    """

    def __init__(
        self,
        build: Callable[[dict[str, Tensor], int], SpliceBank],
        texts: Sequence[str],
        targets: Targets,
        seed: int,
        frames: int,
        renewal: int,
        pause: float = 0.12,
    ):
        self.build, self.texts, self.targets, self.seed = build, texts, targets, seed
        self.frames, self.renewal, self.pause = frames, renewal, pause
        self.made = -1  # the step that the bank was made at
        self.weights: dict[str, Tensor] = {}
        self.bank: SpliceBank | None = None

    def renew(self, step: int, weights: Mapping[str, Tensor]) -> None:
        """Make a bank with these weights where there is none, or where the last is too old."""
        if self.made < 0 or step - self.made >= self.renewal:
            self.made, self.weights = step, {name: value.clone() for name, value in weights.items()}
            self.bank = None
        if self.bank is None:
            self.bank = self.build(self.weights, self.seed + self.made)

    def draw(self, number: int) -> tuple[Tensor, Tensor, list[str]]:
        """Features (B, T, C) as the intermediate head gets them, mask (B, T), and the texts.

        Raises:
            UsageError: hardly any sentence can be made of what was recorded.
        """
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(_TEXT, number)))
        rows: list[NDArray[np.float32]] = []
        texts: list[str] = []
        failed = 0
        while sum(map(len, rows)) < self.frames:
            text = self.texts[int(rng.integers(len(self.texts)))]
            phones = self._phones(text, rng)
            row = self.bank.draw(phones, rng) if phones else None
            if row is not None:
                rows.append(row)
                texts.append(text)
            elif (failed := failed + 1) > _MOST_FAILURES:
                raise UsageError("nearly all sentences of the texts have unknown words, or phones never recorded")
        lengths = torch.tensor([len(row) for row in rows])
        x = torch.zeros(len(rows), int(lengths.max()), rows[0].shape[1])
        for target, row in zip(x, rows, strict=True):
            target[: len(row)] = torch.from_numpy(row)
        return x, lengths_to_mask(lengths, x.shape[1]), texts

    def state_dict(self) -> dict[str, Any]:
        """What a continuation makes the same bank from: it is large, and the weights are not."""
        return {"made": self.made, "weights": self.weights}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.made, self.weights, self.bank = state["made"], state["weights"], None

    def _phones(self, text: str, rng: np.random.Generator) -> list[int] | None:
        phones = [0]
        for word in text.split():
            spoken = self.targets.tokens(word, PHONES)
            if spoken is None:
                return None
            if len(phones) > 1 and rng.random() < self.pause:
                phones.append(0)
            phones += spoken
        return [*phones, 0]


@dataclass(frozen=True)
class SplicedText(Objective):
    """A CTC head, and the layers from the intermediate head up, on sentences that nobody read out.

    The recipe's `train` is a `Speech` with texts.

    Attributes:
        augment: of the recordings that sentences are spliced from.
        frames: of the encoder, in a batch.
        renewal: steps after which the features that they are spliced from are computed anew.
    """

    head: str
    weight: float = 1.0
    augment: AugmentConfig | None = None
    frames: int = 2200
    renewal: int = 700
    spliced: SplicedTexts | None = None
    apart = True

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"text:{self.head}"

    @property
    def heads(self) -> tuple[str, ...]:  # type: ignore[override]
        return (self.head,)

    def start(self, context: Context) -> SplicedText:
        speech, network = context.recipe.train, context.network
        if not network.config.conditioning or not speech.texts:
            raise UsageError(f"{self.name}: it needs an intermediate head, and sentences that it can spell")
        evaluated = Network(network.config).to(context.device)

        def build(weights: dict[str, Tensor], seed: int) -> SpliceBank:
            evaluated.load_state_dict(weights)
            return SpliceBank.build(evaluated, speech, self.augment, seed)

        texts = SplicedTexts(build, speech.texts, speech.spoken, context.seed, self.frames, self.renewal)
        return replace(self, spliced=texts)

    def renew(self, step: int, weights: Mapping[str, Tensor]) -> None:
        self.spliced.renew(step, weights)

    def loss(self, network: Network, batch: Encoded) -> Loss | None:
        x, mask, texts = (part[batch.shard :: batch.shards] for part in self.spliced.draw(batch.number))
        units, device = network.config.heads[self.head].units, next(network.parameters()).device
        tokens = [self.spliced.targets.tokens(text, units) for text in texts]
        return spliced_loss(network, self.head, x.to(device), mask.to(device), tokens, batch.bf16)

    def state_dict(self) -> Any:
        return self.spliced.state_dict()

    def load_state_dict(self, state: Any) -> None:
        self.spliced.load_state_dict(state)


def spliced_loss(
    network: Network, head: str, x: Tensor, mask: Tensor, tokens: Sequence[list[int] | None], bf16: bool = True
) -> Loss | None:
    """A head's loss on spliced features (B, T, C); only the layers from the intermediate head up learn."""
    rows = [row for row, target in enumerate(tokens) if target]
    if not rows:
        return None
    with autocast(x.device, bf16):
        for stage in network.encoder.stages[lower_stages(network) :]:
            x, mask = stage(x, mask)
        outputs, mask = network.heads[head](x[rows], mask[rows])
    return network.heads[head].loss(outputs, mask, [tokens[row] for row in rows])
