"""A tag for every word: parts of speech, in sentences full of words that can be several things.

    transducer train pipelines/part_of_speech.py --output runs/part-of-speech
    transducer predict runs/part-of-speech/tags "the cook plants a light plant in the cold ."

The sentences come from the grammar below, in which most words have two or three tags: "the cook plants plants" has a
noun, a verb and a noun. What is measured are other sentences than those that were trained on; `--set part=dev` while
settings are tuned. With `--set core=independent`, which sees no context, the most frequent tag of each word remains.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from transducer.cores.independent import IndependentConfig
from transducer.cores.recurrent import RecurrentConfig
from transducer.cores.tcn import TCNConfig
from transducer.data.sequences import Sequences
from transducer.encoders.projection import ProjectionConfig
from transducer.errors import UsageError
from transducer.frontends.symbols import SymbolsConfig
from transducer.heads.framewise import FramewiseConfig
from transducer.model.config import CoreConfig, ModelConfig
from transducer.search.events.rules import EventRules
from transducer.text.tokenizers.labels import Labels
from transducer.text.tokenizers.symbols import Symbols
from transducer.training.checks import check_part
from transducer.training.objectives import HeadLoss
from transducer.training.recipe import Phase, Recipe

Tagged = tuple[tuple[str, str], ...]  # (word, tag), ...

BOTH = "watch play walk plant book cook run dance answer drink fish light back".split()  # nouns, and verbs
NOUNS = [*BOTH, *"dog cat child teacher river garden letter can will cold square well".split()]
VERBS = [*BOTH, *"like see hear find".split()]
ADJECTIVES = "light cold square back well fast old red happy".split()
ADVERBS = "fast back well often slowly there".split()
PREPOSITIONS = "in on near like to by".split()
AUXILIARIES = "can will must".split()
DETERMINERS = {False: "the a this that her".split(), True: "the these her some".split()}  # by whether it is plural
PRONOUNS = {False: "she he it this that".split(), True: "they we you these some".split()}
NAMES = "Anna Ben Carla Will Rose Mark".split()
TAGS = "ADJ ADP ADV AUX CCONJ DET NAME NOUN PART PRON SCONJ VERB PUNCT".split()


def recipe(
    data: Path,
    quick: bool = False,
    *,
    core: str = "tcn",
    look_ahead: int = 4,
    channels: int = 96,
    sentences: int = 8000,
    held_out: int = 1000,
    part: str = "test",
    steps: int = 400,
    batch_frames: int = 1000,
    learning_rate: float = 3e-3,
    seed: int = 1,
) -> Recipe:
    """Embeddings of words, a few layers over them, and a tag for each.

    Args:
        data: is not read.
        core: "tcn", "gru" or "independent"; the first looks ahead by `look_ahead` words.
        sentences: to train on. held_out: to measure on.
        part: which sentences are measured, "dev" or "test".
    """
    check_part(part)
    words, tags = Symbols(sorted({word for word, _ in lexicon()})), Labels(TAGS)
    train = make(200 if quick else sentences, seed=1)
    held = make(100 if quick else held_out, seed={"dev": 2, "test": 3}[part], known=set(train))
    phase = Phase(
        "train",
        20 if quick else steps,
        (HeadLoss("tags"),),
        batch_frames=batch_frames,
        learning_rate=learning_rate,
        average_decay=0.98,
    )
    return Recipe(
        name="tags",
        model=ModelConfig(
            frontend=SymbolsConfig(len(words), "words", channels),
            encoder=ProjectionConfig(dropout=0.1),
            core=_core(core, channels, look_ahead),
            heads={"tags": FramewiseConfig("tags")},
            events=EventRules("steps"),
            chunks=(1,),
            language="en",
        ),
        units={"words": words, "tags": tags},
        train=pairs(train, words, tags, "sentences of the grammar"),
        dev=pairs(held, words, tags, f"other sentences of the grammar ({part})"),
        phases=(phase,),
        seed=seed,
        workers=0,
        evaluate_every=40,
        save_every=200,
    )


def _core(name: str, channels: int, look_ahead: int) -> CoreConfig:
    if name == "tcn":
        return TCNConfig(channels, 2 * channels, 4, 5, (1, 2), look_ahead=look_ahead, dropout=0.1)
    if name == "gru":
        return RecurrentConfig("gru", channels, 2, 0.1)
    if name == "independent":
        return IndependentConfig(channels, 2 * channels, 4, 0.1)
    raise UsageError(f"core={name}: there are tcn, gru, independent")


def pairs(sentences: Sequence[Tagged], words: Symbols, tags: Labels, title: str) -> Sequences:
    """Sentences as examples: word numbers (T, 1) and the number of each word's tag."""
    x = [np.array(words.encode(text(sentence)), np.float32)[:, None] for sentence in sentences]
    y = [np.array([tags.id(tag) for _, tag in sentence], np.int64) for sentence in sentences]
    return Sequences(x, y, [text(sentence) for sentence in sentences], title)


def text(sentence: Tagged) -> str:
    return " ".join(word for word, _ in sentence)


def make(count: int, seed: int, known: set[Tagged] | None = None) -> list[Tagged]:
    """So many different sentences, none of them a known one."""
    rng = np.random.default_rng(seed)
    found: dict[Tagged, None] = {}
    while len(found) < count:
        sentence = tuple(Grammar(rng).sentence())
        if sentence not in (known or ()):
            found[sentence] = None
    return list(found)


def plural(noun: str) -> str:
    """Also the third person of a verb."""
    if noun == "child":
        return "children"
    return noun + ("es" if noun.endswith(("h", "s")) else "s")


def lexicon() -> Iterator[tuple[str, str]]:
    """Every word with every tag that it can have."""
    for noun in NOUNS:
        yield from ((noun, "NOUN"), (plural(noun), "NOUN"))
    for verb in VERBS:
        yield from ((verb, "VERB"), (plural(verb), "VERB"))
    lists = ("ADJ", ADJECTIVES), ("ADV", ADVERBS), ("ADP", PREPOSITIONS), ("AUX", AUXILIARIES), ("NAME", NAMES)
    for tag, words in (*lists, ("CCONJ", ["and"]), ("PART", ["to"]), ("SCONJ", ["that"]), ("PUNCT", ["."])):
        yield from ((word, tag) for word in words)
    for number in (False, True):
        yield from ((word, "DET") for word in DETERMINERS[number])
        yield from ((word, "PRON") for word in PRONOUNS[number])


class Grammar:
    """Draws sentences: each method yields the words of a part, with their tags."""

    def __init__(self, rng: np.random.Generator):
        self.rng = rng

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def one(self, words: Sequence[str]) -> str:
        return words[int(self.rng.integers(len(words)))]

    def sentence(self) -> Iterator[tuple[str, str]]:
        yield from self.clause(depth=0)
        if self.chance(0.25):
            yield "and", "CCONJ"
            yield from self.clause(depth=1)
        yield ".", "PUNCT"

    def clause(self, depth: int) -> Iterator[tuple[str, str]]:
        many = self.chance(0.5)
        yield from self.noun_phrase(many, depth)
        if self.chance(0.3):
            yield self.one(AUXILIARIES), "AUX"
            many = True  # the bare verb
        verb = self.one(VERBS)
        yield (verb if many else plural(verb)), "VERB"
        match int(self.rng.integers(5)):
            case 0:
                yield self.one(ADVERBS), "ADV"
            case 1 if depth < 1:
                yield "that", "SCONJ"
                yield from self.clause(depth + 1)
            case 2:
                yield "to", "PART"
                yield self.one(VERBS), "VERB"
                yield from self.noun_phrase(self.chance(0.5), depth + 1)
            case _:
                yield from self.noun_phrase(self.chance(0.5), depth)

    def noun_phrase(self, many: bool, depth: int) -> Iterator[tuple[str, str]]:
        kind = self.rng.random()
        if kind < 0.2:
            yield self.one(PRONOUNS[many]), "PRON"
            return
        if kind < 0.3 and not many:
            yield self.one(NAMES), "NAME"
            return
        if not many or self.chance(0.6):
            yield self.one(DETERMINERS[many]), "DET"
        if self.chance(0.4):
            yield self.one(ADJECTIVES), "ADJ"
        noun = self.one(NOUNS)
        yield (plural(noun) if many else noun), "NOUN"
        if depth < 1 and self.chance(0.25):
            yield self.one(PREPOSITIONS), "ADP"
            yield from self.noun_phrase(self.chance(0.5), depth + 1)
