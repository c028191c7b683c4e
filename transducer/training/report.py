"""`report.md`: what a run was made of, what came out, and pictures of how it got there."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np

from transducer.atomic import atomic_write
from transducer.data.pairs import Described
from transducer.evaluation.confusion import write_confusion_matrix
from transducer.heads.head import Target
from transducer.training.evaluation import chunks_of, default_chunk
from transducer.training.export import Results, chunk_text
from transducer.training.folder import RunFolder
from transducer.training.log import read_log
from transducer.training.pictures import alignment_of
from transducer.training.progress import clock, label, shown
from transducer.training.recipe import Recipe
from transducer.training.words import WordErrors

_EXAMPLES, _SHOWN = 5, 200  # and characters of each
Rows = Sequence[Mapping[str, Any]]


def write_report(recipe: Recipe, folder: RunFolder, results: Results, command: Sequence[str] = ()) -> Path:
    """Write report.md and its pictures into the run's folder; without matplotlib there are no pictures."""
    rows = read_log(folder.log)
    parts = [f"# {recipe.name}\n", *_model(results), *_data(recipe), *_phases(recipe, rows)]
    if results.rates:
        parts += _results(recipe, results)
        parts += _examples(recipe, results)
    parts += _pictures(recipe, folder, results, rows)
    if command:
        parts += ["## To do it again\n", f"```sh\n{shlex.join(command)}\n```\n"]
    path = folder.root / "report.md"
    with atomic_write(path) as file:
        file.write("\n".join(parts))
    return path


def _model(results: Results) -> Iterable[str]:
    network = results.network
    config = network.config
    cores = (
        f"{_kind(core)}, {getattr(core, 'layers', '?')} layers of {core.channels} channels" for core in config.cores
    )
    heads = (f"{name}: {_kind(part)} on {part.units}" for name, part in config.heads.items())
    yield (
        f"{sum(parameter.numel() for parameter in network.parameters()) / 1e6:.2f} M parameters: "
        f"{'; '.join(cores)}; {', '.join(heads)}. Chunks of "
        f"{', '.join(chunk_text(network, chunk) for chunk in chunks_of(network))}; "
        f"look-ahead: {network.encoder.lookahead} encoder frames.\n"
    )


def _data(recipe: Recipe) -> Iterable[str]:
    yield "## Trained on\n"
    parts = recipe.train.describe() if isinstance(recipe.train, Described) else recipe.card.get("trained_on", ())
    if parts:
        names = list(dict.fromkeys(name for part in parts for name in part))
        yield markdown_table(names, [[part.get(name, "") for name in names] for part in parts])
    held_out = len(recipe.dev) if recipe.dev is not None else 0
    yield f"{len(recipe.train)} examples, {held_out} held out; seed {recipe.seed}.\n"


def _phases(recipe: Recipe, rows: Rows) -> Iterable[str]:
    yield "## Phases\n"
    table = []
    for phase in recipe.phases:
        steps = [row for row in rows if row["phase"] == phase.name and "loss" in row]
        objectives = ", ".join(f"{objective.weight:g} {objective.name}" for objective in phase.objectives)
        cells: list[str] = ["-"] * 4
        if steps:
            cells = [
                f"{steps[-1]['epoch'] + 1}",
                f"{float(np.mean([row['loss'] for row in steps[-20:]])):.3f}",
                f"{float(np.median([row['frames_per_second'] for row in steps])):.0f}",
                clock(sum(row["seconds"] for row in steps)),
            ]
        table.append((phase.name, phase.steps, objectives, phase.batch_frames, *cells))
    header = ("phase", "steps", "objectives", "frames a batch", "epochs", "loss at the end", "frames a second")
    yield markdown_table((*header, "h:mm:ss"), table)


def _results(recipe: Recipe, results: Results) -> Iterable[str]:
    yield f"## On {getattr(recipe.dev, 'title', 'held-out examples')}\n"
    names = list(next(iter(results.rates.values())))
    if len(results.rates) == 1:
        (found,) = results.rates.values()
        yield markdown_table(("measure", ""), [(label(name), shown(name, found[name])) for name in names])
    else:
        rows = [
            (chunk_text(results.network, chunk), *(shown(name, found[name]) for name in names))
            for chunk, found in results.rates.items()
        ]
        yield markdown_table(("chunk", *map(label, names)), rows)
    yield "From the weights in the checkpoint. Nothing of these examples was trained on.\n"


def _examples(recipe: Recipe, results: Results) -> Iterable[str]:
    """What the first head that writes was to write, and what it wrote."""
    network = results.network
    written = [head for head in results.metrics if network.heads[head].target is Target.TOKENS][:1]
    if not written:
        return
    assert recipe.dev is not None  # it was measured on
    pairs = WordErrors(recipe.units, written).texts(network, recipe.dev)[written[0]]
    yield f"What was right, and what was found, in chunks of {chunk_text(network, default_chunk(network))}:\n"
    chosen = np.linspace(0, len(pairs) - 1, min(_EXAMPLES, len(pairs))).round().astype(int)
    shown = [[shorten(text, _SHOWN, placeholder=" ...") for text in pairs[i]] for i in dict.fromkeys(chosen.tolist())]
    yield markdown_table(("right", "found"), shown)


def _pictures(recipe: Recipe, folder: RunFolder, results: Results, rows: Rows) -> Iterable[str]:
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        yield "No pictures: they need matplotlib, part of the extra `train`.\n"
        return
    from transducer.training.plots import plot_alignment, plot_losses, plot_rates

    if any("loss" in row for row in rows):
        plot_losses(rows, folder.root / "loss.png")
        yield "## Losses\n\n![Losses of each phase](loss.png)\n"
    if any("loss" not in row for row in rows):
        plot_rates(rows, [(phase.name, phase.steps) for phase in recipe.phases], folder.root / "rates.png")
        yield "## Held-out examples while training\n\n![Rates over steps](rates.png)\n"
    for head, metric in results.metrics.items():
        if (matrix := getattr(metric, "matrix", None)) is not None:
            names = recipe.units[results.network.config.heads[head].units].tokens
            write_confusion_matrix(matrix, names, folder.root / f"confusion-{head}.png", head)
            yield f"![confusion matrix of {head}](confusion-{head}.png)\n"
    if picture := alignment_of(recipe, results):
        plot_alignment(*picture, folder.root / "alignment.png")
        yield (
            "## An example\n\nAbove, what is aligned to the sound; below, what the head thinks at every frame.\n\n"
            "![Spectrogram with its alignment](alignment.png)\n"
        )


def _kind(part: object) -> str:
    return type(part).__name__.removesuffix("Config")


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |\n" for row in lines)
