"""The end of a run: the checkpoint folder with its card, and the error rates of what is in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from transducer.encoders.conv_subsampling import ConvSubsampling
from transducer.errors import UsageError
from transducer.model.checkpoint import load_checkpoint, save_checkpoint
from transducer.model.config import ModelConfig
from transducer.model.network import Network
from transducer.training.corpus import PHONES, Corpus
from transducer.training.evaluate import error_rates, greedy_texts
from transducer.training.recipe import Recipe
from transducer.version import VERSION


@dataclass(frozen=True)
class Results:
    """What a checkpoint can do on the dev table, greedy, computed in float32 from its weights as they are on disk.

    Attributes:
        network: as it was loaded back.
        rates: chunk in encoder frames -> the error rates; empty without a dev table.
        heard: what the first decoder heard at the default chunk, utterance by utterance.
    """

    network: Network
    rates: dict[int, dict[str, float]]
    heard: list[str]


def default_chunk(config: ModelConfig) -> int:
    """The chunk, in encoder frames, that a model uses when it is not told: the config's, or the middle one."""
    milliseconds = config.decoding.chunk_ms
    if milliseconds is None:
        return config.chunks[len(config.chunks) // 2]
    return round(milliseconds / frame_ms(config))


def frame_ms(config: ModelConfig) -> float:
    """Milliseconds from one encoder frame to the next."""
    return ConvSubsampling.stride * config.frontend.hop * 1000 / config.frontend.rate


def evaluation(
    network: Network, corpus: Corpus, decoders: Sequence[str], chunk: int | None = None, bf16: bool = True
) -> dict[str, float]:
    """Greedy error rates on the dev table, see `error_rates`; at the default chunk if None."""
    heard = greedy_texts(
        network, corpus.dev, corpus.targets.units, chunk or default_chunk(network.config), decoders, bf16
    )
    return _rates(network.config, corpus, heard)


def config_without(config: ModelConfig, decoders: Sequence[str]) -> ModelConfig:
    """A model that lacks some decoders, and units that nothing else in it has.

    Raises:
        UsageError: it has no such decoder.
    """
    if strange := set(decoders) - config.heads.keys():
        raise UsageError(f"auxiliary: the model has no decoder {min(strange)!r}, but {', '.join(config.heads)}")
    kept = {name: part for name, part in config.heads.items() if name not in decoders}
    used = {part.units for part in (*kept.values(), *filter(None, [config.conditioning]))}
    units = {name: size for name, size in config.units.items() if name in used}
    return replace(config, heads=kept, units=units)


def without(network: Network, decoders: Sequence[str]) -> Network:
    """A copy of a network that lacks some decoders; see `config_without`."""
    result = Network(config_without(network.config, decoders))
    weights = network.state_dict()
    result.load_state_dict({name: weights[name] for name in result.state_dict()})
    return result


def export(folder: Path, network: Network, recipe: Recipe, corpus: Corpus, decoders: Sequence[str]) -> Results:
    """Write the checkpoint folder, measure what is in it on the dev table, and put that on its card."""
    units = {name: recipe.units[name] for name in network.config.units}
    config = network.config
    card = {**config.card, **_card(recipe, corpus)}
    words = recipe.word_model(folder.parent / "words") if recipe.word_model else None
    if words is not None:
        decoder = next(name for name, part in config.heads.items() if part.units == words.config.units)
        prior = tuple(round(value, 3) for value in log_prior(network, corpus, decoder).tolist())
        words.config = replace(words.config, log_prior=prior)
    storage = getattr(torch, recipe.storage)
    save_checkpoint(folder, network, replace(config, card=card), units, storage, words)
    loaded, _ = load_checkpoint(folder)
    if not corpus.dev or not decoders:
        return Results(loaded, {}, [])
    rates, heard, default = {}, [], default_chunk(config)
    for chunk in config.chunks:
        texts = greedy_texts(loaded, corpus.dev, units, chunk, decoders, bf16=False)
        rates[chunk] = _rates(config, corpus, texts)
        if chunk == default:
            heard = texts[decoders[0]]
    if default in rates and f"wer:{decoders[0]}" in rates[default]:
        wer = rates[default][f"wer:{decoders[0]}"]
        card["measured"] = [
            f"WER {100 * wer:.1f} % on {recipe.dev.title}, greedy, in chunks of {default * frame_ms(config):g} ms"
        ]
    save_checkpoint(folder, network, replace(config, card=card), units, storage, words)
    return Results(loaded, rates, heard)


@torch.inference_mode()
def log_prior(network: Network, corpus: Corpus, decoder: str, utterances: int = 100) -> Tensor:
    """(V,) logarithm of the mean posterior of each token over some of the training data, at the original speed."""
    store = corpus.train
    variant = int(np.argmin(np.abs(store.speeds - 1)))
    network.set_chunk(default_chunk(network.config))
    network.eval()
    total, frames = torch.zeros(()), 0
    for index in np.random.default_rng(0).permutation(len(store))[:utterances]:
        features = torch.from_numpy(store.features(int(index), variant).astype(np.float32))
        features = ((features - network.frontend.mean) / network.frontend.std)[None]
        x, mask = network.encoder(features, torch.ones(features.shape[:2], dtype=torch.bool))
        log_probs, _ = network.heads[decoder](x, mask)
        total, frames = total + log_probs[0].exp().sum(0), frames + log_probs.shape[1]
    return (total / frames).log()


def _rates(config: ModelConfig, corpus: Corpus, heard: dict[str, list[str]]) -> dict[str, float]:
    units = {name: config.heads[name].units for name in heard}
    references = {name: corpus.dev_texts(unit) for name, unit in units.items()}
    return error_rates(references, heard, [name for name, unit in units.items() if unit != PHONES])


def _card(recipe: Recipe, corpus: Corpus) -> dict[str, Any]:
    trained_on = [
        {"name": table.title, "licence": table.licence, "hours": round(corpus.hours[table.title], 2)}
        for table in recipe.train
    ]
    if recipe.noise:
        trained_on.append({"name": recipe.noise.title, "licence": recipe.noise.licence, "hours": "noise"})
    return {
        "trained_on": trained_on,
        "hours": round(sum(corpus.hours.values()), 2),
        "training_steps": sum(phase.steps for phase in recipe.phases),
        "made_with": f"transducer {VERSION}",
    }
