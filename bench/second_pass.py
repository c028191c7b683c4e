"""Word errors with and without a second pass, Whisper's English normaliser on both sides.

    python bench/second_pass.py TABLE.tsv [--model speech-en] [--second-pass whisper-tiny.en] [--every 1]

TABLE.tsv has the columns `path` and `text`; printed are the error rate and the CPU seconds a second of sound of the
model alone, of the two together, and of the second one alone. Needs `pip install '.[bench]'`.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import jiwer
import torch
from rich.console import Console
from rich.table import Table as Grid
from whisper_normalizer.english import EnglishTextNormalizer

import transducer
from transducer.data.table import read_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("--model", default="speech-en")
    parser.add_argument("--second-pass", default="whisper-tiny.en")
    parser.add_argument("--every", type=int, default=1, help="take every so many recordings")
    options = parser.parse_args()
    torch.set_num_threads(1)
    items = read_table(options.table, needs="text").items[:: options.every]
    normal = EnglishTextNormalizer()
    runs: list[tuple[str, str, dict[str, Any]]] = [
        (options.model, options.model, {"second_pass": "none"}),
        (f"{options.model}, second pass", options.model, {"second_pass": options.second_pass}),
        (options.second_pass, options.second_pass, {}),
    ]
    grid = Grid("model", "word error rate", "CPU s per s", title=f"{len(items)} recordings")
    for title, name, chosen in runs:
        model = transducer.load(name)
        model.engine(**chosen)  # loading is not what is measured
        started, texts, seconds = time.process_time(), [], 0.0
        for item in items:
            transcript = model.transcribe(item.path, **chosen)
            texts.append(transcript.text)
            seconds += transcript.duration or 0.0
        cpu = (time.process_time() - started) / seconds
        rate = jiwer.wer([normal(item.text) for item in items], [normal(text) for text in texts])
        grid.add_row(title, f"{100 * rate:.1f} %", f"{cpu:.3f}")
    Console().print(grid)


if __name__ == "__main__":
    main()
