"""A model: front-end -> encoder -> core -> decoders, assembled from a config."""

from __future__ import annotations

from torch import Tensor, nn

from transducer.config import (
    ConformerConfig,
    CTCConfig,
    ModelConfig,
    RecurrentConfig,
    RNNTConfig,
    TransformerConfig,
)
from transducer.decoders.ctc import CTC, SelfConditioning
from transducer.encoders.subsampling import ConvSubsampling
from transducer.frontends.logmel import LogMel
from transducer.sequence import Serial, Streaming


class Network(nn.Module):
    """The neural part of a model.

    Attributes:
        frontend: samples -> features, `Streaming`.
        encoder: features -> frames, `Streaming`: the CNN and the sequence core.
        decoders: name -> head on the frames.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        mel = config.frontend
        self.frontend = LogMel(mel.rate, mel.bins, mel.window, mel.hop, mel.low_hz, floor=mel.floor)
        channels = config.core.channels
        stages: list[Streaming] = [ConvSubsampling(mel.bins, channels, config.encoder.hidden)]
        for number, layer in enumerate(core_layers(config.core), start=1):
            stages.append(layer)
            if config.conditioning and config.conditioning.after == number:
                stages.append(SelfConditioning(channels, config.units[config.conditioning.units]))
        self.encoder = Serial(*stages)
        self.decoders = nn.ModuleDict(
            {name: build_decoder(part, channels, config) for name, part in config.decoders.items()}
        )

    @property
    def hop(self) -> int:
        """Samples per encoder frame."""
        return self.frontend.stride * self.encoder.stride

    def encode_with_taps(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """The encoder's frames and mask, and the logits (B, T, V) of every intermediate head, for the losses."""
        taps = []
        for stage in self.encoder.stages:
            if isinstance(stage, SelfConditioning):
                taps.append(stage.logits(features))
                features = stage.condition(features, taps[-1])
            else:
                features, mask = stage(features, mask)
        return features, mask, taps


def core_layers(config: ConformerConfig | TransformerConfig | RecurrentConfig) -> list[Streaming]:
    """The layers of a sequence core, first to last."""
    if isinstance(config, RecurrentConfig):
        from transducer.cores.recurrent import RecurrentLayer

        return [RecurrentLayer(config.channels, config.kind, config.dropout) for _ in range(config.layers)]
    shared = (config.chunk, config.left_context, config.look_ahead, config.dropout)
    if isinstance(config, TransformerConfig):
        from transducer.cores.transformer import TransformerLayer

        return [TransformerLayer(config.channels, config.heads, config.hidden, *shared) for _ in range(config.layers)]
    from transducer.cores.conformer import ConformerLayer

    return [
        ConformerLayer(config.channels, config.heads, config.hidden, config.kernel, *shared)
        for _ in range(config.layers)
    ]


def build_decoder(part: CTCConfig | RNNTConfig, channels: int, config: ModelConfig) -> nn.Module:
    """The head of a decoder on frames of so many channels."""
    tokens = config.units[part.units]
    if isinstance(part, CTCConfig):
        return CTC(channels, tokens)
    from transducer.decoders.rnnt import RNNT

    return RNNT(channels, tokens, part.predictor, part.channels, part.context)
