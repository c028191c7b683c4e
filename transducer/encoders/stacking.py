"""Frame stacking: neighbouring frames side by side, so that what follows has fewer steps to take."""

from __future__ import annotations

from torch import Tensor, nn

from transducer.model.sequence import Streaming, apply_mask, mask_stride


class Stack(Streaming):
    """(B, T, C) -> (B, ceil(T / stride), stride * C); steps that do not exist are zeros."""

    def __init__(self, stride: int):
        super().__init__()
        if stride < 1:
            raise ValueError(f"at least 1 frame is stacked, got {stride}")
        self.stride = self.block = stride

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        missing = -x.shape[1] % self.stride
        if missing:
            x = nn.functional.pad(x, (0, 0, 0, missing))
            mask = nn.functional.pad(mask, (0, missing))
        return self._stack(x, mask), mask_stride(mask, self.stride)

    def init_state(self, batch: int, like: Tensor) -> tuple[()]:
        return ()

    def step(self, x: Tensor, mask: Tensor, state: tuple[()]) -> tuple[Tensor, Tensor, tuple[()]]:
        return self._stack(x, mask), mask_stride(mask, self.stride), state

    def _stack(self, x: Tensor, mask: Tensor) -> Tensor:
        return apply_mask(x, mask).unflatten(1, (-1, self.stride)).flatten(2)
