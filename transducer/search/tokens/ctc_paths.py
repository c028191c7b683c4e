"""Best paths through all frames of a CTC model at once: with a text that they begin with, and of a text that is known.

Sources:
    A. Graves, "Supervised Sequence Labelling with Recurrent Neural Networks", 2012 (section 7.5.3, best path)
    L. R. Rabiner, "A tutorial on hidden Markov models and selected applications in speech recognition", 1989 (Viterbi)

Legend of axis suffixes: S frames, V tokens with the blank at 0, U tokens of a text. Log-probabilities are natural.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from transducer.text.tokenizers.tokenizer import BLANK

LogProbs = NDArray[np.float32]


def best_path(log_probs: LogProbs, prefix: Sequence[int] = ()) -> list[tuple[int, float]]:
    """Tokens of the best path through (S, V) that begins with those of `prefix`, each with its highest log-probability.

    A prefix that there are too few frames for has no path; so it must come from no more frames than these.
    """
    begin, before, scores = 0, BLANK, []
    if prefix:
        paths = viterbi(log_probs, prefix)[0][:, -2:]  # on the last token, and on the blank behind it
        rest = log_probs.max(axis=1)[::-1].cumsum()[::-1]
        total = paths + np.append(rest[1:], 0.0)[:, None]
        step, place = np.unravel_index(total.argmax(), total.shape)
        begin, before = int(step) + 1, BLANK if place else prefix[-1]
        scores = [float(log_probs[:begin, token].max()) for token in prefix]
    found = list(zip(prefix, scores, strict=True))
    best = log_probs[begin:].argmax(axis=1)
    for token, run in groupby(range(len(best)), key=lambda step: int(best[step])):
        steps = [begin + step for step in run]
        if token != BLANK and not (steps[0] == begin and token == before):
            found.append((token, float(log_probs[steps, token].max())))
    return found


def aligned(log_probs: LogProbs, tokens: Sequence[int]) -> list[int]:
    """The step of (S, V) on which each token begins on the best path that says all of them and nothing else, and one
    past the last step of the last one."""
    if not tokens:
        return [0]
    scores, moves = viterbi(log_probs, tokens)
    place = 2 * len(tokens) - 1 + int(scores[-1, -1] > scores[-1, -2])
    starts = [0] * len(tokens)
    end = 0
    for step in range(len(log_probs) - 1, -1, -1):
        if place % 2:
            starts[place // 2] = step
            end = end or step + 1
        place -= int(moves[step, place])
    return [*starts, end]


def viterbi(log_probs: LogProbs, tokens: Sequence[int]) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Best paths through (S, V) that say U tokens, from the first one on.

    Returns:
        (S, 2 U + 1): the score of the best path that is on each place after each step, places being a blank, the first
        token, a blank and so on, and how many places it went forward on that step.
    """
    places = np.full(2 * len(tokens) + 1, BLANK)
    places[1::2] = tokens
    skips = np.zeros(len(places), bool)  # whether the blank before a token may be left out
    skips[3::2] = places[3::2] != places[1:-2:2]
    emitted = log_probs[:, places].astype(np.float64)
    scores, moves = np.full(emitted.shape, -np.inf), np.zeros(emitted.shape, np.uint8)
    scores[0, :2] = emitted[0, :2]
    for step in range(1, len(emitted)):
        come = np.full((3, len(places)), -np.inf)
        come[0], come[1, 1:] = scores[step - 1], scores[step - 1, :-1]
        come[2, 2:] = np.where(skips[2:], scores[step - 1, :-2], -np.inf)
        moves[step] = come.argmax(axis=0)
        scores[step] = come.max(axis=0) + emitted[step]
    return scores, moves
