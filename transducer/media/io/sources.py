"""Where media comes from: paths, addresses, pipes, open files -> something that FFmpeg can read."""

from __future__ import annotations

import io
import os
import re
import shutil
import stat
import sys
import tempfile
from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast
from urllib.parse import unquote, urlsplit

from transducer.errors import MediaError, UsageError
from transducer.media.io.feed import FileFeed
from transducer.media.io.protocols import address_options, file_options, is_known, is_playlist
from transducer.media.io.web import open_reply

# FFmpeg's names: bits, then byte order. 24 bits are packed in three bytes.
RAW_ENCODINGS = (
    "s8", "u8", "s16le", "s16be", "u16le", "u16be", "s24le", "s24be", "u24le", "u24be", "s32le", "s32be",
    "u32le", "u32be", "f32le", "f32be", "f64le", "f64be", "alaw", "mulaw",
)  # fmt: skip

STANDARD_INPUT = "-"
# Of what is happening now, FFmpeg looks at half a second before it gives the first of it. By itself it looks at five,
# of WAV at 32 packets, and knows more of files whose streams begin late, or at odd rates.
LIVE_OPTIONS = {"analyzeduration": "500000", "max_probe_packets": "2"}
TIMEOUT = 30.0  # seconds without an answer or data from an address
_HEAD = 512  # bytes of a source that are looked at
_BEFORE_INDEX = (b"ftyp", b"wide")  # boxes that an MP4 begins with
_LONGEST = 4000  # characters of an address that FFmpeg has room for
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
        if not isinstance(self.encoding, str) or self.encoding not in RAW_ENCODINGS:
            raise UsageError(f"raw encoding {self.encoding!r} is unknown; it is one of {', '.join(RAW_ENCODINGS)}")
        if not (isinstance(self.rate, int) and self.rate > 0):
            raise UsageError(f"the rate of raw sound must be a positive number of samples per second, got {self.rate}")
        if not (isinstance(self.channels, int) and 0 < self.channels <= 1024):
            raise UsageError(f"the channels of raw sound must be 1 to 1024, got {self.channels}")


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
    return (
        isinstance(path, str | bytes | os.PathLike)
        and os.path.exists(path)
        and not os.path.isfile(path)
        and not os.path.isdir(path)
    )


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
    if isinstance(source, str) and (scheme := _SCHEME.match(source)):
        if scheme[0].lower() == "file://":
            return _open_path(unquote(source[len("file://") :].removeprefix("localhost")), raw)
        return _open_address(source, raw)
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


def _open_address(address: str, raw: bool) -> Source:
    shown = printable(address if len(address) <= _LONGEST else address[:60] + "...")
    try:
        if "\0" in address or len(address) > _LONGEST:
            raise ValueError
        parts = urlsplit(address)
        _ = parts.port  # is checked when it is asked for
        address.encode()
    except ValueError:  # UnicodeEncodeError is one, too
        raise UsageError(f"{shown}: is no address; check how it is written") from None
    scheme = parts.scheme.lower()
    if not is_known(scheme):
        raise UsageError(f"{shown}: this kind of address can't be read; use http, https or rtsp, or a file")
    address = scheme + address[len(scheme) :]  # FFmpeg knows protocols in lower case only
    # No passwords in messages.
    name = printable(address.replace(parts.netloc, parts.netloc.rpartition("@")[2], 1))
    if scheme in ("http", "https"):
        source = _open_web(address, name, raw)
        if source is not None:
            return source
        options = {"reconnect": "1", "reconnect_delay_max": "5"}
    elif scheme in ("rtsp", "rtsps"):
        options = {"rtsp_transport": "tcp"}  # UDP loses packets, and many networks don't let it through
    else:
        options = {}
    return Source(name, address, options=options | address_options(scheme), timeout=TIMEOUT)


def _open_web(address: str, name: str, raw: bool) -> Source | None:
    """A reply that doesn't say how long it is; None for all that FFmpeg has to read itself, playlists included."""
    reply = open_reply(address, name, TIMEOUT)
    if reply is None:
        return None
    try:
        source = _open_file(reply, name, raw)
    except BaseException:
        reply.close()
        raise
    source._owned.append(reply)
    if is_playlist(source.head):
        source.close()
        return None
    source.timeout = TIMEOUT
    return source


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
        head = file.read(_HEAD)
    if not head:
        raise MediaError(f"{name}: is empty (0 bytes); check how it was made")
    # The prefix keeps a colon or a dash in the name from being taken for a protocol.
    return Source(name, "file:" + path, head=head, options=file_options(path=True))


def _open_file(file: Any, name: str, raw: bool) -> Source:
    feed = FileFeed(file, name)
    source = Source(name, feed, options=file_options(path=False))
    if feed.seekable():
        source.head = feed.take(_HEAD)
        source.check()
        if not source.head and feed.failure is None:
            raise MediaError(f"{name}: is empty (0 bytes from where it stands); check how it was made")
        feed.put_back(source.head)
    elif not raw:
        try:
            _prepare_pipe(source, feed)
        except OSError as error:
            raise MediaError(f"{name}: can't be read: {error.strerror or error}") from None
    return source


def _prepare_pipe(source: Source, feed: FileFeed) -> None:
    """A container from a pipe. An MP4 that keeps its index at the end goes through a temporary file."""
    taken = source.head = feed.take(_HEAD)
    if not taken:
        feed.raise_failure()
        raise feed.failure or MediaError(f"{source.name}: is empty (0 bytes); check the command that writes to it")
    place, kind = 0, taken[4:8]
    while kind in _BEFORE_INDEX or (place and kind not in (b"moov", b"mdat", b"")):
        size = int.from_bytes(taken[place : place + 4], "big")
        if not 8 <= size <= 1 << 20:
            break
        place += size
        taken += feed.take(place + 8 - len(taken))
        kind = taken[place + 4 : place + 8]
    feed.raise_failure()
    feed.put_back(taken)
    if kind != b"mdat":
        return
    spool: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the source
    source._owned.append(spool)
    try:
        shutil.copyfileobj(cast(BinaryIO, feed), spool)
        feed.raise_failure()
        if feed.failure is not None:
            raise feed.failure
        spool.seek(0)
    except BaseException:
        source.close()
        raise
    source.target = FileFeed(spool, source.name)


def _file_name(file: Any) -> str:
    name = getattr(file, "name", None)
    return printable(name) if isinstance(name, str | bytes) and name else "open file"
