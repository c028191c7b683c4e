"""Sound without speech as training data: what a model that has only ever heard people talk takes for words.

Stretches of noise, of music, of nothing, alone or two at a time; every head is to write nothing at all on them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from transducer.data.augment.features import DB, Store
from transducer.data.recordings import Dataset
from transducer.heads.ctc import BLANK, CTC
from transducer.heads.head import Loss
from transducer.model.network import Network
from transducer.training.context import Context
from transducer.training.encoded import Encoded, autocast
from transducer.training.objectives import Objective

_SILENCE = 13  # keeps this random stream apart from those of the data


@dataclass(frozen=True)
class NoSpeech(Objective):
    """Makes the blanks of all CTC heads likely where nobody speaks.

    Attributes:
        table: makes a table of recordings without speech, in a folder that it may keep files in.
    """

    table: Callable[[Path], Dataset]
    weight: float = 1.0
    silences: Silences | None = None
    name = "silence"
    apart = True

    def start(self, context: Context) -> NoSpeech:
        folder = context.cache / "silence"
        store = context.recipe.train.open(self.table(folder).read(None), context.cache, progress=context.ranks.first)
        frontend = context.network.frontend
        mean, std = frontend.mean.cpu().numpy().copy(), frontend.std.cpu().numpy().copy()
        return replace(self, silences=Silences(store, (mean, std), context.seed))

    def loss(self, network: Network, batch: Encoded) -> Loss | None:
        device = next(network.parameters()).device
        x, mask = (part[batch.shard :: batch.shards].to(device) for part in self.silences.draw(batch.number))
        return silence_loss(network, (x, mask), batch.bf16) if len(x) else None


class Silences:
    """Batches of sound without speech: a function of the seed and the number asked for.

    Args:
        store: features of the recordings.
        normalise: mean and standard deviation of the front-end, (C,) each.
        seed: of the draws.
        rows, frames: of a batch; shorter recordings end in digital silence.
        floor: the front-end's, which is what digital silence has in every bin.
        mixed: probability that two recordings sound at a time.
        gain_db: the level changes by something uniform between these.
    """

    def __init__(
        self,
        store: Store,
        normalise: tuple[NDArray[np.float32], NDArray[np.float32]],
        seed: int,
        rows: int = 4,
        frames: int = 400,
        floor: float = 1e-8,
        mixed: float = 0.4,
        gain_db: tuple[float, float] = (-17.0, 9.0),
    ):
        self.store, self.normalise, self.seed, self.rows, self.frames = store, normalise, seed, rows, frames
        self.floor, self.mixed, self.gain_db = np.float32(np.log(floor)), mixed, gain_db

    def draw(self, number: int) -> tuple[Tensor, Tensor]:
        """Normalised features (B, T, C) and their mask (B, T)."""
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(_SILENCE, number)))
        mean, std = self.normalise
        rows = []
        for _ in range(self.rows):
            row = self._stretch(rng)
            if rng.random() < self.mixed:
                row = np.logaddexp(row, self._stretch(rng))
            row = np.maximum(row + DB * rng.uniform(*self.gain_db), self.floor)
            rows.append((row - mean) / std)
        x = torch.from_numpy(np.stack(rows).astype(np.float32))
        return x, torch.ones(x.shape[:2], dtype=torch.bool)

    def _stretch(self, rng: np.random.Generator) -> NDArray[np.float32]:
        features = self.store.features(int(rng.integers(len(self.store.utterances)))).astype(np.float32)
        first = int(rng.integers(max(1, len(features) - self.frames + 1)))
        features = features[first : first + self.frames]
        return np.pad(features, ((0, self.frames - len(features)), (0, 0)), constant_values=self.floor)


def silence_loss(network: Network, batch: tuple[Tensor, Tensor], bf16: bool = True) -> Loss:
    """-log p(blank) of every frame, summed over the CTC heads."""
    with autocast(batch[0].device, bf16):
        frames, mask = network.encoder(*batch)
        said = [head(frames, mask) for head in network.heads.values() if isinstance(head, CTC)]
    blanks = [-y.float().log_softmax(dim=-1)[..., BLANK][there] for y, there in said]
    return Loss(torch.cat(blanks).sum(), int(mask.sum()))
