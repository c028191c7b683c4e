"""Clients of the same engine, in batches: who is served next.

Clients at the pace of their media come first, the longest waiting before the others. Those that are ahead of it, as
files are, get the time that is left, or a turn when they have waited too long.
"""

from __future__ import annotations

import time
from collections.abc import Hashable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from transducer.engine.batch import Results, StreamBatch
from transducer.engine.engine import Engine

ROOM = (4, 28)  # rows of the batches in the order in which they are made: a megabyte of state each
ROWS = 8  # rows of a step at most: more of them make it hardly cheaper, and others wait (bench/batch.py)
EARLY_ROWS = 4  # the same, of clients that are ahead
EARLY = 2.0  # seconds that a client is ahead of the pace of its media from which on it has time
LONGEST = 2.0  # seconds that such a client waits at most before it is served like the others
GATHER = 0.002  # seconds that a client waits for each other one of its batch that may come


@dataclass
class Member:
    """A client's place.

    Attributes:
        batch: where it is.
        ready: the time (monotonic) at which its next block was complete; None before.
        steps: blocks of it that have been worked on.
        joined: when (monotonic) it came.
    """

    batch: StreamBatch
    ready: float | None = None
    steps: int = 0
    joined: float = field(default_factory=time.monotonic)


class Turn(NamedTuple):
    """A step that may be done; of several the least comes first.

    Attributes:
        early: its clients have time.
        moment: when (monotonic) it may be done.
        names: of the clients that it serves.
    """

    early: bool
    moment: float
    lane: Lane
    batch: StreamBatch
    names: list[Hashable]


class Lane:
    """The clients of one engine.

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

    def turns(self, now: float) -> list[Turn]:
        """The steps that may be done, now or later: at most two for each batch."""
        pace = self.engine.medium.rate
        turns = []
        for batch in self.batches:
            waiting: dict[bool, list[tuple[float, Hashable]]] = {False: [], True: []}
            for name, member in self.members.items():
                if member.batch is batch and member.ready is not None:
                    ahead = float((member.steps + 1) * batch.block / pace) - (now - member.joined)
                    waiting[ahead > EARLY and now - member.ready < LONGEST].append((member.ready, name))
            for early, most in ((False, ROWS), (True, EARLY_ROWS)):
                found = sorted(waiting[early], key=lambda entry: entry[0])[:most]
                if found:
                    missing = 0 if early or len(found) == most else len(batch) - len(found) - len(waiting[True])
                    moment = found[0][0] + GATHER * missing
                    turns.append(Turn(early, moment, self, batch, [name for _, name in found]))
        return turns

    def step(self, turn: Turn) -> tuple[Results, list[float]]:
        """One step: its results, and for each client that was served since when it had been ready."""
        members = [self.members[name] for name in turn.names]
        since = [member.ready or 0.0 for member in members]
        results = turn.batch.step(turn.names)
        for name, member in zip(turn.names, members, strict=True):
            member.ready = None
            member.steps += 1
            self.mark_ready(name)
        return results, since
