"""The novels as running text in arrays, for training and for measuring."""

from __future__ import annotations

import lzma
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipelines.punctuation.text import Token, novels
from transducer.atomic import atomic_write
from transducer.text.readable.labels import LOWER, SENTENCE_ENDS, UPPER

IGNORED = -100  # cross_entropy leaves it out


@dataclass(frozen=True)
class Text:
    """Running text: for every word its number in `types`, its mark and its case (int64, (N,) each)."""

    words: np.ndarray
    marks: np.ndarray
    cases: np.ndarray

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, part: slice) -> Text:
        return Text(self.words[part], self.marks[part], self.cases[part])


def read_novels(data: Path, quick: bool, numbers: dict[str, int]) -> dict[str, Text]:
    """The text of every novel by its first line, of a few where it has to be quick; `numbers` gets its words."""
    with lzma.open(data / "text/novels.txt.xz", "rt", encoding="utf-8") as file:
        lines = (line for number, line in enumerate(file) if not quick or number < 45_000)
        books = {title: encode(tokens, numbers) for title, tokens in novels(lines)}
    # Words that are more often lower than upper case are shouted in capitals, which nobody can predict.
    words, cases = (np.concatenate([getattr(book, key) for book in books.values()]) for key in ("words", "cases"))
    often = [np.bincount(words[cases == case], minlength=len(numbers)) for case in (LOWER, UPPER)]
    shouted = often[0] > often[1]
    return {
        title: replace(book, cases=np.where((book.cases == UPPER) & shouted[book.words], IGNORED, book.cases))
        for title, book in books.items()
    }


def cached_novels(path: Path, data: Path, quick: bool) -> tuple[list[str], dict[str, Text]]:
    """The words and what `read_novels` gives, from the file that an earlier run left, or else into it."""
    if not path.exists():
        numbers: dict[str, int] = {}
        books = read_novels(data, quick, numbers)
        text, ends = join(list(books.values())), np.cumsum([len(book) for book in books.values()])
        with atomic_write(path, "wb") as file:
            np.savez(file, titles=list(books), ends=ends, types=list(numbers), **vars(text))
    stored = np.load(path)
    text, ends = (
        Text(stored["words"].astype(int), stored["marks"].astype(int), stored["cases"].astype(int)),
        stored["ends"],
    )
    books = {
        title: text[start:end] for title, start, end in zip(stored["titles"].tolist(), [0, *ends], ends, strict=False)
    }
    return stored["types"].tolist(), books


def encode(tokens: Sequence[Token], numbers: dict[str, int]) -> Text:
    """Running text; a word that begins a sentence says nothing about its case."""
    cases, begins = [], True
    for token in tokens:
        cases.append(IGNORED if begins or token.case is None else token.case)
        begins = token.mark in SENTENCE_ENDS
    words = [numbers.setdefault(token.word, len(numbers)) for token in tokens]
    marks = [token.mark for token in tokens]
    return Text(np.array(words, np.int32), np.array(marks, np.int8), np.array(cases, np.int8))


def join(books: Sequence[Text]) -> Text:
    return Text(*(np.concatenate([getattr(book, key) for book in books]) for key in ("words", "marks", "cases")))
