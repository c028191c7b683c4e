"""How good a checkpoint of readable text is, on whole novels that nothing was learned from or chosen by.

    python -m pipelines.punctuation.evaluate DATA CHECKPOINT [OUTPUT]

DATA has text/novels.txt.xz. The numbers are F1 of marks, sentence ends and case, with none, 5 % and 10 % of the words
replaced by others, against trivial rules; OUTPUT gets them as JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from pipelines.punctuation.novels import DEV, TEST, join, kept_out, read_novels
from pipelines.punctuation.scores import decide, measure, rules, summary, with_errors
from transducer.atomic import atomic_write
from transducer.engine.readable import ReadableModel, load_readable

BLOCK = 2000  # words


def predict(model: ReadableModel, words: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities of marks and cases for running text, (N, marks) and (N, cases), as a stream gives them."""
    state, found = model.init_state(), []
    for start in range(0, len(words), BLOCK):
        part = words[start : start + BLOCK]
        scores, state = model.step(part, state, flush=start + BLOCK >= len(words))
        found += scores
    marks, cases = zip(*found, strict=True)
    return np.array(marks), np.array(cases)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("checkpoint", help="a folder, or the name of a bundled model")
    parser.add_argument("output", type=Path, nargs="?", help="a JSON file")
    parser.add_argument("--cache", type=Path, help="a folder for the novels as arrays")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    types, books = read_novels(args.data, args.cache)
    seen = join([book for title, book in books.items() if not title.startswith(DEV + TEST)])
    test, model = kept_out(books, TEST), load_readable(args.checkpoint)
    report = {"rules": measure(rules(test, types, seen), test)}
    for errors in (0.0, 0.05, 0.1):
        words = [types[number] for number in with_errors(test, errors).words]
        report[f"{errors:.0%} of the words wrong"] = measure(decide(*predict(model, words)), test)
    for name, scores in report.items():
        print(f"{name}: {summary(scores)}")
    if args.output:
        with atomic_write(args.output) as file:
            json.dump(report, file, indent=1, ensure_ascii=False)


if __name__ == "__main__":
    main()
