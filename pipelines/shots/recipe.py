"""The bundled model `shots`: where one shot ends and the next begins, from pixels 48 wide.

    transducer train pipelines/shots --data DATA --output runs/shots

DATA is a folder with `video/footage.tsv`, a table of clips that are single shots. Nothing else is needed: training
sequences are composed of these clips and of rendered pictures as they are asked for, cuts, dissolves, fades and wipes
with exact labels, and with what looks like one and is none. Whole sources are held out for the evaluations.

With `--quick` it is a smoke run of a minute on rendered pictures alone, and needs no data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap

from pipelines.shots.camera import HEIGHT, WIDTH
from pipelines.shots.compositions import Material
from pipelines.shots.degradation import Grade
from pipelines.shots.footage import Clip, Part, hold_out, read_footage
from pipelines.shots.transitions import LABELS, Mixture, compose
from transducer.cores.tcn import TCNConfig
from transducer.data.pairs import Pair, PairSource, fixed_pair
from transducer.encoders.frame_cnn import FrameCNNConfig
from transducer.evaluation.transitions import Interval, TransitionScores, score_transitions
from transducer.frontends.frames import FramesConfig
from transducer.heads.framewise import FramewiseConfig
from transducer.model.config import DecodingConfig, ModelConfig
from transducer.model.network import Network
from transducer.search.events.rules import EventRules
from transducer.search.events.search import build_event_search
from transducer.text.tokenizers.labels import Labels
from transducer.training.evaluation import outputs
from transducer.training.objectives import HeadLoss
from transducer.training.recipe import Phase, Recipe

LOOK_AHEAD = 12  # frames: half a second at 24 frames a second

EVENTS = EventRules(
    "transitions", high=0.5, low=0.3, thresholds={"dissolve": 0.85, "fade": 0.85, "wipe": 0.85}, merge=1, min_gap=1
)

MODEL = ModelConfig(
    frontend=FramesConfig(27, 48, fps=25.0),
    encoder=FrameCNNConfig(widths=(16, 32, 64), shift=0.25, similarity=24),
    core=TCNConfig(channels=96, hidden=192, layers=5, kernel=5, dilations=(1, 2, 4, 8, 8), look_ahead=LOOK_AHEAD),
    heads={"labels": FramewiseConfig("labels")},
    events=EVENTS,
    decoding=DecodingConfig(fast_decoding=True),
    card={
        "description": "Shot transitions in edited video: cuts, dissolves, fades and wipes",
        "trained_on": [
            {
                "name": "186 single-shot clips of NVIDIA/NeMo, dynibar, GRID (speaker 1), intel-iot-devkit, "
                "mdn, torchcodec, mmaction2 and p5.js-website, composed; and rendered pictures",
                "licence": "Apache-2.0, CC0, CC BY 4.0, BSD-3-Clause, MIT",
            }
        ],
    },
)

# Clips that hold a change of shot: what of them is one shot.
PARTS = {"torchcodec-0575": Part(36), "mmaction2-0642": Part(0, 39), "mmaction2-0644": Part(0, 39)}

HELD_OUT = (
    "facebookresearch/sam2",
    "google/ExoPlayer",
    "dmlc/decord",
    "mobiusml/aana_sdk",
    "hkchengrex/Cutie",
    "Breakthrough/DVR-Scan",
)

# Cuts last one frame, and in what people edit there are more of them than of all else.
TRAINING = Mixture(bursts=0.05, chains=0.04, alike=0.2, shadows=0.08, blanks=0.12)
EDITED = Mixture(kinds=(0.7, 0.12, 0.1, 0.08))


class Compositions:
    """Sequences composed when they are first asked for, and then kept.

    Args:
        clips: footage to compose from; none for rendered pictures alone.
        count: sequences.
        steps: frames in each.
        vary: whether every epoch shows them mirrored, backwards and in other colours, as `rng` has it.
        folder: where they are kept, 4 kB a frame; None to compose them anew each time.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        count: int,
        steps: int,
        mixture: Mixture,
        seed: int,
        vary: bool = False,
        folder: Path | None = None,
    ):
        self.material = Material(clips)
        self.count, self.steps, self.mixture, self.seed, self.vary = count, steps, mixture, seed, vary
        self.fingerprint = f"{len(clips)} clips, {count} x {steps}, {mixture}, {seed}, {vary}"
        self.kept = None if folder is None else self._open(folder)

    def __len__(self) -> int:
        return self.count

    def pair(self, index: int, rng: np.random.Generator) -> Pair:
        frames, labels = self._sequence(index)
        if self.vary:
            frames, labels = varied(rng, frames, labels)
        return Pair(frames.reshape(self.steps, -1), labels.astype(np.int64), f"composition {index}")

    def _sequence(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if self.kept is not None and self.kept[2][index]:
            return np.array(self.kept[0][index]), self.kept[1][index]
        made = compose(np.random.default_rng((self.seed, index)), self.material, self.steps, self.mixture)
        if self.kept is not None:
            self.kept[0][index], self.kept[1][index] = made.frames, made.labels
            self.kept[2][index] = True
        return made.frames, made.labels

    def _open(self, folder: Path) -> list[np.memmap]:
        """Frames, labels, and which of them are there; shared with processes forked from this one."""
        name = hashlib.sha256(self.fingerprint.encode()).hexdigest()[:12]
        shapes = {
            "frames": ((self.steps, HEIGHT, WIDTH, 3), np.uint8),
            "labels": ((self.steps,), np.int8),
            "made": ((), bool),
        }
        folder.mkdir(parents=True, exist_ok=True)
        opened = []
        for part, (shape, kind) in shapes.items():
            path = folder / f"{name}-{part}.npy"
            mode = "r+" if path.is_file() else "w+"
            opened.append(open_memmap(path, mode, kind, (self.count, *shape)))
        return opened


def varied(rng: np.random.Generator, frames: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same sequence mirrored, upside down, backwards, or in other colours."""
    if rng.random() < 0.5:
        frames = frames[:, :, ::-1]
    if rng.random() < 0.15:
        frames = frames[:, ::-1]
    if rng.random() < 0.2:
        # Labels start + 1 .. end become end' .. start' - 1 of the reversed order: one frame too early.
        frames, labels = frames[::-1], np.concatenate([[0], labels[::-1][:-1]])
    if rng.random() < 0.4:
        frames = Grade.draw(rng, 0.4)(frames)
    return np.ascontiguousarray(frames), labels


def evaluate(network: Network, source: PairSource, tolerance: int = 2) -> Mapping[str, float]:
    """Precision, recall and F1 of transitions at a tolerance of 2 frames."""
    found = scores(network, source, tolerance)
    return {
        "f1": found.f1 or 0.0,
        "precision": found.precision or 0.0,
        "recall": found.recall or 0.0,
        "cuts": found.cut_recall or 0.0,
        "gradual": found.gradual_recall or 0.0,
    }


def scores(network: Network, source: PairSource, tolerance: int = 2) -> TransitionScores:
    """What a network finds by its own rules, or by `EVENTS`."""
    search = build_event_search(LABELS, network.config.events or EVENTS)
    total = TransitionScores()
    for index, (pair, found) in enumerate(outputs(network, source, ["labels"])):
        state, events = search.step(search.init(), found["labels"].numpy())
        given = [Interval(event.start, event.end, event.label) for event in events + search.finish(state)]
        truth = transitions(fixed_pair(source, index).y)
        # What is cut off by the sequence's ends can't be told from what is not there.
        unseen = [t for t in truth if not t.label or t.start < 0 or t.end >= len(pair.x) - 1]
        ignore = [(t.start, t.end) for t in unseen]
        total += score_transitions([t for t in truth if t.label], given, tolerance, ignore, len(pair.x))
    return total


def transitions(labels: np.ndarray) -> list[Interval]:
    """Transitions of labels of frames; those that nobody could see have the label ""."""
    ends = np.flatnonzero(np.diff(labels, append=0))
    starts = np.concatenate([[-1], ends])[: len(ends)]
    names = {-1: "", **dict(enumerate(LABELS))}
    return [Interval(int(s), int(e), names[int(labels[e])]) for s, e in zip(starts, ends, strict=True) if labels[e]]


def recipe(
    data: Path,
    quick: bool = False,
    *,
    cache: Path | None = None,
    steps: int = 6000,
    sequences: int = 12000,
    sequence: int = 160,
    batch: int = 8,
    learning_rate: float = 2e-3,
    matrix_learning_rate: float = 0.01,
    initial: str | None = None,
    final_fraction: float = 0.02,
    warmup: int = 60,
    workers: int = 1,
    bf16: bool = True,
    seed: int = 1,
) -> Recipe:
    """What `transducer train` runs; the keyword parameters can be changed by `--set NAME=VALUE`.

    Args:
        data: the folder with `video/footage.tsv`.
        cache: where decoded footage is kept, 34 kB a frame, and what is composed of it.
        sequences: composed for training; each epoch shows them in other ways.
        sequence: frames in each; `batch` of them make a batch.
        learning_rate: peak learning rate of AdamW; matrix_learning_rate: of Muon.
        initial: a checkpoint folder to go on from.
        bf16: compute in bfloat16; false where the processor is slow at it.
    """
    if quick:
        steps, sequences, sequence, batch = 4, 16, 60, 4
    kept = None if quick or cache is None else cache / "compositions"
    train, held = ([], []) if quick else hold_out(footage(data, cache), HELD_OUT)
    dev = Compositions(held, 4 if quick else 80, sequence if quick else 200, EDITED, seed + 1, folder=kept)
    phase = Phase(
        "train",
        steps,
        (HeadLoss("labels", label_weights=(1.0, 5.0, 1.5, 2.0, 2.0)),),
        batch_frames=sequence * batch,
        buckets=1,
        learning_rate=learning_rate,
        matrix_learning_rate=matrix_learning_rate,
        warmup=warmup,
        final_fraction=final_fraction,
        average_decay=0.995,
        bf16=bf16,
    )
    return Recipe(
        name="shots",
        model=MODEL,
        units={"labels": Labels(LABELS[1:])},
        train=Compositions(train, sequences, sequence, TRAINING, seed, vary=True, folder=kept),
        dev=dev,
        phases=(phase,),
        evaluate=evaluate,
        initial=Path(initial) if initial else None,
        workers=0 if quick else workers,
        seed=seed,
        evaluate_every=500,
        save_every=100,
    )


def footage(data: Path, cache: Path | None = None) -> list[Clip]:
    table = data / "video" / "footage.tsv"
    return read_footage(table, cache or data / "video" / "footage-decoded", PARTS)
