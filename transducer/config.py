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
class ConvSubsamplingConfig:
    """See `transducer.encoders.subsampling.ConvSubsampling`."""

    hidden: int = 32


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


Core = ConformerConfig | TransformerConfig | RecurrentConfig
Decoder = CTCConfig | RNNTConfig


@dataclass(frozen=True)
class ModelConfig:
    """A whole model.

    Attributes:
        decoders: name -> decoder. The first is the one that a plain greedy search reads.
        units: name of units -> number of tokens, the blank counted.
        conditioning: an intermediate head, or None.
        chunks: chunk sizes in encoder frames that the model was trained for.
        card: what people want to know: what it was trained on, licences, measured figures.
    """

    frontend: LogMelConfig = LogMelConfig()
    encoder: ConvSubsamplingConfig = ConvSubsamplingConfig()
    core: Core = ConformerConfig()
    decoders: dict[str, Decoder] = dataclasses.field(default_factory=lambda: {"ctc": CTCConfig()})
    units: dict[str, int] = dataclasses.field(default_factory=dict)
    conditioning: SelfConditioningConfig | None = None
    chunks: tuple[int, ...] = (8, 16, 32)
    card: dict[str, Any] = dataclasses.field(default_factory=dict)


TAGS: dict[str, type] = {
    "logmel": LogMelConfig,
    "conv_subsampling": ConvSubsamplingConfig,
    "conformer": ConformerConfig,
    "transformer": TransformerConfig,
    "recurrent": RecurrentConfig,
    "self_conditioning": SelfConditioningConfig,
    "ctc": CTCConfig,
    "rnnt": RNNTConfig,
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
