"""Tokenizers for the texts of a table: what a step of the input is, and what is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from transducer.errors import UsageError
from transducer.text.tokenizers.bytes import Bytes
from transducer.text.tokenizers.characters import Characters
from transducer.text.tokenizers.subwords import Subwords
from transducer.text.tokenizers.symbols import Symbols
from transducer.text.tokenizers.tokenizer import Tokenizer

MOST_CHARACTERS = 4000  # different ones; texts of more are better taken as bytes
MOST_WORDS = 30_000
SUBWORDS = (2000, 1000, 500, 250, 120)  # as many as the texts have enough material for


def spell(kind: str, texts: Sequence[str]) -> Tokenizer:
    """A tokenizer of a kind that has what these texts need.

    Raises:
        UsageError: an unknown kind, or texts that it cannot be made of.
    """
    if kind == "bytes":
        return Bytes()
    if kind == "characters":
        found = Counter(character for text in texts for character in text if character != " ")
        return Characters("".join(sorted(character for character, _ in found.most_common(MOST_CHARACTERS))))
    if kind == "words":
        words = Counter(word for text in texts for word in text.split() if word != "<blank>")
        return Symbols(sorted(word for word, _ in words.most_common(MOST_WORDS)))
    if kind == "subwords":
        for size in SUBWORDS:
            try:
                return Subwords.train(texts, size)
            except UsageError:
                continue
        raise UsageError("these texts are too few or too short to cut them into subwords: take characters or words")
    raise UsageError(f"unknown kind of tokens {kind!r}: there are characters, words, bytes, subwords")


def suits(texts: Sequence[str]) -> str:
    """Characters, or bytes where there are too many different ones."""
    return "characters" if len(set().union(*texts)) <= MOST_CHARACTERS else "bytes"
