"""Times, probabilities and JSON, as all formats write them."""

from __future__ import annotations

import json
from typing import Any

from transducer.results import Word


def probability(value: float) -> float:
    """A probability for JSON, or the logarithm of one."""
    return round(value, 4)


def word_to_dict(word: Word) -> dict[str, Any]:
    """{text, start, end, confidence}, and `glued` where no space stands before it."""
    confidence = probability(word.confidence)
    found: dict[str, Any] = {"text": word.text, "start": word.start, "end": word.end, "confidence": confidence}
    return {**found, "glued": True} if word.glued else found


def word_from_dict(data: dict[str, Any]) -> Word:
    """What `word_to_dict` wrote. Raises KeyError where something is missing."""
    return Word(data["text"], data["start"], data["end"], data["confidence"], data.get("glued", False))


def clock(time: float) -> str:
    """h:mm:ss.mmm"""
    sign = "-" if time < 0 else ""
    milliseconds = round(abs(time) * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{sign}{minutes // 60}:{minutes % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"


def one_line(text: str) -> str:
    """White space becomes single spaces."""
    return " ".join(text.split())


def to_json(data: Any, indent: int | None = None) -> str:
    """A document that ends with a newline; `indent` None puts it on one line."""
    return json.dumps(data, ensure_ascii=False, indent=indent) + "\n"
