"""A bias on a prefix tree: phrases get their weight token by token, and what breaks off gives it back."""

from __future__ import annotations

import numpy as np
import pytest

from transducer.search.full_context.hotwords import HotwordScorer

SCORER = HotwordScorer([((1, 2, 3), 6.0), ((1, 4), 5.0), ((7,), -2.0)], 9)


def total(tokens: tuple[int, ...], scorer: HotwordScorer = SCORER) -> float:
    return float(sum(scorer.log_probs([tokens[:end]])[0, token] for end, token in enumerate(tokens)))


@pytest.mark.parametrize(
    ("tokens", "score"),
    [
        ((5, 6), 0.0),
        ((1, 2, 3), 6.5),  # of those that begin with 1, the larger share counts
        ((5, 1, 2, 3, 8), 6.5),
        ((1, 4, 8), 5.0),
        ((1, 2, 8), 0.0),  # it has broken off
        ((1, 2, 1, 4, 0), 5.0),
        ((1, 2, 3, 1, 2, 3, 0), 13.0),
        ((7, 7), -4.0),
    ],
)
def test_a_text_gets_what_its_phrases_weigh(tokens: tuple[int, ...], score: float) -> None:
    assert total(tokens) == pytest.approx(score)


def test_texts_are_scored_one_by_one() -> None:
    texts = [(), (1,), (1, 2), (5,)]
    together = SCORER.log_probs(texts)
    assert together.shape == (4, 9)
    assert together.dtype == np.float32
    assert np.array_equal(together, np.concatenate([SCORER.log_probs([text]) for text in texts]))
