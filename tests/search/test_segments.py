"""Endpoints, segments and word times: no word lost, doubled or cut in two, wherever the stream is cut."""

from __future__ import annotations

import itertools
import math
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from search_laws import FrameClock, log_probs_and_cuts, pieces, random_log_probs

from transducer.errors import UsageError
from transducer.results import Segment, Word
from transducer.search.endpoint import Endpointer, EndpointRules
from transducer.search.segments import SegmentSearch, SegmentState
from transducer.search.tokens.beam import BeamConfig
from transducer.search.tokens.ctc import CTCBeamSearch, CTCGreedySearch
from transducer.search.tokens.hypothesis import Hypothesis, Token
from transducer.search.tokens.rnnt import RNNTBeamSearch
from transducer.search.tokens.rnnt_greedy import RNNTGreedySearch
from transducer.search.tokens.words import FinishedWordTimer, WordTimer
from transducer.text.tokenizers.characters import Characters
from transducer.text.tokenizers.symbols import Symbols

CHARACTERS = Characters("abc")  # tokens: blank, space, a, b, c
FRAME = 0.04
NEVER = math.inf


def spoken(text: str) -> np.ndarray:
    """Log-probabilities that are almost certain; one frame per character, "-" is a blank."""
    probs = np.full((len(text), 5), 0.005, dtype=np.float32)
    probs[np.arange(len(text)), ["- abc".index(character) for character in text]] = 0.98
    return np.log(probs)


def rules(after_words: float = NEVER, without_words: float = NEVER, max_length: float = NEVER) -> EndpointRules:
    """Rules in frames."""
    return EndpointRules(without_words * FRAME, after_words * FRAME, max_length * FRAME)


def segment_search(limits: EndpointRules, size: int | None = None, **options: object) -> SegmentSearch:
    search = (
        CTCBeamSearch(BeamConfig(size), silence=CHARACTERS.silence) if size else CTCGreedySearch(CHARACTERS.silence)
    )
    return SegmentSearch(search, WordTimer(CHARACTERS, FRAME), limits, **options)


def run(search: SegmentSearch, frames: np.ndarray, cuts: list[int] = (), offset: float = 0.0) -> list[Segment]:
    """Everything that a stream gives out."""
    state, results = search.init(offset), []
    for piece in pieces(frames, list(cuts)):
        state, new = step(search, state, piece)
        results += new
    return results + search.flush(state)[1]


def step(search: SegmentSearch, state: SegmentState, frames: np.ndarray) -> tuple[SegmentState, list[Segment]]:
    """Of one client."""
    return search.step([state], [frames])[0]


def finals(results: list[Segment]) -> list[Segment]:
    return [segment for segment in results if segment.final]


def frames_of(words: tuple[Word, ...]) -> list[tuple[str, int, int]]:
    return [(word.text, round(word.start / FRAME), round(word.end / FRAME)) for word in words]


def unlimited(frames: np.ndarray) -> tuple[Word, ...]:
    search = CTCGreedySearch()
    return WordTimer(CHARACTERS, FRAME).words(search.best(search.step(search.init(), frames)))


def check_words(words: list[Word]) -> None:
    """Times are not negative, never go back, and no word is empty."""
    assert all(0 <= word.start < word.end and word.text and 0 < word.confidence <= 1 for word in words)
    assert all(a.end <= b.start for a, b in itertools.pairwise(words))


def check_partials(results: list[Segment]) -> None:
    """What a partial calls stable is in every later result of its segment; partials come only when they change."""
    promised: tuple[Word, ...] = ()
    for segment, following in itertools.pairwise([*results, None]):
        assert segment.words[: len(promised)] == promised
        promised = () if segment.final else segment.words[: segment.stable]
        assert segment != following
        if segment.final:
            assert segment.words and segment.stable == len(segment.words)
            assert (segment.start, segment.end) == (segment.words[0].start, segment.words[-1].end)


@given(log_probs_and_cuts(max_frames=120), st.integers(4, 30))
def test_too_long_segments_lose_no_word(case, limit):
    """Text, times and confidences of all finals are those of one search without limits."""
    frames, cuts = case
    truth = unlimited(frames)
    assume(all(end - start < limit for _, start, end in frames_of(truth)))
    results = run(segment_search(rules(max_length=limit)), frames, cuts)
    assert tuple(word for segment in finals(results) for word in segment.words) == truth
    check_partials(results)


class WholeWords(CTCGreedySearch):
    """Shows a word when the space after it has come, or the segment has ended: so do searches with a lexicon."""

    def finish(self, state):
        return state._replace(tokens=(*self._all(state), Token(1, 10**6, 10**6 + 1, 0.0)), run=None)

    def best(self, state):
        tokens = self._all(state)
        shown = max((index for index, token in enumerate(tokens) if token.token == 1), default=0)
        return Hypothesis.of(tokens[:shown], state.score)

    def stable(self, state):
        return min(len(state.tokens), len(self.best(state).tokens))

    def _all(self, state):
        return state.tokens if state.run is None else (*state.tokens, state.run)


@given(log_probs_and_cuts(max_frames=120), st.integers(4, 30))
def test_words_in_progress_are_not_lost(case, limit):
    frames, cuts = case
    truth = unlimited(frames)
    ends = [0, *(end for _, _, end in frames_of(truth))]
    assume(all(b - a < limit for a, b in itertools.pairwise(ends)))
    search = SegmentSearch(WholeWords(CHARACTERS.silence), WordTimer(CHARACTERS, FRAME), rules(max_length=limit))
    results = run(search, frames, cuts)
    assert tuple(word for segment in finals(results) for word in segment.words) == truth
    check_partials(results)


@given(st.text("-aab ", max_size=80), st.integers(6, 20), st.sampled_from([4, 8]), st.lists(st.integers(0, 80)))
def test_beam_loses_no_word_either(text, limit, size, cuts):
    frames = spoken(text)
    truth = frames_of(unlimited(frames))
    assume(all(end - start < limit for _, start, end in truth))
    results = run(segment_search(rules(max_length=limit), size), frames, sorted(min(cut, len(text)) for cut in cuts))
    words = [word for segment in finals(results) for word in segment.words]
    assert [text for text, _, _ in truth] == [word.text for word in words]
    check_words(words)


@given(
    log_probs_and_cuts(max_frames=80),
    st.sampled_from([None, 1, 4]),
    st.sampled_from([2, 5, NEVER]),
    st.sampled_from([3, 10, NEVER]),
    st.sampled_from([1, 6, 25, NEVER]),
    st.sampled_from([0.0, 3.0]),
)
def test_finals_do_not_depend_on_steps(case, size, after_words, without_words, max_length, offset):
    frames, cuts = case
    search = segment_search(rules(after_words, without_words, max_length), size, alternatives=2)
    whole, cut = run(search, frames, [], offset), run(search, frames, cuts, offset)
    assert finals(whole) == finals(cut)
    check_partials(cut)
    check_words([word for segment in finals(cut) for word in segment.words])
    assert all(word.start >= offset for segment in cut for word in segment.words)


@settings(max_examples=40)
@given(st.integers(0, 2**16), st.booleans(), st.integers(1, 3), st.lists(st.integers(0, 60), max_size=6))
def test_rnnt_segments(seed, beam, max_symbols, cuts):
    """RNN-T may emit several words on one frame; times still increase, and nothing depends on the steps."""
    torch.manual_seed(seed)
    table = torch.nn.Embedding(5, 5)

    class Last:
        def start(self):
            return torch.zeros(1, 1)

        def extend(self, tokens, state):
            return table(torch.tensor(tokens)), torch.tensor(tokens)[:, None]

    def joint(frame, read):
        return torch.log_softmax(frame * 4 + read, dim=-1)

    silence = CHARACTERS.silence
    inner = (
        RNNTBeamSearch(Last(), joint, max_symbols, BeamConfig(3), silence=silence)
        if beam
        else RNNTGreedySearch(Last(), joint, max_symbols, silence)
    )
    search = SegmentSearch(inner, WordTimer(CHARACTERS, FRAME), rules(after_words=4, max_length=12))
    frames = np.random.default_rng(seed).normal(size=(60, 5)).astype(np.float32)
    results = run(search, frames, sorted(cuts))
    assert finals(results) == finals(run(search, frames))
    check_partials(results)
    check_words([word for segment in finals(results) for word in segment.words])


def test_silence_after_words_ends_a_segment_on_its_frame():
    results = run(segment_search(rules(after_words=5)), spoken("-ab--c----- ----aa ---"), range(22))
    first, second = finals(results)
    assert frames_of(first.words) == [("abc", 1, 6)]
    assert frames_of(second.words) == [("a", 16, 18)]
    # "abc" ends before frame 6, so the final comes with frame 10, the fifth silent one: a space is silent.
    search = segment_search(rules(after_words=5))
    state, results = step(search, search.init(), spoken("-ab--c----"))
    assert not finals(results)
    state, results = step(search, state, spoken("-"))
    assert finals(results) == [first]
    assert (state.start, state.length) == (11, 0)


def test_silence_without_words_gives_no_segment():
    search = segment_search(rules(after_words=2, without_words=5))
    state, results = step(search, search.init(), spoken("-- --" + "--- "))
    assert results == []
    assert (state.start, state.length) == (5, 4)


def test_symbols_for_silence_are_silent():
    phones = Symbols(["SIL", "AA", "B", "K"], ["SIL"])
    search = SegmentSearch(CTCGreedySearch(phones.silence), WordTimer(phones, FRAME), rules(after_words=4))
    results = run(search, spoken("ab  -  "))
    assert [frames_of(segment.words) for segment in finals(results)] == [[("AA", 0, 1), ("B", 1, 2)]]


def test_too_long_segment_ends_in_the_gap_before_its_last_word():
    text = "ab ca--- bb---c aa"
    results = run(segment_search(rules(max_length=12)), spoken(text))
    words = [frames_of(segment.words) for segment in finals(results)]
    assert words == [[("ab", 0, 2), ("ca", 3, 5)], [("bc", 9, 15), ("a", 16, 18)]]
    search = segment_search(rules(max_length=12))
    state, _ = step(search, search.init(), spoken(text[:12]))
    # The gap is frames 5 to 8; frames 7 to 11 have been searched again.
    assert (state.start, state.length) == (7, 5)


def test_too_long_segment_is_not_cut_within_a_frame():
    """Of four words on two frames each, a cut between those on one frame would lose or double one of them."""
    phones = Symbols(["AA", "B"])

    class Silent:
        def start(self):
            return torch.zeros(1, 1)

        def extend(self, tokens, state):
            return torch.zeros(len(tokens), 3), state

    frames = np.log(np.array([[0.96, 0.02, 0.02]] * 12, dtype=np.float32))
    frames[[2, 3, 6, 7]] = np.log([0.02, 0.96, 0.02])
    greedy = RNNTGreedySearch(Silent(), lambda frame, read: frame + read, max_symbols=2)
    results = run(SegmentSearch(greedy, WordTimer(phones, FRAME), rules(max_length=8)), frames)
    assert [len(segment.words) for segment in finals(results)] == [6, 2]
    assert [round(word.start / FRAME, 2) for segment in finals(results) for word in segment.words] == [
        2, 2.5, 3, 3.5, 6, 6.5, 7, 7.5,
    ]  # fmt: skip


def test_one_word_longer_than_a_segment():
    """It is the only thing that is cut in two, and not within a token."""
    results = run(segment_search(rules(max_length=4)), spoken("abcbbbca-b---"))
    assert "".join(segment.text for segment in finals(results)) == "abcbcab"


def test_flush_ends_a_segment_at_once():
    search = segment_search(rules())
    state, _ = step(search, search.init(), spoken("-ab"))
    state, results = search.flush(state)
    assert [frames_of(segment.words) for segment in results] == [[("ab", 1, 3)]]
    assert search.flush(state)[1] == []
    state, results = step(search, state, spoken("-c"))
    assert frames_of(results[-1].words) == [("c", 4, 5)]


@given(log_probs_and_cuts(max_frames=60), st.sampled_from([0.0, -0.1, 0.07]), st.integers(1, 2))
def test_results_have_the_times_of_the_clock(case, shift, stride):
    """As soon as these are known, and without those that are not `needed`; on a steady clock nothing changes."""
    frames, cuts = case
    timer = WordTimer(CHARACTERS, FRAME, shift)
    search = SegmentSearch(CTCGreedySearch(CHARACTERS.silence), timer, rules(after_words=4, max_length=9))
    times = [stride * FRAME * n * n / 50 for n in range(stride * len(frames) + 20)]
    steady = SimpleNamespace(steady=True, final=None, seconds=lambda step: 0.0)
    state, seen, waiting, kept = search.init(), 0, [], set()
    for piece in [*pieces(frames, cuts), None]:
        if piece is None:
            state, new = search.flush(state)
            seen += 8  # what comes later is known in the end
        else:
            state, new = step(search, state, piece)
            seen += len(piece)
        assert all(search.result(segment, steady) is segment for segment in new)
        waiting += new
        kept |= set(range(seen - (8 if piece is None else len(piece)), seen + 1))
        known = [times[frame] if frame // stride in kept else math.nan for frame in range(stride * seen + 1)]
        clock = FrameClock(known, stride, ended=False)
        while waiting and (result := search.result(waiting[0], clock)) is not None:
            check_words(list(result.words))
            first = waiting.pop(0)
            assert [word.text for word in result.words] == [word.text for word in first.words]
            ends = [time for word in result.words for time in (word.start, word.end)]
            nominal = [time / FRAME for word in first.words for time in (word.start, word.end)]
            assert ends == pytest.approx(np.interp(nominal, range(len(times[::stride])), times[::stride]).tolist())
        assert all(math.ceil(segment.end / FRAME - 1e-6) > seen for segment in waiting[:1])
        needed = set(search.needed(state)).union(*map(search.times_of, waiting))
        kept = {frame for frame in kept if frame >= seen - 1 or frame in needed}
    assert not waiting


def test_partials_come_when_they_change():
    search = segment_search(rules())
    state, results = step(search, search.init(), spoken("--"))
    assert results == []
    state, (partial,) = step(search, state, spoken("ab"))
    assert (partial.text, partial.stable, partial.final) == ("ab", 0, False)
    state, results = step(search, state, spoken("--"))
    assert results == []
    state, (partial,) = step(search, state, spoken(" c-"))
    assert (partial.text, partial.stable, partial.stable_text) == ("ab c", 1, "ab")


def test_a_partial_whose_words_are_gone_is_taken_back_once():
    """First "a" is the best, then a space alone."""
    probs = [[0.32, 0.33, 0.35, 1e-9, 1e-9], [0.4, 0.6, 1e-9, 1e-9, 1e-9], *[[1, 1e-9, 1e-9, 1e-9, 1e-9]] * 3]
    frames = np.log(np.array(probs, dtype=np.float32))
    results = run(segment_search(rules(), size=8), frames, range(5))
    assert [(segment.text, segment.final) for segment in results] == [("a", False), ("", False)]


def test_steps_are_pure_and_states_can_be_saved():
    search = segment_search(rules(after_words=5, max_length=14), size=4)
    frames = spoken("ab ca-b-b-b-c-b c")
    first = frames[:12].copy()
    state, _ = step(search, search.init(), first)
    first[:] = 0  # the caller may use the array again
    saved = pickle.dumps(state)
    one = step(search, state, frames[12:])[1]
    assert pickle.dumps(state) == saved
    assert step(search, pickle.loads(saved), frames[12:])[1] == one
    assert [segment.text for segment in one] == ["ab", "cabbbcb", "c"]


@pytest.mark.parametrize("size", [None, 4])
def test_state_stays_bounded(size):
    search = segment_search(rules(after_words=20, without_words=50, max_length=60), size)
    frames = random_log_probs(0, 2000, 5, 3.0)
    state, sizes = search.init(), []
    for piece in np.split(frames, 200):
        state, _ = step(search, state, piece)
        sizes.append(len(pickle.dumps(state)))
        assert len(state.recent) <= state.length < 60
    assert max(sizes[100:]) <= 1.5 * max(sizes[:100])


def test_alternatives():
    frames = spoken("-a-b-")
    frames[1] = np.log([0.01, 0.01, 0.6, 0.3, 0.08])
    (segment,) = finals(run(segment_search(rules(), size=8, alternatives=2), frames))
    assert [text for text, _ in segment.alternatives] == ["ab", "bb"]
    assert segment.alternatives[0][1] > segment.alternatives[1][1]
    assert segment.text == "ab"
    # Those of a segment that was too long do not have the word that went to the next one.
    results = run(segment_search(rules(max_length=7), size=8, alternatives=2), np.concatenate([frames, spoken(" ccc")]))
    assert [[text for text, _ in segment.alternatives] for segment in finals(results)] == [["ab", "bb"], ["c"]]


def test_words_pool_confidences_and_shift_times():
    hypothesis = Hypothesis((2, 3, 1, 4), (2, 10, 12, 30), (4, 11, 13, 31), (0.5, 0.8, 0.9, 1.0), -1.0)
    timer = WordTimer(CHARACTERS, FRAME, time_shift=-0.12, confidence="mean")
    first, second = timer.words(hypothesis, start=100, offset=2.0)
    assert (first.text, first.confidence) == ("ab", 0.4**0.5)
    assert (first.start, first.end) == pytest.approx((2 + 102 * FRAME - 0.12, 2 + 111 * FRAME - 0.12))
    assert (second.text, second.confidence) == ("c", 1.0)
    assert WordTimer(CHARACTERS, FRAME).words(hypothesis)[0].confidence == 0.5
    # Where the shift would lead below zero, times are halved: still not negative, still in order.
    early = timer.words(hypothesis)
    assert early[0].start == pytest.approx(FRAME)
    check_words(list(early))


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 2)), max_size=20), st.floats(-1, 1))
def test_word_times_increase(steps, shift):
    frames = tuple(itertools.accumulate(gap for _, gap in steps))
    hypothesis = Hypothesis(
        tuple(token for token, _ in steps), frames, tuple(frame + 1 for frame in frames), (0.5,) * len(steps)
    )
    words = WordTimer(CHARACTERS, FRAME, time_shift=shift).words(hypothesis)
    assert "".join(word.text for word in words) == CHARACTERS.decode(hypothesis.tokens).replace(" ", "")
    assert all(word.start < word.end for word in words)
    assert all(a.end <= b.start for a, b in itertools.pairwise(words))
    assert all(word.start >= 0 for word in words)


@pytest.mark.parametrize(
    ("length", "silence", "words", "result"),
    [
        (125, 125, False, "silence"),
        (124, 124, False, None),
        (60, 20, True, "silence"),
        (60, 19, True, None),
        (60, 20, False, None),
        (500, 3, True, "length"),
        (499, 3, True, None),
        (500, 500, False, "silence"),
    ],
)
def test_default_rules(length, silence, words, result):
    """5 s, 0.8 s and 20 s, at 40 ms per frame."""
    assert Endpointer(EndpointRules(), FRAME)(length, silence, words) == result


def test_rules_are_rounded_up_to_frames():
    assert 0.28 / FRAME > 7  # by a rounding error, which must not count
    for seconds, frames in ((0.28, 7), (0.29, 8), (0.01, 1)):
        endpointer = Endpointer(EndpointRules(silence_after_words=seconds), FRAME)
        assert endpointer(100, frames, True) == "silence"
        assert endpointer(100, frames - 1, True) is None


def test_rules_have_to_be_positive():
    for bad in (0, -1, math.nan):
        with pytest.raises(UsageError, match="silence_after_words"):
            EndpointRules(silence_after_words=bad)


def test_words_that_come_when_they_are_over_begin_where_the_one_before_ends():
    timer = FinishedWordTimer(CHARACTERS, 0.08, time_shift=-0.16)
    # "ab" is written on frame 10, "c" and "a" on frame 12, a word of 20 letters on frame 40.
    tokens, frames = [2, 3, 1, 4, 1, 2, 1, *[2] * 20], [10, 10, 11, 12, 12, 12, 13, *[40] * 20]
    hypothesis = Hypothesis.of([Token(t, f, f + 1, -0.1) for t, f in zip(tokens, frames, strict=True)], 0.0)
    words = timer.words(hypothesis, offset=1.0)
    assert [word.text for word in words] == ["ab", "c", "a", "a" * 20]
    assert [word.end for word in words] == pytest.approx([1.72, 1.88, 1.92, 4.12])
    assert words[1].start == pytest.approx(1.88 - 0.085) and words[2].start == words[1].end
    assert words[0].start == pytest.approx(1.72 - 0.15) and words[3].start == pytest.approx(4.12 - 1.32)
    assert all(word.start < word.end for word in words)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 9)), max_size=12), st.floats(-0.5, 0.1))
def test_times_of_finished_words_never_go_back(steps, shift):
    tokens, frame = [], 0
    for ahead, letters in steps:
        frame += ahead
        tokens += [Token(token, frame, frame + 1, -0.1) for token in [*[2] * letters, 1]]
    words = FinishedWordTimer(CHARACTERS, 0.08, shift).words(Hypothesis.of(tokens, 0.0))
    assert len(words) == len(steps)
    assert all(word.start < word.end for word in words)
    assert all(a.end <= b.start for a, b in itertools.pairwise(words))
    assert all(word.start >= 0 for word in words) or shift < 0
