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


def make_format_1(folder: Path, card: dict[str, Any] | None = None) -> None:
    """Write a checkpoint as version 0.1.0 wrote it: decoders, a card among the parts, no checksums.

    Args:
        card: in the place of the one that it has; on it is what programs read, too.
    """

    def as_it_was(document: dict[str, Any]) -> None:
        model, newest = document.pop("model"), document.pop("card")
        for field in ("decoding", "events", "language"):
            del model[field]
        model = {**model, "decoders": model.pop("heads"), "card": newest if card is None else card}
        document.clear()
        document.update(format=1, model=model)

    def decoders(weights: dict[str, torch.Tensor]) -> None:
        for name in [name for name in weights if name.startswith("heads.")]:
            weights[f"decoders.{name.removeprefix('heads.')}"] = weights.pop(name)

    edit_document(folder, as_it_was)
    edit_weights(folder, decoders)


def edit_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Let a function change the weights, in place."""
    path = folder / "model.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path)
    edit_document(folder, lambda document: None)
