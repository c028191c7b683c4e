"""The bundled model `readable-en`: case and punctuation for the words of a recogniser, learned from novels.

    transducer train pipelines/punctuation --data DATA --output runs/readable-en

DATA has text/novels.txt.xz. Stretches of the novels are read as spoken words; some words are replaced by others, as a
recogniser would. Whole novels are kept out. `pipelines.punctuation.pauses` then adds what pauses between words say,
and `pipelines.punctuation.evaluate` measures the checkpoint on novels that nothing was chosen by.

With `--quick` it is a smoke run of seconds on made-up sentences, and needs no data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipelines.punctuation.novels import DEV, TEST, Text, join, kept_out, read, read_novels
from pipelines.punctuation.scores import decide, measure
from pipelines.punctuation.stretches import Stretches, toy_lines
from transducer.cores.window import WindowLayersConfig
from transducer.data.pairs import PairSource
from transducer.encoders.window import WindowConfig
from transducer.engine.readable import HEADS, WORDS
from transducer.frontends.words import WordsConfig
from transducer.heads.framewise import FramewiseConfig
from transducer.model.config import ModelConfig
from transducer.model.network import Network
from transducer.text.readable.features import NGRAMS, WordFeatures
from transducer.text.tokenizers.labels import Labels
from transducer.text.tokenizers.symbols import Symbols
from transducer.training.evaluation import outputs
from transducer.training.objectives import HeadLoss
from transducer.training.recipe import Phase, Recipe

MODEL = ModelConfig(
    frontend=WordsConfig(words=14_000, buckets=4096, ngrams=NGRAMS, channels=64),
    encoder=WindowConfig(past=3, look_ahead=4, dropout=0.05),
    core=WindowLayersConfig(channels=160, hidden=224, layers=3, past=2, dilations=(1, 3, 9), dropout=0.05),
    heads={name: FramewiseConfig(name) for name in HEADS},
    chunks=(1,),
    language="en",
    card={
        "description": "Capitals and punctuation for the words of English speech, while they come",
        "trained_on": [
            {"name": "English novels of the 19th and early 20th century", "licence": "public domain"},
        ],
    },
)


def vocabulary(text: Text, types: Sequence[str], size: int) -> Symbols:
    """The most frequent words of a text, at most `size` tokens with the one for all other words."""
    counts = np.bincount(text.words, minlength=len(types))
    seen = sorted(np.flatnonzero(counts).tolist(), key=lambda number: (-counts[number], types[number]))
    return Symbols([types[number] for number in seen[: size - 1]])


def evaluate(network: Network, source: PairSource) -> Mapping[str, float]:
    """F1 of sentence ends, commas and capitals, and the accuracy of cases."""
    decisions, texts = [], []
    for pair, found in outputs(network, source, list(HEADS)):
        decisions.append(decide(found["marks"].numpy(), found["cases"].numpy()))
        texts.append(Text(np.zeros(len(pair.x), int), pair.target("marks"), pair.target("cases")))
    marks, cases = (np.concatenate(parts) for parts in zip(*decisions, strict=True))
    scores = measure((marks, cases), join(texts))
    names = {"f1:sentence ends": "sentence end", "f1:commas": ",", "f1:capitals": "capital"}
    return {name: scores[key]["f1"] for name, key in names.items()} | {"accuracy:cases": scores["case"]["accuracy"]}


def recipe(
    data: Path,
    quick: bool = False,
    *,
    cache: Path | None = None,
    steps: int = 2400,
    words: int = 14_000,
    rows: int = 64,
    length: int = 100,
    learning_rate: float = 3e-3,
    matrix_learning_rate: float = 0.02,
    workers: int = 1,
    seed: int = 1,
) -> Recipe:
    """What `transducer train` runs; the keyword parameters can be changed by `--set NAME=VALUE`.

    Args:
        data: the folder with text/novels.txt.xz.
        cache: where the novels are kept as arrays.
        words: rows of the vocabulary, that of all other words counted.
        length: words in a stretch; `rows` of them make a batch.
        learning_rate: peak learning rate of AdamW; matrix_learning_rate: of Muon.
    """
    if quick:
        steps, words, rows, length = 8, 30, 8, 20
        types, books = read(toy_lines(400, seed))
        text, dev = books.values()
    else:
        types, books = read_novels(data, cache)
        dev = kept_out(books, DEV)
        text = join([book for title, book in books.items() if not title.startswith(DEV + TEST)])
    known = vocabulary(text, types, words)
    model = replace(MODEL, frontend=replace(MODEL.frontend, words=len(known)))
    features = WordFeatures(known.tokens, model.frontend.buckets)
    phase = Phase(
        "train",
        steps,
        (HeadLoss("marks"), HeadLoss("cases", 0.7)),
        batch_frames=rows * length,
        buckets=1,
        learning_rate=learning_rate,
        matrix_learning_rate=matrix_learning_rate,
        warmup=min(200, steps // 4),
        average_decay=0.993,
        clip=1.0,
    )
    return Recipe(
        name="readable-en",
        model=model,
        units={WORDS: known, **{name: Labels(labels) for name, labels in HEADS.items()}},
        train=Stretches(text, types, features, length, errors=0.03, unknown=0.05, vary=True),
        dev=Stretches(dev[:30_000], types, features, min(1000, len(dev) // 2)),
        phases=(phase,),
        evaluate=evaluate,
        storage="int8",
        workers=0 if quick else workers,
        seed=seed,
    )
