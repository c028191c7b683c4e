"""JSON: a whole labelling as one document, or an event a line.

Times are seconds to microseconds, as they are in results, so that any frame keeps its place; scores have four digits.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from transducer.formats.values import probability, to_json
from transducer.results import Event, Labelling, Scene


def item_to_dict(item: Event | Scene) -> dict[str, Any]:
    """{label, start, end (seconds), start_frame, end_frame, score}, and `values` of numbers."""
    return {
        "label": item.label,
        "start": item.start,
        "end": item.end,
        "start_frame": item.start_frame,
        "end_frame": item.end_frame,
        "score": probability(item.score),
        **({} if item.values is None else {"values": list(item.values)}),
    }


def labelling_to_dict(labelling: Labelling) -> dict[str, Any]:
    """{source, fps, frames, events, segments}; `start_timecode` and `warnings` only where there are some.

    Where the labelling has scores for each frame, also `labels` (all names; the first is "", the background),
    `frame_labels`, `frame_times` and `frame_scores` (one number for each of `labels`).
    """
    result: dict[str, Any] = {
        "source": labelling.source,
        "fps": round(labelling.fps, 6),
        "frames": labelling.frames,
        "events": [item_to_dict(event) for event in labelling.events],
        "segments": [item_to_dict(scene) for scene in labelling.segments],
    }
    if labelling.start_timecode is not None:
        result["start_timecode"] = labelling.start_timecode
    if labelling.warnings:
        result["warnings"] = list(labelling.warnings)
    if labelling.frame_scores is not None:
        result["labels"] = list(labelling.labels)
        result["frame_labels"] = list(labelling.frame_labels or ())
        result["frame_times"] = list(labelling.frame_times or ())
        result["frame_scores"] = [[probability(score) for score in scores] for scores in labelling.frame_scores]
    return result


def render_json(labelling: Labelling, indent: int | None = 2) -> Iterator[str]:
    """The document, ending with a newline; `indent` None puts it on one line."""
    data = labelling_to_dict(labelling)
    rows = {key: data.pop(key) for key in ("frame_labels", "frame_times", "frame_scores") if key in data}
    text = to_json(data, indent).removesuffix("\n")
    if indent is not None and rows:
        # A line for all frames: a line a number would make a file of millions.
        tail = "".join(f',\n{" " * indent}"{key}": {json.dumps(value)}' for key, value in rows.items())
        text = text.removesuffix("\n}") + tail + "\n}"
    elif rows:
        text = text.removesuffix("}") + ", " + json.dumps(rows, ensure_ascii=False).removeprefix("{")
    yield text + "\n"


def json_rows(source: str) -> Callable[[Event | Scene], str]:
    """A line an event, its keys after `source`; none for scenes."""
    return lambda item: to_json({"source": source, **item_to_dict(item)}) if isinstance(item, Event) else ""
