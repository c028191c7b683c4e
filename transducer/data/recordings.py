"""Recordings and their texts as training examples: log-mel features from a cache, and tokens for each head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from transducer.data.augment.features import AugmentConfig, FeatureAugment, mel_edges
from transducer.data.features import FeatureStore, feature_config
from transducer.data.item import Item
from transducer.data.pairs import Pair, Target
from transducer.data.table import read_table
from transducer.errors import UsageError
from transducer.frontends.logmel import LogMelConfig
from transducer.text.english.normalise import normalise
from transducer.text.tokenizers.tokenizer import Tokenizer


@dataclass(frozen=True)
class Dataset:
    """A table of recordings (see `transducer.data.table`), or a part of it.

    Attributes:
        path: of the table.
        name, licence: as the model's card is to name them; the name is the file's without its ending if empty.
        rows: at most so many, spread evenly over the table; None takes all.
        split: "train" or "dev": what the table's column `split` says, or a hash of speakers or sources; "" for all.
        share: of the table that is held out, where it has no such column.
    """

    path: Path
    name: str = ""
    licence: str = ""
    rows: int | None = None
    split: str = ""
    share: float = 0.1

    @property
    def title(self) -> str:
        return self.name or self.path.stem

    def read(self, needs: str | None = "text") -> list[Item]:
        """The items. Raises UsageError for a table that cannot be read, or that lacks what is needed."""
        table = read_table(self.path, needs=needs)
        items: Sequence[Item] = table.items
        if self.split:
            items = table.parts(self.share)[0 if self.split == "train" else 1]
        if self.rows is None or self.rows >= len(items):
            return list(items)
        return [items[i * len(items) // self.rows] for i in range(self.rows)]


class Recordings:
    """A `PairSource` of recordings and what is said in them.

    x are log-mel features (T, C), not normalised, computed once in some variants (speeds, rooms, codecs) and kept in
    a cache; y is name of head -> tokens.

    Args:
        datasets: the tables.
        spelling: name of head -> tokenizer of the texts.
        frontend: of the model.
        speeds: of the copies of each recording to train on.
        variants: further copies, ("reverb", seed) in a simulated room, ("codec", seed) through a codec or telephone;
            an epoch has one of all the copies of a recording.
        augment: None gives the features as they are.
        noise: clips to mix in, for `augment`.
        normalise: whether texts go through `text.english.normalise` first; False for units that are no plain text.
        workers: processes that compute what the cache does not have.
    """

    enters = "encoder"

    def __init__(
        self,
        datasets: Sequence[Dataset],
        spelling: Mapping[str, Tokenizer],
        frontend: LogMelConfig | None = None,
        *,
        speeds: Sequence[float] = (1.0,),
        variants: Sequence[tuple[str, float]] = (),
        augment: AugmentConfig | None = None,
        noise: Dataset | None = None,
        normalise: bool = True,
        workers: int = 1,
    ):
        self.datasets, self.spelling, self.noise = tuple(datasets), dict(spelling), noise
        self.augment, self.normalise, self.workers = augment, normalise, workers
        self.speeds, self.variants = tuple(speeds), tuple(variants)
        self.config = feature_config(frontend or LogMelConfig())
        self.title = ", ".join(dataset.title for dataset in self.datasets)
        self._counts: list[int] = []

    @property
    def fingerprint(self) -> list[Any]:
        """The tables by their names, so that a data folder may move; and all that changes the examples."""
        tables = [[part.path.name, part.rows, part.split] for part in (*self.datasets, *filter(None, [self.noise]))]
        return [tables, list(self.speeds), [list(part) for part in self.variants], repr(self.augment), self.normalise]

    def prepare(self, cache: Path, progress: bool = True) -> None:
        """Read the tables, and compute the features that are not there yet.

        Raises:
            UsageError: a table that cannot be used, or a text that the units cannot spell. MediaError: a recording
                that cannot be decoded.
        """
        parts = [self._read(dataset) for dataset in self.datasets]
        self._counts = [len(part) for part in parts]
        variants = (*(("speed", speed) for speed in self.speeds), *self.variants)
        self.store = self.open([item for part in parts for item in part], cache, variants, progress)
        self.noises = self.open(self.noise.read(None), cache, progress=progress) if self.noise else None
        self.lengths = self.store.frames
        self._change = self.augmentation(self.augment)

    def open(
        self, items: Sequence[Item], cache: Path, variants: Any = (("speed", 1.0),), progress: bool = True
    ) -> FeatureStore:
        """The features of items, from the cache where it has them."""
        config = replace(self.config, variants=tuple(variants))
        return FeatureStore.build(items, cache, config, workers=self.workers, progress=progress)

    def augmentation(self, config: AugmentConfig | None) -> FeatureAugment | None:
        """What changes features so; with this source's noise, and masks of its mean."""
        if config is None:
            return None
        edges = mel_edges(self.config.rate, self.config.bins, self.config.low_hz)
        return FeatureAugment(config, self.noises, mean=self.statistics()[0], edges_hz=edges)

    def __len__(self) -> int:
        return len(self.store)

    def pair(self, index: int, rng: np.random.Generator) -> Pair:
        number, variant = divmod(index, self.lengths.shape[1])
        return self.changed(number, variant, self._change, rng)

    def changed(self, number: int, variant: int, change: FeatureAugment | None, rng: np.random.Generator) -> Pair:
        """A variant of a recording, changed."""
        x = self.store.features(number, variant).astype(np.float32)
        if change is not None:
            x = change(x[None], [len(x)], rng)[0]
        return Pair(x, self.targets(number, variant), self.store.utterances[number].id)

    def targets(self, number: int, variant: int) -> dict[str, Target]:
        """What the heads are to say of a variant of a recording."""
        text = self.store.utterances[number].text
        return {head: tokenizer.encode(text) for head, tokenizer in self.spelling.items()}

    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each bin, (C,) each."""
        return self.store.statistics()

    @property
    def plain(self) -> int:
        """The variant that is closest to the original speed."""
        return int(np.argmin(np.abs(self.store.speeds - 1)))

    def hours(self) -> list[float]:
        """Of each dataset, at the original speed."""
        seconds = self.store.frames[:, self.plain] * self.config.hop / self.config.rate
        ends = np.cumsum(self._counts)
        parts = np.split(seconds * self.store.speeds[self.plain], ends[:-1])
        return [float(part.sum() / 3600) for part in parts]

    def describe(self) -> list[dict[str, Any]]:
        """For the model's card."""
        parts: list[dict[str, Any]] = [
            {"name": dataset.title, "licence": dataset.licence, "hours": round(hours, 2)}
            for dataset, hours in zip(self.datasets, self.hours(), strict=True)
        ]
        if self.noise:
            parts.append({"name": self.noise.title, "licence": self.noise.licence, "hours": "noise"})
        return parts

    def media(self) -> list[Path]:
        """The recordings' files."""
        return [item.path for item in self.store.utterances]

    def _read(self, dataset: Dataset) -> list[Item]:
        items = dataset.read()
        if self.normalise:
            items = [replace(item, text=normalise(item.text)) for item in items]
        for item in items:
            self.check_spelling(dataset, item)
        return items

    def check_spelling(self, dataset: Dataset, item: Item) -> None:
        """Raises UsageError where a text cannot be spelled by a head's tokenizer."""
        for tokenizer in self.spelling.values():
            try:
                tokenizer.encode(item.text)
            except UsageError as error:
                raise UsageError(f"{dataset.path}, utterance {item.id}: {error}") from None
