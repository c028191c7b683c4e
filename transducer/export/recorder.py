"""What a function of tensors does, as the operators of PyTorch that it calls.

A step does not depend on values, only on shapes, so that what it does once it always does. It is recorded for batches
of two sizes: numbers that grow with the batch tell where a shape has it, all else is constant. `torch.export` says the
same with symbols, and takes minutes where this takes seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from transducer.errors import UsageError

SIZES = (2, 3)  # of the batches
# Of what they are given they take the type alone.
FACTORIES = {"new_zeros", "new_ones", "new_full", "new_empty", "zeros_like", "ones_like", "full_like", "empty_like"}


class Batch(NamedTuple):
    """A number that is so many times the size of the batch."""

    times: int


Shape = tuple["int | Batch", ...]


class Call(NamedTuple):
    """An operator that was called with something that depends on the inputs.

    Attributes:
        name: such as "aten.add.Tensor".
        args, kwargs: tensors and all else; numbers that grow with the batch are `Batch`.
        outputs: tensors. shapes: of them.
    """

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: tuple[Tensor, ...]
    shapes: tuple[Shape, ...]


class Recording(NamedTuple):
    """Of one function.

    Attributes:
        inputs, outputs: tensors of the first run.
        calls: in their order.
        others: id of a tensor of the first run that depends on nothing but the batch -> the same of the second run.
    """

    inputs: list[Tensor]
    outputs: list[Tensor]
    calls: list[Call]
    others: dict[int, Tensor]


class _Recorder(TorchDispatchMode):
    def __init__(self, inputs: Sequence[Tensor]):
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = {id(x): x for x in inputs}
        self.calls: list[tuple[Any, tuple[Any, ...], dict[str, Any], tuple[Tensor, ...]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        found = func(*args, **kwargs)
        if func.overloadpacket.__name__ in FACTORIES:
            return found
        if any(isinstance(x, Tensor) and id(x) in self.live for x in pytree.tree_leaves((args, kwargs))):
            outputs = tuple(x for x in pytree.tree_leaves(found) if isinstance(x, Tensor))
            self.live.update((id(x), x) for x in outputs)
            self.calls.append((func, args, kwargs, outputs))
        return found


def record(function: Callable[..., Any], make: Callable[[int], Sequence[Tensor]]) -> Recording:
    """Record a function of tensors whose dimension 0 is the batch.

    Args:
        make: inputs for a batch of a size.

    Raises:
        UsageError: what it does depends on the batch in another way than that its tensors are larger.
    """
    runs = []
    for size in SIZES:
        inputs = list(make(size))
        with torch.no_grad(), _Recorder(inputs) as recorder:
            found = torch.func.functionalize(function, remove="mutations")(*inputs)
        runs.append((inputs, [x for x in pytree.tree_leaves(found)], recorder))
    (inputs, outputs, first), (_, _, second) = runs
    if [func for func, *_ in first.calls] != [func for func, *_ in second.calls]:
        raise UsageError("it cannot be exported: what it does depends on the size of the batch")
    calls: list[Call] = []
    others: dict[int, Tensor] = {}
    for (func, args, kwargs, found), (_, args2, kwargs2, found2) in zip(first.calls, second.calls, strict=True):
        one, spec = pytree.tree_flatten((args, kwargs))
        two = pytree.tree_leaves((args2, kwargs2))
        merged = [_merge(a, b, str(func)) for a, b in zip(one, two, strict=True)]
        others.update((id(a), b) for a, b in zip(one, two, strict=True) if isinstance(a, Tensor))
        new_args, new_kwargs = pytree.tree_unflatten(merged, spec)
        shapes = tuple(_shape(a, b) for a, b in zip(found, found2, strict=True))
        calls.append(Call(str(func), tuple(new_args), new_kwargs, found, shapes))
    return Recording(inputs, outputs, calls, others)


def _shape(one: Tensor, two: Tensor) -> Shape:
    return tuple(_merge(a, b, "a shape") for a, b in zip(one.shape, two.shape, strict=True))


def _merge(one: Any, two: Any, name: str) -> Any:
    if isinstance(one, Tensor) or one == two:
        return one
    times, rest = divmod(one, SIZES[0]) if type(one) is int and type(two) is int else (0, 1)
    if rest or times * SIZES[1] != two:
        raise UsageError(f"it cannot be exported: {name} depends on the size of the batch")
    return Batch(times)
