"""What one client may take, and how it is told that it may not."""

from __future__ import annotations

from dataclasses import dataclass

DONE, GOING_AWAY, UNSUPPORTED, POLICY, TOO_BIG, INTERNAL, FULL = 1000, 1001, 1003, 1008, 1009, 1011, 1013


class Refused(Exception):
    """A client's mistake, or a limit that it meets.

    Args:
        code: WebSocket close code, RFC 6455 section 7.4.1 and the IANA registry.
        kind: a word for programs, such as "idle".
        message: one line for people.
    """

    def __init__(self, code: int, kind: str, message: str):
        super().__init__(message)
        self.code, self.kind, self.message = code, kind, message

    @property
    def status(self) -> int:
        """The same as an HTTP status."""
        statuses = {POLICY: 403, TOO_BIG: 413, FULL: 503, GOING_AWAY: 503, INTERNAL: 500}
        return {"token": 401, "model": 404, "idle": 408, "time": 408}.get(self.kind) or statuses.get(self.code, 400)


@dataclass(frozen=True)
class Limits:
    """What clients may take; sizes in bytes, times in seconds.

    Attributes:
        clients: streams at a time, over all ways in.
        uploads: files at a time that are being received or worked on.
        connections: TCP connections at a time.
        message: size of a WebSocket message.
        upload: size of a file.
        receive: how long a file may take to come.
        window: media of one stream that may wait; beyond it its socket is not read.
        outbound: messages that may wait for a client that does not read.
        send: how long a client may take no message at all.
        hello: how long a connection may take to say what it wants.
        idle: how long a stream may send nothing.
        total: how long a stream may last.
        rate: messages per second, on average; a client that sends more is read more slowly.
        lanes: different (model, options) at a time in one worker.
        beam, nbest, hotwords, phrase, chunk_ms, segment: the largest values of options: hypotheses, alternatives,
            number of phrases, characters of one, milliseconds, seconds.
        pixels: of a picture.
    """

    clients: int = 64
    uploads: int = 8
    connections: int = 512
    message: int = 1 << 20
    upload: int = 200 << 20
    receive: float = 900.0
    window: int = 1 << 19
    outbound: int = 2000
    send: float = 15.0
    hello: float = 10.0
    idle: float = 60.0
    total: float = 6 * 3600.0
    rate: float = 400.0
    lanes: int = 8
    beam: int = 32
    nbest: int = 10
    hotwords: int = 500
    phrase: int = 100
    chunk_ms: int = 5000
    segment: float = 60.0
    pixels: int = 1 << 25
