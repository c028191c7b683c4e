"""The network behind readable text: words in, scores of marks and cases out, a few words later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from transducer.cores.layers import Pointwise
from transducer.model.sequence import Residual, Serial, Streaming, apply_mask
from transducer.text.readable.labels import CASES, MARKS


@dataclass(frozen=True)
class ReadableConfig:
    """Sizes of `ReadableNetwork`.

    Attributes:
        words: rows of the word embedding: the vocabulary and one for all other words.
        buckets: rows of the embedding of letter n-grams.
        embedding: channels of both.
        channels, hidden: of the layers, and inside them.
        past, look_ahead: words around the current one that the first convolution sees.
        dilations: of the layers after it, which look at the current word and two before it.
    """

    words: int = 14000
    buckets: int = 4096
    embedding: int = 64
    channels: int = 160
    hidden: int = 224
    past: int = 3
    look_ahead: int = 4
    dilations: tuple[int, ...] = (1, 3, 9)


class WindowState(NamedTuple):
    steps: Tensor  # (B, (past + look_ahead) * dilation, C): the newest inputs
    exists: Tensor  # (B, look_ahead * dilation) bool: which of the newest exist; their outputs wait


class Window(Streaming):
    """A full convolution, (B, T, C) -> (B, T, C'): `past` taps before the current step and `look_ahead` after it.

    Taps are `dilation` steps apart. As one matrix product it takes less time on a CPU than the depthwise convolutions
    of `transducer.cores.tcn`, which are nearly all traffic.
    """

    def __init__(self, channels: int, out_channels: int, past: int, look_ahead: int = 0, dilation: int = 1):
        super().__init__()
        self.channels, self.past, self.dilation = channels, past * dilation, dilation
        self.latency = look_ahead * dilation
        self.linear = nn.Linear((past + 1 + look_ahead) * channels, out_channels)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        padded = nn.functional.pad(apply_mask(x, mask), (0, 0, self.past, self.latency))
        return self._convolve(padded, x.shape[1]), mask

    def init_state(self, batch: int, like: Tensor) -> WindowState:
        steps = like.new_zeros(batch, self.past + self.latency, self.channels)
        return WindowState(steps, torch.zeros(batch, self.latency, dtype=torch.bool, device=like.device))

    def step(self, x: Tensor, mask: Tensor, state: WindowState) -> tuple[Tensor, Tensor, WindowState]:
        count = x.shape[1]
        steps = torch.cat([state.steps, apply_mask(x, mask)], dim=1)
        exists = torch.cat([state.exists, mask], dim=1)
        return self._convolve(steps, count), exists[:, :count], WindowState(steps[:, count:], exists[:, count:])

    def _convolve(self, x: Tensor, count: int) -> Tensor:
        starts = range(0, x.shape[1] - count + 1, self.dilation)
        return self.linear(torch.cat([x[:, start : start + count] for start in starts], dim=-1))


class ReadableNetwork(nn.Module):
    """Features of words -> log-probabilities of the mark after each and of its case.

    `embed` looks up every word alone; `stages` is the streaming part, with a latency of `look_ahead` words.
    """

    def __init__(self, config: ReadableConfig, dropout: float = 0.0):
        super().__init__()
        self.config = config
        self.words = nn.Embedding(config.words, config.embedding)
        self.ngrams = nn.Embedding(config.buckets, config.embedding)
        size = config.channels
        mix = nn.Sequential(nn.LayerNorm(size), nn.SiLU(), nn.Dropout(dropout))
        layers = (
            Residual(
                Serial(
                    Pointwise(nn.LayerNorm(size)),
                    Window(size, config.hidden, 2, dilation=dilation),
                    Pointwise(nn.Sequential(nn.GELU(), nn.Dropout(dropout), nn.Linear(config.hidden, size))),
                ),
                size,
            )
            for dilation in config.dilations
        )
        self.stages = Serial(
            Window(config.embedding, size, config.past, config.look_ahead),
            Pointwise(mix),
            *layers,
            Pointwise(nn.Sequential(nn.LayerNorm(size), nn.Linear(size, len(MARKS) + len(CASES)))),
        )

    def embed(self, words: Tensor, ngrams: Tensor) -> Tensor:
        """(B, T) row of each word, (B, T, N) rows of its n-grams -> (B, T, C)."""
        letters = nn.functional.embedding_bag(ngrams.flatten(0, -2), self.ngrams.weight, mode="sum")
        return self.words(words) + letters.view(*words.shape, self.config.embedding)


def log_probabilities(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs of `stages` (..., marks + cases) -> log-probabilities of the marks and of the cases."""
    marks, cases = scores.split((len(MARKS), len(CASES)), dim=-1)
    return marks.log_softmax(-1), cases.log_softmax(-1)
