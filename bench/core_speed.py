"""What cores cost, for bench/cores.py: a step, memory by length, Mamba's scan, and torch's and mambapy's layers beside
ours. Seconds are those of the thread, so that other processes disturb them less; each is the best of several."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from transducer.cores.mamba import Mamba
from transducer.cores.recurrent import KINDS, RecurrentConfig
from transducer.cores.selective_scan import SelectiveSSM
from transducer.model.config import CoreConfig, from_json, to_json
from transducer.model.packing import pack_linears
from transducer.model.sequence import Serial, State


def best(work: Callable[[], Any], repeats: int = 5, times: int = 1) -> float:
    """Seconds of the fastest of several runs of so many calls, for one call."""
    work()
    found = []
    for _ in range(repeats):
        started = time.thread_time()
        for _ in range(times):
            work()
        found.append((time.thread_time() - started) / times)
    return min(found)


@torch.inference_mode()
def step_seconds(core: CoreConfig, block: int = 1) -> float | None:
    """Of one step of a stream, with weights as `transducer.load` has them: float16, packed. None without a step."""
    stage = Serial(*core.build()).eval().requires_grad_(False)
    if not stage.can_step:
        return None
    for weight in stage.parameters():
        weight.copy_(weight.half().float())
    pack_linears(stage)
    x, mask = torch.randn(1, block, core.channels), torch.ones(1, block, dtype=torch.bool)
    state = stage.init_state(1, x)
    for _ in range(20):
        _, _, state = stage.step(x, mask, state)
    return best(lambda: stage.step(x, mask, state), 40, 5) / block


def state_bytes(core: CoreConfig) -> int | None:
    """Of one stream, however long; None for a core that cannot step."""
    stage = Serial(*core.build())
    return _bytes(stage.init_state(1, torch.zeros(()))) if stage.can_step else None


def _bytes(state: State) -> int:
    return state.nbytes if isinstance(state, Tensor) else sum(map(_bytes, state))


def memory(core: CoreConfig, lengths: list[int]) -> dict[int, float]:
    """Megabytes that one pass of `forward` takes beyond what the process has, by length; in a process of its own."""
    command = [sys.executable, __file__, json.dumps(to_json(core)), *map(str, lengths)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return {int(length): megabytes for length, megabytes in json.loads(done.stdout).items()}


@torch.inference_mode()
def _memory_here(core: CoreConfig, lengths: list[int]) -> dict[int, float]:
    stage, found = Serial(*core.build()).eval(), {}
    stage(torch.zeros(1, 10, core.channels), torch.ones(1, 10, dtype=torch.bool))
    for length in lengths:
        x, mask = torch.randn(1, length, core.channels), torch.ones(1, length, dtype=torch.bool)
        gc.collect()
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # the peak begins anew
        before = _resident("VmRSS")
        stage(x, mask)
        found[length] = (_resident("VmHWM") - before) / 1024
    return found


def _resident(name: str) -> int:
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name))


def scan_ratio(length: int, channels: int, rows: int = 1) -> dict[str, float]:
    """How many times faster Mamba's scan is than its recurrence, step by step in Python, with and without gradients."""
    ssm = SelectiveSSM(channels, 16)
    sizes = (channels, channels, 16, 16)
    given = [torch.rand(rows, length, size, requires_grad=True) for size in sizes]
    start = torch.zeros(rows, channels, 16)

    def loop(*inputs: Tensor) -> Tensor:
        # As the paper has it: each step makes its own terms.
        state, outputs = start, []
        rates = -ssm.log_rates.exp()
        for dt, u, b, c in zip(*(x.unbind(1) for x in inputs), strict=True):
            state = (dt[..., None] * rates).exp() * state + (dt * u)[..., None] * b[:, None]
            outputs.append((state @ c[..., None]).squeeze(-1))
        return torch.stack(outputs, 1) + ssm.skip * inputs[1]

    def train(run: Callable[..., Tensor]) -> Callable[[], Any]:
        return lambda: torch.autograd.grad(run(*given).sum(), given)

    def infer(run: Callable[..., Tensor]) -> Callable[[], Any]:
        return torch.no_grad()(lambda: run(*given))

    return {
        "forward": best(infer(loop), 2) / best(infer(ssm), 3),
        "forward and backward": best(train(loop), 2) / best(train(ssm), 3),
    }


def peers(length: int = 512, rows: int = 4) -> dict[str, float]:
    """Seconds of a training step of a layer of another package over those of ours, at the same sizes."""
    x, mask = torch.randn(rows, length, 64), torch.ones(rows, length, dtype=torch.bool)
    found = {}
    for kind, reference in KINDS.items():
        ours = Serial(*RecurrentConfig(kind, 64, 1).build())
        theirs = reference(64, 64, batch_first=True)
        run = _train(theirs, lambda theirs=theirs: theirs(x)[0])
        found[f"torch.nn.{kind.upper()}"] = best(run) / best(_train(ours, lambda ours=ours: ours(x, mask)[0]))
    try:
        from mambapy.mamba import MambaBlock, MambaConfig
    except ImportError:
        return found
    theirs, ours = MambaBlock(MambaConfig(d_model=64, n_layers=1)), Mamba(64)
    run = _train(theirs, lambda: theirs(x))
    found["mambapy"] = best(run, 3) / best(_train(ours, lambda: ours(x, mask)[0]), 3)
    return found


def _train(module: nn.Module, run: Callable[[], Tensor]) -> Callable[[], Any]:
    return lambda: torch.autograd.grad(run().square().sum(), list(module.parameters()))


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps(_memory_here(from_json(json.loads(sys.argv[1])), [int(n) for n in sys.argv[2:]])))
