"""How well confidences tell right words from wrong ones, and how well they are calibrated.

    python bench/confidence.py TABLE.tsv [--model speech-en] [--search beam] [--second-pass none] [--plot FILE] [--json]

The area under the ROC curve is the probability that a right word, drawn at random, has a higher confidence than a
wrong one (ties count half). Right and wrong are by the alignment with the fewest errors.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import jiwer
import numpy as np
import torch
from rich.console import Console
from rich.progress import track

import transducer
from transducer.data.table import read_table
from transducer.text.english.normalise import normalise


def area_under_roc(right: np.ndarray, wrong: np.ndarray) -> float:
    """The statistic of Mann and Whitney (1947), as a fraction of all pairs."""
    below = np.searchsorted(np.sort(wrong), right, "left")
    upto = np.searchsorted(np.sort(wrong), right, "right")
    return float((below + upto).sum() / 2 / (len(right) * len(wrong)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--model", default="speech-en")
    parser.add_argument("--search", default=None)
    parser.add_argument("--second-pass", help="a model that writes finals; none for none; the model's own if not given")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = transducer.load(options.model)
    confidences: dict[bool, list[float]] = {True: [], False: []}
    for utterance in track(
        read_table(options.table, needs="text").items, console=Console(stderr=True), description="listening"
    ):
        found = model.transcribe(utterance.path, search=options.search, second_pass=options.second_pass).words
        words = [replace(word, text=text) for word in found for text in normalise(word.text).split()]
        if not words:
            continue
        heard = " ".join(word.text for word in words)
        for part in jiwer.process_words(normalise(utterance.text), heard).alignments[0]:
            for word in words[part.hyp_start_idx : part.hyp_end_idx]:
                confidences[part.type == "equal"].append(word.confidence)
    right, wrong = (np.array(confidences[kind]) for kind in (True, False))
    area = area_under_roc(right, wrong)
    values, correct = np.concatenate([right, wrong]), np.repeat([1.0, 0.0], [len(right), len(wrong)])
    bins = np.minimum((values * 10).astype(int), 9)
    calibration = [(float(values[bins == b].mean()), float(correct[bins == b].mean())) for b in np.unique(bins)]
    if options.plot:
        from matplotlib import pyplot as plt

        figure, axes = plt.subplots(figsize=(5, 4), layout="constrained")
        axes.plot([0, 1], [0, 1], color="0.8")
        axes.plot(*zip(*calibration, strict=True), "o-")
        axes.set(xlabel="confidence", ylabel="part of the words that is right", title=f"area under ROC {area:.3f}")
        figure.savefig(options.plot, dpi=120)
    if options.json:
        print(json.dumps({"area_under_roc": area, "right": len(right), "wrong": len(wrong), "bins": calibration}))
    else:
        print(f"area under ROC {area:.3f} over {len(right)} right and {len(wrong)} wrong words")
        print("confidence -> part right: " + ", ".join(f"{x:.2f} -> {y:.2f}" for x, y in calibration))


if __name__ == "__main__":
    main()
