"""A source on its way through an engine."""

from __future__ import annotations

import weakref
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

from transducer.engine.engine import Engine
from transducer.engine.stream import Stream
from transducer.engine.threads import set_threads, threads
from transducer.errors import require
from transducer.media.audio.level import nothing_heard
from transducer.media.io.prefetch import Prefetch, usable_cores
from transducer.media.medium import Block, BlockReader
from transducer.search.builder import Builder, Source


class Session:
    """Iterate over it for results: segments, partial and final, or events in the order in which they become certain.

    What takes long to read, such as pictures, is decoded in a thread ahead of the network.

    Args:
        engine: what to run.
        reader: an open source of the engine's medium, which is closed at the end.
        block: steps to work on at a time; what suits the source if None.
        keep: whether `result` is wanted: without it a stream without end takes no more memory the longer it is.
        scores: of events: `result` has the probability of every label at every step as well.
        language: of the words.
    """

    def __init__(
        self,
        engine: Engine,
        reader: BlockReader,
        block: int | None = None,
        keep: bool = True,
        scores: bool = False,
        language: str = "",
    ):
        require(engine, Engine, "a session needs an engine: `session` of a model makes one")
        require(reader, BlockReader, "a session reads from what `open` of a medium gives")
        medium = engine.medium
        self.engine, self._reader, self._language = engine, reader, language
        self._rate = None if medium.steady else reader.rate
        self._builder: Builder[Any, Any] = engine.search.builder(keep, scores)
        self._stream: Stream = self._open_stream(block or medium.block_for(reader))
        self._position = 0.0
        self._heard = False
        self._notes: list[str] = []
        self._blocks: Iterator[Block] = reader
        if medium.read_ahead:
            self._blocks = Prefetch(reader)
            # Whoever leaves a loop over results may never close it.
            weakref.finalize(self, self._blocks.close).atexit = False
        self._results = self._run()

    @property
    def name(self) -> str:
        """Of the source, to show."""
        return self._reader.name

    @property
    def kind(self) -> str:
        """Of the results: "words" or "events"."""
        return self.engine.kind

    @property
    def events_kind(self) -> str:
        """Of events, see `transducer.search.events.rules`; "" for words."""
        return getattr(self._builder, "kind", "")

    @property
    def fps(self) -> float:
        """Frames per second, on average as far as it is known; of sound, outputs of the model per second."""
        return float(self.engine.output_rate if self._rate is None else self._reader.fps)

    @property
    def frames(self) -> int:
        """Frames that have been judged; of sound, outputs of the model."""
        return self._stream.judged[1]

    @property
    def latency(self) -> float:
        """Algorithmic latency in seconds."""
        return self._stream.latency + self._reader.delay

    @property
    def position(self) -> float:
        """Seconds that have been worked on."""
        return self._position

    @property
    def duration(self) -> float | None:
        """Seconds of the whole, as far as it is known."""
        return self._reader.duration

    @property
    def warnings(self) -> list[str]:
        """One line for each thing that could not be read, or is strange; grows on the way."""
        return [*self._reader.warnings, *self._notes, *getattr(self._builder, "notes", ())]

    @property
    def incomplete(self) -> bool:
        """Whether something of the source could not be read; known at the end."""
        return self._reader.incomplete

    @property
    def scenes(self) -> list[Any]:
        """Of events: the scenes that are certain so far, growing on the way."""
        return getattr(self._builder, "scenes", [])

    def result(self) -> Any:
        """What is certain so far, as a `Transcript` or `Labelling`; of the whole, after iterating over it."""
        return self._builder.result(self._source())

    def _open_stream(self, block: int | None) -> Any:
        """What takes the blocks of the source."""
        listener, start = self._builder.outputs, self._reader.start
        return Stream(self.engine, block, rate=self._rate, listener=listener, start=start)

    def _source(self) -> Source:
        end, frames = self._stream.judged
        return Source(self.name, self._position, tuple(self.warnings), self.fps, frames, end, self._language)

    def _run(self) -> Generator[Any, None, None]:
        for block in self._blocks:
            self._builder.block(block)
            with _spare_core(self.engine.medium.read_ahead):
                results = self._stream.push_block(block)
            self._position = self._stream.position
            yield from self._announce(results)
        if self._rate is not None:
            self._stream.set_rate(self._reader.rate)  # by now it may be known better
        results = self._stream.finish()
        self._position = max(self._position, self._stream.judged[0])
        yield from self._announce(results)
        self._note_silence()
        self._builder.close(self._source())

    def _note_silence(self) -> None:
        """Nothing said and nothing told would leave people without a hint."""
        level = self._reader.level
        if self.kind != "words" or self._heard or level is None or not self._position:
            return
        if level.is_silent and any("is silent" in warning for warning in self._reader.warnings):
            return  # it is said, and which other sounds there are
        self._notes.append(f"{self.name}: {nothing_heard(level.peak)}")

    def _announce(self, results: list[Any]) -> Iterator[Any]:
        for result in results:
            self._heard = self._heard or bool(getattr(result, "words", ()))
            if self._builder.add(result):
                yield result

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return next(self._results)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the source; may be called twice."""
        self._results.close()
        if isinstance(self._blocks, Prefetch):
            self._blocks.close()  # it closes the reader, in its own thread
        else:
            self._reader.close()


@contextmanager
def _spare_core(wanted: bool) -> Iterator[None]:
    """Leaves one core of few to the thread that decodes."""
    count = threads()
    fewer = max(1, min(count, usable_cores() - 1))
    if fewer == count or not wanted:
        yield
        return
    set_threads(fewer)
    try:
        yield
    finally:
        set_threads(count)
