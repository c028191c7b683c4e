"""One client in a worker: what it asked for, the thread that decodes what it sends, and what it gets."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from transducer.engine.engine import Engine
from transducer.engine.readable import text_stages
from transducer.errors import MediaError, TransducerError
from transducer.media.medium import Block, BlockReader
from transducer.results import Segment
from transducer.server.channel import Kind, WorkerChannel
from transducer.server.feeds import Flush, Pipe, SampleFeed, decode_pictures
from transducer.server.limits import DONE, INTERNAL, UNSUPPORTED, Limits, Refused
from transducer.server.messages import PCM, Hello, result_message
from transducer.version import VERSION

AHEAD = 8.0  # seconds of decoded media that may wait for the network
PICTURES_BLOCK, FILE_BLOCK = 4, 32  # frames at a time: few are sooner, many are quicker
_BETWEEN_FLUSHES = 0.2  # seconds; each costs as much as a step

Item = Block | Flush | Refused | None  # None is the end of the media


class ServedStream:
    """A client as the worker has it.

    Args:
        number: of the stream, in messages.
        channel: to the server.
        limits: of clients.
        name: of the source, for messages.
        path: of a file to read; None for media that is sent.
        changed: is called when there is something new for the network.

    Attributes:
        engine, block, lane: what it runs, once that is known.
        rate, start: of its media, see `StreamBatch.join`.
        inbox: what waits for the network.
        dropped: nobody wants its results any more.
    """

    def __init__(
        self,
        number: int,
        channel: WorkerChannel,
        limits: Limits,
        name: str,
        path: str | None,
        changed: Callable[[], None],
    ):
        self.number, self.name, self.path = number, name, path
        self.pipe = Pipe(name, self._taken, limits.upload)
        self.engine: Engine | None = None
        self.block: int | None = None
        self.lane: Any = None
        self.rate: float | None = None
        self.start = 0.0
        self.inbox: deque[Item] = deque()
        self.dropped = False
        self.hello = Hello()
        self._channel, self._limits, self._changed = channel, limits, changed
        self._room = threading.Condition()
        self._waiting = 0.0  # seconds of media in the inbox
        self._reader: BlockReader | None = None
        self._stages: list[Callable[[Segment], Segment]] = []
        self._segment = 0
        self._warned = 0
        self._quiet = True  # nothing has come since the last flush
        self._flush_from = 0.0

    # In the client's own thread.

    def run(self, hello: bytes, find: Callable[[Hello], tuple[Any, Engine]]) -> None:
        """Open what the client asks for, and decode what it sends until it ends.

        Args:
            hello: JSON.
            find: gives the model and the engine.
        """
        try:
            self.hello = Hello.parse(hello, self._limits)
            model, self.engine = find(self.hello)
            self.hello = replace(self.hello, model=model.name)
            self._stages = text_stages(self.hello.punctuate, self.hello.digits)
            self._announce(model)
            for item in self._items(model):
                if not self._put(item):
                    return
            self._put(None)
        except Refused as refusal:
            self._put(refusal)
        except TransducerError as error:
            kind = "media" if isinstance(error, MediaError) else "options"
            self._put(Refused(UNSUPPORTED, kind, self._named(str(error))))
        except Exception:
            logging.exception("stream %d", self.number)
            self._put(Refused(INTERNAL, "internal", "something went wrong in the server; its log says what"))

    def _named(self, message: str) -> str:
        """A message with the client's name for its file in place of ours."""
        return message if self.path is None else message.replace(self.path, self.name)

    def _announce(self, model: Any) -> None:
        engine = self.engine
        assert engine is not None
        self.block = None if engine.medium.steady else FILE_BLOCK if self.path is not None else PICTURES_BLOCK
        self.send(
            {
                "type": "ready",
                "stream": self.number,
                "model": model.name,
                "results": engine.kind,
                "rate": model.rate or self.hello.fps or float(engine.medium.rate),
                "latency_ms": round(1000 * engine.latency_at(self.block or engine.block)),
                "language": model.config.language,
                "version": VERSION,
            }
        )

    def _items(self, model: Any) -> Iterator[Block | Flush]:
        if self.hello.format in PCM:
            yield from self._samples(SampleFeed(self.hello, int(model.medium.rate)))
        elif self.hello.format == "jpeg":
            self.rate = self.hello.fps
            yield from decode_pictures(self.pipe, self.hello, model.medium)
        else:
            yield from self._container(model)

    def _samples(self, feed: SampleFeed) -> Iterator[Block | Flush]:
        while (item := self.pipe.get()) is not None:
            if isinstance(item, Flush):
                yield item
            else:
                yield Block(feed.push(item)[:, None], None, None)
        yield Block(feed.end()[:, None], None, None)

    def _container(self, model: Any) -> Iterator[Block | Flush]:
        assert self.engine is not None
        options = {"fast": True} if model.config.decoding.fast_decoding else {}
        block = self.block or self.engine.block
        with model.medium.open(self.path or self.pipe, block=block, **options) as reader:
            self._reader, self.pipe.started = reader, True
            self.start = reader.start
            self.rate = None if model.medium.steady else float(reader.rate)
            yield from reader
            if not model.medium.steady:
                self.rate = float(reader.rate)  # by now it may be known better

    def _put(self, item: Item) -> bool:
        """Hand an item to the network once there is room; whether anybody wants it."""
        seconds = self._seconds(item)
        with self._room:
            while self._waiting > AHEAD and not self.dropped:
                self._room.wait()
            if self.dropped:
                return False
            self._waiting += seconds
            self.inbox.append(item)
        self._changed()
        return True

    def _seconds(self, item: Item) -> float:
        if not isinstance(item, Block) or self.engine is None:
            return 0.0
        return len(item.inputs) / float(self.engine.medium.rate)

    # In the worker's thread.

    def next(self, now: float, ready: bool) -> tuple[bool, Item]:
        """(whether there is something to be done now, what); `ready`: a block of it waits already."""
        if not self.inbox:
            return False, None
        item = self.inbox[0]
        if ready or (isinstance(item, Flush) and now < self._flush_from):
            return False, None
        with self._room:
            self.inbox.popleft()
            self._waiting -= self._seconds(item)
            self._room.notify_all()
        self._quiet = self._quiet and not isinstance(item, Block)
        return True, item

    @property
    def flush_from(self) -> float | None:
        """When (monotonic) a flush that waits may be done; None where none waits."""
        return self._flush_from if self.inbox and isinstance(self.inbox[0], Flush) else None

    def flushed(self, flush: Callable[[], list[Any]]) -> None:
        """Answer a flush; where nothing has come since the last one, there is nothing to be done."""
        if not self._quiet:
            self.show(flush())
            self._quiet, self._flush_from = True, time.monotonic() + _BETWEEN_FLUSHES
        self.send({"type": "flushed"})

    def show(self, results: list[Any]) -> None:
        """Send results, and what has come up on the way."""
        for result in results:
            if isinstance(result, Segment):
                if not result.final and not self.hello.partials:
                    continue
                for stage in self._stages:
                    result = stage(result)
            self.send(result_message(result, self._segment))
            self._segment += isinstance(result, Segment) and result.final
        for warning in [] if self._reader is None else self._reader.warnings[self._warned :]:
            self._warned += 1
            self.send({"type": "warning", "message": self._named(warning)})

    def send(self, message: dict[str, Any]) -> None:
        self._channel.send(Kind.MESSAGE, self.number, json.dumps(message, ensure_ascii=False).encode())

    def close(self, refusal: Refused | None, duration: float = 0.0) -> None:
        """The last that the client gets."""
        if refusal is None:
            self.send({"type": "finished", "duration": round(duration, 6)})
            refusal = Refused(DONE, "", "")
        body = {"code": refusal.code, "kind": refusal.kind, "message": refusal.message}
        self._channel.send(Kind.CLOSED, self.number, json.dumps(body).encode())

    def drop(self) -> None:
        """Forget what waits, and let the thread end."""
        with self._room:
            self.dropped = True
            self.inbox.clear()
            self._room.notify_all()
        self.pipe.end(drop=True)

    def _taken(self, count: int) -> None:
        if count > 0:
            self._channel.send(Kind.TAKEN, self.number, int(count).to_bytes(4, "little"))
