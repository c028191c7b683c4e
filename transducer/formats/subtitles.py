"""SubRip and WebVTT: cues with times in milliseconds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

# SubRip has two digits for hours, and some of its readers take no more of them. WebVTT has as many as it needs.
SRT_END_MS = 100 * 3600 * 1000
_MARKS = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


class Cue(NamedTuple):
    """One or two lines on the screen from `start` to `end` (milliseconds).

    `lit` is the part of the text (line, first character, character behind the last) that is underlined.
    """

    start: int
    end: int
    lines: tuple[str, ...]
    lit: tuple[int, int, int] | None = None


def render_cues(cues: Iterable[Cue], kind: str) -> Iterator[str]:
    """The text of an "srt" or "vtt" file, in pieces; cues come in the order of their starts."""
    if kind == "vtt":
        yield "WEBVTT\n\n"
    for number, cue in enumerate(cues, start=1):
        text = "\n".join(_marked(line, cue.lit, row, kind) for row, line in enumerate(cue.lines)).strip()
        yield f"{number}\n{_time(cue.start, kind)} --> {_time(cue.end, kind)}\n{text}\n\n"


def _marked(line: str, lit: tuple[int, int, int] | None, row: int, kind: str) -> str:
    if lit is None or lit[0] != row:
        return _escape(line, kind)
    parts = (line[: lit[1]], line[lit[1] : lit[2]], line[lit[2] :])
    before, word, after = (_escape(part, kind) for part in parts)
    return f"{before}<u>{word}</u>{after}"


def _escape(text: str, kind: str) -> str:
    if kind == "vtt":
        text = re.sub("[&<>]", lambda mark: _MARKS[mark[0]], text)
    # Players that turn subtitles into SubStation Alpha take a backslash with h, n or N for a line break: a word joiner
    # keeps the two apart.
    return re.sub(r"\\(?=[hnN])", "\\\\\u2060", text)


def _time(milliseconds: int, kind: str) -> str:
    seconds, rest = divmod(max(milliseconds, 0), 1000)
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}{'.' if kind == 'vtt' else ','}{rest:03d}"
