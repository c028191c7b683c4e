"""The end of a run: the checkpoint folder with its card, and the error rates of what is in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from transducer.data.fingerprint import trained_items
from transducer.data.pairs import Described, FromFiles
from transducer.heads.ctc import SelfConditioningConfig
from transducer.heads.metrics import Metric
from transducer.model.checkpoint import load_checkpoint, save_checkpoint
from transducer.model.config import HeadConfig, ModelConfig
from transducer.model.network import Network
from transducer.training.evaluation import chunks_of, default_chunk, measure, rates
from transducer.training.progress import label, shown
from transducer.training.recipe import Recipe
from transducer.version import VERSION


@dataclass(frozen=True)
class Results:
    """What a checkpoint can do on the dev examples, computed in float32 from its weights as they are on disk.

    Attributes:
        network: as it was loaded back.
        rates: chunk in encoder frames -> name -> a fraction; empty without dev examples.
        metrics: of each trained head, at the default chunk.
    """

    network: Network
    rates: dict[int, Mapping[str, float]]
    metrics: Mapping[str, Metric]


def evaluation(recipe: Recipe, network: Network) -> dict[str, float]:
    """What a recipe wants to know of a network on its dev examples; empty if there are none."""
    if recipe.dev is None or not len(recipe.dev):
        return {}
    if recipe.evaluate is not None:
        return {name: float(value) for name, value in recipe.evaluate(network, recipe.dev).items()}
    return rates(measure(network, recipe.dev, [name for name in recipe.trained_heads() if name in network.heads]))


def export(folder: Path, network: Network, recipe: Recipe, steps: int | None = None) -> Results:
    """Write the checkpoint folder, measure what is in it on the dev examples, and put that on its card.

    Args:
        steps: of the optimizer that were made; those of the recipe if None.
    """
    device = next(network.parameters()).device
    network = without(network.cpu(), recipe.auxiliary)
    config, units = network.config, {name: recipe.units[name] for name in network.config.units}
    card = {**config.card, **recipe.card, **_card(recipe, steps)}
    words = recipe.word_model(folder.parent / "words", network) if recipe.word_model else None
    storage = getattr(torch, recipe.storage)
    save_checkpoint(folder, network, replace(config, card=card), units, storage, words)
    loaded = load_checkpoint(folder)[0].to(device)
    results = _measure(recipe, loaded)
    if results.rates:
        card["measured"] = _measured(recipe, results)
        save_checkpoint(folder, network, replace(config, card=card), units, storage, words)
    return results


def _measure(recipe: Recipe, network: Network) -> Results:
    if recipe.dev is None or not len(recipe.dev):
        return Results(network, {}, {})
    found: dict[int, Mapping[str, float]] = {}
    for chunk in chunks_of(network):
        with at_chunk(network, chunk):
            found[chunk] = evaluation(recipe, network)
    heads = [name for name in recipe.trained_heads() if name in network.heads]
    return Results(network, found, measure(network, recipe.dev, heads))


def _measured(recipe: Recipe, results: Results) -> list[str]:
    network = results.network
    chunk = default_chunk(network)
    on = getattr(recipe.dev, "title", "held-out examples")
    how = f", in chunks of {chunk_text(network, chunk)}" if len(chunks_of(network)) > 1 else ""
    return [f"{label(name)} {shown(name, value)} on {on}{how}" for name, value in results.rates[chunk].items()]


@contextmanager
def at_chunk(network: Network, chunk: int) -> Iterator[None]:
    """While open, this chunk, in encoder frames, is the network's default."""
    config = network.config
    network.config = replace(config, chunks=(chunk,), decoding=replace(config.decoding, chunk_ms=None))
    try:
        yield
    finally:
        network.config = config


def chunk_text(network: Network, chunk: int) -> str:
    """A chunk for people: in milliseconds where the media have a fixed rate, in frames elsewhere."""
    rate = getattr(network.frontend, "rate", None)
    return f"{chunk * network.hop * 1000 / rate:g} ms" if rate else f"{chunk * network.hop} frames"


def config_without(config: ModelConfig, heads: Sequence[str]) -> ModelConfig:
    """A model that lacks some heads, but for those that others read, and the units that these alone have.

    Units that no head has are what a front-end reads: they stay.
    """
    kept = {name: part for name, part in config.heads.items() if name not in heads}
    read = {getattr(part, "source", None) for part in kept.values()}
    kept = {name: part for name, part in config.heads.items() if name in kept or name in read}
    writers: list[HeadConfig | SelfConditioningConfig] = [*kept.values(), *filter(None, [config.conditioning])]
    used = {part.units for part in writers}
    gone = {part.units for name, part in config.heads.items() if name not in kept} - used
    units = {name: size for name, size in config.units.items() if name not in gone}
    return replace(config, heads=kept, units=units)


def without(network: Network, heads: Sequence[str]) -> Network:
    """A copy of a network, on its device, that lacks some heads; see `config_without`."""
    result = Network(config_without(network.config, heads)).to(next(network.parameters()).device)
    weights = network.state_dict()
    result.load_state_dict({name: weights[name] for name in result.state_dict()})
    return result


def _card(recipe: Recipe, steps: int | None) -> dict[str, Any]:
    planned = sum(phase.steps for phase in recipe.phases)
    card: dict[str, Any] = {
        "training_steps": planned if steps is None else steps,
        "training_examples": len(recipe.train),
    }
    if isinstance(recipe.train, Described):
        card["trained_on"] = recipe.train.describe()
    if files := {path for source in recipe.sources if isinstance(source, FromFiles) for path in source.media()}:
        card["trained_items"] = trained_items(files)
    return {**card, "made_with": f"transducer {VERSION}"}
