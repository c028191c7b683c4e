"""The encoder of wav2vec 2.0 and HuBERT: samples -> steps, each of which sees the whole segment.

Sources:
    A. Baevski et al., "wav2vec 2.0: a framework for self-supervised learning of speech representations", 2020
    (arXiv:2006.11477)
    W.-N. Hsu et al., "HuBERT: self-supervised speech representation learning by masked prediction of hidden units",
    2021 (arXiv:2106.07447)

Legend of axis suffixes: N rows, T steps, C channels, L time inside.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from transducer.encoders.segment import EncoderLayer, visible_steps
from transducer.encoders.waves import WaveEncoder
from transducer.errors import UsageError
from transducer.model.config import SegmentEncoderConfig, register
from transducer.model.sequence import apply_mask

NORMS = ("group", "layer")
_EPSILON = 1e-7  # of the variance of samples, as where they are normalised for the published models


@register("wav2vec2_encoder")
@dataclass(frozen=True)
class Wav2Vec2EncoderConfig(SegmentEncoderConfig):
    """See `Wav2Vec2Encoder`.

    Attributes:
        widths, kernels, strides: of each of the convolutions over samples.
        conv_bias: whether these have biases.
        norm: "group" for one over time, for each channel, after the first convolution; "layer" for one over the
            channels after each.
        positions, groups: kernel and groups of the convolution that stands for positions.
        projection_norm: whether there is a norm between the convolutions and the layers.
        pre_norm: where norms of the layers are, see `EncoderLayer`.
        normalise: whether samples are brought to mean 0 and variance 1 first.
    """

    channels: int = 768
    layers: int = 12
    heads: int = 12
    hidden: int = 3072
    widths: tuple[int, ...] = (512,) * 7
    kernels: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    strides: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    conv_bias: bool = False
    norm: str = "group"
    positions: int = 128
    groups: int = 16
    projection_norm: bool = True
    pre_norm: bool = False
    normalise: bool = True

    def __post_init__(self) -> None:
        if self.norm not in NORMS:
            raise UsageError(f"unknown norm {self.norm!r} of convolutions: there are {', '.join(NORMS)}")

    def build(self, features: int) -> Wav2Vec2Encoder:
        return Wav2Vec2Encoder(features, self)

    @classmethod
    def examples(cls) -> tuple[Wav2Vec2EncoderConfig, ...]:
        return (
            cls(8, 2, 2, 12, (4, 6), (5, 3), (4, 2), positions=4, groups=2),
            cls(6, 1, 3, 8, (4, 5), (6, 2), (4, 4), True, "layer", 5, 1, False, True, False),
        )


class Wav2Vec2Encoder(WaveEncoder):
    """Samples of steps (N, T, H) -> (N, ceil(T / stride), C).

    Convolutions with GELU, a linear map, positions by a convolution, layers, a norm before them or after them.

    Args:
        features: samples of a step; the product of the strides is a multiple of it.
    """

    def __init__(self, features: int, config: Wav2Vec2EncoderConfig):
        super().__init__(features, config.kernels, config.strides)
        self.config, channels = config, config.channels
        if config.layers < 1 or len(config.widths) != len(config.kernels):
            raise ValueError("an encoder has at least 1 layer, and a width for each of its convolutions")
        self.features = nn.ModuleList()
        inputs = 1
        for number, (width, kernel, stride) in enumerate(
            zip(config.widths, config.kernels, config.strides, strict=True)
        ):
            norm: nn.Module = nn.Identity()
            if config.norm == "layer":
                norm = nn.LayerNorm(width)
            elif not number:
                norm = nn.GroupNorm(width, width)
            conv = nn.Conv1d(inputs, width, kernel, stride, bias=config.conv_bias)
            self.features.append(nn.ModuleDict({"conv": conv, "norm": norm}))
            inputs = width
        self.projection_norm = nn.LayerNorm(inputs) if config.projection_norm else nn.Identity()
        self.projection = nn.Linear(inputs, channels)
        self.positions = nn.Conv1d(
            channels, channels, config.positions, padding=config.positions // 2, groups=config.groups
        )
        self.norm = nn.LayerNorm(channels)
        self.layers = nn.ModuleList(
            EncoderLayer(channels, config.heads, config.hidden, pre_norm=config.pre_norm) for _ in range(config.layers)
        )

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        samples, exists = self.samples(self._normalised(x, mask), mask)
        x = apply_mask(self.projection(self.projection_norm(self._features(samples, exists))), exists)
        x = x + nn.functional.gelu(self.positions(x.transpose(1, 2))[..., : x.shape[1]]).transpose(1, 2)
        visible = visible_steps(exists)
        if not self.config.pre_norm:
            x = self.norm(x)
        for layer in self.layers:
            x = layer(x, visible)
        return self.norm(x) if self.config.pre_norm else x, exists

    def _normalised(self, x: Tensor, mask: Tensor) -> Tensor:
        if not self.config.normalise:
            return x
        count = (mask.sum(dim=1) * x.shape[2]).clamp(min=1)[:, None, None]
        x = apply_mask(x, mask)
        centred = x - x.sum(dim=(1, 2), keepdim=True) / count
        variance = apply_mask(centred, mask).square().sum(dim=(1, 2), keepdim=True) / count
        return centred / (variance + _EPSILON).sqrt()

    def _features(self, samples: Tensor, exists: Tensor) -> Tensor:
        """(N, 1, L) -> (N, S, width)."""
        x = samples
        for number, layer in enumerate(self.features, start=1):
            conv, norm = layer["conv"], layer["norm"]  # type: ignore[index]
            x = conv(x)
            if isinstance(norm, nn.GroupNorm):
                x = self.normed(x, exists, norm, number)
            elif isinstance(norm, nn.LayerNorm):
                x = norm(x.transpose(1, 2)).transpose(1, 2)
            x = nn.functional.gelu(x)
        return x.transpose(1, 2)
