"""Training on pairs: whoever brings sequences x and what is to be said of them, y, gets a model.

A recipe under pipelines/ that returns a `PairRecipe` is run by `transducer train`, as one that returns a `Recipe` is.
Legend of axis suffixes: T steps, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from transducer.model.config import ModelConfig, to_json
from transducer.model.network import Network
from transducer.text.tokenizers.tokenizer import Tokenizer
from transducer.training.recipe import Phase

NO_LABEL = -1  # of frames that nothing is learned from

Target = np.ndarray | int | Sequence[int]


@dataclass(frozen=True)
class Pair:
    """One example.

    Attributes:
        x: (T, C) uint8 or float32, what the model's front-end takes: of frames, H * W * 3.
        y: labels of frames, (T,) int with `NO_LABEL` where none is known; or one label, an int; or tokens, a list.
            A model with several decoders that want different things takes name of decoder -> one of these; a decoder
            that is not among them learns nothing from this pair.
        id: for messages.
    """

    x: np.ndarray
    y: Target | Mapping[str, Target]
    id: str = ""

    def target(self, head: str) -> Target | None:
        """What decoder `head` is to say; None if that is not known."""
        return self.y.get(head) if isinstance(self.y, Mapping) else self.y


class PairSource(Protocol):
    """Examples by number.

    An optional attribute `fingerprint` (str) tells one data set from another when a run is resumed.
    """

    def __len__(self) -> int: ...

    def pair(self, index: int, rng: np.random.Generator) -> Pair:
        """Example `index`, from 0. A function of its arguments alone; `rng` is for augmentation."""
        ...


# (network, examples) -> name -> a fraction, such as "accuracy:labels" or "error:tokens".
Evaluate = Callable[[Network, PairSource], Mapping[str, float]]


@dataclass(frozen=True)
class PairRecipe:
    """A whole run on pairs.

    Attributes:
        name: of the checkpoint folder.
        model: what is trained; its `chunks` are drawn from at random, one a batch. The run fills in `units`.
        units: name of units -> tokenizer.
        train: the examples. With `workers` they are made in processes that are forked from this one.
        dev: for the evaluations on the way and at the end; evaluated with the same random numbers every time.
        losses: name of a loss -> weight. "framewise:NAME" wants labels of frames, "pooled:NAME" one label,
            "ctc:NAME" and "rnnt:NAME" tokens; NAME is a decoder.
        steps: optimizer steps.
        batch_frames: frames in a batch, padding counted; a longer example is a batch of its own.
        learning_rate, matrix_learning_rate, weight_decay, warmup, final_fraction, clip, average_decay, bf16: as in
            `recipe.Phase`.
        label_weights: of each label, for all framewise and pooled losses, or name of decoder -> of each label.
        evaluate: None computes `pair_evaluation.rates`.
        initial: a checkpoint folder to start from; parts that it lacks, or has in other shapes, start anew.
        card: what the model's card is to say.
        storage: of the weights on disk, "float16" or "int8".
        buckets: batches are cut from so many batches' worth of examples, sorted by length.
        workers: processes that make the examples; 0 makes them in a thread.
        seed: of everything random.
        evaluate_every, save_every: in steps; both also happen at the end.
    """

    name: str
    model: ModelConfig
    units: Mapping[str, Tokenizer]
    train: PairSource
    dev: PairSource | None
    losses: Mapping[str, float]
    steps: int
    batch_frames: int = 3000
    learning_rate: float = 2e-3
    matrix_learning_rate: float = 0.02
    weight_decay: float = 0.01
    warmup: int = 50
    final_fraction: float = 0.02
    clip: float = 5.0
    average_decay: float = 0.99
    bf16: bool = True
    label_weights: Sequence[float] | Mapping[str, Sequence[float]] | None = None
    evaluate: Evaluate | None = None
    initial: Path | None = None
    card: dict[str, Any] = field(default_factory=dict)
    storage: str = "float16"
    buckets: int = 4
    workers: int = 1
    seed: int = 1
    evaluate_every: int = 200
    save_every: int = 50

    @property
    def phase(self) -> Phase:
        """The run as the one phase that it is."""
        return Phase(
            "train",
            self.steps,
            dict(self.losses),
            frames_per_batch=self.batch_frames,
            learning_rate=self.learning_rate,
            matrix_learning_rate=self.matrix_learning_rate,
            weight_decay=self.weight_decay,
            warmup=self.warmup,
            final_fraction=self.final_fraction,
            clip=self.clip,
            augment=None,
            average_decay=self.average_decay,
            bf16=self.bf16,
        )

    @property
    def phases(self) -> tuple[Phase, ...]:
        return (self.phase,)

    def weights_of(self, head: str) -> Sequence[float] | None:
        """The weight of each label for a decoder; None where all count the same."""
        if isinstance(self.label_weights, Mapping):
            return self.label_weights.get(head)
        return self.label_weights

    def describe(self) -> dict[str, Any]:
        """What a run depends on, as JSON data: see `folder.describe`."""
        sources = {"train": self.train, "dev": self.dev}
        weights = self.label_weights
        return {
            "name": self.name,
            "model": to_json(self.model),
            "units": {name: list(tokenizer.tokens) for name, tokenizer in self.units.items()},
            "data": {
                name: None if source is None else [len(source), getattr(source, "fingerprint", None)]
                for name, source in sources.items()
            }
            | {
                "initial": self.initial.name if self.initial else None,
                "label_weights": {name: list(values) for name, values in weights.items()}
                if isinstance(weights, Mapping)
                else weights and list(weights),
                "buckets": self.buckets,
            },
            "seed": self.seed,
            "phases": {phase.name: vars(phase) for phase in self.phases},
        }


def fixed_pair(source: PairSource, index: int) -> Pair:
    """Example `index` as it is evaluated: always with the same random numbers."""
    return source.pair(index, np.random.default_rng(np.random.SeedSequence(0, spawn_key=(index,))))
