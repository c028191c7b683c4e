"""Streaming transducers: media streams in, symbol streams out.

import transducer
model = transducer.load("speech-en")
print(model.transcribe("talk.mp3").text)
for segment in model.stream("talk.mp3"):
    print(segment.final, segment.start, segment.text)
for event in transducer.load("shots").label("film.mp4").events:
    print(event.label, event.start, event.end)
transducer.write(model.transcribe("talk.mp3"), "talk.srt")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transducer.version import VERSION as __version__

if TYPE_CHECKING:
    from transducer.engine.labelling import LabelStream
    from transducer.engine.model import Model, load, models
    from transducer.engine.stream import Stream, StreamBatch
    from transducer.formats import write
    from transducer.results import Annotation, Event, Labelling, Scene, Segment, Transcript, Word
    from transducer.search.endpoint import EndpointRules
    from transducer.search.events.rules import EventRules

# Imported at first use: torch takes seconds, and `transducer --help` should not wait for it.
_HOMES = {
    "load": "transducer.engine.model",
    "models": "transducer.engine.model",
    "Model": "transducer.engine.model",
    "Stream": "transducer.engine.stream",
    "StreamBatch": "transducer.engine.stream",
    "EndpointRules": "transducer.search.endpoint",
    "LabelStream": "transducer.engine.labelling",
    "EventRules": "transducer.search.events.rules",
    "write": "transducer.formats",
    **dict.fromkeys(
        ("Annotation", "Event", "Labelling", "Scene", "Segment", "Transcript", "Word"), "transducer.results"
    ),
}

__all__ = [
    "Annotation",
    "EndpointRules",
    "Event",
    "EventRules",
    "LabelStream",
    "Labelling",
    "Model",
    "Scene",
    "Segment",
    "Stream",
    "StreamBatch",
    "Transcript",
    "Word",
    "__version__",
    "load",
    "models",
    "write",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'transducer' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
