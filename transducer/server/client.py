"""A client of `transducer serve`, to be used and to be read: media in, messages out.

with ServerStream("ws://127.0.0.1:8700", rate=16000) as stream:
    threading.Thread(target=lambda: [stream.send(packet) for packet in packets] and stream.finish()).start()
    for message in stream:
        print(message["type"], message.get("text"))
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from transducer.errors import MediaError, UsageError

PATH = "/v1/stream"
PIECE = 1 << 18  # bytes of a message at most; servers limit them
_WRONG = ("hello", "options", "model", "format", "token", "origin", "host")  # errors that trying again does not help


class ServerStream:
    """One stream. One thread may send while another iterates over the messages.

    Args:
        address: ws://HOST:PORT, wss://..., or http(s)://...
        token: of the server, where it has one.
        hello: kind, format, rate, channels, fps, timed, model and options, see docs/server.md.

    Attributes:
        ready: the server's answer: model, results ("words" or "events"), latency_ms.

    Raises:
        UsageError: nothing answers there, or the server does not want what is asked for.
    """

    def __init__(self, address: str, token: str | None = None, **hello: Any):
        try:
            from websockets.exceptions import ConnectionClosed, InvalidURI, WebSocketException
            from websockets.sync.client import connect
        except ImportError:
            raise UsageError(
                "talking to a server needs websockets; install it from the checkout: pip install '.[live]'"
            ) from None
        self.name = address.partition("?")[0]
        self._closed, self._open = ConnectionClosed, ExitStack()
        address = "ws" + address.removeprefix("http") if address.startswith("http") else address
        place, _, query = address.partition("?")
        if place.rstrip("/").count("/") < 3:
            place = place.rstrip("/") + PATH
        headers = {"Authorization": f"Bearer {token}"} if token else None
        try:
            # In websockets 17 `connect` gives the connection only as a context manager.
            target = f"{place}?{query}" if query else place
            # A server that is busy reads slowly, and answers pings late.
            opened = connect(target, additional_headers=headers, max_size=None, ping_timeout=None)
            self._socket = self._open.enter_context(opened)
        except (InvalidURI, ValueError):  # ValueError: a port beyond all ports
            raise UsageError(f"{self.name}: is no address of a server; write ws://HOST:PORT") from None
        except (OSError, WebSocketException) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise UsageError(f"{self.name}: no server answers there ({reason}); check the address") from None
        try:
            with suppress(MediaError):  # a server that does not want us has said why
                self._send(json.dumps({"type": "hello", **hello}))
            self.ready: dict[str, Any] = self._receive()
        except BaseException:
            self.close()
            raise

    def send(self, media: bytes) -> None:
        """More PCM, or more of a container, of any size. Waits while the server is busy."""
        for start in range(0, len(media), PIECE):
            self._send(media[start : start + PIECE])

    def send_samples(self, samples: NDArray[np.float32]) -> None:
        """More of a stream of the format pcm_f32le, (N,)."""
        self.send(np.asarray(samples, "<f4").tobytes())

    def send_picture(self, jpeg: bytes, time: float | None = None) -> None:
        """A JPEG picture; `time` in seconds where the hello said that pictures are timed."""
        self._send(jpeg if time is None else struct.pack("<d", time) + jpeg)

    def flush(self) -> None:
        """All so far is to be final now."""
        self._send('{"type": "flush"}')

    def finish(self) -> None:
        """Nothing more will come; the messages end with the last results."""
        self._send('{"type": "finish"}')

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Messages until the end.

        Raises:
            MediaError: the server has ended the stream early; says why.
        """
        while True:
            message = self._receive()
            yield message
            if message["type"] == "finished":
                return

    def close(self) -> None:
        """Leave at once, whatever may still come; may be called twice, and from another thread."""
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _send(self, data: str | bytes) -> None:
        try:
            self._socket.send(data)
        except self._closed:
            raise MediaError(f"{self.name}: the server has ended the stream") from None

    def _receive(self) -> dict[str, Any]:
        try:
            message: dict[str, Any] = json.loads(self._socket.recv())
        except self._closed as closed:
            reason = closed.rcvd.reason if closed.rcvd else "the connection broke off"
            raise MediaError(f"{self.name}: the stream has ended: {reason or 'the server closed it'}") from None
        if message["type"] == "error":
            kind = UsageError if message["code"] in _WRONG else MediaError
            hint = "; of the command line it is --token, or $TRANSDUCER_TOKEN" if message["code"] == "token" else ""
            raise kind(f"{self.name}: {message['message']}{hint}")
        return message
