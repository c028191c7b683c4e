"""`report.md` of a run on pairs: what it was made of, what came out, and pictures of how it got there."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transducer.atomic import atomic_write
from transducer.evaluation.confusion import write_confusion_matrix
from transducer.heads.metrics import LabelAccuracy
from transducer.model.network import Network
from transducer.training.folder import RunFolder
from transducer.training.log import read_log
from transducer.training.pair_evaluation import outputs, target_of
from transducer.training.pairs import PairRecipe
from transducer.training.plots import plot_losses, plot_rates
from transducer.training.progress import clock, label
from transducer.training.report import markdown_table


def write_report(
    recipe: PairRecipe,
    folder: RunFolder,
    network: Network,
    results: Mapping[str, float],
    command: Sequence[str] = (),
) -> Path:
    """Write report.md and its pictures into the run's folder; without matplotlib there are no pictures.

    Args:
        network: as loaded back from the checkpoint.
        results: of it on the dev examples.
    """
    rows = read_log(folder.log)
    parts = [f"# {recipe.name}\n", *_model(recipe, network), *_training(recipe, rows)]
    if results:
        parts.append("## On held-out examples\n")
        parts.append(markdown_table(("measure", "%"), [(label(n), f"{100 * v:.1f}") for n, v in results.items()]))
        parts.append("From the weights in the checkpoint. Nothing of these examples was trained on.\n")
    parts += _pictures(recipe, folder, network, rows)
    if command:
        parts += ["## To do it again\n", f"```sh\n{shlex.join(command)}\n```\n"]
    path = folder.root / "report.md"
    with atomic_write(path) as file:
        file.write("\n".join(parts))
    return path


def _model(recipe: PairRecipe, network: Network) -> Iterable[str]:
    config = network.config
    cores = (
        f"{type(core).__name__.removesuffix('Config')}, {core.layers} layers of {core.channels} channels"
        for core in config.cores
    )
    decoders = (f"{type(part).__name__.removesuffix('Config')} on {part.units}" for part in config.heads.values())
    yield (
        f"{sum(parameter.numel() for parameter in network.parameters()) / 1e6:.2f} M parameters: "
        f"{'; '.join(cores)}; {', '.join(decoders)}. "
        f"Look-ahead: {network.encoder.lookahead} frames.\n"
    )


def _training(recipe: PairRecipe, rows: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    yield "## Training\n"
    steps = [row for row in rows if "loss" in row]
    facts = [("examples", len(recipe.train)), ("held out", len(recipe.dev) if recipe.dev is not None else 0)]
    facts += [("steps", recipe.steps), ("frames in a batch, at most", recipe.batch_frames), ("seed", recipe.seed)]
    facts += [("losses", ", ".join(f"{weight:g} {name}" for name, weight in recipe.losses.items()))]
    if steps:
        facts.append(("epochs", steps[-1]["epoch"] + 1))
        facts.append(("loss at the end", f"{np.mean([row['loss'] for row in steps[-20:]]):.3f}"))
        facts.append(("frames a second", f"{np.median([row['frames_per_second'] for row in steps]):.0f}"))
        facts.append(("h:mm:ss", clock(sum(row["seconds"] for row in steps))))
    yield markdown_table(("", ""), facts)


def _pictures(
    recipe: PairRecipe, folder: RunFolder, network: Network, rows: Sequence[Mapping[str, Any]]
) -> Iterable[str]:
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        yield "matplotlib is not installed: there are no pictures.\n"
        return
    if any("loss" in row for row in rows):
        plot_losses(rows, folder.root / "loss.png")
        yield "![losses](loss.png)\n"
    if any("loss" not in row for row in rows):
        plot_rates(rows, folder.root / "rates.png")
        yield "![on held-out examples](rates.png)\n"
    if recipe.dev is None:
        return
    heads = list(dict.fromkeys(name.partition(":")[2] for name in recipe.losses))
    counts = {head: network.heads[head].metric() for head in heads}
    counts = {head: count for head, count in counts.items() if isinstance(count, LabelAccuracy)}
    if not counts:
        return
    for pair, found in outputs(network, recipe.dev, list(counts), bf16=False):
        for head, output in found.items():
            if pair.target(head) is not None:
                counts[head].add(output, target_of(network, pair, head, len(output)))
    for head, count in counts.items():
        names = recipe.units[network.config.heads[head].units].tokens
        write_confusion_matrix(count.matrix, names, folder.root / f"confusion-{head}.png", head)
        yield f"![confusion matrix of {head}](confusion-{head}.png)\n"
