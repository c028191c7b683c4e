from __future__ import annotations

import pytest

from transducer.results import Word
from transducer.search.full_context.agreement import CERTAIN, DOUBTFUL, ENOUGH, Draft, votes
from transducer.search.full_context.quality import compression_ratio, once_round, said_once


@pytest.mark.parametrize(
    ("decodings", "found"),
    [
        ([["a"]], [3]),
        ([["a", "b"], ["a", "b", "c"]], [6, 6, 3]),
        ([["a", "x"], ["a", "b", "c"]], [6, 3, 3]),
        ([["x", "b"], ["a", "b"]], [3, 3]),  # what stands before it is another word
        ([["a?"], ["a?"], ["a?"]], [6]),
        ([["a?"], ["a"]], [5]),  # one that is certain and one that is not are not enough
        ([["a"], ["b"], ["a"]], [3]),
    ],
)
def test_votes_of_decodings_in_a_row(decodings, found):
    draft = Draft()
    for said in decodings:
        words = [Word(text.rstrip("?"), 0, 1, 0.5 if "?" in text else 0.9) for text in said]
        draft = Draft(rest=tuple(word.text for word in words), votes=votes(draft, words))
    assert list(draft.votes) == found
    assert 2 * DOUBTFUL < CERTAIN + DOUBTFUL < ENOUGH == 2 * CERTAIN == 3 * DOUBTFUL


@pytest.mark.parametrize(
    ("tokens", "count"),
    [
        ((), 0),
        ((1, 2, 3, 4), 4),
        ((9, *(1, 2) * 3), 3),
        ((1, 1, 1, 1), 4),  # "no, no, no, no" is said
        ((*(5,) * 6,), 1),
        ((9, *range(10), *range(10)), 21),  # twice is no circle
        ((9, *(*range(10),) * 4), 11),
        ((*(1, 2) * 3, 9), 7),  # it has gone on
    ],
)
def test_circles_at_the_end_are_gone_round_once(tokens, count):
    assert once_round(tokens) == count


def test_all_of_it_twice_is_a_circle_where_that_is_asked():
    assert once_round((9, *range(6), *range(6)), 2, 10) == 7


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("one two three four five . One Two three four five !", 6),
        ("so one two three , four five one two three four five", 7),
        ("one two three one two three", 6),  # may be said
        ("one two three four five six seven", 7),
    ],
)
def test_capitals_and_punctuation_make_no_difference_to_what_comes_twice(text, left):
    words = text.split()
    assert said_once(range(len(words)), words.__getitem__) == left


def test_repetition_can_be_compressed():
    assert compression_ratio("the cat sat on the mat and looked at the moon") < 1.5
    assert compression_ratio("again and " * 20) > 2.4
