"""The weights of a CTranslate2 model, `model.bin`, in float32, float16, bfloat16, int16 or int8.

The layout is that of `ModelSpec._serialize` in CTranslate2's Python package: the version of the format, the name and
revision of the kind of model, then each variable with its name, shape, type and bytes, then names that mean the same
variable. All numbers are little-endian.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from transducer.errors import CheckpointError

VERSIONS = range(5, 7)  # of the format, that this layout belongs to
_DTYPES = (np.float32, np.int8, np.int16, np.int32, np.float16, np.uint16)  # the last are the bits of bfloat16
_BFLOAT16 = 5
_SCALE = "_scale"


def read_model(path: Path) -> tuple[str, dict[str, Tensor]]:
    """The name of the kind of model, and its variables by name: weights in float32, settings as they are.

    Raises:
        CheckpointError: the file cannot be read, is damaged or of another version.
    """
    try:
        data = memoryview(path.read_bytes())
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from None
    try:
        kind, stored = _parse(data, path)
        return kind, _dequantised(stored)
    except (struct.error, ValueError, IndexError, KeyError, UnicodeDecodeError, RuntimeError):
        raise CheckpointError(f"{path} is damaged, or a part of a file: get it again") from None


def _parse(data: memoryview, path: Path) -> tuple[str, dict[str, Tensor]]:
    reader = _Reader(data)
    version = reader.number("I")
    if version not in VERSIONS:
        raise CheckpointError(
            f"{path} is no model of CTranslate2's, or its format is {version}: {VERSIONS[0]} to {VERSIONS[-1]} are read"
        )
    kind, _revision = reader.text(), reader.number("I")
    found = {}
    for _ in range(reader.number("I")):
        name = reader.text()
        shape = [reader.number("I") for _ in range(reader.number("B"))]
        dtype, size = reader.number("B"), reader.number("I")
        array = np.frombuffer(reader.take(size), _DTYPES[dtype]).reshape(shape)
        found[name] = torch.from_numpy(array.copy())
        if dtype == _BFLOAT16:
            found[name] = found[name].view(torch.bfloat16)
    for _ in range(reader.number("I")):
        name, other = reader.text(), reader.text()
        found[name] = found[other]
    return kind, found


def _dequantised(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights divided by their scales: one a row of int8 weights, one in all of int16 ones."""
    result = {}
    for name, value in stored.items():
        if name.endswith(_SCALE):
            continue
        if name + _SCALE in stored:
            scale = stored[name + _SCALE].float()
            value = value.float() / scale.reshape(-1, *[1] * (value.ndim - 1))
        result[name] = value.float() if value.is_floating_point() else value
    return result


class _Reader:
    """Goes through bytes. Raises struct.error or ValueError where they end too early."""

    def __init__(self, data: memoryview):
        self._data, self._place = data, 0

    def take(self, size: int) -> memoryview:
        end = self._place + size
        if end > len(self._data):
            raise ValueError("the file ends too early")
        found = self._data[self._place : end]
        self._place = end
        return found

    def number(self, kind: str) -> int:
        found: int = struct.unpack("<" + kind, self.take(struct.calcsize(kind)))[0]
        return found

    def text(self) -> str:
        return bytes(self.take(self.number("H"))).rstrip(b"\0").decode()
