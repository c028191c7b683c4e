"""The network before the first phase: drawn at random from the seed, or with the weights of another checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from transducer.data.loader import collate
from transducer.data.pairs import Measured, PairSource, enters, fixed_pair
from transducer.encoders.images.encoder import ImageEncoder
from transducer.frontends.audio_visual import AudioVisual
from transducer.frontends.logmel import LogMel
from transducer.frontends.series import Series
from transducer.heads.ctc import CTC
from transducer.heads.numbers import Numbers
from transducer.model.checkpoint import load_checkpoint
from transducer.model.network import Network
from transducer.training.progress import say
from transducer.training.recipe import Recipe

_STATISTICS = 100  # examples that mean and standard deviation are taken from
_TARGETS = 2000  # and those of numbers to be learned


def build_network(recipe: Recipe) -> Network:
    """The network of a recipe, whose sources are prepared."""
    units = {name: len(tokenizer) for name, tokenizer in recipe.units.items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = Network(replace(recipe.model, units=units))
        for head in network.heads.values():
            if isinstance(head, CTC):
                # Nearly uniform at first: otherwise the first steps go into unlearning random preferences.
                nn.init.normal_(cast(nn.Linear, cast(nn.Sequential, head.module)[0]).weight, std=0.02)
    for part in network.modules():
        if isinstance(part, ImageEncoder) and part.weights:
            say(f"The image network starts from {part.weights}, named as {part.start()} names them")
    if isinstance(recipe.initial, Path):
        take_weights(network, recipe.initial)
    elif recipe.initial:
        recipe.initial(network)
    else:
        measure_inputs(network, recipe.train)
        measure_targets(network, recipe.train)
    return network


def take_weights(network: Network, folder: Path) -> None:
    """Copy what fits by name and shape; says what is left as it was.

    Raises:
        CheckpointError: the folder cannot be used.
    """
    known, own = load_checkpoint(folder)[0].state_dict(), network.state_dict()
    fitting = {name: value for name, value in known.items() if name in own and own[name].shape == value.shape}
    network.load_state_dict(fitting, strict=False)
    if anew := sorted(own.keys() - fitting.keys()):
        say(f"Not in {folder}, trained anew: {', '.join(anew[:8])}{' ...' if len(anew) > 8 else ''}")


@torch.no_grad()
def measure_inputs(network: Network, source: PairSource) -> None:
    """Set the mean and standard deviation of the front-end, of sound or of numbers, if it has them: as the source
    knows them, or from some examples."""
    frontend = network.frontend
    part = frontend.audio if isinstance(frontend, AudioVisual) else frontend
    if not isinstance(part, LogMel | Series):
        return
    if isinstance(source, Measured):
        mean, std = map(torch.from_numpy, source.statistics())
    else:
        part.mean.zero_()
        part.std.fill_(1)
        features = torch.cat(list(_features(network, part, source)))
        mean, std = features.mean(dim=0), features.std(dim=0)
        # A column that never changes stays what it is; of sound, a step of a thousandth is nothing.
        std = std.clamp(min=1e-3) if isinstance(part, LogMel) else torch.where(std > 0, std, 1.0)
    part.mean.copy_(mean)
    part.std.copy_(std)


@torch.no_grad()
def measure_targets(network: Network, source: PairSource) -> None:
    """Set the mean and standard deviation of heads of numbers, from examples; of what never changes it is 1."""
    chosen = np.linspace(0, len(source) - 1, min(_TARGETS, len(source))).round().astype(int)
    for name, head in network.heads.items():
        if not isinstance(head, Numbers):
            continue
        found = (fixed_pair(source, index).target(name) for index in chosen.tolist())
        rows = [np.asarray(target, np.float64).reshape(-1, head.size) for target in found if target is not None]
        values = np.concatenate(rows) if rows else np.zeros((0, head.size))
        for number, column in enumerate(values.T):
            if len(known := column[~np.isnan(column)]):
                head.scale.mean[number] = known.mean()
                head.scale.std[number] = known.std() if known.std() > 1e-6 * abs(known.mean()) else 1.0


def _features(network: Network, part: LogMel | Series, source: PairSource) -> Iterator[Tensor]:
    for index in np.linspace(0, len(source) - 1, min(_STATISTICS, len(source))).round().astype(int).tolist():
        batch = collate([fixed_pair(source, index)], enters(source))
        if batch.enters == "encoder":
            features, mask = batch.x, batch.mask
        else:
            features, mask = network.frontend(batch.x, batch.mask)
        if network.frontend is not part:
            features = features[..., network.frontend.video.size :]  # behind those of the picture
        yield features[mask].reshape(-1, len(part.mean))
