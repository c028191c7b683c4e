"""Files with tensors by name: safetensors, whole or in parts, and torch's own without running what is in them."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from transducer.errors import CheckpointError
from transducer.text.json_file import read_json

Tensors = dict[str, Tensor]
WHOLE, INDEX, PICKLED = "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"
_BROKEN = (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError, TypeError, OSError)
_FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


def read_tensors(folder: Path) -> Tensors:
    """The weights of a Hugging Face folder, as they are stored.

    Raises:
        CheckpointError: there are none, or a file of them is missing or damaged.
    """
    if (folder / WHOLE).is_file():
        return read_safetensors(folder / WHOLE)
    if (folder / INDEX).is_file():
        return _read_parts(folder)
    if (folder / PICKLED).is_file():
        return named(read_pickle(folder / PICKLED), folder / PICKLED)
    raise CheckpointError(f"{folder} has no weights: {WHOLE}, {INDEX} and {PICKLED} are missing")


def read_safetensors(path: Path) -> Tensors:
    """The tensors of a file. Raises CheckpointError where it is missing or damaged."""
    try:
        return load_file(path)
    except _BROKEN as error:
        raise CheckpointError(f"{path} is damaged, or a part of a file ({_line(error)}): get it again") from None


def read_pickle(path: Path) -> Any:
    """What a file of torch's holds, of tensors, numbers, texts and containers: anything else in it is refused, and
    nothing is run.

    Raises:
        CheckpointError: the file is damaged, or has something else in it.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except _BROKEN as error:
        said = str(error)
        if re.search(r"GLOBAL \w|Unsupported (global|class)|call reduce", said):
            raise CheckpointError(
                f"{path} has more in it than weights, code that loading would run, which is refused: "
                "take a file of safetensors"
            ) from None
        # What torch says to it is advice to load it all the same.
        reason = "it is no file of torch's" if "weights_only" in said else _line(error)
        raise CheckpointError(f"{path} is damaged, or a part of a file ({reason}): get it again") from None


def named(found: Any, path: Path) -> Tensors:
    """What a file holds, if it is tensors by name. Raises CheckpointError where it isn't."""
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        raise CheckpointError(f"{path} has no weights by name: it must be a network's state dict")
    return dict(found)


def widened(tensors: Mapping[str, Tensor], path: Path) -> Tensors:
    """All of them in float32. Raises CheckpointError for numbers that are no weights here, and for NaN."""
    for name, tensor in tensors.items():
        if tensor.dtype not in _FLOATS:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise CheckpointError(
                f"{path} has weights in {kind} ({name}), which cannot be read: take the model in float32, float16 or "
                "bfloat16"
            )
    wide = {name: tensor.float() for name, tensor in tensors.items()}
    if strange := [name for name, tensor in wide.items() if not tensor.isfinite().all()]:
        raise CheckpointError(f"{path} has numbers that are not finite in {some(strange)}: get it again")
    return wide


def some(names: list[str], most: int = 3) -> str:
    """The first few of some names, and how many more there are."""
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(sorted(names)[:most]) + rest


def _read_parts(folder: Path) -> Tensors:
    where = read_json(folder / INDEX).get("weight_map")
    if not isinstance(where, dict) or not all(isinstance(name, str) for name in where.values()):
        raise CheckpointError(f"{folder / INDEX} is damaged: it does not say which file has which weight")
    parts = sorted(set(where.values()))
    if absent := [name for name in parts if Path(name).name != name or not (folder / name).is_file()]:
        raise CheckpointError(f"{folder} is incomplete: of its {len(parts)} files of weights it lacks {some(absent)}")
    found: Tensors = {}
    for name in parts:
        found |= read_safetensors(folder / name)
    if lost := sorted(where.keys() - found.keys()):
        raise CheckpointError(f"{folder} is incomplete: its files have no {some(lost)}")
    return found


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
