"""Messages between the server and its workers: frames over a socket, without anything that could be executed."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

_HEADER = struct.Struct("<IBQ")  # bytes of the body, kind, number of the stream


class Kind(IntEnum):
    """To a worker: OPEN (JSON: hello, path, name), DATA (media), FLUSH, FINISH, DROP. From one: MESSAGE (JSON for the
    client), TAKEN (so many bytes of media, uint32), CLOSED (JSON: code, kind, message), STATISTICS (JSON)."""

    OPEN = 0
    DATA = 1
    FLUSH = 2
    FINISH = 3
    DROP = 4
    MESSAGE = 5
    TAKEN = 6
    CLOSED = 7
    STATISTICS = 8


class Frame(NamedTuple):
    """One message.

    Attributes:
        kind: what the body is.
        stream: which one it is about; 0 for none.
        body: see `Kind`.
    """

    kind: Kind
    stream: int
    body: bytes = b""

    def pack(self) -> bytes:
        return _HEADER.pack(len(self.body), self.kind, self.stream) + self.body


class WorkerChannel:
    """The worker's end; any thread may send.

    Args:
        connected: a stream socket.
    """

    def __init__(self, connected: socket.socket):
        self._socket = connected
        self._lock = threading.Lock()

    def send(self, kind: Kind, stream: int, body: bytes = b"") -> None:
        """Raises OSError where the server is gone."""
        with self._lock:
            self._socket.sendall(Frame(kind, stream, body).pack())

    def __iter__(self) -> Iterator[Frame]:
        """What comes, until the server closes its end."""
        with self._socket.makefile("rb", buffering=1 << 16) as file:
            while len(header := file.read(_HEADER.size)) == _HEADER.size:
                size, kind, stream = _HEADER.unpack(header)
                body = file.read(size)
                if len(body) < size:
                    return
                yield Frame(Kind(kind), stream, body)


async def read_frame(reader: asyncio.StreamReader) -> Frame | None:
    """The next message from a worker; None where it is gone."""
    try:
        size, kind, stream = _HEADER.unpack(await reader.readexactly(_HEADER.size))
        return Frame(Kind(kind), stream, await reader.readexactly(size))
    except (asyncio.IncompleteReadError, OSError):
        return None
