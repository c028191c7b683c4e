"""The threads that record what a live command names: sound, pictures, or both on one clock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from transducer.cli.live.job import LivePlan
from transducer.media.audio.reader import open_audio
from transducer.media.io.fanout import FanOut
from transducer.media.io.sources import STANDARD_INPUT
from transducer.media.live.camera import Camera
from transducer.media.live.capture import PICTURE_LIMIT, SOUND_LIMIT, Capture, Full, Inbox
from transducer.media.live.microphone import microphone
from transducer.media.live.pace import Beginning, Pace
from transducer.media.live.pictures import LivePictures
from transducer.media.live.piped import AsTheyCome, AtRate, raw_frames
from transducer.media.live.reconnect import Reconnect
from transducer.media.live.saver import Saver
from transducer.media.live.sound import LiveSound, standard_input
from transducer.media.medium import Medium
from transducer.media.video.reader import VideoFrame, open_video


class Recording:
    """What is recorded, by the kind of its results.

    Args:
        plan: of the command.
        inbox: gets what is read.
        saver: keeps it.

    Attributes:
        captures: "words" and "events" -> what reads for them.
    """

    def __init__(self, plan: LivePlan, inbox: Inbox, saver: Saver | None) -> None:
        self._plan, self._job, self._inbox, self._saver = plan, plan.job, inbox, saver
        self._beginning, self._pace = Beginning(), Pace() if plan.job.pace else None
        self._waiting: list[Pace | Reconnect] = [] if self._pace is None else [self._pace]
        self._split: FanOut | None = None
        self._lock = threading.Lock()
        self.captures: dict[str, Capture] = {}

    def sound(self, medium: Medium) -> LiveSound:
        """Record the sound for a model of words."""
        job, rate = self._job, int(medium.rate)
        open_arrays: Callable[[float], Iterator[np.ndarray]]
        if job.is_device:
            device = int(job.device) if job.device is not None and job.device.isdecimal() else job.device
            since = self._beginning.since if job.sees else None
            open_arrays = lambda start: microphone(rate, device, since)  # noqa: E731 - typed above
        else:
            open_arrays = partial(self._open_sound, rate)
        sound = LiveSound(open_arrays, medium, self._pace, self._reconnect(), self._saver)
        # A microphone does not wait, and whatever can wait loses nothing.
        full: Full = "gap" if job.is_device else "wait"
        seconds = lambda block: len(block.inputs) / rate  # noqa: E731
        self.captures["words"] = Capture(self._inbox, iter(sound), seconds, SOUND_LIMIT, full)
        return sound

    def pictures(self, medium: Any, fast: bool) -> LivePictures:
        """Record the pictures for a model of events."""
        opener = partial(self._open_pictures, medium, fast)
        pictures = LivePictures(opener, medium, self._pace, self._reconnect(), self._saver)
        full: Full = "thin" if self._job.is_live else "wait"
        seconds = lambda block: len(block.inputs) * pictures.period  # noqa: E731
        self.captures["events"] = Capture(self._inbox, iter(pictures), seconds, PICTURE_LIMIT, full)
        return pictures

    def start(self, devices: bool) -> None:
        """Begin. Devices begin sooner than what would only wait."""
        if devices == self._job.is_device:
            for capture in self.captures.values():
                capture.start()

    def stop(self) -> None:
        """Let everything end, wherever it waits."""
        for waiting in self._waiting:
            waiting.stop()

    def close(self) -> None:
        self.stop()
        if self._split is not None:
            self._split.stop()
        for capture in self.captures.values():
            capture.stop()
        for capture in self.captures.values():
            capture.join(1.0)

    def _reconnect(self) -> Reconnect | None:
        if not self._job.is_address:
            return None
        reconnect = Reconnect(self._job.source or "")
        self._waiting.append(reconnect)
        return reconnect

    def _open_sound(self, rate: int, start: float) -> Iterator[np.ndarray]:
        return open_audio(
            self._standard_input(0), rate, self._plan.raw, self._job.track, start=start, live=not self._job.pace
        )

    def _open_pictures(self, medium: Any, fast: bool, start: float) -> Iterator[VideoFrame]:
        job = self._job
        if job.is_device:
            return Camera(job.source or "0", self._beginning.since)
        if self._plan.raw_pictures is not None:
            return raw_frames(self._plan.raw_pictures)
        # What is kept has all its pixels, and is made small afterwards.
        size = None if self._saver is not None else (medium.height, medium.width)
        live = job.is_live or job.source == STANDARD_INPUT
        frames = open_video(self._standard_input(1), size, fast=fast, start=start, live=live)
        if job.fps is not None:
            return AtRate(frames, Fraction(job.fps).limit_denominator(1001))
        return AsTheyCome(frames) if job.is_address and not frames.timed else frames

    def _standard_input(self, reader: int) -> Any:
        """What to open: standard input is split where both need it."""
        job = self._job
        if job.source != STANDARD_INPUT:
            return job.source
        if not (job.hears and job.sees):
            return standard_input()
        with self._lock:
            if self._split is None:
                self._split = FanOut(standard_input(), 2, "standard input")
        return self._split.readers[reader]
