"""The selective scan of Mamba (Gu & Dao 2023, arXiv:2312.00752, section 3): a linear recurrence over time.

    h[t] = exp(dt[t] A) h[t - 1] + dt[t] u[t] B[t],    y[t] = C[t] h[t]

Legend of axis suffixes: B batch, T time, L steps of a chunk, E channels, N states of a channel. In a scan, time comes
first and states are (B, N, E), so that a step is one piece of memory and a sum over N a row times a matrix.

Chunks follow each other. In one, exponentials, inputs and outputs are computed for all steps at once. What is left for
each step is one call of torch, h[t] = a[t] h[t - 1] + x[t] in place. Fewer calls need more work: doublings log2(L)
times as much, a parallel scan in place (Brent & Kung 1982) three times; docs/cores.md has what that gives on a CPU. On
a GPU a small call takes as long as a large one: there it is doublings. All chunks use the same memory, small enough for
a cache. What is remembered for the gradient are the inputs and the state before each chunk; the rest is computed again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

LOG2_E = math.log2(math.e)
NUMBERS = 1 << 18  # numbers of the states of a chunk: 1 MB
MANY_NUMBERS = 1 << 24  # where there is no such cache, but a call costs much
SHORTEST = 16  # steps of a chunk at least, as the state before each is remembered


class SelectiveSSM(nn.Module):
    """A state space of N real numbers for each of E channels, whose step size, input and output depend on the input.

    Args:
        channels: E. states: N.
    """

    def __init__(self, channels: int, states: int):
        super().__init__()
        self.channels, self.states = channels, states
        rates = torch.arange(1, states + 1, dtype=torch.float32).repeat(channels, 1)  # S4D-Real (Gu et al. 2022)
        self.log_rates = nn.Parameter(rates.log())  # of A, which is negative
        self.skip = nn.Parameter(torch.ones(channels))  # D of the paper

    def forward(self, dt: Tensor, u: Tensor, b: Tensor, c: Tensor) -> Tensor:
        """dt, u (B, T, E), b, c (B, T, N) -> y (B, T, E), from a state of zeros on; dt 0 leaves the state alone."""
        with torch.autocast(u.device.type, enabled=False):  # sums over time need more than eight bits
            kind = torch.promote_types(u.dtype, torch.float32)
            y: Tensor = _Scan.apply(*(x.to(kind) for x in (dt, u, self._rates(kind), b, c)))
            return y + self.skip * u

    def step(self, dt: Tensor, u: Tensor, b: Tensor, c: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """The recurrence for a few steps: as `forward`, from a state (B, E, N) on; also the new state."""
        decay = (dt.unsqueeze(-1) * self._rates(u.dtype)).exp()
        states = []
        for a, x in zip(decay.unbind(1), ((dt * u).unsqueeze(-1) * b.unsqueeze(2)).unbind(1), strict=True):
            state = torch.addcmul(x, a, state)
            states.append(state)
        return (torch.stack(states, 1) @ c.unsqueeze(-1)).squeeze(-1) + self.skip * u, state

    def _rates(self, dtype: torch.dtype) -> Tensor:
        return -self.log_rates.to(dtype).exp()


class _Scan(torch.autograd.Function):
    """dt, u (B, T, E), A (E, N), b, c (B, T, N) -> y (B, T, E)."""

    @staticmethod
    def forward(ctx: Any, *inputs: Tensor) -> Tensor:
        dt, u, rates, b, c = _time_first(*inputs)
        powers, state = rates * LOG2_E, u.new_zeros(u.shape[1], *rates.shape)
        decay, states = _room(state, len(u), 2)
        decay_of, state_of = decay.unbind(), states.unbind()
        starts, outputs = [], torch.empty_like(u)
        for chunk in _chunks(len(u), len(states)):
            n = chunk.stop - chunk.start
            starts.append(state)
            _terms(dt[chunk], u[chunk], powers, b[chunk], decay[:n], states[:n])
            state = _scan(decay_of[:n], state_of[:n], state).clone()  # the next chunk is written over it
            outputs[chunk] = _product(c[chunk], states[:n])
        ctx.save_for_backward(*inputs, *starts)
        return outputs.transpose(0, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        dt, u, rates, b, c = _time_first(*ctx.saved_tensors[:5])
        starts = ctx.saved_tensors[5:]
        y_grad = gradients[0].transpose(0, 1).contiguous()
        powers, rates_grad, carry = rates * LOG2_E, torch.zeros_like(rates), u.new_zeros(u.shape[1], *rates.shape)
        room = _room(carry, len(u), 3)
        decay_of, state_of, reached_of = (x.unbind() for x in room)
        dt_grad, u_grad, b_grad, c_grad = found = [torch.empty_like(x) for x in (dt, u, b, c)]
        for chunk, start in reversed(list(zip(_chunks(len(u), room.shape[1]), starts, strict=True))):
            n = chunk.stop - chunk.start
            decay, states, reached = room[:, :n]
            dts, us, bs, ys = dt[chunk], u[chunk], b[chunk], y_grad[chunk]
            _terms(dts, us, powers, bs, decay, states)
            _scan(decay_of[:n], state_of[:n], start)
            c_grad[chunk] = _product(ys, states.mT)
            # What reaches a state: from its output, and from the next state. `carry` has decayed in its own chunk.
            torch.mul(c[chunk].unsqueeze(-1), ys.unsqueeze(2), out=reached)
            last, *others = reached_of[:n][::-1]
            first = _scan(decay_of[1:n][::-1], others, last.add_(carry))
            carry = decay[0] * first
            of_input = _product(bs, reached)
            b_grad[chunk] = _product(dts * us, reached.mT)
            u_grad[chunk] = of_input * dts
            exponent = reached.mul_(decay)
            exponent[0].mul_(start)
            exponent[1:].mul_(states[:-1])
            dt_grad[chunk] = torch.mul(exponent, rates, out=states).sum(2).addcmul_(of_input, us)
            rates_grad += exponent.mul_(dts.unsqueeze(2)).sum((0, 1))
        dt_grad, u_grad, b_grad, c_grad = (x.transpose(0, 1) for x in found)
        return dt_grad, u_grad, rates_grad.T, b_grad, c_grad


def _time_first(dt: Tensor, u: Tensor, rates: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, ...]:
    """(T, B, E) or (T, B, N), and the rates (N, E)."""
    dt, u, b, c = (x.transpose(0, 1) for x in (dt, u, b, c))
    return dt, u, rates.T.contiguous(), b, c


def _room(state: Tensor, steps: int, count: int) -> Tensor:
    """So many times (L, B, N, E) of memory, for chunks of states as this one (B, N, E)."""
    length = max((NUMBERS if state.is_cpu else MANY_NUMBERS) // max(state.numel(), 1), SHORTEST)
    return state.new_empty(count, min(length, steps), *state.shape)


def _chunks(steps: int, length: int) -> list[slice]:
    return [slice(start, min(start + length, steps)) for start in range(0, steps, max(length, 1))]


def _terms(dt: Tensor, u: Tensor, powers: Tensor, b: Tensor, decay: Tensor, states: Tensor) -> None:
    """Write into `decay` by what a state is multiplied, 2 ** (dt * powers), and into `states` what is added."""
    # torch has vector code of its own for exp2, but leaves exp to MKL, which on some processors takes 3 times as long.
    torch.mul(dt.unsqueeze(2), powers, out=decay).exp2_()
    torch.mul(b.unsqueeze(-1), (dt * u).unsqueeze(2), out=states)


def _scan(decay: Sequence[Tensor], states: Sequence[Tensor], state: Tensor) -> Tensor:
    """In place, step by step: states[t] += decay[t] * states[t - 1], from a state (B, N, E) on; the last one."""
    if decay and not state.is_cpu:
        return _scan_at_once(decay, states, state)
    for factor, now in zip(decay, states, strict=True):
        state = now.addcmul_(factor, state)
    return state


def _scan_at_once(decay: Sequence[Tensor], states: Sequence[Tensor], state: Tensor) -> Tensor:
    """The same, all steps side by side in log2(L) passes (Hillis & Steele 1986, "Data parallel algorithms")."""
    a, x = torch.stack(list(decay)), torch.stack(list(states))
    x[0].addcmul_(a[0], state)
    reach = 1
    while reach < len(x):
        x[reach:] = torch.addcmul(x[reach:], a[reach:], x[:-reach])
        a[reach:] = a[reach:] * a[:-reach]
        reach *= 2
    torch._foreach_copy_(list(states), list(x))
    return x[-1]


def _product(row: Tensor, matrix: Tensor) -> Tensor:
    """(L, B, X), (L, B, X, Y) -> (L, B, Y). A matrix times a column is the same, and can take MKL 7 times as long."""
    return (row.unsqueeze(2) @ matrix).squeeze(2)
