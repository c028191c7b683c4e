"""Processes that make examples while the network trains.

They are forked, so that what a source holds in memory is shared and a source may be any object; so they have to start
before this process has threads that hold locks. They leave Ctrl-C to the process that they work for, and end with it.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import traceback
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from typing import NamedTuple

import numpy as np

from transducer.data.pairs import Pair, PairSource
from transducer.errors import TransducerError

_AHEAD = 4  # examples asked for ahead, a process
_POLL = 1.0  # seconds after which a process looks whether anyone still waits for it
_PAIR = 9  # keeps this random stream apart from others of the same seed


class Key(NamedTuple):
    """Which example: of which source, in an epoch of a phase with this seed."""

    source: int
    seed: int
    epoch: int
    index: int  # type: ignore[assignment]  # hides a method of tuples


class PairMaker:
    """Makes examples of some sources in the order asked for; with `workers` processes, or in the caller's thread if 0.

    The processes have the sources as they were when this was made: what changes later, they do not see.
    """

    def __init__(self, sources: Sequence[PairSource], workers: int = 0):
        self.sources = list(sources)
        if sys.platform != "linux":
            workers = 0  # elsewhere, a process that was forked cannot rely on the system's libraries
        self._ends: list[Connection] = []
        self._processes = []
        self._streams = 0
        for _ in range(workers):
            ours, theirs = multiprocessing.Pipe()
            process = multiprocessing.get_context("fork").Process(
                target=_work, args=(self.sources, theirs, [*self._ends, ours], os.getpid()), daemon=True
            )
            with warnings.catch_warnings():  # newer Pythons warn of forking beside threads; see above
                warnings.simplefilter("ignore", DeprecationWarning)
                process.start()
            theirs.close()
            self._ends.append(ours)
            self._processes.append(process)

    def number(self, source: PairSource) -> int:
        """Which of the sources this is."""
        return next(number for number, known in enumerate(self.sources) if known is source)

    def pairs(self, keys: Iterator[Key]) -> Iterator[Pair]:
        """Examples in the order of `keys`.

        Raises:
            TransducerError: as raised by the source; or a process has died.
        """
        if not self._ends:
            for key in keys:
                yield make(self.sources, key)
            return
        self._streams += 1
        stream, waiting = self._streams, deque[Connection]()
        for number, key in enumerate(keys):
            end = self._ends[number % len(self._ends)]
            try:
                end.send((stream, key))
            except OSError:
                raise _died() from None
            waiting.append(end)
            if len(waiting) >= _AHEAD * len(self._ends):
                yield _receive(waiting.popleft(), stream)
        while waiting:
            yield _receive(waiting.popleft(), stream)

    def close(self) -> None:
        """End the processes; may be called twice."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join()
        for end in self._ends:
            end.close()
        self._ends, self._processes = [], []


def make(sources: Sequence[PairSource], key: Key) -> Pair:
    """The example as its epoch has it."""
    seeds = np.random.SeedSequence(key.seed, spawn_key=(_PAIR, key.epoch, key.index))
    return sources[key.source].pair(key.index, np.random.default_rng(seeds))


def _receive(end: Connection, stream: int) -> Pair:
    try:
        number, result = end.recv()
        while number != stream:  # a stream before this one was left with examples on their way
            number, result = end.recv()
    except (EOFError, OSError):
        raise _died() from None
    if isinstance(result, BaseException):
        raise result
    return result


def _died() -> TransducerError:
    return TransducerError(
        "a process that makes training examples has died, perhaps of too little memory: go on with --resume, "
        "or train with fewer of them, such as --set workers=0"
    )


def _work(sources: Sequence[PairSource], end: Connection, others: list[Connection], parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for other in others:
        other.close()  # else nobody would notice that the parent is gone
    try:
        while True:
            while not end.poll(_POLL):
                if os.getppid() != parent:
                    return
            end.send_bytes(_reply(sources, *end.recv()))
    except (EOFError, OSError):
        return  # nobody waits any more


def _reply(sources: Sequence[PairSource], stream: int, key: Key) -> bytes:
    try:
        return pickle.dumps((stream, make(sources, key)), pickle.HIGHEST_PROTOCOL)
    except TransducerError as error:
        return pickle.dumps((stream, error))
    except Exception:
        return pickle.dumps((stream, RuntimeError(f"example {key.index} cannot be made:\n{traceback.format_exc()}")))
