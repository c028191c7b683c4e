"""Best paths of CTC against all paths that there are, and against greedy search."""

from __future__ import annotations

from itertools import groupby, product

import numpy as np
import pytest

from transducer.search.tokens.ctc import CTCGreedySearch
from transducer.search.tokens.ctc_paths import aligned, best_path, viterbi

STEPS, TOKENS = 6, 3
PATHS = np.array(list(product(range(TOKENS), repeat=STEPS)))


def random_log_probs(seed: int, steps: int = STEPS) -> np.ndarray:
    logits = 2 * np.random.default_rng(seed).normal(size=(steps, TOKENS))
    return (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32)


def said(path: np.ndarray) -> tuple[int, ...]:
    return tuple(int(token) for token, _ in groupby(path) if token)


@pytest.mark.parametrize("seed", range(5))
def test_the_best_path_that_begins_with_a_text_is_the_best_of_all_such(seed):
    log_probs = random_log_probs(seed)
    scores = log_probs[np.arange(STEPS), PATHS].sum(axis=1)
    for prefix in ((), (1,), (2, 2), (1, 2, 1), (2, 1, 1)):
        best = max(
            (score, said(path))
            for score, path in zip(scores, PATHS, strict=True)
            if said(path)[: len(prefix)] == prefix
        )
        found = best_path(log_probs, prefix)
        assert tuple(token for token, _ in found) == best[1]
        if prefix:
            alone = max((score, tuple(path)) for score, path in zip(scores, PATHS, strict=True) if said(path) == prefix)
            assert viterbi(log_probs, prefix)[0][-1, -2:].max() == pytest.approx(alone[0], abs=1e-5)
            path = np.array(alone[1])
            runs = [step for step in range(STEPS) if path[step] and (not step or path[step] != path[step - 1])]
            assert aligned(log_probs, prefix) == [*runs, int(np.flatnonzero(path)[-1]) + 1]
    assert aligned(log_probs, ()) == [0]


def test_without_anything_settled_it_is_greedy_search():
    log_probs = random_log_probs(9, 200)
    search = CTCGreedySearch()
    hypothesis = search.best(search.step(search.init(), log_probs))
    assert tuple(token for token, _ in best_path(log_probs)) == hypothesis.tokens
    assert aligned(log_probs, hypothesis.tokens)[:-1] == list(hypothesis.frames)
