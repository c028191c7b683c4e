"""Sources that are read twice: pictures for a page or labels in a copy come after the labels are known."""

from __future__ import annotations

import io
import sys
import tempfile
from contextlib import ExitStack
from typing import Any, BinaryIO

from transducer.errors import UsageError
from transducer.media.io.fanout import FanOut
from transducer.media.io.sources import STANDARD_INPUT, is_pipe, open_source

_READ_AGAIN = ("http", "https", "file")


def is_live(source: str) -> bool:
    """An address that cannot be read a second time from its start."""
    return "://" in source and source.partition("://")[0].lower() not in _READ_AGAIN


class _Recorder:
    """A pipe whose bytes go to a file as well, as they are read."""

    def __init__(self, pipe: Any, copy: BinaryIO, name: str) -> None:
        self.name = name
        self._pipe = pipe
        self._copy = copy
        self._read = pipe.read
        # What is there, and no waiting for more, where the pipe can do that.
        self._read1 = getattr(pipe, "read1", pipe.read)

    def read(self, size: int = -1) -> bytes:
        return self._keep(self._read(size))

    def read1(self, size: int = -1) -> bytes:
        return self._keep(self._read1(size))

    def fileno(self) -> int:
        return int(self._pipe.fileno())

    def seekable(self) -> bool:
        return False

    def _keep(self, data: bytes | None) -> bytes:
        self._copy.write(data or b"")
        return data or b""


class TwoPasses:
    """What to read for the first pass, and what for the second; a context manager.

    A file is read again, and so is what an http address leads to. What comes from a pipe is kept in a temporary
    file, on the disk and not in memory: films are long. Other addresses are live, and gone.

    Args:
        source: as on the command line.
        twice: whether there will be a second pass; without one nothing is kept.

    Attributes:
        first: what to open first.
        second: what to open after the first has been read; None where that is impossible.
    """

    def __init__(self, source: str, twice: bool = True) -> None:
        self.first: Any = source
        self.second: Any = None if is_live(source) else source
        self._resources = ExitStack()
        self._split: FanOut | None = None
        if source == STANDARD_INPUT:
            file = getattr(sys.stdin, "buffer", None)
            if file is None or file.isatty():
                open_source(source)  # says what is wrong
            elif file.seekable():
                self.second = file
            else:
                self._open_pipe(file, "standard input", twice)
        elif "://" not in source and is_pipe(source):
            self._open_pipe(self._resources.enter_context(io.FileIO(source)), source, twice)

    def again(self) -> Any:
        """The source of the second pass, standing at its start.

        Raises:
            UsageError: it is live.
        """
        if self.second is None:
            raise UsageError("a live address cannot be read a second time")
        if not isinstance(self.second, str):
            self.second.seek(0)
        return self.second

    def stop(self) -> None:
        """End a pipe at once, also for a thread that waits for it."""
        if self._split is not None:
            self._split.stop()

    def _open_pipe(self, pipe: Any, name: str, twice: bool) -> None:
        self.second = None
        if twice:
            self.second = self._resources.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - it is one
            pipe = _Recorder(pipe, self.second, name)
        self._split = FanOut(pipe, 1, name)
        self._resources.callback(self._split.stop)
        (self.first,) = self._split.readers

    def __enter__(self) -> TwoPasses:
        return self

    def __exit__(self, *exception: object) -> None:
        self._resources.close()
