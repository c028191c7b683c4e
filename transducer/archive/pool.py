"""Worker processes of one machine: tasks go out as they are asked for, and a process that dies takes none with it.

A task that was being read when its worker died is under suspicion, and so are all that a worker had if none was being
read. Each of these is tried once more, alone; one whose worker dies again is given up. A worker that shows no
progress for too long is killed, and where it is plain which task it hangs on, that one is given up at once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from itertools import islice
from multiprocessing.connection import Pipe, wait
from pathlib import Path
from typing import Any, NamedTuple

import transducer
from transducer.archive import watch
from transducer.errors import UsageError

_PATIENCE = 5.0  # seconds that workers have to end by themselves
_TICK = 0.25  # seconds between two looks when nothing comes
_STARTS = 3  # processes in a row that may be killed before they are ready; the memory may have run out for a moment


class Said(NamedTuple):
    """A line that a worker has for people."""

    text: str


class Moved(NamedTuple):
    """So many seconds of a task's media have been worked on."""

    task: Any
    seconds: float


class Finished(NamedTuple):
    """A task with what its worker made of it, and the seconds that this took."""

    task: Any
    outcome: Any
    seconds: float


class Killed(NamedTuple):
    """A task that ends every process which works on it, or hangs: `cause` says so."""

    task: Any
    cause: str


News = Said | Moved | Finished | Killed | None


class _Worker:
    """One process.

    Attributes:
        tasks: what it has, by number; of those in `reading` the source is being read.
        asks: it would take another task; `waits`, it has been told that there is none now.
        ready: it has loaded its models.
        alone: it works on a task that is under suspicion.
        lengths: seconds of media, as far as they are known, of its tasks.
        heard: when it last showed that it goes on.
        hangs: why it was killed.
    """

    def __init__(self, settings: Any, environment: dict[str, str]):
        self.tasks: dict[int, Any] = {}
        self.reading: set[int] = set()
        self.asks = self.waits = self.ready = self.alone = False
        self.lengths: dict[int, float] = {}
        self.heard = time.monotonic()
        self.last_words = self.hangs = ""
        self.channel, other = Pipe()
        folders = [str(Path(transducer.__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
        with other:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from transducer.archive.worker import main; main()", str(other.fileno())],
                pass_fds=(other.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the process that started it
                env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(filter(None, folders))},
            )
        self.send((os.getpid(), settings))

    def send(self, message: Any) -> None:
        with contextlib.suppress(OSError):  # it is dead, as its channel will tell
            self.channel.send(message)

    def kill_if_stuck(self) -> None:
        """Where it has shown no progress for longer than its tasks may take."""
        limit = watch.granted(sum(self.lengths.values()))
        if self.tasks and time.monotonic() - self.heard > limit and not self.channel.poll():
            self.hangs = f"makes no progress: given up after {limit:.0f} s"
            self.process.kill()

    def end(self) -> str:
        """How it ended."""
        self.channel.close()
        if self.hangs:
            with contextlib.suppress(subprocess.TimeoutExpired):  # on a disk that is gone it cannot even be killed
                self.process.wait(_PATIENCE)
            return self.hangs
        status = self.process.wait()
        if self.last_words:
            return self.last_words
        return f"it was killed by {signal.Signals(-status).name}" if status < 0 else f"it ended with status {status}"


class Pool:
    """A context manager; leaving it ends the processes, whatever they are at.

    Args:
        settings: of a worker, see `transducer.archive.worker.Settings`; it is pickled.
        jobs: processes.
        threads: of each of them; None for one.
    """

    def __init__(self, settings: Any, jobs: int, threads: int | None = None):
        self._settings, self._jobs = settings, jobs
        self._environment = {"OMP_NUM_THREADS": str(threads or 1)}
        self._workers: list[_Worker] = []
        self._suspects: deque[Any] = deque()
        self._returned: deque[Any] = deque()
        self._number = 0
        self._lost = 0  # processes in a row that ended before they were ready

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def run(self, tasks: Iterator[Any]) -> Iterator[News]:
        """Work on all tasks, which are taken as workers ask for them; what happens, and None now and then.

        Raises:
            TransducerError: of a worker that could not begin.
        """
        source: Iterator[Any] | None = tasks
        for task in islice(tasks, self._jobs):  # no more processes than there is work for
            self.add(task)
        while self._workers:
            source = self._hand_out(source)
            busy = any(worker.tasks for worker in self._workers)
            if source is None and not busy and not self._suspects and not self._returned:
                return
            channels = {worker.channel: worker for worker in self._workers}
            ready = wait(list(channels), _TICK)
            if not ready:
                yield None
            for channel in ready:
                worker = channels[channel]  # type: ignore[index]
                worker.heard = time.monotonic()
                try:
                    message = worker.channel.recv()
                except (EOFError, OSError):
                    yield from self._bury(worker)
                    continue
                news = self._receive(worker, *message)
                if news is not None:
                    yield news
            for worker in self._workers:
                worker.kill_if_stuck()
                if worker.hangs:
                    yield from self._bury(worker)

    def add(self, task: Any) -> None:
        """One more task, beside those that `run` was given."""
        self._returned.append(task)
        if len(self._workers) < self._jobs:
            self._workers.append(_Worker(self._settings, self._environment))

    def close(self) -> None:
        """End all processes: what is being written is written or not there at all."""
        for worker in self._workers:
            worker.channel.close()
            worker.process.terminate()
        until = time.monotonic() + _PATIENCE
        for worker in self._workers:
            try:
                worker.process.wait(max(until - time.monotonic(), 0.0))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
        self._workers = []

    def _hand_out(self, source: Iterator[Any] | None) -> Iterator[Any] | None:
        """Give tasks to those who ask; None once there are no more new ones."""
        for worker in self._workers:
            if not worker.asks:
                continue
            if self._suspects and not worker.tasks:
                worker.alone = True
                self._give(worker, self._suspects.popleft())
            elif self._returned:
                self._give(worker, self._returned.popleft())
            elif source is not None:
                try:
                    self._give(worker, next(source))
                except StopIteration:
                    source = None
            if worker.asks and not worker.waits:
                worker.waits = True
                worker.send(("wait",))
        return source

    def _give(self, worker: _Worker, task: Any) -> None:
        self._number += 1
        worker.tasks[self._number] = task
        worker.heard = time.monotonic()
        worker.asks = worker.waits = False
        worker.send(("task", self._number, task, worker.alone))

    def _receive(self, worker: _Worker, kind: str, *body: Any) -> News:
        if kind == "ask":
            worker.ready = worker.asks = True
            self._lost = 0
        elif kind == "reading":
            worker.reading.add(body[0])
        elif kind == "read":
            worker.reading.discard(body[0])
            worker.lengths[body[0]] = body[1]
        elif kind == "moved":
            worker.lengths[body[0]] = body[2] or 0.0
            return Moved(worker.tasks[body[0]], body[1])
        elif kind == "finished":
            worker.reading.discard(body[0])
            worker.lengths.pop(body[0], None)
            task = worker.tasks.pop(body[0])
            worker.alone = worker.alone and bool(worker.tasks)
            return Finished(task, *body[1])
        elif kind == "said":
            return Said(body[0])
        elif kind == "refused":
            raise body[0]
        elif kind == "died":
            worker.last_words = body[0]
        return None

    def _bury(self, worker: _Worker) -> Iterator[News]:
        """Take back what a dead worker had, and put another in its place."""
        end = worker.end()
        if not worker.ready:
            self._lost += 1
            if worker.process.returncode >= 0 or self._lost == _STARTS:
                raise UsageError(f"a worker ended before it could begin: {end}")
        cause = worker.hangs or f"ends what works on it: {end}"
        suspects = worker.reading or set(worker.tasks)
        certain = worker.alone or (worker.hangs and len(suspects) == 1)
        for number, task in worker.tasks.items():
            if number not in suspects:
                self._returned.append(task)
            elif certain:
                yield Killed(task, cause)
            else:
                self._suspects.append(task)
        self._workers[self._workers.index(worker)] = _Worker(self._settings, self._environment)
