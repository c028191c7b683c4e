"""A stage's step as a graph: (inputs, state) -> (outputs, state), for any size of the batch."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from transducer.engine.onnx_backend import GRAPH_FORMAT, METADATA
from transducer.errors import UsageError
from transducer.export.graph import OPSET, Graph
from transducer.export.lower import Lowering
from transducer.export.recorder import Recording, record
from transducer.model.sequence import Streaming

Step = Callable[..., tuple[Sequence[Tensor], Any]]  # inputs, state -> outputs, new state


def stage_graph(stage: Streaming, steps: int, channels: int, dtype: np.dtype[Any], int8: bool) -> onnx.ModelProto:
    """The step of a stage on so many steps of so many channels, see `stage_graphs`."""
    return stage_graphs(stage, [steps], channels, dtype, int8)[0]


def stage_graphs(
    stage: Streaming, lengths: Sequence[int], channels: int, dtype: np.dtype[Any], int8: bool
) -> list[onnx.ModelProto]:
    """The step of a stage for each of some numbers of steps; all of them have the same state.

    Raises:
        UsageError: the stage cannot step, or does what ONNX cannot say.
    """

    def inputs(steps: int, batch: int) -> dict[str, Tensor]:
        x = torch.from_numpy(np.zeros((batch, steps, channels), dtype))
        return {"x": x, "exists": torch.ones(batch, steps, dtype=torch.bool)}

    def step(x: Tensor, exists: Tensor, state: Any) -> tuple[Sequence[Tensor], Any]:
        y, there, state = stage.step(x, exists, state)
        return (y, there), state

    made = [partial(inputs, steps) for steps in lengths]
    return function_graphs(step, made, lambda batch: stage.init_state(batch, torch.zeros(())), ("y", "there"), int8)


def function_graphs(
    function: Step,
    inputs: Sequence[Callable[[int], dict[str, Tensor]]],
    states: Callable[[int], Any],
    outputs: Sequence[str],
    int8: bool,
) -> list[onnx.ModelProto]:
    """A function of inputs and a state as graphs; parts of the state that hold nothing are left out of them.

    Args:
        inputs: each for a graph, of a batch of a size. states: of such a batch. outputs: names.
    """
    leaves, spec = pytree.tree_flatten(states(1))
    kept = [number for number, leaf in enumerate(leaves) if leaf.numel()]
    names = list(inputs[0](1))

    def flat(*tensors: Tensor) -> list[Tensor]:
        given, rest = tensors[: len(names)], iter(tensors[len(names) :])
        batch = given[0].shape[0]
        empty = pytree.tree_leaves(states(batch))
        state = [next(rest) if number in kept else leaf for number, leaf in enumerate(empty)]
        found, new = function(*given, pytree.tree_unflatten(state, spec))
        after = pytree.tree_leaves(new)
        return [*found, *(after[number] for number in kept)]

    def make(given: Callable[[int], dict[str, Tensor]], batch: int) -> list[Tensor]:
        state = pytree.tree_leaves(states(batch))
        return [*given(batch).values(), *(state[number] for number in kept)]

    items = [_described(leaves[number]) for number in kept]
    recordings = [record(flat, partial(make, given)) for given in inputs]
    return _lowered(recordings, names, outputs, items, int8)


def _lowered(
    recordings: Sequence[Recording],
    inputs: Sequence[str],
    outputs: Sequence[str],
    items: Sequence[dict[str, Any]],
    int8: bool,
) -> list[onnx.ModelProto]:
    """The graphs, in which parts of the state that are always equal are one.

    Those that begin equal are taken for equal. If then each of them becomes the same value, they are; those that do
    not are taken apart, and so on. So layers side by side work out once where they are, and which steps exist.
    """
    groups = [json.dumps(item) for item in items]
    while True:
        order = list(dict.fromkeys(groups))
        names = [*inputs, *(f"state.{order.index(group)}" for group in groups)]
        made = [_graph(recording, names, int8) for recording in recordings]
        after = zip(*(values[len(outputs) :] for _, values in made), strict=True)
        refined = [" ".join([group, *values]) for group, values in zip(groups, after, strict=True)]
        if len(set(refined)) == len(order):
            break
        groups = refined
    first = [groups.index(group) for group in order]
    places = [*range(len(outputs)), *(len(outputs) + number for number in first)]
    results = [*outputs, *(f"new.{number}" for number in range(len(order)))]
    metadata = {"format": GRAPH_FORMAT, "opset": OPSET, "states": [items[number] for number in first]}
    return [
        graph.finish(
            {name: values[place] for name, place in zip(results, places, strict=True)},
            {name: recording.outputs[place].numpy() for name, place in zip(results, places, strict=True)},
            {METADATA: json.dumps(metadata)},
        )
        for (graph, values), recording in zip(made, recordings, strict=True)
    ]


def _graph(recording: Recording, names: Sequence[str], int8: bool) -> tuple[Graph, list[str]]:
    """The nodes of a recording, and the values that come out."""
    graph = Graph()
    for name, x in dict(zip(names, recording.inputs, strict=True)).items():
        graph.input(name, x.shape, x.numpy().dtype)
    lowering = Lowering(graph, recording, names, int8)
    return graph, [lowering.value(x) for x in recording.outputs]


def _described(leaf: Tensor) -> dict[str, Any]:
    fill = leaf.flatten()[0]
    if not bool((leaf == fill).all()):
        raise UsageError("it cannot be exported: a state does not begin with one number everywhere")
    return {"shape": list(leaf.shape[1:]), "dtype": str(leaf.numpy().dtype), "fill": fill.item()}
