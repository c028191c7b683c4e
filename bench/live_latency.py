"""How soon words and events appear, on media that comes at its own pace.

    python bench/live_latency.py [TABLE] [--recordings 20] [--chunk-ms 320 640] [--peek 0 0.1] [--video FILE ...]

Media comes in pieces of 20 ms, frames one by one, on a simulated clock: it stands at the end of the piece that has
come, and goes on by the CPU time that the model takes, measured; a piece that comes meanwhile waits. So a machine that
is too slow falls behind here as it would there, and one that others use as well does not count as slow.

- first partial: from the onset of speech, by its level, to the first words.
- word: from its end to its first appearance, right or wrong in the end as the final has it.
- final: from the endpoint decision to the final. It is decided at the second of the media at which the trailing silence
  was long enough.
- event: frames from the one with which it ends to its appearance. The model declares its look-ahead, and the rules for
  events wait for frames that end a run.

TABLE has the columns path and text; sample_media's by default.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table as Grid

import transducer
from transducer.data.table import read_table
from transducer.engine.live import LiveSession
from transducer.media import read_audio
from transducer.media.audio.medium import Samples
from transducer.media.live.pace import PIECE
from transducer.media.medium import Block
from transducer.search.endpoint import EndpointRules

MEDIA = Path(__file__).parents[1] / "sample_media"
LEVEL = 0.03  # of the loudest 10 ms: where speech begins
QUIET = 0.5  # seconds before a recording
END = 2.0  # and behind it
PICTURES = 2  # frames that `transducer watch` works on at a time


class Clock:
    """Simulated: media time, and what computing took."""

    def __init__(self) -> None:
        self.now = 0.0
        self.spent = 0.0

    def arrive(self, second: float) -> bool:
        """A piece of the media has come; whether it had to wait for what was being computed."""
        late = self.now > second
        self.now = max(self.now, second)
        return late

    def run(self, work: Callable[[], list[Any]]) -> list[Any]:
        begun = time.process_time()
        found = work()
        took = time.process_time() - begun
        self.now += took
        self.spent += took
        return found


def onset(samples: np.ndarray, rate: int) -> float:
    """The second at which speech begins."""
    hop = rate // 100
    levels = np.sqrt(np.add.reduceat(samples**2, np.arange(0, len(samples), hop)) / hop)
    return float(np.flatnonzero(levels > LEVEL * levels.max())[0]) * hop / rate


class Words:
    """Latencies of words."""

    def __init__(self) -> None:
        self.first: list[float] = []
        self.words: list[float] = []
        self.finals: list[float] = []
        self.spent = self.seconds = 0.0

    def hear(self, model: Any, samples: np.ndarray, chunk_ms: int, peek: float) -> None:
        rate = model.rate
        quiet = np.zeros(round(QUIET * rate), np.float32)
        sound = np.concatenate([quiet, samples, np.zeros(round(END * rate), np.float32)])
        rules = EndpointRules()
        engine = model.engine(chunk_ms=chunk_ms, endpoint=rules)
        session, clock, size = LiveSession(engine), Clock(), round(PIECE * rate)
        decided = decisions(model, sound, chunk_ms, rules)
        shown: list[tuple[float, Any]] = []
        # The samples come as pieces; quiet sound is raised in blocks, which is a part of the delay.
        come = 0

        def pieces() -> Any:
            nonlocal come
            for first in range(0, len(sound), size):
                come = min(first + size, len(sound))
                yield sound[first : first + size]

        for block in Samples(Fraction(rate)).open(pieces(), level=True):
            waited = clock.arrive(come / rate)
            results = clock.run(lambda block=block: session.push(block))
            shown += [(clock.now, result) for result in results]
            if peek and not waited and clock.now < (come + size) / rate:
                results = clock.run(lambda: session.peek(peek))
                shown += [(clock.now, result) for result in results]
        shown += [(len(sound) / rate, result) for result in session.finish()]
        self.spent, self.seconds = self.spent + clock.spent, self.seconds + len(sound) / rate
        self._add(shown, onset(sound, rate), decided)

    def _add(self, shown: list[tuple[float, Any]], begun: float, decided: list[float]) -> None:
        spoken = [now for now, segment in shown if segment.words]
        if spoken:
            self.first.append(spoken[0] - begun)
        segment: list[tuple[float, Any]] = []
        finals = []
        for now, result in shown:
            segment.append((now, result))
            if not result.final:
                continue
            finals.append(now)
            for number, word in enumerate(result.words):
                seen = next(
                    now
                    for now, partial in segment
                    if len(partial.words) > number and partial.words[number].text == word.text
                )
                self.words.append(seen - word.end)
            segment = []
        self.finals += [now - second for now, second in zip(finals, decided, strict=False)]


def decisions(model: Any, sound: np.ndarray, chunk_ms: int, rules: EndpointRules) -> list[float]:
    """The second at which each segment with words was decided to be over: one output frame after another is searched,
    and the frame after which a final comes is the one that decided."""
    stream = model.stream(chunk_ms=chunk_ms, endpoint=rules)
    engine = stream.engine
    search = engine.search
    outputs: list[np.ndarray] = []
    listening = transducer.Stream(engine, listener=lambda rows, *_: outputs.append(rows))
    listening.push(sound)
    listening.finish()
    state, found, second = search.init(), [], 1 / float(engine.output_rate)
    for number, row in enumerate(np.concatenate(outputs)):
        ((state, results),) = search.step([state], [row[None]])
        found += [(number + 1) * second for result in results if result.final]
    return found


def measure_words(model: Any, sounds: list[np.ndarray], chunk_ms: int, peek: float) -> list[str]:
    words = Words()
    for samples in sounds:
        words.hear(model, samples, chunk_ms, peek)
    return [
        f"{chunk_ms}",
        f"{peek * 1000:.0f}" if peek else "-",
        spread(words.first),
        spread(words.words),
        spread(words.finals),
        f"{words.spent / words.seconds:.3f}",
    ]


def spread(values: list[float]) -> str:
    """Median, and the 90th and the 99th percentile."""
    return " / ".join(f"{np.quantile(values, share):.2f}" for share in (0.5, 0.9, 0.99)) if values else "none"


def measure_events(model: Any, path: Path) -> list[str]:
    """Frames from the last frame of an event to its appearance."""
    engine = model.engine()
    with model.medium.read(str(path), fast=bool(model.config.decoding.fast_decoding)) as reader:
        fps = float(reader.fps)
        session, clock = LiveSession(engine, rate=reader.fps, block=PICTURES), Clock()
        late, frames = [], 0
        for frame in reader:
            step = Block(model.medium.check(frame.image), [float(frame.time)], [frame.index])
            clock.arrive(float(frame.time))
            for result in clock.run(lambda step=step: session.push(step)):
                if isinstance(result, transducer.Event):
                    late.append((clock.now - result.end) * fps)
            frames += 1
    rules = getattr(engine.search, "rules", None)
    ahead = f"{engine.lookahead} + {rules.merge + 1 if rules is not None else 0}"
    return [path.name, f"{len(late)}", ahead, spread(late), f"{clock.spent * fps / frames:.3f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("table", type=Path, nargs="?", default=MEDIA / "transcripts.tsv")
    parser.add_argument("--recordings", type=int, default=20)
    parser.add_argument("--chunk-ms", type=int, nargs="+", default=[320, 640])
    parser.add_argument("--peek", type=float, nargs="+", default=[0.0, 0.1])
    parser.add_argument("--video", type=Path, nargs="*", default=[MEDIA / "shots.mp4"])
    args = parser.parse_args()
    torch.set_num_threads(1)
    model, console = transducer.load("speech-en"), Console(width=120)
    items = read_table(args.table).items
    count = min(args.recordings, len(items))
    sounds = [read_audio(items[number * len(items) // count].path, model.rate) for number in range(count)]
    grid = Grid("chunk, ms", "partials, ms", "first partial, s", "word, s", "final, s", "CPU s a second")
    for chunk_ms in args.chunk_ms:
        for peek in args.peek:
            grid.add_row(*measure_words(model, sounds, chunk_ms, peek))
    console.print(f"{len(sounds)} recordings: median / 90 % / 99 %")
    console.print(grid)
    grid = Grid("video", "events", "look-ahead + wait, frames", "frames from its end", "CPU s a second")
    labeller = transducer.load("shots")
    for path in args.video:
        grid.add_row(*measure_events(labeller, path))
    console.print(grid)


if __name__ == "__main__":
    main()
