"""What image networks have in common: pictures in, a map of features out; and how published weights get in.

N pictures, H and W height and width, F features.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from transducer.errors import CheckpointError

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# Name of a set of weights' layout -> (our name, its name) of all modules and parameters that have weights.
Names = Iterator[tuple[str, str]]


class ImageNetworkConfig:
    """Of a network for pictures.

    Attributes:
        mean, std: of red, green and blue, 0 to 1, that it normalises pictures with: those that its weights were
            trained with.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def build(self, height: int, width: int) -> ImageNetwork:
        """The network for pictures of this size. Raises ValueError where they do not fit."""
        raise NotImplementedError


class ImageNetwork(nn.Module):
    """(N, 3, H, W), normalised -> (N, F, h, w).

    Attributes:
        features: F.
        map: h and w.
        classifier: prefixes of published weights that it has no use for: those of the classes.
    """

    features: int
    map: tuple[int, int]
    classifier: tuple[str, ...] = ()

    def layouts(self) -> Mapping[str, Names]:
        """The names of published weights by who publishes them, such as "torchvision"."""
        raise NotImplementedError

    def take(self, weights: Mapping[str, Tensor], source: str) -> str:
        """Fill in published weights; returns whose layout they have.

        Raises:
            CheckpointError: names or shapes are not those of this network; nothing is changed.
        """
        given = {
            name: weight
            for name, weight in weights.items()
            if not name.startswith(self.classifier) and not name.endswith("num_batches_tracked")
        }
        own = self.state_dict()
        tables = {layout: dict(_tensors(own, names)) for layout, names in self.layouts().items()}
        layout = max(tables, key=lambda name: len(given.keys() & tables[name].values()))
        table = tables[layout]
        missing, strange = set(table.values()) - given.keys(), given.keys() - set(table.values())
        shapes = [
            f"{theirs} is {tuple(given[theirs].shape)}, not {tuple(own[ours].shape)}"
            for ours, theirs in table.items()
            if theirs in given and given[theirs].shape != own[ours].shape
        ]
        problems = [
            *(f"{name} is missing" for name in sorted(missing)),
            *(f"{name} is unknown" for name in sorted(strange)),
        ]
        if problems := [*problems, *shapes]:
            more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
            raise CheckpointError(
                f"{source} does not fit {type(self).__name__} as {layout} publishes it: {'; '.join(problems[:3])}{more}"
            )
        self.load_state_dict({ours: given[theirs] for ours, theirs in table.items()})
        return layout


def _tensors(own: Mapping[str, Any], names: Names) -> Iterator[tuple[str, str]]:
    """From names of modules and parameters to those of tensors."""
    for ours, theirs in names:
        if ours in own:
            yield ours, theirs
        else:
            yield from ((name, theirs + name[len(ours) :]) for name in own if name.startswith(f"{ours}."))


class FrozenNorm(nn.Module):
    """Batch normalisation by statistics that never change (Ioffe & Szegedy 2015, as at inference); scale and bias may.

    Statistics over a batch would make a frame's features depend on other frames, and on those of other streams.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, eps: float = 1e-5):
        super().__init__()
        self.eps = eps
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, training=False, eps=self.eps
        )


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution without bias, with half of its kernel as padding on every side."""
    layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer


def halved(size: int, times: int) -> int:
    """A side of a picture after so many convolutions of stride 2, padded at the edge."""
    for _ in range(times):
        size = -(-size // 2)
    return size
