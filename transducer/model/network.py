"""A model: front-end -> encoder -> core -> heads, assembled from a config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import nn

from transducer.model.config import ModelConfig
from transducer.model.sequence import Serial, Streaming, set_chunk

if TYPE_CHECKING:
    from transducer.heads.head import Head


class Network(nn.Module):
    """The neural part of a model.

    Attributes:
        frontend: samples, frames of a video, or both -> features, `Streaming`.
        encoder: features -> frames, `Streaming`: the CNN and the sequence core.
        heads: name -> head on the frames.
    """

    heads: Mapping[str, Head]

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        if not config.cores:
            raise ValueError("a model needs a core")
        channels = config.cores[0].channels
        if any(core.channels != channels for core in config.cores):
            raise ValueError(f"cores in a row need the same channels, got {[core.channels for core in config.cores]}")
        self.frontend = config.frontend.build()
        stages: list[Streaming] = [config.encoder.build(self.frontend, channels)]
        layers = [layer for core in config.cores for layer in core.build()]
        for number, layer in enumerate(layers, start=1):
            stages.append(layer)
            if config.conditioning and config.conditioning.after == number:
                stages.append(config.conditioning.build(channels, config))
        self.encoder = Serial(*stages)
        heads = {name: part.build(channels, config) for name, part in config.heads.items()}
        self.heads = nn.ModuleDict(heads)  # type: ignore[assignment]

    @property
    def hop(self) -> int:
        """Samples per encoder frame; of a video, its frames per encoder frame."""
        return self.frontend.stride * self.encoder.stride

    def set_chunk(self, chunk: int) -> None:
        """Set the chunk of the encoder, in its frames, and of heads that have one to the same stretch of time.

        A head that takes several frames at a time can be used only with a multiple of them.
        """
        set_chunk(self.encoder, chunk)
        for head in self.heads.values():
            set_chunk(head, max(chunk // head.stride, 1))
