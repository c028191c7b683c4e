"""Linear layers of float16 weights, packed for the CPU: a third of the time on the few rows of a streaming step.

Checkpoints keep their weights in float16, so packing them loses nothing: they are widened in registers, and the
arithmetic is float32 as before. What is saved is the traffic of the weights through the caches.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn


class PackedLinear(nn.Module):
    """A linear layer for inference on a CPU, by FBGEMM's float16 kernel."""

    def __init__(self, linear: nn.Linear):
        super().__init__()
        self.packed = torch.fbgemm_pack_gemm_matrix_fp16(linear.weight)
        # The kernel wants a bias, and adds zeros where the layer has none.
        self.bias = linear.weight.new_zeros(linear.out_features) if linear.bias is None else linear.bias.detach()

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(x.shape[:-1].numel(), x.shape[-1])
        more = -len(rows) % row_step()
        y = _product(nn.functional.pad(rows, (0, 0, 0, more)) if more else rows, self.packed, self.bias)
        return y[: len(rows)].view(*x.shape[:-1], len(self.bias))

    def __deepcopy__(self, memo: dict[int, Any]) -> PackedLinear:
        return self  # it never changes, and the packed matrix cannot be copied


class PackedGates(nn.Module):
    """The two matrix products of one layer of an LSTM: (N, C) of the input and of its state -> (N, 4 C) gates."""

    def __init__(self, lstm: nn.LSTM):
        super().__init__()
        of: Any = lstm  # its weights have names that it makes up
        self.of_input = _packed(of.weight_ih_l0, of.bias_ih_l0)
        self.of_state = _packed(of.weight_hh_l0, of.bias_hh_l0)

    def forward(self, x: Tensor, hidden: Tensor) -> Tensor:
        return self.of_input(x) + self.of_state(hidden)


def pack_linears(module: nn.Module) -> None:
    """Pack the linear layers below a module, the LSTMs of modules that say `steps_by_gates`, and the embeddings of
    those that say `packs_embedding`, of which they get one for their output; in place, where that is possible and
    changes no weight."""
    if not _available():
        return
    for parent in module.modules():
        embedding: Any = parent.embedding if getattr(parent, "packs_embedding", False) else None
        if embedding is not None and _is_half(embedding.weight):
            parent.tied_output = _packed(embedding.weight, None)
        for name, child in parent.named_children():
            if type(child) is nn.Linear and _is_half(child.weight):
                setattr(parent, name, PackedLinear(child))
            elif (
                type(child) is nn.LSTM
                and getattr(parent, "steps_by_gates", False)
                and _is_plain(child)
                and all(map(_is_half, child.all_weights[0][:2]))
            ):
                setattr(parent, name, PackedGates(child))


@lru_cache(maxsize=1)
def row_step() -> int:
    """What the number of rows of a product must be a multiple of, for the same bits whatever that number is.

    With AVX2, FBGEMM has kernels of up to six rows, of which those of one and two add up in another order. Which rows
    get which kernel is its own affair, so that it is tried out.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        x, weight, bias = torch.randn(480, 48), torch.randn(40, 48).half().float(), torch.zeros(40)
    packed = torch.fbgemm_pack_gemm_matrix_fp16(weight)
    whole = _product(x, packed, bias)
    for step in (1, 3):
        if all(torch.equal(_product(x[:rows], packed, bias), whole[:rows]) for rows in range(step, len(x), step)):
            return step
    return 12


def _product(x: Tensor, packed: Any, bias: Tensor) -> Tensor:
    y: Tensor = torch.fbgemm_linear_fp16_weight_fp32_activation(x, packed, bias)
    return y


def is_packed(module: nn.Module) -> bool:
    """Whether all matrices below a module are packed. Then no row of a batch changes a bit of another one: the kernel
    adds up every element by itself, in the same order whatever the number of rows."""
    return not any(isinstance(part, nn.Linear | nn.LSTM) for part in module.modules())


def _packed(weight: Tensor, bias: Tensor | None) -> PackedLinear:
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias is not None, device="meta")
    linear.weight = nn.Parameter(weight, False)
    if bias is not None:
        linear.bias = nn.Parameter(bias, False)
    return PackedLinear(linear)


def _is_plain(lstm: nn.LSTM) -> bool:
    return lstm.bias and lstm.num_layers == 1 and not lstm.bidirectional and not lstm.proj_size


def _is_half(weight: Tensor) -> bool:
    # FBGEMM is for CPUs. Weights elsewhere stay as they are.
    return weight.is_cpu and weight.dtype == torch.float32 and torch.equal(weight.half().float(), weight)


def _available() -> bool:
    if "fbgemm" not in torch.backends.quantized.supported_engines or not hasattr(torch, "fbgemm_pack_gemm_matrix_fp16"):
        return False
    with warnings.catch_warnings():
        # torch means to remove these functions some day, and says so once. Without them, nothing is packed.
        warnings.simplefilter("ignore")
        PackedLinear(nn.Linear(1, 1))(torch.zeros(1, 1))
    return True
