"""Clients of the same engine, in batches: few clients do not pay for the room of many."""

from __future__ import annotations

import time
from collections.abc import Hashable
from dataclasses import dataclass
from fractions import Fraction

from transducer.engine.batch import Results, StreamBatch
from transducer.engine.engine import Engine

# Rows of the batches in the order in which they are made. A step computes all rows, and from 8 on more of them bring
# nothing (bench/batch.py).
SOUND, PICTURES = (1, 2, 4, 8), (1,)
GATHER = 0.03  # seconds that a client waits for others of its batch


@dataclass
class Member:
    """A client's place.

    Attributes:
        batch: where it is.
        ready: the time (monotonic) at which its next block was complete; None before.
    """

    batch: StreamBatch
    ready: float | None = None


class Lane:
    """The clients of one engine. Each batch steps when all of its clients are ready, or one has waited long enough.

    Args:
        engine: what they run.
        block: see `StreamBatch`.

    Attributes:
        batches: with their clients.
        members: name of a client -> its place.
    """

    def __init__(self, engine: Engine, block: int | None = None):
        self.engine, self._block = engine, block
        self._sizes = SOUND if engine.medium.steady else PICTURES
        self.batches: list[StreamBatch] = []
        self.members: dict[Hashable, Member] = {}

    def join(self, name: Hashable, rate: Fraction | float | None = None, start: float = 0.0) -> StreamBatch:
        """A new client, in the first batch that has room."""
        free = [batch for batch in self.batches if len(batch) < batch.capacity]
        if free:
            batch = free[0]
        else:
            size = self._sizes[min(len(self.batches), len(self._sizes) - 1)]
            batch = StreamBatch(self.engine, size, self._block)
            self.batches.append(batch)
        batch.join(name, rate=rate, start=start)
        self.members[name] = Member(batch)
        return batch

    def leave(self, name: Hashable) -> None:
        member = self.members.pop(name)
        if name in member.batch:
            member.batch.leave(name)
        while self.batches and not len(self.batches[-1]):
            self.batches.pop()

    def mark_ready(self, name: Hashable) -> None:
        """See whether the client's next block is complete."""
        member = self.members[name]
        if member.batch.waiting(name) < member.batch.block:
            member.ready = None
        elif member.ready is None:
            member.ready = time.monotonic()

    def due(self) -> tuple[float, StreamBatch] | None:
        """The batch to step first, and since when (monotonic; it may be in the future) that is so; None for none."""
        found: tuple[float, StreamBatch] | None = None
        for batch in self.batches:
            times = [member.ready for member in self.members.values() if member.batch is batch]
            waiting = [moment for moment in times if moment is not None]
            if waiting:
                since = min(waiting) if len(waiting) == len(times) else min(waiting) + GATHER
                if found is None or since < found[0]:
                    found = since, batch
        return found

    def step(self, batch: StreamBatch) -> tuple[Results, list[float]]:
        """One step of a batch: its results, and for each client that was served since when it had been ready."""
        served = [name for name, member in self.members.items() if member.batch is batch and member.ready is not None]
        since = [self.members[name].ready or 0.0 for name in served]
        results = batch.step()
        for name in served:
            self.members[name].ready = None
            self.mark_ready(name)
        return results, since
