"""Tiny networks, data and recipes for the tests of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tones import PITCH, TEXTS, write_tones

from transducer.cores.conformer import ConformerConfig
from transducer.data.loader import Batch, PairLoader, collate
from transducer.data.pairs import Pair, Prepared
from transducer.data.ranks import Ranks
from transducer.data.recordings import Dataset, Recordings
from transducer.data.workers import PairMaker
from transducer.encoders.conv_subsampling import ConvSubsamplingConfig
from transducer.heads.ctc import CTCConfig, SelfConditioningConfig
from transducer.model.config import HeadConfig, ModelConfig
from transducer.model.network import Network
from transducer.text.tokenizers.characters import Characters
from transducer.text.tokenizers.symbols import Symbols
from transducer.training.context import Context
from transducer.training.initial import build_network
from transducer.training.loop import Trainer
from transducer.training.recipe import Phase, Recipe
from transducer.training.words import WordErrors

LETTERS = "".join(PITCH)
UNITS = {"characters": Characters(LETTERS), "phones": Symbols(LETTERS.upper())}
PRONUNCIATIONS = {"ab": ["A", "B"], "cab": ["C", "A", "B"]}


def tiny_model(
    heads: dict[str, HeadConfig] | None = None, chunks: tuple[int, ...] = (1,), **core: float
) -> ModelConfig:
    """A network of some ten thousand weights, with an intermediate head for phones."""
    shape = {"channels": 32, "heads": 2, "hidden": 64, "layers": 2, "kernel": 7, "left_context": 16}
    return ModelConfig(
        core=ConformerConfig(**{**shape, **core}),
        encoder=ConvSubsamplingConfig(8),
        heads=heads or {"characters": CTCConfig("characters"), "phones": CTCConfig("phones")},
        conditioning=SelfConditioningConfig(1, "phones"),
        chunks=chunks,
    )


def tones(
    folder: Path,
    heads: Sequence[str] = ("characters",),
    texts: Sequence[str] = TEXTS,
    table: str = "train.tsv",
    **how: Any,
) -> Recordings:
    """Recordings of tones in `folder`, whose letters these heads spell."""
    path = write_tones(folder, tuple(texts), table)
    return Recordings((Dataset(path, "Tones", "CC0"),), dict.fromkeys(heads, UNITS["characters"]), **how)


def tone_recipe(
    folder: Path,
    model: ModelConfig,
    phases: tuple[Phase, ...],
    heads: Sequence[str] = ("characters",),
    texts: Sequence[str] = TEXTS,
    **how: Any,
) -> Recipe:
    """A recipe on tones; `how` are arguments of `Recordings`."""
    return Recipe(
        name="tones",
        model=model,
        units=UNITS,
        train=tones(folder, heads, texts, **{"speeds": (1.0, 1.1), **how}),
        dev=None,
        phases=phases,
        evaluate=WordErrors(UNITS, heads),
        workers=0,
        evaluate_every=4,
        save_every=3,
    )


def trainer_of(recipe: Recipe, folder: Path, number: int = 0, cache: Path | None = None) -> Trainer:
    """A trainer of a phase with a fresh network."""
    phase, seed = recipe.phases[number], recipe.seed + number
    source = recipe.source(phase)
    if isinstance(source, Prepared):
        source.prepare(cache or folder / "cache", progress=False)
    loader = PairLoader(source, PairMaker([source]), phase.batch_frames, seed, buckets=phase.buckets, prefetch=0)
    network = build_network(recipe)
    context = Context(recipe, phase, network, seed, folder, folder / "cache", Ranks(), torch.device("cpu"))
    objectives = [objective.start(context) for objective in phase.objectives]
    return Trainer(network, loader, phase, folder, seed, objectives=objectives)


def pair_of(name: str, text: str, frames: int, seed: int = 0, bins: int = 80, **targets: Any) -> Pair:
    """Random features; letters for the heads "characters" and "rnnt", and phones where words have a pronunciation."""
    x = torch.randn(frames, bins, generator=torch.Generator().manual_seed(seed)).numpy()
    letters = UNITS["characters"].encode(text)
    y: dict[str, Any] = {"characters": letters, "rnnt": letters, **targets}
    if all(word in PRONUNCIATIONS for word in text.split()):
        y["phones"] = UNITS["phones"].encode(" ".join(" ".join(PRONUNCIATIONS[word]) for word in text.split()))
    return Pair(x, y, name)


def batch_of(rows: Sequence[tuple[str, str, int]], first: int = 0, **targets: Mapping[str, Any]) -> Batch:
    """Pairs for rows of (id, text, frames); `targets` by the names of heads and ids."""
    pairs = [
        pair_of(name, text, frames, first + number, **{head: y[name] for head, y in targets.items() if name in y})
        for number, (name, text, frames) in enumerate(rows)
    ]
    return collate(pairs, "encoder")


def without_times(numbers: dict[str, float]) -> dict[str, float]:
    """A report without what depends on the machine."""
    return {name: value for name, value in numbers.items() if name not in ("seconds", "frames_per_second")}


def with_units(model: ModelConfig) -> ModelConfig:
    """The model with the sizes of UNITS, as `build_network` fills them in."""
    return replace(model, units={name: len(tokenizer) for name, tokenizer in UNITS.items()})


def tiny_network(**changes: object) -> Network:
    torch.manual_seed(0)
    return Network(replace(with_units(tiny_model()), **changes))


def stop_after(calls: int):
    """Says stop when asked for the time after so many."""
    asked = iter(range(calls))
    return lambda: next(asked, None) is None


def weights_of(folder: Path, phase: str) -> dict[str, torch.Tensor]:
    """The averaged weights in a run's state of a phase."""
    return torch.load(folder / "phases" / f"{phase}.pt", weights_only=True)["average"]["weights"]


def assert_same(a: object, b: object, where: str = "state") -> None:
    """Equal bit for bit, through dicts, lists and tensors."""
    assert type(a) is type(b), where
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b), where
    elif isinstance(a, np.ndarray):
        assert np.array_equal(a, b), where
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_same(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), where
        for number, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{where}[{number}]")
    else:
        assert a == b, where
