"""A Python file object as FFmpeg reads it."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from transducer.errors import MediaError


class FileFeed:
    """An open binary file: short reads from pipes, no exception lost on the way, and never more bytes than asked for.

    Offsets are counted from where the file stands when it is handed over.
    """

    def __init__(self, file: Any, name: str):
        self.name = name
        self.failure: BaseException | None = None
        self._file = file
        # On a pipe `read(n)` waits for n bytes; `read1` gives what is there, so that live sound isn't held back.
        self._read = getattr(file, "read1", file.read)
        self._held = b""  # was read, and not given yet
        self._start = 0
        self._seekable = False
        with contextlib.suppress(AttributeError, OSError, ValueError):
            self._seekable = bool(file.seekable())
            self._start = file.tell() if self._seekable else 0

    def read(self, size: int) -> bytes:
        if not self._held:
            self._held = self._read_on(size)
        # A file object may give more than it was asked for. FFmpeg's buffer has no room for that.
        data, self._held = self._held[:size], self._held[size:]
        return data

    def _read_on(self, size: int) -> bytes:
        # An exception can't pass through FFmpeg, and KeyboardInterrupt would be swallowed there. So it is kept
        # for the reader of the packets, and FFmpeg sees the end of the file.
        if self.failure is not None:
            return b""
        try:
            data = self._read(size)
            if not isinstance(data, bytes | bytearray | memoryview):
                raise MediaError(f"{self.name}: read() gave {type(data).__name__}, not bytes; open it in binary mode")
            return bytes(data)
        except BaseException as error:
            self.failure = error
            return b""

    def take(self, size: int) -> bytes:
        """So many bytes, or what there is up to the end."""
        data = b""
        while len(data) < size and (more := self.read(size - len(data))):
            data += more
        return data

    def put_back(self, data: bytes) -> None:
        """Give these bytes, which were read last, once more."""
        self._held = data + self._held

    def seekable(self) -> bool:
        return self._seekable

    def tell(self) -> int:
        return int(self._file.tell() - self._start - len(self._held))

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_SET:
            offset += self._start
        elif whence == os.SEEK_CUR:
            offset -= len(self._held)
        self._held = b""
        try:
            return int(self._file.seek(offset, whence) - self._start)
        except BaseException as error:
            self.failure = error
            return -1

    def raise_failure(self) -> None:
        """Raise what reading raised, unless it is an error of the system (a broken disk, a lost connection)."""
        if self.failure is not None and not isinstance(self.failure, OSError):
            raise self.failure
