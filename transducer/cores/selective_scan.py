"""The selective scan of Mamba (Gu & Dao 2023, arXiv:2312.00752, section 3): a linear recurrence, parallel over time.

    h[t] = exp(dt[t] A) h[t - 1] + dt[t] u[t] B[t],    y[t] = C[t] h[t]

Legend of axis suffixes: B batch, T time, L steps of a chunk, E channels, N states of a channel.

Chunks of `CHUNK` steps follow each other. Inside one, `GROUPS` groups of `GROUP` steps are scanned side by side, as if
each began at 0; then the groups pass on the state at their end. So for each step there is one multiplication more than
in the plain recurrence, and a call of torch serves many steps. A scan by doublings would need log2(T) times the work.
What is remembered for the gradient are the inputs and the state before each chunk; the rest is computed again.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

GROUPS = GROUP = 8
CHUNK = GROUPS * GROUP


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
        steps = dt.shape[1]
        dt, u, b, c = padded = [_pad(x) for x in (dt, u, b, c)]
        state = u.new_zeros(u.shape[0], *rates.shape)
        starts, outputs = [], []
        for chunk in _chunks(steps):
            starts.append(state)
            decay, states = _terms(dt[:, chunk], u[:, chunk], rates, b[:, chunk])
            state = _scan(decay, states, state).clone()  # a view would keep the chunk alive
            outputs.append((states @ c[:, chunk].unsqueeze(-1)).squeeze(-1))
        ctx.steps = steps
        ctx.save_for_backward(*padded, rates, *starts)
        return torch.cat(outputs, 1)[:, :steps]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        dt, u, b, c, rates, *starts = ctx.saved_tensors
        y_grad = _pad(gradients[0])
        rates_grad, carry = torch.zeros_like(rates), torch.zeros_like(starts[0])
        found = [torch.empty_like(x) for x in (dt, u, b, c)]
        dt_grad, u_grad, b_grad, c_grad = found
        for chunk, start in reversed(list(zip(_chunks(ctx.steps), starts, strict=True))):
            dts, us, bs, ys = dt[:, chunk], u[:, chunk], b[:, chunk], y_grad[:, chunk]
            decay, states = _terms(dts, us, rates, bs)
            _scan(decay.clone(), states, start)
            c_grad[:, chunk] = (ys.unsqueeze(2) @ states).squeeze(2)
            # What reaches a state: from its output, and from the next state. A chunk's last one decays no more here.
            reached = ys.unsqueeze(-1) * c[:, chunk].unsqueeze(2)
            _scan(torch.cat([decay[:, 1:], torch.ones_like(carry)[:, None]], 1), reached, carry, backwards=True)
            carry = decay[:, 0] * reached[:, 0]
            of_input = (reached @ bs.unsqueeze(-1)).squeeze(-1)
            b_grad[:, chunk] = ((dts * us).unsqueeze(2) @ reached).squeeze(2)
            u_grad[:, chunk] = of_input * dts
            exponent = reached.mul_(decay)
            exponent[:, 0].mul_(start)
            exponent[:, 1:].mul_(states[:, :-1])
            dt_grad[:, chunk] = of_input * us + (exponent * rates).sum(-1)
            rates_grad += exponent.mul_(dts.unsqueeze(-1)).sum((0, 1))
        dt_grad, u_grad, b_grad, c_grad = (x[:, : ctx.steps] for x in found)
        return dt_grad, u_grad, rates_grad, b_grad, c_grad


def _terms(dt: Tensor, u: Tensor, rates: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """(B, L, E, N) each: by what a state is multiplied, and what is added."""
    return (dt.unsqueeze(-1) * rates).exp_(), (dt * u).unsqueeze(-1) * b.unsqueeze(2)


def _scan(decay: Tensor, states: Tensor, state: Tensor, backwards: bool = False) -> Tensor:
    """In place: states[t] += decay[t] * states[t - 1], or t + 1 if backwards, for all steps of a chunk from a state on.

    Args:
        decay, states: (B, CHUNK, E, N); `decay` is used up. state: (B, E, N).

    Returns:
        The last state.
    """
    decay, states = decay.unflatten(1, (GROUPS, GROUP)), states.unflatten(1, (GROUPS, GROUP))
    order = range(GROUP)[::-1] if backwards else range(GROUP)
    for before, step in pairwise(order):
        states[:, :, step].addcmul_(decay[:, :, step], states[:, :, before])
        decay[:, :, step].mul_(decay[:, :, before])
    for group in range(GROUPS)[::-1] if backwards else range(GROUPS):
        states[:, group].addcmul_(decay[:, group], state[:, None])
        state = states[:, group, order[-1]]
    return state


def _chunks(steps: int) -> list[slice]:
    return [slice(start, start + CHUNK) for start in range(0, steps, CHUNK)]


def _pad(x: Tensor) -> Tensor:
    """(B, T, C) with zeros up to a whole number of chunks."""
    return nn.functional.pad(x, (0, 0, 0, -x.shape[1] % CHUNK))
