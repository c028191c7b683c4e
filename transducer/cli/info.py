"""`transducer info`: what a model is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import transducer
from transducer.atomic import atomic_write
from transducer.cli.console import write_stdout
from transducer.cli.outputs import require_folder
from transducer.errors import TransducerError, UsageError


def run(name: str, as_json: bool, picture: str | None = None) -> int:
    """Print what the model says of itself, and draw it.

    Args:
        picture: an SVG file to be written; None for none.

    Raises:
        UsageError: it is no name of an SVG file in a folder that exists.
    """
    model = transducer.load(name)
    facts = model.info()
    facts.pop("trained_items", None)  # hashes, for `evaluate`
    if picture is not None:
        _draw(model, facts, Path(picture))
    if as_json:
        write_stdout(json.dumps(facts, ensure_ascii=False) + "\n")
    else:
        stages = facts.pop("stages", [])
        rows = [(_label(key), line) for key, value in facts.items() for line in _lines(key, value)]
        width = max((len(label) for label, _ in rows), default=0)
        last = None
        for label, line in rows:
            write_stdout(f"{'' if label == last else label:{width}}  {line}".rstrip() + "\n")
            last = label
        write_stdout("".join(f"{line}\n" for line in _stages(stages, getattr(model, "rate", None))))
    return 0


def _draw(model: Any, facts: dict[str, Any], path: Path) -> None:
    from transducer.cli.diagram import diagram

    if path.suffix.lower() != ".svg":
        raise UsageError(f"--diagram {path}: it must be the name of an .svg file")
    require_folder(path.parent, "--diagram")
    results = {"events": "labels and events", "words": "text"}.get(model.kind, model.kind)
    try:
        with atomic_write(path) as file:
            file.write(diagram(facts, model.medium.name, results))
    except OSError as error:
        raise TransducerError(f"{path}: cannot be written: {error.strerror}") from None


def _stages(stages: list[dict[str, Any]], rate: int | None) -> Iterator[str]:
    """The stages as a table, aligned; latencies in milliseconds where steps are samples."""
    from transducer.cli.diagram import shape_of

    def latency(stage: dict[str, Any]) -> str:
        # What is waited for: the look-ahead, and the rest of the chunk.
        steps = (
            stage["latency"] * stage["total"] + (stage["chunk"] - stage["stride"]) * stage["total"] // stage["stride"]
        )
        return f"{1000 * steps / rate:g} ms" if rate else str(steps)

    header = ("stage", "kind", "output", "stride", "latency", "parameters", "streams")
    rows = [
        (
            stage["stage"],
            stage["kind"],
            shape_of(stage),
            str(stage["stride"]),
            latency(stage) if stage["streams"] else "all",
            f"{stage['parameters']:,}",
            "yes" if stage["streams"] else "no",
        )
        for stage in stages
    ]
    if not rows:
        return
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    yield ""
    for row in (header, *rows):
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


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
