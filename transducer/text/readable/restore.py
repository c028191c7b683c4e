"""Segments of bare words -> the same segments with capitals and punctuation, while they come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any, Protocol

import numpy as np

from transducer.results import Segment, Word
from transducer.text.readable.labels import CAPITALISED, MARKS, SENTENCE_ENDS, best_marks, with_case
from transducer.text.readable.pauses import Pauses

Scores = tuple[np.ndarray, np.ndarray]  # log-probabilities of the marks after a word, and of its case

# A segment nearly as long as they get (see `EndpointRules.max_length`) may have been cut while someone spoke.
CUT = 18.0  # seconds


_SENTENCE_MARKS = {MARKS[mark] for mark in SENTENCE_ENDS}


def is_readable(text: str) -> bool:
    """Whether a word has been written with a capital or a mark."""
    return any(character.isupper() for character in text) or text.endswith(MARKS[1:])


class ReadableModel(Protocol):
    """Words -> log-probabilities of marks and cases, one word at a time: see `transducer.engine.readable`.

    Attributes:
        look_ahead: how many words have to follow before a word's scores come out.
        pauses: what pauses say.
    """

    look_ahead: int
    pauses: Pauses

    def init_state(self) -> Any: ...

    def step(self, words: Sequence[str], state: Any, flush: bool = False) -> tuple[list[Scores], Any]:
        """Take more words: the scores of those whose look-ahead is complete, or of all with `flush`; and the state.

        Pure: a flushed state is of no further use, and the one before it still is.
        """
        ...


class Readable:
    """Call it with each segment of one stream, in order, partial and final:

        for segment in map(Readable(), model.stream("talk.mp3")):
            print(segment.text)

    Words never change except for their case, and for the mark written at their end; times and confidences stay. A
    word is decided `look_ahead` words later, so that a partial segment has that many fewer `stable` words. All words
    of a final segment are decided; the sentence may go on in the next one. Segments do not depend on which partials
    came before them. A final segment that has capitals or marks already, such as a second pass writes, stays as it is.

    Args:
        model: shared by any number of streams; the bundled one by default.
    """

    def __init__(self, model: ReadableModel | None = None):
        # The default is of a higher layer, which this one must not depend on.
        self.model: ReadableModel = model or import_module("transducer.engine.readable").load_readable()
        self._begins = True  # whether the segment begins a sentence
        self._before = self.model.init_state()  # of the network before the segment
        self._start()

    def __call__(self, segment: Segment) -> Segment:
        """The readable segment."""
        words = segment.words
        if segment.final and any(is_readable(word.text) for word in words):
            self._begins = words[-1].text[-1:] in _SENTENCE_MARKS
            self._before = self.model.init_state()
            self._start()
            return segment
        certain = len(words) if segment.final else min(segment.stable, len(words))
        texts = [word.text for word in words]
        if self._taken != texts[: len(self._taken)]:
            self._start()  # a stream that takes back what was stable: begin the segment anew
        for text in texts[len(self._taken) : certain]:
            self._take(text)
        waiting = texts[len(self._taken) :]
        rest, _ = self.model.step(waiting, self._state, flush=True)
        # Those of the segment before, whose last words have been decided without this one, come out first.
        scores = self._scores + rest[len(rest) - len(words) + len(self._scores) :]
        marks = self._decide(words, scores, segment.final)
        readable = tuple(
            replace(word, text=with_case(word.text, case) + MARKS[mark])
            for word, (mark, case) in zip(words, marks, strict=True)
        )
        if segment.final and words:
            self._begins = marks[-1][0] in SENTENCE_ENDS
            self._before = self._state
            self._start()
        stable = len(words) if segment.final else max(0, certain - max(1, self.model.look_ahead))
        return replace(segment, words=readable, stable=stable)

    def _start(self) -> None:
        """Begin a segment."""
        self._state: Any = self._before
        self._taken: list[str] = []  # words of the segment that the state has seen
        self._scores: list[Scores] = []  # of the first of them

    def _take(self, text: str) -> None:
        # One by one, so that not even rounding depends on how the words came.
        scores, self._state = self.model.step([text], self._state)
        self._taken.append(text)
        if len(self._taken) > self.model.look_ahead:
            self._scores += scores

    def _decide(self, words: Sequence[Word], scores: Sequence[Scores], final: bool) -> list[tuple[int, int]]:
        """Mark and case of every word."""
        decided: list[tuple[int, int]] = []
        begins = self._begins
        for index, (marks, cases) in enumerate(scores):
            evidence = self._pause(words, index, final)
            if evidence is not None:
                marks = marks + np.array(evidence, np.float32)
            mark, case = int(best_marks(marks)), int(cases.argmax())
            decided.append((mark, max(case, CAPITALISED) if begins else case))
            begins = mark in SENTENCE_ENDS
        return decided

    def _pause(self, words: Sequence[Word], index: int, final: bool) -> Sequence[float] | None:
        """What the pause after a word adds to the scores of marks; None where there is nothing to go by yet."""
        if index + 1 < len(words):
            return self.model.pauses.of(words[index + 1].start - words[index].end)
        return self.model.pauses.of_end if final and words[-1].end - words[0].start < CUT else None
