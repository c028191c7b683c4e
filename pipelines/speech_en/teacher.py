"""The original encoder as a teacher: the causal one is to make of a sound what the one that hears all of it does.

This needs no transcripts, and keeps what the original knows of voices, rooms and lines that the recordings lack.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from pipelines.speech_en.whisper_start import whisper_encoder
from transducer.encoders.whisper import WhisperEncoder
from transducer.heads.head import Loss
from transducer.model.network import Network
from transducer.training.context import Context
from transducer.training.encoded import Encoded
from transducer.training.objectives import Objective


@dataclass(frozen=True)
class TeacherStates(Objective):
    """The squared distance of each frame from the teacher's, over the teacher's squared length, averaged.

    Attributes:
        folder: with the teacher's weights, or their name, see `transducer.load`.
    """

    folder: Path
    weight: float = 1.0
    encoder: WhisperEncoder | None = None
    name = "teacher"

    def start(self, context: Context) -> TeacherStates:
        return replace(self, encoder=whisper_encoder(self.folder).to(context.device).eval().requires_grad_(False))

    def loss(self, network: Network, batch: Encoded) -> Loss | None:
        assert self.encoder is not None, "the objective has not been started"
        x, mask = (part[:, : self.encoder.stride * self.encoder.longest] for part in batch.features)
        with torch.no_grad(), batch.autocast():
            taught, there = self.encoder(4 * x - 4, mask)  # back from (log10 p + 4) / 4
        learned, taught = batch.frames[:, : taught.shape[1]].float()[there], taught.float()[there]
        distances = (learned - taught).square().sum(dim=-1) / taught.square().sum(dim=-1)
        return Loss(distances.sum(), len(distances))
