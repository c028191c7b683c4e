"""A stream that never has to end: results as soon as there are any, over gaps, in constant memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from typing import Any

from transducer.engine.engine import Engine
from transducer.engine.stream import Stream
from transducer.media.medium import Block
from transducer.results import Segment
from transducer.search.builder import Builder, Source


class LiveSession:
    """What a live source becomes: segments, partial and final; or events, and the scenes between them.

    Its finals are those of a `Session` over the same media with the same block. Partials come sooner: `peek` decodes
    what has not filled a block yet on a copy of the state.

    Args:
        engine: what to run.
        name: of the source, to show.
        keep: whether `result` is wanted; without it memory does not grow.
        rate: frames per second, about.
        block: steps to work on at a time; the engine's own if None.
        language: of the words.
    """

    def __init__(
        self,
        engine: Engine,
        name: str = "",
        keep: bool = False,
        rate: Fraction | float | None = None,
        language: str = "",
        block: int | None = None,
    ):
        self.engine, self.name = engine, name
        self._rate, self._language, self._block = rate, language, block
        self._builder: Builder[Any, Any] = engine.search.builder(keep, False)
        self._stream = self._open(0.0)
        self._judged = (0.0, 0)
        self._partial: Segment | None = None  # of whole blocks
        self._shown: Segment | None = None  # what was given last, that or one that was seen early
        self._peeked = 0.0
        self.warnings: list[str] = []
        self.position = 0.0

    @property
    def kind(self) -> str:
        """Of the results: "words" or "events"."""
        return self.engine.kind

    @property
    def events_kind(self) -> str:
        """Of events, see `transducer.search.events.rules`; "" for words."""
        return getattr(self._builder, "kind", "")

    @property
    def latency(self) -> float:
        """Algorithmic latency of finals in seconds."""
        return self._stream.latency

    def push(self, block: Block) -> list[Any]:
        """More of the media; what is new because of it."""
        self._builder.block(block)
        found = self._stream.push_block(block)
        self.position = self._stream.position
        if found:
            self._peeked = self.position
        return self._announce(found)

    def peek(self, interval: float) -> list[Segment]:
        """The partial segment of all that has come, if `interval` seconds have since the last one and it has changed.

        Its stable words are those of the last partial of a whole block: what is seen early may still change.
        """
        if self.kind != "words" or self.position - self._peeked < interval - 1e-6:
            return []
        self._peeked = self.position
        seen = self._stream.peek()
        stable = self._partial.stable if self._partial is not None else 0
        # What would end here is partial all the same: only a whole block ends a segment.
        partial = replace(seen[0], final=False, stable=stable, alternatives=()) if seen else self._partial
        if partial is None and self._shown is not None:
            partial = Segment((), False, self.position, self.position)
        if partial is None or partial == self._shown:
            return []
        self._shown = partial if partial.words else None
        return [partial]

    def skip(self, start: float) -> list[Any]:
        """What comes next is heard or seen from second `start` on; nothing is known of what was before it.

        All up to the gap is final, and nothing of it is remembered behind the gap.
        """
        found = self._announce(self._stream.finish())
        self._judged = max(self._judged, self._stream.judged)
        self._stream = self._open(max(start, self.position))
        self.position = self._peeked = max(start, self.position)
        return found

    def poll(self) -> list[Any]:
        """What has come by itself: nothing, for all is worked on where it is pushed."""
        return []

    def flush(self) -> list[Any]:
        """Everything so far, final now."""
        return self._announce(self._stream.flush())

    def finish(self) -> list[Any]:
        """The end: the rest, final."""
        found = self._announce(self._stream.finish())
        self._judged = max(self._judged, self._stream.judged)
        self.position = max(self.position, self._judged[0])
        self._builder.close(self._source())
        return [*found, *self._scenes()]

    def result(self) -> Any:
        """The whole, if it was kept."""
        return self._builder.result(self._source())

    def _open(self, start: float) -> Stream:
        rate = None if self.engine.medium.steady else self._rate
        return Stream(self.engine, self._block, rate=rate, listener=self._builder.outputs, start=start)

    def _source(self) -> Source:
        end, frames = max(self._judged, self._stream.judged)
        rate = float(self.engine.output_rate if self._rate is None else self._rate)
        return Source(self.name, self.position, tuple(self.warnings), rate, frames, end, self._language)

    def _announce(self, results: Iterable[Any]) -> list[Any]:
        """The results that are to be shown, and before each the scenes that are over because of it."""
        shown: list[Any] = []
        for result in results:
            if isinstance(result, Segment):
                self._partial = self._shown = None if result.final or not result.words else result
            told = self._builder.add(result)
            shown += self._scenes()
            if told:
                shown.append(result)
        return shown

    def _scenes(self) -> list[Any]:
        """Scenes that have become certain since; they are not kept in two places."""
        scenes = getattr(self._builder, "scenes", None)
        if not scenes:
            return []
        found = list(scenes)
        scenes.clear()
        return found
