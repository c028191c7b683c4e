"""Alignment of a text that is given: when each of its words is said, found while the recording is heard.

Viterbi search over the CTC graph of the text (Rabiner 1989; Graves et al. 2006), over the states whose score is near
the best one's. What all of them agree on is settled and forgotten, so that memory does not grow with the recording.
Places between words also take what is not in the text, at a price.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from transducer.results import Segment, Word
from transducer.search.builder import Source
from transducer.search.result_search import Clock
from transducer.search.segments import timed_segment
from transducer.search.tokens.given_text import TextGraph
from transducer.search.tokens.hypothesis import Hypothesis
from transducer.search.tokens.words import WordTimer
from transducer.search.transcript import TranscriptBuilder

OTHER = 2.0  # natural logarithm by which what is not in the text costs more than the likeliest token
WIDTH = 400.0  # of the log-scores of the paths that are kept
SETTLE = 250  # output steps after which it is looked at what is settled
DOUBTFUL = 0.2  # median confidence of words, below which a text does not match


class Column(NamedTuple):
    """One output step: the moves into the states from `low` on, and log-probabilities of the tokens, (V,)."""

    low: int
    moves: NDArray[np.uint8]
    log_probs: NDArray[np.float32]


class Said(NamedTuple):
    """A token at an output step: its state, and its log-probability."""

    step: int
    place: int
    log_prob: float


class AlignmentState(NamedTuple):
    """State of one client.

    Attributes:
        step: output steps so far.
        low, scores: of the states from `low` on.
        open: the output steps whose states are not settled.
        path: settled states since the last whole line, and the log-probability of each one's token.
        words: how many have been given out.
    """

    step: int
    low: int
    scores: NDArray[np.float64]
    open: tuple[Column, ...]
    path: tuple[tuple[int, float], ...]
    words: int


class AlignmentSearch:
    """A `ResultSearch` whose segments are the lines of a text.

    Args:
        graph: of the text.
        timer: of words.
        silence: tokens beside the blank that may stand between words.
    """

    kind = "words"

    def __init__(self, graph: TextGraph, timer: WordTimer, silence: Sequence[int] = ()):
        self.graph, self.timer, self._quiet = graph, timer, [0, *silence]
        self._count = len(graph.token)

    def init(self) -> AlignmentState:
        return AlignmentState(0, 0, np.zeros(0), (), (), 0)

    def step(
        self, states: Sequence[AlignmentState], outputs: Sequence[Any]
    ) -> list[tuple[AlignmentState, list[Segment]]]:
        """See `ResultSearch`; the lines that are settled."""
        return [self._step(state, rows) for state, rows in zip(states, outputs, strict=True)]

    def flush(self, state: AlignmentState) -> tuple[AlignmentState, list[Segment]]:
        """The lines that are left; of a text that is longer than the recording, as far as it goes."""
        if not len(state.scores):
            return state, []
        ends = self.graph.last[(self.graph.last >= state.low) & (self.graph.last < state.low + len(state.scores))]
        places = ends - state.low if len(ends) else np.arange(len(state.scores))
        best = int(places[np.argmax(state.scores[places])]) + state.low
        state = self._settle(state, len(state.open), best)
        words = self.graph.words
        return self._lines(state, len(words) if best in self.graph.last else int(self.graph.word[best]), True)

    def idle(self, state: AlignmentState) -> int:
        """See `ResultSearch`."""
        return 0

    def needed(self, state: AlignmentState) -> range:
        """See `ResultSearch`."""
        return range(state.step - len(state.open) - len(state.path), state.step + 1)

    def times_of(self, segment: Segment) -> range:
        """See `ResultSearch`."""
        at = self.timer.frame_at
        return range(int(at(segment.start)), int(at(segment.end)) + 2)

    def result(self, segment: Segment, clock: Clock) -> Segment | None:
        """See `ResultSearch`."""
        return timed_segment(segment, clock, self.timer)

    def builder(self, keep: bool, scores: bool) -> AlignmentBuilder:
        """See `ResultSearch`."""
        return AlignmentBuilder(keep, len(self.graph.words))

    def facts(self) -> dict[str, Any]:
        """See `ResultSearch`."""
        return {}

    def _step(self, state: AlignmentState, rows: Any) -> tuple[AlignmentState, list[Segment]]:
        step, low, scores, opened = state.step, state.low, state.scores, list(state.open)
        lines: list[Segment] = []
        for row in np.asarray(rows):
            low, scores, column = self._advance(low, scores, row, step)
            opened.append(column)
            step += 1
            if step % SETTLE == 0:
                state = state._replace(step=step, low=low, scores=scores, open=tuple(opened))
                agreed, place = self._agreed(state)
                if agreed:
                    state = self._settle(state, agreed, place)
                    state, found = self._lines(state, int(self.graph.word[place]), False)
                    lines += found
                    opened = list(state.open)
        return state._replace(step=step, low=low, scores=scores, open=tuple(opened)), lines

    def _advance(
        self, low: int, scores: NDArray[np.float64], row: NDArray[np.float32], step: int
    ) -> tuple[int, NDArray[np.float64], Column]:
        graph = self.graph
        if not step:
            high, moves = int(graph.first[-1]) + 1, np.zeros(int(graph.first[-1]) + 1, np.uint8)
            best = np.full(high, -np.inf)
            best[graph.first] = 0.0
        else:
            high = min(self._count, low + len(scores) + graph.reach)
            before = graph.before[low:high] - low
            padded = np.append(scores, np.full(high - low - len(scores) + 1, -np.inf))
            come = padded[np.where(before < 0, len(padded) - 1, before)]
            moves = come.argmax(axis=1).astype(np.uint8)
            best = np.take_along_axis(come, moves[:, None].astype(np.intp), axis=1)[:, 0]
        other = max(row[self._quiet].max(), row.max() - OTHER)
        best = best + np.where(graph.between[low:high], other, row[graph.token[low:high]])
        near = np.flatnonzero(best >= best.max() - WIDTH)
        first, last = int(near[0]), int(near[-1]) + 1
        return low + first, best[first:last], Column(low + first, moves[first:last], np.array(row, np.float32))

    def _agreed(self, state: AlignmentState) -> tuple[int, int]:
        """How many of the open steps all paths agree on, and the state on the last of them."""
        places = np.arange(state.low, state.low + len(state.scores))[np.isfinite(state.scores)]
        for number in range(len(state.open) - 1, 0, -1):
            column = state.open[number]
            places = np.unique(self.graph.before[places, column.moves[places - column.low]])
            if len(places) == 1:
                return number, int(places[0])
        return 0, 0

    def _settle(self, state: AlignmentState, count: int, place: int) -> AlignmentState:
        """The first `count` open steps are settled: the last of them is in the state `place`."""
        path = []
        for number in range(count - 1, -1, -1):
            column = state.open[number]
            path.append((place, float(column.log_probs[self.graph.token[place]])))
            place = int(self.graph.before[place, column.moves[place - column.low]])
        return state._replace(open=state.open[count:], path=state.path + tuple(reversed(path)))

    def _lines(self, state: AlignmentState, until: int, over: bool) -> tuple[AlignmentState, list[Segment]]:
        """The whole lines among the settled words before number `until`; all words where the recording is `over`."""
        words, token, word = self.graph.words, self.graph.token, self.graph.word
        if until < len(words):
            line = words[until].line
            while until > state.words and words[until - 1].line == line and not over:
                until -= 1
        if until <= state.words:
            return state, []
        begin = state.step - len(state.open) - len(state.path)
        found: dict[int, list[Said]] = {}
        rest = len(state.path)
        for number, (place, log_prob) in enumerate(state.path):
            if word[place] >= until and not (self.graph.between[place] and word[place] == until):
                rest = number
                break
            if token[place]:
                found.setdefault(int(word[place]), []).append(Said(begin + number, place, log_prob))
        segments: list[Segment] = []
        for first in range(state.words, until):
            if first > state.words and words[first].line == words[first - 1].line:
                continue
            numbers = [n for n in range(first, until) if words[n].line == words[first].line and n in found]
            if numbers:
                segments.append(self._segment(numbers, found))
        return state._replace(path=state.path[rest:], words=until), segments

    def _segment(self, numbers: list[int], found: dict[int, list[Said]]) -> Segment:
        hypothesis = Hypothesis(
            (1,) * len(numbers),
            tuple(found[number][0].step for number in numbers),
            tuple(found[number][-1].step + 1 for number in numbers),
            tuple(_confidence(found[number]) for number in numbers),
        )
        timed = self.timer.words(hypothesis)
        words = tuple(
            Word(self.graph.words[number].text, word.start, word.end, word.confidence)
            for number, word in zip(numbers, timed, strict=True)
        )
        return Segment(words, True, words[0].start, words[-1].end, len(words))


def _confidence(said: list[Said]) -> float:
    """Of a word: the mean, of logarithms, of each token's probability where it is highest."""
    highest: dict[int, float] = {}
    for _, place, log_prob in said:
        highest[place] = max(log_prob, highest.get(place, -np.inf))
    return min(1.0, float(np.exp(np.mean(list(highest.values())))))


class AlignmentBuilder(TranscriptBuilder):
    """Gathers the lines, and tells how well the text matches.

    Args:
        keep: see `TranscriptBuilder`.
        count: words of the text.

    Attributes:
        notes: what is not as it should be; known at the end.
    """

    def __init__(self, keep: bool, count: int):
        super().__init__(keep)
        self.notes: list[str] = []
        self._count = count
        self._confidences: list[float] = []

    def add(self, segment: Segment) -> bool:
        self._confidences += [word.confidence for word in segment.words]
        return super().add(segment)

    def close(self, source: Source) -> None:
        if left := self._count - len(self._confidences):
            self.notes.append(f"{source.name}: ends before the text: {left} of its {self._count} words have no place")
        if self._confidences and (middle := float(np.median(self._confidences))) < DOUBTFUL:
            self.notes.append(
                f"{source.name}: the text does not match what is said: half of its words have a confidence of "
                f"{middle:.2f} or less, and their times mean little"
            )
