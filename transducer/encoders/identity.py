"""No encoder: what a front-end gives passes on as it is, to a head that has its own."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from transducer.cores.layers import Pointwise
from transducer.frontends.waveform import Waveform
from transducer.frontends.whisper_mel import WhisperMel
from transducer.model.config import EncoderConfig, register
from transducer.model.sequence import Streaming


@register("identity")
@dataclass(frozen=True)
class IdentityConfig(EncoderConfig):
    """The features themselves, as many as the core has channels."""

    def build(self, frontend: Streaming, channels: int) -> Streaming:
        if not isinstance(frontend, WhisperMel | Waveform):
            raise self.misfit(frontend)
        if frontend.features != channels:
            raise ValueError(f"features that pass on as they are need a core of {frontend.features} channels")
        return Pointwise(nn.Identity())

    @classmethod
    def examples(cls) -> tuple[IdentityConfig, ...]:
        return (cls(),)
