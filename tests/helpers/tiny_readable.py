"""An untrained model of readable text, and segments for it."""

from __future__ import annotations

import torch

from transducer.cores.window import WindowLayersConfig
from transducer.encoders.window import WindowConfig
from transducer.engine.readable import HEADS, ReadableModel
from transducer.engine.torch_networks import TorchNetworks
from transducer.frontends.words import WordsConfig
from transducer.heads.framewise import FramewiseConfig
from transducer.model.config import ModelConfig
from transducer.model.network import Network
from transducer.results import Segment, Word
from transducer.text.readable.features import NGRAMS
from transducer.text.readable.labels import MARKS
from transducer.text.readable.pauses import Pauses
from transducer.text.tokenizers.labels import Labels
from transducer.text.tokenizers.symbols import Symbols
from transducer.text.tokenizers.tokenizer import Tokenizer

WORDS = "the a i he said and but where mary london o'brien don't you know".split()
UNITS: dict[str, Tokenizer] = {
    "words": Symbols(WORDS[:7]),
    **{name: Labels(labels) for name, labels in HEADS.items()},
}


def tiny_config(look_ahead: int = 2) -> ModelConfig:
    return ModelConfig(
        frontend=WordsConfig(8, 16, NGRAMS, 6),
        encoder=WindowConfig(1, look_ahead),
        core=WindowLayersConfig(8, 8, 2, 2, (1, 2)),
        heads={name: FramewiseConfig(name) for name in HEADS},
        units={name: len(tokenizer) for name, tokenizer in UNITS.items()},
        chunks=(1,),
        language="en",
    )


def tiny_network(look_ahead: int = 2) -> Network:
    """Untrained, with scores far apart: it decides in as many ways as there are words around."""
    torch.manual_seed(0)
    network = Network(tiny_config(look_ahead)).eval()
    for parameter in network.parameters():
        parameter.data += torch.randn_like(parameter)
    return network


def tiny(look_ahead: int = 2, pauses: Pauses | None = None) -> ReadableModel:
    return ReadableModel(TorchNetworks(tiny_network(look_ahead), UNITS), pauses or Pauses())


def segment(texts: list[str], stable: int | None = None, start: float = 0.0) -> Segment:
    """Partial where `stable` is given. Words pause longer and longer."""
    words, clock = [], start
    for k, text in enumerate(texts):
        words.append(Word(text, clock, clock + 0.3, 0.5 + k / 100))
        clock += 0.3 + 0.1 * (k % 4)
    return Segment(tuple(words), stable is None, start, clock, len(words) if stable is None else stable)


def bare(text: str) -> str:
    return text.rstrip("".join(MARKS)).lower()
