"""An ONNX graph in the making."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from transducer.export.recorder import Batch

OPSET = 20
IR_VERSION = 10
LARGE = 4096  # numbers
MICROSOFT = "com.microsoft"  # operators of onnxruntime itself
TYPES = {
    np.dtype(np.float32): TensorProto.FLOAT,
    np.dtype(np.float64): TensorProto.DOUBLE,
    np.dtype(np.float16): TensorProto.FLOAT16,
    np.dtype(np.int64): TensorProto.INT64,
    np.dtype(np.int32): TensorProto.INT32,
    np.dtype(np.uint8): TensorProto.UINT8,
    np.dtype(np.int8): TensorProto.INT8,
    np.dtype(np.bool_): TensorProto.BOOL,
}


class Graph:
    """Nodes and constants; values are named by numbers. Equal constants are one, and so are equal nodes."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._constants: dict[tuple[Any, ...], str] = {}
        self._initializers: list[onnx.TensorProto] = []
        self._same: dict[tuple[Any, ...], list[str]] = {}
        self._count = 0
        self._batch: str | None = None

    def name(self) -> str:
        self._count += 1
        return f"v{self._count}"

    def input(self, name: str, shape: Sequence[int], dtype: np.dtype[Any]) -> str:
        """An input whose dimension 0 is the batch."""
        self._inputs.append(helper.make_tensor_value_info(name, TYPES[np.dtype(dtype)], ["batch", *shape[1:]]))
        return name

    def add(self, op: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """A node with one output."""
        return self.add_many(op, inputs, 1, domain, **attributes)[0]

    def add_many(self, op: str, inputs: Sequence[str], count: int, domain: str = "", **attributes: Any) -> list[str]:
        key = (op, domain, count, tuple(inputs), repr(sorted(attributes.items())))
        if key not in self._same:
            self._same[key] = outputs = [self.name() for _ in range(count)]
            self.nodes.append(helper.make_node(op, list(inputs), outputs, domain=domain, **attributes))
        return list(self._same[key])

    def matrix(self, value: NDArray[np.float32]) -> str:
        """A constant that is kept in half the room where that loses nothing, as it does of a checkpoint's weights."""
        half = value.astype(np.float16)
        if value.size < LARGE or not np.array_equal(half.astype(np.float32), value):
            return self.constant(value)
        return self.add("Cast", self.constant(half), to=TensorProto.FLOAT)

    def constant(self, value: Any, dtype: Any = None) -> str:
        array = np.ascontiguousarray(np.asarray(value, dtype)).reshape(np.shape(value))
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = name = f"c{len(self._constants)}"
            self._initializers.append(numpy_helper.from_array(array, name))
        return self._constants[key]

    def integers(self, *values: int) -> str:
        return self.constant(list(values), np.int64)

    def batch(self, times: int = 1) -> str:
        """(1,): so many times the size of the batch."""
        if self._batch is None:
            self._batch = self.add("Shape", self._inputs[0].name, start=0, end=1)
        return self._batch if times == 1 else self.add("Mul", self._batch, self.integers(times))

    def shape(self, sizes: Sequence[int | Batch]) -> str:
        """A shape, some of whose sizes may be the batch."""
        if not any(isinstance(size, Batch) for size in sizes):
            return self.integers(*sizes)  # type: ignore[arg-type]
        parts = [self.batch(size.times) if isinstance(size, Batch) else self.integers(size) for size in sizes]
        return parts[0] if len(parts) == 1 else self.add("Concat", *parts, axis=0)

    def reshape(self, x: str, sizes: Sequence[int | Batch]) -> str:
        places = [place for place, size in enumerate(sizes) if isinstance(size, Batch)]
        if len(places) == 1 and all(sizes):  # the only one that is not known is found by itself
            return self.add("Reshape", x, self.integers(*(-1 if isinstance(s, Batch) else s for s in sizes)))
        return self.add("Reshape", x, self.shape(sizes), allowzero=1)

    def finish(self, outputs: dict[str, str], like: dict[str, Any], metadata: dict[str, str]) -> onnx.ModelProto:
        """The whole.

        Args:
            outputs: name -> value. like: name -> a tensor of its shape and type, with the batch on dimension 0.
        """
        names: dict[str, str] = {}
        infos = []
        for name, value in outputs.items():
            if value in names or not value.startswith("v"):  # an input, a constant, or an output already
                self.nodes.append(helper.make_node("Identity", [value], [name]))
            else:
                names[value] = name
            array: NDArray[Any] = like[name]
            infos.append(helper.make_tensor_value_info(name, TYPES[array.dtype], ["batch", *array.shape[1:]]))
        self._drop_unused({*names, *outputs})
        for node in self.nodes:
            node.input[:] = [names.get(value, value) for value in node.input]
            node.output[:] = [names.get(value, value) for value in node.output]
        graph = helper.make_graph(self.nodes, "step", self._inputs, infos, self._initializers)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="transducer")
        helper.set_model_props(model, metadata)
        return model

    def _drop_unused(self, wanted: set[str]) -> None:
        kept = []
        for node in reversed(self.nodes):
            if wanted & set(node.output):
                wanted |= set(node.input)
                kept.append(node)
        self.nodes = kept[::-1]
        self._inputs = [given for given in self._inputs if given.name in wanted]
        self._initializers = [tensor for tensor in self._initializers if tensor.name in wanted]
