"""Many streams in one step: each gets what it gets alone, to the bit, whoever joins and leaves.

That holds for every search, and for `SegmentSearch` on top, where every stream has endpoints of its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from search_laws import random_log_probs

from transducer.heads.rnnt import LSTMPredictor, StatelessPredictor
from transducer.search.endpoint import EndpointRules
from transducer.search.segments import SegmentSearch
from transducer.search.tokens.beam import BeamConfig
from transducer.search.tokens.ctc import CTCBeamSearch, CTCGreedySearch
from transducer.search.tokens.hypothesis import Search
from transducer.search.tokens.lexicon import LexiconSearch, LexiconSearchConfig
from transducer.search.tokens.prefix_tree import PrefixTree
from transducer.search.tokens.rnnt import RNNTBeamSearch
from transducer.search.tokens.rnnt_greedy import RNNTGreedySearch
from transducer.search.tokens.word_scorer import LanguageModelScorer, PhraseBoost
from transducer.search.tokens.words import WordTimer
from transducer.text.lm import ngram_train
from transducer.text.lm.ngram import SPECIAL
from transducer.text.tokenizers.characters import Characters

TOKENS = 5  # blank, space, a, b, c
CHARACTERS = Characters("abc")
FRAME = 0.04


def rnnt(predictor: str, beam: bool, **options: Any) -> Search:
    """Of widths at which a matrix product rounds differently with another number of rows."""
    torch.manual_seed(0)
    module = LSTMPredictor(TOKENS, 48) if predictor == "lstm" else StatelessPredictor(TOKENS, 48)
    frames, out = torch.nn.Linear(TOKENS, 48), torch.nn.Linear(48, TOKENS)

    def joint(encoded: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor:
        return (4 * out(torch.tanh(frames(encoded) + outputs))).log_softmax(dim=-1)

    if beam:
        return RNNTBeamSearch(module, joint, 2, BeamConfig(3), silence=[1], **options)
    return RNNTGreedySearch(module, joint, 2, [1], **options)


def lexicon(boost: bool = False, **config: Any) -> Search:
    rng = np.random.default_rng(0)
    words = ("a", "b", "ab", "ca", "cab", "bc")
    vocabulary = (*SPECIAL, *words)
    corpus = [rng.integers(len(SPECIAL), len(vocabulary), 8).astype(np.int32) for _ in range(40)]
    tables = ngram_train.count([corpus], len(vocabulary), 3)
    lm = ngram_train.export(ngram_train.kneser_ney(tables, 0), vocabulary)
    spelled = [CHARACTERS.encode(word + " ") for word in words]
    padded = np.array([[*tokens, *[0] * (4 - len(tokens))] for tokens in spelled])
    scorer: Any = LanguageModelScorer(lm, np.array([0, *range(len(SPECIAL), len(vocabulary))]), 0.8)
    if boost:
        scorer = PhraseBoost(scorer, [([1, 2], 3.0), ([5], 2.0)])
    tree = PrefixTree.build(np.arange(1, len(words) + 1), padded)
    return LexiconSearch(tree, scorer, CHARACTERS.silence, LexiconSearchConfig(**config))


SEARCHES: dict[str, Callable[[], Search]] = {
    "ctc greedy": lambda: CTCGreedySearch([1]),
    "ctc beam": lambda: CTCBeamSearch(BeamConfig(3), silence=[1]),
    "rnnt greedy": lambda: rnnt("stateless", False),
    "rnnt greedy, lstm, window, context": lambda: rnnt("lstm", False, blank_window=2, context=6),
    "rnnt beam": lambda: rnnt("stateless", True),
    "rnnt beam, lstm": lambda: rnnt("lstm", True),
    "lexicon": lambda: lexicon(),
    "lexicon, narrow": lambda: lexicon(boost=True, size=3, width=6.0, blank_skip=0.6),
    "lexicon, best path": lambda: lexicon(sum_alignments=False, size=8),
}
BUILT: dict[str, Search] = {}


def built(name: str) -> Search:
    if name not in BUILT:
        BUILT[name] = SEARCHES[name]()
    return BUILT[name]


@st.composite
def rounds(draw: st.DrawFn) -> tuple[list[np.ndarray], list[dict[int, int]]]:
    """The frames of some streams, and for each round how many of them each takes that is there."""
    count = draw(st.integers(1, 5))
    sharpness = draw(st.sampled_from([0.5, 2.0, 6.0]))
    seed = draw(st.integers(0, 2**16))
    frames = [random_log_probs(seed + n, draw(st.integers(0, 20)), TOKENS, sharpness) for n in range(count)]
    some = st.dictionaries(st.integers(0, count - 1), st.integers(0, 9), max_size=count)
    return frames, draw(st.lists(some, max_size=8))


@pytest.mark.parametrize("name", SEARCHES)
@settings(max_examples=15, deadline=None)
@given(case=rounds())
def test_a_stream_gets_among_others_what_it_gets_alone(name, case):
    frames, plan = case
    search = built(name)
    together = [search.init() for _ in frames]
    alone, done = list(together), [0] * len(frames)
    for turn in plan:
        who = list(turn)
        parts = [frames[n][done[n] : done[n] + turn[n]] for n in who]
        before = [search.nbest(together[n], 3) for n in who]
        stepped = search.step_many([together[n] for n in who], parts)
        assert [search.nbest(together[n], 3) for n in who] == before, "a step changes no state"
        for n, part, (state, ends) in zip(who, parts, stepped, strict=True):
            expected = []
            for row in range(len(part)):
                alone[n] = search.step(alone[n], part[row : row + 1])
                expected.append(search.speech_end(alone[n]))
            assert ends == expected
            assert search.nbest(state, 3) == search.nbest(alone[n], 3)
            assert search.stable(state) == search.stable(alone[n])
            together[n] = state
            done[n] += len(part)


@pytest.mark.parametrize("name", SEARCHES)
@settings(max_examples=8, deadline=None)
@given(case=rounds(), limit=st.sampled_from([6, 13, 1000]))
def test_streams_have_endpoints_of_their_own(name, case, limit):
    frames, plan = case
    rules = EndpointRules(9 * FRAME, 3 * FRAME, limit * FRAME)
    inner = built(name)
    timer = WordTimer(CHARACTERS if "lexicon" not in name else Letters(), FRAME)
    search = SegmentSearch(inner, timer, rules, alternatives=2)
    states, results, done = [search.init() for _ in frames], [[] for _ in frames], [0] * len(frames)
    alone, expected = list(states), [[] for _ in frames]
    for turn in plan:
        who = list(turn)
        parts = [frames[n][done[n] : done[n] + turn[n]] for n in who]
        for n, part, (state, found) in zip(who, parts, search.step([states[n] for n in who], parts), strict=True):
            states[n], done[n] = state, done[n] + len(part)
            results[n] += found
            ((alone[n], found),) = search.step([alone[n]], [part])
            expected[n] += found
    for n, (state, other) in enumerate(zip(states, alone, strict=True)):
        assert results[n] + search.flush(state)[1] == expected[n] + search.flush(other)[1]
        finals = [segment for segment in results[n] if segment.final]
        for before, after in itertools.pairwise(finals):
            assert before.end <= after.start


class Letters(Characters):
    """Word ids of the lexicon as letters, each a word."""

    def __init__(self) -> None:
        super().__init__("uvwxyz")

    def word_spans(self, tokens: Any) -> list[tuple[int, int]]:
        return [(n, n + 1) for n in range(len(tokens))]


def test_a_row_has_the_same_bits_in_any_company():
    """What tiles are for: plain products of one and of many rows differ in their last bits."""
    search = built("rnnt greedy, lstm, window, context")
    rng = np.random.default_rng(1)
    frames = [rng.normal(size=(12, TOKENS)).astype(np.float32) for _ in range(9)]
    many = search.step_many([search.init()] * 9, frames)
    for part, (state, _) in zip(frames, many, strict=True):
        alone = search.step(search.init(), part)
        assert alone.score == state.score and torch.equal(alone.output, state.output)
        assert all(map(torch.equal, alone.predictor, state.predictor))
