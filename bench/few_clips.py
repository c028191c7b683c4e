"""What an image network with published weights learns from few clips, against the small CNN that starts from nothing.

    python bench/few_clips.py FOOTAGE [--splits 3] [--steps 60] [--output runs/few-clips] [--json]

FOOTAGE is the folder with the clips that footage-places.tsv names. Whether they were taken indoors or outdoors was
written down by looking at one picture of each. A split trains on half of the scenes, about 28 clips, and measures on
the other half (the first 40 frames of each clip): no scene is on both sides. Both encoders get the same clips, steps,
pictures, core and head; the CNN also gets three times the steps. Seconds are of CPU time, on one thread.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from transducer.training.command import train_command
from transducer.training.folder import RunFolder
from transducer.training.log import read_log

ROOT = Path(__file__).resolve().parents[1]
RECIPE = str(ROOT / "pipelines" / "video_events.py")
PLACES = ROOT / "bench" / "footage-places.tsv"
SETTINGS = ("size=128x72", "window=8", "look_ahead=0", "batch_frames=96", "flip=true", "evaluate_every=0")
LEARNERS = {
    "small CNN": ("encoder=cnn", 1),
    "small CNN, three times the steps": ("encoder=cnn", 3),
    "EfficientNet-Lite0, frozen": ("encoder=efficientnet-lite0", 1),
}


def split(rows: list[dict[str, str]], seed: int) -> set[str]:
    """The scenes to train on: half of each place's."""
    rng = np.random.default_rng(seed)
    chosen: set[str] = set()
    for place in sorted({row["place"] for row in rows}):
        scenes = sorted({row["scene"] for row in rows if row["place"] == place})
        chosen |= set(rng.permutation(scenes)[: len(scenes) // 2].tolist())
    return chosen


def write(path: Path, rows: list[dict[str, str]], train: set[str], footage: Path) -> Path:
    lines = (
        f"{(footage / row['clip']).resolve()}.mp4\t{row['place']}\t{'train' if row['scene'] in train else 'dev'}"
        for row in rows
    )
    path.write_text("path\tlabel\tsplit\n" + "".join(f"{line}\n" for line in lines))
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("footage", type=Path)
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--output", type=Path, help="keep the runs in this folder")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = list(csv.DictReader(PLACES.open(), delimiter="\t"))
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in LEARNERS}
    largest = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.output or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for seed in range(options.splits):
            scenes = split(rows, seed)
            table = write(folder / f"places-{seed}.tsv", rows, scenes, options.footage)
            held = [row["place"] for row in rows if row["scene"] not in scenes]
            largest.append(max(np.mean([place == name for name in held]) for place in set(held)))
            for name, (encoder, times) in LEARNERS.items():
                run = folder / f"{name.replace(' ', '-').replace(',', '')}-{seed}"
                settings = (*SETTINGS, encoder, f"steps={times * options.steps}")
                started = time.process_time()
                status = train_command(
                    RECIPE, data=str(table), output=str(run), settings=settings, cache=str(folder / "cache"), threads=1
                )
                if status:
                    raise SystemExit(status)
                seconds = time.process_time() - started
                accuracy = read_log(RunFolder(run).log)[-1]["accuracy:labels"]
                found[name].append((accuracy, seconds))
    rates = {name: [accuracy for accuracy, _ in values] for name, values in found.items()}
    times_of = {name: float(np.mean([seconds for _, seconds in values])) for name, values in found.items()}
    if options.json:
        print(json.dumps({"accuracy": rates, "seconds": times_of, "largest_class": float(np.mean(largest))}))
        return
    table = Table("", "clips of unseen scenes right, mean", "each split", "seconds to train")
    for name, values in rates.items():
        each = ", ".join(f"{100 * value:.1f}" for value in values)
        table.add_row(name, f"{100 * np.mean(values):.1f} %", each, f"{times_of[name]:.0f}")
    table.add_row("always the more frequent place", f"{100 * np.mean(largest):.1f} %", "", "")
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
