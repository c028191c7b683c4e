"""OpenTimelineIO: a timeline of one video track, as JSON of the schemas that version 0.15 and later write.

The library is not needed for this: the schemas are small, and its readers upgrade older ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

from transducer.formats.events.document import item_to_dict
from transducer.formats.events.edits import Edit, Effect, make_edits
from transducer.formats.events.timecode import exact_rate, timecode_rate
from transducer.results import Event, Labelling

METADATA = "transducer"
PIPE = "standard input"
_COLORS = {"cut": "RED", "dissolve": "BLUE", "fade": "PURPLE", "wipe": "ORANGE"}


def render_otio(labelling: Labelling) -> Iterator[str]:
    """A clip a scene, transitions between those where they are gradual, and a marker an event."""
    rate = exact_rate(labelling.fps)
    edits = make_edits(labelling, rate)
    counted = timecode_rate(labelling.fps, labelling.start_timecode)
    # Media times are those of its timecode.
    zero = round(counted.first / counted.fps * rate)
    name = PurePath(labelling.source).name or labelling.source
    total = edits[-1].end if edits else 0
    reference = _reference(labelling.source, name, _range(zero, total, rate))
    children: list[dict[str, Any]] = []
    for k, edit in enumerate(edits):
        start = edit.effect.middle if edit.effect else edit.start
        following = edits[k + 1].effect if k + 1 < len(edits) else None
        end = following.middle if following else edit.end
        if edit.effect is not None and edit.effect.length and edit.effect.event is not None:
            children.append(_transition(edit.effect, edit.effect.event, rate))
        markers = [
            _marker(event, zero + first, length, rate)
            for event, first, length in _places(labelling, edit, last=k + 1 == len(edits))
        ]
        children.append(
            _item(
                "Clip.2",
                f"{edit.scene.label or 'background'} {k + 1}",
                source_range=_range(zero + start, end - start, rate),
                markers=markers,
                media_references={"DEFAULT_MEDIA": reference},
                active_media_reference_key="DEFAULT_MEDIA",
                metadata={METADATA: item_to_dict(edit.scene)},
            )
        )
    track = _item("Track.1", "V1", kind="Video", children=children)
    stack = _item("Stack.1", "tracks", children=[track])
    began = _time(zero, rate) if labelling.start_timecode is not None else None
    timeline = _object(
        "Timeline.1", name=PurePath(labelling.source).stem, global_start_time=began, tracks=stack, metadata={}
    )
    yield json.dumps(timeline, ensure_ascii=False, indent=1) + "\n"


def _reference(source: str, name: str, available: dict[str, Any]) -> dict[str, Any]:
    """Where the frames are; nowhere, if they came from a pipe."""
    fields = {"name": name, "available_range": available, "available_image_bounds": None, "metadata": {}}
    if source == PIPE:
        return _object("MissingReference.1", **fields)
    return _object("ExternalReference.1", target_url=_address(source), **fields)


def _places(labelling: Labelling, edit: Edit, last: bool) -> Iterator[tuple[Event, int, int]]:
    """The events that begin in an edit: (event, first frame, frames)."""
    if labelling.kind == "transitions":
        effect = edit.effect
        if effect is not None and effect.event is not None:
            yield effect.event, effect.start, max(effect.length, 1)
        return
    for event in labelling.events:
        begins = event.start_frame >= edit.scene.start_frame
        if begins and (last or event.start_frame <= edit.scene.end_frame):
            length = max(event.end_frame + 1 - event.start_frame, 1)
            yield event, edit.start + event.start_frame - edit.scene.start_frame, length


def _marker(event: Event, start: int, length: int, rate: float) -> dict[str, Any]:
    return _object(
        "Marker.2",
        name=event.label,
        color=_COLORS.get(event.label, "GREEN"),
        marked_range=_range(start, length, rate),
        comment=f"score {event.score:.2f}",
        metadata={METADATA: item_to_dict(event)},
    )


def _transition(effect: Effect, event: Event, rate: float) -> dict[str, Any]:
    return _object(
        "Transition.1",
        name=event.label,
        transition_type="SMPTE_Dissolve" if event.label == "dissolve" else "Custom_Transition",
        in_offset=_time(effect.middle - effect.start, rate),
        out_offset=_time(effect.end - effect.middle, rate),
        metadata={METADATA: item_to_dict(event)},
    )


def _object(schema: str, **fields: Any) -> dict[str, Any]:
    return {"OTIO_SCHEMA": schema, **fields}


def _item(schema: str, name: str, **fields: Any) -> dict[str, Any]:
    """Clip, track or stack, with what all of these have."""
    common: dict[str, Any] = {
        "name": name,
        "source_range": None,
        "effects": [],
        "markers": [],
        "enabled": True,
        "metadata": {},
    }
    return _object(schema, **(common | fields))


def _time(value: int, rate: float) -> dict[str, Any]:
    return _object("RationalTime.1", rate=rate, value=float(value))


def _range(start: int, length: int, rate: float) -> dict[str, Any]:
    return _object("TimeRange.1", start_time=_time(start, rate), duration=_time(length, rate))


def _address(source: str) -> str:
    """An address stays one; a path becomes absolute, as the timeline may be opened from anywhere."""
    if "://" in source:
        return source
    return "file://" + quote(str(Path(source).absolute()), errors="replace")
