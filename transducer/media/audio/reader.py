"""Sound in: any source -> mono float32 arrays at the rate asked for, lazily and in constant memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer

from transducer.errors import MediaError, UsageError
from transducer.media.audio.level import LevelMeter, raise_level
from transducer.media.audio.resampling import resample
from transducer.media.audio.samples import SampleReader
from transducer.media.audio.timeline import Timeline
from transducer.media.io.decoding import decode, describe_sounds, open_audio_stream, open_container
from transducer.media.io.parts import has_open_end, parts
from transducer.media.io.reader import Reader, check_span, prepend
from transducer.media.io.sources import LIVE_OPTIONS, RawFormat, Source, is_media_source, open_source
from transducer.media.io.timing import counts_timestamps, has_no_gaps, stream_length, time_origin, trims_padding


class AudioReader(Reader[np.ndarray], Iterator[np.ndarray]):
    """The sound of a source: an iterator of float32 arrays (samples,) with full scale 1, and a context manager.

    Attributes:
        name: of the source, to show.
        rate: samples per second.
        duration: seconds, as far as the source's header tells; None if it doesn't.
        level: of what was given so far: its peak, its RMS, whether it is quiet.
        start: second of the source at which the first sample lies.
        warnings: one line for each place that could not be read; grows while the sound is read.
        incomplete: see `Reader`.
    """

    def __init__(self, name: str, rate: int, duration: float | None = None):
        super().__init__(name, duration)
        self.rate = rate
        self.level = LevelMeter()
        self.start = 0.0
        self._first = 0  # number of the first sample to give
        self._samples = 0
        self._sounds: list[str] = []  # what the source has to choose from
        self._chosen = 0

    @property
    def position(self) -> float:
        """Second of the source up to which it has been given."""
        return (self._first + self._samples) / self.rate

    def __next__(self) -> np.ndarray:
        try:
            chunk = next(self._items)
        except StopIteration:
            if self._resources:
                self._end()
            self.close()
            raise
        except BaseException:
            self.close()
            raise
        self._samples += len(chunk)
        self.level.add(chunk)
        if self.duration is not None and self.position > self.duration + 1:
            self.duration = None  # the header knew of a part only: fragments of MP4, files strung together
        return chunk

    def _end(self) -> None:
        self.duration = self.position
        if self.level.is_silent and len(self._sounds) > 1:
            others = ", ".join(text for number, text in enumerate(self._sounds) if number != self._chosen)
            self._warn(f"its sound {self._sounds[self._chosen]} is silent; there is also {others}: choose by number")


def open_audio(
    source: Any,
    rate: int = 16000,
    raw: RawFormat | None = None,
    stream: int | None = None,
    *,
    start: float = 0.0,
    length: float | None = None,
    level: bool = False,
    live: bool = False,
) -> AudioReader:
    """Open the sound of a source. Nothing is read ahead but what is needed to know that it can be decoded.

    Args:
        source: a path; an address (http, https, rtsp, ...); "-" for standard input; an open binary file, pipes
            included; an iterable of float32 arrays (samples,) at `rate`, of any sizes, which are checked and
            passed through; one such array; or an `AudioReader`.
        rate: samples per second to give.
        raw: the source is PCM without a header, of this format.
        stream: which sound of a file with several, from 0; None for the best one as FFmpeg sees it.
        start: seconds to leave out; what follows is what it is without this, to the sample.
        length: seconds to give from there; None for all.
        level: raise quiet sound, see `raise_level`.
        live: give the first of it soon: see `LIVE_OPTIONS`.

    Times are those that a player shows: sound that starts later than the picture is preceded by silence, a gap
    in the timestamps is filled with silence, an overlap is cut. Channels are mixed, see `Mixer`. Files that were
    strung together are read one after the other.

    Raises:
        MediaError: the source can't be read, holds no sound, or ends before `start`.
        UsageError: it isn't a source, or the arguments don't fit it. Also while reading, for arrays that are
            not as they should be.
    """
    if not (isinstance(rate, int) and rate > 0):
        raise UsageError(f"the rate must be a positive whole number of samples per second, got {rate!r}")
    check_span(start, length)
    if isinstance(source, AudioReader):
        if source.rate != rate:
            raise UsageError(f"{source.name}: is open at {source.rate} Hz, not at the {rate} Hz that are needed")
        if raw is not None or stream is not None or start or length is not None or level:
            raise UsageError(f"{source.name}: is open already; give what is to be read of it when it is opened")
        return source
    if is_media_source(source):
        opened = open_source(source, raw is not None)
        opened.options |= LIVE_OPTIONS if live else {}
        reader = AudioReader(opened.name, rate)
        reader._resources.append(opened)
        chunks = resample(_read_media(opened, reader, raw, stream), rate)
    elif raw is not None or stream is not None:
        raise UsageError("raw and stream are for files, addresses and pipes, not for arrays of samples")
    elif not isinstance(source, Iterable):
        raise UsageError(f"{type(source).__name__} is no source; give a path, an address, an open file, or arrays")
    else:
        opened = None
        reader = AudioReader("arrays", rate)
        chunks = _check_arrays((source,) if hasattr(source, "shape") else source)
    reader._first = round(start * rate)
    reader.start = reader._first / rate
    count = None if length is None else round((start + length) * rate) - reader._first
    chunks = cut(chunks, reader._first, count)
    if level:
        chunks = raise_level(chunks, rate)
    if opened is not None:
        _begin(reader, opened, chunks, start, length)
    else:
        reader._items = chunks
    return reader


def read_audio(
    source: Any, rate: int = 16000, raw: RawFormat | None = None, stream: int | None = None, **options: Any
) -> np.ndarray:
    """The whole sound of a source as one float32 array (samples,); see `open_audio`. For short ones."""
    with open_audio(source, rate, raw, stream, **options) as reader:
        return np.concatenate([np.zeros(0, np.float32), *reader])


def read_audio_at(source: Any, rates: Sequence[int]) -> list[np.ndarray]:
    """The whole sound of a file at several rates, decoded once: for each what `read_audio` gives."""
    opened = open_source(source)
    with AudioReader(opened.name, rates[0]) as reader:
        reader._resources.append(opened)
        pieces = list(_read_media(opened, reader, None, None))
    return [np.concatenate([np.zeros(0, np.float32), *resample(pieces, rate)]) for rate in rates]


def cut(chunks: Iterable[np.ndarray], first: int, count: int | None) -> Iterator[np.ndarray]:
    """Of arrays that follow each other `count` samples from number `first` on; reads nothing behind them."""
    place, end = 0, None if count is None else first + count
    for chunk in chunks:
        part = chunk[max(first - place, 0) : None if end is None else max(end - place, 0)]
        place += len(chunk)
        if len(part):
            yield part
        if end is not None and place >= end:
            return


def _begin(
    reader: AudioReader, opened: Source, chunks: Iterator[np.ndarray], start: float, length: float | None
) -> None:
    """Read the first samples, which show that it can be decoded; without any there is nothing to read."""
    try:
        first = next(chunks, None)
        opened.check()
        if first is None:
            raise MediaError(f"{opened.name}: ends before {start:g} s, where it was to start")
        if length is not None and reader.duration is not None:
            reader.duration = min(reader.duration, start + length)
        reader._items = prepend(first, chunks)
    except BaseException:
        reader.close()
        raise


def _read_media(
    opened: Source, reader: AudioReader, raw: RawFormat | None, index: int | None
) -> Iterator[tuple[int, np.ndarray]]:
    """(rate, samples) of a source, and of the files that were strung behind it."""
    base = Fraction(0)
    for number, part in enumerate([opened] if raw is not None else parts(opened, reader._warn)):
        try:
            container, stream = _open_stream(part, raw, index)
        except MediaError as error:
            if not number:
                raise
            reason = str(error).removeprefix(f"{opened.name}: ")
            reader._warn(f"what follows behind {float(base):.2f} s {reason}", incomplete=True)
            return
        with container:
            origin, length = time_origin(container, stream), stream_length(container, stream)
            if not number:
                reader._sounds = describe_sounds(container)
                reader._chosen = container.streams.audio.index(stream)
                reader.duration = None if length.end is None or has_open_end(part.head) else float(length.end)
            timeline = Timeline(
                reader._warn,
                origin,
                length,
                trim=trims_padding(container),
                counted=counts_timestamps(container),
                trusted=not has_no_gaps(container, stream),
                base=base,
            )
            sounds = SampleReader(opened.name, reader._warn, origin).read(decode(container, stream, part))
            yield from timeline.place(sounds)
            part.check()
            if timeline.failure or timeline.position == base:
                reason = timeline.failure or "has a header but no sound samples; check how it was made"
                if not number:
                    raise MediaError(f"{opened.name}: {reason}")
                reader._warn(f"what follows behind {float(base):.2f} s {reason}", incomplete=True)
            base = timeline.position


def _open_stream(part: Source, raw: RawFormat | None, index: int | None) -> tuple[InputContainer, AudioStream]:
    container = open_container(part, raw)
    try:
        return container, open_audio_stream(container, part, index)
    except BaseException:
        container.close()
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
