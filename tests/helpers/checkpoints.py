"""Checkpoints that somebody has changed on purpose: without the checksums, which would say so at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file


def edit_document(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Let a function change what config.json says, in place."""
    path = folder / "config.json"
    document = json.loads(path.read_text())
    for checksum in ("crc32", "weights_crc32"):
        document.pop(checksum, None)
    change(document)
    path.write_text(json.dumps(document))


def edit_config(folder: Path, **changes: object) -> None:
    """Give fields of the model other values, as JSON data."""
    edit_document(folder, lambda document: document["model"].update(changes))


def edit_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Let a function change the weights, in place."""
    path = folder / "model.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path)
    edit_document(folder, lambda document: None)
