"""`report.md`: what a run was made of, what came out, and pictures of how it got there."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch

from transducer.atomic import atomic_write
from transducer.data.features import FeatureStore
from transducer.heads.ctc import CONDITIONING
from transducer.heads.rnnt import RNNT
from transducer.model.network import Network
from transducer.model.sequence import Aux
from transducer.search.build import build_greedy_search
from transducer.training.align import best_path, path_to_alignment
from transducer.training.corpus import PHONES, Corpus
from transducer.training.export import Results, default_chunk, frame_ms
from transducer.training.folder import RunFolder
from transducer.training.log import read_log
from transducer.training.progress import clock, label
from transducer.training.recipe import Recipe

_EXAMPLES = 5
_PICTURED = 4.5  # seconds: an utterance of about this length fits a picture


def write_report(
    recipe: Recipe,
    folder: RunFolder,
    corpus: Corpus,
    results: Results,
    decoders: Sequence[str],
    command: Sequence[str] = (),
) -> Path:
    """Write report.md and its pictures into the run's folder; without matplotlib there are no pictures."""
    rows = read_log(folder.log)
    parts = [f"# {recipe.name}\n", *_model(recipe, results.network), *_data(recipe, corpus)]
    parts += _phases(recipe, rows)
    if results.rates:
        parts += _results(recipe, results)
        parts += _examples(recipe, corpus, results, decoders[0])
    parts += _pictures(recipe, folder, corpus, results, decoders, rows)
    if command:
        parts += ["## To do it again\n", f"```sh\n{shlex.join(command)}\n```\n"]
    path = folder.root / "report.md"
    with atomic_write(path) as file:
        file.write("\n".join(parts))
    return path


def _model(recipe: Recipe, network: Network) -> Iterable[str]:
    config = network.config
    cores = [
        f"{type(core).__name__.removesuffix('Config')}, {core.layers} layers of {core.channels} channels"
        for core in config.cores
    ]
    yield (
        f"{sum(parameter.numel() for parameter in network.parameters()) / 1e6:.2f} M parameters: "
        f"{', '.join(cores)}; "
        + ", ".join(f"{type(part).__name__.removesuffix('Config')} on {part.units}" for part in config.heads.values())
        + f"; chunks of {', '.join(f'{chunk * frame_ms(config):g}' for chunk in config.chunks)} ms.\n"
    )


def _data(recipe: Recipe, corpus: Corpus) -> Iterable[str]:
    yield "## Trained on\n"
    rows = [(table.title, f"{corpus.hours[table.title]:.2f} h", table.licence) for table in recipe.train]
    if recipe.noise:
        rows.append((recipe.noise.title, f"{len(corpus.noise)} clips of noise", recipe.noise.licence))
    yield markdown_table(("data", "amount", "licence"), rows)
    speeds = ", ".join(f"{speed:g}" for speed in recipe.speeds)
    aligned = sum(utterance.id in corpus.targets.alignments for utterance in corpus.train.utterances)
    yield f"{len(corpus.train)} utterances, {aligned} with frame labels; speeds {speeds}; seed {recipe.seed}.\n"


def _phases(recipe: Recipe, rows: Sequence[dict]) -> Iterable[str]:
    yield "## Phases\n"
    table = []
    for phase in recipe.phases:
        steps = [row for row in rows if row["phase"] == phase.name and "loss" in row]
        losses = ", ".join(f"{weight:g} {name}" for name, weight in phase.losses.items())
        if not steps:
            table.append((phase.name, phase.steps, losses, "-", "-", "-"))
            continue
        speed = float(np.median([row["audio_per_second"] for row in steps]))
        seconds = sum(row["seconds"] for row in steps)
        last = float(np.mean([row["loss"] for row in steps[-20:]]))
        table.append((phase.name, phase.steps, losses, f"{last:.3f}", f"{speed:.0f}", clock(seconds)))
    yield markdown_table(("phase", "steps", "losses", "loss at the end", "s of audio a second", "h:mm:ss"), table)


def _results(recipe: Recipe, results: Results) -> Iterable[str]:
    yield f"## Error rates on {recipe.dev.title}\n"
    config = results.network.config
    names = list(next(iter(results.rates.values())))
    rows = [
        (f"{chunk * frame_ms(config):g} ms", *(f"{100 * rates[name]:.1f} %" for name in names))
        for chunk, rates in results.rates.items()
    ]
    yield markdown_table(("chunk", *(label(name) for name in names)), rows)
    yield "Greedy, from the weights in the checkpoint. Nothing of this table was trained on.\n"


def _examples(recipe: Recipe, corpus: Corpus, results: Results, decoder: str) -> Iterable[str]:
    yield f"What was said, and what was heard in chunks of {_default_ms(results):g} ms:\n"
    references = corpus.dev_texts(results.network.config.heads[decoder].units)
    chosen = np.linspace(0, len(references) - 1, min(_EXAMPLES, len(references))).round().astype(int)
    yield markdown_table(("said", "heard"), [(references[i], results.heard[i]) for i in dict.fromkeys(chosen.tolist())])


def _default_ms(results: Results) -> float:
    return default_chunk(results.network.config) * frame_ms(results.network.config)


def _pictures(
    recipe: Recipe, folder: RunFolder, corpus: Corpus, results: Results, decoders: Sequence[str], rows: Sequence[dict]
) -> Iterable[str]:
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        yield "No pictures: they need matplotlib, part of the extra `train`.\n"
        return
    from transducer.training.plots import plot_alignment, plot_error_rates, plot_losses

    plot_losses(rows, folder.root / "loss.png")
    yield "## Losses\n\n![Losses of each phase](loss.png)\n"
    if any("loss" not in row for row in rows):
        plot_error_rates(rows, [(phase.name, phase.steps) for phase in recipe.phases], folder.root / "error_rates.png")
        yield "## Error rates while training\n\n![Error rates over steps](error_rates.png)\n"
    if decoders:
        store = corpus.dev or corpus.train
        index = int(np.argmin(np.abs(store.frames[:, 0] * store.config.hop / store.config.rate - _PICTURED)))
        aligned = align_for_picture(results.network, corpus, store, index, decoders[0])
        text = store.utterances[index].text
        plot_alignment(store.features(index).astype(np.float32), *aligned, text, folder.root / "alignment.png")
        yield (
            "## An utterance\n\nAbove, what is aligned to the sound; below, what the decoder "
            f"{decoders[0]} thinks at every frame.\n\n![Spectrogram with its alignment](alignment.png)\n"
        )


@torch.inference_mode()
def align_for_picture(
    network: Network, corpus: Corpus, store: FeatureStore, index: int, decoder: str
) -> tuple[list[tuple[str, float, float]], np.ndarray, Sequence[str]]:
    """The aligned units of an utterance (label, start, end in s), a decoder's posteriors (T, V), and its tokens.

    Phones where the network has an intermediate head for them and all words have a pronunciation; else the
    decoder's own units: aligned for CTC, as greedy search emits them for RNN-T.
    """
    network.eval()
    network.set_chunk(default_chunk(network.config))
    raw = torch.from_numpy(store.features(index).astype(np.float32))
    features = ((raw - network.frontend.mean) / network.frontend.std)[None]
    aux: Aux = {}
    frames, mask = network.encoder(features, torch.ones(features.shape[:2], dtype=torch.bool), aux=aux)
    head, units = network.heads[decoder], network.config.heads[decoder].units
    seconds, text = frame_ms(network.config) / 1000, store.utterances[index].text
    tokens, spelled = corpus.targets.tokens(text, units), corpus.targets.units[units].tokens
    output = head(frames, mask)[0][0]
    if isinstance(head, RNNT):
        search, seconds = build_greedy_search(network, decoder), seconds * head.stride
        found = search.best(search.step(search.init(), output))
        posteriors = torch.zeros(len(output), len(spelled))
        posteriors[:, 0] = 1
        for frame, token, confidence in zip(found.frames, found.tokens, found.confidences, strict=True):
            posteriors[frame, token], posteriors[frame, 0] = confidence, 1 - confidence
        runs = [
            (spelled[token], start * seconds, end * seconds)
            for token, start, end in zip(found.tokens, found.frames, found.ends, strict=True)
        ]
        return runs, posteriors.numpy(), spelled
    log_probs = output
    posteriors = output.exp().numpy()
    labels = spelled
    conditioning = network.config.conditioning
    phones = corpus.targets.tokens(text, PHONES) if conditioning and conditioning.units == PHONES else None
    if phones:
        log_probs, tokens = aux[CONDITIONING][0][0].log_softmax(dim=-1), phones
        labels = corpus.targets.units[PHONES].tokens
    path = best_path(log_probs, tokens or [])
    if path is None:
        return [], posteriors, spelled
    runs = [
        ("␣" if labels[token] == " " else labels[token], start, end)
        for token, start, end in zip(*path_to_alignment(path, seconds), strict=True)
        if token
    ]
    return runs, posteriors, spelled


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |\n" for row in lines)
