"""A medium as JSON data, and back: for models that run where their front-ends are not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transducer.errors import CheckpointError, UsageError
from transducer.media.audio.medium import Samples
from transducer.media.audiovisual import FramesAndSamples
from transducer.media.medium import Medium
from transducer.media.series import Series
from transducer.media.text import Text
from transducer.media.video.medium import Frames
from transducer.media.words import Words
from transducer.text.tokenizers.tokenizer import Tokenizer


def describe(medium: Medium, units: Mapping[str, Tokenizer]) -> dict[str, Any]:
    """Raises UsageError for a medium of another package."""
    if isinstance(medium, Samples):
        return {"type": "samples", "rate": int(medium.rate)}
    if isinstance(medium, Frames):
        sizes = {"height": medium.height, "width": medium.width, "colours": medium.colours}
        return {"type": "frames", **sizes, "known_fps": medium.known_fps}
    if isinstance(medium, FramesAndSamples):
        frames = describe(medium.frames, units)
        return {"type": "both", "frames": frames, "samples": medium.samples, "rate": medium.samples_per_second}
    if isinstance(medium, Text):
        return {"type": "text", "units": next(name for name, known in units.items() if known is medium.tokenizer)}
    if isinstance(medium, Words):
        return {"type": "words", "sizes": list(medium.sizes)}
    if isinstance(medium, Series):
        return {"type": "series", "columns": list(medium.columns)}
    raise UsageError(f"a model of {medium.name} cannot be exported: its medium is of another package")


def described(data: Mapping[str, Any], units: Mapping[str, Tokenizer]) -> Any:
    """The medium that was described. Raises CheckpointError."""
    kinds: dict[str, Any] = {
        "samples": lambda: Samples(data["rate"]),
        "frames": lambda: Frames(data["height"], data["width"], data["colours"], data["known_fps"]),
        "both": lambda: FramesAndSamples(described(data["frames"], units), data["samples"], data["rate"]),
        "text": lambda: Text(units[data["units"]]),
        "words": lambda: Words(tuple(data["sizes"])),
        "series": lambda: Series(tuple(data["columns"])),
    }
    try:
        return kinds[data["type"]]()
    except (KeyError, TypeError):
        raise CheckpointError("the medium of the exported model is not known: export it again") from None
