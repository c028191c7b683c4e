"""Whether files are a published model."""

from __future__ import annotations

from pathlib import Path

from transducer.errors import CheckpointError
from transducer.model.names import CONFIG
from transducer.text.json_file import read_json

BINARY = "model.bin"  # of CTranslate2


def is_published(path: Path) -> bool:
    """Whether a folder or file is a published model, and no checkpoint of ours, as far as its names tell."""
    if path.is_file():
        return path.suffix == ".pt"
    if not (path / CONFIG).is_file():
        return (path / BINARY).is_file()
    try:
        config = read_json(path / CONFIG)
    except CheckpointError:
        return (path / BINARY).is_file()
    return "format" not in config and ("model_type" in config or (path / BINARY).is_file())
