"""A tiny model of random weights with a CTC output that sees all of a segment at once, as wav2vec 2.0 does."""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path

import torch

from transducer.cores.none import NoCoreConfig
from transducer.encoders.identity import IdentityConfig
from transducer.encoders.wav2vec2 import Wav2Vec2EncoderConfig
from transducer.engine.model import Model, load
from transducer.frontends.waveform import WaveformConfig
from transducer.heads.segment import SegmentConfig
from transducer.model.checkpoint import save_checkpoint
from transducer.model.config import ModelConfig
from transducer.model.network import Network
from transducer.text.tokenizers.letters import Letters

RATE = 800  # samples a second, 50 steps
LETTERS = Letters(["<blank>", "<s>", "|", *"ABCDE"], 2, [1])


def config() -> ModelConfig:
    encoder = Wav2Vec2EncoderConfig(8, 1, 2, 12, (8, 8), (6, 5), (4, 4), positions=4, groups=2)
    return ModelConfig(
        frontend=WaveformConfig(16, RATE),
        encoder=IdentityConfig(),
        core=NoCoreConfig(16),
        heads={"segment": SegmentConfig("letters", encoder, None, max_steps=300, padding=0)},
        units={"letters": len(LETTERS)},
        chunks=(8, 16, 32),
    )


@lru_cache
def tiny_spelling() -> Model:
    """The model, written to a folder and loaded again."""
    torch.manual_seed(5)
    network = Network(config()).eval().requires_grad_(False)
    head = network.heads["segment"]
    head.encoder.projection.weight *= 8
    head.ctc.module[0].weight *= 6
    head.ctc.module[0].bias[2] += 1.0  # some more words
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "tiny-spelling")
        save_checkpoint(path, network, network.config, {"letters": LETTERS})
        return load(path)
