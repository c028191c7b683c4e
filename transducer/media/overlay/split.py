"""A video in pieces: a file a scene."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from transducer.atomic import atomic_write
from transducer.errors import MediaError
from transducer.media.io.decoding import strerror
from transducer.media.io.sources import printable
from transducer.media.overlay.pictures import PictureEncoder, container_for
from transducer.media.overlay.sound import Sound, open_sound
from transducer.media.video.reader import VideoFrame, VideoReader, open_video
from transducer.results import Scene


def write_clips(source: Any, scenes: Iterable[Scene], path: Callable[[int], Path]) -> list[str]:
    """Write each scene to a file of its own, with exactly its frames and the sound of their time.

    The pictures are encoded anew: a copy of what is stored could begin at key frames only. The sound is copied, which
    places its ends to a packet (some 20 ms); it is left out where the source can be read only once.

    Args:
        source: as for `open_video`.
        scenes: in order, not overlapping.
        path: gives the file of the n-th scene, from 0; its suffix is one of `CONTAINERS`, the same for all.

    Returns:
        Warnings: what could not be read, sound that could not be kept.

    Raises:
        MediaError: the source cannot be read, or a file not be written; those before it are whole.
    """
    warnings: list[str] = []
    with ExitStack() as stack:
        sound = open_sound(source, stack, warnings)
        reader = stack.enter_context(open_video(source))
        frames = _Frames(reader)
        for number, scene in enumerate(scenes):
            own = frames.of(scene)
            first = next(own, None)
            if first is None:
                break
            try:
                _write_clip(path(number), first, own, scene, reader, sound, warnings)
            except (OSError, av.FFmpegError) as error:
                raise MediaError(f"{printable(str(path(number)))}: can't be written: {strerror(error)}") from None
        return [*reader.warnings, *(f"{reader.name}: {warning}" for warning in dict.fromkeys(warnings))]


class _Frames:
    """The frames of a reader, a scene at a time."""

    def __init__(self, reader: VideoReader) -> None:
        self._reader = reader
        self._ahead: VideoFrame | None = None

    def of(self, scene: Scene) -> Iterator[VideoFrame]:
        """Those of a scene; what is before it is passed over."""
        while True:
            frame = self._ahead or next(self._reader, None)
            self._ahead = frame
            if frame is None or frame.index > scene.end_frame:
                return
            self._ahead = None
            if frame.index >= scene.start_frame:
                yield frame


def _write_clip(
    path: Path,
    first: VideoFrame,
    rest: Iterator[VideoFrame],
    scene: Scene,
    reader: VideoReader,
    sound: Sound | None,
    warnings: list[str],
) -> None:
    container_format, encoder = container_for(path.suffix)
    with atomic_write(path, "wb") as file, av.open(file, "w", format=container_format) as container:
        pictures = PictureEncoder(container, encoder, reader, first.image.shape)
        copy_sound = sound.start(container, warnings, first.time) if sound is not None else None
        frame: VideoFrame | None = first
        while frame is not None:
            pictures.write(frame.image, frame.time - first.time)
            if copy_sound is not None:
                copy_sound(frame.time)
            frame = next(rest, None)
        pictures.finish()
        if copy_sound is not None:
            copy_sound(Fraction(scene.end))
