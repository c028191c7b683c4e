"""From a source of sound to segments."""

from __future__ import annotations

from collections.abc import Iterator

from transducer.engine.stream import Stream
from transducer.media.audio.reader import AudioReader
from transducer.results import Segment


class Session:
    """A source on its way through a model: iterate over it for segments.

    Attributes:
        latency: algorithmic, in seconds.
        name: of the source.
        position: seconds heard so far.
        duration: seconds of the whole, as far as it is known.
        warnings: what could not be read, and where; grows on the way.
    """

    def __init__(self, stream: Stream, audio: AudioReader):
        self._stream, self._audio = stream, audio
        self._segments = self._run()

    @property
    def latency(self) -> float:
        return self._stream.latency

    @property
    def name(self) -> str:
        return self._audio.name

    @property
    def position(self) -> float:
        return self._audio.position

    @property
    def duration(self) -> float | None:
        return self._audio.duration

    @property
    def warnings(self) -> list[str]:
        return self._audio.warnings

    def _run(self) -> Iterator[Segment]:
        block = self._stream.decoder.block
        for samples in self._audio:
            # A packet may be hours long: results should not wait for all of it.
            for start in range(0, len(samples), block):
                yield from self._stream.push(samples[start : start + block])
        yield from self._stream.finish()

    def __iter__(self) -> Iterator[Segment]:
        return self

    def __next__(self) -> Segment:
        return next(self._segments)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the source; may be called twice."""
        self._segments.close()
        self._audio.close()
