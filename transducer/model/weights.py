"""Weights as a safetensors file with a checksum of what is in it, in the file's metadata."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from transducer.atomic import atomic_write
from transducer.errors import CheckpointError

_CHECKSUM = "crc32"


def save_weights(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Write a file that `load_weights` reads. Raises OSError as from writing."""
    with atomic_write(path, "wb") as file:
        file.write(save(dict(weights), {_CHECKSUM: checksum(weights)}))


def load_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a file; one without a checksum is taken as it is.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    try:
        with safe_open(path, "pt") as file:
            weights, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing: the checkpoint is incomplete; copy or train it again") from None
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is damaged ({error}); copy or train it again") from None
    if _CHECKSUM in metadata and metadata[_CHECKSUM] != checksum(weights):
        raise CheckpointError(f"{path} is damaged (its checksum differs); copy or train it again")
    return weights


def checksum(weights: Mapping[str, Tensor]) -> str:
    """CRC-32 of names, types, shapes and numbers, in whatever order they come."""
    value = 0
    for name in sorted(weights):
        tensor = weights[name]
        value = zlib.crc32(f"{name} {tensor.dtype} {list(tensor.shape)}".encode(), value)
        value = zlib.crc32(tensor.contiguous().reshape(-1).view(torch.uint8).numpy(), value)
    return str(value)
