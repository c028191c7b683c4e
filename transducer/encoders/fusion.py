"""A CNN for pictures and one for sound, feeding one core."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from transducer.encoders.conv_subsampling import ConvSubsampling, ConvSubsamplingConfig
from transducer.encoders.frame_cnn import FrameCNN, FrameCNNConfig
from transducer.frontends.audio_visual import AudioVisual
from transducer.model.config import EncoderConfig, register
from transducer.model.sequence import State, Streaming


@register("fusion")
@dataclass(frozen=True)
class FusionConfig(EncoderConfig):
    """See `Fusion`; for the features of an `AudioVisual` front-end."""

    video: FrameCNNConfig = field(default_factory=FrameCNNConfig)
    audio: ConvSubsamplingConfig = field(default_factory=ConvSubsamplingConfig)

    def build(self, frontend: Streaming, channels: int) -> Fusion:
        if not isinstance(frontend, AudioVisual):
            raise self.misfit(frontend)
        video = self.video.build(frontend.video, channels)
        audio = self.audio.build(frontend.audio, channels)
        return Fusion(video, audio, frontend.hops, channels)

    @classmethod
    def examples(cls) -> tuple[FusionConfig, ...]:
        return (cls(FrameCNNConfig((4, 6), grid=(1, 2)), ConvSubsamplingConfig(3)),)


class Fusion(Streaming):
    """The features of `AudioVisual` -> (B, T, channels), a linear map of both encoders' outputs.

    Args:
        video, audio: encoders to so many `channels` each.
        hops: steps of sound features in a frame of the video, a multiple of 4.
    """

    def __init__(self, video: FrameCNN, audio: ConvSubsampling, hops: int, channels: int):
        super().__init__()
        if hops % audio.stride:
            raise ValueError(f"a frame must last a multiple of {audio.stride} hops of sound, got {hops}")
        self.video, self.audio, self.hops = video, audio, hops
        height, width, colours = video.shape
        self.parts = [height * width * colours, hops * audio.bins]
        self.out = nn.Linear(channels * (1 + hops // audio.stride), channels)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        y, mask, _ = self.step(x, mask, self.init_state(x.shape[0], x))
        return y, mask

    def init_state(self, batch: int, like: Tensor) -> State:
        return self.video.init_state(batch, like), self.audio.init_state(batch, like)

    def step(self, x: Tensor, mask: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        pixels, features = x.split(self.parts, dim=-1)
        features = features.unflatten(-1, (self.hops, -1)).flatten(1, 2)
        seen, _, video = self.video.step(pixels, mask, state[0])
        heard, _, audio = self.audio.step(features, mask.repeat_interleave(self.hops, dim=1), state[1])
        heard = heard.unflatten(1, (mask.shape[1], -1)).flatten(2)
        return self.out(torch.cat([seen, heard], dim=-1)), mask, (video, audio)
