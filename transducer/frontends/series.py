"""Rows of numbers: each column normalised by the statistics of the training data, one step a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from transducer.errors import UsageError
from transducer.model.config import FrontendConfig, Units, register
from transducer.model.sequence import Streaming, apply_mask

if TYPE_CHECKING:
    from transducer.media.series import Series as Rows


@register("series")
@dataclass(frozen=True)
class SeriesConfig(FrontendConfig):
    """See `Series`; the names of the columns, as a CSV file has them."""

    columns: tuple[str, ...] = ("x",)

    def __post_init__(self) -> None:
        if not self.columns or len(set(self.columns)) < len(self.columns):
            raise UsageError(f"a series needs columns, each with a name of its own; it has {list(self.columns)}")

    def build(self) -> Series:
        return Series(len(self.columns))

    @classmethod
    def examples(cls) -> tuple[SeriesConfig, ...]:
        return (cls(("a", "b", "c")),)

    def medium(self, units: Units | None = None) -> Rows:
        from transducer.media.series import Series as Rows

        return Rows(self.columns)


class Series(Streaming):
    """(B, T, C) -> (B, T, C), each column less its mean and over its standard deviation, those of the training data."""

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int):
        super().__init__()
        self.inputs = self.channels = channels
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("std", torch.ones(channels))

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return (apply_mask(x, mask) - self.mean) / self.std, mask

    def init_state(self, batch: int, like: Tensor) -> tuple[()]:
        return ()

    def step(self, x: Tensor, mask: Tensor, state: tuple[()]) -> tuple[Tensor, Tensor, tuple[()]]:
        return *self(x, mask), state
