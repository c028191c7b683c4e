"""The beginning of a line -> its end: a causal language model over characters.

    transducer train pipelines/completion.py --data ../shared/data --output runs/completion
    transducer complete runs/completion/completion "he looked at the"
    transducer score runs/completion/completion "he looked at the sea" "sea the at looked he"

The text is lines of novels, as plain words; where `--data` has none, sentences of a small grammar. Held-out lines are
measured by their perplexity a character, beside that of an n-gram of characters that was counted on the same lines; of
the novels they are those of books that nothing was learned from.
"""

from __future__ import annotations

import lzma
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from transducer.cores.recurrent import RecurrentConfig
from transducer.data.sequences import Sequences
from transducer.encoders.projection import ProjectionConfig
from transducer.errors import UsageError
from transducer.frontends.symbols import SymbolsConfig
from transducer.heads.language import LanguageConfig, next_tokens
from transducer.model.config import ModelConfig
from transducer.text.tokenizers.characters import ENGLISH, Characters
from transducer.training.objectives import HeadLoss
from transducer.training.recipe import Phase, Recipe

NOVELS = Path("text") / "novels.txt.xz"
SHORTEST, LONGEST = 20, 80  # characters of a line
PARTS = {"dev": 1, "test": 2}


def recipe(
    data: Path,
    quick: bool = False,
    *,
    channels: int = 256,
    layers: int = 1,
    lines: int = 40_000,
    order: int = 6,
    part: str = "test",
    steps: int = 5500,
    batch_frames: int = 2000,
    learning_rate: float = 4e-3,
    matrix_learning_rate: float = 0.02,
    seed: int = 1,
) -> Recipe:
    """A GRU over characters.

    Args:
        data: has text/novels.txt.xz; without that the lines are made.
        lines: to learn from.
        order: of the n-gram that the card compares with.
        part: which lines are measured, "dev" or "test".
    """
    if part not in PARTS:
        raise UsageError(f"part={part}: there are dev and test")
    train, measured = texts(data, 300 if quick else lines, 20 if quick else 500, part)
    units = Characters(ENGLISH)
    ngram = NGram(train, order)
    phase = Phase(
        "train",
        10 if quick else steps,
        (HeadLoss("text"),),
        batch_frames=batch_frames,
        learning_rate=learning_rate,
        matrix_learning_rate=matrix_learning_rate,
        average_decay=0.99,
        bf16=False,
    )
    return Recipe(
        name="completion",
        model=ModelConfig(
            frontend=SymbolsConfig(len(units), "characters", channels // 2),
            encoder=ProjectionConfig(),
            core=RecurrentConfig("gru", channels, layers),
            heads={"text": LanguageConfig("characters")},
            chunks=(1,),
            language="en",
        ),
        units={"characters": units},
        train=pairs(train, units, "lines"),
        dev=pairs(measured, units, f"lines that were never in training ({part})"),
        phases=(phase,),
        card={f"perplexity_of_{order}_gram": round(ngram.perplexity(measured), 3)},
        seed=seed,
        workers=0,
        evaluate_every=250,
        save_every=250,
    )


def pairs(lines: list[str], units: Characters, title: str) -> Sequences:
    """Lines as examples: what is read, and one character on what is to be foretold."""
    both = [next_tokens(units.encode(line)) for line in lines]
    return Sequences([x for x, _ in both], [y for _, y in both], lines, title)


def texts(data: Path, count: int, measured: int, part: str) -> tuple[list[str], list[str]]:
    """Lines to learn from, and lines to measure on."""
    if not (data / NOVELS).is_file():
        made = list(dict.fromkeys(sentences(count + 3 * measured)))
        first = (PARTS[part] - 1) * measured
        return made[2 * measured :][:count], made[first : first + measured]
    with lzma.open(data / NOVELS, "rt", encoding="utf-8") as file:
        found = list(plain_lines(file, 4 * (count + 3 * measured)))
    # The end of the file is of other books than its beginning.
    held_out = found[-3 * measured :]
    rng = np.random.default_rng(0)
    learned = [found[index] for index in rng.permutation(len(found) - 6 * measured)[:count]]
    first = (PARTS[part] - 1) * measured
    return learned, held_out[first : first + measured]


def plain_lines(file: Iterable[str], count: int) -> Iterator[str]:
    """At most so many lines of lower-case words, of a length that is trained on."""
    for line in file:
        text = " ".join(re.sub(r"[^a-z' ]", " ", line.lower()).split())
        if len(text) >= SHORTEST and count:
            count -= 1
            yield text[:LONGEST].rsplit(" ", 1)[0] if len(text) > LONGEST else text


def sentences(count: int) -> Iterator[str]:
    """Sentences of a small grammar."""
    rng = np.random.default_rng(0)
    things = "the old man|a young girl|my brother|the captain|her dog|the king|a stranger|the doctor".split("|")
    places = "in the garden|at the harbour|on the hill|by the river|in a small town|behind the church".split("|")
    deeds = "looked at|was afraid of|talked to|waited for|laughed at|followed|remembered|heard of".split("|")
    times = "last night|every morning|for a long time|in the end|before the war|one day".split("|")
    for _ in range(count):
        one, other, place, deed, time = (
            choices[int(rng.integers(len(choices)))] for choices in (things, things, places, deeds, times)
        )
        yield f"{time} {one} {deed} {other} {place}" if rng.random() < 0.5 else f"{one} {deed} {other} {place} {time}"


class NGram:
    """Characters after the `order` - 1 before them, by counts with Witten-Bell smoothing (1991) down to all alike."""

    def __init__(self, lines: Iterable[str], order: int):
        self.order = order
        self.counts: Counter[str] = Counter()  # of contexts with the character after them
        self.totals: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        for line in lines:
            padded = "^" * (order - 1) + line + "$"
            for end in range(order, len(padded) + 1):
                for start in range(end - order, end):
                    gram = padded[start:end]
                    self.kinds[gram[:-1]] += gram not in self.counts
                    self.counts[gram] += 1
                    self.totals[gram[:-1]] += 1

    def prob(self, context: str, character: str) -> float:
        below = self.prob(context[1:], character) if context else 1 / (len(ENGLISH) + 2)
        kinds = self.kinds[context]
        if not kinds:
            return below
        return (self.counts[context + character] + kinds * below) / (self.totals[context] + kinds)

    def perplexity(self, lines: Iterable[str]) -> float:
        """A character, the end of each line counted."""
        total, count = 0.0, 0
        for line in lines:
            padded = "^" * (self.order - 1) + line + "$"
            for end in range(self.order, len(padded) + 1):
                total -= math.log(self.prob(padded[end - self.order : end - 1], padded[end - 1]))
                count += 1
        return math.exp(total / count)
