"""Several processes that train one network together, each on its shards of every batch (torchrun), or just one.

A batch is cut into shards, and each is computed by itself. So what comes out depends on how many shards there are,
and not on how many processes share them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

CPU = torch.device("cpu")
_PATIENCE = timedelta(hours=12)  # while rank 0 computes features or evaluates, the others wait


@dataclass(frozen=True)
class Ranks:
    """Which process of how many this is. With one process, every method leaves things as they are.

    Attributes:
        device: where the processes exchange numbers: the one that they train on.
        shards: that a batch is cut into, a multiple of `world`.
    """

    world: int = 1
    rank: int = 0
    device: torch.device = CPU
    shards: int = 1

    @classmethod
    def join(cls, device: torch.device | None = None) -> Ranks:
        """The group that torchrun started this process in (environment variables WORLD_SIZE, RANK, ...).

        Its messages go by NCCL between GPUs and by Gloo otherwise. Every process gets one shard.
        """
        device = device or CPU
        if not dist.is_initialized():
            if int(os.environ.get("WORLD_SIZE", "1")) < 2:
                return cls(device=device)
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
        return cls(dist.get_world_size(), dist.get_rank(), device, dist.get_world_size())

    def cut(self, *shards: int) -> Ranks:
        """The same with as many shards as these numbers and the processes divide."""
        return replace(self, shards=math.lcm(self.world, *shards))

    @property
    def own(self) -> range:
        """The shards of this process."""
        each = self.shards // self.world
        return range(self.rank * each, (self.rank + 1) * each)

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and talks."""
        return self.rank == 0

    def wait(self) -> None:
        """Go on when every process has come here."""
        if self.world > 1:
            dist.barrier()

    def leave(self) -> None:
        """Part from the group, at the end."""
        if self.world > 1:
            dist.destroy_process_group()

    def sum(self, values: Iterable[float]) -> list[float]:
        """Numbers summed over the processes."""
        values = list(values)
        if self.world == 1:
            return values
        return self._total(torch.tensor(values, dtype=torch.float64, device=self.device)).tolist()

    def sum_tensors(self, tensors: Sequence[Tensor | None], shapes: Sequence[torch.Size]) -> list[Tensor | None]:
        """Tensors (float32, of these shapes) summed over the processes; what no process has stays None.

        Each sum is contiguous and has memory of its own, however many processes there are: what is computed from it
        later is rounded by how it lies there.
        """
        if self.world == 1:
            return [None if tensor is None else tensor.contiguous() for tensor in tensors]
        parts = [
            torch.zeros(shape.numel(), device=self.device) if tensor is None else tensor.flatten()
            for tensor, shape in zip(tensors, shapes, strict=True)
        ]
        present = torch.tensor([float(tensor is not None) for tensor in tensors], device=self.device)
        total = self._total(torch.cat([*parts, present]))
        *parts, present = total.split([*(part.numel() for part in parts), len(tensors)])
        return [
            part.view(shape).clone() if found else None
            for part, shape, found in zip(parts, shapes, present.tolist(), strict=True)
        ]

    def _total(self, tensor: Tensor) -> Tensor:
        """The sum over the processes, of a power of two of them in the order of `sum_in_pairs`."""
        if self.world & (self.world - 1):
            dist.all_reduce(tensor)
            return tensor
        distance = 1
        while distance < self.world:
            partner, theirs = self.rank ^ distance, torch.empty_like(tensor)
            exchange = [dist.P2POp(dist.isend, tensor, partner), dist.P2POp(dist.irecv, theirs, partner)]
            for request in dist.batch_isend_irecv(exchange):
                request.wait()
            tensor = tensor + theirs
            distance *= 2
        return tensor


def sum_in_pairs(terms: Iterable[Sequence[Any]]) -> list[Any]:
    """Rows of terms added up place by place: neighbours first, then the sums of neighbours, and so on.

    In this order the sum over a half is a part of the sum over the whole, bit for bit, whoever computes it. None
    stands for nothing.
    """
    sums: list[tuple[int, Sequence[Any]]] = []  # of how many terms, and their sum
    for term in terms:
        size = 1
        while sums and sums[-1][0] == size:
            term, size = _add(sums.pop()[1], term), 2 * size
        sums.append((size, term))
    while len(sums) > 1:
        (_, left), (_, right) = sums[-2:]
        sums[-2:] = [(0, _add(left, right))]
    return list(sums[0][1]) if sums else []


def _add(left: Sequence[Any], right: Sequence[Any]) -> list[Any]:
    return [a if b is None else b if a is None else a + b for a, b in zip(left, right, strict=True)]
