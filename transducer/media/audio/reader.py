"""Sound in: any source -> mono float32 arrays at the rate asked for, lazily and in constant memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from transducer.errors import MediaError, UsageError
from transducer.media.audio.resampling import resample
from transducer.media.audio.samples import SampleReader
from transducer.media.audio.timeline import Timeline
from transducer.media.io.decoding import (
    declares_length,
    decode,
    open_audio_stream,
    open_container,
    stream_end,
    time_origin,
    trims_padding,
)
from transducer.media.io.reader import Reader, prepend
from transducer.media.io.sources import RawFormat, is_media_source, open_source

Resample = Callable[[Iterable[tuple[int, np.ndarray]], int], Iterator[np.ndarray]]


class AudioReader(Reader[np.ndarray], Iterator[np.ndarray]):
    """The sound of a source: an iterator of float32 arrays (samples,) with full scale 1, and a context manager.

    Attributes:
        name: of the source, to show.
        rate: samples per second.
        duration: seconds, as far as the source's header tells; None if it doesn't.
        warnings: one line for each place that could not be read; grows while the sound is read.
    """

    def __init__(self, name: str, rate: int, duration: float | None = None):
        super().__init__(name, duration)
        self.rate = rate
        self._samples = 0

    @property
    def position(self) -> float:
        """Seconds given so far."""
        return self._samples / self.rate

    def __next__(self) -> np.ndarray:
        try:
            chunk = next(self._items)
        except BaseException:  # the end of the sound, too
            self.close()
            raise
        self._samples += len(chunk)
        if self.duration is not None and self.position > self.duration + 1:
            self.duration = None  # the header knew of a part only: fragments of MP4, files strung together
        return chunk


def open_audio(
    source: Any,
    rate: int = 16000,
    raw: RawFormat | None = None,
    stream: int | None = None,
) -> AudioReader:
    """Open the sound of a source. Nothing is read ahead but what is needed to know that it can be decoded.

    Args:
        source: a path; an address (http, https, rtsp, ...); "-" for standard input; an open binary file, pipes
            included; an iterable of float32 arrays (samples,) at `rate`, of any sizes, which are checked and
            passed through; one such array; or an `AudioReader`.
        rate: samples per second to give.
        raw: the source is PCM without a header, of this format.
        stream: which sound of a file with several, from 0; None for the best one as FFmpeg sees it.

    Times are those that a player shows: sound that starts later than the picture is preceded by silence, a gap
    in the timestamps is filled with silence, an overlap is cut. Channels are averaged.

    Raises:
        MediaError: the source can't be read or holds no sound.
        UsageError: it isn't a source, or the arguments don't fit it. Also while reading, for arrays that are
            not as they should be.
    """
    if not (isinstance(rate, int) and rate > 0):
        raise UsageError(f"the rate must be a positive whole number of samples per second, got {rate!r}")
    if is_media_source(source):
        return _open_media(source, rate, raw, stream)
    if raw is not None or stream is not None:
        raise UsageError("raw and stream are for files, addresses and pipes, not for arrays of samples")
    if isinstance(source, AudioReader):
        if source.rate != rate:
            raise UsageError(f"{source.name}: is open at {source.rate} Hz, not at the {rate} Hz that are needed")
        return source
    if not isinstance(source, Iterable):
        raise UsageError(f"{type(source).__name__} is no source; give a path, an address, an open file, or arrays")
    reader = AudioReader("arrays", rate)
    is_array = hasattr(source, "shape")
    reader._items = _check_arrays((source,) if is_array else source)
    return reader


def read_audio(source: Any, rate: int = 16000, raw: RawFormat | None = None, stream: int | None = None) -> np.ndarray:
    """The whole sound of a source as one float32 array (samples,); see `open_audio`. For short ones."""
    with open_audio(source, rate, raw, stream) as reader:
        return np.concatenate([np.zeros(0, np.float32), *reader])


def read_audio_at(source: Any, rates: Sequence[int]) -> list[np.ndarray]:
    """The whole sound of a file at several rates, decoded once: for each what `read_audio` gives."""
    runs: list[tuple[int, list[np.ndarray]]] = []

    def keep(pieces: Iterable[tuple[int, np.ndarray]], _: int) -> Iterator[np.ndarray]:
        for rate, samples in pieces:
            if not runs or runs[-1][0] != rate:
                runs.append((rate, []))
            runs[-1][1].append(samples)
            yield samples

    with _open_media(source, rates[0], None, None, keep) as reader:
        for _ in reader:
            pass
    whole = [(rate, np.concatenate(samples)) for rate, samples in runs]
    return [np.concatenate([np.zeros(0, np.float32), *resample(whole, rate)]) for rate in rates]


def _open_media(
    source: Any, rate: int, raw: RawFormat | None, index: int | None, resample: Resample = resample
) -> AudioReader:
    opened = open_source(source, raw is not None)
    reader = AudioReader(opened.name, rate)
    reader._resources.append(opened)
    try:
        container = open_container(opened, raw)
        reader._resources.append(container)
        stream = open_audio_stream(container, opened, index)
        origin = time_origin(container, stream)
        end = stream_end(container, stream)
        reader.duration = None if end is None else float(end)
        timeline = Timeline(
            reader._warn,
            origin,
            end,
            declared=declares_length(container, stream),
            trim=trims_padding(container),
        )
        sounds = SampleReader(opened.name, reader._warn, origin).read(decode(container, stream, opened))
        chunks = resample(timeline.place(sounds), rate)
        # The first samples show that it can be decoded; without any there is nothing to read.
        first = next(chunks, None)
        opened.check()
        if first is None:
            reason = timeline.failure
            raise MediaError(f"{opened.name}: {reason or 'has a header but no sound samples; check how it was made'}")
        reader._items = prepend(first, chunks)
        return reader
    except BaseException:
        reader.close()
        raise


def _check_arrays(arrays: Iterable[Any]) -> Iterator[np.ndarray]:
    for number, samples in enumerate(arrays):
        what = f"array {number} of the source"
        try:
            array = np.asarray(samples)
        except Exception as error:
            raise UsageError(f"{what} is no array of samples: {error}") from None
        if array.dtype != np.float32:
            raise UsageError(f"{what} has the type {array.dtype}; samples are float32 from -1 to 1: .astype('float32')")
        if array.ndim != 1:
            raise UsageError(f"{what} has the shape {array.shape}; mono samples have the shape (samples,)")
        if not np.isfinite(array).all():
            where = int(np.flatnonzero(~np.isfinite(array))[0])
            raise UsageError(f"{what} holds {array[where]} at position {where}; samples must be finite numbers")
        if len(array):
            yield array
