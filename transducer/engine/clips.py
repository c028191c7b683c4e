"""Short sources in one batch: each gets what a session of its own would give it."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from transducer.engine.batch import StreamBatch
from transducer.engine.engine import Engine
from transducer.engine.session import Session
from transducer.errors import TransducerError
from transducer.media.medium import BlockReader


class Clip(Session):
    """A session whose source is read as a whole before its batch works on it. `ClipBatch` makes them.

    Attributes:
        key: the name it was given.
        failure: what broke the source off; its result has what was certain before.
    """

    def __init__(self, key: Hashable, batch: StreamBatch, engine: Engine, reader: BlockReader, language: str):
        self.key, self._batch = key, batch
        self.failure: TransducerError | None = None
        super().__init__(engine, reader, language=language)

    def _open_stream(self, block: int | None) -> _Place:
        self._batch.join(self.key, listener=self._builder.outputs, start=self._reader.start)
        self._place = _Place(self._batch.engine.latency_at(self._batch.block))
        return self._place

    def read(self) -> None:
        """All of the source, which is closed then."""
        try:
            for block in self._blocks:
                self._builder.block(block)
                self._batch.push_block(self.key, block)
            self._batch.end(self.key)
        except TransducerError as error:
            self.failure = error
        finally:
            self.close()
        # Nothing can be asked of a stream that has left.
        self._position = self._batch.position(self.key)
        self._place.judged = self._batch.judged(self.key, whole=self.failure is None)
        if self.failure is None:
            self._position = max(self._position, self._place.judged[0])

    def take(self, results: list[Any]) -> None:
        """What the batch has found."""
        for _ in self._announce(results):
            pass

    def conclude(self) -> None:
        """There is no more."""
        if self.failure is None:
            self._note_silence()
            self._builder.close(self._source())


@dataclass
class _Place:
    """What a session asks its stream, of a clip in a batch; see `Stream`."""

    latency: float
    judged: tuple[float, int] = (0.0, 0)


class ClipBatch:
    """Many short sources of a medium on a steady clock, such as sound.

    The network always runs over `capacity` rows: what a clip gets does not depend, to the bit, on which others there
    are. Against a session of its own there are differences of rounding.

    Args:
        engine: shared by all.
        capacity: clips at a time.
        language: of the words.
    """

    def __init__(self, engine: Engine, capacity: int, language: str = ""):
        self.engine, self.capacity = engine, capacity
        self._language = language
        self._batch = StreamBatch(engine, capacity)
        self._clips: dict[Hashable, Clip] = {}

    def __len__(self) -> int:
        return len(self._clips)

    @property
    def full(self) -> bool:
        return len(self._clips) >= self.capacity

    def add(self, key: Hashable, reader: BlockReader) -> Clip:
        """Read all of a source, to be worked on by `step`.

        Raises:
            UsageError: it has more than the model takes, where that judges a source as a whole.
        """
        clip = Clip(key, self._batch, self.engine, reader, self._language)
        self._clips[key] = clip
        clip.read()
        return clip

    def step(self) -> list[Clip]:
        """A block of every clip; those that are over by that."""
        for key, results in self._batch.step().items():
            self._clips[key].take(results)
        ready = set(self._batch.ready)
        over = [clip for key, clip in self._clips.items() if key not in ready]
        for clip in over:
            del self._clips[clip.key]
            if clip.key in self._batch:
                self._batch.leave(clip.key)  # it broke off
            clip.conclude()
        return over
