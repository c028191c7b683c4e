"""Keeps what is heard and seen in a file that grows, on the clock of the results."""

from __future__ import annotations

import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from transducer.errors import UsageError

# Suffix -> FFmpeg's container, its codec for sound, and that for pictures; "" where it has none of them.
KINDS = {
    ".wav": ("wav", "pcm_s16le", ""),
    ".flac": ("flac", "flac", ""),
    ".ogg": ("ogg", "libopus", ""),
    ".opus": ("ogg", "libopus", ""),
    ".mka": ("matroska", "flac", ""),
    ".mkv": ("matroska", "flac", "libx264"),
    ".mp4": ("mp4", "aac", "libx264"),
    ".mov": ("mov", "aac", "libx264"),
}
# What is killed leaves a file that can be played up to there.
_OPTIONS = {"mp4": {"movflags": "frag_keyframe+delay_moov"}, "mov": {"movflags": "frag_keyframe+delay_moov"}}
_TICKS = 90_000  # a second, of the times of pictures
_SPEED = {"preset": "veryfast", "crf": "23"}
_HOLE = 1.0  # seconds of silence that are written at a time


class Saver:
    """Takes sound and pictures from the threads that record them; never stops them.

    Second 0 of the file is second 0 of the results. Where nothing was heard, there is silence.

    Args:
        path: its suffix says what it becomes.
        rate: of the sound, mono, in samples per second; None for none.
        pictures: whether there are any.
        tell: takes a line for the user.

    Attributes:
        failed: whether something could not be written.

    Raises:
        UsageError: the suffix is none that there is, or holds no pictures; the file exists or cannot be made.
    """

    def __init__(self, path: Path, rate: int | None, pictures: bool, tell: Callable[[str], None]) -> None:
        suffix = path.suffix.lower()
        if suffix not in KINDS:
            raise UsageError(f"{path}: --save knows no {suffix or 'file without a suffix'}: take {', '.join(KINDS)}")
        kind, self._sound_codec, self._picture_codec = KINDS[suffix]
        if pictures and not self._picture_codec:
            can = [name for name, (_, _, codec) in KINDS.items() if codec]
            raise UsageError(f"{path}: a {suffix} holds no pictures: take {', '.join(can)}")
        self._path, self._rate, self._tell = path, rate or 0, tell
        self._lock = threading.Lock()
        self.failed = False
        self._samples = 0
        self._sound: Any = None
        self._video: Any = None
        self._last = -1
        self._pictures = pictures
        self._early: list[np.ndarray] = []  # sound before the first picture, by which the header is known
        try:
            path.open("xb").close()
        except FileExistsError:
            raise UsageError(
                f"{path}: is there already, and a recording is not written over: choose another name"
            ) from None
        except OSError as error:
            raise UsageError(f"{path}: cannot be written: {error.strerror}; choose another place for --save") from None
        self._file: Any = av.open(str(path), "w", format=kind, options=_OPTIONS.get(kind, {}))
        if rate is not None:
            self._sound = self._file.add_stream(self._sound_codec, rate=rate, layout="mono")

    def sound(self, samples: np.ndarray) -> None:
        """What was heard next, float32 (N,)."""
        with self._lock:
            if self._pictures and self._video is None:
                self._early.append(samples)
            else:
                self._guard(self._write_sound, samples)

    def silence_until(self, second: float) -> None:
        """Nothing was heard up to then."""
        missing = round(second * self._rate) - self._samples - sum(len(samples) for samples in self._early)
        while missing > 0:
            count = min(missing, round(_HOLE * self._rate))
            self.sound(np.zeros(count, np.float32))
            missing -= count

    def picture(self, image: np.ndarray, time: Fraction) -> None:
        """What was seen at a second, uint8 (H, W, 3)."""
        with self._lock:
            self._guard(self._write_picture, image, time)
            while self._early:
                self._guard(self._write_sound, self._early.pop(0))

    def close(self) -> None:
        """Write the end; nothing may come after it. Of nothing, no file is left."""
        with self._lock:
            if self._file is not None:
                self._guard(self._finish)
                self._file = None
                if not self._samples and self._video is None:
                    self._path.unlink(missing_ok=True)

    def _guard(self, write: Callable[..., None], *arguments: Any) -> None:
        """A disk that is full ends the recording, and not the session."""
        if self.failed or self._file is None:
            return
        try:
            write(*arguments)
        except (OSError, av.FFmpegError, ValueError) as error:
            self.failed = True
            self._tell(f"{self._path}: cannot be written any more: {error}; what comes next is not in it")

    def _write_sound(self, samples: np.ndarray) -> None:
        stored = np.round(np.clip(samples, -1, 1) * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(stored[None], format="s16", layout="mono")
        frame.pts, frame.time_base = self._samples, Fraction(1, self._rate)
        frame.sample_rate = self._rate
        self._samples += len(samples)
        self._file.mux(self._sound.encode(frame))

    def _write_picture(self, image: np.ndarray, time: Fraction) -> None:
        height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
        if self._video is None:
            self._video = self._file.add_stream(self._picture_codec, rate=30, options=_SPEED)
            self._video.height, self._video.width, self._video.pix_fmt = height, width, "yuv420p"
            self._video.codec_context.time_base = Fraction(1, _TICKS)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image[:height, :width]), format="rgb24")
        if (height, width) != (self._video.height, self._video.width):
            frame = frame.reformat(self._video.width, self._video.height)
        self._last = max(round(time * _TICKS), self._last + 1)
        frame.pts, frame.time_base = self._last, Fraction(1, _TICKS)
        self._file.mux(self._video.encode(frame))

    def _finish(self) -> None:
        while self._early:
            self._write_sound(self._early.pop(0))
        for stream in (self._sound, self._video):
            if stream is not None:
                self._file.mux(stream.encode(None))
        self._file.close()
