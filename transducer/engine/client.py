"""One stream on its way through an engine."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from transducer.engine.clock import FrameClock, SteadyClock
from transducer.engine.engine import Engine
from transducer.engine.queue import StepQueue
from transducer.errors import UsageError
from transducer.media.medium import Medium
from transducer.model.state import State

Listener = Callable[[NDArray[np.float32], Sequence[bool]], None]


class StreamState(NamedTuple):
    """All that a stream is between two packets: it can be pickled, forked, and gone on with anywhere.

    Attributes:
        network: state of one row.
        search: state of the search.
        pending: what has been found and whose times are not known yet.
        clock: times of the steps that are still needed.
        waiting: (N, C) steps that have not been encoded.
        received: steps that have come.
        encoded: outputs that have come out of the network.
        searched: outputs that have been searched; more than encoded ones after a flush, which looks ahead.
        ended: nothing more will come.
        owed: steps after the end that silence and look-ahead still wait for.
        rate: steps per second where they come without times.
        block: (N, C) the newest steps that have been encoded; None before the first.
        gathered: (T, C) what has been encoded of a source that is judged as a whole; () elsewhere.
    """

    network: State
    search: Any
    pending: tuple[Any, ...]
    clock: SteadyClock | FrameClock
    waiting: NDArray[Any]
    received: int
    encoded: int
    searched: int
    ended: bool
    owed: int
    rate: Fraction
    block: NDArray[Any] | None
    gathered: tuple[NDArray[np.float32], ...] = ()


@dataclass
class Client:
    """One stream on its way through an engine; see `StreamState`.

    Attributes:
        slot: its row in the batch.
        listener: is told of the outputs (T, V) that are searched, and of each whether a frame begins in it or goes on
            from the one before; None for nobody.
    """

    slot: int
    search: Any
    pending: list[Any]
    clock: SteadyClock | FrameClock
    waiting: StepQueue
    rate: Fraction
    received: int = 0
    encoded: int = 0
    searched: int = 0
    ended: bool = False
    owed: int = 0
    block: NDArray[Any] | None = None
    gathered: list[NDArray[np.float32]] = field(default_factory=list)
    listener: Listener | None = None

    @classmethod
    def new(cls, slot: int, engine: Engine, start: float = 0.0) -> Client:
        """A client at its start, a second of its source."""
        medium = engine.medium
        return cls(slot, engine.search.init(), [], engine.clock(start), StepQueue(medium), Fraction(medium.rate))

    @classmethod
    def of(cls, slot: int, engine: Engine, state: StreamState) -> Client:
        """A client that goes on from a state, which stays as it is: whoever has it may go on from it again."""
        state = copy.deepcopy(state)
        waiting = StepQueue(engine.medium, state.waiting)
        counts = (state.received, state.encoded, state.searched, state.ended, state.owed, state.block)
        gathered = list(state.gathered)
        return cls(slot, state.search, list(state.pending), state.clock, waiting, state.rate, *counts, gathered)

    def state(self, network: State) -> StreamState:
        """What the client is now, with the network's state of its row. What it gets later does not change it."""
        found = StreamState(
            network,
            self.search,
            tuple(self.pending),
            self.clock,
            self.waiting.peek(),
            self.received,
            self.encoded,
            self.searched,
            self.ended,
            self.owed,
            self.rate,
            self.block,
            tuple(self.gathered),
        )
        return copy.deepcopy(found)

    @property
    def last_time(self) -> float:
        """When the newest step begins, in seconds; -infinity before the first, and where steps have no times."""
        newest = self.clock.newest if isinstance(self.clock, FrameClock) else None
        return -math.inf if newest is None else newest[0]


def check_times(times: Iterable[float], count: int, last: float) -> list[float]:
    """Times of so many steps, increasing, after `last`. Raises UsageError otherwise."""
    try:
        shown = [float(time) for time in times]
    except (TypeError, ValueError):
        raise UsageError("times must be numbers of seconds") from None
    if len(shown) != count:
        raise UsageError(f"{count} frames need as many times, got {len(shown)}")
    for time in shown:
        if not math.isfinite(time) or time <= last:
            raise UsageError(f"times must be finite and increase: {time:g} s comes after {last:g} s")
        last = time
    return shown


def check_rate(rate: Any, medium: Medium) -> Fraction:
    """Frames per second. Raises UsageError for what is no positive number, or where the rate is the medium's own."""
    if medium.steady:
        raise UsageError(f"{medium.name} come at {medium.rate} a second: leave out the rate")
    try:
        found = Fraction(rate).limit_denominator(100_000)
    except (TypeError, ValueError, OverflowError):
        found = Fraction(0)
    if found <= 0:
        raise UsageError(f"the frames per second must be a number more than 0, got {rate!r}")
    return found
