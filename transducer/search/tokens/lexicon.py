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


class Beam(NamedTuple):
    """All hypotheses, (H,) each.

    Attributes:
        node: place in the tree; the root between words.
        context: of the word scorer, after the words so far.
        last: the token of the last frame, 0 for the blank.
        score: log-score, look-ahead included.
        trace: row of the last word, or of a join after it.
        start: first frame of the word in progress.
        end: one past the last frame that had a sound.
    """

    node: Ints
    context: Ints
    last: Ints
    score: Floats
    trace: Ints
    start: Ints
    end: Ints

    def take(self, rows: Ints) -> Beam:
        return Beam(*(field[rows] for field in self))


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
        if len(tree.token) * self._tokens * scorer.contexts >= np.iinfo(np.int64).max:
            raise UsageError("the lexicon and the language model are too large for one search")
        self._is_silence = np.zeros(self._tokens, dtype=bool)
        self._is_silence[list(self.silence)] = True
        self._lookahead = tree.best_below(scorer.estimate())
        self._lookahead[ROOT] = 0.0
        self._skip = math.log(self.config.blank_skip) if self.config.blank_skip < 1 else math.inf
        self._offset = 0.0 if log_prior is None else self.config.prior_weight * np.asarray(log_prior, dtype=np.float64)

    def init(self) -> LexiconState:
        zero = np.zeros(1, dtype=np.int64)
        start = np.array([self.scorer.start], dtype=np.int64)
        return LexiconState(0, (), Trace.empty(), Beam(zero, start, zero, np.zeros(1), zero, zero, zero))

    def step(self, state: LexiconState, frames: NDArray[np.float32]) -> LexiconState:
        frame, committed, trace, beam = state
        for log_probs in np.maximum(np.asarray(frames, dtype=np.float64), _IMPOSSIBLE):
            skip = log_probs[BLANK] >= self._skip
            log_probs = log_probs - self._offset
            if skip:
                beam, trace = self._take_blank(beam, trace, float(log_probs[BLANK]))
            else:
                beam, trace = self._advance(beam, trace, log_probs, frame)
            frame += 1
            if frame % TRIM_EVERY == 0:
                certain = trace.common(beam.trace)
                committed += tuple(self._tokens_of(trace, beam, certain).values())
                trace, rows = trace.trim(beam.trace, certain[-1] if certain else 0)
                beam = beam._replace(trace=rows)
        return LexiconState(frame, committed, trace, beam)

    def finish(self, state: LexiconState) -> LexiconState:
        """The state at the end of a segment: only whole words, and what the scorer says to ending after them.

        Where no hypothesis is between words, the word in progress is dropped. There is nothing to step from here.
        """
        beam = state.beam
        between = beam.take(np.flatnonzero(beam.node == ROOT))
        spelled, word, _ = self._spelled_out(beam)
        ends = _concatenate([between, spelled])
        words = np.concatenate([np.zeros(len(between.node), dtype=np.int64), word])
        if not len(words):
            ends = beam._replace(node=np.zeros_like(beam.node), score=beam.score - self._lookahead[beam.node])
            words = np.zeros_like(beam.node)
        ends = ends._replace(score=ends.score + self.scorer.end(ends.context), last=np.zeros_like(ends.last))
        beam, trace = self._settle(ends, words, state.trace)
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
            shown = _concatenate([rest, spelled._replace(score=beam.score[source])])
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
            row: Token(*trace.links[row, WORD:].tolist(), math.log(max(trace.posterior(row, masses), 1e-9)))
            for row in rows
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
        return beam._replace(node=np.zeros_like(word), context=context, score=score)

    def _take_blank(self, beam: Beam, trace: Trace, log_prob: float) -> tuple[Beam, Trace]:
        beam = beam._replace(score=beam.score + log_prob)
        if not beam.last.any():
            return beam, trace
        return self._settle(beam._replace(last=np.zeros_like(beam.last)), np.zeros_like(beam.node), trace)

    def _advance(self, beam: Beam, trace: Trace, log_probs: Floats, frame: int) -> tuple[Beam, Trace]:
        tree = self.tree
        least = log_probs.max() - self.config.token_width
        # The same place: a blank, or more of the last token.
        stay = beam._replace(last=np.zeros_like(beam.last), score=beam.score + log_probs[BLANK])
        repeat = beam.take(np.flatnonzero(beam.last))
        repeat = repeat._replace(
            score=repeat.score + log_probs[repeat.last],
            end=np.where(self._is_silence[repeat.last], repeat.end, frame + 1),
        )
        # One token further; the last token again is a new one only after a blank.
        source, child = tree.below(beam.node)
        token = tree.token[child]
        tried = np.flatnonzero((log_probs[token] > least) & (token != beam.last[source]))
        source, child, token = source[tried], child[tried], token[tried]
        score = (beam.score - self._lookahead[beam.node])[source] + log_probs[token] + self._lookahead[child]
        near = np.flatnonzero(score >= max(stay.score.max(), score.max(initial=-math.inf)) - self.config.width)
        source, child, token = source[near], child[near], token[near]
        moved = Beam(
            node=child,
            context=beam.context[source],
            last=token,
            score=score[near],
            trace=beam.trace[source],
            start=np.where(beam.node[source] == ROOT, frame, beam.start[source]),
            end=np.where(self._is_silence[token], beam.end[source], frame + 1),
        )
        inner = moved.take(np.flatnonzero(tree.children[child]))
        entry, word = tree.ending(child)
        ended = self._end_words(moved.take(entry), word)
        parts = [stay, repeat, inner]
        for silence in self.silence:
            between = beam.take(np.flatnonzero((beam.node == ROOT) & (beam.last != silence)))
            parts.append(
                between._replace(last=np.full(len(between.node), silence), score=between.score + log_probs[silence])
            )
        before = np.zeros(sum(len(part.node) for part in parts), dtype=np.int64)
        return self._settle(_concatenate([*parts, ended]), np.append(before, word), trace)

    def _settle(self, beam: Beam, words: Ints, trace: Trace) -> tuple[Beam, Trace]:
        """Merge hypotheses with the same future, keep the best, and write down their words (0 for none)."""
        config = self.config
        rows = np.flatnonzero(beam.score >= beam.score.max() - config.width)
        score = beam.score[rows]
        key = (beam.context[rows] * len(self.tree.token) + beam.node[rows]) * self._tokens + beam.last[rows]
        order = np.lexsort((-score, key))
        key, rows, score = key[order], rows[order], score[order]
        leads = np.concatenate([[True], key[1:] != key[:-1]])
        first = np.flatnonzero(leads)
        group = np.cumsum(leads) - 1
        odds = score - score[first][group]
        total = score[first]
        if config.sum_alignments:
            total = total + np.log(np.add.reduceat(np.exp(odds), first))
        # What lost with other words than its winner's is an alternative.
        losers = np.flatnonzero(~leads & (odds >= -config.alternatives))
        if losers.size:
            history = trace.histories(beam.trace[rows], words[rows])
            losers = losers[history[losers] != history[first][group[losers]]]
        kept = np.arange(len(first))
        if len(first) > config.size:
            kept = np.sort(np.argpartition(-total, config.size)[: config.size])
            place = np.full(len(first), -1)
            place[kept] = np.arange(len(kept))
            losers = losers[place[group[losers]] >= 0]
            group = place[group]
        winners = rows[first[kept]]
        chosen, trace = self._write(
            beam.take(np.append(winners, rows[losers])), words[np.append(winners, rows[losers])], trace
        )
        best = chosen.take(np.arange(len(winners)))._replace(score=total[kept])
        if losers.size:
            joined, owner = np.unique(group[losers], return_inverse=True)
            trace, joins = trace.join(best.trace[joined], owner, chosen.trace[len(winners) :], odds[losers])
            best.trace[joined] = joins
        return best, trace

    def _write(self, beam: Beam, word: Ints, trace: Trace) -> tuple[Beam, Trace]:
        """Write down the words that end in these hypotheses; 0 stands for none."""
        rows = np.flatnonzero(word)
        if not rows.size:
            return beam, trace
        ended = beam.take(rows)
        trace, new = trace.append(ended.trace, word[rows], ended.start, ended.end)
        after = beam.trace.copy()
        after[rows] = new
        return beam._replace(trace=after), trace


def _in_order(tokens: Iterable[Token]) -> Iterator[Token]:
    """Where ways join, what follows has the times of the best one: behind another, it may seem to begin too early."""
    frame = 0
    for token in tokens:
        frame = max(frame, token.frame)
        yield token._replace(frame=frame, end=max(token.end, frame + 1))


def _concatenate(parts: Sequence[Beam]) -> Beam:
    return Beam(*(np.concatenate(fields) for fields in zip(*parts, strict=True)))
