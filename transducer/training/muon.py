"""Muon (Jordan et al. 2024) in the precision that the device is fast in."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic iteration, see torch.optim.Muon
ITERATIONS = 5


class Muon(torch.optim.Muon):
    """`torch.optim.Muon`, which orthogonalises in bfloat16 wherever it runs.

    Many CPUs have no instructions for that, and multiply matrices twenty times as slowly as in float32: longer than
    the network takes. So on a CPU this one stays with float32. Its state is the same.
    """

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """One update. Closures are not called."""
        for group in self.param_groups:
            rate, decay, momentum = group["lr"], group["weight_decay"], group["momentum"]
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                state = self.state[matrix]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(matrix.grad)
                kept = state["momentum_buffer"].lerp_(matrix.grad, 1 - momentum)
                update = orthogonalised(matrix.grad.lerp(kept, momentum))
                matrix.mul_(1 - rate * decay)
                matrix.add_(update, alpha=-rate * math.sqrt(max(1, matrix.shape[0] / matrix.shape[1])))


def orthogonalised(matrix: Tensor) -> Tensor:
    """About U V^T of U S V^T, by the Newton-Schulz iteration of Muon; bfloat16 on a GPU, float32 on a CPU."""
    a, b, c = COEFFICIENTS
    x = matrix.float() if matrix.device.type == "cpu" else matrix.bfloat16()
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x
