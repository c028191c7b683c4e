"""The sound of a video, copied as it is into another file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from typing import Any, cast

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer

from transducer.media.io.decoding import Damage, open_container, read_packets
from transducer.media.io.sources import STANDARD_INPUT, open_source
from transducer.media.video.decoding import clock_origin


class Sound:
    """The packets of a sound, with times on the clock of the pictures."""

    def __init__(self, stream: AudioStream, packets: Iterator[av.Packet[Any] | Damage], origin: Fraction):
        self._stream = stream
        self._packets = packets
        assert stream.time_base is not None
        self._tick = stream.time_base
        self._shift = round(origin / self._tick)
        self._waiting: av.Packet[Any] | None = None

    def start(
        self, container: OutputContainer, warnings: list[str], begin: Fraction = Fraction(0)
    ) -> Callable[[Fraction | None], None] | None:
        """Add the sound to a file; returns what copies it up to a time in seconds (None: to its end).

        None, and a warning, where the container doesn't take it. Several files may have it one after the other: each
        begins with what is left from the time `begin` on, which is 0 in the file.
        """
        codec = self._stream.codec_context.name if self._stream.codec_context is not None else "unknown"
        try:
            copy = container.add_stream_from_template(self._stream)
        except (ValueError, av.FFmpegError):
            warnings.append(f"the copy is without sound: its kind of file takes no {codec}; use .mkv")
            return None
        # What an encoder puts before the first sample. Where a file can't say that it isn't played, everything
        # else would be shifted. Matroska can say it, and FFmpeg knows how much it is if it was said so before.
        said = container.format.name == "matroska" and self._stream.container.format.name.startswith("matroska")
        skipped = not said and container.format.name not in ("mp4", "mov")
        start = round(begin / self._tick)

        def copy_until(time: Fraction | None) -> None:
            while True:
                packet = self._waiting if self._waiting is not None else next(self._packets, None)
                self._waiting = None
                if packet is None:
                    return
                if isinstance(packet, Damage) or not packet.size or (packet.dts is None and packet.pts is None):
                    continue
                if packet.dts is None:
                    packet.dts = packet.pts  # sound isn't reordered
                assert packet.dts is not None
                if time is not None and (packet.dts - self._shift) * packet.time_base > time:
                    self._waiting = packet
                    return
                if skipped and packet.dts - self._shift + (packet.duration or 0) <= 0:
                    continue
                if begin and packet.dts - self._shift < start:
                    continue
                packet.dts -= self._shift + start
                packet.pts = None if packet.pts is None else packet.pts - self._shift - start
                packet.stream = copy
                container.mux(packet)

        return copy_until


def open_sound(source: Any, stack: ExitStack, warnings: list[str]) -> Sound | None:
    """Open a video's sound beside its pictures; what is opened is closed by `stack`.

    None where there is no sound, or, with a warning, where the source can be read only once.
    """
    if isinstance(source, str) and source != STANDARD_INPUT and not source.lower().startswith("rtsp"):
        again = "://" in source or os.path.isfile(source)
    elif isinstance(source, os.PathLike):
        again = os.path.isfile(source)
    else:
        again = False
    in_memory = not again and _is_seekable(source)
    if not again and not in_memory:
        if not isinstance(source, str | os.PathLike) or os.path.exists(source) or source == STANDARD_INPUT:
            warnings.append("the copy is without sound, since the source can be read only once; name a file")
        return None
    place = source.tell() if in_memory else 0
    opened = open_source(source)
    stack.callback(opened.close)
    container = stack.enter_context(open_container(opened))
    if not container.streams.audio:
        stream = None
    else:
        stream = container.streams.best("audio") or container.streams.audio[0]
    sound = None
    if stream is not None:
        packets = read_packets(container, stream, opened)
        # An open file has one position, which the pictures need.
        packets = iter([*packets]) if in_memory else packets
        sound = Sound(cast(AudioStream, stream), packets, clock_origin(container, stream) or Fraction(0))
    if in_memory:
        source.seek(place)
    return sound


def _is_seekable(source: Any) -> bool:
    try:
        return bool(source.seekable())
    except (AttributeError, OSError, ValueError):
        return False
