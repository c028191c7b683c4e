"""Pictures and their sound, side by side: one step a frame of the video."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from transducer.frontends.frames import Frames, FramesConfig
from transducer.frontends.logmel import LogMel, LogMelConfig
from transducer.model.config import FrontendConfig, Units, register
from transducer.model.sequence import State, Streaming

if TYPE_CHECKING:
    from transducer.media.medium import Medium


@register("audio_visual")
@dataclass(frozen=True)
class AudioVisualConfig(FrontendConfig):
    """See `AudioVisual`; `samples` of sound to each frame of the video."""

    video: FramesConfig = field(default_factory=lambda: FramesConfig(64, 64))
    audio: LogMelConfig = field(default_factory=LogMelConfig)
    samples: int = 640

    def medium(self, units: Units | None = None) -> Medium:
        from transducer.media.audiovisual import FramesAndSamples

        return FramesAndSamples(self.video.medium(), self.samples, self.audio.rate)

    def build(self) -> AudioVisual:
        return AudioVisual(self.video.build(), self.audio.build(), self.samples)

    @classmethod
    def examples(cls) -> tuple[AudioVisualConfig, ...]:
        return (cls(FramesConfig(5, 7), LogMelConfig(800, 6, 20, 8), 64),)


class AudioVisual(Streaming):
    """(B, T, pixels + samples) -> (B, T, pixels + samples / hop * bins).

    A step is a frame as `Frames` takes it, 0 to 255, and then the samples in [-1, 1] of that frame's time. Out come
    the features of `Frames`, and then those of `LogMel`, one hop after the other.

    Args:
        samples: to a frame, a multiple of the hop: 640 at 25 frames and 16000 samples a second.
    """

    def __init__(self, video: Frames, audio: LogMel, samples: int):
        super().__init__()
        if not 1 <= samples <= audio.rate or samples % audio.hop:
            raise ValueError(
                f"the samples to a frame must be a multiple of the hop of {audio.hop}, at most a second, got {samples}"
            )
        self.video, self.audio, self.samples = video, audio, samples
        self.hops = samples // audio.hop
        self.inputs = video.inputs + samples

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        y, mask, _ = self.step(x, mask, self.init_state(x.shape[0], x))
        return y, mask

    def init_state(self, batch: int, like: Tensor) -> State:
        return self.audio.init_state(batch, like)

    def step(self, x: Tensor, mask: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        pixels, samples = x.split([self.video.size, self.samples], dim=-1)
        picture, _ = self.video(pixels, mask)
        sound, _, state = self.audio.step(
            samples.flatten(1).unsqueeze(-1), mask.repeat_interleave(self.samples, dim=1), state
        )
        return torch.cat([picture, sound.unflatten(1, (-1, self.hops)).flatten(2)], dim=-1), mask, state
