"""One client of an engine, fed by hand."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from transducer.engine.batch import StreamBatch
from transducer.engine.client import Listener, StreamState
from transducer.engine.engine import Engine
from transducer.errors import UsageError
from transducer.media.medium import Block

_NAME = "stream"


class Stream:
    """Push samples or frames, get segments or events.

    Partial segments replace each other; their `stable` words stay. Events come as soon as they are certain. See
    `transducer.results`.

    Args:
        engine: what to run.
        block: steps to work on at a time, see `StreamBatch`.
        state: of a stream that this one goes on from.
        rate, listener, start: see `StreamBatch.join`.
    """

    def __init__(
        self,
        engine: Engine,
        block: int | None = None,
        state: StreamState | None = None,
        rate: Fraction | float | None = None,
        listener: Listener | None = None,
        start: float = 0.0,
    ):
        self.engine = engine
        self._batch = StreamBatch(engine, 1, block)
        self._batch.join(_NAME, state, rate, listener, start)
        self._judged = (0.0, 0)

    @property
    def latency(self) -> float:
        """Algorithmic latency in seconds; infinite where all results come at the end."""
        return self.engine.latency_at(self._batch.block)

    @property
    def block(self) -> int:
        """Steps that are worked on at a time."""
        return self._batch.block

    @property
    def state(self) -> StreamState:
        """All that the stream is now: save it, fork it, go on from it."""
        self._check_open()
        return self._batch.state(_NAME)

    @property
    def judged(self) -> tuple[float, int]:
        """The time up to which the media has been judged, and how many frames (of sound, outputs) that are."""
        return self._batch.judged(_NAME) if _NAME in self._batch else self._judged

    @property
    def position(self) -> float:
        """Seconds that have come."""
        return self._batch.position(_NAME)

    def set_rate(self, rate: Fraction | float) -> None:
        """Frames per second, known better by now."""
        self._batch.set_rate(_NAME, rate)

    def push(self, steps: Any, times: Iterable[float] | None = None) -> list[Any]:
        """More of the media; what is new because of it.

        Args:
            steps: float32 (N,) samples at the model's rate, any N; or RGB frames, uint8 (H, W, 3) for one, (T, H, W, 3)
                or a list for several, of any size.
            times: of frames: when each is shown, in seconds, increasing; by the frame rate if not given.

        Raises:
            UsageError: not what the model takes, or after `finish`.
        """
        self._check_open()
        self._batch.push(_NAME, steps, times)
        return self._work_off()

    def push_block(self, block: Block) -> list[Any]:
        """Steps that are ready for the network."""
        self._check_open()
        self._batch.push_block(_NAME, block)
        return self._work_off()

    def flush(self) -> list[Any]:
        """Everything so far, final now, without waiting for silence. The stream may go on; see `StreamBatch.flush`."""
        self._check_open()
        return self._batch.flush(_NAME)

    def peek(self) -> list[Any]:
        """What would be new if the media ended here, without changing anything; see `StreamBatch.peek`."""
        self._check_open()
        return self._batch.peek(_NAME)

    def finish(self) -> list[Any]:
        """The end of the media: the rest, final. Nothing can be pushed after it."""
        self._check_open()
        self._batch.end(_NAME)
        results = self._batch.flush(_NAME)
        self._judged = self._batch.judged(_NAME)
        self._batch.leave(_NAME)
        return results

    def _work_off(self) -> list[Any]:
        results: list[Any] = []
        while self._batch.ready:
            results += self._batch.step().get(_NAME, [])
        return results

    def _check_open(self) -> None:
        if _NAME not in self._batch:
            raise UsageError("the stream is finished; open a new one for more")
