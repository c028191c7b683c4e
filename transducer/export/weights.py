"""The weights of many graphs in one file, each once."""

from __future__ import annotations

from pathlib import Path

import onnx

WEIGHTS = "weights.bin"
SMALLEST = 1024  # bytes that are worth being shared
ALIGNED = 64


class Weights:
    """Arrays that graphs read from a file beside them."""

    def __init__(self) -> None:
        self._places: dict[bytes, int] = {}
        self._data = bytearray()

    def take(self, model: onnx.ModelProto) -> None:
        """Move the constants of a graph here."""
        for tensor in model.graph.initializer:
            data = tensor.raw_data
            if len(data) < SMALLEST:
                continue
            if data not in self._places:
                self._data += bytes(-len(self._data) % ALIGNED)
                self._places[data] = len(self._data)
                self._data += data
            tensor.ClearField("raw_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
            for key, value in (("location", WEIGHTS), ("offset", self._places[data]), ("length", len(data))):
                entry = tensor.external_data.add()
                entry.key, entry.value = key, str(value)

    def write(self, folder: Path) -> None:
        (folder / WEIGHTS).write_bytes(self._data)
