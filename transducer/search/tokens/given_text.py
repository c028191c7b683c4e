"""A text that is given: its words, and the tokens by which they can be said, as one graph.

The graph is that of CTC: a blank may stand between two tokens, and before and behind each word there is a place for
whatever is not in the text: silence, noise, words that were left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from transducer.errors import UsageError
from transducer.search.hotwords import Hotword
from transducer.search.tokens.word_model import WordModel
from transducer.text.english.normalise import normalise
from transducer.text.english.numerals import spoken

VARIANTS = 4  # pronunciations of a word, at most
_NUMBER = re.compile(r"\d[\d,]*(?:st|nd|rd|th)?$")
_LONGEST_NUMBER = 15  # digits


class GivenWord(NamedTuple):
    """A word as it is written, the line that it stands on (from 0), and the words that are said for it."""

    text: str
    line: int
    said: tuple[str, ...]


def read_words(text: str) -> list[GivenWord]:
    """The words of a text; what has no letters or digits belongs to the word before it.

    Raises:
        UsageError: there is no word.
    """
    if not isinstance(text, str):
        raise UsageError(f"the text to align must be a string, got {type(text).__name__}")
    found: list[GivenWord] = []
    for number, content in enumerate(text.splitlines()):
        for written in content.split():
            said = tuple(word for part in normalise(written).split() for word in _said(part, written))
            if said:
                found.append(GivenWord(written, number, said))
            elif found and found[-1].line == number:
                found[-1] = found[-1]._replace(text=f"{found[-1].text} {written}")
    if not found:
        raise UsageError("the text to align has no words")
    return found


def _said(word: str, written: str) -> list[str]:
    number = written.strip("\"'().,;:!?").lower()
    if not any(letter.isdigit() for letter in word):
        return [word]
    if _NUMBER.fullmatch(number) and sum(map(str.isdigit, number)) <= _LONGEST_NUMBER:
        return spoken(number) if word == normalise(number).split()[0] else []
    return [part for piece in re.findall(r"\d+|\D+", word) for part in (_digits(piece) if piece.isdigit() else [piece])]


def _digits(digits: str) -> list[str]:
    return spoken(digits) if len(digits) <= _LONGEST_NUMBER else [name for digit in digits for name in spoken(digit)]


@dataclass(frozen=True)
class TextGraph:
    """States in the order of the text, S of them.

    Attributes:
        words: of the text.
        token: (S,) that each state stands for; 0 for blanks and the places between words.
        word: (S,) the number of the word that each state belongs to, or comes before.
        between: (S,) whether it is a place between words.
        before: (S, P) the states from which each can be reached, itself first; -1 where there are fewer.
        first, last: states with which a path may begin, and end.
        reach: how many states a step may go forward, at most.
    """

    words: tuple[GivenWord, ...]
    token: NDArray[np.int64]
    word: NDArray[np.int64]
    between: NDArray[np.bool_]
    before: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    reach: int

    @classmethod
    def of(cls, text: str, model: WordModel) -> TextGraph:
        """The graph of a text.

        Raises:
            UsageError: there is no word in it, or one that nobody knows how to say.
        """
        words = read_words(text)
        places = {word: given.line + 1 for given in reversed(words) for word in given.said}
        hotwords = {word: Hotword(word, 0.0, f"the text, line {line}") for word, line in places.items()}
        return _Builder(model.pronunciations(hotwords)).build(words)


class _Builder:
    def __init__(self, pronunciations: dict[str, list[list[int]]]):
        self._pronunciations = pronunciations
        self._states: list[tuple[int, int, bool, list[int]]] = []

    def build(self, words: Sequence[GivenWord]) -> TextGraph:
        ends = [self._add(0, 0, True)]
        for number, given in enumerate(words):
            for position, word in enumerate(given.said):
                if number or position:
                    ends = [*ends, self._add(0, number, not position, ends)]
                ends = [self._say(tokens, number, ends) for tokens in self._pronunciations[word][:VARIANTS]]
        ends = [*ends, self._add(0, len(words), True, ends)]
        width = max(len(before) for _, _, _, before in self._states)
        before = np.full((len(self._states), width), -1)
        for state, (_, _, _, sources) in enumerate(self._states):
            before[state, : len(sources)] = sources
        states = np.arange(len(before))[:, None]
        return TextGraph(
            tuple(words),
            np.array([token for token, _, _, _ in self._states]),
            np.array([word for _, word, _, _ in self._states]),
            np.array([between for _, _, between, _ in self._states]),
            before,
            np.flatnonzero((before == 0).any(axis=1)),
            np.array(ends),
            int((states - np.where(before < 0, states, before)).max()),
        )

    def _add(self, token: int, word: int, between: bool, sources: Sequence[int] = ()) -> int:
        state = len(self._states)
        # Two tokens of the same kind have a blank between them.
        known = [source for source in sources if not token or self._states[source][0] != token]
        self._states.append((token, word, between, [state, *known]))
        return state

    def _say(self, tokens: Sequence[int], word: int, ends: Sequence[int]) -> int:
        """One way to say a word; the state of its last token."""
        state = self._add(tokens[0], word, False, ends)
        for token in tokens[1:]:
            blank = self._add(0, word, False, [state])
            state = self._add(token, word, False, [state, blank])
        return state
