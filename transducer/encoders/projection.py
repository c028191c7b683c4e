"""The encoder of steps that are vectors already, embeddings or rows of numbers: one linear map."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from transducer.cores.layers import Pointwise
from transducer.encoders.stacking import Stack
from transducer.frontends.series import Series
from transducer.frontends.symbols import Symbols
from transducer.frontends.words import Words
from transducer.model.config import EncoderConfig, register
from transducer.model.sequence import Serial, Streaming

VECTORS = (Series, Symbols, Words)  # front-ends whose `channels` are those of a vector


@register("projection")
@dataclass(frozen=True)
class ProjectionConfig(EncoderConfig):
    """Each step, or each `stack` steps side by side, to the core's channels by a linear map and a norm."""

    stack: int = 1
    dropout: float = 0.0

    def build(self, frontend: Streaming, channels: int) -> Streaming:
        if not isinstance(frontend, VECTORS):
            raise self.misfit(frontend)
        inputs = frontend.channels * self.stack
        project = Pointwise(
            nn.Sequential(nn.Linear(inputs, channels), nn.LayerNorm(channels), nn.Dropout(self.dropout))
        )
        return project if self.stack == 1 else Serial(Stack(self.stack), project)

    @classmethod
    def examples(cls) -> tuple[ProjectionConfig, ...]:
        return cls(), cls(2)
