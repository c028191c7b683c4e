"""Times, probabilities and JSON, as all formats write them."""

from __future__ import annotations

import json
from typing import Any


def probability(value: float) -> float:
    """A probability for JSON, or the logarithm of one."""
    return round(value, 4)


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
