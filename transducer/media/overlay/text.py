"""Text on pictures: which lines a frame shows, and how they are drawn."""

from __future__ import annotations

import bisect
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from transducer.media.video.opencv import load_opencv

cv2 = load_opencv()

FLASH = 0.8  # seconds for which an event is shown at least
MOST_FLASHES = 4  # at the same time
_UNICODE = int(cv2.__version__.partition(".")[0]) >= 5  # before, letters are strokes for ASCII
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_TEXT = (255, 255, 255)
_SMALLEST = 0.6  # of their usual size, before a label is shortened
_TINY = 0.05  # scale at which letters can't be read anyway
_SHADE = 0.35  # of the picture's light that is left behind text
# A colour for each label, in the order in which they first come up; told apart by colour-blind people, too
# (Okabe and Ito, 2008).
_COLOURS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167))


class Line(NamedTuple):
    """What to write, and the colour (red, green, blue) of the mark beside it; too long a label is shortened."""

    label: str
    detail: str
    colour: tuple[int, int, int]

    @property
    def text(self) -> str:
        return f"{self.label}{self.detail}"


class LabelTrack:
    """The lines of each frame.

    Args:
        events: have label, start, end, start_frame, end_frame, score.
        segments: have label, start, end, start_frame, end_frame.
        transitions: events lie between frames: the first frame that shows one is that behind its start_frame.
    """

    def __init__(self, events: Iterable[Any], segments: Iterable[Any], transitions: bool = True):
        shift = 1 if transitions else 0
        self._events = sorted(((event.start_frame + shift, event) for event in events), key=lambda pair: pair[0])
        self._segments = sorted(segments, key=lambda segment: segment.start_frame)
        self._starts = [segment.start_frame for segment in self._segments]
        self._next = 0
        self._shown: list[Any] = []
        labels = [event.label for _, event in self._events] + [segment.label for segment in self._segments]
        self._colours = {label: _COLOURS[i % len(_COLOURS)] for i, label in enumerate(dict.fromkeys(labels))}

    def at(self, index: int, time: float) -> tuple[list[Line], list[Line]]:
        """(the segment, the events) of a frame. Frames are asked for in order."""
        while self._next < len(self._events) and self._events[self._next][0] <= index:
            self._shown.append(self._events[self._next][1])
            self._next += 1
        self._shown = [
            event for event in self._shown if index <= event.end_frame or time < max(event.start, event.end) + FLASH
        ]
        flashes = [
            Line(event.label, f"  {clock(event.start)}  {event.score:.0%}", self._colours[event.label])
            for event in self._shown[-MOST_FLASHES:]
        ]
        place = bisect.bisect_right(self._starts, index) - 1
        if place < 0 or index > self._segments[place].end_frame or not self._segments[place].label:
            return [], flashes
        segment = self._segments[place]
        detail = f" {place + 1}  {clock(segment.start)} - {clock(segment.end)}"
        return [Line(segment.label, detail, self._colours[segment.label])], flashes


def clock(seconds: float) -> str:
    """61.5 -> 1:01.50"""
    hundredths = round(max(seconds, 0) * 100)
    minutes, rest = divmod(hundredths, 6000)
    hours, minutes = divmod(minutes, 60)
    text = f"{minutes:02d}:{rest // 100:02d}.{rest % 100:02d}" if hours else f"{minutes}:{rest / 100:05.2f}"
    return f"{hours}:{text}" if hours else text


def draw(image: np.ndarray, segment: Sequence[Line], events: Sequence[Line]) -> None:
    """Write into an RGB picture (H, W, 3): the segment at its lower edge, events at the upper one, with a border."""
    height, width = image.shape[:2]
    for line in events[-1:]:
        cv2.rectangle(image, (0, 0), (width - 1, height - 1), line.colour, max(height // 60, 1))
    top = max(height // 40, 1)
    for line in events:
        top += _draw_line(image, line, top) + max(height // 90, 1)
    for line in segment:
        _draw_line(image, line, None)


def _draw_line(image: np.ndarray, line: Line, top: int | None) -> int:
    """One line in a shaded box; returns its height in pixels. At the lower edge if no `top` is given."""
    height, width = image.shape[:2]
    scale = max(height / 480, 0.3)
    left = max(height // 40, 1)
    text, scale = _fit(line, scale, width - 2 * left)
    thickness = max(round(scale * 1.6), 1)
    (w, h), baseline = cv2.getTextSize(text, _FONT, scale, thickness)
    pad = max(h // 3, 1)
    box = h + baseline + 2 * pad
    top = max(height - box - left, 0) if top is None else top
    area = image[top : top + box, left : left + w + 4 * pad]
    area[...] = (area * _SHADE).astype(np.uint8)
    area[:, :pad] = line.colour
    cv2.putText(image, text, (left + 2 * pad, top + pad + h), _FONT, scale, _TEXT, thickness, cv2.LINE_AA)
    return box


def _fit(line: Line, scale: float, room: int) -> tuple[str, float]:
    """Text and scale that fit in so many pixels: smaller, down to `_SMALLEST`, and then with the label shortened."""

    def write(count: int) -> str:
        text = line.text if count == len(line.label) else f"{line.label[:count].rstrip()}...{line.detail}"
        return text if _UNICODE else _to_ascii(text)

    def width(text: str, scale: float) -> int:
        thickness = max(round(scale * 1.6), 1)
        (w, h), _ = cv2.getTextSize(text, _FONT, scale, thickness)
        return w + 4 * max(h // 3, 1)

    count = len(line.label)
    needed = width(write(count), scale)
    if needed <= room:
        return write(count), scale
    smaller = max(scale * room / needed * 0.97, scale * _SMALLEST)
    # The longest label that has room; a picture may be too small for any.
    count = bisect.bisect_right(range(count), room, key=lambda length: width(write(length), smaller)) - 1
    if width(write(len(line.label)), smaller) <= room:
        count = len(line.label)
    text = write(max(count, 0))
    while width(text, smaller) > room and smaller > _TINY:
        smaller *= 0.9
    return text, smaller


def _to_ascii(text: str) -> str:
    letters = (c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return "".join(c if c.isascii() else "?" for c in letters)
