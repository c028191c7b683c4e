"""A batter's swing, frame by frame: stance, load, swing, impact, follow-through. All of it is rendered.

    transducer train pipelines/swing --output runs/swing
    transducer label sample_media/swing/swing.mp4 --model runs/swing/swing

No data are needed: bodies, cameras, light, places and what happens are drawn at random (see `swing_motion` and
`swing_render`). With `--data`, a folder that has `video/footage.tsv`, half of the batters stand before real footage.
The clips that it is measured on have bodies, shirts and places that training never sees. What counts is the average
precision of the frame of impact, with a tolerance of 2 frames. With `--quick` it is a smoke run.

    python -m pipelines.swing.recipe clip.mp4 --seed 8 --size 160

renders a clip of that kind, and what is true of it beside it, as clip.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.swing.motion import IMPACT, LABELS
from pipelines.swing.render import FPS, HELD_OUT, TRAIN, Domain, Rendered, render
from transducer.atomic import atomic_write
from transducer.cores.tcn import TCNConfig
from transducer.data.augment.clips import ClipAugment
from transducer.data.pairs import Pair, PairSource
from transducer.data.table import read_table
from transducer.encoders.frame_cnn import FrameCNNConfig
from transducer.evaluation.events import (
    Spot,
    average_precision,
    frame_accuracy,
    segment_f1,
    spots_of_scores,
    stretches,
)
from transducer.frontends.frames import FramesConfig
from transducer.heads.framewise import FramewiseConfig
from transducer.media.video.reader import open_video
from transducer.model.config import ModelConfig
from transducer.model.network import Network
from transducer.search.events.rules import EventRules
from transducer.text.tokenizers.labels import Labels
from transducer.training.evaluation import outputs
from transducer.training.objectives import HeadLoss
from transducer.training.recipe import Phase, Recipe

# Footage that only the measured clips have behind the batter.
HELD_OUT_SOURCES = ("mdn", "google/ExoPlayer", "facebookresearch/sam2", "intel-iot-devkit/sample-videos")


class SwingClips:
    """So many rendered clips, each the same whenever it is asked for.

    Args:
        domain: what they are drawn from.
        seed: another one gives other clips.
        size: of the square frames.
        augment: changes a clip whenever it is given; None leaves it alone.
    """

    def __init__(self, domain: Domain, count: int, seed: int, size: int, augment: ClipAugment | None = None):
        self.domain, self.count, self.seed, self.size, self.augment = domain, count, seed, size, augment
        self.fingerprint = f"swing 1, seed {seed}, size {size}, {len(domain.footage)} pieces of footage"
        self._clips: dict[int, Rendered] = {}

    def __len__(self) -> int:
        return self.count

    def clip(self, index: int) -> Rendered:
        if index not in self._clips:
            seeds = np.random.SeedSequence(self.seed, spawn_key=(index,))
            self._clips[index] = render(self.domain, np.random.default_rng(seeds), self.size)
        return self._clips[index]

    def pair(self, index: int, rng: np.random.Generator) -> Pair:
        clip = self.clip(index)
        frames = self.augment.change(clip.frames, rng) if self.augment else clip.frames
        return Pair(frames.reshape(len(frames), -1), clip.labels, f"clip {index}")


def recipe(
    data: Path,
    quick: bool = False,
    *,
    clips: int = 1500,
    size: int = 48,
    look_ahead: int = 10,
    steps: int = 2000,
    learning_rate: float = 2e-3,
    matrix_learning_rate: float = 0.02,
    seed: int = 1,
) -> Recipe:
    """What `transducer train` runs; the keyword parameters can be changed by `--set NAME=VALUE`.

    Args:
        clips: that are trained on, of 2 to 4 seconds; each comes back mirrored, moved and in another light.
        size: of the square frames.
        look_ahead: frames that are seen before a frame is judged; there are 30 a second.
    """
    held_out = 100
    if quick:
        clips, held_out, steps, size = 8, 3, 4, 32
    train, test = read_footage(data, 3 if quick else None)
    labels = Labels(LABELS)
    counts = np.array([0.35, 0.3, 0.2, 0.09, 0.007, 0.06])  # about how much of the frames each label has
    weights = counts**-0.5
    augment = ClipAugment(zoom=0.1, move=0.06, turn=3.0, light=0.2, noise=3.0, speed=0.0, flip=True)
    phase = Phase(
        "train",
        steps,
        (HeadLoss("phases", label_weights=tuple((weights / (weights * counts).sum()).round(3).tolist())),),
        batch_frames=400 if quick else 1000,
        learning_rate=learning_rate,
        matrix_learning_rate=matrix_learning_rate,
        warmup=min(50, steps // 4),
    )
    return Recipe(
        name="swing",
        model=ModelConfig(
            frontend=FramesConfig(size, size, fps=FPS),
            encoder=FrameCNNConfig(widths=(16, 32, 64, 96), grid=(3, 3), dropout=0.1),
            core=TCNConfig(channels=128, hidden=256, layers=6, look_ahead=look_ahead, dropout=0.1),
            heads={"phases": FramewiseConfig("phases")},
            events=EventRules("dense", min_frames={"stance": 3, "load": 3, "swing": 2, "follow-through": 3}),
            chunks=(1,),
        ),
        units={"phases": labels},
        train=SwingClips(replace(TRAIN, footage=train), clips, seed, size, augment),
        dev=SwingClips(replace(HELD_OUT, footage=test), held_out, 1_000_000 + seed, size),
        phases=(phase,),
        evaluate=evaluate,
        card={
            "description": "Phases of a batter's swing, learned from rendered clips",
            "trained_on": [{"name": "rendered batters", "licence": "none needed", "clips": clips}],
        },
        seed=seed,
        evaluate_every=500,
        save_every=50,
    )


def read_footage(data: Path, most: int | None, frames: int = 40) -> tuple[tuple[NDArray[np.uint8], ...], ...]:
    """The beginnings of clips, each (N, 72, 128, 3): those for training, and those of `HELD_OUT_SOURCES`.

    None at all where `data` has no table of footage; `most` of each, or all.
    """
    table = data / "video" / "footage.tsv"
    if not table.is_file():
        return (), ()
    clips = read_table(table, check_media=False).items
    parts = []
    for held_out in (False, True):
        pieces = []
        for clip in islice((clip for clip in clips if (clip.source in HELD_OUT_SOURCES) == held_out), most):
            with open_video(clip.path, (72, 128)) as video:
                pieces.append(np.stack([frame.image for frame in islice(video, frames)]))
        parts.append(tuple(pieces))
    return parts[0], parts[1]


def evaluate(network: Network, source: PairSource) -> Mapping[str, float]:
    """Accuracy over frames, F1 over phases that overlap by half, and average precision of the frame of impact."""
    names = ("", *LABELS)
    truths, guesses, spots, found = [], [], [], []
    for clip, (pair, said) in enumerate(outputs(network, source, ["phases"])):
        truths.append(pair.y)
        guesses.append(said["phases"].argmax(dim=1).numpy())
        spots += [Spot(clip, names[IMPACT], int(frame)) for frame in np.flatnonzero(pair.y == IMPACT)]
        peaks = spots_of_scores(clip, said["phases"].exp().numpy(), names, window=8)
        found += [spot for spot in peaks if spot.label == names[IMPACT]]
    measures = {"accuracy:phases": frame_accuracy(truths, guesses), "F1@50:phases": segment_f1(truths, guesses)[50]}
    for tolerance in (0, 1, 2):
        measures[f"mAP:impact within {tolerance} frames"] = average_precision(spots, found, tolerance)
    return {name: value for name, value in measures.items() if value is not None}


def write_clip(clip: Rendered, path: Path) -> None:
    """An H.264 file, and a table of the phases as `transducer label` has events; next to it, as JSON."""
    import av

    with atomic_write(path, "wb") as file, av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "26", "preset": "veryslow"})
        stream.height, stream.width, stream.pix_fmt = *clip.frames.shape[1:3], "yuv420p"
        for image in clip.frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    events = [
        {"label": LABELS[label - 1], "start_frame": start, "end_frame": end - 1}
        for label, start, end in stretches(clip.labels)
    ]
    truth = {"source": path.name, "fps": FPS, "frames": len(clip.frames), "events": events}
    with atomic_write(path.with_suffix(".json")) as file:
        json.dump(truth, file, indent=1)


def main() -> None:
    parser = argparse.ArgumentParser(description="Render a clip of a batter.")
    parser.add_argument("output", type=Path, help="an .mp4 file; the truth is written beside it")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", type=int, default=160, help="of the square frames, even")
    options = parser.parse_args()
    write_clip(render(HELD_OUT, np.random.default_rng(options.seed), options.size), options.output)


if __name__ == "__main__":
    main()
