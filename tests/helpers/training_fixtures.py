"""Tiny networks, data and recipes for the tests of training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tones import PITCH, SECONDS, TEXTS, write_tones

from transducer.cores.conformer import ConformerConfig
from transducer.data.augment.features import FeatureAugment
from transducer.data.batches import BatchPlan
from transducer.data.loader import Batch, BatchLoader
from transducer.encoders.conv_subsampling import ConvSubsamplingConfig
from transducer.heads.ctc import CTCConfig, SelfConditioningConfig
from transducer.model.config import HeadConfig, ModelConfig
from transducer.model.network import Network
from transducer.text.tokenizers.characters import Characters
from transducer.text.tokenizers.symbols import Symbols
from transducer.training.corpus import Corpus, open_corpus
from transducer.training.loop import PhaseTrainer
from transducer.training.recipe import Phase, Recipe, Table
from transducer.training.run import build_network

LETTERS = "".join(PITCH)
UNITS = {"characters": Characters(LETTERS), "phones": Symbols(LETTERS.upper())}


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


def tone_recipe(folder: Path, model: ModelConfig, phases: tuple[Phase, ...], texts: tuple[str, ...] = TEXTS) -> Recipe:
    """Recordings of tones in `folder`, with a dictionary and the alignments of the first half of them."""
    table = write_tones(folder, texts)
    words = sorted({word for text in texts for word in text.split()})
    lexicon = folder / "words.dict"
    lexicon.write_text("".join(f"{word} {' '.join(word.upper())}\n" for word in words))
    alignments = ["utterance\tphones\tstarts\tends"]
    for text in texts[: len(texts) // 2]:
        starts = SECONDS * np.arange(len(text) + 2)
        phones = " ".join("sil" if letter == " " else letter.upper() for letter in f" {text} ")
        times = (" ".join(f"{time:.3f}" for time in column) for column in (starts, starts + SECONDS))
        alignments.append("\t".join([f"train-{text.replace(' ', '_')}", phones, *times]))
    (folder / "alignments.tsv").write_text("\n".join(alignments) + "\n")
    return Recipe(
        name="tones",
        model=model,
        units=UNITS,
        train=(Table(table, "Tones", "CC0"),),
        dev=None,
        phases=phases,
        lexicon=lexicon,
        alignments=folder / "alignments.tsv",
        speeds=(1.0, 1.1),
        evaluate_every=4,
        save_every=3,
    )


def trainer_of(recipe: Recipe, corpus: Corpus, folder: Path, phase: int = 0) -> PhaseTrainer:
    """A trainer with a fresh network."""
    network, settings = build_network(recipe, corpus), recipe.phases[phase]
    mean, std = network.frontend.mean.numpy(), network.frontend.std.numpy()
    augment = settings.augment and FeatureAugment(settings.augment, mean=mean)
    plan = BatchPlan(corpus.train.frames, settings.frames_per_batch, recipe.seed)
    loader = BatchLoader(corpus.train, plan, augment=augment, normalise=(mean, std))
    return PhaseTrainer(network, loader, corpus.targets, settings, folder, recipe.seed)


def corpus_of(recipe: Recipe, folder: Path) -> Corpus:
    return open_corpus(recipe, folder / "cache", progress=False)


def batch_of(rows: list[tuple[str, str, int]], bins: int = 80, seed: int = 0) -> Batch:
    """Random features for rows of (id, text, frames)."""
    lengths = torch.tensor([frames for _, _, frames in rows])
    features = torch.zeros(len(rows), int(lengths.max()), bins)
    for number, (x, (_, _, frames)) in enumerate(zip(features, rows, strict=True)):
        x[:frames] = torch.randn(frames, bins, generator=torch.Generator().manual_seed(seed + number))
    return Batch(
        features=features,
        lengths=lengths,
        ids=[name for name, _, _ in rows],
        texts=[text for _, text, _ in rows],
        speeds=torch.ones(len(rows)),
        tokens=None,
        indices=torch.arange(len(rows)),
        epoch=0,
        step=0,
    )


def without_times(numbers: dict[str, float]) -> dict[str, float]:
    """A report without what depends on the machine."""
    return {name: value for name, value in numbers.items() if name not in ("seconds", "audio_per_second")}


def with_units(model: ModelConfig) -> ModelConfig:
    """The model with the sizes of UNITS, as `build_network` fills them in."""
    return replace(model, units={name: len(tokenizer) for name, tokenizer in UNITS.items()})


def tiny_network(**changes: object) -> Network:
    torch.manual_seed(0)
    return Network(replace(with_units(tiny_model()), **changes))


def assert_same(a: object, b: object, where: str = "state") -> None:
    """Equal bit for bit, through dicts, lists and tensors."""
    assert type(a) is type(b), where
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b), where
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
