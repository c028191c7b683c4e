"""Words and how they are made of a model's tokens: their spelling, or their pronunciations."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from transducer.atomic import atomic_write
from transducer.errors import CheckpointError, UsageError
from transducer.text.json_file import read_bytes
from transducer.text.lm.sections import MOST_BYTES, inflate, read_sections, write_sections
from transducer.text.tokenizers.characters import Characters
from transducer.text.tokenizers.symbols import Symbols
from transducer.text.tokenizers.tokenizer import Tokenizer

Pronunciations = Mapping[str, Sequence[Sequence[str]]]


_MAGIC = b"transducer lexicon 1\n"


@dataclass(frozen=True)
class Lexicon:
    """Entries of words, each with one token sequence; a word may have several.

    Attributes:
        words: texts; the id of `words[i]` is i + 1, because 0 stands for no word.
        word: (E,) int64, the word id of each entry.
        tokens: (E, L) unsigned, its token ids, padded with 0 at the end.
    """

    words: tuple[str, ...]
    word: NDArray[np.int64]
    tokens: NDArray[np.integer]

    @classmethod
    def of(cls, entries: Iterable[tuple[str, Sequence[int]]]) -> Lexicon:
        """From words with token sequences; words get ids in the order in which they first come."""
        ids: dict[str, int] = {}
        word, sequences = [], []
        for text, tokens in entries:
            word.append(ids.setdefault(text, len(ids) + 1))
            sequences.append(tokens)
        lengths = np.array([len(tokens) for tokens in sequences], dtype=np.int64)
        flat = np.array([token for tokens in sequences for token in tokens], dtype=np.int64)
        padded = np.zeros((len(sequences), int(lengths.max(initial=0))), dtype=np.min_scalar_type(flat.max(initial=0)))
        padded[np.arange(padded.shape[1]) < lengths[:, None]] = flat
        return cls(tuple(ids), np.array(word, dtype=np.int64), padded)

    @classmethod
    def spelled(cls, words: Iterable[str], characters: Characters) -> Lexicon:
        """Words as their characters, each with the space that ends it. Raises UsageError for other characters."""
        return cls.of((word, characters.encode(word + " ")) for word in words)

    @classmethod
    def pronounced(cls, pronunciations: Pronunciations, phones: Symbols) -> Lexicon:
        """Words as phones. Raises UsageError for a phone that is none of the symbols."""
        number = {phone: token for token, phone in enumerate(phones.tokens)}
        try:
            return cls.of(
                (word, [number[phone] for phone in sequence])
                for word, variants in pronunciations.items()
                for sequence in variants
            )
        except KeyError as error:
            raise UsageError(f"the lexicon has a phone {error.args[0]!r} that the model doesn't know") from None

    def __len__(self) -> int:
        return len(self.words)

    def tokenizer(self) -> Tokenizer:
        """Word ids as tokens, for what works on the results of a search."""
        return Symbols(self.words)

    def variants(self, word: int) -> list[list[int]]:
        """The token sequences of a word id."""
        return [row[row > 0].tolist() for row in self.tokens[self.word == word]]

    def save(self, path: str | Path, tokenizer: Tokenizer) -> None:
        """Write the entries, without the words' texts; words must be in the order of their ids.

        Args:
            tokenizer: whose tokens the entries are made of; `load` holds its own against it.
        """
        lengths = (self.tokens > 0).sum(axis=1)
        parts = [np.diff(self.word, prepend=0), lengths, self.tokens[self.tokens > 0]]
        if any(part.min(initial=0) < 0 or part.max(initial=0) > 255 for part in parts):
            raise ValueError("entries must be in the order of their words, and tokens below 256")
        sections = [part.astype(np.uint8).tobytes() for part in parts]
        write_sections(path, _MAGIC, {"tokens": list(tokenizer.tokens)}, sections)

    @classmethod
    def load(cls, path: str | Path, words: Sequence[str], tokenizer: Tokenizer) -> Lexicon:
        """Read what `save` wrote.

        Args:
            words: texts by id from 1 on.
            tokenizer: of the model.

        Raises:
            CheckpointError: the file is missing or damaged, or belongs to other words or tokens.
        """
        header, sections = read_sections(path, _MAGIC, "lexicon")
        if header.get("tokens") != list(tokenizer.tokens):
            raise CheckpointError(f"{path} belongs to another model: take all files from one checkpoint")
        try:
            gaps, lengths, flat = (np.frombuffer(section, dtype=np.uint8) for section in sections)
            if len(gaps) != len(lengths) or lengths.min(initial=1) == 0 or lengths.sum(dtype=np.int64) != len(flat):
                raise ValueError("its entries are not as long as it says")
            shape = len(lengths), int(lengths.max(initial=0))
            if shape[0] * shape[1] > MOST_BYTES:
                raise ValueError(f"{shape[0]} entries of up to {shape[1]} tokens are too many")
            if flat.min(initial=1) == 0 or flat.max(initial=0) >= len(tokenizer):
                raise ValueError("it has entries of unknown tokens")
        except ValueError as error:
            raise CheckpointError(f"{path} is damaged: {error}") from None
        word = np.cumsum(gaps, dtype=np.int64)
        if not len(word) or not word[0] or gaps.max() > 1 or word[-1] != len(words):
            raise CheckpointError(f"{path} belongs to another model, of other words: take both from one checkpoint")
        tokens = np.zeros(shape, dtype=np.uint8)
        tokens[np.arange(shape[1]) < lengths[:, None]] = flat
        return cls(tuple(words), word, tokens)

    def extended(self, other: Lexicon) -> Lexicon:
        """This lexicon with the words of another that it doesn't have; ids of its own words stay."""
        known = set(self.words)
        new = [text for text in other.words if text not in known]
        ids = {text: len(self.words) + number for number, text in enumerate(new, start=1)}
        number_of = np.array([0, *(ids.get(text, 0) for text in other.words)])
        rows = np.flatnonzero(number_of[other.word])
        length = max(self.tokens.shape[1], other.tokens.shape[1])
        tokens = np.concatenate([_widened(self.tokens, length), _widened(other.tokens[rows], length)])
        return Lexicon((*self.words, *new), np.concatenate([self.word, number_of[other.word[rows]]]), tokens)


def _widened(tokens: NDArray[np.integer], length: int) -> NDArray[np.integer]:
    return np.pad(tokens, [(0, 0), (0, length - tokens.shape[1])])


def read_cmudict(path: str | Path) -> dict[str, list[list[str]]]:
    """The CMU pronouncing dictionary without stress marks, comments, and entries that aren't words of letters.

    Variants ("word(2)") that only differ in stress become one.

    Raises:
        UsageError: the file cannot be read, or has no entries.
    """
    pronunciations: dict[str, list[list[str]]] = {}
    try:
        text = Path(path).read_text(encoding="latin-1")
    except OSError as error:
        raise UsageError(f"{path}: cannot read the pronouncing dictionary: {error.strerror}") from None
    for line in text.splitlines():
        word, *phones = line.partition("#")[0].split() or [""]
        word = re.sub(r"\(\d+\)$", "", word)
        if not phones or not re.fullmatch(r"[a-z]+(?:'[a-z]+)*", word):
            continue
        plain = [phone.rstrip("012") for phone in phones]
        variants = pronunciations.setdefault(word, [])
        if plain not in variants:
            variants.append(plain)
    if not pronunciations:
        raise UsageError(f"{path} has no entries of a pronouncing dictionary: WORD, spaces, and its phones, one a line")
    return pronunciations


def save_pronunciations(path: str | Path, pronunciations: Pronunciations) -> None:
    """Write words and phones, one entry a line, deflated."""
    lines = (f"{word} {' '.join(phones)}\n" for word, variants in pronunciations.items() for phones in variants)
    with atomic_write(path, "wb") as file:
        file.write(zlib.compress("".join(lines).encode(), 9))


def load_pronunciations(path: str | Path) -> dict[str, list[list[str]]]:
    """Read what `save_pronunciations` wrote. Raises CheckpointError where the file is missing or damaged."""
    try:
        pronunciations: dict[str, list[list[str]]] = {}
        for line in inflate(read_bytes(path, MOST_BYTES)).decode().splitlines():
            word, *phones = line.split(" ")
            if not word or not phones or "" in phones:
                raise ValueError(f"{line[:40]!r} is no word with its phones")
            pronunciations.setdefault(word, []).append(phones)
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged: {error}") from None
    return pronunciations
