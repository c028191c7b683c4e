"""A task of pairs: lights of three colours."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from transducer.cores.recurrent import RecurrentConfig
from transducer.data.pairs import Pair
from transducer.encoders.frame_cnn import FrameCNNConfig
from transducer.frontends.frames import FramesConfig
from transducer.heads.ctc import CTCConfig
from transducer.heads.framewise import FramewiseConfig
from transducer.heads.pooled import PooledConfig
from transducer.heads.rnnt import RNNTConfig
from transducer.model.config import ModelConfig
from transducer.text.tokenizers.labels import Labels
from transducer.training.objectives import HeadLoss
from transducer.training.recipe import Phase, Recipe

SIDE = 8  # pixels
UNITS = {"labels": Labels(["red", "green", "blue"])}
HEADS = {
    "framewise": FramewiseConfig("labels"),
    "pooled": PooledConfig("labels"),
    "ctc": CTCConfig("labels"),
    "rnnt": RNNTConfig("labels", "stateless", 32),
}


@dataclass
class Lights:
    """Frames that light up in one of three colours now and then, for four frames."""

    size: int
    kind: str = "framewise"

    def __len__(self) -> int:
        return self.size

    def pair(self, index: int, rng: np.random.Generator) -> Pair:
        shape = np.random.default_rng(index)
        frames, label = int(shape.integers(14, 30)), int(shape.integers(1, 4))
        labels, tokens = np.zeros(frames, np.int64), []
        for start in range(3, frames - 6, 8):
            tokens.append(label if self.kind == "pooled" else int(shape.integers(1, 4)))
            labels[start : start + 4] = tokens[-1]
        x = rng.integers(0, 50, (frames, SIDE, SIDE, 3)).astype(np.uint8)
        for frame, colour in enumerate(labels):
            if colour:
                x[frame, ..., colour - 1] += 180
        y = {"framewise": labels, "pooled": label}.get(self.kind, tokens)
        return Pair(x.reshape(frames, -1), y, f"lights {index}")


def model(kind: str = "framewise", **changes: object) -> ModelConfig:
    plain = ModelConfig(
        frontend=FramesConfig(SIDE, SIDE),
        encoder=FrameCNNConfig((8, 16)),
        core=RecurrentConfig("gru", 24, 1),
        heads={"out": HEADS[kind]},
        chunks=(1,),
    )
    return replace(plain, **changes)


def recipe_of(kind: str = "framewise", **changes: object) -> Recipe:
    """One phase; changes to it or to the recipe."""
    settings = {"steps": 10, "batch_frames": 100, "warmup": 3}
    for item in fields(Phase):
        if item.name in changes and item.name not in ("name", "train"):
            settings[item.name] = changes.pop(item.name)
    objectives = settings.pop("objectives", (HeadLoss("out"),))
    plain = Recipe(
        name="lights",
        model=changes.pop("model", None) or model(kind),
        units=UNITS,
        train=Lights(12, kind),
        dev=Lights(3, kind),
        phases=(Phase("train", objectives=objectives, **settings),),
        workers=0,
        evaluate_every=4,
        save_every=3,
    )
    return replace(plain, **changes)
