"""The server's side of its workers: processes, and the streams in them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import transducer
from transducer.errors import UsageError
from transducer.server.channel import Frame, Kind, read_frame
from transducer.server.limits import FULL, GOING_AWAY, INTERNAL, POLICY, Limits, Refused
from transducer.server.metrics import Metrics

log = logging.getLogger("transducer.server")
_RESTART = 1.0  # seconds between the end of a worker and the next one
_HELD = 200  # messages that wait for a client before no more of its media is taken


class Closed(NamedTuple):
    """The end of a stream; `kind` is "" where all is well."""

    code: int
    kind: str
    message: str


class PooledStream:
    """A stream in a worker: media goes in, messages come out.

    Args:
        number: of the stream.
        worker: where it is.
        limits: of clients.
    """

    def __init__(self, number: int, worker: Worker, limits: Limits):
        self.number = number
        self._worker, self._limits = worker, limits
        self._pending = 0  # bytes that the worker has not taken
        self._room = asyncio.Event()
        self._finished = False
        self._messages: asyncio.Queue[bytes | Closed] = asyncio.Queue()

    async def send(self, data: bytes) -> None:
        """More media; waits while too much of it, or of what came of it, is waiting."""
        while not self._finished and (self._pending >= self._limits.window or self._messages.qsize() > _HELD):
            self._room.clear()
            await self._room.wait()
        if not self._finished:
            self._pending += len(data)
            await self._worker.send(Frame(Kind.DATA, self.number, data))

    async def flush(self) -> None:
        """Ask for all so far as final."""
        await self._worker.send(Frame(Kind.FLUSH, self.number))

    async def finish(self) -> None:
        """Nothing more will come."""
        if not self._finished:
            self._finished = True
            self._room.set()
            await self._worker.send(Frame(Kind.FINISH, self.number))

    def drop(self) -> None:
        """Nobody wants it any more."""
        self._finished = True
        self._room.set()
        self._worker.forget(self.number)

    async def __aiter__(self) -> AsyncIterator[bytes | Closed]:
        """The messages, JSON, and at last a `Closed`."""
        while True:
            message = await self._messages.get()
            self._room.set()
            yield message
            if isinstance(message, Closed):
                return

    async def results(self) -> AsyncIterator[dict[str, Any]]:
        """The messages as objects. Raises Refused at the end of a stream where not all is well."""
        async for message in self:
            if not isinstance(message, Closed):
                yield json.loads(message)
            elif message.kind:
                raise Refused(*message)

    def receive(self, message: bytes | Closed) -> None:
        """What the worker sends."""
        if self._messages.qsize() > self._limits.outbound and not isinstance(message, Closed):
            self._messages.put_nowait(Closed(POLICY, "slow", "results are not read as fast as they come"))
            self.drop()
            return
        if isinstance(message, Closed):
            self._finished = True
            self._room.set()
        self._messages.put_nowait(message)

    def taken(self, count: int) -> None:
        self._pending -= count
        self._room.set()


class Worker:
    """A process with some of the streams.

    Args:
        pool: that it belongs to.

    Attributes:
        streams: by their numbers.
        ready, begun: it takes streams; it has done so.
        failure: why it never did.
    """

    def __init__(self, pool: Pool):
        self.streams: dict[int, PooledStream] = {}
        self.ready = asyncio.Event()
        self.begun = False
        self.failure = ""
        self._pool = pool
        self._writer: asyncio.StreamWriter | None = None
        self._process: asyncio.subprocess.Process | None = None

    async def run(self) -> None:
        """Start the process, take what it sends, until it ends."""
        mine, other = socket.socketpair()
        with other:
            settings = {"models": self._pool.models, "limits": asdict(self._pool.limits), "socket": other.fileno()}
            folders = [str(Path(transducer.__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                "from transducer.server.worker import main; main()",
                json.dumps(settings),
                pass_fds=(other.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the server, which ends its workers when all is sent
                env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, folders))},
            )
        reader, self._writer = await asyncio.open_connection(sock=mine)
        while (frame := await read_frame(reader)) is not None:
            self._receive(frame)
        self.close()
        await self._process.wait()

    def _receive(self, frame: Frame) -> None:
        if frame.kind is Kind.STATISTICS:
            report = json.loads(frame.body)
            self._pool.facts = report.pop("models", self._pool.facts)
            self._pool.metrics.report(report)
            self.ready.set()
            self.begun = True
            return
        if frame.kind is Kind.CLOSED and not frame.stream:
            self.failure = json.loads(frame.body)["message"]
            return
        stream = self.streams.get(frame.stream)
        if stream is None:
            return
        if frame.kind is Kind.TAKEN:
            stream.taken(int.from_bytes(frame.body, "little"))
        elif frame.kind is Kind.MESSAGE:
            stream.receive(frame.body)
        elif frame.kind is Kind.CLOSED:
            self._pool.leave(self, frame.stream)
            stream.receive(Closed(**json.loads(frame.body)))

    async def send(self, frame: Frame) -> None:
        """Waits while the worker does not read."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(frame.pack())
            with contextlib.suppress(OSError):
                await self._writer.drain()

    def forget(self, number: int) -> None:
        """A stream that nobody wants."""
        if number in self.streams:
            self._pool.leave(self, number)
            if self._writer is not None and not self._writer.is_closing():
                self._writer.write(Frame(Kind.DROP, number).pack())

    def close(self) -> None:
        """End the process, as soon as it sees that its socket is closed."""
        self.ready.clear()
        if self._writer is not None:
            self._writer.close()
        for number, stream in list(self.streams.items()):
            self._pool.leave(self, number)
            stream.receive(Closed(INTERNAL, "internal", "a part of the server has ended; try again"))


class Pool:
    """Streams over workers.

    Args:
        models: name that clients use -> name or folder for `transducer.load`.
        limits: of clients.
        metrics: is told of everything.
        workers: how many processes.

    Attributes:
        stopping: is set once the server is to stop.
        facts: of each model by its name: `results`, `takes`, `language`; known when the workers are ready.
    """

    def __init__(self, models: dict[str, str], limits: Limits, metrics: Metrics, workers: int):
        self.models, self.limits, self.metrics = models, limits, metrics
        self.workers: list[Worker | None] = [None] * workers
        self.stopping = asyncio.Event()
        self.facts: dict[str, dict[str, Any]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._number = 0

    @property
    def streams(self) -> int:
        """How many there are."""
        return sum(len(worker.streams) for worker in self.workers if worker is not None)

    @property
    def healthy(self) -> bool:
        """Whether all workers can work."""
        return all(worker is not None and worker.ready.is_set() for worker in self.workers)

    async def start(self) -> None:
        """Start the workers; returns when all of them are ready.

        Raises:
            UsageError: one of them cannot work; says why.
        """
        for number in range(len(self.workers)):
            self._tasks.append(asyncio.create_task(self._keep(number)))
        while not self.healthy:
            if done := [task for task in self._tasks if task.done()]:
                await asyncio.gather(*done)
            await asyncio.sleep(0.05)

    async def _keep(self, number: int) -> None:
        """One worker after the other."""
        first = True
        while not self.stopping.is_set():
            worker = self.workers[number] = Worker(self)
            await worker.run()
            if self.stopping.is_set():
                return
            if first and not worker.begun:
                raise UsageError(worker.failure or "a worker of the server ended before it was ready")
            first = False
            log.error("worker %d has ended; another one is started", number)
            self.metrics.errors.labels("worker").inc()
            self.workers[number] = None
            await asyncio.sleep(_RESTART)

    async def open(self, hello: str, name: str, path: str | None = None) -> PooledStream:
        """A new stream, in the worker that has fewest.

        Args:
            hello: JSON, see docs/server.md; the worker looks through it.
            name: of the source, for messages.
            path: of a file that is its media; None where it will be sent.

        Raises:
            Refused: there is no room for it.
        """
        if self.stopping.is_set():
            raise Refused(GOING_AWAY, "stopping", "the server is about to stop")
        if self.streams >= self.limits.clients:
            raise Refused(
                FULL, "full", f"there are {self.limits.clients} streams, and no room for more; try again later"
            )
        ready = [worker for worker in self.workers if worker is not None and worker.ready.is_set()]
        if not ready:
            raise Refused(FULL, "full", "the server is about to start; try again in some seconds")
        worker = min(ready, key=lambda worker: len(worker.streams))
        self._number += 1
        stream = worker.streams[self._number] = PooledStream(self._number, worker, self.limits)
        self.metrics.streams.set(self.streams)
        self.metrics.opened.inc()
        body = json.dumps({"hello": hello, "name": name, "path": path}).encode()
        await worker.send(Frame(Kind.OPEN, stream.number, body))
        return stream

    def leave(self, worker: Worker, number: int) -> None:
        worker.streams.pop(number, None)
        self.metrics.streams.set(self.streams)

    async def stop(self) -> None:
        """End the workers, with whatever they still have."""
        self.stopping.set()
        for worker in self.workers:
            if worker is not None:
                worker.close()
        _, late = await asyncio.wait(self._tasks, timeout=5) if self._tasks else (set(), set())
        for task in late:
            task.cancel()
