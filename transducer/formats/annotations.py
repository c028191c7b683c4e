"""Formats of annotations: words and scenes together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from transducer.formats.events.document import item_to_dict
from transducer.formats.events.sheet import Thumbnail, render_html
from transducer.formats.events.tables import in_order
from transducer.formats.registry import Format
from transducer.formats.subtitles import Cue, render_cues
from transducer.formats.values import clock, to_json
from transducer.formats.words.cues import GAP_MS, MIN_MS, make_cues
from transducer.formats.words.document import segment_to_dict
from transducer.formats.words.karaoke import light_words
from transducer.results import Annotation, Event, Labelling, Scene, Segment, Word, text_of

SNAP_IN, SNAP_OUT = 250, 500  # milliseconds after a cut in which a cue that begins, or ends, is moved to it


def annotation_to_dict(annotation: Annotation) -> dict[str, Any]:
    """{source, duration, fps, frames, text, segments, events, scenes}, and `warnings` where there are some.

    `segments` are those of the transcript; each of them, and each of its words, has the number of the `scene` that
    it begins in (from 0; null without pictures). Without pictures fps and frames are null.
    """
    transcript, labelling = annotation.transcript, annotation.labelling
    result: dict[str, Any] = {
        "source": annotation.source,
        "duration": annotation.duration,
        "fps": None if labelling is None else round(labelling.fps, 6),
        "frames": None if labelling is None else labelling.frames,
        "text": "" if transcript is None else transcript.text,
        "segments": [_segment(annotation, segment) for segment in _segments(annotation)],
        "events": [item_to_dict(event) for event in (labelling.events if labelling else ())],
        "scenes": [item_to_dict(scene) for scene in (labelling.segments if labelling else ())],
    }
    if annotation.warnings:
        result["warnings"] = list(annotation.warnings)
    return result


def _json(annotation: Annotation, indent: int | None = 2) -> Iterator[str]:
    yield to_json(annotation_to_dict(annotation), indent)


def _json_lines(annotation: Annotation) -> Iterator[str]:
    for kind, item in _rows(annotation):
        data = _segment(annotation, item) if isinstance(item, Segment) else item_to_dict(item)
        yield to_json({"source": annotation.source, "type": kind, **data})


def _subtitles(kind: str, annotation: Annotation, karaoke: bool = False) -> Iterator[str]:
    transcript = annotation.transcript
    cues: Iterable[Cue] = snap_to_cuts(make_cues(transcript), _cuts(annotation)) if transcript is not None else ()
    return render_cues(light_words(cues, transcript) if karaoke and transcript is not None else cues, kind)


def _page(annotation: Annotation, thumbnails: Iterable[Thumbnail] = ()) -> Iterator[str]:
    return render_html(annotation.labelling or _blind(annotation), thumbnails, _captions(annotation))


def snap_to_cuts(cues: list[Cue], cuts: list[int]) -> list[Cue]:
    """Move cues off cuts (milliseconds, ascending) that they overlap by little.

    A cue that begins up to 0.25 s after a cut begins with it, and one that would stay up to 0.5 s longer ends two
    frames before it: eyes take a text that is there before and after a cut for a new one (Netflix timed text style
    guide, on shot changes). No cue gets shorter than 5/6 s by it, or overlaps another.
    """
    snapped: list[Cue] = []
    for cue in cues:
        start, end = cue.start, cue.end
        for cut in cuts:
            if cut < start <= cut + SNAP_IN and (not snapped or snapped[-1].end <= cut):
                start = cut
            if start < cut < end <= cut + SNAP_OUT and cut - GAP_MS - start >= MIN_MS:
                end = cut - GAP_MS
        snapped.append(Cue(start, end, cue.lines))
    return snapped


def _segments(annotation: Annotation) -> tuple[Segment, ...]:
    return annotation.transcript.segments if annotation.transcript is not None else ()


def _segment(annotation: Annotation, segment: Segment) -> dict[str, Any]:
    data = segment_to_dict(segment)
    data["scene"] = annotation.scene_at(segment.start)
    for item, word in zip(data["words"], segment.words, strict=True):
        item["scene"] = annotation.scene_at((word.start + word.end) / 2)
    return data


def _rows(annotation: Annotation) -> list[tuple[str, Event | Scene | Segment]]:
    """Everything in the order of time."""
    labelling = annotation.labelling
    rows: list[tuple[str, Any]] = [("scene", scene) for scene in (labelling.segments if labelling else ())]
    rows += [("event", event) for event in (labelling.events if labelling else ())]
    rows += [("segment", segment) for segment in _segments(annotation)]
    return sorted(rows, key=lambda row: row[1].start)


def _script(annotation: Annotation) -> Iterator[str]:
    """Scenes and events on lines of their own, and what is said in each scene below it."""
    said = _captions(annotation)
    yield from (f"{text}\n" for text in said.pop(None, ()))
    labelling = annotation.labelling
    if labelling is None:
        return
    shown = 0
    for item in in_order(labelling):
        if isinstance(item, Event):
            yield f"{clock(item.start)}  [{item.label} {item.score:.2f}]\n"
            if labelling.kind == "transitions":
                continue
            number = annotation.scene_at(item.start)
        else:
            number, shown = shown, shown + 1
            yield f"{clock(item.start)}  {item.label or 'background'} {shown}\n"
        for text in said.pop(number, ()):
            yield f"    {text}\n"


def _captions(annotation: Annotation) -> dict[int | None, list[str]]:
    """What is said in each scene; a segment that goes on over a cut is parted there."""
    captions: dict[int | None, list[str]] = {}
    for segment in _segments(annotation):
        parts: dict[int | None, list[Word]] = {}
        for word in segment.words:
            parts.setdefault(annotation.scene_at((word.start + word.end) / 2), []).append(word)
        for scene, words in parts.items():
            captions.setdefault(scene, []).append(text_of(words))
    return captions


def _cuts(annotation: Annotation) -> list[int]:
    events = annotation.labelling.events if annotation.labelling is not None else ()
    if annotation.labelling is None or annotation.labelling.kind != "transitions":
        return []
    return [round(event.end * 1000) for event in events if event.end_frame == event.start_frame + 1]


def _blind(annotation: Annotation) -> Labelling:
    """Sound without pictures, as one scene."""
    scene = Scene("", 0.0, annotation.duration, 0, 0, 1.0)
    return Labelling(annotation.source, 0.0, 0, annotation.duration, (), (scene,), annotation.warnings)


FORMATS = {
    "json": Format(_json, options=frozenset(["indent"]), named=True),
    "jsonl": Format(_json_lines, named=True),
    "txt": Format(_script, named=True),
    "srt": Format(partial(_subtitles, "srt"), options=frozenset(["karaoke"])),
    "vtt": Format(partial(_subtitles, "vtt"), options=frozenset(["karaoke"])),
    "html": Format(_page, options=frozenset(["thumbnails"])),
}
