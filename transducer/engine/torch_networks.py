"""The networks of a checkpoint, which PyTorch computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from transducer.engine.torch_backend import TorchBackend
from transducer.errors import UsageError, require
from transducer.heads.head import Head
from transducer.media.medium import Medium
from transducer.model.checkpoint import load_checkpoint
from transducer.model.config import ModelConfig
from transducer.model.network import Network
from transducer.model.packing import pack_linears
from transducer.model.sequence import Serial, State, Streaming, share_weights
from transducer.model.stages import stages_of
from transducer.published.detection import is_published
from transducer.published.reading import read_published
from transducer.text.tokenizers.tokenizer import Tokenizer

DEVICES = ("auto", "cpu", "cuda")


def find_device(name: str | torch.device) -> torch.device:
    """The device of this name. Raises UsageError where there is none."""
    require(name, (str, torch.device), f"a device is one of {', '.join(DEVICES)}")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"unknown device {name!r}: there are {', '.join(DEVICES)}") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"there is no device {name!r} on this machine: use cpu, or auto")
    return device


class TorchNetworks:
    """See `transducer.engine.networks.Networks`.

    Args:
        network: of the model; it stays as it is. units: its tokenizers.
    """

    def __init__(self, network: Network, units: dict[str, Tokenizer], device: torch.device | str = "cpu"):
        self.device, self.units = find_device(device), units
        self.network = network.to(self.device).eval().requires_grad_(False)
        self.config: ModelConfig = network.config
        self.medium: Medium = self.config.frontend.medium(self.units)
        self.hop = self.network.hop
        self._packed = share_weights(self.network)
        pack_linears(self._packed)
        self._at_chunk = lru_cache(maxsize=4)(self._network_at_chunk)

    @classmethod
    def load(cls, folder: Path, device: torch.device | str = "cpu") -> TorchNetworks:
        """Those of a checkpoint folder, or of a published model. Raises CheckpointError, UsageError."""
        found = find_device(device)
        return cls(*(read_published if is_published(folder) else load_checkpoint)(folder), found)

    @property
    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.network.parameters())

    @property
    def heads(self) -> Mapping[str, Head]:
        return self.network.heads

    def head(self, name: str, chunk: int) -> Head:
        """See `Networks`."""
        return self._at_chunk(chunk).heads[name]

    def backend(self, names: tuple[str, ...], chunk: int) -> TorchBackend:
        """See `Networks`."""
        network = self._at_chunk(chunk)
        heads = [network.heads[name] for name in names]
        stages = (network.frontend, network.encoder, heads[0] if len(heads) == 1 else SideBySide(*heads))
        return TorchBackend(Serial(*stages), self.device)

    def stages(self) -> list[dict[str, Any]]:
        """See `Networks`."""
        return [asdict(stage) for stage in stages_of(self.network, self.medium.channels)]

    def _network_at_chunk(self, chunk: int) -> Network:
        network = share_weights(self._packed)
        network.set_chunk(chunk)
        return network


class SideBySide(Streaming):
    """Stages of stride 1 without look-ahead on the same input: (B, T, C) -> (B, T, sum of their channels)."""

    def __init__(self, *stages: Streaming):
        super().__init__()
        self.parts = torch.nn.ModuleList(stages)
        if any(stage.stride != 1 or stage.latency or stage.block != 1 for stage in stages):
            raise ValueError("stages side by side must keep step with each other")

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return torch.cat([stage(x, mask)[0] for stage in self.parts], dim=-1), mask

    def init_state(self, batch: int, like: Tensor) -> State:
        return tuple(stage.init_state(batch, like) for stage in self.parts)  # type: ignore[operator]

    def step(self, x: Tensor, mask: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        stepped = [stage.step(x, mask, part) for stage, part in zip(self.parts, state, strict=True)]  # type: ignore[operator]
        return torch.cat([y for y, _, _ in stepped], dim=-1), mask, tuple(new for _, _, new in stepped)
