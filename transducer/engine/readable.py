"""A model of readable text as a stream of words: a checkpoint that reads words, with the heads "marks" and "cases"."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from transducer.engine.model import load
from transducer.engine.networks import Networks
from transducer.errors import CheckpointError, UsageError
from transducer.media.words import Words
from transducer.model.state import State
from transducer.results import Segment
from transducer.text.english.digits import digits as to_digits
from transducer.text.readable import Readable
from transducer.text.readable.features import NGRAMS, WordFeatures
from transducer.text.readable.labels import CASE_NAMES, MARK_NAMES
from transducer.text.readable.pauses import Pauses
from transducer.text.readable.restore import Scores
from transducer.text.tokenizers.labels import BACKGROUND

BUNDLED = "readable-en"
WORDS = "words"  # the units that are the vocabulary of the front-end
HEADS = {"marks": MARK_NAMES, "cases": CASE_NAMES}


class ReadableModel:
    """Words -> log-probabilities of marks and cases, one word at a time; it has no state of its own.

    Args:
        networks: of a model that reads words, with a head for each of `HEADS`; the units `WORDS` are the words of its
            front-end's rows.
        pauses: what pauses say.

    Raises:
        ValueError: the model or its units are not those of readable text.
    """

    def __init__(self, networks: Networks, pauses: Pauses):
        medium, units, heads = networks.medium, networks.units, networks.config.heads
        vocabulary = units[WORDS].tokens if WORDS in units else ()
        if not isinstance(medium, Words) or medium.channels != 1 + NGRAMS:
            raise ValueError(f"it does not read words with {NGRAMS} n-grams each")
        if len(vocabulary) != medium.sizes[0]:
            raise ValueError(f"its vocabulary is not of the {medium.sizes[0]} words that its front-end has")
        for name, labels in HEADS.items():
            if name not in heads or units[heads[name].units].tokens != (BACKGROUND, *labels):
                raise ValueError(f"its {name} are not {', '.join(labels)}")
        self.network = networks.backend(tuple(HEADS), 1)
        self.pauses = pauses
        self.features = WordFeatures(vocabulary, medium.sizes[1])
        self.look_ahead = self.network.latency

    def init_state(self) -> State:
        return self.network.init_state(1)

    def step(self, words: Sequence[str], state: State, flush: bool = False) -> tuple[list[Scores], State]:
        """See `transducer.text.readable.restore.ReadableModel`."""
        count = len(words) + (self.look_ahead if flush else 0)
        x = np.zeros((1, count, 1 + NGRAMS), np.float32)
        x[0, : len(words)] = self.features(words)
        outputs, exists, state = self.network.step(x, np.arange(count)[None] < len(words), state)
        marks, cases = np.split(outputs[exists], [1 + len(MARK_NAMES)], axis=-1)
        return list(zip(marks, cases, strict=True)), state


def load_readable(name_or_folder: str | Path = BUNDLED) -> ReadableModel:
    """The bundled model by its name, or one from its checkpoint folder.

    Raises:
        UsageError: there is neither, or it is a model of something else. CheckpointError: a file is missing, damaged or
            too new.
    """
    model = load(name_or_folder)
    if not isinstance(model.medium, Words):
        raise UsageError(f"the model {model.name} does not punctuate: use {BUNDLED}, or one like it")
    try:
        return ReadableModel(model.networks, Pauses.load(model.folder))
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
