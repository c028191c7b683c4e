"""A live source whose model runs elsewhere: `--server ws://HOST:PORT`."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np

from transducer.errors import MediaError, UsageError
from transducer.formats.values import word_from_dict
from transducer.media.medium import Block
from transducer.media.video.medium import Frames
from transducer.media.video.opencv import load_opencv
from transducer.results import Event, Labelling, Segment, Transcript, text_of
from transducer.search.endpoint import EndpointRules
from transducer.search.options import NO_SECOND_PASS
from transducer.server.client import ServerStream

PICTURE = Frames(180, 320)  # what is sent, as the server's page does; a model looks at fewer pixels
QUALITY = 90  # of JPEG, of 100
PATIENCE = 30.0  # seconds for the last results
LAST = 2.0  # the same, of a connection that is closed
_SENT = (
    "search",
    "beam",
    "chunk_ms",
    "nbest",
    "threshold",
    "language",
    "task",
    "prompt",
)  # options that go as they are


class RemoteSession:
    """What `transducer.engine.live.LiveSession` is, by way of a server; results come when they come, with `poll`.

    Args:
        address, token: of the server.
        hello: what it is asked for, see `hello_of`.
        keep: whether `result` is wanted.

    Raises:
        UsageError: nothing answers there, or the server does not want what is asked for.
    """

    def __init__(self, address: str, token: str | None, hello: dict[str, Any], name: str = "", keep: bool = False):
        self._address, self._token, self._hello, self._name, self._keep = address, token, hello, name, keep
        self.warnings: list[str] = []
        self.position = 0.0
        self._kept: list[Any] = []
        self._failure: BaseException | None = None
        self._reader: threading.Thread
        self._start, self._frames = 0.0, 0
        self._connect()

    @property
    def kind(self) -> str:
        """Of the results: "words" or "events"."""
        return str(self._stream.ready["results"])

    @property
    def events_kind(self) -> str:
        """Servers tell of events, and of no scenes."""
        return ""

    def push(self, block: Block) -> list[Any]:
        """Send more; what has come back by now."""
        self._send(partial(self._send_pictures if self._hello["kind"] == "video" else self._send_sound, block))
        return self.poll()

    def _send(self, send: Callable[[], None]) -> None:
        """What cannot be sent to a server that has gone is told by `poll`, behind its last results."""
        if self._failure is None:
            try:
                send()
            except MediaError as error:
                self._reader.join(LAST)  # it is told why, which a sender is not
                self._failure = self._failure or error

    def _send_sound(self, block: Block) -> None:
        samples = block.inputs[:, 0].astype(np.float32)
        self._stream.send_samples(samples)
        self.position += len(samples) / self._hello["rate"]

    def _send_pictures(self, block: Block) -> None:
        cv2: Any = load_opencv()
        for pixels, time in zip(block.inputs, block.times or (), strict=True):
            image = pixels.reshape(PICTURE.height, PICTURE.width, PICTURE.colours)
            _, jpeg = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
            self._stream.send_picture(jpeg.tobytes(), time - self._start)
            self.position, self._frames = time, self._frames + 1

    def peek(self, interval: float) -> list[Any]:
        """Partials are the server's."""
        return []

    def poll(self) -> list[Any]:
        """What has come. Raises MediaError where the server has gone, once its last results have been given."""
        failure = self._failure  # all that comes before it is there by now
        found: list[Any] = []
        while self._results:
            found.append(self._results.popleft())
        if failure is not None and not found:
            raise failure
        if self._keep:
            self._kept += [result for result in found if not isinstance(result, Segment) or result.final]
        return found

    def skip(self, start: float) -> list[Any]:
        """See `LiveSession.skip`: another stream, whose times begin there."""
        found = self.finish()
        self._start = self.position = max(start, self.position)
        self._connect()
        return found

    def flush(self) -> list[Any]:
        """Ask for everything so far; it comes with `poll`."""
        self._send(self._stream.flush)
        return []

    def finish(self) -> list[Any]:
        """The end: the rest, final."""
        try:
            self._send(self._stream.finish)
            self._reader.join(PATIENCE)
            return self.poll()
        finally:
            self._stream.close()

    def close(self) -> None:
        """Leave the server; may be called twice."""
        self._stream.close()

    def result(self) -> Any:
        """The whole, if it was kept."""
        warnings = tuple(self.warnings)
        if self.kind == "words":
            return Transcript(tuple(self._kept), self.position, self._name, warnings=warnings)
        fps = self._frames / self.position if self.position else float(PICTURE.rate)
        return Labelling(self._name, fps, self._frames, self.position, tuple(self._kept), (), warnings)

    def _connect(self) -> None:
        self._results: deque[Any] = deque()
        self._failure = None
        self._stream = ServerStream(self._address, self._token, **self._hello)
        self._reader = threading.Thread(
            target=self._read,
            args=(self._stream, self._results, self._start, self._frames),
            name="server",
            daemon=True,
        )
        self._reader.start()

    def _read(self, stream: ServerStream, results: deque[Any], start: float, frame: int) -> None:
        try:
            for message in stream:
                if message["type"] == "warning":
                    self.warnings.append(message["message"])
                elif message["type"] in ("partial", "final"):
                    results.append(segment_of(message, start))
                elif message["type"] == "event":
                    results.append(_event_of(message, start, frame))
        except BaseException as error:
            self._failure = error


def hello_of(
    kind: str, options: dict[str, Any], model: str, rate: int = 0, punctuate: bool = False, digits: bool = False
) -> dict[str, Any]:
    """What a server is asked for: "words" of samples at a rate, or "events" of `PICTURE`.

    Raises:
        UsageError: the model is a folder of this machine.
    """
    if "/" in model:
        raise UsageError(f"a server has its own models: name one of them, and not the folder {model}")
    asked = {name: options[name] for name in _SENT if name in options}
    rules: EndpointRules | None = options.get("endpoint")
    if rules is not None:
        asked["endpoint"] = asdict(rules)
    if options.get("hotwords"):
        asked["hotwords"] = [list(each) if isinstance(each, tuple) else each for each in options["hotwords"]]
    if kind == "events":
        return {"kind": "video", "format": "jpeg", "timed": True, "model": model, "options": asked}
    asked["second_pass"] = options.get("second_pass") != NO_SECOND_PASS
    asked |= {name: True for name, wanted in (("punctuate", punctuate), ("digits", digits)) if wanted}
    return {"kind": "audio", "format": "pcm_f32le", "rate": rate, "channels": 1, "model": model, "options": asked}


def check_results(session: RemoteSession, kind: str) -> None:
    """Raises UsageError where a server's model gives something else than is wanted."""
    if session.kind != kind:
        command = "watch" if kind == "words" else "listen"
        raise UsageError(f"the server's model gives {session.kind} and not {kind}: is it for transducer {command}?")


def segment_of(message: dict[str, Any], start: float = 0.0) -> Segment:
    """A message of words; its times count from second `start`."""
    words = tuple(
        replace(word, start=word.start + start, end=word.end + start) for word in map(word_from_dict, message["words"])
    )
    final, said = message["type"] == "final", message.get("stable", "")
    stable = len(words) if final else next((n for n in range(len(words) + 1) if text_of(words[:n]) == said), 0)
    return Segment(words, final, message["start"] + start, message["end"] + start, stable)


def _event_of(message: dict[str, Any], start: float, frame: int) -> Event:
    names = ("label", "start", "end", "start_frame", "end_frame", "score")
    event = Event(**{name: message[name] for name in names})
    if "values" in message:
        event = replace(event, values=tuple(message["values"]))
    return replace(
        event,
        start=event.start + start,
        end=event.end + start,
        start_frame=event.start_frame + frame,
        end_frame=event.end_frame + frame,
    )
