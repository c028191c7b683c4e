"""A worker process: asks for tasks, works on several short ones at once, tells what comes of each."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Hashable
from functools import partial
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Protocol

from transducer.archive.watch import Watch, Watched
from transducer.errors import TransducerError

if TYPE_CHECKING:
    from transducer.engine.clips import Clip, ClipBatch
    from transducer.media.medium import BlockReader

CLIPS = 16  # short sounds at a time
SHORT = 60.0  # seconds; longer ones are worked on by themselves
_DEATH_SIGNAL = 1  # of prctl(2)


class Work(Protocol):
    """What a worker does with its tasks.

    Attributes:
        clips: for short tasks; None where there is nothing to be had by batching.
    """

    clips: ClipBatch | None

    def open(self, task: Any) -> BlockReader | None:
        """The source of a task that is for `clips`; None for one that is worked on by itself."""
        ...

    def finish(self, task: Any, clip: Clip, seconds: float) -> Any:
        """The outcome of a task that was in `clips`, after so many seconds."""
        ...

    def whole(self, task: Any, watch: Callable[[Watched], None]) -> Any:
        """Work on a task by itself; its outcome. `watch` takes what tells how far it is, once that is open."""
        ...

    def failed(self, task: Any, error: Exception, seconds: float) -> Any:
        """The outcome of a task that came to nothing."""
        ...


class Settings(Protocol):
    """How a worker begins; it comes pickled."""

    def start(self) -> Work:
        """Raises TransducerError where nothing can be done at all."""
        ...


class Channel:
    """The worker's end of its connection, to which several threads may write."""

    def __init__(self, connection: Connection):
        self._connection, self._lock = connection, threading.Lock()
        self.recv, self.poll = connection.recv, connection.poll

    def send(self, message: Any) -> None:
        with self._lock:
            self._connection.send(message)


class _Words:
    """In place of standard error: whole lines go to the process that shows all of them."""

    def __init__(self, channel: Channel):
        self._channel = channel
        self._line = ""

    def write(self, text: str) -> int:
        *lines, self._line = (self._line + text).split("\n")
        for line in filter(None, lines):
            self._channel.send(("said", line))
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return False


def serve(channel: Channel, work: Work) -> None:
    """Work until the channel is closed.

    Raises:
        EOFError, OSError: it is.
    """
    begun: dict[Hashable, tuple[Any, float]] = {}
    clips = work.clips if work.clips is not None else ()
    asked = alone = False
    room = 1  # clips at a time: the first result is not to wait for fifteen others
    current = 0  # the task that is worked on by itself
    watch = Watch(lambda position, duration: channel.send(("moved", current, position, duration)))

    def end(number: Hashable, outcome: Callable[[Any, float], Any]) -> None:
        task, began = begun.pop(number)
        seconds = time.monotonic() - began
        try:
            found = outcome(task, seconds)
        except Exception as error:
            found = work.failed(task, error, seconds)
        channel.send(("finished", number, (found, time.monotonic() - began)))

    def conclude(clip: Clip, task: Any, seconds: float) -> Any:
        return work.finish(task, clip, seconds)

    def take(number: int, task: Any) -> None:
        begun[number] = (task, time.monotonic())
        channel.send(("reading", number))

        def by_itself(task: Any, seconds: float) -> Any:
            nonlocal current
            current = number
            try:
                return work.whole(task, watch.follow)
            finally:
                watch.follow(None)

        try:
            reader = work.open(task)
            if reader is not None:
                assert work.clips is not None
                length = (reader.duration or 0.0) - reader.start
                work.clips.add(number, reader)
        except TransducerError as error:
            failure = error
            end(number, lambda task, seconds: work.failed(task, failure, seconds))
        else:
            if reader is None:
                end(number, by_itself)
            else:
                channel.send(("read", number, length))

    while True:
        busy = len(clips) > 0
        full = work.clips is not None and (work.clips.full or len(clips) >= room)
        if not asked and not full and not (alone and busy):
            channel.send(("ask",))
            asked = True
            message = channel.recv()
        elif asked and (not busy or channel.poll()):
            message = channel.recv()
        else:
            message = ("wait",)
        if message[0] == "task":
            _, number, task, alone = message
            asked = False
            take(number, task)
        elif message[0] == "wait" and work.clips is not None and busy:
            for clip in work.clips.step():
                end(clip.key, partial(conclude, clip))
                room += 1


def die_with(parent: int) -> None:
    """Let this process be killed when the one that started it dies, however that dies."""
    with contextlib.suppress(OSError, AttributeError):  # only Linux can do that
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def main() -> None:
    """The worker as a program of its own; its one argument is the descriptor of its channel."""
    channel = Channel(Connection(int(sys.argv[1])))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What is being written is removed on the way out.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    try:
        parent, settings = channel.recv()
        die_with(parent)
        sys.stderr = _Words(channel)
        try:
            work = settings.start()
        except TransducerError as error:
            channel.send(("refused", error))
            return
        serve(channel, work)
    except (EOFError, OSError):
        pass  # nobody is there any more
    except Exception as error:
        with contextlib.suppress(OSError):
            channel.send(("died", f"{type(error).__name__}: {error}"))
        sys.exit(1)
