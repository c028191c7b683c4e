"""A network that onnxruntime computes, graph by graph."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from transducer.engine.threads import threads
from transducer.errors import CheckpointError, UsageError
from transducer.model.state import State, split, stack

NEEDED = "an exported model needs onnxruntime: pip install 'streaming-transducer[onnx]'"
METADATA = "transducer"  # the key of what a graph says of itself
GRAPH_FORMAT = 1


def onnxruntime() -> Any:
    """The library. Raises UsageError where it is not installed."""
    try:
        import onnxruntime as found
    except ImportError:
        raise UsageError(NEEDED) from None
    return found


class Graph:
    """A step as a function: inputs and state -> outputs and state.

    Raises:
        CheckpointError: the file is no graph that this library can run, or of another version.
    """

    def __init__(self, path: Path):
        options = onnxruntime().SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads(), 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        # Memory that grows by what is asked for, and not by powers of two.
        options.enable_mem_pattern, options.enable_cpu_mem_arena = False, False
        try:
            self.session = onnxruntime().InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            document = json.loads(self.session.get_modelmeta().custom_metadata_map.get(METADATA, "{}"))
        except Exception as error:  # its exceptions have no common class
            line = (str(error).splitlines() or [""])[0][:200]
            raise CheckpointError(f"{path} cannot be run by this onnxruntime ({line}): export it again") from None
        if document.get("format") != GRAPH_FORMAT:
            raise CheckpointError(
                f"{path} has format {document.get('format')}, this version of transducer runs {GRAPH_FORMAT}: "
                "export the model again"
            )
        self.states: list[dict[str, Any]] = document["states"]
        self._taken = {found.name for found in self.session.get_inputs()}
        self._given = [found.name for found in self.session.get_outputs()]

    def init_state(self, batch: int) -> tuple[NDArray[Any], ...]:
        """Before the first step of so many rows."""
        return tuple(np.full((batch, *item["shape"]), item["fill"], item["dtype"]) for item in self.states)

    def run(self, state: Sequence[NDArray[Any]], **inputs: NDArray[Any]) -> tuple[list[Any], tuple[NDArray[Any], ...]]:
        """The outputs by their order, and the new state."""
        feed = {name: value for name, value in inputs.items() if name in self._taken}
        names = (f"state.{number}" for number in range(len(self.states)))
        feed.update((name, part) for name, part in zip(names, state, strict=True) if name in self._taken)
        found = self.session.run(self._given, feed)
        count = len(found) - len(self.states)
        return found[:count], tuple(found[count:])


class Stretch(NamedTuple):
    """The graphs for so many steps of the medium at a time: up to the heads, and of the heads."""

    steps: int
    encoder: Graph
    heads: tuple[Graph, ...]


class OnnxBackend:
    """See `transducer.engine.backend.Backend`.

    Args:
        stretches: the longest first; `block` is the last one's.
        stride, latency, lookahead: of the network.
        alone: whether each row is computed alone, because the numbers of all rows are rounded together.
    """

    whole = False

    def __init__(self, stretches: Sequence[Stretch], stride: int, latency: int, lookahead: int, alone: bool):
        self._stretches, self._alone = list(stretches), alone
        self.block = self._stretches[-1].steps
        self.stride, self.latency, self.lookahead = stride, latency, lookahead

    def init_state(self, batch: int) -> State:
        """See `Backend`."""
        last = self._stretches[-1]
        return (last.encoder.init_state(batch), *(head.init_state(batch) for head in last.heads))

    def step(
        self, x: NDArray[Any], exists: NDArray[np.bool_], state: State
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_], State]:
        """See `Backend`."""
        if self._alone and len(x) > 1:
            rows = [self.step(x[n : n + 1], exists[n : n + 1], part) for n, part in enumerate(split(state))]
            ys, exist, states = zip(*rows, strict=True)
            return np.concatenate(ys), np.concatenate(exist), stack(states)
        outputs: list[NDArray[np.float32]] = []
        masks: list[NDArray[np.bool_]] = []
        at = 0
        while at < x.shape[1]:
            stretch = next((s for s in self._stretches if s.steps <= x.shape[1] - at), self._stretches[-1])
            part = slice(at, at := at + stretch.steps)
            (features, there), encoder = stretch.encoder.run(state[0], x=x[:, part], exists=exists[:, part])
            found: list[NDArray[np.float32]] = []
            after: list[State] = [encoder]
            for head, before in zip(stretch.heads, state[1:], strict=True):
                (y, mask), new = head.run(before, x=features, exists=there)
                found.append(y)
                after.append(new)
            outputs.append(found[0] if len(found) == 1 else np.concatenate(found, axis=-1))
            masks.append(mask)
            state = tuple(after)
        return np.concatenate(outputs, axis=1), np.concatenate(masks, axis=1), state

    def conclude(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Backend`."""
        raise NotImplementedError("all of an exported network streams")


class OnnxPredictor:
    """See `transducer.search.tokens.rows.Predictor`."""

    def __init__(self, predictor: Graph, joint: Graph):
        self._predictor, self._joint = predictor, joint

    def start(self) -> State:
        return self._predictor.init_state(1)

    def extend(self, tokens: Sequence[int], state: State) -> tuple[NDArray[np.float32], State]:
        (output,), state = self._predictor.run(state, tokens=np.array(tokens, np.int64))
        return output, state

    def joint(self, frames: NDArray[np.float32], outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        ((log_probs,), _) = self._joint.run((), frames=frames, outputs=outputs)
        found: NDArray[np.float32] = log_probs
        return found


@lru_cache(maxsize=64)
def open_graph(path: Path, crc: int) -> Graph:
    """The graph of a file, once however many use it; its checksum tells one file from another of the same name."""
    return Graph(path)
