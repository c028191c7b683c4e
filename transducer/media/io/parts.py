"""Files that were strung together: where each of them begins, and each as a source of its own.

FFmpeg reads the first of several WAV or MP4 files only, and of Ogg what has the first one's rate and channels. MP3,
AAC, FLAC and the like are streams of frames, and go on without this.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any, BinaryIO

from transducer.media.io.feed import FileFeed
from transducer.media.io.protocols import file_options
from transducer.media.io.sources import Source

_PEEK = 512  # bytes that tell what a file is
_OGG_HEADER = 27
_BEGINNING = 2  # in the flags of an Ogg page: the first of its stream
_RIFF = (b"RIFF", b"RIFX")
# What recorders write where they don't know the length yet: 0, or about the most that they can say.
_OPEN_ENDS = (range(1), range(0x7FFF0000, 0x80010000), range(0xFFFF0000, 0x100000000))


def parts(source: Source, warn: Callable[..., None]) -> Iterator[Source]:
    """The source itself, or the files in it, one after the other; each is to be read to its end before the next."""
    if isinstance(source.target, str) and source.is_address:
        yield source
    elif isinstance(source.target, FileFeed) and not source.target.seekable():
        yield from _pipe_parts(source, source.target, warn)
    else:
        starts, end, rest = part_starts(source)
        if rest:
            warn(f"{rest} bytes behind its end are of a kind that can't be read; they are left out", incomplete=True)
        if len(starts) < 2:
            yield source
            return
        with _opened(source) as file:
            for start, stop in pairwise([*starts, end]):
                window = Window(file, start, stop)
                head = window.read(_PEEK)
                window.seek(0)
                yield replace(
                    source, target=FileFeed(window, source.name), head=head, options=file_options(path=False), _owned=[]
                )


def warn_of_parts(source: Source, warn: Callable[..., None]) -> None:
    """Tell of files that are strung behind the first one, for those who read the first one only."""
    if source.is_address or (isinstance(source.target, FileFeed) and not source.target.seekable()):
        return
    starts, _, _ = part_starts(source)
    if len(starts) > 1:
        warn(
            f"another file is strung behind it, from byte {starts[1]} on, and is left out; split them", incomplete=True
        )


def part_starts(source: Source) -> tuple[list[int], int, int]:
    """Where the files in a seekable source begin, where the last one ends, and how many bytes behind it are unknown."""
    find = _finder(source.head)
    if find is None:
        return [0], 0, 0
    with _opened(source) as file:
        size = file.seek(0, os.SEEK_END)
        starts, place = [0], 0
        while (end := find(file, place, size)) is not None and end < size:
            file.seek(end)
            head = file.read(_PEEK)
            if not _is_media(head):
                file.seek(0)
                return starts, end, size - end if _is_worth_telling(head) else 0
            starts.append(end)
            place = end
            find = _finder(head)
            if find is None:
                break
        file.seek(0)
        return starts, size, 0


def has_open_end(head: bytes) -> bool:
    """Whether a file is a WAV that doesn't say how long it is: the recorder writes to a pipe, or was killed."""
    return _is_wav(head) and _riff_end(head) is None


class Window(io.RawIOBase):
    """A part of a file as a file."""

    def __init__(self, file: Any, start: int, stop: int):
        self._file, self._start, self._stop, self._place = file, start, stop, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._stop - self._start}[whence]
        self._place = max(base + offset, 0)
        return self._place

    def read(self, size: int = -1) -> bytes:
        left = max(self._stop - self._start - self._place, 0)
        self._file.seek(self._start + self._place)
        data: bytes = self._file.read(left if size < 0 else min(size, left))
        self._place += len(data)
        return data


class _Borrowed:
    """The caller's open file, which stays open, with places counted from where it stood."""

    def __init__(self, feed: FileFeed):
        self.seek, self._feed = feed.seek, feed

    def read(self, size: int) -> bytes:
        data = self._feed.take(size)
        if self._feed.failure is not None:
            raise self._feed.failure
        return data

    def __enter__(self) -> _Borrowed:
        return self

    def __exit__(self, *exception: object) -> None:
        pass


def _opened(source: Source) -> BinaryIO | _Borrowed:
    if isinstance(source.target, FileFeed):
        return _Borrowed(source.target)
    return open(source.target.removeprefix("file:"), "rb")


def _finder(head: bytes) -> Callable[[Any, int, int], int | None] | None:
    """What finds the end of a file that begins so: (file, start, size of all) -> place, or None."""
    if _is_wav(head):
        return _wav_end
    if head.startswith(b"OggS"):
        return _ogg_end
    return _mp4_end if head[4:8] == b"ftyp" else None


def _is_worth_telling(head: bytes) -> bool:
    """Whether what is behind a file may be missed: it is no padding, and more than a tag."""
    return len(head) == _PEEK and bool(head.strip(b"\0"))


def _is_media(head: bytes) -> bool:
    return _is_wav(head) or head.startswith((b"OggS", b"fLaC", b"ID3", b"caff")) or head[4:8] == b"ftyp"


def _is_wav(head: bytes) -> bool:
    return head[:4] in _RIFF and head[8:12] == b"WAVE"


def _riff_end(head: bytes) -> int | None:
    """Where a RIFF file ends, as it says; None if it doesn't."""
    order: Any = "little" if head[:4] == b"RIFF" else "big"
    size = int.from_bytes(head[4:8], order)
    sizes, place, end = [size], 12, 8 + size + size % 2
    while place + 8 <= len(head):
        length = int.from_bytes(head[place + 4 : place + 8], order)
        if head[place : place + 4] == b"data":
            sizes.append(length)
            end = max(end, place + 8 + length)  # some writers set one of the two only
            break
        place += 8 + length + length % 2
    return None if any(each in ends for each in sizes for ends in _OPEN_ENDS) else end


def _wav_end(file: Any, start: int, size: int) -> int | None:
    file.seek(start)
    head = file.read(_PEEK)
    end = _riff_end(head)
    if end is None:
        return None
    # Some writers forget to pad what has an odd length.
    file.seek(start + end - 1)
    return start + end - 1 if _is_media(file.read(_PEEK)) else start + end


def _mp4_end(file: Any, start: int, size: int) -> int | None:
    """Where the next MP4 begins. Fragments are left alone: FFmpeg goes on with those of the next one itself."""
    place, kinds = start, set()
    while place + 8 <= size:
        file.seek(place)
        header = file.read(16)
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if kind == b"ftyp" and b"moov" in kinds:
            return place
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        if length < 8 or kind == b"moof":
            return None
        kinds.add(kind)
        place += length
    return None


def _ogg_end(file: Any, start: int, size: int) -> int | None:
    """Where the next link of a chain begins: a stream that starts behind pages of others which have started."""
    place, begun = start, False
    while place + _OGG_HEADER <= size:
        file.seek(place)
        header = file.read(_OGG_HEADER + 255)
        if header[:4] != b"OggS":
            return place if begun and _is_media(header) else None
        if header[5] & _BEGINNING:
            if begun:
                return place
        else:
            begun = True
        count = header[26]
        place += _OGG_HEADER + count + sum(header[_OGG_HEADER : _OGG_HEADER + count])
    return None


def _pipe_parts(source: Source, feed: FileFeed, warn: Callable[[str], None]) -> Iterator[Source]:
    head = source.head
    while True:
        pipe: _Pipe
        if head.startswith(b"OggS"):
            pipe = _OggPipe(feed)
        elif _is_wav(head) and (end := _riff_end(head)) is not None:
            pipe = _LimitedPipe(feed, end)
        else:
            pipe = _Pipe(feed)
        yield replace(source, target=FileFeed(pipe, source.name), head=head, _owned=[])
        while feed.failure is None and pipe.read(1 << 16):  # what the demuxer left
            pass
        if feed.failure is not None:
            return
        head = feed.take(_PEEK)
        feed.put_back(head)
        if not _is_media(head):
            if _is_worth_telling(head):
                warn("what follows behind its end is of a kind that can't be read; it is left out")
            return


class _Pipe:
    """What a pipe gives, up to its end."""

    def __init__(self, feed: FileFeed):
        self._feed = feed

    def read(self, size: int) -> bytes:
        data = self._feed.read(size)
        if not data and self._feed.failure is not None:
            raise self._feed.failure
        return data


class _LimitedPipe(_Pipe):
    """So many bytes of a pipe."""

    def __init__(self, feed: FileFeed, limit: int):
        super().__init__(feed)
        self._left = limit

    def read(self, size: int) -> bytes:
        data = super().read(min(size, self._left)) if self._left else b""
        self._left -= len(data)
        return data


class _OggPipe(_Pipe):
    """One link of an Ogg chain."""

    def __init__(self, feed: FileFeed):
        super().__init__(feed)
        self._begun = self._ended = self._lost = False
        self._page = b""

    def read(self, size: int) -> bytes:
        if not self._page and not self._ended:
            self._page = super().read(size) if self._lost else self._next_page()
        data, self._page = self._page[:size], self._page[size:]
        return data

    def _next_page(self) -> bytes:
        header = self._feed.take(_OGG_HEADER)
        if not header:
            return super().read(1)  # the end, or what failed
        is_page = header[:4] == b"OggS" and len(header) == _OGG_HEADER
        if not is_page and not _is_media(header):
            self._lost = True  # damaged: FFmpeg finds the next page, and all is taken for one link
            return header
        beginning = not is_page or header[5] & _BEGINNING
        if beginning and self._begun:
            self._feed.put_back(header)
            self._ended = True
            return b""
        self._begun = self._begun or not beginning
        lengths = self._feed.take(header[26])
        return header + lengths + self._feed.take(sum(lengths))
