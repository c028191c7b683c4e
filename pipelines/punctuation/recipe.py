"""Training of the small model that restores case and punctuation (transducer.text.readable), from novels.

    python -m pipelines.punctuation DATA OUTPUT [--steps 2400] [--quick] [--resume]

DATA has text/novels.txt.xz. OUTPUT gets the model's files, novels.npz and state.pt to resume from, and
report.json with F1 of marks, sentence ends and case on whole novels that were kept out, against trivial rules.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from pipelines.punctuation.novels import IGNORED, Text, cached_novels, join
from pipelines.punctuation.scores import decide, measure, rules, summary, with_errors
from transducer.atomic import atomic_write
from transducer.text.readable.features import NGRAMS, UNKNOWN, WordFeatures
from transducer.text.readable.model import Pauses, ReadableModel, load_readable
from transducer.text.readable.network import ReadableConfig, ReadableNetwork, log_probabilities

AVERAGE_DECAY = 0.993  # of a step of 6400 words
CARD = {
    "language": "en",
    "trained_on": [{"name": "English novels of the 19th and early 20th century", "licence": "public domain"}],
}
DEV = ("Helen with the high hand", "ALMAYER'S FOLLY")
TEST = ("Arthur Conan Doyle The Hound", "TREASURE ISLAND", "THE SECRET GARDEN", "Howards End")


class Table:
    """Features of all word types, so that a batch is looked up at once."""

    def __init__(self, types: Sequence[str], features: WordFeatures):
        found = [features(word) for word in types]
        self.rows = torch.tensor([row for row, _ in found])
        self.ngrams = torch.tensor([ngrams for _, ngrams in found]).view(-1, NGRAMS)

    def embed(self, network: ReadableNetwork, words: Tensor, unknown: float = 0.0) -> Tensor:
        rows = self.rows[words]
        if unknown:
            rows = torch.where(torch.rand(rows.shape) < unknown, UNKNOWN, rows)
        return network.embed(rows, self.ngrams[words])


def batches(
    text: Text, rows: int, length: int, rng: np.random.Generator, errors: float
) -> Iterator[tuple[Tensor, ...]]:
    """Rows of running text in random order: words, marks, cases (B, T); some words are replaced by others.

    Every epoch cuts at other places. Where a row ends, its last words have no future, as at the end of a segment.
    """
    count = (len(text) - length) // length
    starts = rng.permutation(count) * length + rng.integers(length)
    for first in range(0, count - rows + 1, rows):
        index = starts[first : first + rows, None] + np.arange(length)
        words = text.words[index]
        wrong = rng.random(words.shape) < errors
        words = np.where(wrong, text.words[rng.integers(len(text), size=words.shape)], words)
        yield torch.from_numpy(words), torch.from_numpy(text.marks[index]), torch.from_numpy(text.cases[index])


def loss_of(scores: Tensor, marks: Tensor, cases: Tensor) -> Tensor:
    mark_scores, case_scores = log_probabilities(scores.float())
    return nn.functional.nll_loss(mark_scores.flatten(0, 1), marks.flatten()) + 0.7 * nn.functional.nll_loss(
        case_scores.flatten(0, 1), cases.flatten(), ignore_index=IGNORED
    )


@torch.inference_mode()
def predict(
    network: ReadableNetwork, table: Table, words: np.ndarray, block: int = 2000
) -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities of marks and cases for running text, (N, marks) and (N, cases), as a stream gives them."""
    network.eval()
    look_ahead = network.config.look_ahead
    state, found = network.stages.init_state(1, torch.zeros(())), []
    padded = np.concatenate([words, np.zeros(look_ahead, words.dtype)])
    for start in range(0, len(padded), block):
        part = torch.from_numpy(padded[start : start + block])[None]
        exists = (torch.arange(start, start + part.shape[1]) < len(words))[None]
        scores, _, state = network.stages.step(table.embed(network, part), exists, state)
        found.append(scores[0])
    marks, cases = log_probabilities(torch.cat(found)[look_ahead:])
    return marks.numpy(), cases.numpy()


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Up over 200 steps, level, and linearly down to nothing over the last third."""
    return peak * min(1.0, (step + 1) / min(200, steps), (steps - step) / (steps / 3))


def train(
    network: ReadableNetwork,
    table: Table,
    text: Text,
    dev: Text,
    args: argparse.Namespace,
    say: Callable[[str], None],
) -> ReadableNetwork:
    """The moving average of the network's weights on its way, which is good at any time.

    state.pt in the output folder is written every few minutes, and read where `--resume` says so.
    """
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(AVERAGE_DECAY))
    optimizer = torch.optim.AdamW(network.parameters(), lr=args.rate, weight_decay=0.01, betas=(0.9, 0.98))
    path, step, saved = args.output / "state.pt", 0, time.monotonic()
    if args.resume and path.exists():
        state = torch.load(path)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        step = state["step"]
    epoch, losses = step, []  # another order than before
    while step < args.steps:
        torch.manual_seed(epoch)
        for words, marks, cases in batches(text, args.rows, args.length, np.random.default_rng(epoch), errors=0.03):
            network.train()
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, args.steps, args.rate)
            with torch.autocast("cpu", torch.bfloat16):
                x = table.embed(network, words, unknown=0.05)
                scores, _ = network.stages(x, torch.ones(words.shape, dtype=torch.bool))
            loss = loss_of(scores, marks, cases)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            average.update_parameters(network)
            losses.append(loss.item())
            step += 1
            if step % 100 == 0:
                say(f"step {step} loss {np.mean(losses):.4f}")
                losses.clear()
            if time.monotonic() - saved > 180:
                _save_state(path, network, average, optimizer, step)
                saved = time.monotonic()
                part = dev[:30_000]
                scores = measure(decide(*predict(average.module, table, part.words)), part)
                say(summary(scores))
            if step >= args.steps:
                break
        epoch += 1
    _save_state(path, network, average, optimizer, step)
    return average.module


def _save_state(
    path: Path, network: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer, step: int
) -> None:
    parts = {"network": network, "average": average, "optimizer": optimizer}
    with atomic_write(path, "wb") as file:
        torch.save({**{name: part.state_dict() for name, part in parts.items()}, "step": step}, file)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--steps", type=int, default=2400, help="of 6400 words")
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--length", type=int, default=100, help="words in a row")
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--look-ahead", type=int, default=4, help="words")
    parser.add_argument("--words", type=int, default=14_000, help="of the vocabulary")
    parser.add_argument("--resume", action="store_true", help="go on from state.pt in the output folder")
    parser.add_argument("--quick", action="store_true", help="a few steps on a few novels, to try the pipeline")
    args = parser.parse_args(arguments)
    if args.quick:
        args.steps, args.words, args.rows = 20, 2000, 16
    torch.set_num_threads(1)
    torch.manual_seed(0)
    args.output.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {text}", flush=True)

    types, books = cached_novels(args.output / "novels.npz", args.data, args.quick)
    titles = list(books)
    kept_out = {
        part: [title for title in titles if title.startswith(heads)] for part, heads in (("dev", DEV), ("test", TEST))
    }
    if args.quick:
        kept_out = {"dev": titles[-1:], "test": titles[-2:-1]}
    text = join([book for title, book in books.items() if title not in kept_out["dev"] + kept_out["test"]])
    dev, test = (join([books[title] for title in kept_out[part]]) for part in ("dev", "test"))
    del books
    counts = np.bincount(text.words, minlength=len(types))
    frequent = sorted(range(len(types)), key=lambda number: (-counts[number], types[number]))[: args.words - 1]
    vocabulary = [types[number] for number in frequent]
    say(f"{len(text)} words to learn from, {len(types)} types, {len(dev)} and {len(test)} words kept out")

    config = ReadableConfig(words=len(vocabulary) + 1, look_ahead=args.look_ahead)
    network = ReadableNetwork(config, dropout=0.05)
    table = Table(types, WordFeatures(vocabulary, config.buckets))
    network = train(network, table, text, dev, args, say)

    report: dict[str, Any] = {"words": len(text), "steps": args.steps, "look_ahead": args.look_ahead}
    report["rules"] = measure(rules(test, types, text), test)
    ReadableModel(network, vocabulary, Pauses(), CARD).save(args.output)
    network = load_readable(args.output).network  # rounded, as it ships
    for errors in (0.0, 0.05, 0.1):
        scores = measure(decide(*predict(network, table, with_errors(test, errors).words)), test)
        report[f"{errors:.0%} of the words wrong"] = scores
        say(f"{errors:.0%} of the words wrong: {summary(scores)}")
    with atomic_write(args.output / "report.json") as file:
        json.dump(report, file, indent=1, ensure_ascii=False)


if __name__ == "__main__":
    main()
