"""How much a frame looks like each of the frames before it: what makes a cut a cut."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

THUMBNAIL = (6, 8)  # cells of the coarse picture, down and across
LEVELS = 8  # of each colour in the histogram
FLAT = 0.5  # weight of the component that makes pictures without structure similar to each other
CLOSEST = 1e-3  # added under the root, whose slope is infinite at zero
GROUP = 32  # frames that share one product with their predecessors


class SimilarityState(NamedTuple):
    exists: Tensor  # (B, K) bool
    embeddings: Tensor  # (B, K, D), like the others of length 1: those of the newest frames
    thumbnails: Tensor  # (B, K, D')
    histograms: Tensor  # (B, K, D'')


class Similarity(nn.Module):
    """Distances of each frame to its `past` predecessors -> (B, T, channels), causal.

    Three views of a frame are compared: a learned projection of its embedding, a thumbnail less its mean, and the
    square root of its colour histogram (then the product is the Bhattacharyya coefficient). All are unit vectors a,
    b, and what the network sees is their distance |a - b| = sqrt(2 - 2 cos), which unlike the cosine tells
    near-identical frames from similar ones. The idea is that of TransNet V2 (Soucek & Lokoc 2020), which looks both
    ways. A predecessor that does not exist counts as the frame itself: a stream begins like a still picture.
    """

    def __init__(self, past: int, embedding: int, channels: int, height: int, width: int, colours: int, size: int = 48):
        super().__init__()
        self.past, self.size, self.colours = past, size, colours
        self.thumbnail = (min(height, THUMBNAIL[0]), min(width, THUMBNAIL[1]))
        self.project = nn.Linear(embedding, size)
        self.out = nn.Sequential(nn.Linear(3 * past, channels), nn.GELU(), nn.Linear(channels, channels))

    def init_state(self, batch: int, like: Tensor) -> SimilarityState:
        sizes = (self.size, self.colours * self.thumbnail[0] * self.thumbnail[1] + 1, LEVELS**self.colours)
        exists = torch.zeros(batch, self.past, dtype=torch.bool, device=like.device)
        return SimilarityState(exists, *(like.new_zeros(batch, self.past, size) for size in sizes))

    def step(
        self, frames: Tensor, embedding: Tensor, mask: Tensor, state: SimilarityState
    ) -> tuple[Tensor, SimilarityState]:
        """Frames (B, T, H, W, colours) in [-1, 1], embeddings (B, T, C), mask (B, T) -> (B, T, channels), new state."""
        # Eight bits of a cosine say nothing about frames that are nearly the same.
        with torch.autocast(frames.device.type, enabled=False):
            views = (
                unit(self.project(embedding.to(frames.dtype))),
                thumbnails(frames, self.thumbnail),
                histograms(frames),
            )
            exists = torch.cat([state.exists, mask], dim=1)
            series = [
                torch.cat([before.to(view.dtype), view], dim=1) for before, view in zip(state[1:], views, strict=True)
            ]
            cosines = torch.stack([self._cosines(all_, mask.shape[1]) for all_ in series], dim=-1)  # (B, T, K, 3)
            known = exists.unfold(1, self.past, 1)[:, :-1].flip(-1)
            cosines = torch.where(known.unsqueeze(-1), cosines, 1.0)
            distances = (2.0 - 2.0 * cosines).clamp(min=0.0).add(CLOSEST).sqrt()
        kept = exists[:, mask.shape[1] :]
        newest = (torch.where(kept.unsqueeze(-1), all_[:, mask.shape[1] :], 0.0) for all_ in series)
        return self.out(distances.flatten(2)), SimilarityState(kept, *newest)

    def _cosines(self, series: Tensor, steps: int) -> Tensor:
        """(B, K + T, D) unit vectors -> (B, T, K): products of the last T with their predecessors, nearest first."""
        groups = -(-steps // GROUP)
        series = nn.functional.pad(series, (0, 0, 0, groups * GROUP - steps))
        queries = series[:, self.past :].unflatten(1, (groups, GROUP))
        keys = series.unfold(1, self.past + GROUP, GROUP)  # (B, groups, D, K + GROUP)
        products = queries @ keys
        query, back = (torch.arange(size, device=series.device) for size in (GROUP, self.past))
        places = self.past + query[:, None] - 1 - back  # of the predecessors among the keys
        return products.gather(-1, places.expand(series.shape[0], groups, -1, -1)).flatten(1, 2)[:, :steps]


def unit(x: Tensor) -> Tensor:
    return nn.functional.normalize(x, dim=-1, eps=1e-6)


def thumbnails(frames: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, T, H, W, C) -> (B, T, h * w * C + 1): unit vectors of the coarse picture less its mean colour.

    The last component is a constant, for pictures of one colour: without it they would be like nothing at all.
    """
    batch, steps, height, width, colours = frames.shape
    # As products: pooling kernels are slow on so few channels.
    pictures = cells(height, size[0], 1, frames) @ frames.reshape(-1, height, width * colours)
    pictures = pictures @ cells(width, size[1], colours, frames).T
    pictures = pictures.view(batch * steps, -1, colours)
    pictures = (pictures - pictures.mean(dim=1, keepdim=True)).flatten(1)
    return unit(nn.functional.pad(pictures, (0, 1), value=FLAT)).view(batch, steps, -1)


def cells(size: int, count: int, colours: int, like: Tensor) -> Tensor:
    """(count * colours, size * colours): means over adjoining cells, as adaptive average pooling takes them."""
    return torch.from_numpy(_cells(size, count, colours)).to(like)


@lru_cache(maxsize=8)
def _cells(size: int, count: int, colours: int) -> NDArray[np.floating]:
    means = np.zeros((count, size))
    for cell, row in enumerate(means):
        start, end = cell * size // count, -(-(cell + 1) * size // count)
        row[start:end] = 1 / (end - start)
    return np.kron(means, np.eye(colours))


def histograms(frames: Tensor) -> Tensor:
    """(B, T, H, W, C) in [-1, 1] -> (B, T, LEVELS^C): unit vectors of square roots of counts; no gradient."""
    batch, steps, height, width, colours = frames.shape
    levels = torch.add(LEVELS / 2, frames.detach(), alpha=LEVELS / 2).clamp_(0, LEVELS - 1).floor_()
    # The bin's number as a product with 64, 8, 1: exact, and faster than picking the colours apart.
    places = LEVELS ** torch.arange(colours - 1, -1, -1, dtype=frames.dtype, device=frames.device)
    size = LEVELS**colours
    bins = (levels.view(-1, colours) @ places).to(torch.int64).clamp_(0, size - 1).view(batch, steps, height * width)
    counts = frames.new_zeros(batch, steps, size).scatter_add_(2, bins, frames.new_ones(()).expand_as(bins))
    return (counts / (height * width)).sqrt()
