"""A whole run on pairs: the network, the loop, the checkpoint and the report."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from transducer.errors import UsageError
from transducer.frontends.audio_visual import AudioVisual
from transducer.frontends.logmel import LogMel
from transducer.heads.ctc import CTC
from transducer.model.checkpoint import load_checkpoint, save_checkpoint
from transducer.model.network import Network
from transducer.training.folder import RunFolder
from transducer.training.initial import take_weights
from transducer.training.log import Log
from transducer.training.pair_evaluation import rates
from transducer.training.pair_loader import PairLoader, collate
from transducer.training.pair_loop import PairTrainer
from transducer.training.pair_report import write_report
from transducer.training.pairs import PairRecipe, PairSource, fixed_pair
from transducer.training.progress import Progress, label, say
from transducer.training.ranks import Ranks
from transducer.version import VERSION

_STATISTICS = 100  # examples that the mean and standard deviation of sounds are taken from


def train_pairs(
    recipe: PairRecipe,
    output: Path,
    *,
    resume: bool = False,
    command: Sequence[str] = (),
    stop: Callable[[], bool] = lambda: False,
) -> Path | None:
    """Train a model on pairs; returns its checkpoint folder, or None where `stop` said so before the end.

    The arguments are those of `run.train`.
    """
    ranks = Ranks.join()
    if ranks.world > 1:
        ranks.leave()
        raise UsageError("training on pairs is done by one process: start it without torchrun")
    folder = RunFolder(output)
    with folder.claim(recipe, resume):
        # Before anything else: its processes are to be forked from a process without threads.
        loader = PairLoader(
            recipe.train, recipe.batch_frames, recipe.seed, buckets=recipe.buckets, workers=recipe.workers
        )
        try:
            network = build_network(recipe)
            trainer = PairTrainer(network, loader, recipe, folder.phases)
            folder.begin(recipe)
            trainer.load()
            _train(recipe, folder, trainer, stop)
        finally:
            loader.close()
        if not trainer.finished:
            if command:
                say(f"To go on: {shlex.join([*command, '--resume'])}")
            return None
        network.load_state_dict(trainer.average.weights)
        checkpoint, results = export(recipe, output / recipe.name, network)
        report = write_report(recipe, folder, load_checkpoint(checkpoint)[0], results, command)
        say(f"The model is in {checkpoint}, the report in {report}")
        return checkpoint


def build_network(recipe: PairRecipe) -> Network:
    """The network before the first step: drawn at random from the seed, or taken from the recipe's `initial`."""
    units = {name: len(tokenizer) for name, tokenizer in recipe.units.items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = Network(replace(recipe.model, units=units, card={**recipe.model.card, **recipe.card}))
        for head in network.heads.values():
            if isinstance(head, CTC):
                # Nearly uniform at first: otherwise the first steps go into unlearning random preferences.
                nn.init.normal_(head.module[0].weight, std=0.02)
    if recipe.initial:
        take_weights(network, recipe.initial)
    else:
        measure_sound(network, recipe.train)
    return network


@torch.no_grad()
def measure_sound(network: Network, source: PairSource) -> None:
    """Set the mean and standard deviation of the network's log-mel front-end, if it has one, from some examples."""
    frontend = network.frontend
    mel = frontend.audio if isinstance(frontend, AudioVisual) else frontend
    if not isinstance(mel, LogMel):
        return
    mel.mean.zero_()
    mel.std.fill_(1)
    found = []
    for index in np.linspace(0, len(source) - 1, min(_STATISTICS, len(source))).round().astype(int).tolist():
        batch = collate([fixed_pair(source, index)])
        features, mask = frontend(batch.x, batch.mask)
        if frontend is not mel:
            features = features[..., frontend.video.size :]  # behind those of the picture
        found.append(features[mask].reshape(-1, len(mel.mean)))
    features = torch.cat(found)
    mel.mean.copy_(features.mean(dim=0))
    mel.std.copy_(features.std(dim=0).clamp(min=1e-3))


def evaluation(recipe: PairRecipe, network: Network, bf16: bool) -> dict[str, float]:
    """What the recipe wants to know of a network on its dev examples; empty if there are none."""
    if recipe.dev is None or not len(recipe.dev):
        return {}
    if recipe.evaluate is not None:
        return {name: float(value) for name, value in recipe.evaluate(network, recipe.dev).items()}
    return rates(network, recipe.dev, list(dict.fromkeys(name.partition(":")[2] for name in recipe.losses)), bf16)


def export(recipe: PairRecipe, folder: Path, network: Network) -> tuple[Path, dict[str, float]]:
    """Write the checkpoint folder, measure what is in it on the dev examples, and put that on its card."""
    card = {
        **network.config.card,
        "training_steps": recipe.steps,
        "training_examples": len(recipe.train),
        "made_with": f"transducer {VERSION}",
    }
    storage = getattr(torch, recipe.storage)
    save_checkpoint(folder, network, replace(network.config, card=card), recipe.units, storage)
    results = evaluation(recipe, load_checkpoint(folder)[0], bf16=False)
    if results:
        card["measured"] = [
            f"{label(name)} {100 * value:.1f} % on held-out examples" for name, value in results.items()
        ]
        save_checkpoint(folder, network, replace(network.config, card=card), recipe.units, storage)
    return folder, results


def _train(recipe: PairRecipe, folder: RunFolder, trainer: PairTrainer, stop: Callable[[], bool]) -> None:
    if trainer.finished:
        return
    evaluated = Network(trainer.network.config)
    log = Log(folder.log, trainer.phase.name, 0, folder.tensorboard)
    log.rewind(trainer.step)
    title = f"training {recipe.name}"
    with Progress(title, recipe.steps, trainer.step, speed=(trainer.speed, "frames")) as progress:
        if trainer.step:
            progress.say(f"{title}: going on after step {trainer.step}")

        def report(step: int, numbers: dict[str, float]) -> None:
            log(step, numbers)
            progress(step, numbers)

        def evaluate() -> dict[str, float]:
            evaluated.load_state_dict(trainer.average.weights)
            return evaluation(recipe, evaluated, recipe.bf16)

        try:
            trainer.run(
                report,
                save_every=recipe.save_every,
                evaluate_every=recipe.evaluate_every,
                evaluate=evaluate if recipe.dev is not None and len(recipe.dev) else None,
                stop=stop,
            )
        finally:
            log.close()
        if not trainer.finished:
            progress.say(f"{title}: stopped after step {trainer.step}; it is saved")
