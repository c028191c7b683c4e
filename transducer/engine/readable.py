"""A model of readable text as a stream of words: a checkpoint that reads words, with the heads "marks" and "cases"."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch

from transducer.engine.model import load
from transducer.errors import CheckpointError, UsageError
from transducer.frontends.words import Words
from transducer.model.network import Network
from transducer.model.packing import pack_linears
from transducer.model.sequence import Serial, State, share_weights
from transducer.results import Segment
from transducer.text.english.digits import digits as to_digits
from transducer.text.readable import Readable
from transducer.text.readable.features import NGRAMS, WordFeatures
from transducer.text.readable.labels import CASE_NAMES, MARK_NAMES
from transducer.text.readable.pauses import Pauses
from transducer.text.readable.restore import Scores
from transducer.text.tokenizers.labels import BACKGROUND
from transducer.text.tokenizers.tokenizer import Tokenizer

BUNDLED = "readable-en"
WORDS = "words"  # the units that are the vocabulary of the front-end
HEADS = {"marks": MARK_NAMES, "cases": CASE_NAMES}


class ReadableModel:
    """Words -> log-probabilities of marks and cases, one word at a time; it has no state of its own.

    Args:
        network: whose front-end is `Words`, with a head for each of `HEADS`.
        units: its tokenizers; `WORDS` are the words of the front-end's rows.
        pauses: what pauses say.

    Raises:
        ValueError: the network or the units are not those of readable text.
    """

    def __init__(self, network: Network, units: Mapping[str, Tokenizer], pauses: Pauses):
        frontend, config = network.frontend, network.config
        vocabulary = units[WORDS].tokens if WORDS in units else ()
        if not isinstance(frontend, Words) or frontend.ngrams != NGRAMS:
            raise ValueError(f"it does not read words with {NGRAMS} n-grams each")
        if len(vocabulary) != frontend.words:
            raise ValueError(f"its vocabulary is not of the {frontend.words} words that its front-end has")
        for name, labels in HEADS.items():
            if name not in config.heads or units[config.heads[name].units].tokens != (BACKGROUND, *labels):
                raise ValueError(f"its {name} are not {', '.join(labels)}")
        packed = share_weights(network)
        pack_linears(packed)
        self.network = packed.eval().requires_grad_(False)
        self.pauses = pauses
        self.features = WordFeatures(vocabulary, frontend.buckets)
        self.stages = Serial(packed.frontend, packed.encoder)
        self.look_ahead = self.stages.latency

    def init_state(self) -> State:
        return self.stages.init_state(1, torch.zeros(()))

    @torch.inference_mode()
    def step(self, words: Sequence[str], state: State, flush: bool = False) -> tuple[list[Scores], State]:
        """See `transducer.text.readable.restore.ReadableModel`."""
        count = len(words) + (self.look_ahead if flush else 0)
        x = np.zeros((1, count, 1 + NGRAMS), np.float32)
        x[0, : len(words)] = self.features(words)
        exists = torch.arange(count)[None] < len(words)
        frames, exists, state = self.stages.step(torch.from_numpy(x), exists, state)
        marks, cases = (self.network.heads[name](frames, exists)[0][exists].numpy() for name in HEADS)
        return list(zip(marks, cases, strict=True)), state


def load_readable(name_or_folder: str | Path = BUNDLED) -> ReadableModel:
    """The bundled model by its name, or one from its checkpoint folder.

    Raises:
        UsageError: there is neither, or it is a model of something else. CheckpointError: a file is missing, damaged or
            too new.
    """
    model = load(name_or_folder)
    if not isinstance(model.network.frontend, Words):
        raise UsageError(f"the model {model.name} does not punctuate: use {BUNDLED}, or one like it")
    try:
        return ReadableModel(model.network, model.units, Pauses.load(model.folder))
    except ValueError as error:
        raise CheckpointError(f"{model.folder} is no model of readable text: {error}; copy it again") from None


@cache
def _bundled() -> ReadableModel:
    return load_readable()


def text_stages(punctuate: bool, digits: bool) -> list[Callable[[Segment], Segment]]:
    """What is done to the segments of one stream: capitals and punctuation, then numbers as digits.

    Raises:
        CheckpointError: the model of punctuation is damaged.
    """
    stages: list[Callable[[Segment], Segment]] = []
    if punctuate:
        stages.append(Readable(_bundled()))
    if digits:
        stages.append(to_digits)
    return stages
