"""Operators of PyTorch as nodes of ONNX: one short function for each, by its name.

Legend of axis suffixes: K inputs, N outputs of a matrix product.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from transducer.errors import UsageError
from transducer.export.graph import LARGE, MICROSOFT, Graph
from transducer.export.recorder import Batch, Call, Recording, Shape

MOST = 63  # of a byte's 127: on CPUs without VNNI two products of 8 and 8 bits may not fit into 16


class Complex(NamedTuple):
    """A value of complex numbers."""

    real: str
    imaginary: str


class Lowering:
    """The nodes of a recording.

    Args:
        graph: they are added to. names: of the inputs.
        int8: whether matrices are made of bytes.

    Raises:
        UsageError: an operator that has no function here.
    """

    def __init__(self, graph: Graph, recording: Recording, names: Sequence[str], int8: bool):
        self.graph, self.int8, self._others = graph, int8, recording.others
        self._names: dict[int, Any] = {id(x): name for x, name in zip(recording.inputs, names, strict=True)}
        self._live = {id(x) for call in recording.calls for x in call.outputs} | set(self._names)
        self._normed: set[str] = set()
        self._parts: dict[str, dict[tuple[int, int, int], str]] = {}
        self._kept: list[Tensor] = []  # an id is somebody else's once its tensor is gone
        self._transposed: dict[str, tuple[str, tuple[int, ...]]] = {}
        self.padded: dict[str, tuple[str, int]] = {}  # with zeros behind: what was, and how wide
        # Of what has been given another shape: what it was, and its shape.
        self._reshaped: dict[str, tuple[str, Shape]] = {}
        self._shapes: dict[Any, Shape] = {}
        for x, name in zip(recording.inputs, names, strict=True):
            self._shapes[name] = (Batch(1), *x.shape[1:])
        for call in recording.calls:
            function = FUNCTIONS.get(call.name) or FUNCTIONS.get(call.name.replace("_.", ".", 1))  # in place or not
            if function is None:
                raise UsageError(f"it cannot be exported: there is nothing for {call.name} in ONNX")
            found = function(self, call, *call.args, **call.kwargs)
            names = found if isinstance(found, list) else [found]
            for tensor, shape, name in zip(call.outputs, call.shapes, names, strict=False):
                self._names[id(tensor)] = name
                self._shapes.setdefault(name, shape)

    def value(self, x: Any, dtype: torch.dtype | None = None) -> str:
        """The name of a tensor or a number, cast to a type if it has another one."""
        if isinstance(x, Tensor):
            name, kind = self._names.get(id(x)), x.dtype
            if name is None:
                name = self._names[id(x)] = self._constant(x)
                self._kept.append(x)
            if dtype is not None and kind != dtype:
                if not x.ndim and id(x) not in self._names:
                    return self.graph.constant(x.detach().to(dtype).numpy())
                name = self.cast(name, dtype)
            return str(name)
        if isinstance(x, Batch):
            raise UsageError("it cannot be exported: it computes with the size of the batch")
        return self.graph.constant(torch.tensor(x, dtype=dtype).numpy())

    def raw(self, x: Tensor) -> Any:
        """What stands for a tensor that depends on the inputs, a `Complex` too."""
        return self._names[id(x)]

    def is_constant(self, x: Tensor) -> bool:
        return id(x) not in self._live

    def cast(self, name: str, dtype: torch.dtype) -> str:
        return self.graph.add("Cast", name, to=ONNX_TYPES[dtype])

    def _constant(self, x: Tensor) -> str:
        other = self._others.get(id(x), x)
        if other.shape == x.shape:
            if not torch.equal(other, x) and not (x.isnan() & other.isnan() | (x == other)).all():
                raise UsageError("it cannot be exported: a constant depends on the size of the batch")
            array = x.detach().numpy()
            return self.graph.matrix(array) if x.dtype == torch.float32 else self.graph.constant(array)
        # The same for every row of the batch.
        if x.shape[1:] != other.shape[1:] or not (torch.equal(x, x[:1].expand_as(x))):
            raise UsageError("it cannot be exported: a constant depends on the size of the batch")
        times = x.shape[0] // 2
        rows = self.graph.constant(x[:1].detach().contiguous().numpy())
        return self.graph.add("Expand", rows, self.graph.shape([Batch(times), *x.shape[1:]]))

    def reshape(self, x: str, shape: Shape) -> str:
        """Two changes of shape in a row are one, or none."""
        x, before = self._reshaped.get(x, (x, self._shapes.get(x)))
        if before == shape:
            return x
        found = self.graph.reshape(x, shape)
        if before is not None:
            self._reshaped[found] = (x, before)
        return found

    def unflattened(self, x: str, trailing: int) -> tuple[str, Shape] | None:
        """What a value was before the axes before its last `trailing` ones were made one, and its shape."""
        if x not in self._reshaped:
            return None
        before, shape = self._reshaped[x]
        return (before, shape) if shape[-trailing:] == self._shapes[x][-trailing:] and len(shape) > trailing else None

    def transpose(self, x: str, order: Sequence[int]) -> str:
        """Two transpositions in a row are one, or none."""
        if x in self._transposed:
            x, before = self._transposed[x]
            order = [before[place] for place in order]
        if list(order) == list(range(len(order))):
            return x
        found = self.graph.add("Transpose", x, perm=list(order))
        self._transposed[found] = (x, tuple(order))
        return found

    def product(self, call: Call, x: Tensor, weight: Tensor, bias: str | None) -> str:
        """x (M, K) by a matrix (K, N); where the rows were several axes they stay so, which saves nodes."""
        name = self.value(x)
        before = self.unflattened(name, 1)
        if before is not None:
            name = before[0]
        # Normalised inputs have no outliers, which would leave few of a byte's steps to the others.
        if self.int8 and name in self._normed and self.is_constant(weight) and weight.numel() >= LARGE:
            scale, rows = quantised(weight.detach().float().numpy())
            zero = self.graph.constant(np.zeros(len(scale), np.int8))
            inputs = [name, self.graph.constant(rows), self.graph.constant(scale), zero, *([bias] if bias else [])]
            found = self.graph.add("DynamicQuantizeMatMul", *inputs, domain=MICROSOFT)
        elif bias is not None and before is None:
            found = self.graph.add("Gemm", name, self.value(weight), bias)
        else:
            found = self.graph.add("MatMul", name, self.value(weight))
            found = found if bias is None else self.graph.add("Add", found, bias)
        return found if before is None else self._flattened(call, found, (*before[1][:-1], call.shapes[0][-1]))

    def concatenate(self, names: list[str], sizes: list[int], dim: int) -> str:
        if len(names) == 1:
            return names[0]
        found = self.graph.add("Concat", *names, axis=dim)
        ends = np.cumsum(sizes).tolist()
        self._parts[found] = {(dim, end - size, end): name for name, size, end in zip(names, sizes, ends, strict=True)}
        return found

    def part(self, x: str, dim: int, first: int, last: int) -> str | None:
        """One of the values that a value was put together from, if that is what these steps of it are."""
        return self._parts.get(x, {}).get((dim, first, last))

    def normalised(self, name: str) -> str:
        self._normed.add(name)
        return name

    def _flattened(self, call: Call, found: str, shape: Shape) -> str:
        self._shapes[found] = shape
        return self.reshape(found, call.shapes[0])

    def products(self, call: Call, a: Tensor, b: Tensor) -> str:
        """a (G, M, K) by b (G, K, N); where G was several axes they stay so."""
        x, y = self.value(a), self.value(b)
        left, right = self.unflattened(x, 2), self.unflattened(y, 2)
        if left is None or right is None or left[1][:-2] != right[1][:-2]:
            return self.graph.add("MatMul", x, y)
        found = self.graph.add("MatMul", left[0], right[0])
        return self._flattened(call, found, (*left[1][:-2], *call.shapes[0][-2:]))


def quantised(weight_KN: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """A scale (N,) for each column, and the matrix in units of them."""
    scale = np.maximum(np.abs(weight_KN).max(axis=0) / MOST, np.finfo(np.float32).tiny).astype(np.float32)
    return scale, np.rint(weight_KN / scale).astype(np.int8)


ONNX_TYPES = {
    torch.float32: 1,
    torch.uint8: 2,
    torch.int8: 3,
    torch.int32: 6,
    torch.int64: 7,
    torch.bool: 9,
    torch.float64: 11,
}
FUNCTIONS: dict[str, Callable[..., Any]] = {}


def op(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The function for some operators: (lowering, call, *args of the call) -> a name, or a list of them."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        FUNCTIONS.update((f"aten.{name}", function) for name in names)
        return function

    return add


def _table(table: dict[str, str]) -> None:
    """Operators that differ in their names alone: on one value."""
    for names, node in table.items():

        def function(low: Lowering, call: Call, x: Tensor, *_: Any, node: str = node, **__: Any) -> str:
            return low.graph.add(node, low.value(x, call.outputs[0].dtype if node != "Not" else x.dtype))

        op(*names.split())(function)


_table(
    {
        "exp.default": "Exp",
        "log.default": "Log",
        "sqrt.default": "Sqrt",
        "sin.default": "Sin",
        "cos.default": "Cos",
        "tanh.default": "Tanh",
        "sigmoid.default": "Sigmoid",
        "relu.default": "Relu",
        "neg.default": "Neg",
        "abs.default": "Abs",
        "floor.default": "Floor",
        "round.default": "Round",
        "reciprocal.default": "Reciprocal",
        "bitwise_not.default logical_not.default": "Not",
    }
)


def _binary(names: str, node: str, compares: bool = False) -> None:
    def function(low: Lowering, call: Call, a: Any, b: Any, *, alpha: Any = 1, **_: Any) -> str:
        kind = torch.result_type(a, b) if compares else call.outputs[0].dtype
        x, y = low.value(a, kind), low.value(b, kind)
        if alpha != 1:
            y = low.graph.add("Mul", y, low.value(alpha, kind))
        return low.graph.add(node, x, y)

    op(*names.split())(function)


_binary("add.Tensor add.Scalar", "Add")
_binary("sub.Tensor sub.Scalar", "Sub")
_binary("mul.Tensor mul.Scalar", "Mul")
_binary("div.Tensor div.Scalar", "Div")
_binary("remainder.Scalar remainder.Tensor", "Mod")
_binary("maximum.default", "Max")
_binary("minimum.default", "Min")
_binary("bitwise_and.Tensor logical_and.default", "And")
_binary("bitwise_or.Tensor logical_or.default", "Or")
_binary("eq.Scalar eq.Tensor", "Equal", True)
_binary("lt.Scalar lt.Tensor", "Less", True)
_binary("le.Scalar le.Tensor", "LessOrEqual", True)
_binary("gt.Scalar gt.Tensor", "Greater", True)
_binary("ge.Scalar ge.Tensor", "GreaterOrEqual", True)


@op(
    "alias.default",
    "clone.default",
    "detach.default",
    "contiguous.default",
    "lift_fresh_copy.default",
    "view_as_real.default",
)
def _same(low: Lowering, call: Call, x: Tensor, **_: Any) -> Any:
    return low.raw(x)


@op("_to_copy.default")
def _to_copy(low: Lowering, call: Call, x: Tensor, **_: Any) -> str:
    return low.value(x, call.outputs[0].dtype)


@op("rsub.Scalar")
def _rsub(low: Lowering, call: Call, x: Tensor, other: Any) -> str:
    kind = call.outputs[0].dtype
    return low.graph.add("Sub", low.value(other, kind), low.value(x, kind))


@op("pow.Tensor_Scalar")
def _pow(low: Lowering, call: Call, x: Tensor, power: Any) -> str:
    name = low.value(x)
    return low.graph.add("Mul", name, name) if power == 2 else low.graph.add("Pow", name, low.value(power, x.dtype))


@op("rsqrt.default")
def _rsqrt(low: Lowering, call: Call, x: Tensor) -> str:
    return low.graph.add("Reciprocal", low.graph.add("Sqrt", low.value(x)))


@op("log10.default")
def _log10(low: Lowering, call: Call, x: Tensor) -> str:
    return low.graph.add("Mul", low.graph.add("Log", low.value(x)), low.value(1 / math.log(10), x.dtype))


@op("expm1.default")
def _expm1(low: Lowering, call: Call, x: Tensor) -> str:
    return low.graph.add("Sub", low.graph.add("Exp", low.value(x)), low.value(1.0, x.dtype))


@op("silu.default")
def _silu(low: Lowering, call: Call, x: Tensor) -> str:
    name = low.value(x)
    return low.graph.add("Mul", name, low.graph.add("Sigmoid", name))


@op("gelu.default")
def _gelu(low: Lowering, call: Call, x: Tensor, approximate: str = "none") -> str:
    return low.graph.add("Gelu", low.value(x), approximate=approximate)


@op("softplus.default")
def _softplus(low: Lowering, call: Call, x: Tensor, beta: float = 1, threshold: float = 20) -> str:
    return low.graph.add("Softplus", low.value(x))


@op("glu.default")
def _glu(low: Lowering, call: Call, x: Tensor, dim: int = -1) -> str:
    a, b = low.graph.add_many("Split", [low.value(x)], 2, axis=dim, num_outputs=2)
    return low.graph.add("Mul", a, low.graph.add("Sigmoid", b))


@op("addcmul.default")
def _addcmul(low: Lowering, call: Call, a: Tensor, b: Tensor, c: Tensor) -> str:
    kind = call.outputs[0].dtype
    return low.graph.add("Add", low.value(a, kind), low.graph.add("Mul", low.value(b, kind), low.value(c, kind)))


@op("lerp.Tensor", "lerp.Scalar")
def _lerp(low: Lowering, call: Call, a: Tensor, b: Tensor, weight: Any) -> str:
    x, kind = low.value(a), a.dtype
    return low.graph.add("Add", x, low.graph.add("Mul", low.value(weight, kind), low.graph.add("Sub", low.value(b), x)))


@op("clamp.default", "clamp_min.default", "clamp_max.default", "hardtanh.default")
def _clamp(low: Lowering, call: Call, x: Tensor, low_end: Any = None, high_end: Any = None, **ends: Any) -> str:
    if call.name == "aten.clamp_max.default":
        low_end, high_end = None, low_end
    if call.name == "aten.hardtanh.default" and low_end is None:
        low_end, high_end = -1.0, 1.0
    low_end, high_end = ends.get("min", low_end), ends.get("max", high_end)
    kind = call.outputs[0].dtype
    limits = ["" if end is None else low.value(end, kind) for end in (low_end, high_end)]
    return low.graph.add("Clip", low.value(x, kind), *limits)


@op("nan_to_num.default")
def _nan_to_num(low: Lowering, call: Call, x: Tensor, nan: float | None = None, *_: Any) -> str:
    name = low.value(x)
    if not x.dtype.is_floating_point:
        return name
    most = torch.finfo(x.dtype).max
    finite = low.graph.add("Clip", name, low.value(-most, x.dtype), low.value(most, x.dtype))
    return low.graph.add("Where", low.graph.add("IsNaN", name), low.value(nan or 0.0, x.dtype), finite)


@op("where.self")
def _where(low: Lowering, call: Call, condition: Tensor, a: Tensor, b: Tensor) -> str:
    kind = call.outputs[0].dtype
    return low.graph.add("Where", low.value(condition), low.value(a, kind), low.value(b, kind))


@op("masked_fill.Scalar")
def _masked_fill(low: Lowering, call: Call, x: Tensor, mask: Tensor, value: Any) -> str:
    return low.graph.add("Where", low.value(mask), low.value(value, x.dtype), low.value(x))


@op("view.default", "_unsafe_view.default", "reshape.default")
def _view(low: Lowering, call: Call, x: Tensor, sizes: Sequence[Any]) -> str:
    return low.reshape(low.value(x), call.shapes[0])


@op("expand.default")
def _expand(low: Lowering, call: Call, x: Tensor, sizes: Sequence[Any], **_: Any) -> str:
    if tuple(call.outputs[0].shape) == tuple(x.shape):
        return low.value(x)
    # A size of 1 keeps what is there.
    kept = (*[None] * (len(sizes) - x.ndim), *x.shape)
    wanted = [1 if size == old else size for size, old in zip(call.shapes[0], kept, strict=True)]
    return low.graph.add("Expand", low.value(x), low.graph.shape(wanted))


@op("unsqueeze.default")
def _unsqueeze(low: Lowering, call: Call, x: Tensor, dim: int) -> str:
    return low.graph.add("Unsqueeze", low.value(x), low.graph.integers(dim))


@op("squeeze.dim", "squeeze.dims")
def _squeeze(low: Lowering, call: Call, x: Tensor, dim: Any) -> str:
    dims = [d for d in ([dim] if isinstance(dim, int) else dim) if x.shape[d] == 1]
    return low.graph.add("Squeeze", low.value(x), low.graph.integers(*dims)) if dims else low.value(x)


@op("permute.default")
def _permute(low: Lowering, call: Call, x: Tensor, dims: Sequence[int]) -> str:
    return low.transpose(low.value(x), [d % x.ndim for d in dims])


@op("transpose.int", "t.default")
def _transpose(low: Lowering, call: Call, x: Tensor, a: int = 0, b: int = 1) -> str:
    order = list(range(x.ndim))
    order[a], order[b] = order[b], order[a]
    return low.transpose(low.value(x), order)


@op("slice.Tensor")
def _slice(
    low: Lowering, call: Call, x: Tensor, dim: int = 0, start: Any = None, end: Any = None, step: int = 1
) -> Any:
    if call.outputs[0].shape == x.shape:
        return low.raw(x)
    dim %= x.ndim
    first, last, _ = slice(start, end, step).indices(x.shape[dim])
    ranges = (low.graph.integers(value) for value in (first, last, dim, step))
    part = low.part(low.value(x), dim, first, last) if step == 1 else None
    return part or low.graph.add("Slice", low.value(x), *ranges)


@op("slice_scatter.default")
def _slice_scatter(
    low: Lowering, call: Call, x: Tensor, part: Tensor, dim: int = 0, start: Any = None, end: Any = None, step: int = 1
) -> str:
    size, name = x.shape[dim], low.value(x)
    first, last, _ = slice(start, end, step).indices(size)
    if step != 1:
        raise UsageError("it cannot be exported: it writes to every other step")
    before, _, after = low.graph.add_many(
        "Split", [name, low.graph.integers(first, last - first, size - last)], 3, axis=dim
    )
    return low.graph.add("Concat", before, low.value(part, x.dtype), after, axis=dim)


@op("select.int")
def _select(low: Lowering, call: Call, x: Tensor, dim: int, index: int) -> str:
    found = low.raw(x)
    if isinstance(found, Complex):
        return found[index]
    return low.graph.add("Gather", low.value(x), low.graph.constant(index, np.int64), axis=dim)


@op("unbind.int")
def _unbind(low: Lowering, call: Call, x: Tensor, dim: int = 0) -> list[str]:
    name = low.value(x)
    return [low.graph.add("Gather", name, low.graph.constant(n, np.int64), axis=dim) for n in range(x.shape[dim])]


@op("split.Tensor", "unsafe_split.Tensor", "split_with_sizes.default", "chunk.default")
def _split(low: Lowering, call: Call, x: Tensor, sizes: Any, dim: int = 0) -> list[str]:
    lengths = [part.shape[dim] for part in call.outputs]
    return low.graph.add_many("Split", [low.value(x), low.graph.integers(*lengths)], len(lengths), axis=dim)


@op("cat.default")
def _cat(low: Lowering, call: Call, parts: Sequence[Tensor], dim: int = 0) -> str:
    kind = call.outputs[0].dtype
    some = [part for part in parts if part.shape[dim]] or [parts[0]]
    dim %= parts[0].ndim
    return low.concatenate([low.value(part, kind) for part in some], [part.shape[dim] for part in some], dim)


@op("stack.default")
def _stack(low: Lowering, call: Call, parts: Sequence[Tensor], dim: int = 0) -> str:
    axis = low.graph.integers(dim)
    return low.graph.add("Concat", *(low.graph.add("Unsqueeze", low.value(part), axis) for part in parts), axis=dim)


@op("unfold.default")
def _unfold(low: Lowering, call: Call, x: Tensor, dim: int, size: int, step: int) -> str:
    dim %= x.ndim
    places = np.arange(0, x.shape[dim] - size + 1, step)[:, None] + np.arange(size)
    found = low.graph.add("Gather", low.value(x), low.graph.constant(places), axis=dim)
    return low.transpose(found, [*range(dim + 1), *range(dim + 2, x.ndim + 1), dim + 1])


@op("flip.default")
def _flip(low: Lowering, call: Call, x: Tensor, dims: Sequence[int]) -> str:
    name = low.value(x)
    for dim in dims:
        name = low.graph.add("Gather", name, low.graph.constant(np.arange(x.shape[dim])[::-1]), axis=dim)
    return name


@op("roll.default")
def _roll(low: Lowering, call: Call, x: Tensor, shifts: Sequence[int], dims: Sequence[int]) -> str:
    ((shift,), (dim,)) = shifts, dims
    cut = x.shape[dim] - shift % x.shape[dim]
    lengths = low.graph.integers(cut, x.shape[dim] - cut)
    first, last = low.graph.add_many("Split", [low.value(x), lengths], 2, axis=dim)
    return low.graph.add("Concat", last, first, axis=dim)


@op("constant_pad_nd.default")
def _pad(low: Lowering, call: Call, x: Tensor, padding: Sequence[int], value: Any = 0) -> str:
    before, after = ([0] * x.ndim for _ in range(2))
    for place in range(len(padding) // 2):
        before[-1 - place], after[-1 - place] = padding[2 * place], padding[2 * place + 1]
    name = low.value(x)
    if not any(padding):
        return name
    if x.dtype == torch.bool:  # ONNX pads numbers alone
        padded = low.graph.add("Pad", low.cast(name, torch.uint8), low.graph.integers(*before, *after))
        return low.cast(padded, torch.bool)
    found = low.graph.add("Pad", name, low.graph.integers(*before, *after), low.value(value, x.dtype))
    if not any(before) and not any(after[:-1]) and not value:
        low.padded[found] = name, x.shape[-1]
    return found


@op("repeat.default")
def _repeat(low: Lowering, call: Call, x: Tensor, repeats: Sequence[Any]) -> str:
    return low.graph.add("Tile", low.value(x), low.graph.shape(repeats))


@op("repeat_interleave.self_int")
def _repeat_interleave(low: Lowering, call: Call, x: Tensor, repeats: int, dim: int, **_: Any) -> str:
    places = np.repeat(np.arange(x.shape[dim]), repeats)
    return low.graph.add("Gather", low.value(x), low.graph.constant(places), axis=dim)


@op("index_select.default")
def _index_select(low: Lowering, call: Call, x: Tensor, dim: int, index: Tensor) -> str:
    return low.graph.add("Gather", low.value(x), low.value(index), axis=dim)


@op("index.Tensor")
def _index(low: Lowering, call: Call, x: Tensor, indices: Sequence[Tensor | None]) -> str:
    places = [dim for dim, index in enumerate(indices) if index is not None]
    if len(places) != 1 or indices[places[0]].dtype == torch.bool:  # type: ignore[union-attr]
        raise UsageError("it cannot be exported: it indexes by several tensors, or by a mask")
    return low.graph.add("Gather", low.value(x), low.value(indices[places[0]]), axis=places[0])


@op("gather.default")
def _gather(low: Lowering, call: Call, x: Tensor, dim: int, index: Tensor) -> str:
    return low.graph.add("GatherElements", low.value(x), low.value(index), axis=dim)


@op("scatter_add.default")
def _scatter_add(low: Lowering, call: Call, x: Tensor, dim: int, index: Tensor, source: Tensor) -> str:
    return low.graph.add(
        "ScatterElements", low.value(x), low.value(index), low.value(source), axis=dim, reduction="add"
    )


@op("embedding.default")
def _embedding(low: Lowering, call: Call, weight: Tensor, rows: Tensor, *_: Any) -> str:
    return low.graph.add("Gather", low.value(weight), low.value(rows), axis=0)


@op("_embedding_bag_forward_only.default", "_embedding_bag.default")
def _embedding_bag(low: Lowering, call: Call, weight: Tensor, rows: Tensor, offsets: Tensor, *_: Any) -> list[str]:
    size = rows.numel() // offsets.numel()
    bags = low.graph.add("Reshape", low.value(rows), low.graph.integers(-1, size))
    found = low.graph.add("Gather", low.value(weight), bags, axis=0)
    return [low.graph.add("ReduceSum", found, low.graph.integers(1), keepdims=0)]


def _reduce(names: str, node: str) -> None:
    def function(low: Lowering, call: Call, x: Tensor, dims: Any = None, keepdim: bool = False, **_: Any) -> str:
        axes = list(range(x.ndim)) if dims is None else [dims] if isinstance(dims, int) else list(dims)
        name = low.value(x, call.outputs[0].dtype)
        return low.graph.add(node, name, low.graph.integers(*axes), keepdims=int(keepdim))

    op(*names.split())(function)


_reduce("sum.dim_IntList", "ReduceSum")
_reduce("mean.dim", "ReduceMean")
_reduce("amax.default", "ReduceMax")


@op("linalg_vector_norm.default")
def _norm(
    low: Lowering, call: Call, x: Tensor, order: Any = 2, dims: Any = None, keepdim: bool = False, **_: Any
) -> str:
    if order != 2 or dims is None:
        raise UsageError("it cannot be exported: of norms there is the Euclidean one of given axes alone")
    return low.graph.add("ReduceL2", low.value(x), low.graph.integers(*dims), keepdims=int(keepdim))


@op("any.dim")
def _any(low: Lowering, call: Call, x: Tensor, dim: int, keepdim: bool = False) -> str:
    found = low.graph.add(
        "ReduceMax", low.cast(low.value(x), torch.uint8), low.graph.integers(dim), keepdims=int(keepdim)
    )
    return low.cast(found, torch.bool)


@op("argmax.default")
def _argmax(low: Lowering, call: Call, x: Tensor, dim: int, keepdim: bool = False) -> str:
    return low.graph.add("ArgMax", low.value(x), axis=dim, keepdims=int(keepdim))


@op("cumsum.default")
def _cumsum(low: Lowering, call: Call, x: Tensor, dim: int, **_: Any) -> str:
    return low.graph.add("CumSum", low.value(x, call.outputs[0].dtype), low.graph.constant(dim, np.int64))


@op("_softmax.default", "_log_softmax.default", "softmax.int", "log_softmax.int")
def _softmax(low: Lowering, call: Call, x: Tensor, dim: int, *_: Any) -> str:
    return low.graph.add("LogSoftmax" if "log" in call.name else "Softmax", low.value(x), axis=dim)


@op("addmm.default")
def _addmm(low: Lowering, call: Call, bias: Tensor, x: Tensor, weight: Tensor) -> str:
    return low.product(call, x, weight, low.value(bias))


@op("mm.default")
def _mm(low: Lowering, call: Call, x: Tensor, weight: Tensor) -> str:
    return low.product(call, x, weight, None)


@op("mv.default")
def _mv(low: Lowering, call: Call, x: Tensor, vector: Tensor) -> str:
    return low.graph.add("MatMul", low.value(x), low.value(vector))


@op("bmm.default")
def _bmm(low: Lowering, call: Call, a: Tensor, b: Tensor) -> str:
    return low.products(call, a, b)


@op("_scaled_dot_product_flash_attention_for_cpu.default")
def _attention(
    low: Lowering, call: Call, q: Tensor, k: Tensor, v: Tensor, *_: Any, attn_mask: Any = None, **rest: Any
) -> list[str]:
    if len(_) > 1 and _[1]:
        raise UsageError("it cannot be exported: it attends causally by PyTorch's own function")
    scale = q.shape[-1] ** -0.5 if rest.get("scale") is None else rest["scale"]
    order = [*range(k.ndim - 2), k.ndim - 1, k.ndim - 2]
    scaled = low.graph.add("Mul", low.value(q), low.value(scale, q.dtype))
    scores = low.graph.add("MatMul", scaled, low.transpose(low.value(k), order))
    if attn_mask is not None:
        scores = low.graph.add("Add", scores, low.value(attn_mask))
    return [low.graph.add("MatMul", low.graph.add("Softmax", scores, axis=-1), low.value(v))]


@op("native_layer_norm.default")
def _layer_norm(
    low: Lowering, call: Call, x: Tensor, shape: Sequence[int], weight: Any, bias: Any, eps: float
) -> list[str]:
    scale = low.value(torch.ones(tuple(shape)) if weight is None else weight)
    inputs = [low.value(x), scale, *([] if bias is None else [low.value(bias)])]
    return [low.normalised(low.graph.add("LayerNormalization", *inputs, axis=-len(shape), epsilon=eps))]


@op("_native_batch_norm_legit_no_training.default", "native_batch_norm.default", "cudnn_batch_norm.default")
def _batch_norm(
    low: Lowering, call: Call, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, *rest: Any
) -> list[str]:
    inputs = [low.value(part) for part in (x, weight, bias, mean, variance)]
    return [low.graph.add("BatchNormalization", *inputs, epsilon=rest[-1])]


@op("convolution.default")
def _convolution(
    low: Lowering,
    call: Call,
    x: Tensor,
    weight: Tensor,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
) -> str:
    if transposed:
        raise UsageError("it cannot be exported: it has a transposed convolution")
    inputs = [low.value(x), low.value(weight), *([] if bias is None else [low.value(bias)])]
    return low.graph.add(
        "Conv",
        *inputs,
        strides=list(stride),
        pads=[*padding, *padding],
        dilations=list(dilation),
        group=groups,
        kernel_shape=list(weight.shape[2:]),
    )


@op("max_pool2d_with_indices.default", "avg_pool2d.default")
def _pool(
    low: Lowering, call: Call, x: Tensor, kernel: Any, stride: Any = (), padding: Any = (0, 0), *_: Any
) -> list[str]:
    node = "MaxPool" if "max" in call.name else "AveragePool"
    more: dict[str, Any] = {} if node == "MaxPool" else {"count_include_pad": 1}
    pads = [*padding, *padding]
    return [
        low.graph.add(node, low.value(x), kernel_shape=list(kernel), strides=list(stride or kernel), pads=pads, **more)
    ]


@op("_adaptive_avg_pool2d.default")
def _adaptive(low: Lowering, call: Call, x: Tensor, size: Sequence[int]) -> str:
    height, width = x.shape[-2:]
    name = low.value(x)
    if not height % size[0] and not width % size[1]:
        kernel = [height // size[0], width // size[1]]
        return low.graph.add("AveragePool", name, kernel_shape=kernel, strides=kernel)
    down, across = (low.value(_cells(*sizes).to(x.dtype)) for sizes in ((height, size[0]), (width, size[1])))
    return low.graph.add("MatMul", low.graph.add("MatMul", down, name), low.transpose(across, [1, 0]))


def _cells(size: int, count: int) -> Tensor:
    """(count, size): means over the cells of an adaptive pooling, which overlap where they do not fit."""
    return torch.nn.functional.adaptive_avg_pool1d(torch.eye(size)[None], count)[0].T


@op("_fft_r2c.default")
def _rfft(low: Lowering, call: Call, x: Tensor, dims: Sequence[int], normalization: int, onesided: bool) -> Complex:
    """The discrete Fourier transform as two products: on windows this short they cost no more than its fast way."""
    size, bins = x.shape[-1], call.outputs[0].shape[-1]
    if list(dims) != [x.ndim - 1] or normalization or not onesided:
        raise UsageError("it cannot be exported: of Fourier transforms there is the plain one of the last axis alone")
    name, rows = low.padded.get(low.value(x), (low.value(x), size))  # zeros behind a window have nothing to add
    angles = 2 * np.pi * (np.outer(np.arange(rows), np.arange(bins)) % size) / size
    kind = x.detach().numpy().dtype
    return Complex(
        *(low.graph.add("MatMul", name, low.graph.constant(part, kind)) for part in (np.cos(angles), -np.sin(angles)))
    )
