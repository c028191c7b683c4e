"""Scores of labels and events, against cases done by hand and against other ways to count."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transducer.evaluation.confusion import confusion_matrix, write_confusion_matrix
from transducer.evaluation.events import (
    SegmentCounts,
    Spot,
    Stretch,
    average_precision,
    count_segments,
    frame_accuracy,
    mean_average_precision,
    segment_f1,
    spots_of_events,
    spots_of_scores,
    stretches,
)
from transducer.evaluation.transitions import Interval, TransitionScores, match_transitions, score_transitions
from transducer.results import Event

labels_of = st.lists(st.integers(0, 2), max_size=14)
intervals_of = st.lists(
    st.tuples(st.integers(0, 12), st.integers(1, 5)).map(lambda pair: Interval(pair[0], sum(pair))), max_size=4
)


def row(text: str) -> list[int]:
    """Labels of frames by letters; "." is background and "?" unknown."""
    return [{"?": -1, ".": 0}.get(letter, ord(letter) - ord("a") + 1) for letter in text]


# Frames and segments


def test_frame_accuracy():
    assert frame_accuracy([row("aab."), row("b?")], [row("abb."), row("ba")]) == 4 / 5
    assert frame_accuracy([row("??")], [row("ab")]) is None
    assert frame_accuracy([], []) is None
    with pytest.raises(ValueError, match="cannot be held against"):
        frame_accuracy([[1, 2]], [[1]])


def test_stretches():
    assert stretches(row("aa.bba")) == [Stretch(1, 0, 2), Stretch(2, 3, 5), Stretch(1, 5, 6)]
    assert stretches([]) == [] == stretches(row("..."))


def test_segments_overlap_enough_or_not():
    #           a: 4 of 6 in common, b: 2 of 6, and one a that is not there
    truth, guess = row("aaaaaabbbb.."), row("aaaa..bb.b..") * 1
    assert count_segments(truth, guess, 0.5) == SegmentCounts(right=2, wrong=1, missed=0)
    assert count_segments(truth, guess, 0.7) == SegmentCounts(right=0, wrong=3, missed=2)
    assert segment_f1([truth], [guess], (0.5, 0.7)) == {50: pytest.approx(0.8), 70: 0.0}


def test_a_true_segment_counts_once():
    counts = count_segments(row("aaaaaaaa"), row("aaa.aaaa"), 0.25)
    assert counts == SegmentCounts(right=1, wrong=1, missed=0)
    assert counts.f1 == pytest.approx(2 / 3)


def test_unknown_frames_do_not_exist():
    assert count_segments(row("aa??aa"), row("aabbaa"), 0.9) == SegmentCounts(1, 0, 0)
    assert segment_f1([row("..")], [row("..")]) == {10: None, 25: None, 50: None}


def ms_tcn_f_score(truth: list[int], guess: list[int], overlap: float) -> tuple[int, int, int]:
    """As in the code of MS-TCN (eval.py), restated."""
    p, y = stretches(guess), stretches(truth)
    tp = fp = 0
    hits = np.zeros(len(y))
    for run in p:
        if not y:
            fp += 1
            continue
        iou = np.array(
            [
                (min(run.end, t.end) - max(run.start, t.start))
                / (max(run.end, t.end) - min(run.start, t.start))
                * (run.label == t.label)
                for t in y
            ]
        )
        index = iou.argmax()
        if iou[index] >= overlap and not hits[index]:
            tp += 1
            hits[index] = 1
        else:
            fp += 1
    return tp, fp, len(y) - int(hits.sum())


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=16), st.sampled_from([0.1, 0.25, 0.5]))
def test_segments_are_counted_as_in_ms_tcn(pairs, overlap):
    truth, guess = [a for a, _ in pairs], [b for _, b in pairs]
    counts = count_segments(truth, guess, overlap)
    assert (counts.right, counts.wrong, counts.missed) == ms_tcn_f_score(truth, guess, overlap)


# Spots


def spots(*frames: int, video: str = "v", label: str = "hit") -> list[Spot]:
    """At falling scores."""
    return [Spot(video, label, frame, 1 - 0.1 * number) for number, frame in enumerate(frames)]


def test_average_precision_by_hand():
    truths = spots(10, 20, 30)
    assert average_precision(truths, spots(10, 20, 30), 0) == 1.0
    assert average_precision(truths, spots(10, 50, 20), 0) == pytest.approx((1 + 2 / 3) / 3)
    # The envelope: precision 0, 1/2, 2/3 -> 2/3 everywhere.
    assert average_precision(truths, spots(50, 10, 20), 0) == pytest.approx((2 / 3 + 2 / 3) / 3)
    assert average_precision(truths, spots(11, 22, 30), 1) == pytest.approx((1 + 2 / 3) / 3)
    assert average_precision(truths, spots(11, 22, 30), 2) == 1.0
    assert average_precision(truths, [], 5) == 0.0 and average_precision([], truths, 5) is None


def test_a_true_spot_is_found_once_and_in_its_own_video():
    assert average_precision(spots(10), spots(11, 10), 2) == 1.0
    assert average_precision(spots(10, 12), spots(11, 11), 1) == 1.0
    assert average_precision(spots(10), spots(10, video="w"), 2) == 0.0


@given(st.lists(st.integers(0, 30), max_size=5, unique=True), st.lists(st.integers(0, 30), max_size=5, unique=True))
def test_average_precision_grows_with_the_recall_of_perfect_spots(truths, found):
    """Without false alarms, it is the share that was found."""
    right = [frame for frame in found if frame in truths]
    value = average_precision(spots(*truths), spots(*right), 0)
    assert value == (pytest.approx(len(right) / len(truths)) if truths else None)


def test_the_mean_is_over_labels_that_exist():
    truths = [*spots(1, 5), *spots(3, label="miss")]
    table = mean_average_precision(truths, [*spots(1, 5), *spots(9, label="else")], (0, 1))
    assert table[0] == {"map": 0.5, "labels": {"hit": 1.0, "miss": 0.0}}
    assert mean_average_precision([], [], (1,)) == {1: {"map": None, "labels": {}}}


def test_spots_of_events_and_of_scores():
    event = Event("hit", 0.0, 0.0, 4, 8, 0.5)
    assert spots_of_events("v", [event], "middle") == [Spot("v", "hit", 6, 0.5)]
    assert spots_of_events("v", [{"label": "hit", "start_frame": 4, "end_frame": 8}]) == [Spot("v", "hit", 4, 1.0)]
    probabilities = np.array([[1, 0], [0.5, 0.5], [0.2, 0.8], [0.9, 0.1], [1, 0], [0.7, 0.3]])
    found = spots_of_scores("v", probabilities, ["", "hit"])
    assert [(spot.frame, round(spot.score, 3)) for spot in found] == [(2, 0.8), (5, 0.3)]


# Transitions


def test_transitions_match_where_they_meet():
    truth = [Interval(9, 10, "cut"), Interval(30, 40, "dissolve")]
    assert match_transitions(truth, [Interval(12, 13)], 1) == []
    assert match_transitions(truth, [Interval(12, 13)], 2) == [(0, 0)]
    assert match_transitions(truth, [Interval(6, 7)], 2) == [(0, 0)]
    assert match_transitions(truth, [Interval(34, 35), Interval(36, 37)]) == [(1, 0)]


@given(intervals_of, intervals_of, st.integers(0, 2))
@settings(max_examples=80)
def test_no_matching_has_more_pairs(truths, found, tolerance):
    def meet(truth: Interval, prediction: Interval) -> bool:
        return prediction.start <= truth.end + tolerance and prediction.end >= truth.start - tolerance

    pairs = match_transitions(truths, found, tolerance)
    assert all(meet(truths[a], found[b]) for a, b in pairs)
    assert len({a for a, _ in pairs}) == len({b for _, b in pairs}) == len(pairs)
    slots = [*range(len(found)), *[None] * len(truths)]
    most = max(
        sum(place is not None and meet(truths[number], found[place]) for number, place in enumerate(places))
        for places in set(itertools.permutations(slots, len(truths)))
    )
    assert len(pairs) == most


def test_transition_scores():
    truth = [Interval(9, 10, "cut"), Interval(30, 40, "dissolve"), Interval(60, 61, "cut")]
    found = [Event("cut", 0, 0, 9, 10, 0.9), Event("cut", 0, 0, 33, 34, 0.9), Event("wipe", 0, 0, 80, 85, 0.9)]
    scores = score_transitions(truth, found, 2, frames=100)
    assert scores == TransitionScores(3, 3, 2, 2, 1, 1, 1, 1, 100)
    assert (scores.precision, scores.recall, scores.f1) == (pytest.approx(2 / 3),) * 3
    assert (scores.cut_recall, scores.gradual_recall, scores.false_alarms, scores.missed) == (0.5, 1.0, 1, 1)
    assert (scores + scores).truths == 6 and (scores + scores).f1 == scores.f1
    assert scores.summary()["f1"] == scores.f1 and scores.summary()["truths"] == 3
    nothing = score_transitions([], [])
    assert (nothing.f1, nothing.precision, nothing.recall, nothing.cut_recall) == (None,) * 4


def test_ignored_ranges_count_for_nothing():
    truth = [Interval(9, 10, "cut"), Interval(50, 51, "cut")]
    found = [Interval(49, 50, "cut"), Interval(55, 56, "cut"), Interval(70, 71, "cut")]
    scores = score_transitions(truth, found, 2, ignore=[(45, 60)])
    assert (scores.truths, scores.predictions, scores.matched) == (1, 1, 0)
    # A prediction in the range that matches a truth outside it is right.
    scores = score_transitions([Interval(43, 44, "cut")], [Interval(45, 46)], 2, ignore=[(45, 60)])
    assert (scores.truths, scores.predictions, scores.matched) == (1, 1, 1)


def test_events_may_be_mappings():
    truth = [{"label": "cut", "start_frame": 3, "end_frame": 4}]
    assert score_transitions(truth, [(3, 4, "cut")]).f1 == 1.0


# Confusion


def test_confusion_matrix():
    counts = confusion_matrix([row("aab?"), row(".b")], [row("aba."), row("..")], 3)
    assert counts.tolist() == [[1, 0, 0], [0, 1, 1], [1, 1, 0]]
    with pytest.raises(ValueError, match="labels must be 0 to 1"):
        confusion_matrix([[2]], [[0]], 2)


def test_confusion_picture(tmp_path):
    import cv2

    counts = np.array([[8, 2, 0], [1, 9, 0], [0, 0, 0]])
    write_confusion_matrix(counts, ["", "swing & miss", "hit"], tmp_path / "confusion.png", "Dev")
    image = cv2.imread(str(tmp_path / "confusion.png"))
    assert min(image.shape[:2]) > 200 and image.std() > 10
    with pytest.raises(OSError, match="nowhere"):
        write_confusion_matrix(counts, ["a", "b", "c"], tmp_path / "nowhere" / "confusion.png")
