"""What a model is made of, as frozen dataclasses that go to JSON and back.

Every class carries its tag under the key "type"; `TAGS` is the whole table. A config that names an unknown
tag or field is refused, so that a checkpoint of a newer version says so instead of half-working.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from transducer.errors import CheckpointError


@dataclass(frozen=True)
class LogMelConfig:
    """See `transducer.frontends.logmel.LogMel`; window and hop in samples."""

    rate: int = 16000
    bins: int = 80
    window: int = 400
    hop: int = 160
    low_hz: float = 20.0
    floor: float = 1e-8


@dataclass(frozen=True)
class FramesConfig:
    """See `transducer.frontends.frames.Frames`; the size that pictures are brought to, in pixels."""

    height: int = 27
    width: int = 48
    channels: int = 3


@dataclass(frozen=True)
class AudioVisualConfig:
    """See `transducer.frontends.audio_visual.AudioVisual`; `samples` of sound to each frame of the video."""

    video: FramesConfig = FramesConfig(64, 64)
    audio: LogMelConfig = LogMelConfig()
    samples: int = 640


@dataclass(frozen=True)
class ConvSubsamplingConfig:
    """See `transducer.encoders.conv_subsampling.ConvSubsampling`."""

    hidden: int = 32


@dataclass(frozen=True)
class FrameCNNConfig:
    """See `transducer.encoders.frame_cnn.FrameCNN`."""

    widths: tuple[int, ...] = (16, 32, 64)
    strides: tuple[int, ...] = ()
    kernel: int = 3
    blocks: int | tuple[int, ...] = 0
    grid: tuple[int, int] = (2, 3)
    shift: float = 0.25
    difference: bool = True
    similarity: int = 0
    dropout: float = 0.0


@dataclass(frozen=True)
class FusionConfig:
    """See `transducer.encoders.fusion.Fusion`; for the features of an `AudioVisualConfig`."""

    video: FrameCNNConfig = FrameCNNConfig()
    audio: ConvSubsamplingConfig = ConvSubsamplingConfig()


@dataclass(frozen=True)
class ConformerConfig:
    """Layers of `transducer.cores.conformer`; chunk and left_context in encoder frames, look_ahead in chunks."""

    channels: int = 192
    heads: int = 4
    hidden: int = 512
    layers: int = 8
    kernel: int = 15
    chunk: int = 16
    left_context: int = 64
    look_ahead: int = 0
    dropout: float = 0.0


@dataclass(frozen=True)
class TransformerConfig:
    """Layers of `transducer.cores.transformer`; chunk and left_context in encoder frames, look_ahead in chunks."""

    channels: int = 192
    heads: int = 4
    hidden: int = 768
    layers: int = 8
    chunk: int = 16
    left_context: int = 64
    look_ahead: int = 0
    dropout: float = 0.0


@dataclass(frozen=True)
class RecurrentConfig:
    """Layers of `transducer.cores.recurrent`; kind is "lstm", "gru" or "rnn"."""

    kind: str = "lstm"
    channels: int = 256
    layers: int = 3
    dropout: float = 0.0


@dataclass(frozen=True)
class TCNConfig:
    """Layers of `transducer.cores.tcn`; layer n has the nth of `dilations`, round and round.

    `look_ahead` is that of all layers together, in encoder frames.
    """

    channels: int = 128
    hidden: int = 256
    layers: int = 8
    kernel: int = 5
    dilations: tuple[int, ...] = (1, 2, 4, 8)
    look_ahead: int = 0
    dropout: float = 0.0


@dataclass(frozen=True)
class SelfConditioningConfig:
    """An intermediate head after layer `after` of the core (1 = after the first), its posteriors fed back."""

    after: int
    units: str


@dataclass(frozen=True)
class CTCConfig:
    """A CTC head over the units of this name."""

    units: str = "characters"


@dataclass(frozen=True)
class RNNTConfig:
    """A recurrent neural network transducer; `predictor` is "stateless" or "lstm"."""

    units: str = "characters"
    predictor: str = "stateless"
    channels: int = 256
    context: int = 2


@dataclass(frozen=True)
class CascadedRNNTConfig:
    """An RNN-T behind a CTC head, see `transducer.heads.cascaded_rnnt.CascadedRNNT`; `source` is that head's name."""

    units: str = "pieces"
    source: str = "phones"
    stack: int = 2
    width: int = 256
    heads: int = 4
    hidden: int = 512
    layers: int = 3
    kernel: int = 9
    chunk: int = 8
    left_context: int = 32
    predictor: int = 384
    delay: int = 3


@dataclass(frozen=True)
class FramewiseConfig:
    """A label for every frame; `hidden` units in a layer before the last, 0 for none."""

    units: str = "labels"
    hidden: int = 0


@dataclass(frozen=True)
class PooledConfig:
    """One label for the whole sequence; `hidden` as above."""

    units: str = "labels"
    hidden: int = 0


Frontend = LogMelConfig | FramesConfig | AudioVisualConfig
Encoder = ConvSubsamplingConfig | FrameCNNConfig | FusionConfig
Core = ConformerConfig | TransformerConfig | RecurrentConfig | TCNConfig
Decoder = CTCConfig | RNNTConfig | CascadedRNNTConfig | FramewiseConfig | PooledConfig


@dataclass(frozen=True)
class ModelConfig:
    """A whole model.

    Attributes:
        frontend, encoder: those for the same kind of media: `LogMelConfig` and `ConvSubsamplingConfig` for sound,
            `FramesConfig` and `FrameCNNConfig` for video, `AudioVisualConfig` and `FusionConfig` for both.
        core: one, or several in the order in which they follow each other, of the same `channels`.
        decoders: name -> decoder. The first is the one that a plain greedy search reads.
        units: name of units -> number of tokens, the blank counted.
        conditioning: an intermediate head, or None.
        chunks: chunk sizes in encoder frames that the model was trained for.
        card: what people want to know: what it was trained on, licences, measured figures.
    """

    frontend: Frontend = LogMelConfig()
    encoder: Encoder = ConvSubsamplingConfig()
    core: Core | tuple[Core, ...] = ConformerConfig()
    decoders: dict[str, Decoder] = dataclasses.field(default_factory=lambda: {"ctc": CTCConfig()})
    units: dict[str, int] = dataclasses.field(default_factory=dict)
    conditioning: SelfConditioningConfig | None = None
    chunks: tuple[int, ...] = (8, 16, 32)
    card: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def cores(self) -> tuple[Core, ...]:
        """The core or cores, first to last."""
        return self.core if isinstance(self.core, tuple) else (self.core,)


TAGS: dict[str, type] = {
    "logmel": LogMelConfig,
    "frames": FramesConfig,
    "audio_visual": AudioVisualConfig,
    "conv_subsampling": ConvSubsamplingConfig,
    "frame_cnn": FrameCNNConfig,
    "fusion": FusionConfig,
    "conformer": ConformerConfig,
    "transformer": TransformerConfig,
    "recurrent": RecurrentConfig,
    "tcn": TCNConfig,
    "self_conditioning": SelfConditioningConfig,
    "ctc": CTCConfig,
    "rnnt": RNNTConfig,
    "cascaded_rnnt": CascadedRNNTConfig,
    "framewise": FramewiseConfig,
    "pooled": PooledConfig,
    "model": ModelConfig,
}
_TAG_OF = {kind: tag for tag, kind in TAGS.items()}


def to_json(config: Any) -> Any:
    """A config as JSON data, with its class tag under "type"."""
    if dataclasses.is_dataclass(config):
        fields = {field.name: to_json(getattr(config, field.name)) for field in dataclasses.fields(config)}
        return {"type": _TAG_OF[type(config)], **fields}
    if isinstance(config, dict):
        return {key: to_json(value) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return [to_json(value) for value in config]
    return config


def from_json(data: Any) -> Any:
    """The inverse of `to_json`; lists come back as tuples. Raises CheckpointError on unknown tags and fields."""
    if isinstance(data, list):
        return tuple(from_json(value) for value in data)
    if not isinstance(data, dict):
        return data
    if "type" not in data:
        return {key: from_json(value) for key, value in data.items()}
    tag = data["type"]
    if tag not in TAGS:
        raise CheckpointError(f"the config has a part of unknown type {tag!r}: it needs a newer version of transducer")
    fields = {key: from_json(value) for key, value in data.items() if key != "type"}
    unknown = sorted(fields.keys() - {field.name for field in dataclasses.fields(TAGS[tag])})
    if unknown:
        raise CheckpointError(
            f"the config's {tag} has unknown fields {', '.join(unknown)}: it needs a newer version of transducer"
        )
    try:
        return TAGS[tag](**fields)
    except TypeError as error:
        raise CheckpointError(f"the config's {tag} is incomplete: {error}") from None
