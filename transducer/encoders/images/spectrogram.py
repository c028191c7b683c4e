"""Log-mel features -> a vector for every window of them, which a network for pictures sees as a grey picture.

Networks that know photographs are a good start for spectrograms too (Palanisamy et al. 2020, arXiv:2007.11154).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from transducer.encoders.images.efficientnet_lite import EfficientNetLiteConfig
from transducer.encoders.images.encoder import ImageEncoder, ImageEncoderConfig
from transducer.encoders.images.network import ImageNetwork
from transducer.frontends.logmel import LogMel
from transducer.model.config import register
from transducer.model.sequence import Streaming, apply_mask, mask_stride


@register("spectrogram_encoder")
@dataclass(frozen=True)
class SpectrogramEncoderConfig(ImageEncoderConfig):
    """See `SpectrogramEncoder`; `window` in steps of the features. The rest is that of `ImageEncoderConfig`."""

    window: int = 125

    def build(self, frontend: Streaming, channels: int) -> SpectrogramEncoder:
        if not isinstance(frontend, LogMel):
            raise self.misfit(frontend)
        network = self.network.build(frontend.bins, self.window)
        encoder = SpectrogramEncoder(network, (frontend.bins, self.window), channels, self.grid, self.dropout)
        return self.prepared(encoder)

    @classmethod
    def examples(cls) -> tuple[SpectrogramEncoderConfig, ...]:
        return (cls(EfficientNetLiteConfig(0.1, 0.5), window=5),)


class SpectrogramEncoder(ImageEncoder):
    """(B, T, bins) -> (B, ceil(T / window), channels), each window by itself: it is known when it is over.

    Features come normalised, about as bright as what the network was trained with; steps that a window lacks are 0.

    Args:
        size: bins, and the window in steps.
    """

    def __init__(
        self,
        network: ImageNetwork,
        size: tuple[int, int],
        channels: int,
        grid: tuple[int, int] = (1, 1),
        dropout: float = 0.0,
    ):
        if size[1] < 1:
            raise ValueError(f"a window has at least one step, got {size[1]}")
        super().__init__(network, size, channels, grid, dropout)
        self.stride = self.block = size[1]

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        if missing := -x.shape[1] % self.stride:
            x = nn.functional.pad(x, (0, 0, 0, missing))
            mask = nn.functional.pad(mask, (0, missing))
        steps, mask = apply_mask(x, mask), mask_stride(mask, self.stride)
        pictures = steps.unflatten(1, (mask.shape[1], self.stride)).flatten(0, 1).transpose(1, 2).unsqueeze(1)
        colours = pictures.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
        return self.vectors(colours).unflatten(0, mask.shape), mask
