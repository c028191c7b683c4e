"""The webcam: an endless source of pictures."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from transducer.errors import MediaError
from transducer.media.live.pace import Beginning
from transducer.media.video.opencv import load_opencv
from transducer.media.video.reader import VideoFrame

FAILURES = 30  # reads in a row that give no picture, after which a camera counts as gone
USUAL_FPS = Fraction(30)


class Camera(Iterator[VideoFrame]):
    """Frames as they are taken, each with its time on this machine's clock.

    Args:
        device: number, a path such as /dev/video0, or the address of a network camera.
        since: seconds since second 0, which is that of the first frame if it is the first to ask.

    Attributes:
        name: to show.
        fps: frames per second, as far as the camera tells.

    Raises:
        MediaError: there is no such camera, or it is busy; while it is iterated over, it has gone. Says what to do.
    """

    def __init__(self, device: str, since: Callable[[], float] | None = None):
        cv2: Any = load_opencv()
        self.name = f"the camera {device}"
        self.warnings: list[str] = []
        self._since, self._closed = since or Beginning().since, threading.Event()
        self._last = -1.0
        self._index = 0
        _find(device)
        with _quiet(cv2):
            self._capture: Any = cv2.VideoCapture(int(device) if device.isdecimal() else device)
        if not self._capture.isOpened():
            raise MediaError(
                f"{self.name} can't be opened: another program may use it, or it needs the right to (group video); "
                f"{_there()}"
            )
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = Fraction(rate).limit_denominator(1001) if 1 <= rate <= 1000 else USUAL_FPS

    def __next__(self) -> VideoFrame:
        for _ in range(FAILURES):
            taken, picture = self._capture.read()
            if self._closed.is_set():
                raise StopIteration
            if taken:
                return self._frame(np.ascontiguousarray(picture[:, :, ::-1]))  # OpenCV gives BGR
            if self._closed.wait(0.03):
                raise StopIteration
        raise MediaError(f"{self.name} gives no pictures any more; is it still plugged in? {_there()}")

    def close(self) -> None:
        """Stop; from the thread that iterates over it."""
        self._closed.set()
        self._capture.release()

    def _frame(self, image: np.ndarray) -> VideoFrame:
        # Two frames at once, after a pause of this program, still follow each other.
        self._last = max(self._since(), self._last + 0.001)
        self._index += 1
        return VideoFrame(image, self._index - 1, Fraction(self._last).limit_denominator(1_000_000))


def cameras() -> list[str]:
    """The paths of the cameras that there are, where the system tells."""
    return sorted(str(path) for path in Path("/dev").glob("video*"))


def _find(device: str) -> None:
    """Raises MediaError where it is plain that there is no such camera."""
    if sys.platform != "linux" or "://" in device:
        return
    path = f"/dev/video{device}" if device.isdecimal() else device
    if not Path(path).exists():
        raise MediaError(f"there is no camera {path}: {_there()}")


def _there() -> str:
    found = cameras()
    return f"there is {', '.join(found)}" if found else "no camera is plugged in; a file or an address will do, too"


@contextmanager
def _quiet(cv2: Any) -> Iterator[None]:
    """OpenCV's own messages left out: one line of ours says it."""
    logging = cv2.utils.logging
    level = logging.getLogLevel()
    logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(level)
