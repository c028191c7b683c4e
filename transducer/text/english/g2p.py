"""Pronunciations for words that no lexicon has: letters and phones as one sequence of joint units.

Every letter of a word is aligned with none, one or two of its phones; an n-gram model over these pairs then
says which pairs a spelling is likeliest made of. Names for run-time vocabularies are pronounced this way.

Sources:
    M. Bisani, H. Ney, "Joint-sequence models for grapheme-to-phoneme conversion", 2008
    the smoothing of `transducer.text.lm.ngram_train`
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transducer.errors import CheckpointError
from transducer.text.lm.ngram import IMPOSSIBLE, SPECIAL, NGram

_SEPARATOR = "|"  # "x|K|S": the letter, then its phones
_MOST = 2  # phones a letter may have
_LETTERS = "'abcdefghijklmnopqrstuvwxyz"


class GraphemeToPhoneme:
    """Pronounces words of the letters a-z and the apostrophe.

    Args:
        model: n-gram model whose words are joint units.
        beam: partial pronunciations kept after each letter.
    """

    def __init__(self, model: NGram, beam: int = 24):
        self.model, self.beam = model, beam
        units: dict[str, list[int]] = defaultdict(list)
        self._phones: list[tuple[str, ...]] = []
        for number, unit in enumerate(model.words):
            letter, *phones = unit.split(_SEPARATOR)
            self._phones.append(tuple(phones))
            if number >= len(SPECIAL):
                units[letter].append(number)
        self._units = {letter: np.array(numbers) for letter, numbers in units.items()}

    @classmethod
    def load(cls, path: str | Path) -> GraphemeToPhoneme:
        """From a file that `NGram.save` wrote.

        Raises:
            CheckpointError: as from `NGram.load`, and where the words are no joint units.
        """
        model = NGram.load(path)
        for unit in model.words[len(SPECIAL) :]:
            letter, *phones = unit.split(_SEPARATOR)
            if letter not in _LETTERS or len(letter) != 1 or len(phones) > _MOST or "" in phones:
                raise CheckpointError(f"{path} is damaged: {unit!r} is no letter with its phones")
        return cls(model)

    @property
    def phones(self) -> set[str]:
        """All that pronunciations are made of."""
        return {phone for phones in self._phones for phone in phones}

    def __call__(self, word: str, variants: int = 1, width: float = 1.5) -> list[list[str]]:
        """Phones of the likeliest pronunciations.

        Args:
            word: letters; what is no letter a-z or apostrophe is passed over.
            variants: how many pronunciations at most.
            width: a variant's log-probability may be this far below the best one's.

        Returns:
            The likeliest first; none for a word without letters.
        """
        letters = [letter for letter in word.lower() if letter in self._units]
        if not letters:
            return []
        score, state = np.zeros(1), np.array([self.model.start])
        links: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        for letter in letters:
            units = self._units[letter]
            source = np.repeat(np.arange(len(score)), len(units))
            unit = np.tile(units, len(score))
            log_p, after = self.model.score(state[source], unit)
            total = score[source] + log_p
            best = np.argsort(-total, kind="stable")[: self.beam]
            score, state = total[best], after[best]
            links.append((source[best], unit[best]))
        score = score + self.model.log_end(state)
        found: list[list[str]] = []
        for row in np.argsort(-score, kind="stable").tolist():
            if len(found) == variants or score[row] < score.max() - width:
                break
            phones: list[str] = []
            at = row
            for source, unit in reversed(links):
                phones[:0] = self._phones[unit[at]]
                at = source[at]
            if phones and phones not in found:
                found.append(phones)
        return found


def align(
    words: Sequence[str], pronunciations: Sequence[Sequence[str]], rounds: int = 6
) -> list[list[tuple[str, tuple[str, ...]]] | None]:
    """Pair every letter with none, one or two phones, in order: hard expectation maximisation.

    Returns:
        For each word its pairs, or None where it has more than two phones a letter.
    """
    letters, phones = sorted(set("".join(words))), sorted({p for sequence in pronunciations for p in sequence})
    letter_of, phone_of = {c: i for i, c in enumerate(letters)}, {p: i for i, p in enumerate(phones)}
    spelling = _padded([[letter_of[c] for c in word] for word in words])
    sound = _padded([[phone_of[p] for p in sequence] for sequence in pronunciations])
    lengths = np.array([len(word) for word in words])
    counts = np.array([len(sequence) for sequence in pronunciations])
    possible = counts <= _MOST * lengths
    n = len(phones)
    # Scores of nothing, of one phone and of a pair, for each letter. At first only nearness to the diagonal counts.
    none: NDArray[np.floating[Any]]
    one: NDArray[np.floating[Any]]
    two: NDArray[np.floating[Any]]
    none, one, two = np.zeros(len(letters)), np.zeros((len(letters), n)), np.zeros((len(letters), n * n))
    taken = np.zeros_like(spelling)
    for round_ in range(rounds):
        taken = _viterbi(spelling, sound, lengths, counts, none, one, two, diagonal=float(round_ == 0))
        start = np.cumsum(taken, axis=1) - taken
        inside = (np.arange(spelling.shape[1]) < lengths[:, None]) & possible[:, None]
        row, column = np.nonzero(inside)
        letter, k, at = spelling[row, column], taken[row, column], start[row, column]
        first = sound[row, np.minimum(at, sound.shape[1] - 1)]
        second = sound[row, np.minimum(at + 1, sound.shape[1] - 1)]
        none = np.bincount(letter[k == 0], minlength=len(letters)) + 0.1
        one = np.bincount((letter * n + first)[k == 1], minlength=len(letters) * n).reshape(-1, n) + 0.1
        # Pairs that are rare would only describe single words; they cost more.
        pair = ((letter * n + first) * n + second)[k == 2]
        two = np.bincount(pair, minlength=len(letters) * n * n).reshape(-1, n * n) + 0.001
        total = none + one.sum(axis=1) + two.sum(axis=1)
        none, one, two = np.log(none / total), np.log(one / total[:, None]), np.log(two / total[:, None])
    result: list[list[tuple[str, tuple[str, ...]]] | None] = []
    for word, sequence, row, fits in zip(words, pronunciations, taken.tolist(), possible.tolist(), strict=True):
        place = 0
        pairs: list[tuple[str, tuple[str, ...]]] = []
        for written, k in zip(word, row, strict=False):
            pairs.append((written, tuple(sequence[place : place + k])))
            place += k
        result.append(pairs if fits else None)
    return result


def _padded(rows: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    result = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
    for number, row in enumerate(rows):
        result[number, : len(row)] = row
    return result


def _viterbi(
    spelling: NDArray[np.int64],
    sound: NDArray[np.int64],
    lengths: NDArray[np.int64],
    counts: NDArray[np.int64],
    none: NDArray[np.floating[Any]],
    one: NDArray[np.floating[Any]],
    two: NDArray[np.floating[Any]],
    diagonal: float,
) -> NDArray[np.int64]:
    """How many phones each letter takes on the best path, (words, letters); all words at once."""
    batch, width = sound.shape
    n = one.shape[1]
    score = np.full((batch, width + 1), IMPOSSIBLE * 100)
    score[:, 0] = 0.0
    choices = np.zeros((spelling.shape[1], batch, width + 1), dtype=np.int8)
    position = np.arange(width + 1)
    pair = sound[:, :-1] * n + sound[:, 1:]
    for i in range(spelling.shape[1]):
        letter = spelling[:, i]
        options = np.full((_MOST + 1, batch, width + 1), IMPOSSIBLE * 100)
        options[0] = score + none[letter][:, None]
        options[1, :, 1:] = score[:, :-1] + one[letter[:, None], sound]
        options[2, :, 2:] = score[:, :-2] + two[letter[:, None], pair]
        if diagonal:
            expected = (i + 1) * counts / np.maximum(lengths, 1)
            options -= diagonal * np.abs(position - expected[:, None])
        choice = options.argmax(axis=0)
        best = options.max(axis=0)
        # Beyond a word's last letter nothing moves.
        over = (i >= lengths)[:, None]
        choices[i] = np.where(over, 0, choice)
        score = np.where(over, score, best)
    taken = np.zeros_like(spelling)
    at = counts.copy()
    for i in range(spelling.shape[1] - 1, -1, -1):
        taken[:, i] = choices[i][np.arange(batch), np.maximum(at, 0)]
        at = at - taken[:, i]
    return taken


def units_of(pairs: Sequence[tuple[str, tuple[str, ...]]]) -> list[str]:
    """Joint units of an aligned word, as `GraphemeToPhoneme` reads them."""
    return [_SEPARATOR.join((letter, *phones)) for letter, phones in pairs]


def is_word(text: str) -> bool:
    """Whether a text is one word of the letters that can be pronounced."""
    return re.fullmatch(r"[a-z']*[a-z][a-z']*", text) is not None
