"""Whisper's encoder as the start of one that streams: the same weights, with chunks, and steps that come later."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from transducer.encoders.whisper import WhisperEncoder
from transducer.engine.model import load
from transducer.errors import UsageError
from transducer.frontends.logmel import LogMel
from transducer.heads.segment import SegmentHead
from transducer.model.network import Network


@dataclass(frozen=True)
class WhisperStart:
    """`Recipe.initial`: the network of `recipe` takes the encoder of published weights.

    Attributes:
        folder: with the weights, or their name, see `transducer.load`.
    """

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    def __call__(self, network: Network) -> None:
        """Raises UsageError for weights of another family, or of other sizes."""
        try:
            network.encoder.load_state_dict(causal(whisper_encoder(self.folder)))
        except RuntimeError as error:
            raise UsageError(f"the encoder of {self.folder} has other sizes than the model: {error}") from None
        # It takes (log10 p + 4) / 4.
        assert isinstance(network.frontend, LogMel)
        network.frontend.mean.fill_(-4 * math.log(10))
        network.frontend.std.fill_(4 * math.log(10))


def whisper_encoder(folder: Path) -> WhisperEncoder:
    """The encoder of published weights. Raises UsageError for weights of another family."""
    heads = load(folder).network.heads.values()
    encoder = next((head.encoder for head in heads if isinstance(head, SegmentHead)), None)
    if not isinstance(encoder, WhisperEncoder):
        raise UsageError(f"{folder} has no encoder of Whisper's to start from")
    return encoder


def causal(encoder: WhisperEncoder) -> dict[str, Tensor]:
    """The weights as `ConvStem` and `SinusoidalTransformerConfig`, one after the other, name them."""
    found = _named("stages.0.conv1", encoder.conv1) | _named("stages.0.conv2", encoder.conv2)
    for number, layer in enumerate(encoder.layers, start=2):
        first, second = (f"stages.{number}.stages.{half}.body.stages" for half in (0, 1))
        attention, (widen, _, narrow) = layer.self_attention, layer.feed_forward
        parts = (attention.query, attention.key, attention.value)
        found |= {
            f"{first}.1.qkv.weight": torch.cat([part.weight for part in parts]),
            f"{first}.1.qkv.bias": torch.cat([_bias(part) for part in parts]),
        }
        found |= _named(f"{first}.0.module", layer.self_norm) | _named(f"{first}.1.out", attention.out)
        found |= _named(f"{second}.0.module", layer.feed_norm)
        found |= _named(f"{second}.1.module.0", widen) | _named(f"{second}.1.module.3", narrow)
    return found | _named(f"stages.{len(encoder.layers) + 2}.module", encoder.norm)


def _bias(part: nn.Linear) -> Tensor:
    return torch.zeros(part.out_features) if part.bias is None else part.bias


def _named(name: str, module: nn.Module) -> dict[str, Tensor]:
    return {f"{name}.{key}": value for key, value in module.state_dict().items()}
