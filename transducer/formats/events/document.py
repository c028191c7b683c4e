"""JSON: a whole labelling as one document, or an event a line.

Times are seconds rounded to microseconds, so that any frame keeps its place; scores have four digits.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from transducer.results import Event, Labelling, Scene


def event_to_dict(event: Event) -> dict[str, Any]:
    """{label, start, end (seconds), start_frame, end_frame, score}."""
    return _to_dict(event)


def scene_to_dict(scene: Scene) -> dict[str, Any]:
    """{label, start, end (seconds), start_frame, end_frame, score}."""
    return _to_dict(scene)


def _to_dict(item: Event | Scene) -> dict[str, Any]:
    return {
        "label": item.label,
        "start": round(item.start, 6),
        "end": round(item.end, 6),
        "start_frame": item.start_frame,
        "end_frame": item.end_frame,
        "score": round(item.score, 4),
    }


def labelling_to_dict(labelling: Labelling) -> dict[str, Any]:
    """{source, fps, frames, events, segments}; `warnings` only where there are some.

    Where the labelling has scores for each frame, also `labels` (all names; the first is "", the background),
    `frame_labels`, `frame_times` and `frame_scores` (one number for each of `labels`).
    """
    result: dict[str, Any] = {
        "source": labelling.source,
        "fps": round(labelling.fps, 6),
        "frames": labelling.frames,
        "events": [event_to_dict(event) for event in labelling.events],
        "segments": [scene_to_dict(scene) for scene in labelling.segments],
    }
    if labelling.warnings:
        result["warnings"] = list(labelling.warnings)
    if labelling.frame_scores is not None:
        result["labels"] = list(labelling.labels)
        result["frame_labels"] = list(labelling.frame_labels or ())
        result["frame_times"] = [round(seconds, 6) for seconds in labelling.frame_times or ()]
        result["frame_scores"] = [[round(score, 4) for score in scores] for scores in labelling.frame_scores]
    return result


def render_json(labelling: Labelling, indent: int | None = 2) -> Iterator[str]:
    """The document, ending with a newline; `indent` None puts it on one line."""
    data = labelling_to_dict(labelling)
    rows = {key: data.pop(key) for key in ("frame_labels", "frame_times", "frame_scores") if key in data}
    text = json.dumps(data, ensure_ascii=False, indent=indent)
    if indent is not None and rows:
        # A line for all frames: a line a number would make a file of millions.
        tail = "".join(f',\n{" " * indent}"{key}": {json.dumps(value)}' for key, value in rows.items())
        text = text.removesuffix("\n}") + tail + "\n}"
    elif rows:
        text = text.removesuffix("}") + ", " + json.dumps(rows, ensure_ascii=False).removeprefix("{")
    yield text + "\n"


def render_json_line(event: Event, source: str) -> str:
    """One line: the event's keys after `source`."""
    return json.dumps({"source": source, **event_to_dict(event)}, ensure_ascii=False) + "\n"
