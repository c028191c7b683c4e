"""A worker: one process with one thread for the network, through which its clients advance in batches."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from functools import partial
from typing import Any

from transducer.engine.batch import StreamBatch
from transducer.engine.engine import Engine
from transducer.engine.threads import set_threads
from transducer.errors import TransducerError, UsageError
from transducer.media.medium import Block
from transducer.server.channel import Frame, Kind, WorkerChannel
from transducer.server.feeds import Flush, limit_pictures
from transducer.server.lanes import Lane, Turn
from transducer.server.limits import FULL, INTERNAL, UNSUPPORTED, Limits, Refused
from transducer.server.messages import Hello
from transducer.server.stream import ServedStream

_PATIENCE = 1.0  # seconds between two reports
_KINDS = {"samples": "audio", "frames": "video", "frames and samples": "video"}  # name of a medium -> kind
_REST = 2.0  # after making an engine, by the time that it took


def work(connected: socket.socket, models: dict[str, str], limits: Limits) -> None:
    """The worker's whole life: until the server closes its end of the socket.

    Args:
        connected: to the server.
        models: name that clients use -> name or folder for `transducer.load`.
        limits: of clients.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the server ends it, when its clients have their results
    logging.basicConfig(format=f"transducer: worker {os.getpid()}: %(message)s")
    limit_pictures(limits.pixels)
    set_threads(1)
    channel = WorkerChannel(connected)
    with contextlib.suppress(OSError):  # the server is gone
        try:
            worker = Worker(channel, models, limits)
        except TransducerError as error:
            channel.send(Kind.CLOSED, 0, json.dumps({"message": str(error)}).encode())
            return
        threading.Thread(target=worker.listen, daemon=True).start()
        worker.run()
    os._exit(0)  # threads that decode may wait for a client that has vanished


class Worker:
    """Takes what the server sends, advances all clients, sends what they get.

    Args:
        channel: to the server.
        models, limits: see `work`.
    """

    def __init__(self, channel: WorkerChannel, models: dict[str, str], limits: Limits):
        import transducer

        self._channel, self._limits = channel, limits
        self._models = {name: transducer.load(place) for name, place in models.items()}
        for name, model in self._models.items():
            if model.medium.name not in _KINDS:
                raise UsageError(
                    f"the model {name} takes {model.medium.name}, and is not for a server of sound and video"
                )
        self._building = threading.Lock()
        self._streams: dict[int, ServedStream] = {}
        self._lanes: dict[tuple[int, int | None], Lane] = {}
        self._changed = threading.Condition()
        self._news = self._over = False
        self._told = time.monotonic()
        self._counts = {"media": 0.0, "busy": 0.0, "steps": 0}
        self._lags: list[float] = []
        for model in self._models.values():
            model.engine()  # the first client need not wait for it
        facts = {
            name: {"results": model.kind, "takes": model.medium.name, "language": model.config.language}
            for name, model in self._models.items()
        }
        self._channel.send(Kind.STATISTICS, 0, json.dumps({**self._report(), "models": facts}).encode())

    # In the thread that listens.

    def listen(self) -> None:
        """What the server sends, until it closes."""
        try:
            for frame in self._channel:
                self._receive(frame)
        except OSError:
            pass
        with self._changed:
            self._over = True
            self._changed.notify()

    def _receive(self, frame: Frame) -> None:
        if frame.kind is Kind.OPEN:
            self._open(frame)
            return
        stream = self._streams.get(frame.stream)
        if stream is None:
            return
        if frame.kind is Kind.DATA:
            stream.pipe.put(frame.body)
        elif frame.kind is Kind.FLUSH and stream.hello.format == "container":
            stream.inbox.append(Flush())  # all that has been decoded by now
            self._wake()
        elif frame.kind is Kind.FLUSH:
            stream.pipe.put(Flush())
        elif frame.kind is Kind.FINISH:
            stream.pipe.end()
        elif frame.kind is Kind.DROP:
            stream.drop()
            self._wake()

    def _open(self, frame: Frame) -> None:
        wanted = json.loads(frame.body)
        stream = ServedStream(frame.stream, self._channel, self._limits, wanted["name"], wanted["path"], self._wake)
        with self._changed:
            self._streams[frame.stream] = stream
        run = partial(stream.run, wanted["hello"], self._find)
        threading.Thread(target=run, name=f"stream-{frame.stream}", daemon=True).start()

    def _wake(self) -> None:
        with self._changed:
            self._news = True
            self._changed.notify()

    # In the clients' threads.

    def _find(self, hello: Hello) -> tuple[Any, Engine]:
        """The model and the engine for a client. Raises Refused, UsageError."""
        fitting = (name for name, model in self._models.items() if _KINDS[model.medium.name] == hello.kind)
        name = hello.model or next(fitting, "")
        if not name:
            raise Refused(UNSUPPORTED, "model", f"there is no model for {hello.kind} here")
        model = self._models.get(name)
        if model is None:
            there = ", ".join(self._models)
            raise Refused(UNSUPPORTED, "model", f"there is no model {name[:80]!r} here: there are {there}")
        medium = model.medium.name
        if _KINDS[medium] != hello.kind:
            raise Refused(UNSUPPORTED, "model", f"the model {model.name} takes {medium}, not {hello.kind}")
        if hello.format == "jpeg" and medium != "frames":
            raise Refused(UNSUPPORTED, "format", f"the model {model.name} takes {medium}: send a container")
        engine = self._engine(model, hello)
        if not engine.streams:
            raise Refused(
                UNSUPPORTED, "model", f"the model {model.name} needs its source as a whole, and cannot stream"
            )
        return model, engine

    def _engine(self, model: Any, hello: Hello) -> Engine:
        """The engine for a client, which others may share. Raises Refused where there are too many different ones."""
        options = hello.options
        with self._building:
            used = {(each.hello.model, each.hello.options) for each in self._streams.copy().values() if each.engine}
            if (model.name, options) not in used and len(used) >= self._limits.lanes:
                raise Refused(FULL, "full", "too many different options are in use here; try again later")
            began = time.monotonic()
            engine: Engine = model.engine(**{name: getattr(options, name) for name in options.given})
            # Hotwords make a lexicon of their own. Whoever asks for one after the other must not slow the clients down.
            time.sleep(min(_REST * (time.monotonic() - began), 2.0))
        return engine

    # In the worker's own thread.

    def run(self) -> None:
        """Advance clients until the server has closed its end."""
        while not self._over:
            until = self._take()
            now = time.monotonic()
            turns = [turn for lane in self._lanes.values() for turn in lane.turns(now)]
            due = [turn for turn in turns if turn.moment <= now]
            if due:
                self._step(min(due, key=lambda turn: (turn.early, turn.moment)))
            else:
                until = min([until, *(turn.moment for turn in turns)])
                with self._changed:
                    if not self._news and not self._over:
                        self._changed.wait(max(until - now, 0.0))
                    self._news = False
            if time.monotonic() - self._told > _PATIENCE:
                self._tell()

    def _take(self) -> float:
        """Hand on what has come; until when (monotonic) nothing more is to be done without news."""
        now = time.monotonic()
        until = self._told + _PATIENCE
        for stream in list(self._streams.values()):
            if stream.dropped:
                self._forget(stream)
                continue
            self._take_from(stream, now)
            if stream.flush_from is not None:
                until = min(until, stream.flush_from)
        return until

    def _take_from(self, stream: ServedStream, now: float) -> None:
        while True:
            lane: Lane | None = stream.lane
            batch = None if lane is None else lane.members[stream.number].batch
            ready = batch is not None and batch.waiting(stream.number) >= batch.block
            there, item = stream.next(now, ready)
            if not there:
                break
            try:
                if isinstance(item, Block):
                    lane, batch = self._place(stream)
                    if stream.rate is not None:
                        batch.set_rate(stream.number, stream.rate)
                    batch.push_block(stream.number, item)
                    lane.mark_ready(stream.number)
                elif isinstance(item, Flush):
                    stream.flushed(partial(batch.flush, stream.number) if batch is not None else list)
                else:
                    self._end(stream, item)
                    return
            except Refused as refusal:
                self._end(stream, refusal)
                return
            except Exception as error:
                self._fail([stream], error)
                return

    def _place(self, stream: ServedStream) -> tuple[Lane, StreamBatch]:
        """Where a stream advances; it joins with the first that it has."""
        if stream.lane is None:
            engine = stream.engine
            assert engine is not None
            key = id(engine), stream.block
            if key not in self._lanes:
                self._lanes[key] = Lane(engine, stream.block)
            self._lanes[key].join(stream.number, stream.rate, stream.start)
            stream.lane = self._lanes[key]
        return stream.lane, stream.lane.members[stream.number].batch

    def _end(self, stream: ServedStream, refusal: Refused | None) -> None:
        """The rest of a stream's results, and its end."""
        duration = 0.0
        if stream.lane is not None:
            batch = stream.lane.members[stream.number].batch
            if stream.rate is not None:
                batch.set_rate(stream.number, stream.rate)
            batch.end(stream.number)
            stream.show(batch.flush(stream.number))
            duration = max(batch.position(stream.number), batch.judged(stream.number)[0])
        stream.close(refusal, duration)
        self._forget(stream)

    def _step(self, turn: Turn) -> None:
        lane, batch = turn.lane, turn.batch
        began, used = time.monotonic(), time.thread_time()
        try:
            results, since = lane.step(turn)
            for stream in list(self._streams.values()):
                stream.show(results.get(stream.number, []))
        except OSError:
            raise
        except Exception as error:
            self._fail([stream for stream in self._streams.values() if stream.lane is lane], error)
            return
        ended = time.monotonic()
        self._counts["busy"] += time.thread_time() - used
        self._counts["steps"] += 1
        self._counts["media"] += len(since) * batch.block / float(lane.engine.medium.rate)
        self._lags += [ended - moment for moment in since if began >= moment]

    def _fail(self, streams: list[ServedStream], error: Exception) -> None:
        if isinstance(error, OSError):
            raise error
        if isinstance(error, UsageError):
            refusal = Refused(UNSUPPORTED, "media", str(error))
        else:
            logging.error("a step failed", exc_info=error)
            refusal = Refused(INTERNAL, "internal", "something went wrong in the server; its log says what")
        for stream in streams:
            stream.close(refusal)
            self._forget(stream)

    def _forget(self, stream: ServedStream) -> None:
        stream.drop()
        with self._changed:
            self._streams.pop(stream.number, None)
        lane = stream.lane
        if lane is not None:
            lane.leave(stream.number)
            if not lane.members:
                self._lanes = {key: other for key, other in self._lanes.items() if other is not lane}

    def _tell(self) -> None:
        """Report what has been done since the last time."""
        self._told = time.monotonic()
        self._channel.send(Kind.STATISTICS, 0, json.dumps(self._report()).encode())

    def _report(self) -> dict[str, Any]:
        report = {**self._counts, "lags": self._lags[-1000:]}
        self._counts, self._lags = dict.fromkeys(self._counts, 0.0), []
        return report


def main() -> None:
    """The worker as a program of its own; its one argument is JSON."""
    settings = json.loads(sys.argv[1])
    work(socket.socket(fileno=settings["socket"]), settings["models"], Limits(**settings["limits"]))
