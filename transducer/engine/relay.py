"""One long source shared among several streams, with exactly the results of one.

Every stream begins somewhere in the source with nothing in mind, and goes on beyond its own part until what it has in
mind is what the next stream had in mind at the same step. From there on both would give the same, to the bit, for what
a stream gives is a function of its state and of what follows. So the first hands over to the next, and the results up
to there, followed by the other's from there on, are those of one stream over all. Nothing is guessed: where the states
never meet, the first goes on to the end.

They meet in pauses, where the model's state is renewed (`Engine.is_stale`): after the last words come the endpoint, the
rule for silence without words, and a block of samples, 6.4 s of `speech-en` in which nothing is heard. Then the network
remembers the newest block alone, the search begins a segment with nothing found, and the samples, whose level is a
matter of the whole source, are those of the whole source: it is read from its beginning for every part.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from transducer.engine.batch import StreamBatch
from transducer.engine.client import StreamState
from transducer.engine.engine import Engine
from transducer.media.medium import Block
from transducer.results import Segment
from transducer.search.second_pass import SecondPassSearch, SecondPassState
from transducer.search.segments import SegmentSearch

_NAME = "stream"


@dataclass
class Leg:
    """What one stream found.

    Attributes:
        results: final segments, each with the step up to which the stream had come.
        end: the step with which it ended.
        next: the stream that goes on from there, as `meet` named it; None at the end of the source.
        duration: seconds up to there.
    """

    results: list[tuple[int, Segment]] = field(default_factory=list)
    end: int = 0
    next: int | None = None
    duration: float = 0.0


def can_share(engine: Engine) -> bool:
    """Whether streams of an engine can meet: words, from samples, of a network whose state is renewed."""
    return engine.renews and engine.medium.steady and isinstance(engine.search, SegmentSearch | SecondPassSearch)


def run_leg(engine: Engine, blocks: Iterable[Block], first: int, meet: Callable[[int, bytes], int | None]) -> Leg:
    """A stream from a step of a source on.

    Args:
        blocks: of the whole source.
        first: a multiple of the engine's block.
        meet: is told of the step and a hash of the state wherever nothing is going on; gives the stream that had the
            same in mind there, which ends this one, or None.
    """
    batch, leg = StreamBatch(engine, 1), Leg()
    assert first % batch.block == 0 and can_share(engine)
    batch.join(_NAME)
    if first:
        state = batch.state(_NAME)
        batch.leave(_NAME)
        output = first // engine.stride
        search = _begun(state.search, output)
        batch.join(_NAME, state._replace(search=search, received=first, encoded=output, searched=output))

    def take(results: list[Any], step: int) -> None:
        leg.results += [(step, segment) for segment in results if segment.final]

    step = first
    for part in _from(blocks, first, batch.block):
        batch.push_block(_NAME, Block(part, None, None))
        while batch.ready:
            take(batch.step().get(_NAME, []), step + batch.block)
            step += batch.block
            state = batch.state(_NAME)
            if engine.is_stale(state.search):
                leg.end, leg.next = step, meet(step, _hash(state))
                if leg.next is not None:
                    return leg
    batch.end(_NAME)
    take(batch.flush(_NAME), step + 1)
    leg.end, leg.duration = step + 1, max(batch.position(_NAME), batch.judged(_NAME)[0])
    return leg


def join(legs: Sequence[Leg]) -> tuple[list[Segment], int]:
    """The results of one stream over all, from the first, and which one came to the end of the source."""
    found: list[Segment] = []
    number, begin = 0, -1
    while True:
        leg = legs[number]
        found += [segment for step, segment in leg.results if step > begin]
        if leg.next is None:
            return found, number
        number, begin = leg.next, leg.end


def _begun(search: Any, output: int) -> Any:
    """The state of a search that begins with an output."""
    if isinstance(search, SecondPassState):
        return search._replace(first=_begun(search.first, output), position=output)
    return search._replace(start=output)


def _from(blocks: Iterable[Block], first: int, size: int) -> Iterator[np.ndarray]:
    """What comes from a step on, in arrays (N, C) of a block at most."""
    place = 0
    for block in blocks:
        inputs = block.inputs[max(first - place, 0) :]
        place += len(block.inputs)
        for start in range(0, len(inputs), size):
            yield inputs[start : start + size]


def _hash(state: StreamState) -> bytes:
    """Of all that decides what a stream will give; a stale network's state is made of the newest block alone."""
    digest = hashlib.blake2b(digest_size=16)

    def add(value: Any) -> None:
        if isinstance(value, np.ndarray):
            digest.update(f"{value.dtype}{value.shape}".encode())
            digest.update(np.ascontiguousarray(value).tobytes())
        elif isinstance(value, tuple | list):
            digest.update(f"{type(value).__name__}{len(value)}".encode())
            for item in value:
                add(item)
        else:
            digest.update(pickle.dumps(value))

    # What waits depends on packets; steady clocks are the same; what was gathered is of networks that do not stream.
    add((state.search, state.pending, state.block, state.encoded, state.searched))
    return digest.digest()
