"""What pauses say about punctuation: fitted where recordings are read from novels whose print is known.

    python -m pipelines.punctuation.pauses DATA CHECKPOINT [--cache CACHE]

Utterances of speech/librispeech-train.tsv that are found in the novels are recognised by the bundled speech model; for
every pair of neighbouring words that it gets right, the pause between them and the printed mark are counted.
pauses.json in CHECKPOINT gets log p(pause | mark) / p(pause), for no mark, marks inside a sentence and ends of one.
What they bring is printed, half of the utterances at a time measured with scores from the other half.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

import transducer
from pipelines.punctuation.novels import join, read_novels
from pipelines.punctuation.scores import f1
from transducer.data.table import read_table
from transducer.engine.readable import ReadableModel, load_readable
from transducer.results import Word
from transducer.text.readable.labels import MARKS, SENTENCE_ENDS, best_marks
from transducer.text.readable.pauses import Pauses

EDGES = (0.1, 0.25, 0.5, 0.8)  # seconds
KINDS = 3  # no mark, a mark inside a sentence, the end of one
KIND = np.array([0] + [2 if mark in SENTENCE_ENDS else 1 for mark in range(1, len(MARKS))])
WINDOW = 5  # words in a row by which an utterance is found
SMOOTHING = 1.0  # a pseudo-count for every bucket


class Utterance(NamedTuple):
    """Recognised words, and the printed mark after each; -1 where the words are not those of the print."""

    words: list[Word]
    marks: np.ndarray


def places(texts: Sequence[list[str]], types: Sequence[str], novels: np.ndarray) -> Iterator[tuple[int, int]]:
    """(utterance, where it begins in the novels) of each that is nearly all there."""
    numbers = {word: number for number, word in enumerate(types)}

    def keys(words: np.ndarray) -> np.ndarray:
        count = max(0, len(words) - WINDOW + 1)
        key = np.zeros(count, np.uint64)
        for k in range(WINDOW):
            key = key * np.uint64(1_000_003) + words[k : k + count].astype(np.uint64)
        return key

    wanted = [keys(np.array([numbers.get(word, len(types) + 1) for word in text])) for text in texts]
    everywhere = keys(novels)
    hits = np.flatnonzero(np.isin(everywhere, np.concatenate(wanted)))
    where = dict(zip(everywhere[hits].tolist(), hits.tolist(), strict=True))
    for number, own in enumerate(wanted):
        starts = [where[key] - k for k, key in enumerate(own.tolist()) if key in where]
        if starts and len(starts) > 0.7 * len(own):
            yield number, max(0, int(np.median(starts)))


def recognise(data: Path, types: Sequence[str], words: np.ndarray, marks: np.ndarray, limit: int) -> list[Utterance]:
    recordings = read_table(data / "speech/librispeech-train.tsv", needs="text").items
    texts = [item.words for item in recordings]
    speech, found = transducer.load("speech-en"), []
    for number, start in places(texts, types, words):
        part = slice(start, start + len(texts[number]) + 5)
        printed = [types[word] for word in words[part]]
        heard = list(speech.transcribe(recordings[number].path).words)
        after = np.full(len(heard), -1)
        for block in SequenceMatcher(
            None, [word.text for word in heard], printed, autojunk=False
        ).get_matching_blocks():
            # The mark after a word is known where the next word is right, too.
            for k in range(block.size - 1):
                after[block.a + k] = marks[part][block.b + k]
        found.append(Utterance(heard, after))
        if len(found) == limit:
            break
    return found


def bucket(words: Sequence[Word], index: int) -> int:
    return int(np.searchsorted(EDGES, words[index + 1].start - words[index].end, side="right"))


def fit(utterances: Sequence[Utterance]) -> tuple[np.ndarray, Pauses]:
    """Counts (buckets, kinds of marks), and the scores that they give."""
    counts = np.zeros((len(EDGES) + 1, KINDS))
    for words, marks in utterances:
        for index in np.flatnonzero(marks >= 0):
            counts[bucket(words, index), KIND[marks[index]]] += 1
    smooth = counts + SMOOTHING * counts.sum(axis=1, keepdims=True) / counts.sum()
    given = smooth / smooth.sum(axis=0)
    scores = np.log(given / (smooth.sum(axis=1, keepdims=True) / smooth.sum()))[:, KIND].round(3)
    # A segment ends where the longest pauses are.
    return counts, Pauses(EDGES, tuple(map(tuple, [*scores.tolist(), scores[-1].tolist()])))


def measure(model: ReadableModel, utterances: Sequence[Utterance], pauses: Pauses | None) -> list[tuple[int, int]]:
    """(found, printed) kind of mark after every word for which it is known."""
    pairs = []
    for words, marks in utterances:
        scores, _ = model.step([word.text for word in words], model.init_state(), flush=True)
        for index in np.flatnonzero(marks >= 0):
            score = scores[index][0]
            if pauses is not None:
                score = score + np.array(pauses.scores[bucket(words, index)])
            pairs.append((int(KIND[best_marks(score)]), int(KIND[marks[index]])))
    return pairs


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--cache", type=Path, help="a folder for the novels as arrays")
    parser.add_argument("--limit", type=int, default=10_000, help="utterances, to try the pipeline")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    model = load_readable(args.checkpoint)
    types, books = read_novels(args.data, args.cache)
    text = join(list(books.values()))
    utterances = recognise(args.data, types, text.words, text.marks, args.limit)
    halves = utterances[::2], utterances[1::2]
    results = {
        "without pauses": measure(model, utterances, None),
        "with pauses": [pair for own, other in (halves, halves[::-1]) for pair in measure(model, own, fit(other)[1])],
    }
    for name, pairs in results.items():
        found, printed = np.array(pairs).T
        print(f"{name}: any mark {f1(found > 0, printed > 0)}, sentence end {f1(found == 2, printed == 2)}")
    counts, pauses = fit(utterances)
    print(len(utterances), "utterances; words by pause and kind of mark", counts.astype(int).tolist())
    pauses.save(args.checkpoint)


if __name__ == "__main__":
    main()
