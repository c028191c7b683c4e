"""A copy of a video that shows its labels."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any, cast

import av
from av.container import OutputContainer

from transducer.atomic import atomic_write
from transducer.errors import MediaError, UsageError
from transducer.media.io.decoding import strerror
from transducer.media.io.sources import printable
from transducer.media.overlay.pictures import CONTAINERS, PictureEncoder, container_for
from transducer.media.overlay.sound import Sound, open_sound
from transducer.media.overlay.text import LabelTrack, draw
from transducer.media.video.reader import VideoReader, open_video


def write_overlay(
    source: Any,
    output: str | os.PathLike[str],
    events: Iterable[Any],
    segments: Iterable[Any],
    *,
    transitions: bool = True,
) -> list[str]:
    """Copy a video and burn labels into it: the segment at the lower edge, a flash with time and score at each event.

    Args:
        source: as for `open_video`. The sound is copied unless the source can be read only once.
        output: its end says what it becomes, see `CONTAINERS`. It appears when it is whole, or not at all.
        events: have label, start, end, start_frame, end_frame, score.
        segments: have label, start, end, start_frame, end_frame.
        transitions: events lie between frames, as cuts do; else they begin with their start_frame.

    Returns:
        Warnings: what could not be read, sound that could not be kept.

    Size and times are those of the source; pictures are upright, not interlaced, and have square pixels.

    Raises:
        MediaError: the source can't be read, or the copy can't be written.
        UsageError: an unknown kind of output, no folder for it, or the source itself.
    """
    output = Path(output)
    name = printable(str(output))
    container_format, encoder = _choose_container(source, output, name)
    with ExitStack() as stack:
        warnings: list[str] = []
        sound = open_sound(source, stack, warnings)
        reader = stack.enter_context(open_video(source, square=True))
        try:
            file = stack.enter_context(atomic_write(output, "wb"))
            with av.open(file, "w", format=container_format) as container:
                _copy(reader, sound, container, encoder, LabelTrack(events, segments, transitions), warnings)
            # Errors of the disk come up here, too.
            stack.close()
        except (OSError, av.FFmpegError) as error:
            raise MediaError(f"{name}: can't be written: {strerror(error)}") from None
        return [*reader.warnings, *(f"{reader.name}: {warning}" for warning in warnings)]


def _choose_container(source: Any, output: Path, name: str) -> tuple[str, str]:
    if output.suffix.lower() not in CONTAINERS:
        raise UsageError(f"{name}: an unknown kind of video; end its name with one of {', '.join(CONTAINERS)}")
    if not output.parent.is_dir():
        raise UsageError(f"{name}: the folder {printable(str(output.parent))} doesn't exist; make it first")
    if output.is_dir():
        raise UsageError(f"{name}: is a folder; name a file")
    path = getattr(source, "name", None) if hasattr(source, "read") else source
    same = isinstance(path, str | bytes | os.PathLike) and os.path.exists(path) and output.exists()
    if same and os.path.samefile(cast("str | bytes | os.PathLike[str]", path), output):
        raise UsageError(f"{name}: is the source itself; give the copy another name")
    return container_for(output.suffix)


def _copy(
    reader: VideoReader,
    sound: Sound | None,
    container: OutputContainer,
    encoder: str,
    track: LabelTrack,
    warnings: list[str],
) -> None:
    first = next(reader)
    pictures = PictureEncoder(container, encoder, reader, first.image.shape)
    mux_sound = sound.start(container, warnings) if sound is not None else None
    for frame in chain([first], reader):
        draw(frame.image, *track.at(frame.index, float(frame.time)))
        pictures.write(frame.image, frame.time)
        if mux_sound is not None:
            mux_sound(frame.time)
    pictures.finish()
    if mux_sound is not None:
        mux_sound(None)
