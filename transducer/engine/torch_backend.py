"""A network that PyTorch computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from transducer.model.sequence import Serial, State, split_at_whole


class TorchBackend:
    """See `transducer.engine.backend.Backend`.

    Args:
        network: steps of a medium (B, T, C) -> outputs of a head (B, T / stride, V).
        device: where it is.

    Attributes:
        network: the stages that run as a stream.
        rest: the stages that run over the whole at its end; None where all of them stream.
    """

    def __init__(self, network: Serial, device: torch.device | str = "cpu"):
        self.network, self.rest = split_at_whole(network)
        self.device = torch.device(device)
        self.stride, self.latency, self.block = self.network.stride, self.network.latency, self.network.block
        self.lookahead, self.whole = self.network.lookahead, self.rest is not None

    def init_state(self, batch: int) -> State:
        """See `Backend`."""
        return self.network.init_state(batch, torch.zeros((), device=self.device))

    @torch.inference_mode()
    def step(
        self, x: NDArray[Any], exists: NDArray[np.bool_], state: State
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_], State]:
        """See `Backend`."""
        mask = torch.from_numpy(exists).to(self.device)
        outputs, there, state = self.network.step(torch.from_numpy(x).to(self.device), mask, state)
        return outputs.numpy(force=True), there.numpy(force=True), state

    @torch.inference_mode()
    def conclude(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Backend`."""
        assert self.rest is not None
        steps = torch.from_numpy(x).to(self.device)[None]
        outputs, _ = self.rest(steps, torch.ones(steps.shape[:2], dtype=torch.bool, device=self.device))
        found: NDArray[np.float32] = outputs[0].numpy(force=True)
        return found
