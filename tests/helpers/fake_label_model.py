"""A model that reads scripts instead of pictures, to test the command line alone.

A script is a text file of lines: `cut 9 10 0.98` is an event (label, start frame, end frame, score) that becomes
certain, `?text` a warning, `!text` an error in the middle of the media, `mark` makes a file that tells that a model
has come by, and `...` waits for ever. The last line, `frames 250`, is how many frames there are, at 25 a second;
without it, as many as the events need. A source that is no text is a real video, opened and counted, with one cut in
the middle. To be annotated, a script has lines `say some words` as well, and `silent`, `blind` or `nothing` as the
first where there is no sound, no picture, or neither. As a program this is the command line with the models called
"speech" and "labels":

    python tests/helpers/fake_label_model.py label --model labels FILES...
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import fake_model

import transducer
from transducer.errors import MediaError, UsageError
from transducer.results import Event, Labelling, Scene

FPS = 25.0
LABELS = ("", "cut", "dissolve", "fade", "wipe")


def event(label: str, start: int, end: int, score: float = 0.9, fps: float = FPS) -> Event:
    return Event(label, start / fps, end / fps, start, end, score)


def shots(events: list[Event], frames: int, fps: float = FPS) -> tuple[Scene, ...]:
    starts = [0, *(event.end_frame for event in events)]
    ends = [*(event.start_frame for event in events), frames - 1]
    return tuple(Scene("shot", a / fps, (b + 1) / fps, a, b, 1.0) for a, b in zip(starts, ends, strict=True))


class FakeLabelSession:
    """What the command line uses of a session of events."""

    kind = "events"
    events_kind = "transitions"
    latency = 0.2

    def __init__(self, lines: Iterator[str], name: str, frames: bool) -> None:
        self.name = name
        self.duration: float | None = 60.0
        self.warnings: list[str] = []
        self.frames = 0
        self._lines = lines
        self._asked = frames
        self._found: list[Event] = []
        self.scenes: list[Scene] = []

    @property
    def position(self) -> float:
        return self.frames / FPS

    @property
    def incomplete(self) -> bool:
        return bool(self.warnings)

    def __enter__(self) -> FakeLabelSession:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def __iter__(self) -> Iterator[Event]:
        for line in self._lines:
            if line == "...":
                time.sleep(60)
            elif line.startswith("?"):
                self.warnings.append(f"{self.name}: {line[1:]}")
            elif line.startswith("!"):
                raise MediaError(f"{self.name}: {line[1:]}")
            elif line.startswith("frames"):
                self.frames = int(line.split()[1])
            else:
                label, start, end, score = line.split()
                self._found.append(event(label, int(start), int(end), float(score)))
                self.frames = int(end) + 1
                self.scenes = list(shots(self._found, self.frames)[:-1])
                yield self._found[-1]
        self.scenes = list(self.result().segments)

    def result(self) -> Labelling:
        scores = [[1.0, 0.0, 0.0, 0.0, 0.0] for _ in range(self.frames if self._asked else 0)]
        for found in self._found if self._asked else ():
            for frame in range(found.start_frame + 1, found.end_frame + 1):
                scores[frame] = [1 - found.score, *(found.score * (name == found.label) for name in LABELS[1:])]
        return Labelling(
            source=self.name,
            fps=FPS,
            frames=self.frames,
            duration=self.frames / FPS,
            events=tuple(self._found),
            segments=shots(self._found, self.frames) if self.frames else (),
            warnings=tuple(self.warnings),
            kind="transitions",
            labels=LABELS,
            frame_times=tuple(k / FPS for k in range(self.frames)) if self._asked else None,
            frame_scores=tuple(map(tuple, scores)) if self._asked else None,
        )


class FakeLabelModel:
    kind = "events"

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def session(self, source: Any, *, frames: bool = False, **options: Any) -> FakeLabelSession:
        self.calls.append({"source": source, **options, **({"frames": True} if frames else {})})
        name, first, rest = open_script(source)
        if first in ("blind", "nothing"):
            raise MediaError(f"{name}: has no video; name a file that has pictures")
        lines = mark("label", (line for line in chain([first], rest) if not line.startswith(("say ", "silent"))))
        return FakeLabelSession(lines, name, frames)


class FakeSpeechModel(fake_model.FakeModel):
    def session(self, source: Any, **options: Any) -> fake_model.FakeSession:
        self.calls.append({"source": source, **options})
        name, first, rest = open_script(source)
        if first in ("silent", "nothing"):
            raise MediaError(f"{name}: is a video without sound; name a file that has sound")
        heard = (line for line in chain([first], rest) if line.startswith(("say ", "?", "!", "mark")))
        return fake_model.FakeSession(mark("speech", (line.removeprefix("say ") for line in heard)), name)


def mark(who: str, lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        if line == "mark":
            Path(f"{who}.mark").touch()
        else:
            yield line


def open_script(source: Any) -> tuple[str, str, Iterator[str]]:
    """The source's name, its first line, and the others as they come."""
    name = "standard input" if source == "-" else str(getattr(source, "name", source))
    try:
        file = sys.stdin.buffer if source == "-" else source if hasattr(source, "read") else io.FileIO(source)
        lines = read_lines(file)
        return name, next(lines, ""), lines
    except OSError as error:
        raise MediaError(f"{source}: cannot be read: {error.strerror}") from error


def read_lines(file: Any) -> Iterator[str]:
    """Lines, not waiting for more than is needed; of a real video those of a script with a cut in its middle."""
    rest = b""
    while data := file.read(1000):
        rest += data
        if rest[4:8] == b"ftyp":
            yield from read_video(rest + b"".join(iter(lambda: file.read(1000), b"")))
            return
        *lines, rest = rest.split(b"\n")
        for line in lines:
            yield line.decode()


def read_video(data: bytes) -> list[str]:
    from transducer.media.video.reader import open_video

    with open_video(io.BytesIO(data), size=(9, 16)) as reader:
        count = sum(1 for _ in reader)
    return [f"cut {count // 2 - 1} {count // 2} 0.75", f"frames {count}", "say in a file"]


def load(name: str) -> Any:
    models = {"labels": FakeLabelModel, "speech": FakeSpeechModel}
    if name not in models:
        raise UsageError(f"unknown model {name!r}; there are {', '.join(models)}")
    return models[name]()


if __name__ == "__main__":
    from transducer.cli import main

    transducer.load = load
    sys.exit(main())
