"""`transducer models`: the models that there are."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

from transducer.cli.console import write_stdout
from transducer.engine.model import MODELS, models
from transducer.model.names import CONFIG
from transducer.published.catalogue import KNOWN
from transducer.published.hub import cached
from transducer.text.json_file import read_json

_COLUMNS = {
    "name": "model",
    "where": "where",
    "megabytes": "MB",
    "languages": "languages",
    "latency": "latency",
    "licence": "licence",
    "error": "errors",
}


def run(as_json: bool) -> int:
    """Print the bundled models, and those that are known by name: whether they are in the cache, or to be fetched."""
    bundled = models()
    found = [*map(_bundled, bundled), *(_published(model) for model in KNOWN if model.name not in bundled)]
    if as_json:
        write_stdout(json.dumps(found, ensure_ascii=False) + "\n")
        return 0
    rows = [list(_COLUMNS.values()), *([str(model[name] or "-") for name in _COLUMNS] for model in found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        write_stdout("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n")
    return 0


def _bundled(name: str) -> dict[str, Any]:
    folder = Path(str(resources.files("transducer") / MODELS / name))
    document = read_json(folder / CONFIG)
    card = document.get("card") or document["model"].get("card") or {}
    decoding = document["model"].get("decoding") or card.get("defaults") or {}
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    chunk = decoding.get("chunk_ms")
    by_segments = any(head["type"] == "segment" for head in document["model"].get("heads", {}).values())
    return {
        "name": name,
        "where": "bundled",
        "megabytes": max(1, round(size / 1e6)),
        "languages": "English" if name.endswith(("-en", ".en")) else "",
        "latency": f"{chunk:g} ms" if chunk else "by segments" if by_segments else "",
        "error": next(iter(card.get("measured", ())), "") and f"measured: {card['measured'][0]}",
        "licence": card.get("licence", "Apache-2.0"),
    }


def _published(model: Any) -> dict[str, Any]:
    return {
        "name": model.name,
        "where": "cached" if cached(model.name) else "to be fetched",
        "megabytes": model.megabytes,
        "languages": model.languages,
        "latency": "by segments",
        "error": model.error and f"published: {model.error}",
        "licence": model.licence,
    }
