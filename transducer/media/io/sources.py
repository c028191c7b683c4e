"""Where media comes from: paths, addresses, pipes, open files -> something that FFmpeg can read."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import stat
import sys
import tempfile
from dataclasses import dataclass, field
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from transducer.errors import MediaError, UsageError

# FFmpeg's names: bits, then byte order. 24 bits are packed in three bytes.
RAW_ENCODINGS = (
    "s8", "u8", "s16le", "s16be", "u16le", "u16be", "s24le", "s24be", "u24le", "u24be", "s32le", "s32be",
    "u32le", "u32be", "f32le", "f32be", "f64le", "f64be", "alaw", "mulaw",
)  # fmt: skip

STANDARD_INPUT = "-"
TIMEOUT = 30.0  # seconds without an answer or data from an address
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True)
class RawFormat:
    """What raw PCM without a header holds.

    Attributes:
        encoding: one of `RAW_ENCODINGS`, as FFmpeg names them.
        rate: samples per second and channel.
        channels: interleaved.
    """

    encoding: str = "s16le"
    rate: int = 16000
    channels: int = 1

    def __post_init__(self) -> None:
        if self.encoding not in RAW_ENCODINGS:
            raise UsageError(f"raw encoding {self.encoding!r} is unknown; it is one of {', '.join(RAW_ENCODINGS)}")
        if not (isinstance(self.rate, int) and self.rate > 0):
            raise UsageError(f"the rate of raw sound must be a positive number of samples per second, got {self.rate}")
        if not (isinstance(self.channels, int) and 0 < self.channels <= 1024):
            raise UsageError(f"the channels of raw sound must be 1 to 1024, got {self.channels}")


class FileFeed:
    """An open binary file as FFmpeg reads it: short reads from pipes, and no exception lost on the way.

    Offsets are counted from where the file stands when it is handed over.
    """

    def __init__(self, file: Any, name: str, head: bytes = b""):
        self.name = name
        self.failure: BaseException | None = None
        self._file = file
        self._head = head
        # On a pipe `read(n)` waits for n bytes; `read1` gives what is there, so that live sound isn't held back.
        self._read = getattr(file, "read1", file.read)
        self._start = 0
        self._seekable = False
        with contextlib.suppress(AttributeError, OSError, ValueError):
            self._seekable = not head and file.seekable()
            self._start = file.tell() if self._seekable else 0

    def read(self, size: int) -> bytes:
        if self._head:
            data, self._head = self._head[:size], self._head[size:]
            return data
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

    def seekable(self) -> bool:
        return self._seekable

    def tell(self) -> int:
        return self._file.tell() - self._start

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset + self._start if whence == os.SEEK_SET else offset, whence) - self._start

    def raise_failure(self) -> None:
        """Raise what reading raised, unless it is an error of the system (a broken disk, a lost connection)."""
        if self.failure is not None and not isinstance(self.failure, OSError):
            raise self.failure


@dataclass
class Source:
    """A source that is ready for FFmpeg.

    Attributes:
        name: to show; without passwords and control characters.
        target: what `av.open` takes: a string or a `FileFeed`.
        head: its first bytes, where they could be had without consuming them.
        options: of FFmpeg's protocol.
        timeout: seconds to wait for an address; None for files.
    """

    name: str
    target: str | FileFeed
    head: bytes = b""
    options: dict[str, str] = field(default_factory=dict)
    timeout: float | None = None
    _owned: list[Any] = field(default_factory=list)

    @property
    def is_address(self) -> bool:
        return self.timeout is not None

    def check(self) -> None:
        """Raise what reading from Python raised, Ctrl-C included."""
        if isinstance(self.target, FileFeed):
            self.target.raise_failure()

    @property
    def read_error(self) -> OSError | None:
        failure = self.target.failure if isinstance(self.target, FileFeed) else None
        return failure if isinstance(failure, OSError) else None

    def close(self) -> None:
        """Close what was opened here; a file that the caller opened stays open."""
        while self._owned:
            self._owned.pop().close()


def is_pipe(path: Any) -> bool:
    """Whether a path leads to a named pipe, a device or a socket: what can be read once, and not looked at before."""
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


def is_media_source(source: Any) -> bool:
    """A path, address or open file, and not an iterable of arrays."""
    return isinstance(source, str | bytes | os.PathLike) or hasattr(source, "read")


def open_source(source: Any, raw: bool = False) -> Source:
    """Path, address, "-" or open binary file -> `Source`.

    Args:
        source: as in `open_audio`.
        raw: it is headerless PCM, so nothing is looked for in its first bytes.

    Raises:
        MediaError: missing, a folder, not permitted, empty.
        UsageError: a kind of source that can't be read.
    """
    if isinstance(source, str) and source == STANDARD_INPUT:
        return _open_standard_input(raw)
    if isinstance(source, str) and _SCHEME.match(source):
        parts = urlsplit(source)
        if parts.scheme.lower() == "file":
            return _open_path(unquote(parts.path), raw)
        return _open_address(source)
    if isinstance(source, str | os.PathLike):
        return _open_path(os.fspath(source), raw)
    if isinstance(source, bytes | bytearray | memoryview):
        raise UsageError("bytes are no source; give them as an open file: io.BytesIO(data)")
    if isinstance(source, io.TextIOBase):
        raise UsageError(f"{_file_name(source)}: is open as text; open it in binary mode: open(path, 'rb')")
    return _open_file(source, _file_name(source), raw)


def printable(name: str | bytes) -> str:
    """A name on one line, whatever bytes a file's name is made of."""
    text = os.fsencode(name).decode("utf-8", "replace")
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _open_standard_input(raw: bool) -> Source:
    file = getattr(sys.stdin, "buffer", None)
    if file is None:
        raise UsageError("there is no standard input to read from; name a file")
    if file.isatty():
        raise UsageError("standard input is a terminal; pipe sound into it, or name a file")
    return _open_file(file, "standard input", raw)


def _open_address(address: str) -> Source:
    parts = urlsplit(address)
    name = address
    if "@" in parts.netloc:
        name = address.replace(parts.netloc, parts.netloc.rpartition("@")[2], 1)  # no passwords in messages
    scheme = parts.scheme.lower()
    options = {}
    if scheme in ("rtsp", "rtsps"):
        options = {"rtsp_transport": "tcp"}  # UDP loses packets, and many networks don't let it through
    elif scheme in ("http", "https"):
        options = {"reconnect": "1", "reconnect_delay_max": "5"}
    return Source(printable(name), address, options=options, timeout=TIMEOUT)


def _open_path(path: str | bytes, raw: bool) -> Source:
    path = os.fsdecode(path)
    name = printable(path)
    if not path:
        raise UsageError("the name of the file is empty")
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise MediaError(f"{name}: is a folder; name the files in it")
        file = open(path, "rb", buffering=-1 if stat.S_ISREG(mode) else 0)  # noqa: SIM115 - closed below, or owned
    except FileNotFoundError:
        raise MediaError(f"{name}: no such file; check the name") from None
    except PermissionError:
        raise MediaError(f"{name}: no permission to read it; ask its owner, or try: chmod +r") from None
    except (OSError, ValueError) as error:
        raise MediaError(f"{name}: can't be opened: {getattr(error, 'strerror', None) or error}") from None
    if not stat.S_ISREG(mode):  # a named pipe, or what the shell makes of <(command): opened only once
        try:
            opened = _open_file(file, name, raw)
        except BaseException:
            file.close()
            raise
        opened._owned.append(file)
        return opened
    with file:
        head = file.read(512)
    if not head:
        raise MediaError(f"{name}: is empty (0 bytes); check how it was made")
    # The prefix keeps a colon or a dash in the name from being taken for a protocol.
    return Source(name, "file:" + path, head=head)


def _open_file(file: Any, name: str, raw: bool) -> Source:
    feed = FileFeed(file, name)
    if feed.seekable():
        head = feed.read(512)
        feed.raise_failure()
        if not head and feed.failure is None:
            raise MediaError(f"{name}: is empty (0 bytes from where it stands); check how it was made")
        feed.seek(0)
        return Source(name, feed, head=head)
    if raw:
        return Source(name, feed)
    try:
        return _open_pipe(file, feed, name)
    except OSError as error:
        raise MediaError(f"{name}: can't be read: {error.strerror or error}") from None


def _open_pipe(file: Any, feed: FileFeed, name: str) -> Source:
    """A container from a pipe. An MP4 that keeps its index at the end goes through a temporary file."""
    head = _take(feed, 8)
    if not head:
        feed.raise_failure()
        raise feed.failure or MediaError(f"{name}: is empty (0 bytes); check the command that writes to it")
    if head[4:] not in (b"ftyp", b"wide", b"mdat"):
        return Source(name, FileFeed(file, name, head), head=head)
    taken = head
    while len(head) == 8 and head[4:] not in (b"moov", b"mdat"):
        size = int.from_bytes(head[:4], "big")
        if not 8 <= size <= 1 << 20:
            break
        taken += _take(feed, size - 8)
        head = _take(feed, 8)
        taken += head
    feed.raise_failure()
    if head[4:] != b"mdat":
        return Source(name, FileFeed(file, name, taken), head=taken[:512])
    spool: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the source
    try:
        spool.write(taken)
        shutil.copyfileobj(file, spool)
        spool.seek(0)
    except BaseException:
        spool.close()
        raise
    return Source(name, FileFeed(spool, name), head=taken[:512], _owned=[spool])


def _take(feed: FileFeed, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := feed.read(size - len(data))):
        data += more
    return data


def _file_name(file: Any) -> str:
    name = getattr(file, "name", None)
    return printable(name) if isinstance(name, str | bytes) and name else "open file"
