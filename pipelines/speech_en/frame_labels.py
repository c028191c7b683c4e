"""Phones frame by frame, from alignments: what tells a network early on that letters follow sounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from pipelines.speech_en.speech import ALIGNMENT
from pipelines.speech_en.targets import IGNORE
from transducer.errors import UsageError
from transducer.heads.ctc import CONDITIONING
from transducer.heads.head import Loss
from transducer.model.config import ModelConfig
from transducer.model.network import Network
from transducer.training.encoded import Encoded
from transducer.training.objectives import Objective


@dataclass(frozen=True)
class FrameLabels(Objective):
    """Cross-entropy of a head's outputs, or of the intermediate head's, on labels of frames."""

    head: str = ""
    weight: float = 1.0

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"frames:{self.head}" if self.head else "frames"

    @property
    def heads(self) -> tuple[str, ...]:  # type: ignore[override]
        return (self.head,) if self.head else ()

    def check(self, model: ModelConfig) -> None:
        if self.head and self.head not in model.heads:
            raise UsageError(f"{self.name}: the model has no head {self.head!r}")
        if not self.head and model.conditioning is None:
            raise UsageError(f"{self.name}: the model has no intermediate head")

    def loss(self, network: Network, batch: Encoded) -> Loss | None:
        labels = np.full(tuple(batch.mask.shape), IGNORE)
        for row, pair in zip(labels, batch.batch.pairs, strict=True):
            if (known := pair.target(ALIGNMENT)) is not None:
                row[: len(known)] = known
        count = int((labels != IGNORE).sum())
        if not count:
            return None
        logits = batch.outputs(self.head)[0] if self.head else batch.aux[CONDITIONING][0]
        wanted = torch.from_numpy(labels).to(logits.device)
        total = nn.functional.cross_entropy(
            logits.float().flatten(0, 1), wanted.flatten(), ignore_index=IGNORE, reduction="sum"
        )
        return Loss(total, count)
