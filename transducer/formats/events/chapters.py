"""Chapters in FFmpeg's metadata format: `ffmpeg -i clip.mp4 -i clip.ffmetadata -map_chapters 1 -codec copy out.mp4`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from transducer.results import Labelling

TICKS = 1_000_000  # a second: frames of any rate keep their places


def render_chapters(labelling: Labelling) -> Iterator[str]:
    """A chapter a scene, from its first frame to that of the next, so that no time is without one.

    There is no other metadata, which would replace the file's own.
    """
    yield ";FFMETADATA1\n"
    scenes = labelling.segments
    starts = [max(round(scene.start * TICKS), 0) for scene in scenes]
    ends = (
        [*starts[1:], max(round(max(labelling.duration, scene.end) * TICKS) for scene in scenes[-1:])] if scenes else []
    )
    for number, (scene, start, end) in enumerate(zip(scenes, starts, ends, strict=True), start=1):
        title = f"shot {number}" if scene.label == "shot" else scene.label or "background"
        yield f"\n[CHAPTER]\nTIMEBASE=1/{TICKS}\nSTART={start}\nEND={max(end, start + 1)}\ntitle={_escape(title)}\n"


def _escape(text: str) -> str:
    return re.sub(r"([=;#\\\n])", r"\\\1", text)
