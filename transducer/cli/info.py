"""`transducer info`: what a model is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import transducer
from transducer.cli.console import write_stdout


def run(name: str, as_json: bool) -> int:
    """Print what the model says of itself."""
    facts = transducer.load(name).info()
    facts.pop("trained_items", None)  # hashes, for `evaluate`
    if as_json:
        write_stdout(json.dumps(facts, ensure_ascii=False) + "\n")
    else:
        rows = [(_label(key), line) for key, value in facts.items() for line in _lines(key, value)]
        width = max((len(label) for label, _ in rows), default=0)
        last = None
        for label, line in rows:
            write_stdout(f"{'' if label == last else label:{width}}  {line}".rstrip() + "\n")
            last = label
    return 0


_LABELS = {"size_bytes": "size on disk", "latency_ms": "algorithmic latency"}
_UNITS = {"_ms": "ms", "_seconds": "s", "_hz": "Hz"}


def _label(key: str) -> str:
    for suffix in _UNITS:
        key = key if key in _LABELS else key.removesuffix(suffix)
    return _LABELS.get(key, key.replace("_", " "))


def _lines(key: str, value: Any) -> Iterator[str]:
    """The value as one line, or a line an item of a list of tables."""
    unit = next((f" {unit}" for suffix, unit in _UNITS.items() if key.endswith(suffix)), "")
    if isinstance(value, dict):
        named = ((name.replace("_", " "), item) for name, item in value.items())
        parts = [f"{_number(item)} {name}" if isinstance(item, (int, float)) else _number(item) for name, item in named]
        yield ", ".join(parts)
    elif isinstance(value, (list, tuple)) and any(isinstance(item, (dict, list, tuple)) for item in value):
        for item in value:
            yield from _lines(key, item)
    elif isinstance(value, (list, tuple)):
        yield ", ".join(map(_number, value)) + unit
    elif key.endswith("_bytes"):
        yield f"{value / 1e6:.1f} MB"
    else:
        yield _number(value) + unit


def _number(value: Any) -> str:
    """3456789 as 3,456,789, and 1280.0 as 1280; other things as they are."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        if value != int(value):
            return f"{value:g}"
        return f"{int(value):,}" if abs(value) >= 10_000 else f"{int(value)}"
    return "unknown" if value is None else str(value)
