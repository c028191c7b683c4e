"""Streaming transducers: media streams in, symbol streams out.

import transducer
model = transducer.load("speech-en")
print(model.transcribe("talk.mp3").text)
for segment in model.session("talk.mp3"):
    print(segment.final, segment.start, segment.text)
for event in transducer.load("shots").label("film.mp4").events:
    print(event.label, event.start, event.end)
transducer.write(model.transcribe("talk.mp3"), "talk.srt")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from transducer.version import VERSION as __version__

if TYPE_CHECKING:
    from transducer.engine.batch import StreamBatch
    from transducer.engine.client import StreamState
    from transducer.engine.engine import Engine
    from transducer.engine.model import Model, load, models
    from transducer.engine.multi import annotate
    from transducer.engine.session import Session
    from transducer.engine.stream import Stream
    from transducer.errors import CheckpointError, MediaError, TransducerError, UsageError
    from transducer.formats import write
    from transducer.results import Annotation, Event, Labelling, Scene, Segment, Transcript, Word
    from transducer.search.endpoint import EndpointRules
    from transducer.search.events.rules import EventRules

# Imported at first use: torch takes seconds, and `transducer --help` should not wait for it.
_HOMES = {
    **dict.fromkeys(("Model", "load", "models"), "engine.model"),
    "Engine": "engine.engine",
    "Session": "engine.session",
    "Stream": "engine.stream",
    "StreamBatch": "engine.batch",
    "StreamState": "engine.client",
    "annotate": "engine.multi",
    "EndpointRules": "search.endpoint",
    "EventRules": "search.events.rules",
    **dict.fromkeys(("CheckpointError", "MediaError", "TransducerError", "UsageError"), "errors"),
    **dict.fromkeys(("Annotation", "Event", "Labelling", "Scene", "Segment", "Transcript", "Word"), "results"),
    "write": "formats",
}

__all__ = [
    "Annotation",
    "CheckpointError",
    "EndpointRules",
    "Engine",
    "Event",
    "EventRules",
    "Labelling",
    "MediaError",
    "Model",
    "Scene",
    "Segment",
    "Session",
    "Stream",
    "StreamBatch",
    "StreamState",
    "Transcript",
    "TransducerError",
    "UsageError",
    "Word",
    "__version__",
    "annotate",
    "load",
    "models",
    "write",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'transducer' has no attribute {name!r}")
    return getattr(import_module(f"transducer.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
