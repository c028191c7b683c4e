"""A tiny model of random weights that sees all of a segment at once, as Whisper does, and writes bytes."""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from transducer.cores.none import NoCoreConfig
from transducer.encoders.identity import IdentityConfig
from transducer.encoders.whisper import WhisperEncoderConfig
from transducer.engine.model import Model, load
from transducer.frontends.whisper_mel import WhisperMelConfig
from transducer.heads.decoders.transformer import TransformerDecoderConfig
from transducer.heads.segment import SegmentConfig, SpecialTokens
from transducer.model.checkpoint import save_checkpoint
from transducer.model.config import ModelConfig
from transducer.model.network import Network
from transducer.text.tokenizers.byte_pairs import BytePairs

RATE = 800  # samples a second; there are 100 steps
LETTERS = ("a", "b", "c", "Ġa", "Ġb", "Ġc", "Ġd", "d", "Ġ", "A", "C", ".")
SPECIAL = ("<end>", "<start>", "<prev>", "<none>", "<plain>", "<task>", "<other>", "<xx>", "<yy>", "<0>", "<1>")
TOKENS = BytePairs((*LETTERS, *SPECIAL), range(len(LETTERS), len(LETTERS) + len(SPECIAL)))
NUMBER = TOKENS.special


def config(languages: bool = False, rate: int = RATE) -> ModelConfig:
    """Of a model with two languages, or of one."""
    steering = SpecialTokens(
        start=NUMBER["<start>"],
        end=NUMBER["<end>"],
        previous=NUMBER["<prev>"],
        no_speech=NUMBER["<none>"],
        no_timestamps=NUMBER["<plain>"],
        timestamp_begin=NUMBER["<0>"],
        transcribe=NUMBER["<task>"] if languages else None,
        translate=NUMBER["<other>"] if languages else None,
        languages={"xx": NUMBER["<xx>"], "yy": NUMBER["<yy>"]} if languages else {},
        suppressed_first=(LETTERS.index("."),),
        alignment_heads=((1, 0), (1, 1)),
    )
    head = SegmentConfig(
        "tokens",
        WhisperEncoderConfig(8, 1, 2, 12, 250),
        TransformerDecoderConfig(8, 2, 2, 12, longest=120),
        steering,
        longest=12,
        max_steps=500,
        silence=-10.0,
    )
    return ModelConfig(
        frontend=WhisperMelConfig(8, rate, rate // 40, rate // 100),
        encoder=IdentityConfig(),
        core=NoCoreConfig(8),
        heads={"segment": head},
        units={"tokens": len(TOKENS)},
        chunks=(16, 32, 64),
        language="" if languages else "en",
    )


def write_full_context(folder: Path, languages: bool = False, rate: int = RATE) -> Path:
    """A checkpoint that is sure of what it writes, so that nothing is drawn; its folder."""
    torch.manual_seed(9 if languages else 11)
    network = Network(config(languages, rate)).eval().requires_grad_(False)
    decoder = network.heads["segment"].decoder
    decoder.embedding.weight *= 6
    decoder.positions *= 15
    for layer in decoder.layers:
        part = layer.cross_attention
        for linear in (part.query, part.value, part.out):
            linear.weight *= 6
    path = folder / "tiny-full-context"
    save_checkpoint(path, network, network.config, {"tokens": TOKENS})
    return path


@lru_cache
def tiny_full_context(languages: bool = False) -> Model:
    """The model, written to a folder and loaded again."""
    with tempfile.TemporaryDirectory() as folder:
        return load(write_full_context(Path(folder), languages))


def speech(seed: int, bursts: int = 4) -> np.ndarray:
    """float32 (N,): bursts of noise of changing colour, with silence between them, some of it long enough to end a
    segment."""
    rng = np.random.default_rng(seed)
    parts = [np.zeros(int(rng.uniform(0, 0.6) * RATE), np.float32)]
    for _ in range(bursts):
        count = int(rng.uniform(0.3, 1.6) * RATE)
        sound = rng.standard_normal(count) * np.repeat(rng.uniform(0.02, 0.5, -(-count // 40)), 40)[:count]
        parts += [sound.astype(np.float32), np.zeros(int(rng.choice([0.15, 0.4, 1.2]) * RATE), np.float32)]
    return np.concatenate(parts)
