"""SubRip and WebVTT, written by pysubs2: labels to be seen while a video plays."""

from __future__ import annotations

import re
from collections.abc import Iterator

from transducer.results import Event, Labelling, Scene


def render_subtitles(labelling: Labelling, kind: str) -> Iterator[str]:
    """The text of an "srt" or "vtt" file.

    Of a video in shots: a cue a shot, with its number and the cut that led to it, and one for each gradual
    transition. Of everything else: a cue an event, or the clip's label all the time.
    """
    import pysubs2

    file = pysubs2.SSAFile()
    for start, end, text in _cues(labelling):
        text = " ".join(text.split())
        if kind == "vtt":
            text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        # pysubs2 takes a backslash with h, n or N for a line break: a word joiner keeps the two apart.
        text = re.sub(r"\\(?=[hnN])", "\\\\\u2060", text)
        first = max(round(start * 1000), 0)
        file.events.append(pysubs2.SSAEvent(start=first, end=max(round(end * 1000), first + 1), text=text))
    file.events.sort(key=lambda cue: cue.start)
    yield file.to_string(kind, keep_ssa_tags=True)


def _cues(labelling: Labelling) -> Iterator[tuple[float, float, str]]:
    if labelling.kind != "transitions":
        for item in labelling.segments if labelling.kind == "clip" else labelling.events:
            yield item.start, item.end, _text(item)
        return
    cuts = {event.end_frame: event for event in labelling.events if event.end_frame == event.start_frame + 1}
    for number, scene in enumerate(labelling.segments, start=1):
        cut = cuts.get(scene.start_frame)
        yield scene.start, scene.end, f"{scene.label or 'shot'} {number}" + (f" ({_text(cut)})" if cut else "")
    # Their first frames still belong to the old shot.
    ends = {scene.end_frame: scene.end for scene in labelling.segments}
    for event in labelling.events:
        if event.end_frame > event.start_frame + 1:
            yield ends.get(event.start_frame, event.start), event.end, f"[{_text(event)}]"


def _text(item: Event | Scene) -> str:
    return f"{item.label} {item.score:.2f}"
