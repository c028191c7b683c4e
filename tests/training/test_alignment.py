"""Forced alignment by a CTC head's log-probabilities."""

from __future__ import annotations

import torch

from transducer.training.alignment import best_path, runs_of


def test_an_alignment_goes_through_all_tokens_even_against_the_posteriors():
    log_probs = torch.full((6, 4), -5.0)
    log_probs[:, 0] = 0
    path = best_path(log_probs.log_softmax(-1), [1, 1, 3])
    assert [token for token in runs_of(path)[0] if token] == [1, 1, 3]
    assert best_path(log_probs[:3], [1, 1, 3]) is None  # too short: equal neighbours need a blank between them
    assert best_path(log_probs, []) is None
