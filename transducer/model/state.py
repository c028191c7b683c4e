"""States of streams, whatever computes them: arrays with the batch on dimension 0, in tuples or mappings.

Arrays are those of NumPy, or tensors of PyTorch, which nothing here imports before there is one.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

# An array with the batch on dimension 0, or a tuple (NamedTuple) or mapping of states; () is no state.
State = Any


def select(state: State, rows: Any) -> State:
    """The state of some rows of a batch, in the order given; a row may come more than once (beam search).

    Args:
        rows: numbers, or an array of them of the same kind as the state's.
    """
    if is_array(state):
        return state[rows if is_array(rows) else list(rows)]
    return _rebuild(state, [select(part, rows) for part in _parts(state)])


def stack(states: Sequence[State]) -> State:
    """States of separate streams -> the state of their batch, rows in the order given."""
    first = states[0]
    if isinstance(first, np.ndarray):
        return np.concatenate(states)
    if is_array(first):
        import torch

        return torch.cat(list(states), dim=0)
    return _rebuild(first, [stack(parts) for parts in zip(*map(_parts, states), strict=True)])


def split(state: State) -> list[State]:
    """The state of a batch -> one state of batch 1 for each row; the inverse of `stack`."""
    return [_row(state, row) for row in range(batch_size(state))]


def batch_size(state: State) -> int:
    """Rows of a state; 0 for one that holds no array."""
    if is_array(state):
        return int(state.shape[0])
    return next((n for n in map(batch_size, _parts(state)) if n), 0)


def fits(state: State, other: State) -> bool:
    """Whether both have the same structure, and arrays of the same kind and shapes."""
    if is_array(state) or is_array(other):
        return type(state) is type(other) and state.shape == other.shape
    return len(state) == len(other) and all(map(fits, _parts(state), _parts(other)))


def put(rows: Sequence[int], new: State, old: State) -> None:
    """Write the rows of `new` to these rows of `old`, in place."""
    if is_array(old):
        old[list(rows)] = new
        return
    for into, part in zip(_parts(old), _parts(new), strict=True):
        put(rows, part, into)


def choose(rows: NDArray[np.bool_], new: State, old: State) -> State:
    """Where `rows` (B,) is True the row of `new` (which may have one row for all), elsewhere that of `old`."""
    if isinstance(old, np.ndarray):
        return np.where(rows.reshape(-1, *[1] * (old.ndim - 1)), new, old)
    if is_array(old):
        import torch

        return torch.where(torch.from_numpy(rows).to(old.device).view(-1, *[1] * (old.ndim - 1)), new, old)
    return _rebuild(old, [choose(rows, a, b) for a, b in zip(_parts(new), _parts(old), strict=True)])


def is_array(state: State) -> bool:
    """Whether it is an array itself, and not made of others."""
    return hasattr(state, "shape")


def _row(state: State, row: int) -> State:
    if is_array(state):
        return state[row : row + 1]
    return _rebuild(state, [_row(part, row) for part in _parts(state)])


def _parts(state: State) -> list[State]:
    # In the order of their names: two mappings are the same whatever order they were made in.
    return [state[name] for name in sorted(state)] if isinstance(state, Mapping) else list(state)


def _rebuild(like: State, parts: list[State]) -> State:
    if isinstance(like, Mapping):
        return dict(zip(sorted(like), parts, strict=True))
    return type(like)(*parts) if hasattr(like, "_fields") else tuple(parts)


def as_numpy(array: Any) -> NDArray[Any]:
    """An array of either kind as one of NumPy, in the main memory."""
    return array if isinstance(array, np.ndarray) else array.detach().cpu().numpy()


def as_like(array: NDArray[Any], other: Any) -> Any:
    """An array as one of the same kind as another, where that is."""
    return array if isinstance(other, np.ndarray) else _tensor(array, other.device)


def on_device(array: NDArray[Any], device: Any) -> Any:
    """An array as a tensor of PyTorch on a device; as it is where the device is None."""
    return array if device is None else _tensor(array, device)


def without_gradients() -> AbstractContextManager[Any]:
    """Computes without gradients; where PyTorch is not loaded, there are none."""
    torch = sys.modules.get("torch")
    return nullcontext() if torch is None else torch.inference_mode()


def _tensor(array: NDArray[Any], device: Any) -> Any:
    import torch

    return torch.from_numpy(array).to(device)
