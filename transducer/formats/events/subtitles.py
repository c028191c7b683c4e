"""Labels to be seen while a video plays."""

from __future__ import annotations

from collections.abc import Iterator

from transducer.formats.subtitles import Cue, render_cues
from transducer.formats.values import one_line
from transducer.results import Event, Labelling, Scene
from transducer.search.events.rules import OF_WHOLES


def render_subtitles(labelling: Labelling, kind: str) -> Iterator[str]:
    """The text of an "srt" or "vtt" file.

    Of a video in shots: a cue a shot, with its number and the cut that led to it, and one for each gradual
    transition. Of everything else: a cue an event, or the clip's label all the time.
    """
    cues = []
    for start, end, text in _cues(labelling):
        first = max(round(start * 1000), 0)
        cues.append(Cue(first, max(round(end * 1000), first + 1), (one_line(text),)))
    return render_cues(sorted(cues, key=lambda cue: cue.start), kind)


def _cues(labelling: Labelling) -> Iterator[tuple[float, float, str]]:
    if labelling.kind != "transitions":
        for item in labelling.segments if labelling.kind in OF_WHOLES else labelling.events:
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
