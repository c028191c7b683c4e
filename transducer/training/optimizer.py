"""Optimizers, the learning-rate curve, and averaged weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from transducer.cores.selective_scan import SelectiveSSM
from transducer.cores.tcn import DilatedConv
from transducer.encoders.images.encoder import ImageEncoder
from transducer.heads.head import Head
from transducer.training.muon import Muon
from transducer.training.recipe import Phase


class Optimizers:
    """Muon for the matrices inside the network, AdamW for the rest.

    Muon (Jordan et al. 2024) orthogonalises a matrix's momentum; embeddings, heads,
    convolutions, norms and biases are no such matrices, and stay with AdamW (Loshchilov & Hutter 2019). So do the
    published weights of an image network that is fine-tuned, at a rate of their own.
    """

    def __init__(self, network: nn.Module, phase: Phase):
        for name, parameter in network.named_parameters():
            if name.startswith(phase.frozen):
                parameter.requires_grad_(False)
        apart: set[int] = set()
        for name, part in network.named_modules():  # parents come before their parts
            if isinstance(part, Head):
                apart |= {id(p) for p in part.parameters()} - {id(p) for p in part.matrices()}
            elif _is_apart(name, part):
                apart |= {id(p) for p in part.parameters()}
        tuned: list[tuple[float, list[nn.Parameter]]] = []
        for part in network.modules():
            if isinstance(part, ImageEncoder) and part.fine_tuned:
                tuned.append((part.fine_tuned, list(part.network.parameters())))
        started = {id(p) for _, parameters in tuned for p in parameters}
        matrices: list[nn.Parameter] = []
        others: list[nn.Parameter] = []
        for parameter in network.parameters():
            if parameter.requires_grad and id(parameter) not in started:
                muon = phase.matrix_learning_rate and parameter.ndim == 2 and id(parameter) not in apart
                (matrices if muon else others).append(parameter)
        self.phase = phase
        self.parts: list[torch.optim.Optimizer] = []
        if matrices:
            self.parts.append(Muon(matrices, lr=phase.matrix_learning_rate, weight_decay=phase.weight_decay))
        for share, parameters in ((1.0, others), *tuned):
            rate = share * phase.learning_rate
            self.parts.append(
                torch.optim.AdamW(parameters, lr=rate, betas=(0.9, 0.98), weight_decay=phase.weight_decay)
            )
        self.peaks = [part.param_groups[0]["lr"] for part in self.parts]

    def zero_grad(self) -> None:
        for part in self.parts:
            part.zero_grad(set_to_none=True)

    def step(self, step: int) -> float:
        """One update at a step counted from 0; returns the learning rate as a fraction of its peak."""
        fraction = rate_fraction(step, self.phase)
        for part, peak in zip(self.parts, self.peaks, strict=True):
            for group in part.param_groups:
                group["lr"] = peak * fraction
            part.step()
        return fraction

    def state_dict(self) -> list[dict[str, Any]]:
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        for part, state in zip(self.parts, states, strict=True):
            part.load_state_dict(state)


def _is_apart(name: str, part: nn.Module) -> bool:
    """Whether none of a module's parameters is a matrix in the sense of Muon."""
    if name.count(".") > 1 and name.startswith("heads."):
        return False  # it belongs to a head, which has been looked at
    if isinstance(part, DilatedConv | SelectiveSSM):
        return True
    return name.startswith("heads.") or name.endswith((".head", ".back", "embedding"))


def rate_fraction(step: int, phase: Phase) -> float:
    """Linear rise over the warm-up, then linear fall to `final_fraction` at the last step."""
    if step < phase.warmup:
        return (step + 1) / phase.warmup
    gone = (step - phase.warmup) / max(1, phase.steps - 1 - phase.warmup)
    return 1 - gone * (1 - phase.final_fraction)


class Average:
    """Exponential moving average of a network's weights (Polyak averaging), corrected for its start."""

    def __init__(self, network: nn.Module, decay: float):
        self.decay = decay
        self.weights = {name: value.detach().clone() for name, value in network.state_dict().items()}
        self.updates = 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        self.updates += 1
        # Early on, the mean of what there is; the first weights must not count for long.
        decay = min(self.decay, self.updates / (self.updates + 10))
        for name, value in network.state_dict().items():
            if value.dtype.is_floating_point:
                self.weights[name].lerp_(value, 1 - decay)
            else:
                self.weights[name].copy_(value)

    def state_dict(self) -> dict[str, Any]:
        return {"weights": self.weights, "updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.weights, self.updates = state["weights"], state["updates"]
