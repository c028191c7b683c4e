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
from collections.abc import Iterator
from multiprocessing.connection import Connection

import numpy as np

from transducer.errors import TransducerError
from transducer.training.pairs import Pair, PairSource

_AHEAD = 4  # examples asked for ahead, a process
_POLL = 1.0  # seconds after which a process looks whether anyone still waits for it
_PAIR = 9  # keeps this random stream apart from others of the same seed


class PairMaker:
    """Makes examples in the order asked for; with `workers` processes, or in the caller's thread if 0."""

    def __init__(self, source: PairSource, seed: int, workers: int = 0):
        self.source, self.seed = source, seed
        if sys.platform != "linux":
            workers = 0  # elsewhere, a process that was forked cannot rely on the system's libraries
        self._ends: list[Connection] = []
        self._processes = []
        self._streams = 0
        for _ in range(workers):
            ours, theirs = multiprocessing.Pipe()
            process = multiprocessing.get_context("fork").Process(
                target=_work, args=(source, seed, theirs, [*self._ends, ours], os.getpid()), daemon=True
            )
            with warnings.catch_warnings():  # newer Pythons warn of forking beside threads; see above
                warnings.simplefilter("ignore", DeprecationWarning)
                process.start()
            theirs.close()
            self._ends.append(ours)
            self._processes.append(process)

    def pairs(self, keys: Iterator[tuple[int, int]]) -> Iterator[Pair]:
        """Examples (epoch, index), in the order of `keys`.

        Raises:
            TransducerError: as raised by the source; or a process has died.
        """
        if not self._ends:
            for epoch, index in keys:
                yield make(self.source, self.seed, epoch, index)
            return
        self._streams += 1
        stream, waiting = self._streams, deque[Connection]()
        for number, key in enumerate(keys):
            end = self._ends[number % len(self._ends)]
            try:
                end.send((stream, *key))
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


def make(source: PairSource, seed: int, epoch: int, index: int) -> Pair:
    """The example as epoch `epoch` has it."""
    return source.pair(index, np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_PAIR, epoch, index))))


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
        "or use fewer workers"
    )


def _work(source: PairSource, seed: int, end: Connection, others: list[Connection], parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for other in others:
        other.close()  # else nobody would notice that the parent is gone
    try:
        while True:
            while not end.poll(_POLL):
                if os.getppid() != parent:
                    return
            end.send_bytes(_reply(source, seed, *end.recv()))
    except (EOFError, OSError):
        return  # nobody waits any more


def _reply(source: PairSource, seed: int, stream: int, epoch: int, index: int) -> bytes:
    try:
        return pickle.dumps((stream, make(source, seed, epoch, index)), pickle.HIGHEST_PROTOCOL)
    except TransducerError as error:
        return pickle.dumps((stream, error))
    except Exception:
        return pickle.dumps((stream, RuntimeError(f"example {index} cannot be made:\n{traceback.format_exc()}")))
