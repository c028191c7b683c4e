"""Recordings with one label each as training examples: log-mel features from a cache, changed anew every time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from transducer.data.augment.features import AugmentConfig, FeatureAugment, mel_edges, mix
from transducer.data.features import FeatureStore, feature_config
from transducer.data.item import Item
from transducer.data.pairs import Pair
from transducer.frontends.logmel import LogMelConfig


class LabelledSounds:
    """A `PairSource` of recordings: x are log-mel features (T, C), not normalised, y is the number of the label.

    Args:
        items: rows of a table that have a `label`.
        numbers: label -> its number, from 1 on.
        frontend: of the model; the default one if None.
        speeds: of the copies of each recording; an epoch has one of them.
        augment: for training; None gives the features as they are.
        noise: recordings to mix in, for `augment`.
        roll: each example begins at a random place of its recording, and goes on with what was before it: for sounds
            that may come at any time.
        quiet: so many steps as quiet as the quietest of the recording, bin by bin, come before it and after it: for
            recordings that are cut so close that a network used to speech among other sound does not know them.
        doubled: this share of the examples has another recording of the same label mixed in, at most as loud.
        name, licence: as the model's card is to name them.
        workers: processes that compute the features that the cache does not have.
    """

    enters = "encoder"

    def __init__(
        self,
        items: Sequence[Item],
        numbers: Mapping[str, int],
        frontend: LogMelConfig | None = None,
        *,
        speeds: Sequence[float] = (1.0,),
        augment: AugmentConfig | None = None,
        noise: Sequence[Item] = (),
        roll: bool = False,
        quiet: int = 0,
        doubled: float = 0.0,
        name: str = "",
        licence: str = "",
        workers: int = 1,
    ):
        self.items, self.noise, self.augment, self.roll, self.doubled = (
            tuple(items),
            tuple(noise),
            augment,
            roll,
            doubled,
        )
        self.config = feature_config(frontend or LogMelConfig(), tuple(("speed", speed) for speed in speeds))
        self.name, self.licence, self.workers = name, licence, workers
        self.title, self.quiet = name, quiet
        self._targets = [numbers[item.label or ""] for item in self.items]
        known = [[item.id for item in self.items], self._targets, [item.id for item in self.noise]]
        self.fingerprint = hashlib.sha256(
            repr([known, self.config, augment, roll, doubled, quiet]).encode()
        ).hexdigest()

    def prepare(self, cache: Path, progress: bool = True) -> None:
        """Compute the features that are not there yet. Raises MediaError where a recording cannot be decoded."""
        self.store = FeatureStore.build(self.items, cache, self.config, workers=self.workers, progress=progress)
        self.lengths = self.store.frames + 2 * self.quiet
        self._edges = mel_edges(self.config.rate, self.config.bins)
        self._change: FeatureAugment | None = None
        if self.augment is not None:
            plain = replace(self.config, variants=(("speed", 1.0),))
            noise = FeatureStore.build(self.noise, cache, plain, workers=1, progress=progress) if self.noise else None
            self._change = FeatureAugment(self.augment, noise, self.statistics()[0], self._edges)

    def __len__(self) -> int:
        return len(self.items)

    def pair(self, index: int, rng: np.random.Generator) -> Pair:
        number, variant = divmod(index, self.lengths.shape[1])
        x = self._features(number, variant, rng)
        if rng.random() < self.doubled:
            mates = [other for other, target in enumerate(self._targets) if target == self._targets[number]]
            other = self._features(int(rng.choice(mates)), variant, rng)
            mix(x, np.resize(other, x.shape), rng.uniform(0, 10), self._edges)
        if self._change is not None:
            x = self._change(x[None], [len(x)], rng)[0]
        return Pair(x, self._targets[number], self.items[number].id)

    def _features(self, number: int, variant: int, rng: np.random.Generator) -> np.ndarray:
        x = self.store.features(number, variant).astype(np.float32)
        if self.roll:
            x = np.roll(x, int(rng.integers(len(x))), axis=0)
        if self.quiet:
            silence = np.repeat(x.min(axis=0, keepdims=True), self.quiet, axis=0)
            x = np.concatenate([silence, x, silence])
        return x

    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each bin, (C,) each."""
        return self.store.statistics()

    def describe(self) -> list[dict[str, Any]]:
        """For the model's card."""
        found = [{"name": self.name, "licence": self.licence, "recordings": len(self.items)}]
        if self.noise:
            found.append({"name": "noise", "licence": self.licence, "recordings": len(self.noise)})
        return found

    def media(self) -> list[Path]:
        """The recordings' files."""
        return [item.path for item in self.items]
