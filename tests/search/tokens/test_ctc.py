"""Law 6 for CTC: beam 1 = greedy where they coincide, a wide beam = brute force, a stable prefix never retracts."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_laws import check_laws, check_times, log_probs_and_cuts, random_log_probs

from transducer.errors import UsageError
from transducer.search.tokens.beam import BeamConfig
from transducer.search.tokens.ctc import CTCBeamSearch, CTCGreedySearch

EXACT = BeamConfig(size=10**6, candidates=10**6, floor=-math.inf, width=math.inf, commit_after=None)


def collapse(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(token for token, _ in itertools.groupby(path) if token)


def all_sequences(log_probs: np.ndarray) -> dict[tuple[int, ...], float]:
    """Log-probability of every token sequence, by adding up every alignment."""
    sums: dict[tuple[int, ...], float] = defaultdict(lambda: -math.inf)
    for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)):
        tokens = collapse(path)
        sums[tokens] = np.logaddexp(sums[tokens], sum(float(row[k]) for row, k in zip(log_probs, path, strict=True)))
    return sums


class Bigram:
    """A scorer whose log-probability depends on the two last tokens; its state is the last one."""

    def __init__(self, tokens: int):
        self.table = random_log_probs(5, tokens, tokens, 1.5).astype(float)

    def init(self) -> int:
        return 0

    def score(self, state: int, token: int) -> tuple[float, int]:
        return float(self.table[state, token]), token

    def total(self, tokens: tuple[int, ...]) -> float:
        return sum(self.table[a, b] for a, b in itertools.pairwise((0, *tokens)))


@given(log_probs_and_cuts())
def test_greedy_is_the_best_path(case):
    log_probs, cuts = case
    search = CTCGreedySearch(silence=[2])
    check_laws(search, log_probs, cuts)
    best = search.best(search.step(search.init(), log_probs))
    path = tuple(log_probs.argmax(axis=1).tolist())
    assert best.tokens == collapse(path)
    assert best.score == pytest.approx(log_probs.max(axis=1).sum(), rel=1e-5, abs=1e-5)
    for token, frame, end, confidence in zip(best.tokens, best.frames, best.ends, best.confidences, strict=True):
        assert set(path[frame:end]) == {token}
        assert frame == 0 or path[frame - 1] != token
        assert end == len(path) or path[end] != token
        assert confidence == pytest.approx(np.exp(log_probs[frame:end, token].max()))


@given(st.integers(0, 2**16), st.integers(0, 5), st.sampled_from([0.5, 2.0, 8.0]))
def test_exact_beam_is_brute_force(seed, frames, sharpness):
    log_probs = random_log_probs(seed, frames, 3, sharpness)
    truth = all_sequences(log_probs)
    search = CTCBeamSearch(EXACT)
    found = search.nbest(search.step(search.init(), log_probs), 10**6)
    assert {hypothesis.tokens for hypothesis in found} == set(truth)
    for hypothesis in found:
        assert hypothesis.score == pytest.approx(truth[hypothesis.tokens], abs=1e-4)
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)


@given(st.integers(0, 2**16), st.sampled_from([1.0, 4.0]))
def test_exact_alignment_is_brute_force(seed, sharpness):
    """Times are those of the most probable alignment of the best hypothesis."""
    log_probs = random_log_probs(seed, 5, 3, sharpness).astype(np.float64)
    search = CTCBeamSearch(EXACT)
    best = search.best(search.step(search.init(), log_probs))
    paths = [path for path in itertools.product(range(3), repeat=5) if collapse(path) == best.tokens]
    path = max(paths, key=lambda path: sum(row[k] for row, k in zip(log_probs, path, strict=True)))
    runs = [
        [frame for frame, _ in group] for token, group in itertools.groupby(enumerate(path), lambda x: x[1]) if token
    ]
    assert best.frames == tuple(run[0] for run in runs)
    assert best.ends == tuple(run[-1] + 1 for run in runs)
    peaks = [max(log_probs[frame, path[frame]] for frame in run) for run in runs]
    assert best.confidences == pytest.approx(np.exp(peaks))


@given(st.integers(0, 2**16), st.sampled_from([0.0, 0.7]), st.sampled_from([0.0, 1.2]))
def test_exact_beam_with_scorer_is_brute_force(seed, weight, bonus):
    log_probs, scorer = random_log_probs(seed, 5, 3, 1.0), Bigram(3)
    config = dataclasses.replace(EXACT, scorer_weight=weight, length_bonus=bonus)
    search = CTCBeamSearch(config, scorer)
    truth = {
        tokens: log_prob + weight * scorer.total(tokens) + bonus * len(tokens)
        for tokens, log_prob in all_sequences(log_probs).items()
    }
    found = search.nbest(search.step(search.init(), log_probs), 10**6)
    assert {hypothesis.tokens: hypothesis.score for hypothesis in found} == pytest.approx(truth, abs=1e-4)


@given(
    log_probs_and_cuts(),
    st.sampled_from([1, 2, 8]),
    st.sampled_from([-math.inf, -3.0]),
    st.sampled_from([math.inf, 6.0]),
    st.sampled_from([None, 0, 3, 10]),
    st.booleans(),
)
def test_beam_laws(case, size, floor, width, commit_after, fused):
    log_probs, cuts = case
    config = BeamConfig(size=size, candidates=3, floor=floor, width=width, commit_after=commit_after)
    check_laws(CTCBeamSearch(config, Bigram(5) if fused else None, silence=[2]), log_probs, cuts)


@given(st.integers(0, 2**16), st.sampled_from([1, 2, 8]))
def test_beam_is_greedy_where_the_model_is_certain(seed, size):
    rng = np.random.default_rng(seed)
    probs = np.full((30, 5), 0.01)
    probs[np.arange(30), rng.integers(0, 5, size=30)] = 0.96
    greedy, beam = CTCGreedySearch(), CTCBeamSearch(BeamConfig(size=size))
    one = greedy.best(greedy.step(greedy.init(), np.log(probs)))
    other = beam.best(beam.step(beam.init(), np.log(probs)))
    assert (one.tokens, one.frames, one.ends) == (other.tokens, other.frames, other.ends)
    assert one.confidences == pytest.approx(other.confidences)


def test_what_all_hypotheses_share_is_stable():
    """The second token is in doubt, and so stays open; the first is certain as soon as another has come."""
    log_probs = np.log(np.array([[0.01, 0.98, 0.01], [0.98, 0.01, 0.01], [0.01, 0.5, 0.49]], dtype=np.float32))
    search = CTCBeamSearch(BeamConfig(size=2))
    state = search.step(search.init(), log_probs)
    assert [h.tokens for h in search.nbest(state, 9)] == [(1, 1), (1, 2)]
    assert search.stable(state) == 1


def test_beam_sums_alignments_where_greedy_does_not():
    log_probs = np.log(np.array([[0.6, 0.4], [0.6, 0.4]], dtype=np.float32))
    greedy, beam = CTCGreedySearch(), CTCBeamSearch()
    assert greedy.best(greedy.step(greedy.init(), log_probs)).tokens == ()
    best = beam.best(beam.step(beam.init(), log_probs))
    assert best.tokens == (1,)
    assert best.score == pytest.approx(math.log(1 - 0.36))


def test_floor_skips_blank_frames_exactly_as_documented():
    """Frames with a blank above 0.9991 try no token, and what is in the beam keeps its exact probability."""
    log_probs = random_log_probs(3, 7, 3, 3.0)
    log_probs[3:5] = np.log([0.9995, 0.0003, 0.0002])
    quick = CTCBeamSearch(dataclasses.replace(EXACT, floor=-7.0))
    before = quick.step(quick.init(), log_probs[:3])
    after = quick.step(before, log_probs[3:5])
    assert {h.tokens for h in quick.nbest(after, 100)} == {h.tokens for h in quick.nbest(before, 100)}
    truth = all_sequences(log_probs)
    best = quick.best(quick.step(after, log_probs[5:]))
    assert best.tokens == max(truth, key=truth.__getitem__)
    assert best.score == pytest.approx(truth[best.tokens], abs=0.01)


def test_committed_times_leave_room_for_the_rest():
    """Here a token is committed with times that a hypothesis of another alignment has already gone past."""
    check_laws(CTCBeamSearch(BeamConfig(size=4, candidates=3)), random_log_probs(4, 40, 5, 0.5), list(range(40)))


def test_commit_after_bounds_what_is_open():
    log_probs = random_log_probs(1, 400, 20, 1.0)
    search = CTCBeamSearch(BeamConfig(size=8, commit_after=10))
    state = search.init()
    for frame in range(len(log_probs)):
        state = search.step(state, log_probs[frame : frame + 1])
        best = search.best(state)
        check_times(best, frame + 1)
        old = sum(end <= frame + 1 - 10 for end in best.ends[:-1])
        assert search.stable(state) >= old


def test_beam_needs_a_size():
    with pytest.raises(UsageError, match="size"):
        BeamConfig(size=0)
