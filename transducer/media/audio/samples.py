"""Decoded frames -> mono float32 samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from transducer.errors import MediaError
from transducer.media.audio.mixing import Mixer
from transducer.media.io.decoding import Damage

# Sample formats of FFmpeg without the "p" of planar ones: type, zero, and the value of full scale.
_FORMATS = {
    "u8": (np.uint8, 128.0, 2.0**7),
    "s16": (np.int16, 0.0, 2.0**15),
    "s32": (np.int32, 0.0, 2.0**31),
    "s64": (np.int64, 0.0, 2.0**63),
    "flt": (np.float32, 0.0, 1.0),
    "dbl": (np.float64, 0.0, 1.0),
}
# Full scale is 1. What is a million times louder is as little a sample as NaN, and would overflow later.
_LOUDEST = 1e6
_PLANES = 8  # PyAV 18 reads past the end of a list of more than eight planes
_RATES = (1000, 3_000_000)


class Sound(NamedTuple):
    """A decoded frame: mono float32 samples at `rate`; its timestamp, where it has one, is pts * tick seconds."""

    pts: int | None
    tick: Fraction | None
    rate: int
    samples: np.ndarray


def read_channels(frame: av.AudioFrame) -> tuple[np.ndarray, np.ndarray | None]:
    """A frame's channels with full scale 1, shape (channels, samples): float32, or float64 of what has more bits.

    Also gives the positions of samples that are no numbers (NaN, infinite, absurd) in a channel, which count
    as 0; None where there are none.

    Raises:
        ValueError: a sample format or a layout of channels that FFmpeg has and this function can't read.
    """
    count = frame.layout.nb_channels
    if frame.format.is_planar and count > _PLANES:
        frame = _interleave(frame)
    name = frame.format.name
    dtype, zero, scale = _FORMATS.get(name.removesuffix("p"), (None, 0.0, 1.0))
    if dtype is None:
        raise ValueError(f"samples of the format {name} can't be read; convert the file, for example to FLAC")
    planes: Any = frame.planes  # buffers, which PyAV's stubs do not say
    stored: NDArray[Any]
    if frame.format.is_planar:
        stored = np.stack([np.frombuffer(plane, dtype, frame.samples) for plane in planes])
    else:
        stored = np.frombuffer(planes[0], dtype, frame.samples * count).reshape(-1, count).T
    bad = None
    # Also false where a channel holds NaN.
    if dtype in (np.float32, np.float64) and stored.size and not np.abs(stored).max() < _LOUDEST:
        good = np.abs(stored) < _LOUDEST
        stored = np.where(good, stored, 0)
        bad = np.flatnonzero(~good.all(axis=0))
    # float32 holds 24 bits; wider samples are added up before they are rounded.
    channels: NDArray[Any] = stored.astype(
        np.float32 if dtype in (np.uint8, np.int16, np.float32) else np.float64, order="C"
    )
    if zero:
        channels -= zero
    if scale != 1:
        channels /= scale
    return channels, bad


def _interleave(frame: av.AudioFrame) -> av.AudioFrame:
    try:
        (packed,) = av.AudioResampler(frame.format.packed.name, frame.layout, frame.sample_rate).resample(frame)
    except av.FFmpegError as error:
        raise ValueError(f"its {frame.layout.nb_channels} channels can't be read: {error.strerror}") from None
    return packed


class SampleReader:
    """Frames -> `Sound`; counts the samples that are no numbers and tells of them once, at the end."""

    def __init__(self, name: str, warn: Callable[[str], None], origin: Fraction | None):
        self._name = name
        self._warn = warn
        self._origin = origin
        self._mixer = Mixer()
        self._decoded = 0
        self._bad = 0
        self._first_bad = Fraction(0)

    def read(self, frames: Iterable[av.AudioFrame | Damage]) -> Iterator[Sound | Damage]:
        try:
            for frame in frames:
                if isinstance(frame, Damage):
                    yield frame
                    continue
                try:
                    sound: Sound | Damage = self._read_frame(frame)
                except ValueError as error:
                    if not self._decoded:
                        raise MediaError(f"{self._name}: {error}") from None
                    sound = Damage()  # what was there before was fine, so it's this frame's header
                yield sound
        finally:
            if self._bad:
                plural = "s are" if self._bad > 1 else " is"
                self._warn(
                    f"{self._bad} sample{plural} no number (NaN or infinite), the first at "
                    f"{float(self._first_bad):.3f} s; taken as silence"
                )

    def _read_frame(self, frame: av.AudioFrame) -> Sound:
        if not _RATES[0] <= frame.sample_rate <= _RATES[1]:
            raise ValueError(
                f"has {frame.sample_rate} samples per second; sound of {_RATES[0]} to {_RATES[1]} can be read, "
                "so check how it was made"
            )
        channels, bad = read_channels(frame)
        samples = self._mixer.mix(channels, frame.sample_rate)
        if self._origin is None and frame.pts is not None:
            assert frame.time_base is not None
            self._origin = frame.pts * frame.time_base
        if bad is not None:
            if not self._bad:
                start = Fraction(self._decoded, frame.sample_rate)
                if frame.pts is not None:
                    assert frame.time_base is not None and self._origin is not None
                    start = frame.pts * frame.time_base - self._origin
                self._first_bad = start + Fraction(int(bad[0]), frame.sample_rate)
            self._bad += len(bad)
        self._decoded += frame.samples
        return Sound(frame.pts, frame.time_base, frame.sample_rate, samples)
