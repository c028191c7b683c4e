"""A model: front-end -> encoder -> core -> decoders, assembled from a config."""

from __future__ import annotations

from torch import Tensor, nn

from transducer.heads.ctc import CTC, SelfConditioning
from transducer.model.config import (
    AudioVisualConfig,
    CascadedRNNTConfig,
    ConvSubsamplingConfig,
    Core,
    CTCConfig,
    Decoder,
    Encoder,
    FrameCNNConfig,
    FramesConfig,
    FramewiseConfig,
    Frontend,
    FusionConfig,
    ModelConfig,
    PooledConfig,
    RecurrentConfig,
    TCNConfig,
    TransformerConfig,
)
from transducer.model.sequence import Serial, Streaming, set_chunk


class Network(nn.Module):
    """The neural part of a model.

    Attributes:
        frontend: samples, frames of a video, or both -> features, `Streaming`.
        encoder: features -> frames, `Streaming`: the CNN and the sequence core.
        decoders: name -> head on the frames.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        channels = config.cores[0].channels
        if any(core.channels != channels for core in config.cores):
            raise ValueError(f"cores in a row need the same channels, got {[core.channels for core in config.cores]}")
        self.frontend = build_frontend(config.frontend)
        stages: list[Streaming] = [build_encoder(config.encoder, self.frontend, channels)]
        layers = [layer for core in config.cores for layer in core_layers(core)]
        for number, layer in enumerate(layers, start=1):
            stages.append(layer)
            if config.conditioning and config.conditioning.after == number:
                stages.append(SelfConditioning(channels, config.units[config.conditioning.units]))
        self.encoder = Serial(*stages)
        self.decoders = nn.ModuleDict(
            {name: build_decoder(part, channels, config) for name, part in config.decoders.items()}
        )

    @property
    def hop(self) -> int:
        """Samples per encoder frame; of a video, its frames per encoder frame."""
        return self.frontend.stride * self.encoder.stride

    def set_chunk(self, chunk: int) -> None:
        """Set the chunk of the encoder, in its frames, and of heads that have one to the same stretch of time.

        A head that takes several frames at a time can be used only with a multiple of them.
        """
        set_chunk(self.encoder, chunk)
        for head in self.decoders.values():
            set_chunk(head, max(chunk // head.stride, 1))

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


# The stages of one kind of media are imported where a model has them: sound must not wait for video, nor the other
# way round.


def build_frontend(config: Frontend) -> Streaming:
    """The front-end of a config."""
    if isinstance(config, FramesConfig):
        from transducer.frontends.frames import Frames

        return Frames(config.height, config.width, config.channels)
    if isinstance(config, AudioVisualConfig):
        from transducer.frontends.audio_visual import AudioVisual

        return AudioVisual(build_frontend(config.video), build_frontend(config.audio), config.samples)
    from transducer.frontends.logmel import LogMel

    return LogMel(config.rate, config.bins, config.window, config.hop, config.low_hz, floor=config.floor)


def build_encoder(config: Encoder, frontend: Streaming, channels: int) -> Streaming:
    """The encoder for the features of a front-end. Raises ValueError where they are for different media."""
    from transducer.frontends.frames import Frames
    from transducer.frontends.logmel import LogMel

    if isinstance(config, ConvSubsamplingConfig) and isinstance(frontend, LogMel):
        from transducer.encoders.conv_subsampling import ConvSubsampling

        return ConvSubsampling(frontend.bins, channels, config.hidden)
    if isinstance(config, FrameCNNConfig) and isinstance(frontend, Frames):
        from transducer.encoders.frame_cnn import FrameCNN

        return FrameCNN(
            frontend.height,
            frontend.width,
            frontend.channels,
            channels,
            config.widths,
            config.strides,
            config.kernel,
            config.blocks,
            config.grid,
            config.shift,
            config.difference,
            config.similarity,
            config.dropout,
        )
    if isinstance(config, FusionConfig):
        from transducer.encoders.fusion import Fusion
        from transducer.frontends.audio_visual import AudioVisual

        if isinstance(frontend, AudioVisual):
            video = build_encoder(config.video, frontend.video, channels)
            audio = build_encoder(config.audio, frontend.audio, channels)
            return Fusion(video, audio, frontend.hops, channels)
    raise ValueError(f"{type(config).__name__} does not encode the features of {type(frontend).__name__}")


def core_layers(config: Core) -> list[Streaming]:
    """The layers of a sequence core, first to last."""
    if isinstance(config, RecurrentConfig):
        from transducer.cores.recurrent import RecurrentLayer

        return [RecurrentLayer(config.channels, config.kind, config.dropout) for _ in range(config.layers)]
    if isinstance(config, TCNConfig):
        from transducer.cores.tcn import TCNLayer, spread_look_ahead

        dilations = [config.dilations[layer % len(config.dilations)] for layer in range(config.layers)]
        ahead = spread_look_ahead(config.look_ahead, config.kernel, dilations)
        return [
            TCNLayer(config.channels, config.hidden, config.kernel, dilation, steps, config.dropout)
            for dilation, steps in zip(dilations, ahead, strict=True)
        ]
    shared = (config.chunk, config.left_context, config.look_ahead, config.dropout)
    if isinstance(config, TransformerConfig):
        from transducer.cores.transformer import TransformerLayer

        return [TransformerLayer(config.channels, config.heads, config.hidden, *shared) for _ in range(config.layers)]
    from transducer.cores.conformer import ConformerLayer

    return [
        ConformerLayer(config.channels, config.heads, config.hidden, config.kernel, *shared)
        for _ in range(config.layers)
    ]


def build_decoder(part: Decoder, channels: int, config: ModelConfig) -> nn.Module:
    """The head of a decoder on frames of so many channels."""
    tokens = config.units[part.units]
    if isinstance(part, CTCConfig):
        return CTC(channels, tokens)
    if isinstance(part, FramewiseConfig):
        from transducer.heads.framewise import Framewise

        return Framewise(channels, tokens, part.hidden)
    if isinstance(part, PooledConfig):
        from transducer.heads.pooled import Pooled

        return Pooled(channels, tokens, part.hidden)
    if isinstance(part, CascadedRNNTConfig):
        from transducer.heads.cascaded_rnnt import CascadedRNNT

        sources = config.units[config.decoders[part.source].units]
        shape = (part.stack, part.width, part.heads, part.hidden, part.layers, part.kernel, part.chunk)
        return CascadedRNNT(channels, sources, tokens, *shape, part.left_context, part.predictor, part.delay)
    from transducer.heads.rnnt import RNNT

    return RNNT(channels, tokens, part.predictor, part.channels, part.context)
