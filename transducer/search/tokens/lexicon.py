"""Search over the frames of a CTC model for words of a lexicon, guided by a word language model.

Token passing over a prefix tree of the lexicon. A hypothesis is a place in the tree, a context of the language
model and the token of the last frame; hypotheses that agree in these three have the same future and become
one. The language model is applied where words end; within a word, the best unigram score of all words that
can still be reached stands in for it (look-ahead). Each frame is a fixed number of numpy calls over all
hypotheses at once.

Sources:
    H. Ney, S. Ortmanns, "Progress in dynamic programming search for LVCSR", 2000 (tree lexicon, word-conditioned
        search, language-model look-ahead)
    A. Graves, "Supervised Sequence Labelling with Recurrent Neural Networks", 2012 (section 7.5.3: CTC token passing)

Legend: T frames, V tokens with the blank at 0, H hypotheses, N nodes of the tree.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from transducer.errors import UsageError
from transducer.search.tokens.hypothesis import Hypothesis, Search, Token
from transducer.search.tokens.prefix_tree import ROOT, PrefixTree
from transducer.search.tokens.word_beam import CONTEXT, LAST, NODE, Beam, concatenate
from transducer.search.tokens.word_scorer import WordScorer
from transducer.search.tokens.word_trace import WORD, Trace
from transducer.text.tokenizers.tokenizer import BLANK

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_IMPOSSIBLE = -1e4  # in place of minus infinity, of which differences are not numbers
_MOST_PATHS = 50  # of the lattice, looked at for each of an n-best list
TRIM_EVERY = 8  # frames; decided by the frame's number, so that results don't depend on how frames come


@dataclass(frozen=True)
class LexiconSearchConfig:
    """How wide the search looks. Infinite widths and size and a `blank_skip` of 1 make it exact.

    Attributes:
        width: hypotheses whose score is further than this below the best are dropped; natural logarithm.
        size: hypotheses kept after each frame.
        token_width: tokens that are further than this below a frame's most probable one are not tried.
        blank_skip: on a frame whose blank has at least this probability, all hypotheses take the blank.
        prior_weight: factor of the tokens' log prior probabilities, which are taken off the model's log-probabilities.
        sum_alignments: add up the probabilities of hypotheses that become one, which are alignments of the same
            words (and words that the language model doesn't tell apart); else keep the best (Viterbi).
        alternatives: what loses against another hypothesis with the same future is remembered for n-best lists and
            confidences where its score is at most this much lower.
        temperature: scores are divided by this for confidences, because frames are not independent.
    """

    width: float = 16.0
    size: int = 200
    token_width: float = 9.0
    blank_skip: float = 0.98
    prior_weight: float = 0.3
    sum_alignments: bool = True
    alternatives: float = 8.0
    temperature: float = 1.3

    def __post_init__(self) -> None:
        if self.size < 1 or not self.width > 0 or not self.token_width > 0 or not self.temperature > 0:
            raise UsageError("a lexicon search needs a size of at least 1, and widths and a temperature above 0")


class LexiconState(NamedTuple):
    """State of a search.

    Attributes:
        frame: frames searched.
        committed: the words that all hypotheses begin with.
        trace: the words after them.
        beam: the hypotheses.
    """

    frame: int
    committed: tuple[Token, ...]
    trace: Trace
    beam: Beam


class LexiconSearch(Search[LexiconState]):
    """The search; what it finds are word ids.

    Args:
        tree: of the lexicon; its words are the ids that `scorer` takes.
        scorer: language model and phrase weights.
        silence: tokens that may stand between words and belong to none. Where entries of the lexicon end in one
            (the space after a spelled word), a segment may end before it.
        log_prior: (V,) log prior probabilities of the tokens, such as their mean over the training data.
    """

    def __init__(
        self,
        tree: PrefixTree,
        scorer: WordScorer,
        silence: Iterable[int] = (),
        config: LexiconSearchConfig | None = None,
        log_prior: NDArray[np.floating] | None = None,
    ):
        self.tree, self.scorer = tree, scorer
        self.config = config or LexiconSearchConfig()
        self.silence = frozenset(silence)
        tokens = int(tree.token.max(initial=0)) + 1
        self._tokens = max([tokens, *(token + 1 for token in self.silence)])
        self._streams = np.iinfo(np.int64).max // (len(tree.token) * self._tokens * scorer.contexts)  # in one key
        if not self._streams:
            raise UsageError("the lexicon and the language model are too large for one search")
        self._is_silence = np.zeros(self._tokens, dtype=bool)
        self._is_silence[list(self.silence)] = True
        self._lookahead = tree.best_below(scorer.estimate())
        self._lookahead[ROOT] = 0.0
        self._skip = math.log(self.config.blank_skip) if self.config.blank_skip < 1 else math.inf
        self._offset = 0.0 if log_prior is None else self.config.prior_weight * np.asarray(log_prior, dtype=np.float64)

    def init(self) -> LexiconState:
        places = np.zeros((6, 1), dtype=np.int64)
        places[CONTEXT] = self.scorer.start
        return LexiconState(0, (), Trace.empty(), Beam(places, np.zeros(1)))

    def step(self, state: LexiconState, frames: NDArray[np.float32]) -> LexiconState:
        return self.step_many([state], [frames])[0][0]

    def step_many(
        self, states: Sequence[LexiconState], frames: Sequence[NDArray[np.float32]]
    ) -> list[tuple[LexiconState, list[int | None]]]:
        rows = [np.maximum(np.asarray(part, dtype=np.float64), _IMPOSSIBLE) for part in frames]
        skipped = [(part[:, BLANK] >= self._skip).tolist() for part in rows]
        rows = [part - self._offset for part in rows]
        states = list(states)
        ends: list[list[int | None]] = [[] for _ in states]
        for step in range(max(map(len, rows), default=0)):
            going = [number for number, part in enumerate(rows) if step < len(part)]
            heard = [number for number in going if not skipped[number][step]]
            log_probs = np.stack([rows[number][step] for number in heard]) if heard else np.zeros((0, self._tokens))
            found = dict(zip(heard, self._advance_all([states[n] for n in heard], log_probs), strict=True))
            for number in going:
                state = states[number]
                beam, trace = found.get(number) or self._take_blank(state, float(rows[number][step, BLANK]))
                states[number] = self._tidy(LexiconState(state.frame + 1, state.committed, trace, beam))
                ends[number].append(self.speech_end(states[number]))
        return list(zip(states, ends, strict=True))

    def _tidy(self, state: LexiconState) -> LexiconState:
        """Now and then, commit the words that are certain, and forget those that nothing comes of."""
        frame, committed, trace, beam = state
        if frame % TRIM_EVERY:
            return state
        certain = trace.common(beam.trace)
        committed += tuple(self._tokens_of(trace, beam, certain).values())
        trace, live = trace.trim(beam.trace, certain[-1] if certain else 0)
        return LexiconState(frame, committed, trace, beam.at(trace=live))

    def finish(self, state: LexiconState) -> LexiconState:
        """The state at the end of a segment: only whole words, and what the scorer says to ending after them.

        Where no hypothesis is between words, the word in progress is dropped. There is nothing to step from here.
        """
        beam = state.beam
        between = beam.take(np.flatnonzero(beam.node == ROOT))
        spelled, word, _ = self._spelled_out(beam)
        ends = concatenate([between, spelled])
        words = np.concatenate([np.zeros(len(between.node), dtype=np.int64), word])
        if not len(words):
            ends = beam.at(node=ROOT)._replace(score=beam.score - self._lookahead[beam.node])
            words = np.zeros_like(beam.node)
        ends = ends.at(last=BLANK)._replace(score=ends.score + self.scorer.end(ends.context))
        ((beam, trace),) = self._settle(ends, words, np.zeros_like(words), [state.trace])
        return state._replace(trace=trace, beam=beam)

    def best(self, state: LexiconState) -> Hypothesis:
        return self.nbest(state, 1)[0]

    def nbest(self, state: LexiconState, n: int) -> list[Hypothesis]:
        """At most n hypotheses with different words, best first; a word in progress is left out."""
        beam, trace = state.beam, state.trace
        spelled, word, source = self._spelled_out(beam)
        if len(word):
            # Shown as if it were over; what comes next will tell.
            rest = beam.take(np.setdiff1d(np.arange(len(beam.node)), source))
            shown = concatenate([rest, spelled._replace(score=beam.score[source])])
            beam, trace = self._write(shown, np.append(np.zeros_like(rest.node), word), trace)
        words = trace.links[:, WORD].tolist()
        found: dict[tuple[int, ...], tuple[float, tuple[int, ...]]] = {}
        for score, rows in islice(trace.paths(beam.trace, beam.score), _MOST_PATHS * n):
            found.setdefault(tuple(words[row] for row in rows), (score, rows))
            if len(found) >= n:
                break
        tokens = self._tokens_of(trace, beam, sorted({row for _, rows in found.values() for row in rows}))
        return [
            Hypothesis.of(_in_order(state.committed + tuple(tokens[row] for row in rows)), score)
            for score, rows in found.values()
        ]

    def stable(self, state: LexiconState) -> int:
        return len(state.committed)

    def speech_end(self, state: LexiconState) -> int | None:
        """As in `Search`; a word in progress counts, though `best` doesn't show it yet."""
        return int(state.beam.end[state.beam.score.argmax()]) or None

    def _tokens_of(self, trace: Trace, beam: Beam, rows: Sequence[int]) -> dict[int, Token]:
        """Row of a word -> the word, with the log of its share among all hypotheses."""
        if not rows:
            return {}
        weights = np.exp((beam.score - beam.score.max()) / self.config.temperature)
        masses = trace.masses(beam.trace, weights / weights.sum(), self.config.temperature)
        return {
            row: Token(word, start, end, math.log(max(trace.posterior(row, masses), 1e-9)))
            for row in rows
            for word, start, end in [trace.links[row, WORD:].tolist()]
        }

    def _spelled_out(self, beam: Beam) -> tuple[Beam, Ints, Ints]:
        """Hypotheses for which only the silence at the end of a word is missing: with it, the word, and their rows."""
        tree = self.tree
        source, child = tree.below(beam.node)
        here = self._is_silence[tree.token[child]] & (tree.words[child] > 0)
        source, child = source[here], child[here]
        entry, word = tree.ending(child)
        source = source[entry]
        return self._end_words(beam.take(source), word), word, source

    def _end_words(self, beam: Beam, word: Ints) -> Beam:
        """Hypotheses at nodes where words end, as hypotheses after these words."""
        gain, context = self.scorer.score(beam.context, word)
        score = beam.score - self._lookahead[beam.node] + gain
        return beam.at(node=ROOT, context=context)._replace(score=score)

    def _take_blank(self, state: LexiconState, log_prob: float) -> tuple[Beam, Trace]:
        beam = state.beam._replace(score=state.beam.score + log_prob)
        if not beam.last.any():
            return beam, state.trace
        return self._settle(beam.at(last=BLANK), np.zeros_like(beam.node), np.zeros_like(beam.node), [state.trace])[0]

    def _advance_all(self, states: list[LexiconState], log_probs: Floats) -> list[tuple[Beam, Trace]]:
        """`_advance` of as many streams at a time as the keys have room for."""
        found = []
        for first in range(0, len(states), self._streams):
            some = slice(first, first + self._streams)
            found += self._advance(states[some], log_probs[some])
        return found

    def _advance(self, states: list[LexiconState], log_probs: Floats) -> list[tuple[Beam, Trace]]:
        """One frame of S streams, (S, V), of which no number depends on another stream."""
        tree, beam = self.tree, concatenate([state.beam for state in states])
        node, last = beam.node, beam.last
        sizes = np.array([len(state.beam.score) for state in states])
        stream = np.arange(len(states)).repeat(sizes)
        frame = np.array([state.frame for state in states])
        heard, tokens = log_probs.ravel(), log_probs.shape[1]
        row = stream * tokens  # where a stream's log-probabilities begin
        # The same place: a blank, or more of the last token.
        stay = beam.at(last=BLANK)._replace(score=beam.score + heard[row])
        again = last.nonzero()[0]
        repeat = beam.take(again)
        self._hear(repeat, repeat.last, frame[stream[again]])
        repeat = repeat._replace(score=repeat.score + heard[row[again] + repeat.last])
        # One token further; the last token again is a new one only after a blank.
        source, child = tree.below(node)
        token = tree.token[child]
        likely = (log_probs > log_probs.max(axis=1, keepdims=True) - self.config.token_width).ravel()
        tried = (likely[row[source] + token] & (token != last[source])).nonzero()[0]
        source, child, token = source[tried], child[tried], token[tried]
        score = (beam.score - self._lookahead[node])[source] + heard[row[source] + token] + self._lookahead[child]
        best = np.maximum.reduceat(stay.score, sizes.cumsum() - sizes)
        np.maximum.at(best, stream[source], score)
        near = (score >= (best - self.config.width)[stream[source]]).nonzero()[0]
        source, child, token = source[near], child[near], token[near]
        moved, owner = Beam(beam.places.take(source, axis=1), score[near]), stream[source]
        outset = (moved.node == ROOT).nonzero()[0]
        moved.start[outset] = frame[owner[outset]]
        moved.places[NODE], moved.places[LAST] = child, token
        self._hear(moved, token, frame[owner])
        inner = tree.children[child].nonzero()[0]
        entry, word = tree.ending(child)
        parts, owners = [stay, repeat, moved.take(inner)], [stream, stream[again], owner[inner]]
        for silence in self.silence:
            between = ((node == ROOT) & (last != silence)).nonzero()[0]
            part = beam.take(between).at(last=silence)
            parts.append(part._replace(score=part.score + heard[row[between] + silence]))
            owners.append(stream[between])
        before = np.zeros(sum(map(len, owners)), dtype=np.int64)
        parts.append(self._end_words(moved.take(entry), word))
        owners.append(owner[entry])
        traces = [state.trace for state in states]
        return self._settle(concatenate(parts), np.append(before, word), np.concatenate(owners), traces)

    def _hear(self, beam: Beam, tokens: Ints, frame: Ints) -> None:
        """Note in a beam's places that tokens were on a frame."""
        loud = (~self._is_silence[tokens]).nonzero()[0]
        beam.end[loud] = frame[loud] + 1

    def _settle(self, beam: Beam, words: Ints, stream: Ints, traces: Sequence[Trace]) -> list[tuple[Beam, Trace]]:
        """Merge hypotheses with the same future, keep the best, and write down their words (0 for none).

        Args:
            beam: hypotheses of all streams.
            words: (H,) that end in them.
            stream: (H,) whose they are.
            traces: of the streams, each of which has a hypothesis.
        """
        config = self.config
        best = np.full(len(traces), -math.inf)
        np.maximum.at(best, stream, beam.score)
        rows = (beam.score >= (best - config.width)[stream]).nonzero()[0]
        beam, words, stream = beam.take(rows), words[rows], stream[rows]
        context = stream * self.scorer.contexts + beam.context
        key = (context * len(self.tree.token) + beam.node) * self._tokens + beam.last
        order = np.lexsort((-beam.score, key))
        key, score = key[order], beam.score[order]
        leads = np.empty(len(key), dtype=bool)
        leads[0] = True
        np.not_equal(key[1:], key[:-1], out=leads[1:])
        first = leads.nonzero()[0]
        group = leads.cumsum() - 1
        total = score[first]
        odds = score - total[group]
        if config.sum_alignments:
            total = total + np.log(np.add.reduceat(np.exp(odds), first))
        # What lost with other words than its winner's is an alternative.
        losers = (~leads & (odds >= -config.alternatives)).nonzero()[0]
        winners = order[first]
        bounds = np.searchsorted(stream[winners], np.arange(len(traces) + 1))
        if (np.diff(bounds) > config.size).any():
            kept = np.concatenate([self._highest(total, *ends) for ends in itertools.pairwise(bounds.tolist())])
            place = np.full(len(first), -1)
            place[kept] = np.arange(len(kept))
            group = place[group]
            losers = losers[group[losers] >= 0]
            winners, total = winners[kept], total[kept]
            bounds = np.searchsorted(stream[winners], np.arange(len(traces) + 1))
        lost = np.searchsorted(stream[order[losers]], np.arange(len(traces) + 1)).tolist()
        results = []
        for number, (trace, (begin, end)) in enumerate(zip(traces, itertools.pairwise(bounds.tolist()), strict=True)):
            some = losers[lost[number] : lost[number + 1]]
            rows = winners[begin:end]
            if some.size:
                mine, theirs = order[some], winners[group[some]]
                row = beam.trace
                other = trace.histories(row[mine], words[mine]) != trace.histories(row[theirs], words[theirs])
                some, rows = some[other], np.concatenate([rows, mine[other]])
            chosen, trace = self._write(beam.take(rows), words[rows], trace)
            if some.size:
                joined, owner = np.unique(group[some] - begin, return_inverse=True)
                trace, joins = trace.join(chosen.trace[joined], owner, chosen.trace[end - begin :], odds[some])
                chosen.trace[joined] = joins
            # A copy, because a view would keep the losers alive.
            results.append((Beam(chosen.places[:, : end - begin].copy(), total[begin:end].copy()), trace))
        return results

    def _highest(self, score: Floats, begin: int, end: int) -> Ints:
        """Of the scores from `begin` to `end`, the rows of the highest ones."""
        if end - begin <= self.config.size:
            return np.arange(begin, end)
        return begin + np.sort(np.argpartition(-score[begin:end], self.config.size)[: self.config.size])

    def _write(self, beam: Beam, word: Ints, trace: Trace) -> tuple[Beam, Trace]:
        """Write down the words that end in these hypotheses; 0 stands for none."""
        rows = word.nonzero()[0]
        if not rows.size:
            return beam, trace
        ended = beam.take(rows)
        trace, new = trace.append(ended.trace, word[rows], ended.start, ended.end)
        beam = beam.at()
        beam.trace[rows] = new
        return beam, trace


def _in_order(tokens: Iterable[Token]) -> Iterator[Token]:
    """Where ways join, what follows has the times of the best one: behind another, it may seem to begin too early."""
    frame = 0
    for token in tokens:
        frame = max(frame, token.frame)
        yield token._replace(frame=frame, end=max(token.end, frame + 1))
