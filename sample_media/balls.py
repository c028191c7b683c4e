"""Make clips of a ball that falls, bounces and rolls, with a table of what happens when: data to try training on.

python -m sample_media.balls my-clips                  40 clips, and labels.csv with the events "fall" and "roll"
python -m sample_media.balls my-clips --kind moments   the moments at which the ball hits the floor
python -m sample_media.balls my-clips --kind frames    a label for every frame, in labels.jsonl
python -m sample_media.balls my-clips --kind clip      one label a clip: what the ball did first
python -m sample_media.balls my-clips --kind words     what the ball did, in a row
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

FPS = 25
WIDTH, HEIGHT = 160, 120
KINDS = ("events", "moments", "frames", "clip", "words")


@dataclass
class Scene:
    """What a clip shows.

    Attributes:
        places: (x, y) of the ball's centre in each frame, in pixels; None where it cannot be seen.
        events: (first frame, last frame, label).
        hits: frames in which it meets the floor.
    """

    places: list[tuple[float, float] | None] = field(default_factory=list)
    events: list[tuple[int, int, str]] = field(default_factory=list)
    hits: list[int] = field(default_factory=list)

    def wait(self, frames: int) -> None:
        """The ball is where it was."""
        last = self.places[-1] if self.places else None
        self.places += [last] * frames

    def fall(self, x: float, height: float, floor: float, rng: np.random.Generator) -> None:
        """It hangs in the air, falls, and bounces until it lies still."""
        self.places += [(x, floor - height)] * int(rng.integers(6, 15))
        first, y, speed, gravity = len(self.places), height, 0.0, rng.uniform(0.5, 0.9)
        drift = rng.uniform(-0.7, 0.7)
        while True:
            speed, x = speed - gravity, x + drift
            y += speed
            if y <= 0:
                self.hits.append(len(self.places))
                y, speed = 0.0, -0.62 * speed
                if speed < 2.2:
                    break
            self.places.append((x, floor - y))
        self.places.append((x, floor))
        self.events.append((first, len(self.places) - 1, "fall"))

    def roll(self, x: float, floor: float, rng: np.random.Generator) -> None:
        """It rolls along the floor, to where it stops or cannot be seen any more."""
        direction = 1 if x < WIDTH / 2 else -1
        first, speed = len(self.places), rng.uniform(2.5, 4.5)
        while speed > 1 and -16 < x < WIDTH + 16:
            x += direction * speed
            speed *= 0.985
            self.places.append((x, floor))
        self.events.append((first, len(self.places) - 1, "roll"))


def scene(rng: np.random.Generator) -> Scene:
    """One to three things that a ball does, with rests between them."""
    made, floor = Scene(), HEIGHT - float(rng.uniform(14, 24))
    made.wait(int(rng.integers(4, 20)))
    for _ in range(int(rng.integers(1, 4))):
        if rng.random() < 0.5:
            made.fall(float(rng.uniform(25, WIDTH - 25)), float(rng.uniform(45, 80)), floor, rng)
        else:
            made.roll(float(rng.choice([-12, WIDTH + 12])), floor, rng)
        made.wait(int(rng.integers(6, 16)))
    return made


def pictures(made: Scene, rng: np.random.Generator) -> np.ndarray:
    """(T, HEIGHT, WIDTH, 3) uint8 RGB, with a wall, a floor and a ball of colours of their own."""
    wall, floor = (rng.integers(70, 170) + rng.integers(-20, 21, 3) for _ in range(2))
    hue = np.uint8([[[rng.integers(180), 230, 255]]])
    ball = cv2.cvtColor(hue, cv2.COLOR_HSV2RGB)[0, 0]
    radius, shadow = int(rng.integers(10, 16)), float(rng.uniform(0.6, 0.9))
    picture = np.empty((HEIGHT, WIDTH, 3), np.float32)
    line = HEIGHT - 20
    picture[:line], picture[line:] = wall, floor
    picture *= np.linspace(rng.uniform(0.7, 1), rng.uniform(0.7, 1), WIDTH, dtype=np.float32)[None, :, None]
    frames = np.empty((len(made.places), HEIGHT, WIDTH, 3), np.uint8)
    for frame, place in zip(frames, made.places, strict=True):
        shown = picture + rng.normal(0, 3, picture.shape).astype(np.float32)
        if place is not None:
            x, y = round(place[0]), round(place[1])
            cv2.ellipse(shown, (x, line + 6), (radius, 2), 0, 0, 360, (shadow * floor).tolist(), -1, cv2.LINE_AA)
            cv2.circle(shown, (x, y - radius), radius, ball.tolist(), -1, cv2.LINE_AA)
        frame[:] = np.clip(shown, 0, 255)
    return frames


def write_clip(path: Path, frames: np.ndarray) -> None:
    """H.264 in whatever container the name asks for."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "26", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        for number, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def rows(name: str, made: Scene, kind: str) -> list[dict[str, object]]:
    """The rows of a clip in the table."""
    if kind == "events":
        found = [(first / FPS, (last + 1) / FPS, label) for first, last, label in made.events]
        return [{"clip": name, "start": f"{a:.2f}", "end": f"{b:.2f}", "label": label} for a, b, label in found]
    if kind == "moments":
        return [{"clip": name, "start": f"{hit / FPS:.2f}", "end": "", "label": "hit"} for hit in made.hits] or [
            {"clip": name, "start": "", "end": "", "label": ""}
        ]
    if kind == "frames":
        labels = [""] * len(made.places)
        for first, last, label in made.events:
            labels[first : last + 1] = [label] * (last + 1 - first)
        return [{"path": name, "labels": labels}]
    if kind == "clip":
        return [{"clip": name, "label": made.events[0][2]}]
    return [{"clip": name, "words": " ".join(label for _, _, label in made.events)}]


def make(folder: Path, clips: int = 40, kind: str = "events", seed: int = 1) -> Path:
    """Write the clips and their table; returns the table."""
    folder.mkdir(parents=True, exist_ok=True)
    table: list[dict[str, object]] = []
    for number in range(clips):
        rng = np.random.default_rng((seed, number))
        made, name = scene(rng), f"ball-{number:03}.mp4"
        write_clip(folder / name, pictures(made, rng))
        table += rows(name, made, kind)
    path = folder / ("labels.jsonl" if kind == "frames" else "labels.csv")
    with open(path, "w", newline="") as file:
        if kind == "frames":
            file.writelines(json.dumps(row) + "\n" for row in table)
        else:
            writer = csv.DictWriter(file, list(table[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(table)
    return path


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Make clips of a ball, and a table of what it does in them.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--kind", choices=KINDS, default="events")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    table = make(options.folder, options.clips, options.kind, options.seed)
    print(f"{options.clips} clips and {table}")


if __name__ == "__main__":
    main()
