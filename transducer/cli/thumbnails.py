"""What takes one more pass through a video: pictures of chosen frames, and what its header says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from transducer.cli.console import report
from transducer.cli.second_pass import TwoPasses
from transducer.errors import MediaError
from transducer.formats.events.sheet import Thumbnail, thumbnail_size, wanted_frames
from transducer.formats.events.timecode import source_timecode
from transducer.results import Labelling

QUALITY = 75  # of JPEG, 0 to 100


def read_thumbnails(source: Callable[[], Any], frames: Sequence[int]) -> Iterator[Thumbnail]:
    """The pictures of these frames (ascending) as small JPEGs, one at a time; see `read_jpegs`."""
    from transducer.media.video.reader import open_video

    if frames:
        with open_video(source(), square=True) as reader:
            size = thumbnail_size(reader.width, reader.height)
        yield from read_jpegs(source, frames, QUALITY, size)


def read_jpegs(
    source: Callable[[], Any], frames: Iterable[int], quality: int, size: tuple[int, int] | None = None
) -> Iterator[Thumbnail]:
    """The pictures of these frames (ascending) as JPEG, one at a time; nothing is read behind the last of them.

    Args:
        source: gives what to open, standing at its start, each time it is called.
        size: (height, width); as in the source if None.

    Raises:
        MediaError: it cannot be read again.
    """
    from transducer.media.video.opencv import load_opencv
    from transducer.media.video.reader import open_video

    cv2 = load_opencv()
    wanted = iter(frames)
    target = next(wanted, None)
    if target is None:
        return
    with open_video(source(), size=size, fast=size is not None, square=size is None) as reader:
        for frame in reader:
            if frame.index < target:
                continue
            done, data = cv2.imencode(
                ".jpg", cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
            )
            if done and frame.index == target:
                yield Thumbnail(frame.index, data.tobytes())
            while target is not None and target <= frame.index:
                target = next(wanted, None)
            if target is None:
                return


def read_pictures(passes: TwoPasses, labelling: Labelling, name: str) -> Iterator[Thumbnail]:
    """The pictures for the page of a labelling; a warning where there are none."""
    if passes.second is None:
        report("warning", f"{name}: is live and cannot be read a second time; the page has no pictures")
        return
    try:
        yield from read_thumbnails(passes.again, wanted_frames(labelling))
    except MediaError as error:
        report("warning", f"{error}; the page lacks pictures")


def find_timecode(passes: TwoPasses, labelling: Labelling) -> str | None:
    """The timecode of the first frame, as far as the source has one and can be read again."""
    from transducer.media.video.timecode import read_timecode

    if labelling.start_timecode is not None or passes.second is None:
        return labelling.start_timecode
    try:
        return source_timecode(read_timecode(passes.again()))
    except MediaError:
        return None
