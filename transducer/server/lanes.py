"""Clients of the same engine, in batches."""

from __future__ import annotations

import time
from collections.abc import Hashable
from dataclasses import dataclass
from fractions import Fraction

from transducer.engine.batch import Results, StreamBatch
from transducer.engine.engine import Engine

ROOM = (4, 28)  # rows of the batches in the order in which they are made: a megabyte of state each
ROWS = 8  # rows of a step at most: more of them make it hardly cheaper, and others wait (bench/batch.py)
GATHER = 0.002  # seconds that a client waits for each other one of its batch that may come


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
    """The clients of one engine. A step takes those of a batch that have waited longest.

    Args:
        engine: what they run.
        block: see `StreamBatch`.

    Attributes:
        batches: with their clients.
        members: name of a client -> its place.
    """

    def __init__(self, engine: Engine, block: int | None = None):
        self.engine, self._block = engine, block
        self.batches: list[StreamBatch] = []
        self.members: dict[Hashable, Member] = {}

    def join(self, name: Hashable, rate: Fraction | float | None = None, start: float = 0.0) -> StreamBatch:
        """A new client, in the first batch that has room."""
        free = [batch for batch in self.batches if len(batch) < batch.capacity]
        if not free:
            room = ROOM[min(len(self.batches), len(ROOM) - 1)]
            free = [StreamBatch(self.engine, room, self._block, compact=True)]
            self.batches += free
        free[0].join(name, rate=rate, start=start)
        self.members[name] = Member(free[0])
        return free[0]

    def leave(self, name: Hashable) -> None:
        """The client is gone, whatever it still has."""
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
        """The batch to step first, and when (monotonic; it may be in the past); None for none."""
        found: tuple[float, StreamBatch] | None = None
        for batch in self.batches:
            waiting = self._waiting(batch)
            if waiting:
                missing = len(batch) - len(waiting) if len(waiting) < ROWS else 0
                moment = waiting[0][0] + GATHER * missing
                if found is None or moment < found[0]:
                    found = moment, batch
        return found

    def step(self, batch: StreamBatch) -> tuple[Results, list[float]]:
        """One step of a batch: its results, and for each client that was served since when it had been ready."""
        served = self._waiting(batch)[:ROWS]
        results = batch.step(name for _, name in served)
        for _, name in served:
            self.members[name].ready = None
            self.mark_ready(name)
        return results, [since for since, _ in served]

    def _waiting(self, batch: StreamBatch) -> list[tuple[float, Hashable]]:
        """The clients of a batch that are ready, and since when; the longest waiting first."""
        members = ((member.ready, name) for name, member in self.members.items() if member.batch is batch)
        return sorted(((ready, name) for ready, name in members if ready is not None), key=lambda found: found[0])
