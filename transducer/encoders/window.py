"""The encoder of words and other vectors: one window over them, all of the model's look-ahead in it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from transducer.cores.layers import Pointwise
from transducer.cores.window import Window
from transducer.encoders.projection import VECTORS
from transducer.model.config import EncoderConfig, register
from transducer.model.sequence import Serial, Streaming


@register("window")
@dataclass(frozen=True)
class WindowConfig(EncoderConfig):
    """A `Window` over embeddings or rows of numbers to the core's channels, a norm and SiLU."""

    past: int = 3
    look_ahead: int = 4
    dropout: float = 0.0

    def build(self, frontend: Streaming, channels: int) -> Streaming:
        if not isinstance(frontend, VECTORS):
            raise self.misfit(frontend)
        window = Window(frontend.channels, channels, self.past, self.look_ahead)
        return Serial(window, Pointwise(nn.Sequential(nn.LayerNorm(channels), nn.SiLU(), nn.Dropout(self.dropout))))

    @classmethod
    def examples(cls) -> tuple[WindowConfig, ...]:
        return cls(2, 0), cls(1, 3)
