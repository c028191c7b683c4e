"""Linear layers of float16 weights, packed for the CPU: a third of the time on the few rows of a streaming step.

Checkpoints keep their weights in float16, so packing them loses nothing: they are widened in registers, and the
arithmetic is float32 as before. What is saved is the traffic of the weights through the caches.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn


class PackedLinear(nn.Module):
    """A linear layer for inference on a CPU, by FBGEMM's float16 kernel."""

    def __init__(self, linear: nn.Linear):
        super().__init__()
        self.packed = torch.fbgemm_pack_gemm_matrix_fp16(linear.weight)
        self.bias = linear.bias.detach()

    def forward(self, x: Tensor) -> Tensor:
        return torch.fbgemm_linear_fp16_weight_fp32_activation(x, self.packed, self.bias)

    def __deepcopy__(self, memo: dict[int, Any]) -> PackedLinear:
        return self  # it never changes, and the packed matrix cannot be copied


def pack_linears(module: nn.Module) -> None:
    """Pack the linear layers below a module, in place, where that is possible and changes no weight."""
    if not _available():
        return
    for parent in module.modules():
        for name, child in parent.named_children():
            if type(child) is nn.Linear and _is_half(child):
                setattr(parent, name, PackedLinear(child))


def _is_half(linear: nn.Linear) -> bool:
    weight = linear.weight
    # FBGEMM is for CPUs. Weights elsewhere stay as they are.
    there = weight.is_cpu and weight.dtype == torch.float32 and linear.bias is not None
    return there and torch.equal(weight.half().float(), weight)


def _available() -> bool:
    if "fbgemm" not in torch.backends.quantized.supported_engines or not hasattr(torch, "fbgemm_pack_gemm_matrix_fp16"):
        return False
    with warnings.catch_warnings():
        # torch means to remove these functions some day, and says so once. Without them, nothing is packed.
        warnings.simplefilter("ignore")
        PackedLinear(nn.Linear(1, 1))(torch.zeros(1, 1))
    return True
