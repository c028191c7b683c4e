"""From a source to events: reading in a thread of its own, ahead of the network."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch

from transducer.engine.frame_blocks import USUAL_FPS, ArrayFrames, FrameBlock, audiovisual_blocks, frame_blocks
from transducer.engine.labelling import Labeller, LabelStream
from transducer.errors import UsageError
from transducer.media.io.prefetch import Prefetch
from transducer.media.io.sources import STANDARD_INPUT, is_media_source
from transducer.results import Event, Labelling, Scene
from transducer.search.events.scenes import Cover, Shots, scenes

FILE_BLOCK, LIVE_BLOCK = 128, 4  # frames at a time: many are quicker, few are sooner


class LabelSession:
    """A source on its way through a labeller: iterate over it for events, in the order in which they become certain.

    Reading, decoding and resizing run in a thread ahead of the network.

    Attributes:
        name: of the source.
        warnings: what could not be read, and where; grows on the way.
        segments: the scenes that are certain so far, growing on the way. Spans may overlap with spans that end later:
            of them nothing is certain before the end.
    """

    def __init__(self, labeller: Labeller, reader: Any, blocks: Iterator[FrameBlock], block: int, frames: bool = False):
        self._reader = reader
        self._stream = LabelStream(labeller, _rate(reader), block)
        self._stream.timed = []
        self._stream.scores = [] if frames else None
        self._times: list[float] = []
        self.segments: list[Scene] = []
        self._first = 0.0
        self._position = 0.0
        self._blocks = Prefetch(blocks)
        # Whoever leaves a loop over events may never close it.
        weakref.finalize(self, self._blocks.close).atexit = False
        self._events = self._run()

    @property
    def name(self) -> str:
        return self._reader.name

    @property
    def warnings(self) -> list[str]:
        return self._reader.warnings

    @property
    def duration(self) -> float | None:
        """Seconds of the whole, as far as it is known."""
        return self._reader.duration

    @property
    def position(self) -> float:
        """Seconds that have been labelled."""
        return self._position

    @property
    def kind(self) -> str:
        """Of the events, see `transducer.search.events.rules`."""
        return self._stream.labeller.rules.kind

    @property
    def fps(self) -> float:
        return float(_rate(self._reader))

    @property
    def frames(self) -> int:
        """Frames that have been labelled."""
        return self._stream.frames

    @property
    def latency(self) -> int:
        """Frames, see `LabelStream.latency`."""
        return self._stream.latency

    @property
    def latency_seconds(self) -> float:
        return self.latency / self.fps

    def result(self) -> Labelling:
        """What is certain so far, and up to the frame that was judged last; of the whole, after iterating over it."""
        stream, labeller = self._stream, self._stream.labeller
        timed = stream.timed or []
        end, frames = stream.end
        events = sorted(timed, key=lambda event: (event.start_frame, event.end_frame))
        asked = stream.scores is not None
        scores = [tuple(row) for part in stream.scores or [] for row in part.tolist()]
        return Labelling(
            source=self.name,
            fps=self.fps,
            frames=frames,
            duration=end,
            events=() if self.kind == "clip" else tuple(events),
            segments=scenes(self.kind, timed, frames, self._first, end),
            warnings=tuple(self.warnings),
            kind=self.kind,
            labels=labeller.labels,
            frame_times=tuple(self._times[: len(scores)]) if asked else None,
            frame_scores=tuple(scores) if asked else None,
        )

    def _run(self) -> Iterator[Event]:
        stream, row = self._stream, None
        for block in self._blocks:
            if row is None:
                self._first = block.times[0]
                row = Shots(self._first) if self.kind == "transitions" else Cover(self._first)
            if stream.scores is not None:
                self._times += block.times
            with _spare_core():
                events = stream.push_block(block)
            self._position = block.times[-1]
            yield from self._announce(events, row)
        stream.fps = _rate(self._reader)  # by now it may be known better
        yield from self._announce(stream.finish(), row)
        self._position = max(self._position, stream.end[0])
        if row is not None:
            self.segments = list(self.result().segments)

    def _announce(self, events: list[Event], row: Shots | None) -> Iterator[Event]:
        timed = self._stream.timed or []
        for event, entry in zip(events, timed[len(timed) - len(events) :], strict=True):
            if row is not None and self.kind != "spans":
                self.segments += row.before(entry)
            yield event

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        return next(self._events)

    def __enter__(self) -> LabelSession:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End the thread and release the source; may be called twice."""
        self._events.close()
        self._blocks.close()


def open_session(
    labeller: Labeller,
    source: Any,
    fps: float | Fraction | None = None,
    frames: bool = False,
    block: int | None = None,
    fast: bool = False,
) -> LabelSession:
    """Open a source for a labeller.

    Args:
        source: what `open_video` takes, or pictures: an iterable of uint8 (H, W, 3) arrays, or one (T, H, W, 3).
        fps: frames per second of pictures, 25 if not given.
        frames: the result has the probabilities of every frame.
        block: frames to work on at a time; None for many with a file, and few with a source that may be live.
        fast: decode with shortcuts, for models that were trained so.

    Raises:
        MediaError: the source cannot be read or holds no picture. UsageError: it is no source, or an option does not
            fit it.
    """
    from transducer.media.video.reader import VideoReader, open_video

    size = labeller.size[:2]
    reader: Any
    if is_media_source(source) or isinstance(source, VideoReader):
        if fps is not None:
            raise UsageError("fps is for arrays; a file says itself how fast its frames follow each other")
        reader = open_video(source, size, fast=fast)
    elif isinstance(source, Iterable):
        if fps is not None and not fps > 0:
            raise UsageError(f"the frames per second must be more than 0, got {fps}")
        reader = ArrayFrames(source, size, Fraction(fps or USUAL_FPS).limit_denominator(100_000))
    else:
        raise UsageError(f"{type(source).__name__} is no source; give a path, an address, an open file, or pictures")
    if block is None:
        block = LIVE_BLOCK if reader.frames is None and reader.duration is None else FILE_BLOCK
    try:
        if labeller.samples:
            blocks = _with_sound(labeller, reader, source, block)
        else:
            blocks = frame_blocks(reader, labeller.size[2], block)
        return LabelSession(labeller, reader, blocks, block, frames)
    except BaseException:
        reader.close()
        raise


def _with_sound(labeller: Labeller, reader: Any, source: Any, block: int) -> Iterator[FrameBlock]:
    from transducer.media.audio.reader import open_audio

    if not isinstance(source, str | Path) or str(source) == STANDARD_INPUT:
        raise UsageError("this model needs picture and sound: give it a file or an address, which can be opened twice")
    audio = open_audio(source, labeller.rate)
    return audiovisual_blocks(reader, audio, labeller.size[2], labeller.samples, block)


def _rate(reader: Any) -> Fraction:
    return Fraction(reader.fps) if reader.fps else USUAL_FPS


@contextmanager
def _spare_core() -> Iterator[None]:
    """Leaves one core of few to the thread that decodes."""
    threads = torch.get_num_threads()
    fewer = max(1, min(threads, (os.cpu_count() or 1) - 1))
    if fewer == threads:
        yield
        return
    torch.set_num_threads(fewer)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
