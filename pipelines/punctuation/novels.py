"""The novels as running text in arrays, for training and for measuring."""

from __future__ import annotations

import lzma
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipelines.punctuation.text import Token, novels
from transducer.atomic import atomic_write
from transducer.errors import UsageError
from transducer.heads.head import IGNORE
from transducer.text.readable.labels import LOWER, SENTENCE_ENDS, UPPER

# First lines of the novels that are kept out, for choosing and for measuring.
DEV = ("Helen with the high hand", "ALMAYER'S FOLLY")
TEST = ("Arthur Conan Doyle The Hound", "TREASURE ISLAND", "THE SECRET GARDEN", "Howards End")


@dataclass(frozen=True)
class Text:
    """Running text, (N,) each: for every word its number in `types`, its mark, and its case, `IGNORE` where nobody can
    know it. There are millions of them, so that the numbers are as small as they can be.
    """

    words: np.ndarray  # int32
    marks: np.ndarray  # int8
    cases: np.ndarray  # int8

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, part: slice) -> Text:
        return Text(self.words[part], self.marks[part], self.cases[part])


def read(lines: Iterable[str]) -> tuple[list[str], dict[str, Text]]:
    """The words that there are, and the text of every novel by its first line."""
    numbers: dict[str, int] = {}
    books = {title: encode(tokens, numbers) for title, tokens in novels(lines)}
    # Words that are more often lower than upper case are shouted in capitals, which nobody can predict.
    text = join(list(books.values()))
    often = [np.bincount(text.words[text.cases == case], minlength=len(numbers)) for case in (LOWER, UPPER)]
    shouted = often[0] > often[1]
    return list(numbers), {
        title: replace(book, cases=np.where((book.cases == UPPER) & shouted[book.words], np.int8(IGNORE), book.cases))
        for title, book in books.items()
    }


def read_novels(data: Path, cache: Path | None = None) -> tuple[list[str], dict[str, Text]]:
    """`read` of text/novels.txt.xz in the data folder; it takes minutes, and `cache` keeps what comes out.

    Raises:
        UsageError: there is no such file.
    """
    kept = None if cache is None else cache / "punctuation-novels.npz"
    if kept is not None and kept.exists():
        return _unpacked(kept)
    source = data / "text" / "novels.txt.xz"
    try:
        with lzma.open(source, "rt", encoding="utf-8") as file:
            types, books = read(file)
    except OSError as error:
        raise UsageError(f"{source}: cannot read the novels: {error.strerror}") from None
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        text, ends = join(list(books.values())), np.cumsum([len(book) for book in books.values()])
        with atomic_write(kept, "wb") as file:
            np.savez(file, titles=list(books), ends=ends, types=types, **vars(text))
    return types, books


def _unpacked(path: Path) -> tuple[list[str], dict[str, Text]]:
    stored = np.load(path)
    text, ends = Text(stored["words"], stored["marks"], stored["cases"]), stored["ends"]
    starts = [0, *ends[:-1]]
    return stored["types"].tolist(), {
        title: text[start:end] for title, start, end in zip(stored["titles"].tolist(), starts, ends, strict=True)
    }


def kept_out(books: dict[str, Text], first_lines: tuple[str, ...]) -> Text:
    """The novels that begin with these lines, one after the other."""
    return join([book for title, book in books.items() if title.startswith(first_lines)])


def encode(tokens: Sequence[Token], numbers: dict[str, int]) -> Text:
    """Running text; a word that begins a sentence says nothing about its case."""
    cases, begins = [], True
    for token in tokens:
        cases.append(IGNORE if begins or token.case is None else token.case)
        begins = token.mark in SENTENCE_ENDS
    words = [numbers.setdefault(token.word, len(numbers)) for token in tokens]
    marks = [token.mark for token in tokens]
    return Text(np.array(words, np.int32), np.array(marks, np.int8), np.array(cases, np.int8))


def join(books: Sequence[Text]) -> Text:
    return Text(*(np.concatenate([getattr(book, key) for book in books]) for key in ("words", "marks", "cases")))
