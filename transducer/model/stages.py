"""What a network is made of, stage by stage, for people: shapes, strides, latencies, parameters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from transducer.heads.ctc import SelfConditioning
from transducer.heads.segment import SegmentHead
from transducer.model.network import Network
from transducer.model.sequence import Serial, Streaming, extras


@dataclass(frozen=True)
class Stage:
    """A part of a network.

    Attributes:
        stage: "front-end", "encoder", "core", "intermediate head" or "head NAME"; of a head of
            segments then "segment encoder" and "segment decoder".
        kind: what it is, as the config has it: "conformer x 8".
        channels: numbers in each of its output steps.
        stride: input steps per output step, its own; total: steps of the medium in one of its output steps.
        latency: its own output steps by which a stream lags.
        chunk: its own input steps that it takes at a time.
        parameters: of it alone.
        streams: whether it can step.
    """

    stage: str
    kind: str
    channels: int
    stride: int
    total: int
    latency: int
    chunk: int
    parameters: int
    streams: bool


@torch.no_grad()
def stages_of(network: Network, channels: int) -> list[Stage]:
    """The stages from the front-end to the heads, which stand beside each other. The layers of a core are one.

    Args:
        channels: numbers in a step of the medium.
    """
    weight = next(network.parameters())
    x = torch.zeros(1, network.hop, channels, device=weight.device)
    mask = torch.ones(1, network.hop, dtype=torch.bool, device=weight.device)
    found, total = [], 1
    for name, kind, part in _parts(network):
        x, mask = part(x, mask, **extras(part, None, None))
        total *= part.stride
        found.append(_stage(name, kind, part, x, total))
    for name, head in network.heads.items():
        y, y_mask = head(x, mask)
        stage = _stage(f"head {name}", _kind(network.config.heads[name], 1), head, y, total * head.stride)
        inner = list(_inner(head, y, y_mask, total)) if isinstance(head, SegmentHead) else []
        found += [replace(stage, parameters=stage.parameters - sum(part.parameters for part in inner)), *inner]
    return found


def _inner(head: SegmentHead, x: Tensor, mask: Tensor, total: int) -> Iterator[Stage]:
    """What a head has for segments: neither of the two runs as a stream."""
    y, _ = head.encode(x, mask)
    encoder = _stage("segment encoder", _kind(head.config.encoder, 1), head.encoder, y, total * head.encoder.stride)
    yield encoder
    if head.decoder is not None and head.config.decoder is not None:
        parameters = sum(parameter.numel() for parameter in head.decoder.parameters())
        kind = _kind(head.config.decoder, 1)
        yield Stage("segment decoder", kind, head.size, 1, encoder.total, 0, 1, parameters, False)


def _stage(name: str, kind: str, part: Streaming, y: Tensor, total: int) -> Stage:
    parameters = sum(parameter.numel() for parameter in part.parameters())
    return Stage(name, kind, y.shape[-1], part.stride, total, part.latency, part.block, parameters, part.can_step)


def _parts(network: Network) -> Iterator[tuple[str, str, Streaming]]:
    """Name, kind and module of each stage before the heads."""
    config = network.config
    yield "front-end", _kind(config.frontend, 1), network.frontend
    first, *layers = network.encoder.stages
    yield "encoder", _kind(config.encoder, 1), first
    for core in config.cores:
        with torch.device("meta"):
            count = len(core.build())
        taken: list[Streaming] = []
        while count:
            layer = layers.pop(0)
            if isinstance(layer, SelfConditioning):
                yield from _core(core, taken)
                taken = []
                yield "intermediate head", "self_conditioning", layer
                continue
            taken.append(layer)
            count -= 1
        yield from _core(core, taken)
    for layer in layers:  # behind the last layer of the last core
        yield "intermediate head", "self_conditioning", layer


def _core(core: Any, layers: Sequence[Streaming]) -> Iterator[tuple[str, str, Streaming]]:
    if layers:
        # A norm at the end of some cores is no layer of its own.
        plain = [layer for layer in layers if not _is_norm(layer)]
        yield "core", _kind(core, len(plain)), Serial(*layers)


def _is_norm(layer: Streaming) -> bool:
    return isinstance(getattr(layer, "module", None), nn.LayerNorm)


def _kind(part: Any, count: int) -> str:
    kind = getattr(part, "kind", None)
    name = f"{type(part).tag} {kind}" if isinstance(kind, str) else str(type(part).tag)
    return f"{name} x {count}" if count > 1 else name
