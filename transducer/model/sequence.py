"""The streaming contract: every stage between media and results is a `Streaming` module.

Legend of axis suffixes: B batch, T time steps, C channels.

The law that the project stands on: for any way of cutting the input into blocks, the concatenated
`step` outputs, with the first `latency` of them dropped, equal `forward` on the whole input.

A sequence is a pair (x, mask): x is (B, T, C), mask is (B, T) bool and says which steps exist. What a
step that does not exist holds never matters, NaN included. In `forward` a row's steps that exist are a
prefix of it. In `step` they are one contiguous run of the row's timeline: not-yet (the look-ahead of the
stages before is still filling), then the sequence, then the end. So flushing is no code of its own: feed
steps that do not exist until `latency` outputs have come out. The idea of (values, mask) and of
fixed-rate stepping is that of google/sequence-layers.

Three things a stage may declare besides:

Side inputs are constants of a stream, such as a memory to attend to or a prompt: tensors by name, with the batch on
dimension 0. A stage that names some in `side_inputs` takes `side=`, a mapping that has them, in `forward` and `step`.

Auxiliary outputs are for those who train or look inside, such as the logits of an intermediate head. A stage that
names some in `aux_outputs` takes `aux=`, a dict or None, and puts (y, mask) there under each name. Those of `step`, one
after the other, are those of `forward` where they exist; how much later they come is not declared.

A stage that needs the whole sequence sets `can_step` to False, and has `forward` alone. A chain of stages with such a
one runs as a stream up to there (`split_at_whole`).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from transducer.errors import UsageError
from transducer.model.state import State as State

AnyModule = TypeVar("AnyModule", bound=nn.Module)
Side = Mapping[str, Tensor]
Aux = dict[str, tuple[Tensor, Tensor]]


class Streaming(nn.Module):
    """A stage that maps a sequence to a sequence, at once (`forward`) or piece by piece (`step`).

    Attributes:
        stride: input steps per output step.
        latency: output steps by which `step` lags `forward`. The first `latency` outputs of a stream are
            steps that do not exist (mask False).
        block: `step` takes a multiple of this many input steps. An output may depend on every input of
            its own block, so the look-ahead in input steps is `latency * stride + block - 1`.
        can_step: whether it has `init_state` and `step`.
        side_inputs, aux_outputs: names of what it takes and gives besides x.
    """

    stride: int = 1
    latency: int = 0
    block: int = 1
    can_step: bool = True
    side_inputs: tuple[str, ...] = ()
    aux_outputs: tuple[str, ...] = ()

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, C), (B, T) -> (B, ceil(T / stride), C'), (B, ceil(T / stride)); parallel over time."""
        raise NotImplementedError

    def init_state(self, batch: int, like: Tensor) -> State:
        """State before the first step; constant in structure and shape. `like` gives dtype and device.

        Raises:
            UsageError: it cannot step.
        """
        raise self._no_step()

    def step(self, x: Tensor, mask: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """(B, n * block, C), mask, state -> (B, n * block / stride, C'), mask, new state.

        Pure: `state` is not changed, so that streams can be forked, saved and resumed. What is done does not depend
        on values, only on shapes, so that it can be exported.

        Raises:
            UsageError: it cannot step.
        """
        raise self._no_step()

    def _no_step(self) -> Exception:
        name = type(self).__name__
        if self.can_step:
            return NotImplementedError(f"{name} has no init_state or no step")
        return UsageError(f"{name} needs the whole sequence and cannot run as a stream: use it offline, by forward")

    @property
    def lookahead(self) -> int:
        """Input steps after its own first one that an output may depend on, at most."""
        return self.latency * self.stride + self.block - 1


def apply_mask(x: Tensor, mask: Tensor) -> Tensor:
    """Zero the steps that do not exist; unlike a product, this also removes NaN and infinity."""
    return torch.where(mask.unsqueeze(-1), x, 0.0)


def lengths_to_mask(lengths: Tensor, steps: int) -> Tensor:
    """(B,) -> (B, steps) bool: True for the first `lengths[b]` steps of row b."""
    return torch.arange(steps, device=lengths.device)[None, :] < lengths[:, None]


def mask_stride(mask: Tensor, stride: int) -> Tensor:
    """(B, T) -> (B, ceil(T / stride)): an output step exists where its first input step does."""
    return mask[:, ::stride]


def extras(stage: Streaming, side: Side | None, aux: Aux | None) -> dict[str, Any]:
    """What a stage is to be called with besides x, mask and state: what it declares, and nothing else.

    Raises:
        UsageError: it needs a side input that is not there.
    """
    found: dict[str, Any] = {}
    if stage.side_inputs:
        if missing := [name for name in stage.side_inputs if side is None or name not in side]:
            raise UsageError(f"{type(stage).__name__} needs the side input {missing[0]!r}")
        found["side"] = side
    if stage.aux_outputs and aux is not None:
        found["aux"] = aux
    return found


class ChunkedStage(Streaming):
    """A stage whose `block`, in its own steps, is `chunk`, which `set_chunk` may change at any time."""

    chunk: int

    @property
    def block(self) -> int:
        return self.chunk


class Serial(Streaming):
    """Stages one after the other; strides multiply, latencies add up in the unit of the output."""

    stages: Sequence[Streaming]

    def __init__(self, *stages: Streaming):
        super().__init__()
        self.stages = nn.ModuleList(stages)  # type: ignore[assignment]
        self.can_step = all(stage.can_step for stage in stages)
        self.side_inputs = tuple(dict.fromkeys(name for stage in stages for name in stage.side_inputs))
        self.aux_outputs = tuple(name for stage in stages for name in stage.aux_outputs)
        if len(set(self.aux_outputs)) < len(self.aux_outputs):
            raise ValueError(f"auxiliary outputs in a row need different names, got {', '.join(self.aux_outputs)}")

    # Properties, because a stage's block changes with `set_chunk`.
    @property
    def stride(self) -> int:
        stride = 1
        for stage in self.stages:
            stride *= stage.stride
        return stride

    @property
    def latency(self) -> int:
        latency = 0
        for stage in self.stages:
            if latency % stage.block:
                # Otherwise its blocks would lie elsewhere in `step` than in `forward`.
                raise ValueError(
                    f"{type(stage).__name__} works in blocks of {stage.block} steps and cannot follow a latency of "
                    f"{latency}: make the look-ahead before it a multiple of its block"
                )
            latency = latency // stage.stride + stage.latency
        return latency

    @property
    def block(self) -> int:
        block, stride = 1, 1
        for stage in self.stages:
            block = math.lcm(block, stage.block * stride)
            stride *= stage.stride
            block = math.lcm(block, stride)
        return block

    def forward(
        self, x: Tensor, mask: Tensor, side: Side | None = None, aux: Aux | None = None
    ) -> tuple[Tensor, Tensor]:
        for stage in self.stages:
            x, mask = stage(x, mask, **extras(stage, side, aux))
        return x, mask

    def init_state(self, batch: int, like: Tensor) -> State:
        if not self.can_step:
            raise self._no_step()
        return tuple(stage.init_state(batch, like) for stage in self.stages)

    def step(
        self, x: Tensor, mask: Tensor, state: State, side: Side | None = None, aux: Aux | None = None
    ) -> tuple[Tensor, Tensor, State]:
        if not self.can_step:
            raise self._no_step()
        new = []
        for stage, stage_state in zip(self.stages, state, strict=True):
            x, mask, stage_state = stage.step(x, mask, stage_state, **extras(stage, side, aux))
            new.append(stage_state)
        return x, mask, tuple(new)

    def _no_step(self) -> Exception:
        return next(stage for stage in self.stages if not stage.can_step)._no_step()


def split_at_whole(network: Serial) -> tuple[Serial, Serial | None]:
    """A chain of stages, cut before the first one that cannot step: what runs as a stream, and the rest.

    The rest runs by `forward` over all that has come out of the former; None where everything can step.
    """
    for number, stage in enumerate(network.stages):
        if not stage.can_step:
            before, after = network.stages[:number], network.stages[number + 1 :]
            inner, rest = split_at_whole(stage) if isinstance(stage, Serial) else (Serial(), stage)
            assert rest is not None
            return Serial(*before, *inner.stages), Serial(rest, *after)
    return network, None


class Residual(Streaming):
    """x + scale * body(x), on so many channels; the skip waits for the body's look-ahead."""

    def __init__(self, body: Streaming, channels: int, scale: float = 1.0):
        super().__init__()
        if body.stride != 1:
            raise ValueError(f"Residual needs a body of stride 1, got {body.stride}")
        self.body, self.channels, self.scale = body, channels, scale
        self.can_step, self.side_inputs, self.aux_outputs = body.can_step, body.side_inputs, body.aux_outputs

    @property
    def latency(self) -> int:
        return self.body.latency

    @property
    def block(self) -> int:
        return self.body.block

    def forward(
        self, x: Tensor, mask: Tensor, side: Side | None = None, aux: Aux | None = None
    ) -> tuple[Tensor, Tensor]:
        y, y_mask = self.body(x, mask, **extras(self.body, side, aux))
        return torch.add(x, y, alpha=self.scale), y_mask

    def init_state(self, batch: int, like: Tensor) -> State:
        return (self.body.init_state(batch, like), like.new_zeros(batch, self.latency, self.channels))

    def step(
        self, x: Tensor, mask: Tensor, state: State, side: Side | None = None, aux: Aux | None = None
    ) -> tuple[Tensor, Tensor, State]:
        if not self.can_step:
            raise self._no_step()
        body_state, waiting = state
        y, y_mask, body_state = self.body.step(x, mask, body_state, **extras(self.body, side, aux))
        if waiting.shape[1]:
            x = torch.cat([waiting, apply_mask(x, mask)], dim=1)
            waiting = x[:, y.shape[1] :]
            x = x[:, : y.shape[1]]
        return torch.add(x, y, alpha=self.scale), y_mask, (body_state, waiting)

    def _no_step(self) -> Exception:
        return self.body._no_step()


def set_chunk(module: nn.Module, chunk: int) -> None:
    """Set the chunk, in its own steps, of every `ChunkedStage` below `module`. In place."""
    for stage in module.modules():
        if isinstance(stage, ChunkedStage):
            stage.chunk = chunk


def share_weights(module: AnyModule) -> AnyModule:
    """A copy of a module that shares its parameters and buffers: another chunk size costs no memory."""
    memo = {id(t): t for t in (*module.parameters(), *module.buffers())}
    return copy.deepcopy(module, memo)
