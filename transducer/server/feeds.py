"""What clients send -> steps of a medium: bare samples, JPEG pictures, containers."""

from __future__ import annotations

import os
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transducer.errors import MediaError
from transducer.media.audio.mixing import Mixer
from transducer.media.medium import Block, Medium
from transducer.server.limits import TOO_BIG, UNSUPPORTED, Refused
from transducer.server.messages import PCM, Hello

_LOUDEST = 1e6  # full scale is 1; what is beyond this is no sample
_TIME = struct.Struct("<d")


class SampleFeed:
    """PCM in pieces of any number of bytes -> mono float32 samples at a rate, the same for any pieces.

    Args:
        hello: format, rate and channels.
        rate: samples per second to give.
    """

    def __init__(self, hello: Hello, rate: int):
        import soxr

        self._type = np.dtype(PCM[hello.format])
        self._from, self._to, self._channels = hello.rate, rate, hello.channels
        self._stream = soxr.ResampleStream(hello.rate, rate, 1, dtype="float32", quality="HQ")
        self._mixer = Mixer()
        self._rest = b""
        self._received = self._given = 0

    def push(self, data: bytes) -> NDArray[np.float32]:
        """More bytes -> samples (N,). Raises Refused where they are no samples."""
        data = self._rest + data if self._rest else data
        whole = len(data) - len(data) % (self._type.itemsize * self._channels)
        self._rest = data[whole:]
        stored = np.frombuffer(data[:whole], self._type).reshape(-1, self._channels).T
        if self._type.kind == "i":
            stored = stored.astype(np.float32) / np.float32(2**15)
        elif not np.all(np.abs(stored) < _LOUDEST):  # also where there is NaN
            raise Refused(UNSUPPORTED, "media", "samples must be finite numbers between -1 and 1")
        samples = self._mixer.mix(stored, self._from)
        self._received += len(samples)
        if self._from != self._to:
            samples = self._stream.resample_chunk(samples)
        self._given += len(samples)
        return samples

    def end(self) -> NDArray[np.float32]:
        """The samples that the resampler still holds: so many that there are as many seconds as came."""
        count = round(self._received * self._to / self._from) - self._given
        if self._from == self._to or count <= 0:
            return np.zeros(0, np.float32)
        rest = self._stream.resample_chunk(np.zeros(0, np.float32), last=True)[:count]
        return np.pad(rest, (0, count - len(rest)))


class Pipe:
    """Messages of one client on their way to the thread that decodes them; a binary file for what reads one.

    Args:
        name: for messages.
        taken: is told how many bytes have been taken out.
        limit: bytes that may be read before `started` is set: what looks for an index may keep all of them.
    """

    def __init__(self, name: str, taken: Callable[[int], None], limit: int):
        self.name = name
        self.started = False
        self._taken, self._limit, self._read = taken, limit, 0
        self._items: deque[Any] = deque()
        self._changed = threading.Condition()
        self._ended = False

    def put(self, item: Any) -> None:
        """Bytes, or anything else for `get`."""
        with self._changed:
            self._items.append(item)
            self._changed.notify()

    def end(self, drop: bool = False) -> None:
        """Nothing more will come; with `drop`, forget what is there."""
        with self._changed:
            self._ended = True
            if drop:
                self._items.clear()
            self._changed.notify()

    def get(self) -> Any:
        """The next item; None at the end."""
        with self._changed:
            while not self._items and not self._ended:
                self._changed.wait()
            item = self._items.popleft() if self._items else None
        if isinstance(item, bytes):
            self._taken(len(item))
        return item

    def seekable(self) -> bool:
        return False

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, as soon as there are some; b"" at the end."""
        item = self.get() or b""
        if 0 <= size < len(item):
            with self._changed:
                self._items.appendleft(item[size:])
            self._taken(size - len(item))  # they will be counted once more
            item = item[:size]
        self._read += len(item)
        if not self.started and self._read > self._limit:
            raise MediaError(f"{self.name}: nothing could be decoded of its first {self._limit >> 20} MB")
        return bytes(item)


class Flush:
    """A mark in the media: all before it is to be final."""


def decode_pictures(pipe: Pipe, hello: Hello, medium: Medium) -> Iterator[Block | Flush]:
    """JPEG pictures, one a message, as steps of a medium of frames.

    Raises:
        Refused: it is no JPEG, it is too large, or times do not increase.
    """
    number, last = 0, -np.inf
    period = 1 / (hello.fps or float(medium.rate))
    while (item := pipe.get()) is not None:
        if isinstance(item, Flush):
            yield item
            continue
        time, data = number * period, item
        if hello.timed:
            if len(item) < _TIME.size:
                raise Refused(UNSUPPORTED, "media", "a timed picture begins with its time, 8 bytes")
            time, data = _TIME.unpack_from(item)[0], item[_TIME.size :]
        if not last < time < 1e9:
            raise Refused(UNSUPPORTED, "media", f"times must be seconds that increase: {time:g} comes after {last:g}")
        yield Block(medium.check(decode_jpeg(data)), [time], [number])
        number, last = number + 1, time


def decode_jpeg(data: bytes) -> NDArray[np.uint8]:
    """uint8 (H, W, 3), red, green and blue. Raises Refused where it is none."""
    from transducer.media.video.opencv import load_opencv

    cv2 = load_opencv()
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data[:2] == b"\xff\xd8" else None
    except cv2.error:  # more pixels than the environment allows
        raise Refused(TOO_BIG, "media", "the picture has too many pixels") from None
    if image is None:
        raise Refused(UNSUPPORTED, "media", "a message is no JPEG picture that can be decoded")
    return np.ascontiguousarray(image[:, :, ::-1])


def limit_pictures(pixels: int) -> None:
    """Bound what OpenCV decodes; before it is loaded, which is when it looks."""
    os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(pixels)
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # a client's garbage is no news
