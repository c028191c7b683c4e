"""Where segments begin, grow and end: by counting steps, whatever the parts; no speech is lost or in two of them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from transducer.search.endpoint import Endpointer, EndpointRules
from transducer.search.full_context.segmenter import Segmenter, Stretch, best_pause


@dataclass(frozen=True)
class Loud:
    """Speech is what is louder than 0: features say it themselves."""

    def init(self) -> tuple[()]:
        return ()

    def step(self, state: tuple[()], features: Any) -> tuple[tuple[()], Any]:
        return state, features[:, 0] > 0


def segmenter(growth: int = 10, longest: float = 100, least: int = 2) -> Segmenter:
    rules = EndpointRules(silence_after_words=8, max_length=longest)
    return Segmenter(Loud(), Endpointer(rules, 1.0), growth, 1, 40, before=4, after=4, least=least)


def run(cutter: Segmenter, steps: np.ndarray, cuts: list[int] = ()) -> list[Stretch]:
    state, found = cutter.init(), []
    for begin, end in itertools.pairwise([0, *sorted(cuts), len(steps)]):
        state, stretches = cutter.step(state, steps[begin:end])
        found += stretches
        assert len(state.features) <= cutter.endpointer.max_length + cutter.before
    _, last = cutter.flush(state)
    return [*found, *([last] if last is not None else [])]


def stream(runs: list[int]) -> np.ndarray:
    """Runs of silence and speech, by turns; a second feature counts the steps."""
    loud = np.concatenate([np.full(count, number % 2) for number, count in enumerate(runs)] or [np.zeros(0)])
    return np.stack([loud, np.arange(len(loud))], axis=1).astype(np.float32)


RUNS = st.lists(st.integers(0, 30), max_size=12)


@given(RUNS, st.lists(st.integers(0, 200), max_size=6), st.integers(12, 60))
def test_parts_give_what_the_whole_gives(runs: list[int], cuts: list[int], longest: int) -> None:
    steps, cutter = stream(runs), segmenter(longest=longest)
    cuts = [cut for cut in cuts if cut <= len(steps)]
    whole, parts = run(cutter, steps), run(cutter, steps, cuts)
    assert [(s.begin, s.end, s.spoken, s.final) for s in whole] == [(s.begin, s.end, s.spoken, s.final) for s in parts]
    assert all(np.array_equal(a.features, b.features) for a, b in zip(whole, parts, strict=True))


@given(RUNS, st.integers(12, 60))
@example([0, 1, 5, 6], 12)  # it is cut where the first part has a single step of speech
def test_segments_follow_each_other_and_hold_all_speech(runs: list[int], longest: int) -> None:
    steps = stream(runs)
    every, finals = ([s for s in run(segmenter(0, longest, least), steps) if s.final] for least in (1, 2))
    held = np.zeros(len(steps))
    for stretch in every:
        assert np.array_equal(stretch.features[:, 1], np.arange(stretch.begin, stretch.end))
        assert np.array_equal(stretch.speech, stretch.features[:, 0] > 0)
        assert stretch.begin < stretch.spoken <= stretch.end
        assert len(stretch.features) <= longest
        held[stretch.begin : stretch.end] += 1
    assert held.max(initial=0) <= 1
    assert held[steps[:, 0] > 0].all()
    # Nothing is left out but segments that have too little speech to be any.
    assert [s.begin for s in finals] == [s.begin for s in every if np.count_nonzero(s.speech) >= 2]


def test_a_segment_grows_ends_with_a_pause_and_keeps_some_of_it() -> None:
    found = run(segmenter(), stream([10, 25, 30]))
    assert [(s.begin, s.end, s.spoken, s.final) for s in found] == [
        (6, 19, 19, False),  # steps 19, 29 and 39 end blocks of 10 of what has been heard, one step later
        (6, 29, 29, False),
        (6, 39, 35, False),
        (6, 39, 35, True),
    ]


def test_a_long_segment_is_decoded_less_often() -> None:
    found = [s.end for s in run(segmenter(), stream([0, 95])) if not s.final]
    assert found == [9, 19, 29, 39, 59, 79, 89]  # every tenth, from 40 on every twentieth, from 80 on every thirtieth


def test_nothing_is_decoded_before_the_end_if_nobody_wants_it() -> None:
    assert [s.final for s in run(segmenter(growth=0), stream([10, 25, 30, 25, 9]))] == [True, True]


def test_clicks_are_no_segments() -> None:
    assert run(segmenter(), stream([10, 1, 30, 1, 30])) == []


def test_a_segment_that_is_too_long_is_cut_in_its_best_pause() -> None:
    first, second = (s for s in run(segmenter(0, 40), stream([0, 20, 2, 10, 5, 20, 20])) if s.final)
    assert (first.begin, first.end) == (0, 35)  # in the middle of the pause of five steps
    assert (second.begin, second.end) == (35, 61)


def test_without_a_pause_it_is_cut_where_it_is_least_loud() -> None:
    features = np.ones((100, 3), np.float32)
    features[70:76] = 0.5
    assert 70 <= best_pause(features, np.ones(100, bool)) < 76
