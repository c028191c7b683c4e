"""The selective scan of Mamba (Gu & Dao 2023, arXiv:2312.00752, section 3): a linear recurrence, parallel over time.

    h[t] = exp(dt[t] A) h[t - 1] + dt[t] u[t] B[t],    y[t] = C[t] h[t]

Legend of axis suffixes: B batch, T time, L steps of a chunk, E channels, N states of a channel. In a scan, states are
(B, N, E), so that sums over N are a row times a matrix.

Chunks follow each other. Inside one, `GROUPS` groups of `GROUP` steps are scanned side by side, as if each began at 0;
then the groups pass on the state at their end. So for each step there is one multiplication more than in the plain
recurrence, and a call of torch serves many steps. Where a step alone is `WIDE` numbers, calls are no longer what takes
the time, and a short chunk is scanned step by step. A scan by doublings would need log2(T) times the work. All chunks
use the same memory, as new pages take longer than what is computed there. What is remembered for the gradient are the
inputs and the state before each chunk; the rest is computed again.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

GROUPS, GROUP = 8, 16
CHUNK = GROUPS * GROUP
WIDE = 4096


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
    def forward(ctx: Any, dt: Tensor, u: Tensor, rates: Tensor, b: Tensor, c: Tensor) -> Tensor:
        steps, rates = dt.shape[1], rates.T.contiguous()
        dt, u, b, c = padded = [_pad(x) for x in (dt, u, b, c)]
        state = u.new_zeros(u.shape[0], *rates.shape)
        decay, states = _room(state, 2)
        starts, outputs = [], torch.empty_like(u)
        for chunk in _chunks(steps, _length(state)):
            starts.append(state)
            _terms(dt[:, chunk], u[:, chunk], rates, b[:, chunk], decay, states)
            state = _scan(decay, states, state).clone()  # the next chunk is written over it
            outputs[:, chunk] = _sum(c[:, chunk], states)
        ctx.steps = steps
        ctx.save_for_backward(*padded, rates, *starts)
        return outputs[:, :steps]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        dt, u, b, c, rates, *starts = ctx.saved_tensors
        y_grad = _pad(gradients[0])
        rates_grad, carry = torch.zeros_like(rates), torch.zeros_like(starts[0])
        decay, shifted, states, reached = _room(carry, 4)
        found = [torch.empty_like(x) for x in (dt, u, b, c)]
        dt_grad, u_grad, b_grad, c_grad = found
        for chunk, start in reversed(list(zip(_chunks(ctx.steps, _length(carry)), starts, strict=True))):
            dts, us, bs, ys = dt[:, chunk], u[:, chunk], b[:, chunk], y_grad[:, chunk]
            _terms(dts, us, rates, bs, decay, states)
            _scan(shifted.copy_(decay), states, start)
            c_grad[:, chunk] = (states @ ys.unsqueeze(-1)).squeeze(-1)
            # What reaches a state: from its output, and from the next state. A chunk's last one decays no more here.
            torch.mul(c[:, chunk].unsqueeze(-1), ys.unsqueeze(2), out=reached)
            shifted[:, :-1] = decay[:, 1:]
            shifted[:, -1] = 1
            _scan(shifted, reached, carry, backwards=True)
            carry = decay[:, 0] * reached[:, 0]
            of_input = _sum(bs, reached)
            b_grad[:, chunk] = (reached @ (dts * us).unsqueeze(-1)).squeeze(-1)
            u_grad[:, chunk] = of_input * dts
            exponent = reached.mul_(decay)
            exponent[:, 0].mul_(start)
            exponent[:, 1:].mul_(states[:, :-1])
            dt_grad[:, chunk] = torch.mul(exponent, rates, out=states).sum(2).addcmul_(of_input, us)
            rates_grad += exponent.mul_(dts.unsqueeze(2)).sum((0, 1))
        dt_grad, u_grad, b_grad, c_grad = (x[:, : ctx.steps] for x in found)
        return dt_grad, u_grad, rates_grad.T, b_grad, c_grad


def _room(state: Tensor, count: int) -> Tensor:
    """So many times (B, L, N, E) of memory, for chunks of states as this one (B, N, E)."""
    return state.new_empty(count, state.shape[0], _length(state), *state.shape[1:])


def _length(state: Tensor) -> int:
    """Steps of a chunk for states as this one: a power of two, and few enough for a cache."""
    return CHUNK if state.numel() < WIDE else CHUNK // 4


def _terms(dt: Tensor, u: Tensor, rates: Tensor, b: Tensor, decay: Tensor, states: Tensor) -> None:
    """Write into `decay` by what a state is multiplied, and into `states` what is added; `rates` are (N, E)."""
    torch.mul(dt.unsqueeze(2), rates, out=decay).exp_()
    torch.mul(b.unsqueeze(-1), (dt * u).unsqueeze(2), out=states)


def _sum(weights: Tensor, states: Tensor) -> Tensor:
    """(B, L, N), (B, L, N, E) -> (B, L, E)."""
    return (weights.unsqueeze(2) @ states).squeeze(2)


def _scan(decay: Tensor, states: Tensor, state: Tensor, backwards: bool = False) -> Tensor:
    """In place: states[t] += decay[t] * states[t - 1], or t + 1 if backwards, for all steps of a chunk from a state on.

    Args:
        decay, states: (B, L, N, E); `decay` is used up. state: (B, N, E).

    Returns:
        The last state.
    """
    if state.numel() >= WIDE:
        order = range(states.shape[1])
        for step in order[::-1] if backwards else order:
            state = states[:, step].addcmul_(decay[:, step], state)
        return state
    decay, states = decay.unflatten(1, (GROUPS, GROUP)), states.unflatten(1, (GROUPS, GROUP))
    order = range(GROUP)[::-1] if backwards else range(GROUP)
    for before, step in pairwise(order):
        states[:, :, step].addcmul_(decay[:, :, step], states[:, :, before])
        decay[:, :, step].mul_(decay[:, :, before])
    for group in range(GROUPS)[::-1] if backwards else range(GROUPS):
        states[:, group].addcmul_(decay[:, group], state[:, None])
        state = states[:, group, order[-1]]
    return state


def _chunks(steps: int, length: int) -> list[slice]:
    return [slice(start, start + length) for start in range(0, steps, length)]


def _pad(x: Tensor) -> Tensor:
    """(B, T, C) with zeros up to a whole number of chunks."""
    return nn.functional.pad(x, (0, 0, 0, -x.shape[1] % CHUNK))
