"""Law 6 for RNN-T, with a stateless and an LSTM predictor: see test_search_ctc.py."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from search_laws import check_laws
from torch import Tensor, nn

from transducer.search.tokens.beam import BeamConfig
from transducer.search.tokens.rnnt import RNNTBeamSearch
from transducer.search.tokens.rnnt_greedy import RNNTGreedySearch

EXACT = BeamConfig(size=10**6, candidates=10**6, floor=-math.inf, width=math.inf, commit_after=None)
D = 4


class Stateless(nn.Module):
    """The last two tokens; the state is (N, 2)."""

    def __init__(self, tokens: int):
        super().__init__()
        self.embedding = nn.Embedding(tokens, D)

    def start(self) -> Tensor:
        return torch.zeros(1, 2, dtype=torch.long)

    def extend(self, tokens: list[int], state: Tensor) -> tuple[Tensor, Tensor]:
        state = torch.cat([state[:, 1:], torch.tensor(tokens)[:, None]], dim=1)
        return self.embedding(state[:, 0]) - self.embedding(state[:, 1]), state


class LSTMState(NamedTuple):
    h: Tensor
    c: Tensor


class Recurrent(nn.Module):
    """All tokens so far, through an LSTM."""

    def __init__(self, tokens: int):
        super().__init__()
        self.embedding = nn.Embedding(tokens, D)
        self.cell = nn.LSTMCell(D, D)

    def start(self) -> LSTMState:
        return LSTMState(torch.zeros(1, D), torch.zeros(1, D))

    def extend(self, tokens: list[int], state: LSTMState) -> tuple[Tensor, LSTMState]:
        state = LSTMState(*self.cell(self.embedding(torch.tensor(tokens)), state))
        return state.h, state


def model(kind: str, seed: int, tokens: int, sharpness: float) -> tuple[Any, Any]:
    torch.manual_seed(seed)
    predictor = {"stateless": Stateless, "lstm": Recurrent}[kind](tokens)
    output = nn.Linear(D, tokens)
    return predictor, lambda frame, read: torch.log_softmax(sharpness * output(torch.tanh(frame + read)), dim=-1)


def encoded(seed: int, frames: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(frames, D)).astype(np.float32)


@torch.no_grad()
def all_sequences(predictor: Any, joint: Any, frames: np.ndarray, max_symbols: int) -> dict[tuple[int, ...], float]:
    """Log-probability of every token sequence: follow every path, one symbol after the other."""
    sums: dict[tuple[int, ...], float] = defaultdict(lambda: -math.inf)

    def follow(frame: int, symbols: int, tokens: tuple[int, ...], log_prob: float, output: Tensor, state: Any) -> None:
        if symbols == max_symbols:
            frame, symbols = frame + 1, 0
        if frame == len(frames):
            sums[tokens] = np.logaddexp(sums[tokens], log_prob)
            return
        log_probs = joint(torch.from_numpy(frames[frame]), output)[0].tolist()
        follow(frame + 1, 0, tokens, log_prob + log_probs[0], output, state)
        for token in range(1, len(log_probs)):
            follow(frame, symbols + 1, (*tokens, token), log_prob + log_probs[token], *predictor.extend([token], state))

    follow(0, 0, (), 0.0, *predictor.extend([0], predictor.start()))
    return sums


kinds = st.sampled_from(["stateless", "lstm"])
seeds = st.integers(0, 2**16)
sharpnesses = st.sampled_from([1.0, 5.0, 20.0])


@settings(max_examples=40)
@given(kinds, seeds, sharpnesses, st.sampled_from([(0, 1), (1, 3), (3, 1), (4, 1), (2, 2)]))
def test_exact_beam_is_brute_force(kind, seed, sharpness, size):
    count, max_symbols = size
    predictor, joint = model(kind, seed, 3, sharpness)
    frames = encoded(seed, count)
    truth = all_sequences(predictor, joint, frames, max_symbols)
    assert np.logaddexp.reduce(list(truth.values())) == pytest.approx(0, abs=1e-4)
    search = RNNTBeamSearch(predictor, joint, max_symbols, EXACT)
    found = search.nbest(search.step(search.init(), frames), 10**6)
    assert {h.tokens: h.score for h in found} == pytest.approx(truth, abs=1e-4)


@settings(max_examples=60)
@given(kinds, seeds, sharpnesses, st.integers(0, 25), st.integers(1, 3))
def test_beam_1_is_greedy(kind, seed, sharpness, count, max_symbols):
    predictor, joint = model(kind, seed, 5, sharpness)
    frames = encoded(seed, count)
    greedy = RNNTGreedySearch(predictor, joint, max_symbols)
    beam = RNNTBeamSearch(predictor, joint, max_symbols, dataclasses.replace(EXACT, size=1))
    one, other = (search.best(search.step(search.init(), frames)) for search in (greedy, beam))
    assert (one.tokens, one.frames, one.ends) == (other.tokens, other.frames, other.ends)
    assert one.confidences == pytest.approx(other.confidences, rel=1e-5)
    assert one.score == pytest.approx(other.score, rel=1e-5, abs=1e-5)


@settings(max_examples=60)
@given(
    kinds,
    seeds,
    sharpnesses,
    st.integers(1, 3),
    st.lists(st.integers(0, 20), max_size=5),
    st.sampled_from([None, 1, 2, 4]),
    st.sampled_from([None, 0, 4]),
    st.sampled_from([None, 1, 3]),
)
def test_laws(kind, seed, sharpness, max_symbols, cuts, size, commit_after, window):
    predictor, joint = model(kind, seed, 5, sharpness)
    if size is None:
        search = RNNTGreedySearch(predictor, joint, max_symbols, silence=[2], blank_window=window)
    else:
        config = BeamConfig(size=size, width=8.0, commit_after=commit_after)
        search = RNNTBeamSearch(predictor, joint, max_symbols, config, silence=[2])
    check_laws(search, encoded(seed, 20), sorted(cuts))


def test_scorer_and_length_bonus_change_the_order():
    class Likes2:
        def init(self) -> None:
            return None

        def score(self, state: None, token: int) -> tuple[float, None]:
            return (0.0 if token == 2 else -20.0), None

    predictor, joint = model("stateless", 1, 3, 1.0)
    config = dataclasses.replace(EXACT, scorer_weight=1.0, length_bonus=5.0)
    search = RNNTBeamSearch(predictor, joint, 1, config, Likes2())
    frames = encoded(1, 4)
    found = search.nbest(search.step(search.init(), frames), 10**6)
    truth = all_sequences(predictor, joint, frames, 1)
    assert found[0].tokens == (2, 2, 2, 2)
    expected = {t: p + 5.0 * len(t) - 20.0 * t.count(1) for t, p in truth.items()}
    assert {h.tokens: h.score for h in found} == pytest.approx(expected, abs=1e-4)


@settings(max_examples=30)
@given(kinds, seeds, sharpnesses, st.sampled_from([(1, 3), (3, 1), (2, 2)]), st.sampled_from([0.3, 1.0]))
def test_what_the_model_itself_expects_is_taken_off_the_score_of_every_token(kind, seed, sharpness, size, weight):
    count, max_symbols = size
    predictor, joint = model(kind, seed, 3, sharpness)

    def internal_lm(read: Tensor) -> Tensor:
        return joint(torch.zeros(D), read).index_fill(-1, torch.tensor([0]), -torch.inf).log_softmax(dim=-1)

    def expected(tokens: tuple[int, ...]) -> float:
        total, (output, state) = 0.0, predictor.extend([0], predictor.start())
        for token in tokens:
            total += float(internal_lm(output)[0, token])
            output, state = predictor.extend([token], state)
        return total

    frames = encoded(seed, count)
    search = RNNTBeamSearch(predictor, joint, max_symbols, EXACT, internal_lm=internal_lm, internal_weight=weight)
    found = search.nbest(search.step(search.init(), frames), 10**6)
    with torch.no_grad():
        truth = all_sequences(predictor, joint, frames, max_symbols)
        assert {h.tokens: h.score for h in found} == pytest.approx(
            {tokens: log_prob - weight * expected(tokens) for tokens, log_prob in truth.items()}, abs=1e-3
        )


def test_several_tokens_on_one_frame():
    """A model that always wants token 1 emits `max_symbols` of it on every frame."""
    predictor = Stateless(3)
    certain = torch.log(torch.tensor([0.01, 0.98, 0.01]))
    for search in (
        RNNTGreedySearch(predictor, lambda frame, read: certain.expand(len(read), 3), max_symbols=2),
        RNNTBeamSearch(predictor, lambda frame, read: certain.expand(len(read), 3), max_symbols=2),
    ):
        best = search.best(search.step(search.init(), np.zeros((3, D), dtype=np.float32)))
        assert best.tokens == (1,) * 6
        assert best.frames == (0, 0, 1, 1, 2, 2)
        assert best.ends == (1, 1, 2, 2, 3, 3)
        assert best.confidences == pytest.approx([0.98] * 6)


@pytest.mark.parametrize("window", [None, 1, 2, 3])
def test_a_blank_window_adds_up_what_is_spread_over_frames(window):
    predictor, _ = model("stateless", 0, 3, 1.0)
    probs = [
        [0.7, 0.2, 0.1],
        [0.6, 0.1, 0.3],
        [0.9, 0.06, 0.04],
        [0.8, 0.15, 0.05],
        [0.65, 0.3, 0.05],
        [0.45, 0.3, 0.25],
    ]
    frames = np.log(np.array(probs, np.float32))
    search = RNNTGreedySearch(predictor, lambda frame, read: frame, max_symbols=1, blank_window=window)
    found = search.best(search.step(search.init(), frames))
    # After a token the sum begins anew: 0.9 * 0.8 > 0.5, 0.9 * 0.8 * 0.65 < 0.5.
    expected = {None: {}, 1: {5: 1}, 2: {1: 2, 5: 1}, 3: {1: 2, 4: 1, 5: 1}}[window]
    assert dict(zip(found.frames, found.tokens, strict=True)) == expected
    for cut in range(len(frames)):
        assert search.best(search.step(search.step(search.init(), frames[:cut]), frames[cut:])) == found


@pytest.mark.parametrize("kind", ["stateless", "lstm"])
@pytest.mark.parametrize("context", [0, 3, 50])
def test_the_next_segment_goes_on_reading_where_the_last_one_ended(kind, context):
    predictor, joint = model(kind, 3, 5, 20.0)
    search = RNNTGreedySearch(predictor, joint, 2, context=context)
    frames, said = encoded(3, 30), []
    state = search.init()
    for start, end in ((0, 12), (12, 20), (20, 30)):
        whole = search.step(state, frames[start:])  # what comes after the end is searched again
        said += [token.token for token in whole.tokens if token.frame < end - start]
        state = search.restart(whole, end - start)
        output, read = predictor.extend([0], predictor.start())
        for token in said[-context:] if context else []:
            output, read = predictor.extend([token], read)
        assert (state.frame, state.tokens, state.score) == (0, (), 0.0)
        by_hand = state._replace(output=output, predictor=read)
        one, other = (search.step(state, frames[end : end + 4]) for state in (state, by_hand))
        assert [token.token for token in one.tokens] == [token.token for token in other.tokens]
        assert one.score == pytest.approx(other.score, rel=1e-5)
    assert len(said) > 5


def test_cuts_change_no_token_where_all_is_read():
    predictor, joint = model("lstm", 8, 5, 20.0)
    search = RNNTGreedySearch(predictor, joint, 2, context=1000)
    frames, found, state = encoded(8, 40), [], search.init()
    for start in range(0, 40, 8):
        state = search.step(state, frames[start : start + 8])
        found += search.best(state).tokens
        state = search.restart(state, 8)
    assert tuple(found) == search.best(search.step(search.init(), frames)).tokens
    assert len(found) > 5
