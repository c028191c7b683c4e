"""Several processes that train one network together, each on batches of its own (torchrun), or just one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

CPU = torch.device("cpu")
_PATIENCE = timedelta(hours=12)  # while rank 0 computes features or evaluates, the others wait
_PLACES = 3  # integers in a position, at most


@dataclass(frozen=True)
class Ranks:
    """Which process of how many this is. With one process, every method leaves things as they are.

    Attributes:
        device: where the processes exchange numbers: the one that they train on.
    """

    world: int = 1
    rank: int = 0
    device: torch.device = CPU

    @classmethod
    def join(cls, device: torch.device | None = None) -> Ranks:
        """The group that torchrun started this process in (environment variables WORLD_SIZE, RANK, ...).

        Its messages go by NCCL between GPUs and by Gloo otherwise.
        """
        device = device or CPU
        if not dist.is_initialized():
            if int(os.environ.get("WORLD_SIZE", "1")) < 2:
                return cls(device=device)
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
        return cls(dist.get_world_size(), dist.get_rank(), device)

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
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        return total.tolist()

    def gather(self, position: Sequence[int]) -> list[list[int]]:
        """The positions of all processes, by rank; each up to three integers."""
        if self.world == 1:
            return [list(position)]
        table = torch.zeros(self.world, 1 + _PLACES, dtype=torch.int64, device=self.device)
        table[self.rank, 0] = len(position)
        table[self.rank, 1 : 1 + len(position)] = torch.tensor(list(position), dtype=torch.int64)
        dist.all_reduce(table)
        return [row[1 : 1 + row[0]] for row in table.tolist()]

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Sum the gradients over the processes; a parameter without one on every process keeps none."""
        if self.world == 1:
            return
        parameters = list(parameters)
        parts = [_gradient(parameter).flatten() for parameter in parameters]
        present = torch.tensor([float(parameter.grad is not None) for parameter in parameters], device=self.device)
        total = torch.cat([*parts, present])
        dist.all_reduce(total)
        *parts, present = total.split([*(part.numel() for part in parts), len(parameters)])
        for parameter, part, found in zip(parameters, parts, present.tolist(), strict=True):
            parameter.grad = part.view(parameter.shape) if found else None


def _gradient(parameter: nn.Parameter) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
