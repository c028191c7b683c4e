"""Small pictures of chosen frames, from one more pass through a video."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from transducer.formats.events.sheet import Thumbnail, thumbnail_size

QUALITY = 75


def read_thumbnails(source: Callable[[], Any], frames: Iterable[int]) -> Iterator[Thumbnail]:
    """The pictures of these frames (ascending) as JPEG, one at a time; nothing is read behind the last of them.

    Args:
        source: gives what to open, standing at its start, each time it is called.

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
    with open_video(source(), square=True) as reader:
        size = thumbnail_size(reader.width, reader.height)
    with open_video(source(), size=size, fast=True) as reader:
        for frame in reader:
            if frame.index < target:
                continue
            done, data = cv2.imencode(
                ".jpg", cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
            )
            if done and frame.index == target:
                yield Thumbnail(frame.index, data.tobytes())
            while target is not None and target <= frame.index:
                target = next(wanted, None)
            if target is None:
                return
