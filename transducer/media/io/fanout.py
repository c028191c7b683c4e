"""One pipe, several readers: each gets all the bytes, and what is held for the slowest stays bounded."""

from __future__ import annotations

import io
import select
import threading
from collections import deque
from typing import Any

LIMIT = 64 << 20  # bytes that the fastest reader may be ahead of the slowest
BLOCK = 1 << 16
_PATIENCE = 0.2  # seconds between two looks at whether to stop


class FanOut:
    """Splits what can be read only once.

    Whoever of the readers runs out of bytes reads on for all of them, so they have to run in threads of their own;
    a reader that is too far ahead waits for the others. A reader that is closed holds nobody up.

    Args:
        pipe: an open binary file.
        readers: how many.
        name: that the readers bear.
    """

    def __init__(self, pipe: Any, readers: int, name: str, limit: int = LIMIT) -> None:
        self.readers = tuple(FanOutReader(self, name) for _ in range(readers))
        self._pipe = pipe
        self._limit = limit
        self._lock = threading.Condition()
        self._reading = False
        self._ended = False
        self._failure: BaseException | None = None

    def stop(self) -> None:
        """Let every reader see the end of the file at once."""
        if isinstance(self._pipe, FanOutReader):
            self._pipe.close()  # a thread may wait in there
        with self._lock:
            self._ended = True
            for reader in self.readers:
                reader._drop()
            self._lock.notify_all()

    def _take(self, reader: FanOutReader, size: int) -> bytes:
        with self._lock:
            while not reader._held and not reader.closed:
                if self._ended:
                    if self._failure is not None:
                        raise self._failure
                    return b""
                if self._reading or max(other._size for other in self.readers) > self._limit:
                    self._lock.wait()
                else:
                    self._read_on(reader)
            self._lock.notify_all()
            return reader._pop(size)

    def _read_on(self, by: FanOutReader) -> None:
        """Read a block for all; the lock is held before and after, and not while waiting for the pipe."""
        self._reading = True
        data, failure = None, None
        self._lock.release()
        try:
            data = self._read_block(by)
        except BaseException as error:
            data, failure = b"", error
        finally:
            self._lock.acquire()
            self._reading = False
            self._lock.notify_all()
        if self._ended or data is None:
            return  # whoever is left reads on
        self._failure = failure
        self._ended = not data
        for reader in self.readers:
            reader._push(data)

    def _read_block(self, by: FanOutReader) -> bytes | None:
        """b"" at the end; None if reading was stopped before there was anything."""
        # More than the buffer of a file, so that nothing stays behind there, which `select` would not see.
        read = getattr(self._pipe, "read1", self._pipe.read)
        try:
            number = self._pipe.fileno()
        except (AttributeError, OSError):
            return read(BLOCK) or b""
        # A thread that waits inside the file object could not be stopped.
        while not (self._ended or by.closed):
            if select.select([number], [], [], _PATIENCE)[0]:
                return read(BLOCK) or b""
        return None


class FanOutReader(io.RawIOBase):
    """One of the readers: a binary file that cannot seek."""

    def __init__(self, source: FanOut, name: str) -> None:
        self.name = name
        self._source = source
        self._held: deque[bytes] = deque()
        self._size = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, as soon as there are some; b"" at the end."""
        if size is not None and size >= 0:
            return self._source._take(self, size)
        return b"".join(iter(lambda: self._source._take(self, BLOCK), b""))

    def close(self) -> None:
        super().close()
        with self._source._lock:
            self._drop()
            self._source._lock.notify_all()

    def _push(self, data: bytes) -> None:
        if data and not self.closed:
            self._held.append(data)
            self._size += len(data)

    def _pop(self, size: int) -> bytes:
        if not self._held:
            return b""
        data = self._held.popleft()
        if len(data) > size:
            self._held.appendleft(data[size:])
            data = data[:size]
        self._size -= len(data)
        return data

    def _drop(self) -> None:
        self._held.clear()
        self._size = 0
