"""Word error rate against algorithmic latency, one model at many chunk sizes.

    python bench/look_ahead.py TABLE.tsv [--chunks-ms 160 320 640 1280 5120] [--searches beam greedy]
                               [--model speech-en] [--plot FILE.png] [--json]

The largest chunk stands for offline recognition.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

import transducer
from transducer.evaluation.evaluator import Evaluator


def plot(rates: dict[str, dict[int, float]], path: Path) -> None:
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    for search, by_chunk in rates.items():
        axes.plot(list(by_chunk), [100 * wer for wer in by_chunk.values()], "o-", label=search)
    axes.set(xscale="log", xlabel="algorithmic latency (ms)", ylabel="word error rate (%)", ylim=(0, None))
    axes.set_xticks(list(by_chunk), [str(chunk) for chunk in by_chunk])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--chunks-ms", type=int, nargs="+", default=[160, 320, 640, 1280, 5120])
    parser.add_argument("--searches", nargs="+", default=["beam", "greedy"])
    parser.add_argument("--model", default="speech-en")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = transducer.load(options.model)
    recordings = Evaluator(model).read_table(options.table)
    rates: dict[str, dict[int, float]] = {}
    with Progress(console=Console(stderr=True)) as progress:
        for search in options.searches:
            for chunk in options.chunks_ms:
                task = progress.add_task(f"{search}, {chunk} ms", total=len(recordings.items))
                evaluator = Evaluator(model, search=search, chunk_ms=chunk)
                summary = evaluator.run(recordings, lambda _, task=task: progress.advance(task))
                rates.setdefault(search, {})[chunk] = summary["wer"]
    if options.plot:
        plot(rates, options.plot)
    if options.json:
        print(json.dumps(rates))
        return
    table = Table("latency (ms)", *rates)
    for chunk in options.chunks_ms:
        table.add_row(str(chunk), *(f"{100 * rates[search][chunk]:.1f} %" for search in rates))
    Console().print(table)


if __name__ == "__main__":
    main()
