"""Shot transitions found in compositions of the kinds that are hard, kind by kind.

    python bench/shot_kinds.py DATA [--model shots FOLDER...] [--cache FOLDER] [--count 24] [--seed 1000]

DATA is the folder of `pipelines/shots`, with `video/footage.tsv`. The sequences are composed, by the seed, from those
of its sources that training never sees. `edited` has everything in the proportions of edited video. Tolerance 2 frames.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from pipelines.shots.compositions import Material
from pipelines.shots.footage import Clip, hold_out
from pipelines.shots.recipe import EDITED, HELD_OUT, footage, scores
from pipelines.shots.transitions import Mixture, compose
from transducer.data.pairs import Pair
from transducer.errors import TransducerError
from transducer.evaluation.transitions import TransitionScores

STEPS = 200  # frames of a sequence


class Composed:
    """`count` sequences, the same for every model."""

    def __init__(self, material: Material, mixture: Mixture, count: int, seed: int):
        rngs = (np.random.default_rng((seed, number)) for number in range(count))
        self.made = [compose(rng, material, STEPS, mixture) for rng in rngs]

    def __len__(self) -> int:
        return len(self.made)

    def pair(self, index: int, rng: np.random.Generator) -> Pair:
        made = self.made[index]
        return Pair(made.frames.reshape(STEPS, -1), made.labels, f"composition {index}")


def kinds(clips: list[Clip]) -> Iterator[tuple[str, Material, Mixture]]:
    """Name, material and mixture of each kind."""
    usual = Material(clips)
    yield "edited", usual, EDITED
    yield "dissolves one after the other", usual, replace(EDITED, chains=0.5)
    yield "mosaics of moving tiles", Material(clips, {"mosaic": 0.7, "clip": 0.3}), EDITED
    yield "cuts 2 to 5 frames apart", usual, replace(EDITED, bursts=0.5)
    yield "slow dissolves, like colours", usual, replace(EDITED, kinds=(0.2, 0.8, 0.0, 0.0), alike=1.0)
    yield "cuts with a shadow behind", usual, replace(EDITED, shadows=1.0)
    yield "things near the lens", Material(clips, disturbances={"near": 1.0}), replace(EDITED, disturbances=1.5)
    yield "globes in other colours", Material(clips, {"infographic": 0.6, "clip": 0.4}), EDITED
    yield "logos written on black", Material(clips, {"writing": 0.5, "clip": 0.5}), EDITED
    yield "blank frames", usual, replace(EDITED, blanks=1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", nargs="+", default=["shots"], help="bundled models or folders")
    parser.add_argument("--cache", type=Path, help="where decoded footage is kept; beside it, if not given")
    parser.add_argument("--count", type=int, default=24, help="sequences of each kind")
    parser.add_argument("--seed", type=int, default=1000)
    options = parser.parse_args()

    import transducer

    try:
        networks = [transducer.load(name).network for name in options.model]
        _, held = hold_out(footage(options.data, options.cache), HELD_OUT)
    except TransducerError as error:
        print(f"bench/shot_kinds.py: {error}", file=sys.stderr)
        raise SystemExit(error.exit_status) from None
    shown = Table(title=f"F1 in percent; found, false alarms ({options.count} x {STEPS} frames of each kind)")
    shown.add_column("kind")
    for name in options.model:
        shown.add_column(name, justify="right")
    totals = [TransitionScores() for _ in networks]
    for kind, material, mixture in kinds(held):
        source = Composed(material, mixture, options.count, options.seed)
        found = [scores(network, source) for network in networks]
        totals = [total + one for total, one in zip(totals, found, strict=True)]
        shown.add_row(kind, *map(cell, found))
    shown.add_row("all", *map(cell, totals))
    Console(width=None if sys.stdout.isatty() else 120).print(shown)


def cell(found: TransitionScores) -> str:
    f1 = "-" if found.f1 is None else f"{100 * found.f1:.1f}"
    return f"{f1}; {found.matched}/{found.truths}, {found.false_alarms}"


if __name__ == "__main__":
    main()
