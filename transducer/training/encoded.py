"""A batch on its way through the network: each part is computed when an objective first asks for it.

B examples, T steps that went in, T' frames that came out of the encoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from transducer.data.loader import Batch
from transducer.model.network import Network
from transducer.model.sequence import Aux, apply_mask


class Encoded:
    """What the network makes of a batch; objectives of one phase share it.

    Attributes:
        batch: of pairs, or of what the phase's own batches are; or a shard of such a batch.
        bf16: whether encoder and heads run under autocast.
        number: of the step, for what an objective draws itself.
        shard, shards: which of how many shards this is; of what an objective draws for the step, it is to take every
            `shards`-th from the `shard`-th on.
    """

    def __init__(
        self, network: Network, batch: Batch, bf16: bool = True, number: int = 0, shard: int = 0, shards: int = 1
    ):
        self.network, self.batch, self.bf16, self.number = network, batch, bf16, number
        self.shard, self.shards = shard, shards
        self._outputs: dict[tuple[str, tuple[int, ...]], tuple[Tensor, Tensor]] = {}

    def autocast(self) -> torch.autocast:
        """Where the network is computed in bfloat16, if it is."""
        return autocast(next(self.network.parameters()).device, self.bf16)

    @cached_property
    def features(self) -> tuple[Tensor, Tensor]:
        """What the encoder takes, and its mask (B, T)."""
        return features(self.network, self.batch)

    @cached_property
    def _encoded(self) -> tuple[Tensor, Tensor, Aux]:
        aux: Aux = {}
        with self.autocast():
            return *self.network.encoder(*self.features, aux=aux), aux

    @property
    def frames(self) -> Tensor:
        """(B, T', C) of the encoder."""
        return self._encoded[0]

    @property
    def mask(self) -> Tensor:
        """(B, T') of `frames`."""
        return self._encoded[1]

    @property
    def aux(self) -> Aux:
        """Auxiliary outputs of the encoder by name, each with its mask, such as the logits of an intermediate head."""
        return self._encoded[2]

    def outputs(self, head: str, rows: Sequence[int] | None = None) -> tuple[Tensor, Tensor]:
        """What a head says of some rows, all of them if None, and its mask."""
        chosen = tuple(range(len(self.frames)) if rows is None else rows)
        if (head, chosen) not in self._outputs:
            frames, mask = self.frames, self.mask
            if len(chosen) < len(frames):
                frames, mask = frames[list(chosen)], mask[list(chosen)]
            with self.autocast():
                self._outputs[head, chosen] = self.network.heads[head](frames, mask)
        return self._outputs[head, chosen]


def features(network: Network, batch: Batch) -> tuple[Tensor, Tensor]:
    """What the encoder takes of a batch, and its mask: see `PairSource.enters`."""
    if batch.enters == "frontend":
        return network.frontend(batch.x, batch.mask)
    frontend: Any = network.frontend  # with the mean and the deviation that it normalises by
    return apply_mask((batch.x - frontend.mean) / frontend.std, batch.mask), batch.mask


def autocast(device: torch.device, enabled: bool) -> torch.autocast:
    """bfloat16 on a device that has it, if that is wanted: a CPU without takes twenty times as long as in float32."""
    able = device.type != "cpu" or torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled and able)
