"""Events out of probabilities: by the letter of the rules, whatever the steps, in bounded memory."""

from __future__ import annotations

import itertools
import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_laws import FrameClock

from transducer.errors import CheckpointError, UsageError
from transducer.model.config import from_json, to_json
from transducer.results import Event, Segment, Word
from transducer.search.events.rules import EventRules, Found
from transducer.search.events.scenes import scenes
from transducer.search.events.search import EventResultSearch, EventSearch, build_event_search
from transducer.search.events.words import WordEventSearch
from transducer.search.segments import SegmentSearch
from transducer.search.tokens.ctc import CTCGreedySearch
from transducer.search.tokens.words import WordTimer
from transducer.text.tokenizers.labels import Labels

LABELS = ("", "cut", "dissolve", "wipe")
LEVELS = (0.0, 0.1, 0.25, 0.3, 0.5, 0.6, 0.9)
RULES = {
    "transitions": EventRules("transitions", high=0.5, low=0.25),
    "transitions, all rules": EventRules(
        "transitions", 0.6, 0.25, {"wipe": 0.5}, merge=2, min_frames=3, max_frames=7, min_gap=4
    ),
    "transitions, near cuts": EventRules("transitions", 0.6, 0.3, merge=3, min_gap=1),
    "spans": EventRules("spans", 0.5, 0.25),
    "spans, all rules": EventRules("spans", 0.6, 0.2, {"wipe": 0.3}, 1, {"cut": 1, "wipe": 3}, 6),
    "dense": EventRules("dense"),
    "dense, all rules": EventRules("dense", high=0.3, min_frames=3),
    "peaks": EventRules("peaks", high=0.3, window=2),
    "steps": EventRules("steps"),
    "steps, all rules": EventRules("steps", high=0.5, thresholds={"wipe": 0.3}),
    "clip": EventRules("clip"),
}


def log_probs(rows: list[tuple[float, ...]]) -> np.ndarray:
    """(T, 4) out of the weights of the labels but the background's, which gets what is left."""
    weights = np.array(rows, np.float64).reshape(-1, len(LABELS) - 1)
    weights = weights / np.maximum(1.0, weights.sum(axis=1, keepdims=True))
    background = np.maximum(0.0, 1 - weights.sum(axis=1, keepdims=True))
    with np.errstate(divide="ignore"):
        return np.log(np.concatenate([background, weights], axis=1)).astype(np.float32)


def cuts(*probabilities: float) -> np.ndarray:
    return log_probs([(p, 0, 0) for p in probabilities])


def run(search: EventSearch, frames: np.ndarray, places: list[int] = ()) -> list[Found]:
    state, found = search.init(), []
    for part in np.split(frames, sorted(place % (len(frames) + 1) for place in places)):
        before = pickle.dumps(state)
        after, new = search.step(state, part)
        assert pickle.dumps(state) == before, "a step changes no state"
        state = after
        found += new
    return found + search.finish(state)


def found(rules: EventRules, frames: np.ndarray) -> list[Found]:
    return [Found(*event[:3], round(event[3], 4)) for event in run(build_event_search(LABELS, rules), frames)]


frames_of = st.lists(st.tuples(*[st.sampled_from(LEVELS)] * 3), max_size=40).map(log_probs)


@pytest.mark.parametrize("name", RULES)
@given(frames_of, st.lists(st.integers(0, 1000), max_size=8))
@settings(max_examples=40)
def test_events_do_not_depend_on_steps(name, frames, places):
    search = build_event_search(LABELS, RULES[name])
    assert run(search, frames, places) == run(search, frames)
    assert run(search, frames, list(range(len(frames)))) == run(search, frames)


@pytest.mark.parametrize("name", RULES)
@given(frames_of)
@settings(max_examples=40)
def test_what_later_events_name_is_kept(name, frames):
    """The frames that an event names are the last two, or were said to be needed all the time."""
    search = build_event_search(LABELS, RULES[name])
    state, kept = search.init(), set()
    for number in range(len(frames)):
        kept |= {number, number + 1}
        state, events = search.step(state, frames[number : number + 1])
        assert named(events, name) <= kept
        kept &= search.needed(state) | {number, number + 1}
    assert named(search.finish(state), name) <= kept


def named(events: list[Found], name: str) -> set[int]:
    after = {event.start + 1 if "transitions" in name else event.end + 1 for event in events}
    return after.union(*[{event.start, event.end} for event in events])


@pytest.mark.parametrize("name", RULES)
def test_memory_is_constant(name):
    search = build_event_search(LABELS, RULES[name])
    rng = np.random.default_rng(0)
    state, sizes = search.init(), []
    for _ in range(30):
        state, _ = search.step(state, log_probs(rng.choice([0.0, 0.05, 0.6], size=(200, 3)).tolist()))
        sizes.append(len(pickle.dumps(state)) + len(search.needed(state)))
    steady = np.zeros((1000, 4), np.float32) - np.log(4)  # a run that never ends
    for _ in range(10):
        state, _ = search.step(state, steady.astype(np.float32))
        sizes.append(len(pickle.dumps(state)) + len(search.needed(state)))
    assert max(sizes[10:]) <= max(sizes[:10]) + 100
    assert max(sizes) < 2000


# Transitions


def reference_runs(p: np.ndarray, high: float, low: float) -> list[tuple[int, int]]:
    """Runs at `low` that reach `high`, without merging, by looking at everything."""
    inside = np.concatenate([[False], p >= low, [False]])
    edges = np.flatnonzero(inside[1:] != inside[:-1])
    return [(a, b - 1) for a, b in zip(edges[::2], edges[1::2], strict=True) if p[a:b].max() >= high]


@given(frames_of, st.integers(0, 4), st.integers(1, 4))
def test_gradual_transitions_are_runs_merged_and_long_enough(frames, merge, min_frames):
    probabilities = np.exp(frames.astype(np.float64))
    p = 1 - probabilities[:, 0]
    expected: list[list[int]] = []
    for begin, end in reference_runs(p, 0.5, 0.25):
        if expected and begin - expected[-1][1] - 1 <= merge:
            expected[-1][1] = end
        else:
            expected.append([begin, end])
    rules = EventRules("transitions", 0.5, 0.25, merge=merge, min_frames=min_frames, cut="no such label")
    events = run(build_event_search(LABELS, rules), frames)
    assert [(event.start, event.end) for event in events] == [
        (max(0, begin - 1), end) for begin, end in expected if end - begin + 1 >= min_frames and end
    ]
    for event, (begin, end) in zip(
        events, [e for e in expected if e[1] - e[0] + 1 >= min_frames and e[1]], strict=True
    ):
        assert event.score == p[begin : end + 1].max()
        runs = [slice(a, b + 1) for a, b in reference_runs(p, 0.5, 0.25) if begin <= a <= end]
        mass = sum(probabilities[part, 1:].sum(axis=0) for part in runs)
        assert mass[LABELS.index(event.label) - 1] == pytest.approx(mass.max())


def test_a_cut_lies_before_its_highest_frame():
    frames = cuts(0, 0.3, 0.4, 0.9, 0.3, 0)
    assert found(RULES["transitions"], frames) == [Found("cut", 2, 3, 0.9)]


def test_a_cut_cannot_come_before_the_first_frame():
    assert found(RULES["transitions"], cuts(0.9, 0, 0)) == []
    assert found(RULES["transitions"], cuts(0, 0.9)) == [Found("cut", 0, 1, 0.9)]


def test_a_dissolve_is_from_the_last_frame_of_the_old_shot_to_the_first_of_the_new():
    frames = log_probs([(0, 0, 0), (0, 0.3, 0), (0, 0.9, 0), (0.1, 0.3, 0), (0, 0, 0)])
    assert found(RULES["transitions"], frames) == [Found("dissolve", 0, 3, 0.9)]
    assert found(RULES["transitions"], frames[1:]) == [Found("dissolve", 0, 2, 0.9)]  # it was on when the video began
    assert found(RULES["transitions"], frames[2:3]) == []  # one frame is no change


def test_a_run_has_the_label_with_the_most_probability():
    frames = log_probs([(0, 0, 0), (0.8, 0.1, 0), (0, 0.5, 0), (0, 0.5, 0), (0, 0, 0)])
    assert [event.label for event in found(RULES["transitions"], frames)] == ["dissolve"]


def test_of_two_cuts_too_near_the_better_one_stays():
    frames = cuts(0, 0.7, 0, 0.9, 0, 0.8, 0, 0, 0, 0, 0, 0.6)
    rules = EventRules("transitions", 0.5, 0.25, min_gap=2)
    assert found(rules, frames) == [Found("cut", 2, 3, 0.9), Found("cut", 10, 11, 0.6)]
    assert len(found(RULES["transitions"], frames)) == 4
    ends = [event.end for event in found(EventRules("transitions", 0.5, 0.25, min_gap=8), frames)]
    assert ends == [3]


def test_cuts_are_never_merged_and_other_runs_are():
    rules = EventRules("transitions", 0.5, 0.25, merge=3, min_gap=1)
    assert [event.end for event in found(rules, cuts(0, 0.9, 0, 0.8, 0, 0, 0.7))] == [1, 3, 6]
    assert [event.end for event in found(rules, cuts(0, 0.9, 0.8, 0))] == [1]  # one frame apart: a flash, if anything
    frames = log_probs([(0, 0, 0), (0.9, 0, 0), (0, 0, 0), (0, 0.9, 0), (0, 0.9, 0), (0, 0, 0), (0, 0, 0.9)])
    assert found(rules, frames) == [Found("dissolve", 0, 6, 0.9)]


def test_a_cut_is_given_out_as_soon_as_no_better_one_can_come():
    search = build_event_search(LABELS, EventRules("transitions", 0.5, 0.25, min_gap=3))
    frames = cuts(0, 0.9, 0, 0, 0, 0, 0)
    state = search.init()
    given_at = []
    for number in range(len(frames)):
        state, events = search.step(state, frames[number : number + 1])
        given_at += [number] * len(events)
    assert given_at == [4]


def test_labels_may_have_thresholds_of_their_own():
    rules = EventRules("transitions", 0.6, 0.25, {"wipe": 0.4, "cut": 0.8})
    frames = log_probs([(0, 0, 0), (0, 0, 0.5), (0, 0, 0), (0.7, 0, 0), (0, 0, 0), (0, 0.5, 0), (0, 0, 0), (0, 0.6, 0)])
    assert [(event.label, event.end) for event in found(rules, frames)] == [("wipe", 1), ("dissolve", 7)]
    assert [event.end for event in found(rules.at(0.5), frames)] == [1, 3, 5, 7]


def test_what_is_too_long_is_cut_in_pieces():
    frames = log_probs([(0, 0, 0), *[(0, 0.9, 0)] * 10, (0, 0, 0)])
    rules = EventRules("transitions", 0.5, 0.25, max_frames=4, merge=3)
    assert [event[1:3] for event in found(rules, frames)] == [(0, 4), (4, 8), (8, 10)]


def test_min_frames_is_not_for_cuts_unless_it_says_so():
    frames = log_probs([(0, 0, 0), (0.9, 0, 0), (0, 0, 0), (0, 0.9, 0), (0, 0, 0)])
    for min_frames, labels in ((2, ["cut"]), ({"cut": 2}, ["dissolve"]), ({"wipe": 9}, ["cut", "dissolve"])):
        rules = EventRules("transitions", 0.5, 0.25, min_frames=min_frames)
        assert [event.label for event in found(rules, frames)] == labels


# Other kinds


@given(frames_of)
def test_spans_are_runs_of_each_label(frames):
    probabilities = np.exp(frames.astype(np.float64))
    expected = sorted(
        (label, int(begin), int(end))
        for number, label in enumerate(LABELS[1:], start=1)
        for begin, end in reference_runs(probabilities[:, number], 0.5, 0.25)
    )
    events = run(build_event_search(LABELS, RULES["spans"]), frames)
    assert sorted((event.label, event.start, event.end) for event in events) == expected


def test_spans_of_different_labels_overlap_and_come_when_they_are_over():
    frames = log_probs([(0.5, 0, 0), (0.5, 0.5, 0), (0.5, 0, 0), (0, 0, 0)])
    assert found(EventRules("spans", high=0.4), frames) == [Found("dissolve", 1, 1, 0.5), Found("cut", 0, 2, 0.5)]


@given(frames_of)
def test_dense_events_are_runs_of_the_best_label(frames):
    best = np.exp(frames.astype(np.float64)).argmax(axis=1).tolist()
    expected, begin = [], 0
    for frame in range(1, len(best) + 1):
        if frame == len(best) or best[frame] != best[begin]:
            expected += [(LABELS[best[begin]], begin, frame - 1)] if best[begin] else []
            begin = frame
    assert [event[:3] for event in run(build_event_search(LABELS, RULES["dense"]), frames)] == expected


def row(label: str) -> tuple[float, ...]:
    return tuple(0.9 * (name == label) for name in LABELS[1:])


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("ccccdcccc", [("cut", 0, 8)]),  # a short stretch inside another
        ("ccccddwwwwww", [("cut", 0, 5), ("wipe", 6, 11)]),  # between two: part of the one before
        ("ddcccc.....", [("cut", 0, 5)]),  # at the beginning: part of the one after
        ("cdcdcd", [("cut", 0, 5)]),  # nothing but short ones: the most probable
        ("cc", [("cut", 0, 1)]),
        ("..", []),
        ("...cccdd", [("cut", 3, 7)]),
        ("cccc.cccc", [("cut", 0, 8)]),
        ("", []),
    ],
)
def test_short_stretches_are_part_of_what_is_around_them(script, expected):
    names = {".": "", "c": "cut", "d": "dissolve", "w": "wipe"}
    events = found(EventRules("dense", min_frames=3), log_probs([row(names[letter]) for letter in script]))
    assert [event[:3] for event in events] == expected


def test_a_dense_label_below_its_threshold_is_background():
    frames = log_probs([(0.4, 0.3, 0.2), (0.8, 0, 0), (0.8, 0, 0)])
    assert found(EventRules("dense"), frames) == [Found("cut", 0, 2, 0.8)]
    assert found(EventRules("dense").at(0.5), frames) == [Found("cut", 1, 2, 0.8)]


@given(frames_of, st.integers(1, 5))
def test_peaks_are_higher_than_their_neighbours(frames, window):
    p = np.exp(frames.astype(np.float64))
    expected = [
        (LABELS[label], frame, frame)
        for frame in range(len(p))
        for label in range(1, len(LABELS))
        if p[frame, label] >= 0.3
        and all(p[frame, label] > other for other in p[max(0, frame - window) : frame, label])
        and all(p[frame, label] >= other for other in p[frame + 1 : frame + 1 + window, label])
    ]
    events = run(build_event_search(LABELS, EventRules("peaks", high=0.3, window=window)), frames)
    assert [event[:3] for event in events] == expected


def test_a_clip_has_the_label_of_its_last_frame():
    frames = log_probs([(0.9, 0, 0), (0, 0.8, 0.1), (0, 0.2, 0.7)])
    assert found(EventRules("clip"), frames) == [Found("wipe", 0, 2, 0.7)]
    assert found(EventRules("clip", high=0.8), frames) == []
    assert found(EventRules("clip"), log_probs([])) == []


def test_words_are_events():
    units = Labels(["set", "blue", "now"])
    search = WordEventSearch(SegmentSearch(CTCGreedySearch(units.silence), WordTimer(units, 0.04)))
    frames = np.log(np.full((60, 4), 0.01, np.float32))
    frames[:, 0] = np.log(0.97)
    for frame, token in ((3, 1), (4, 1), (8, 2), (9, 3)):
        frames[frame] = np.log(np.where(np.arange(4) == token, 0.97, 0.01))
    expected = [("set", 3, 4), ("blue", 8, 8), ("now", 9, 9)]
    for places in ([], list(range(60)), [5, 9, 33]):
        state, events, at = search.init(), [], []
        for part in np.split(frames, places):
            ((state, new),) = search.step([state], [part])
            events += new
            at += [state.start] * len(new)
        assert [event[:3] for event in events] == expected, "without waiting for the end: a silence is enough"
        assert search.flush(state)[1] == []


# As results of many clients


def times_of(seed: int, frames: int) -> list[float]:
    """Of frames that come at uneven times, and of their end."""
    gaps = np.random.default_rng(seed).uniform(0.01, 0.2, frames)
    return [0.5, *(0.5 + np.cumsum(gaps)).tolist()]


def one(search: EventResultSearch, state: Any, frames: np.ndarray) -> tuple[Any, list[Found]]:
    return search.step([state], [frames])[0]


@pytest.mark.parametrize("name", RULES)
@given(st.lists(frames_of, min_size=1, max_size=4), st.lists(st.integers(0, 1000), max_size=6))
@settings(max_examples=25)
def test_clients_get_together_what_they_get_alone(name, clients, places):
    search = EventResultSearch(LABELS, RULES[name])
    cut = [np.split(frames, sorted(place % (len(frames) + 1) for place in places)) for frames in clients]
    states, results = [search.init() for _ in clients], [[] for _ in clients]
    for parts in zip(*cut, strict=True):
        stepped = search.step(states, parts)
        states = [state for state, _ in stepped]
        for found, (_, new) in zip(results, stepped, strict=True):
            found += new
    inner = build_event_search(LABELS, RULES[name])
    for frames, state, found in zip(clients, states, results, strict=True):
        assert found + search.flush(state)[1] == run(inner, frames)


@pytest.mark.parametrize("name", RULES)
@given(frames_of, st.lists(st.integers(0, 40), max_size=5), st.integers(1, 3), st.integers(0, 99))
@settings(max_examples=60)
def test_nothing_comes_twice_after_a_flush_and_times_that_are_needed_are_said_to_be(
    name, frames, flushes, stride, seed
):
    """Times that are not `needed` are not there any more, and those of frames to come are not known."""
    search = EventResultSearch(LABELS, RULES[name])
    times = times_of(seed, stride * len(frames))
    state, found, kept = search.init(), [], {0}

    def take(new: list[Found], seen: int) -> None:
        known = [times[frame] if frame // stride in kept else math.nan for frame in range(stride * seen + 1)]
        clock = FrameClock(known, stride)
        for event in new:
            result = search.result(event, clock)
            assert result.start < result.end and result.start_frame <= result.end_frame < len(times)
            assert result.change is None or result.start < result.change <= result.end
        found.extend(new)

    for number in range(len(frames)):
        kept |= {number, number + 1}
        state, new = one(search, state, frames[number : number + 1])
        take(new, number + 1)
        if number in flushes:
            state, new = search.flush(state)
            take(new, number + 1)
            assert search.flush(state)[1] == []
        kept = {step for step in kept if step >= number or step in search.needed(state)}
    kept.add(len(frames))
    take(search.flush(state)[1], len(frames))
    for label in LABELS:
        events = [event for event in found if event.label == label]
        for before, after in itertools.pairwise(sorted(events, key=lambda event: event.start)):
            assert after.start >= before.end
            if "peaks" in name:
                assert after.start - before.start > RULES[name].window
            elif "transitions" not in name:
                assert after.start > before.end
            elif label == "cut":
                assert after.end - before.end > RULES[name].min_gap


def test_a_cut_on_both_sides_of_a_flush_comes_once():
    search = EventResultSearch(LABELS, RULES["transitions"])
    state, found = one(search, search.init(), cuts(0, 0, 0.9))
    state, flushed = search.flush(state)
    assert found == [] and [event[:3] for event in flushed] == [("cut", 1, 2)]
    state, found = one(search, state, cuts(0.6, 0, 0, 0.9, 0))
    assert [event[:3] for event in found] == [("cut", 5, 6)]
    # A flush before there is anything to tell changes nothing.
    state, _ = one(search, search.init(), cuts(0, 0.3))
    state, flushed = search.flush(state)
    assert flushed == [] and [event[:3] for event in one(search, state, cuts(0.9, 0))[1]] == [("cut", 1, 2)]


@pytest.mark.parametrize("frames", [8, 7])
def test_steps_of_two_frames_last_as_long_as_both(frames):
    """The whole of a source is a whole, however many frames a step has, and though the last step has fewer."""
    times = times_of(0, frames)
    clock = FrameClock(times, 2)
    search = EventResultSearch(LABELS, RULES["spans"])
    assert search.result(Found("wipe", 0, 3, 0.5), clock) == Event("wipe", times[0], times[-1], 0, frames - 1, 0.5)
    assert search.result(Found("wipe", 1, 2, 0.5), clock) == Event("wipe", times[2], times[6], 2, 5, 0.5)
    cut = EventResultSearch(LABELS, RULES["transitions"]).result(Found("cut", 1, 2, 0.5), clock)
    # The last frame of the old step and the first of the new one: no frame is lost between the shots.
    assert cut == Event("cut", times[3], times[4], 3, 4, 0.5)
    assert cut.change == pytest.approx(times[4])


def test_an_event_waits_for_the_time_of_its_end():
    times = times_of(0, 4)
    search = EventResultSearch(LABELS, RULES["spans"])
    for seen in range(1, 5):
        event = search.result(Found("wipe", 1, 2, 0.5), FrameClock(times[:seen], ended=False))
        assert (event is None) == (seen < 4)
    cut = EventResultSearch(LABELS, RULES["transitions"]).result(Found("cut", 1, 2, 0.5), FrameClock(times[:3]))
    assert cut == Event("cut", times[1], times[2], 1, 2, 0.5)


def test_words_of_a_segment_are_events():
    words = (Word("set", 0.12, 0.24, 0.9), Word("blue", 0.26, 0.32, 0.8))
    times = times_of(0, 20)
    units = Labels(["set", "blue", "now"])
    search = WordEventSearch(SegmentSearch(CTCGreedySearch(units.silence), WordTimer(units, 0.04)))
    found = search._words([Segment(words, True, 0.12, 0.32), Segment(words, False, 0.12, 0.32)])
    events = [search.result(one, FrameClock(times, 2)) for one in found]
    assert events == [
        Event("set", times[6], times[12], 6, 11, 0.9),
        Event("blue", times[12], times[16], 12, 15, 0.8),
    ]


# The rules


def test_rules_come_from_json():
    stored = {"kind": "transitions", "high": 0.4, "thresholds": {"cut": 0.6}, "min_frames": {"wipe": 4}}
    rules = from_json({"type": "event_rules", **stored})
    assert (rules.kind, rules.high, rules.low_of(0.4), rules.high_of("cut")) == ("transitions", 0.4, 0.2, 0.6)
    assert rules.shortest("wipe") == 4 and rules.shortest("cut") == 1
    assert from_json(to_json(rules)) == rules


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ({"kind": "scenes"}, "unknown kind of events 'scenes'"),
        ({"hihg": 0.5}, "unknown fields hihg"),
        ({"high": 1.5}, "must be a probability"),
        ({"low": 0.7, "high": 0.5}, "0.7, is above high, 0.5"),
        ({"thresholds": {"fade": 0.5}}, "labels that it lacks: fade"),
        ({"min_frames": {"fade": 5}}, "labels that it lacks: fade"),
        ({"min_frames": 0}, "min_frames must be a whole number of at least 1"),
        ({"merge": -1}, "merge must be a whole number of at least 0"),
        ({"high": "much"}, "must be a number or null"),
        ({"min_frames": 1.5}, "must be an integer or an object"),
    ],
)
def test_rules_that_make_no_sense_are_refused(events, message):
    with pytest.raises(CheckpointError, match=message):
        from_json({"type": "event_rules", "kind": "spans", **events}).check_labels(LABELS)


NUMBERS = ("high", "low", "merge", "min_frames", "max_frames", "min_gap", "window", "beam")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "0.5", "", b"1", True, [1], 1 + 1j, -3])
@pytest.mark.parametrize("name", [*NUMBERS, "thresholds", "wipe"])
def test_a_rule_that_is_no_number_is_refused_by_its_name(name, value):
    rule = {"thresholds": {"wipe": value}} if name == "wipe" else {name: value}
    with pytest.raises(UsageError, match=name):
        EventRules("spans", **rule)
    if name == "min_frames":
        with pytest.raises(UsageError, match="min_frames of wipe"):
            EventRules("spans", min_frames={"wipe": value})


@pytest.mark.parametrize("name", ["kind", "cut", "search"])
@pytest.mark.parametrize("value", [None, 1, 0.5, ("cut",)])
def test_a_rule_that_is_no_name_is_refused(name, value):
    with pytest.raises(UsageError, match=f"kind of events|{name}"):
        EventRules(**{name: value})


def test_a_threshold_keeps_the_proportion_of_low_to_high():
    rules = EventRules("transitions", high=0.5, low=0.1).at(0.25)
    assert (rules.high, rules.low) == (0.25, 0.05)
    assert EventRules("spans").at(0.8).low_of(0.8) == 0.4
    for threshold in (-0.1, 1.1, float("nan")):
        with pytest.raises(UsageError, match="from 0 to 1"):
            rules.at(threshold)
    with pytest.raises(UsageError, match="no threshold"):
        EventRules("sequence").at(0.5)


@pytest.mark.parametrize(("start", "end", "shots"), [(80, 99, 1), (80, 98, 2), (98, 99, 2)])
def test_a_fade_that_ends_with_the_video_leaves_no_shot_of_a_frame(start, end, shots):
    """A cut to a last frame does, and so do two frames behind a fade."""
    event = Event("fade", start / 25, end / 25, start, end, 0.9, change=(start + 1) / 25)
    found = scenes("transitions", [event], 100, 0.0, 4.0)
    assert len(found) == shots and found[0].end_frame == start
